"""SIGKILL while the records of merged persons are moved: each record keeps its id, and nobody has two."""

import signal
from pathlib import Path

import pytest
import requests

from cdp_platform_tests.faults.runner import MOST_RUNS
from cdp_platform_tests.faults.scenario import TOKEN, merging_day, write_merges, write_people
from cdp_platform_tests.faults.stage import Stage, staged
from cdp_platform_tests.faults.test_kills import CASES, MOVE_CASES, in_turn

_SENDING = ("intent", "answer", "outcome", "settle", "recover")
PLACES = [*MOVE_CASES, *(name for name in CASES if name.startswith(_SENDING))]


def record_ids(stage: Stage) -> dict[str, str]:
    """Person id → record id, of every contact that the sandbox lists, read over its API."""
    found: dict[str, str] = {}
    after = "0"
    while after:
        body = requests.get(
            f"{stage.sandbox_url}/crm/v3/objects/contacts?limit=100&after={after}&properties=cdp_person_id",
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=10,
        ).json()
        for contact in body["results"]:
            assert contact["properties"]["cdp_person_id"] not in found, "one person has two records"
            found[contact["properties"]["cdp_person_id"]] = contact["id"]
        after = body.get("paging", {}).get("next", {}).get("after", "")
    return found


def merge(stage: Stage) -> dict[str, str]:
    """Let 120 people be merged into others; the answer is the record ids that everybody must have in the end."""
    before = record_ids(stage)
    people, merges = merging_day()
    write_people(stage.root, people)
    write_merges(stage.root, merges)
    return {merges.get(person, person): record for person, record in before.items()}


@pytest.fixture(scope="module")
def hits(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How often each place is passed when nothing goes wrong."""
    with staged(tmp_path_factory.mktemp("undisturbed"), template) as stage:
        expected = merge(stage)
        ended = stage.run()
        assert ended.code == 0, ended.error
        assert (record_ids(stage), stage.faults()) == (expected, [])
        return ended.hits


@pytest.mark.parametrize("place", in_turn(PLACES))
def test_a_process_killed_while_keys_move_leaves_each_record_with_its_person(
    place: str, hits: dict[str, int], template: Path, tmp_path: Path
) -> None:
    earlier = CASES[place].after_kill_at.replace(":2", ":1") if place in CASES else ""
    count = hits.get(place, 1)
    for hit in sorted({1, (count + 1) // 2, count}):
        with staged(tmp_path / str(hit), template) as stage:
            expected = merge(stage)
            if earlier:
                assert stage.run(kill_at=earlier).code == -signal.SIGKILL
            killed = stage.run(kill_at=f"{place}:{hit}")
            assert killed.code == -signal.SIGKILL, f"pass {hit} of {count} was not reached: {killed.error}"
            if place.startswith("settle"):
                assert stage.gateway.accepted_count > 0, "no work had happened"
            resumed = stage.run()
            assert resumed.code == 0, resumed.error
            assert record_ids(stage) == expected, f"after pass {hit} of {count}"
            assert stage.faults() == [], f"after pass {hit} of {count}"
            assert resumed.runs < MOST_RUNS, "the account does not come to rest"
