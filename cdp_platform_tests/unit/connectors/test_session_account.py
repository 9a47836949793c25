"""What a session keeps account of: its traffic, its circuit, and whom its credential belongs to."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.connectors.circuit import FAILURES_IN_A_ROW
from cdp_platform.connectors.credentials import Secret, credential_of
from cdp_platform.connectors.http import HttpSession
from cdp_platform.connectors.protocol import Request
from cdp_platform.connectors.rate_limit import Bucket
from cdp_platform.domain.syncs import Connection, Grant, OAuth
from cdp_platform.errors import AuthenticationFailed, CdpError, CircuitOpen, ConnectionFailed, TemporarilyDown
from cdp_platform.testing.fault_server import Fault, FaultServer, Reply

CALL = Request(method="POST", path="/a", body={"name": "x" * 100})
GOOD = Reply(body={"results": []})


@contextmanager
def session_to(url: str, folder: Path, **options: Any) -> Iterator[HttpSession]:
    bucket = Bucket(
        folder / "limits.sqlite",
        "a",
        requests_per_second=100.0,
        burst_requests=options.pop("burst", 1000),
        destination="hubspot",
        jitter=lambda: 1.0,
    )
    session = HttpSession(url, vendor="hubspot", bucket=bucket, deadline_seconds=2.0, **options)
    try:
        yield session
    finally:
        session.close()


def send(session: HttpSession) -> CdpError | None:
    try:
        session.send(CALL)
    except CdpError as error:
        return error
    return None


def test_every_request_is_counted_with_its_bytes_by_all_threads(tmp_path: Path) -> None:
    with FaultServer([GOOD]) as server, session_to(server.url, tmp_path) as session:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: send(session), range(40))) == [None] * 40
        traffic = session.traffic
    assert (traffic.request_count, traffic.accepted_count) == (40, 40)
    assert traffic.sent_bytes == sum(len(request.content) for request in server.requests)
    assert traffic.received_bytes == 40 * len(GOOD.content)
    assert traffic.percentile(0.5)


def test_answers_and_their_absence_are_told_apart(tmp_path: Path) -> None:
    script = [
        GOOD,
        Reply(status=400),
        Reply(status=503),
        Reply(fault=Fault.CLOSE_AFTER_READING),
        Reply(status=429, headers={"Retry-After": "0"}),
    ]
    with FaultServer(script) as server, session_to(server.url, tmp_path) as session:
        for _ in script:
            send(session)
        traffic = session.traffic
    assert (traffic.accepted_count, traffic.refused_count, traffic.limited_count) == (1, 1, 1)
    assert (traffic.failed_count, traffic.unanswered_count) == (1, 1)
    assert traffic.share_429 == 0.2


def test_the_time_that_was_waited_for_the_pace_is_told(tmp_path: Path) -> None:
    with FaultServer([GOOD]) as server, session_to(server.url, tmp_path, burst=1) as session:
        for _ in range(3):
            session.send(CALL)
        assert session.traffic.paced_seconds > 0


@pytest.mark.parametrize(
    "reply",
    [Reply(status=503), Reply(body="<html>"), Reply(fault=Fault.CLOSE_AFTER_READING)],
    ids=["503", "HTML", "closed"],
)
def test_a_destination_that_fails_is_not_asked_again(tmp_path: Path, reply: Reply) -> None:
    with FaultServer([reply]) as server:
        for _ in range(FAILURES_IN_A_ROW):
            with session_to(server.url, tmp_path) as session:
                assert not isinstance(send(session), CircuitOpen)
        with session_to(server.url, tmp_path) as session:
            assert isinstance(send(session), CircuitOpen)
            assert session.traffic.request_count == 0
    assert len(server.requests) == FAILURES_IN_A_ROW


def test_a_host_that_cannot_be_reached_is_not_tried_again(tmp_path: Path) -> None:
    with session_to("http://127.0.0.1:9", tmp_path) as session:
        ends = [type(send(session)) for _ in range(FAILURES_IN_A_ROW + 1)]
    assert ends == [ConnectionFailed] * FAILURES_IN_A_ROW + [CircuitOpen]


def test_refusals_do_not_open_the_circuit(tmp_path: Path) -> None:
    with FaultServer([Reply(status=400)]) as server, session_to(server.url, tmp_path) as session:
        assert not any(isinstance(send(session), CircuitOpen) for _ in range(3 * FAILURES_IN_A_ROW))


def test_an_acknowledged_request_stays_so_when_the_file_of_the_pace_breaks_meanwhile(tmp_path: Path) -> None:
    headers = {"X-HubSpot-RateLimit-Remaining": "0", "X-HubSpot-RateLimit-Interval-Milliseconds": "10000"}
    reply = Reply(body={"results": []}, headers=headers)
    with FaultServer([reply]) as server, session_to(server.url, tmp_path) as session:
        exchange = session._transport.exchange

        def break_the_file(*arguments: Any) -> Any:
            answer = exchange(*arguments)
            session._bucket.close()
            for file in tmp_path.glob("limits.sqlite*"):
                file.write_text("not a database, and long enough to be sure of it" * 30)
            return answer

        session._transport.exchange = break_the_file  # type: ignore[method-assign]
        assert session.send(CALL).status == 200
        assert isinstance(send(session), ConnectionFailed)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("first_seconds", "asked"), [(60.0, 0), (0.0, 1)], ids=["before it", "after a 401"])
def test_a_renewal_that_takes_longer_than_a_send_may_is_not_followed_by_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_seconds: float, asked: int
) -> None:
    now = [1000.0]
    monkeypatch.setattr("cdp_platform.connectors.http.time.monotonic", lambda: now[0])

    def token_after(seconds: float, value: str) -> Secret:
        now[0] += seconds
        return Secret(value)

    with (
        FaultServer([Reply(status=401), GOOD]) as server,
        session_to(
            server.url,
            tmp_path,
            read_token=lambda: token_after(first_seconds, "old"),
            renew_token=lambda refused: token_after(60.0, "new"),
        ) as session,
        pytest.raises(ConnectionFailed, match="took too long; nothing was sent"),
    ):
        session.send(CALL)
    assert len(server.requests) == asked


def test_a_static_token_names_itself_and_oauth_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TOKEN", "t"), ("CLIENT", "c"), ("SECRET", "s"), ("REFRESH", "r")):
        monkeypatch.setenv(name, value)
    static = Connection(name="crm", vendor="hubspot", token_env="TOKEN")
    oauth = OAuth(
        token_url="https://example.com/token",
        grant=Grant.REFRESH_TOKEN,
        client_id_env="CLIENT",
        client_secret_env="SECRET",
        refresh_token_env="REFRESH",
    )
    by_oauth = Connection(name="crm", vendor="hubspot", oauth=oauth)
    before = credential_of(by_oauth)
    assert credential_of(replace(static, token_env=None)) is None
    assert credential_of(static) != before
    monkeypatch.setenv("SECRET", "s-2")
    monkeypatch.setenv("REFRESH", "r-2")
    assert credential_of(by_oauth) == before, "renewed secrets are the same credential"
    monkeypatch.setenv("CLIENT", "c-2")
    assert credential_of(by_oauth) != before
    monkeypatch.delenv("CLIENT")
    with pytest.raises(AuthenticationFailed, match="CLIENT"):
        credential_of(by_oauth)


def test_a_session_works_again_once_the_destination_does(tmp_path: Path) -> None:
    script = [Reply(status=503)] * (FAILURES_IN_A_ROW - 1) + [GOOD]
    with FaultServer(script) as server, session_to(server.url, tmp_path) as session:
        ends = [send(session) for _ in range(20)]
    assert sum(isinstance(end, TemporarilyDown) for end in ends) == FAILURES_IN_A_ROW - 1
    assert ends[-1] is None
