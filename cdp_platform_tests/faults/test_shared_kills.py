"""SIGKILL with the journal in PostgreSQL: the same places, the same independent checker, nothing lost."""

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("psycopg2", reason="the extra `cluster` is not installed: the shared journal was NOT tested")

import psycopg2

from cdp_platform_tests.faults.checker import OPEN_SPANS, count_rows
from cdp_platform_tests.faults.runner import MOST_RUNS
from cdp_platform_tests.faults.stage import prepare, staged
from cdp_platform_tests.warehouses.postgres_server import PostgresServer

pytestmark = pytest.mark.slow
PLACES = (
    "plan.recorded",
    "intent.uncommitted",
    "intent.committed",
    "answer.unrecorded",
    "outcome.uncommitted",
    "outcome.committed",
    "settle.uncommitted",
    "settle.committed",
    "settle.emptied",
)


class SharedJournal:
    """The journal after an undisturbed first day, of which each test gets a copy."""

    def __init__(self, postgres: PostgresServer, patch: pytest.MonkeyPatch) -> None:
        self._postgres = postgres
        self._patch = patch
        self.first_day = self._use(postgres.new_database())

    def copy(self) -> None:
        """Let processes to come work on a copy."""
        template = self.first_day.split("///")[1].split("?")[0]
        self._use(self._postgres.new_database(f"template {template}"))

    def _use(self, address: str) -> str:
        self.address = address
        self._patch.setenv("CDP_JOURNAL", address)
        return address

    def rows_in_flight(self) -> int:
        with closing(psycopg2.connect(self.address)) as connection, connection.cursor() as cursor:
            cursor.execute("set search_path = cdp_journal")
            cursor.execute(OPEN_SPANS)
            return count_rows(cursor.fetchall())


@pytest.fixture(scope="module")
def journal(postgres: PostgresServer) -> Iterator[SharedJournal]:
    with pytest.MonkeyPatch.context() as patch:
        yield SharedJournal(postgres, patch)


@pytest.fixture(scope="module")
def shared_template(journal: SharedJournal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    prepare(folder)
    assert not list((folder / "home").glob("*.sqlite")), "the home keeps no books"
    return folder


@pytest.fixture(scope="module")
def accepted(journal: SharedJournal, shared_template: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many rows are accepted when nothing goes wrong."""
    journal.copy()
    with staged(tmp_path_factory.mktemp("undisturbed"), shared_template) as stage:
        assert stage.run().code == 0
        assert stage.faults() == []
        return stage.gateway.accepted_count


@pytest.mark.parametrize("place", PLACES)
def test_a_process_killed_at_a_place_loses_nothing(
    place: str, accepted: int, journal: SharedJournal, shared_template: Path, tmp_path: Path
) -> None:
    journal.copy()
    with staged(tmp_path / "stage", shared_template) as stage:
        hit = 1 if place.startswith(("plan", "settle")) else 2
        assert stage.run(kill_at=f"{place}:{hit}").code == -signal.SIGKILL
        in_flight = journal.rows_in_flight()
        assert stage.gateway.write_count + in_flight > 0 or place.startswith("plan"), "no work had happened"
        resumed = stage.run()
        assert resumed.code == 0, resumed.error
        assert stage.faults() == []
        assert 0 <= stage.gateway.accepted_count - accepted <= in_flight
        assert resumed.runs < MOST_RUNS, "the account does not come to rest"
