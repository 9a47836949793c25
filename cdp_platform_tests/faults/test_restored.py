"""The warehouse comes from an older copy, or its books are gone: the account ends right all the same (G15)."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from cdp_platform_tests.faults.scenario import Person, second_day, write_people
from cdp_platform_tests.faults.stage import Stage


def healthy_day(segment: str, *, opt_out: int = 0) -> list[Person]:
    """The second day with no row that would be refused; of those that are new then, the first `opt_out` withdrew."""
    people = []
    for number, (key, _, permission, _, value, last_order) in enumerate(second_day()):
        said = "withdrawn" if 200 <= number < 200 + opt_out else permission
        people.append((key, f"person{number}@example.com", said, segment, value, last_order))
    return people


def restore(stage: Stage, kept: Path) -> None:
    shutil.copy(kept, stage.root / "warehouse.duckdb")


def drop_books(stage: Stage, kept: Path) -> None:
    with duckdb.connect(str(stage.root / "warehouse.duckdb")) as warehouse:
        warehouse.execute("drop schema cdp cascade")


@pytest.mark.parametrize(
    ("kill_at", "lose"),
    [
        ("", drop_books),
        ("answer.unrecorded:2", restore),
        *(
            pytest.param(kill_at, lose, marks=pytest.mark.slow)
            for kill_at, lose in [
                ("", restore),
                ("answer.unrecorded:2", drop_books),
                ("settle.committed:1", restore),
                ("settle.committed:1", drop_books),
            ]
        ),
    ],
)
def test_books_that_are_two_runs_behind_are_made_right_and_whoever_withdrew_is_told(
    stage: Stage, tmp_path: Path, lose: Callable[[Stage, Path], None], kill_at: str
) -> None:
    kept = Path(shutil.copy(stage.root / "warehouse.duckdb", tmp_path / "yesterday"))
    for segment in ("a", "b"):
        write_people(stage.root, healthy_day(segment))
        assert stage.run().code == 0
    assert stage.faults() == []
    accepted = stage.gateway.accepted_count
    lose(stage, kept)
    # Ten withdrew meanwhile who came after the copy was made; everybody else is back at the former value.
    write_people(stage.root, healthy_day("loyal", opt_out=10))
    if kill_at:
        assert stage.run(kill_at=kill_at).code == -signal.SIGKILL
    resumed = stage.run()
    assert resumed.code == 0, resumed.error
    assert stage.gateway.accepted_count - accepted >= 200, "nobody was sent again"
    assert stage.faults() == []
    quiet = stage.gateway.accepted_count
    assert stage.run().runs == 0
    assert stage.gateway.accepted_count == quiet
