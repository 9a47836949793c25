"""What the destination answers where an event may be sent once: each cell of the table of answers, over HTTP."""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import duckdb
import pytest

from cdp_platform.connectors.http import open_session
from cdp_platform.errors import AuthenticationFailed, CdpError, ConfigError, RateLimited
from cdp_platform.syncs.exchange import Timing
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.resolve import resolve
from cdp_platform.syncs.send import send_plan
from cdp_platform.testing.fault_server import Fault
from cdp_platform_tests.faults.event_scenario import BATCH_ROWS, SYNC, engine_of, spec_of, write_events
from cdp_platform_tests.faults.event_stage import EventStage, event_stage
from cdp_platform_tests.faults.gateway import Trouble
from cdp_platform_tests.faults.test_answers import DEADLINE_SECONDS, EVER, answered, on_the_way, told

EVENTS = 3 * BATCH_ROWS
Books = dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Trouble with the second write, and what the run's books say of its 25 rows."""

    trouble: Trouble
    becomes: str
    ends_with: type[CdpError] | None = None
    times: int = 1


def unknown(trouble: Trouble) -> Case:
    return Case(trouble=trouble, becomes="unknown")


def delivered(trouble: Trouble) -> Case:
    return Case(trouble=trouble, becomes="delivered")


CASES = {
    "results match": delivered(Trouble()),
    "results in another order": delivered(told(lambda results: results[::-1])),
    "results fewer": unknown(told(lambda results: results[:-1])),
    "results more": unknown(told(lambda results: [*results, results[0]])),
    "results none": unknown(told(lambda results: [])),
    "results of nobody": unknown(told(lambda results: [{"ordinal": 999, "id": "x"} for _ in results])),
    "cut": unknown(on_the_way(Fault.CUT, is_processed=True)),
    "empty": unknown(answered(200, is_processed=True)),
    "a page of HTML": unknown(answered(200, is_processed=True, body="<html>welcome</html>")),
    "an empty list": unknown(answered(200, is_processed=True, body=[])),
    "a redirect": Case(trouble=answered(301, Location="http://127.0.0.1:9/"), becomes="pending", ends_with=ConfigError),
    "400": Case(trouble=answered(400), becomes="rejected", times=EVER),
    "404": Case(trouble=answered(404), becomes="rejected", times=EVER),
    "409": Case(trouble=answered(409), becomes="rejected", times=EVER),
    "410": Case(trouble=answered(410), becomes="rejected", times=EVER),
    "422": Case(trouble=answered(422), becomes="rejected", times=EVER),
    "401": Case(trouble=answered(401), becomes="pending", ends_with=AuthenticationFailed),
    "403": Case(trouble=answered(403), becomes="pending", ends_with=AuthenticationFailed),
    "408": unknown(answered(408)),
    "500": unknown(answered(500)),
    "502 after it was processed": unknown(answered(502, is_processed=True)),
    "503": unknown(answered(503)),
    "504 after it was processed": unknown(answered(504, is_processed=True)),
    "silence": unknown(on_the_way(Fault.SILENCE, is_processed=True)),
    "one byte at a time": unknown(on_the_way(Fault.DRIP, is_processed=True)),
    "reset before it was processed": unknown(on_the_way(Fault.RESET_AFTER_READING, is_processed=False)),
    "reset after it was processed": unknown(on_the_way(Fault.RESET_AFTER_READING, is_processed=True)),
    "closed without an answer": unknown(on_the_way(Fault.CLOSE_AFTER_READING, is_processed=True)),
    "413": delivered(answered(413)),
    "429": delivered(answered(429, Retry_After="2")),
    "429 for ever": Case(
        trouble=answered(429, Retry_After="400"), becomes="pending", ends_with=RateLimited, times=EVER
    ),
}
FAST = ("results match", "results fewer", "a page of HTML", "400", "401", "503", "reset after it was processed", "429")


def in_speed() -> list[object]:
    return [pytest.param(name, id=name, marks=[] if name in FAST else pytest.mark.slow) for name in CASES]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[EventStage]:
    with event_stage(tmp_path, "events") as stage:
        write_events(stage.root, EVENTS, is_clean=True)
        yield stage


def run(stage: EventStage) -> None:
    """Plan and send once, in this process. Waiting passes the time at once."""
    engine = replace(engine_of(stage.root), open_session=partial(open_session, deadline_seconds=DEADLINE_SECONDS))
    destination = engine.destination
    one_by_one = replace(destination.capabilities(stage.object_name), requests_at_once=1)
    engine.destination.capabilities = lambda object_name: one_by_one  # type: ignore[method-assign]
    spec = spec_of(stage.log.url, stage.object_name)

    def pass_the_time(_: float) -> None:
        with closing(sqlite3.connect(engine.home.rate_limits)) as paces, paces:
            paces.execute("delete from buckets")

    plan = make_plan(engine, spec, run_id=f"run-{uuid.uuid4().hex[:12]}")
    try:
        send_plan(engine, spec, plan, run_id=plan.run_id, timing=Timing(sleep=pass_the_time, jitter=lambda: 0.0))
    finally:
        pass_the_time(0)


def books(stage: EventStage) -> Books:
    """What the newest run's books say, without zeros."""
    names = ("delivered", "rejected", "unknown", "skipped", "pending")
    with duckdb.connect(str(stage.root / "warehouse.duckdb"), read_only=True) as warehouse:
        row = warehouse.execute(
            f"select {', '.join(names)} from cdp.sync_runs order by started_at desc limit 1"
        ).fetchone()
    assert row is not None
    return {name: count for name, count in zip(names, row, strict=True) if count}


@pytest.mark.parametrize("name", in_speed())
def test_an_answer_is_read_so_that_no_event_is_processed_twice(name: str, stage: EventStage) -> None:
    case = CASES[name]
    stage.log.trouble = lambda write, rows: case.trouble if 2 <= write < 2 + case.times else None
    if case.ends_with:
        with pytest.raises(case.ends_with):
            run(stage)
    else:
        run(stage)
    told = books(stage)
    if case.becomes == "pending":
        assert told == {"delivered": BATCH_ROWS, "pending": 2 * BATCH_ROWS}
    elif case.becomes == "rejected":
        assert told == {"delivered": BATCH_ROWS, "rejected": 2 * BATCH_ROWS}
    else:
        second = {"delivered": EVENTS} if case.becomes == "delivered" else {"delivered": 50, case.becomes: 25}
        assert told == second
    stage.log.trouble = lambda write, rows: None
    run(stage)
    run(stage)
    assert stage.faults() == []
    assert len(stage.unknown()) == (BATCH_ROWS if case.becomes == "unknown" else 0)
    assert stage.log.processed, "no work had happened"


@pytest.mark.parametrize("name", ["503", "silence", "results fewer", "a page of HTML", "reset after it was processed"])
def test_under_a_key_that_is_remembered_the_same_answers_are_tried_again_and_processed_once(
    name: str, tmp_path: Path
) -> None:
    with event_stage(tmp_path, "keyed_events") as stage:
        write_events(stage.root, EVENTS, is_clean=True)
        stage.log.trouble = lambda write, rows: CASES[name].trouble if write == 2 else None
        run(stage)
        assert books(stage) == {"delivered": EVENTS}
        assert (len(stage.log.processed), stage.log.write_count) == (EVENTS, 4)
        assert stage.faults() == []


def test_what_a_person_says_of_unknown_events_is_carried_out(stage: EventStage) -> None:
    stage.log.trouble = lambda write, rows: answered(503, is_processed=write == 1) if write < 3 else None
    run(stage)
    assert books(stage) == {"delivered": 25, "unknown": 50}
    engine, spec = engine_of(stage.root), spec_of(stage.log.url, stage.object_name)
    assert spec.name == SYNC
    for event in sorted(stage.unknown()):
        arrived = event in stage.log.processed
        resolve(engine, spec, is_delivered=arrived, resolved_by="olive", key=event)
    run(stage)
    assert books(stage) == {"delivered": 25}
    assert (stage.faults(), stage.unknown(), len(stage.log.processed)) == ([], set(), EVENTS)
