"""Whole runs against a destination and a network that misbehave: nothing false, nothing lost, the next completes."""

import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import duckdb
import pytest

from cdp_platform.connectors.circuit import FAILURES_IN_A_ROW
from cdp_platform.connectors.credentials import Secret
from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.rate_limit import Bucket, name_bucket
from cdp_platform.errors import (
    AuthenticationFailed,
    CdpError,
    CircuitOpen,
    ConfigError,
    ContractBroken,
    RateLimited,
    TemporarilyDown,
)
from cdp_platform.syncs.exchange import Timing
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.send import send_plan
from cdp_platform.testing.fault_server import Fault, Reply
from cdp_platform_tests.faults.gateway import Trouble
from cdp_platform_tests.faults.scenario import BATCH_ROWS, TOKEN, TOKEN_ENV, engine_of, spec_of
from cdp_platform_tests.faults.stage import Stage

DEADLINE_SECONDS = 0.7
EVER = 10_000


@dataclass(frozen=True, kw_only=True)
class Case:
    """Trouble with `times` writes in a row, and how the run ends; None: it completes in spite of it."""

    trouble: Trouble
    times: int = 1
    ends_with: type[CdpError] | tuple[type[CdpError], ...] | None = None
    is_sent_again: bool = False
    """Whether rows may be sent twice, because nobody could know that they were processed."""


def answered(status: int, *, is_processed: bool = False, body: Any = b"", **headers: str) -> Trouble:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Trouble(reply=Reply(status=status, headers=named, body=body), is_processed=is_processed)


def on_the_way(fault: Fault, *, is_processed: bool) -> Trouble:
    return Trouble(reply=Reply(body={"status": "COMPLETE", "results": []}, fault=fault), is_processed=is_processed)


def told(change: Callable[[list[Any]], list[Any]]) -> Trouble:
    return Trouble(change=lambda body: body | {"results": change(body["results"])})


def a_day(offset_seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=offset_seconds), usegmt=True)


WAITS = {
    "429 in seconds": answered(429, Retry_After="2"),
    "429 as a date": answered(429, Retry_After=a_day(60)),
    "429 as a date that has passed": answered(429, Retry_After=a_day(-600)),
    "429 negative": answered(429, Retry_After="-5"),
    "429 with nonsense": answered(429, Retry_After="soon"),
    "429 in ten days": answered(429, Retry_After="864000"),
    "429 without a time": answered(429),
    "408": answered(408),
    "500": answered(500),
    "reset before it was processed": on_the_way(Fault.RESET_AFTER_READING, is_processed=False),
    "closed without an answer": on_the_way(Fault.CLOSE_AFTER_READING, is_processed=False),
    "results in another order": told(lambda results: results[::-1]),
}
DOUBTS = {
    "500 after it was processed": answered(500, is_processed=True),
    "reset after it was processed": on_the_way(Fault.RESET_AFTER_READING, is_processed=True),
    "silence": on_the_way(Fault.SILENCE, is_processed=True),
    "one byte at a time": on_the_way(Fault.DRIP, is_processed=True),
    "cut": Trouble(reply=Reply(body={"results": ["x" * 100]}, fault=Fault.CUT), is_processed=True),
    "empty": answered(200, is_processed=True),
    "a page of HTML": answered(200, is_processed=True, body="<html>welcome</html>"),
    "an empty list": answered(200, is_processed=True, body=[]),
    "results fewer": told(lambda results: results[:-1]),
    "results more": told(lambda results: [*results, results[0]]),
    "results none": told(lambda results: []),
    "results of nobody": told(lambda results: [{"id": "1", "properties": {}} for _ in results]),
}
ENDS = {
    "401": Case(trouble=answered(401), ends_with=AuthenticationFailed),
    "401 for ever": Case(trouble=answered(401), times=EVER, ends_with=AuthenticationFailed),
    "403": Case(trouble=answered(403), ends_with=AuthenticationFailed),
    "429 for ever": Case(trouble=answered(429, Retry_After="400"), times=EVER, ends_with=RateLimited),
    "503 for ever": Case(trouble=answered(503), times=EVER, ends_with=(TemporarilyDown, CircuitOpen)),
    "HTML for ever": Case(
        trouble=answered(200, is_processed=True, body="<html>"),
        times=EVER,
        ends_with=(ContractBroken, CircuitOpen),
        is_sent_again=True,
    ),
    "a redirect": Case(trouble=answered(301, Location="http://127.0.0.1:9/"), ends_with=ConfigError),
    "a burst of 503": Case(trouble=answered(503), times=3),
}
CASES = {name: Case(trouble=trouble) for name, trouble in WAITS.items()}
CASES |= {name: Case(trouble=trouble, is_sent_again=True) for name, trouble in DOUBTS.items()}
CASES |= ENDS
FAST = ("429 in seconds", "reset after it was processed", "results fewer", "a page of HTML", "401", "503 for ever")


def in_speed() -> list[object]:
    return [pytest.param(name, id=name, marks=[] if name in FAST else pytest.mark.slow) for name in CASES]


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_ENV, TOKEN)


def run(stage: Stage) -> int:
    """Plan and send once, in this process; the rows that there were to send. Waiting passes the time at once."""
    engine = replace(engine_of(stage.root), open_session=partial(open_session, deadline_seconds=DEADLINE_SECONDS))

    def pass_the_time(_: float) -> None:
        with closing(sqlite3.connect(engine.home.rate_limits)) as paces, paces:
            paces.execute("delete from buckets")

    plan = make_plan(engine, spec_of(stage.gateway.url), run_id=f"run-{uuid.uuid4().hex[:12]}")
    timing = Timing(sleep=pass_the_time, jitter=lambda: 0.0)
    if plan.to_send:
        send_plan(engine, spec_of(stage.gateway.url), plan, run_id=plan.run_id, timing=timing)
    pass_the_time(0)
    return plan.to_send


def require_balance_and_no_false_delivered(stage: Stage) -> None:
    with duckdb.connect(str(stage.root / "warehouse.duckdb"), read_only=True) as warehouse:
        runs = warehouse.execute(
            "select planned, delivered + rejected + unknown + skipped + pending from cdp.sync_runs"
        ).fetchall()
        delivered = {
            key for (key,) in warehouse.execute("select primary_key from cdp.sync_log where version > 1").fetchall()
        }
    assert all(planned == ended for planned, ended in runs)
    assert delivered <= {row for write in stage.gateway.writes for row in write.accepted}


def sent_again(stage: Stage) -> int:
    return stage.gateway.accepted_count - len({row for write in stage.gateway.writes for row in write.accepted})


@pytest.mark.parametrize("name", in_speed())
def test_trouble_with_a_write_makes_nothing_false_and_loses_nothing(name: str, stage: Stage) -> None:
    case = CASES[name]
    stage.gateway.trouble = lambda write, rows: case.trouble if write <= case.times else None
    if case.ends_with:
        with pytest.raises(case.ends_with):
            run(stage)
        require_balance_and_no_false_delivered(stage)
        stage.gateway.trouble = lambda write, rows: None
        stage.pass_the_time()
    assert run(stage) > 0
    assert stage.gateway.honest_count > 1
    require_balance_and_no_false_delivered(stage)
    assert run(stage) == 0
    assert stage.faults() == []
    assert (sent_again(stage) > 0) == case.is_sent_again


def test_a_request_that_is_too_large_is_halved(stage: Stage) -> None:
    stage.gateway.trouble = lambda write, rows: answered(413) if rows > 13 else None
    assert run(stage) > 0
    assert run(stage) == 0
    assert stage.faults() == []
    assert max(write.rows for write in stage.gateway.writes if write.accepted) <= 13
    assert max(write.rows for write in stage.gateway.writes) == BATCH_ROWS


def test_an_account_that_cannot_be_asked_ends_the_plan_before_anything_is_sent(stage: Stage) -> None:
    stage.gateway.trouble_with_reads = lambda read: answered(503)
    with pytest.raises(TemporarilyDown):
        run(stage)
    assert stage.gateway.write_count == 0
    stage.gateway.trouble_with_reads = lambda read: None
    assert run(stage) > 0
    assert run(stage) == 0
    assert stage.faults() == []


def last_run(stage: Stage) -> tuple[object, ...]:
    with duckdb.connect(str(stage.root / "warehouse.duckdb"), read_only=True) as warehouse:
        row = warehouse.execute(
            "select status, planned, delivered, rejected, pending from cdp.sync_runs order by ended_at desc limit 1"
        ).fetchone()
    assert row
    return row


def test_a_destination_that_stays_down_is_left_alone_until_its_time_is_over(stage: Stage) -> None:
    stage.gateway.trouble = lambda write, rows: answered(503) if write > 1 else None
    with pytest.raises((TemporarilyDown, CircuitOpen)):
        run(stage)
    status, planned, delivered, rejected, pending = last_run(stage)
    assert (status, rejected) == ("deferred", 0)
    assert planned > pending > 0 and delivered > 0, "some work had happened"
    before = (stage.gateway.write_count, stage.gateway.read_count)
    stage.gateway.trouble = lambda write, rows: None
    with pytest.raises(CircuitOpen, match=r"until \d{4}-.* UTC; nothing was sent.*Run again after that time"):
        run(stage)
    assert (stage.gateway.write_count, stage.gateway.read_count) == before, "it must not be asked while it is open"
    stage.pass_the_time()
    assert run(stage) > 0
    assert run(stage) == 0
    assert stage.faults() == []


def test_a_plan_that_is_sent_while_the_circuit_is_open_is_deferred_without_a_request(stage: Stage) -> None:
    engine, spec = engine_of(stage.root), spec_of(stage.gateway.url)
    plan = make_plan(engine, spec, run_id="run-1")
    asked = stage.gateway.read_count
    bucket = Bucket(
        engine.home.rate_limits,
        name_bucket(stage.gateway.url.removeprefix("http://"), Secret(TOKEN)),
        requests_per_second=1000.0,
        burst_requests=1000,
    )
    for _ in range(FAILURES_IN_A_ROW):
        bucket.report(bucket.acquire(1).admission, TemporarilyDown("503"))
    with pytest.raises(CircuitOpen):
        send_plan(engine, spec, plan, run_id="run-1")
    status, planned, delivered, rejected, pending = last_run(stage)
    assert (status, planned - pending, delivered, rejected) == ("deferred", sum(plan.skipped.values()), 0, 0)
    assert pending == plan.to_send > 0
    assert (stage.gateway.write_count, stage.gateway.read_count) == (0, asked)
