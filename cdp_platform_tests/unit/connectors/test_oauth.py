"""OAuth tokens: fetched when they are needed, renewed once by one worker, shared, and shown to nobody."""

import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.connectors.http import HttpSession, open_session
from cdp_platform.connectors.oauth import FRESH_SECONDS, AccessTokens
from cdp_platform.connectors.protocol import Request
from cdp_platform.connectors.rate_limit import Bucket
from cdp_platform.connectors.token_endpoint import TRIES, TokenEndpoint
from cdp_platform.connectors.token_file import TokenFile
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import Connection, Grant, OAuth
from cdp_platform.errors import AuthenticationFailed, CircuitOpen, ConfigError, ConnectionFailed, RateLimited
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform.testing.fault_server import Fault, FaultServer, Reply
from cdp_platform_tests.unit.connectors.clocks import FakeClock
from cdp_platform_tests.unit.connectors.vendor import CANARIES, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Vendor, serve

CALL = Request(method="POST", path="/api/contacts", body={})
GOOD = {"access_token": "canary-access-1", "token_type": "bearer", "expires_in": 1800}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("CRM_CLIENT_SECRET", CLIENT_SECRET)
    monkeypatch.setenv("CRM_REFRESH_TOKEN", REFRESH_TOKEN)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serve(Vendor()) as vendor:
        yield vendor


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_760_000_000.0)


def connection_to(url: str, grant: Grant = Grant.REFRESH_TOKEN, token_path: str = "/oauth/token") -> Connection:
    oauth = OAuth(
        token_url=url + token_path,
        grant=grant,
        client_id_env="CRM_CLIENT_ID",
        client_secret_env="CRM_CLIENT_SECRET",
        refresh_token_env="CRM_REFRESH_TOKEN" if grant is Grant.REFRESH_TOKEN else None,
    )
    return Connection(name="crm", vendor="hubspot", base_url=url, oauth=oauth)


@contextmanager
def session_to(url: str, folder: Path, **options: Any) -> Iterator[HttpSession]:
    session = open_session(connection_to(url, **options), FakeDestination(), Home(root=folder), "contacts")
    try:
        yield session
    finally:
        session.close()


def tokens_of(url: str, folder: Path, clock: Callable[[], float], connection: Connection | None = None) -> AccessTokens:
    """The tokens of a worker of its own, which does not wait between its tries."""
    connection = connection or connection_to(url)
    assert connection.oauth
    bucket = Bucket(folder / "limits.sqlite", "a", requests_per_second=1000.0, burst_requests=1000)
    endpoint = TokenEndpoint(connection.oauth.token_url, vendor="hubspot", deadline_seconds=0.5, sleep=lambda _: None)
    return AccessTokens(connection, connection.oauth, Home(root=folder), bucket=bucket, endpoint=endpoint, clock=clock)


def kept_in(folder: Path) -> dict[str, Any]:
    (file,) = (folder / "tokens").glob("*.json")
    kept: dict[str, Any] = json.loads(file.read_text())
    return kept


def test_a_token_is_fetched_for_the_first_request_and_used_for_all(vendor: Vendor, tmp_path: Path) -> None:
    with session_to(vendor.url, tmp_path) as session:
        for _ in range(3):
            session.send(CALL)
    assert vendor.statuses == [200, 200, 200]
    (form,) = vendor.forms
    assert form == {
        "grant_type": "refresh_token",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
    }


def test_client_credentials_send_no_refresh_token_and_their_scope(vendor: Vendor, tmp_path: Path) -> None:
    connection = connection_to(vendor.url, Grant.CLIENT_CREDENTIALS)
    assert connection.oauth
    connection = replace(connection, oauth=replace(connection.oauth, scope="crm.write crm.read"))
    assert tokens_of(vendor.url, tmp_path, FakeClock(), connection).read().reveal() == "canary-access-1"
    assert vendor.forms[0]["scope"] == "crm.write crm.read"
    assert "refresh_token" not in vendor.forms[0]


def test_the_next_process_uses_the_token_that_is_there(vendor: Vendor, tmp_path: Path) -> None:
    for _ in range(3):
        with session_to(vendor.url, tmp_path) as session:
            session.send(CALL)
    assert len(vendor.forms) == 1


def test_the_home_keeps_the_access_token_in_one_place_and_no_secret_of_the_environment(
    vendor: Vendor, tmp_path: Path
) -> None:
    with session_to(vendor.url, tmp_path) as session:
        session.send(CALL)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    holders = [file for file in files if vendor.access_token.encode() in file.read_bytes()]
    assert [file.parent.name for file in holders] == ["tokens"]
    secrets = [secret.encode() for secret in (CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN)]
    assert not any(secret in file.read_bytes() for secret in secrets for file in files)


def test_a_token_is_renewed_before_it_expires(vendor: Vendor, tmp_path: Path, clock: FakeClock) -> None:
    tokens = tokens_of(vendor.url, tmp_path, clock)
    tokens.read()
    clock.sleep(1800 - 61)
    assert tokens.read().reveal() == "canary-access-1"
    clock.sleep(2)
    assert tokens.read().reveal() == "canary-access-2"


@pytest.mark.parametrize("hours", [-24, -1, 24])
def test_a_clock_that_jumps_costs_one_refresh_and_nothing_more(
    vendor: Vendor, tmp_path: Path, clock: FakeClock, hours: int
) -> None:
    tokens = tokens_of(vendor.url, tmp_path, clock)
    tokens.read()
    clock.now += hours * 3600
    assert tokens.read() == tokens.read()
    assert len(vendor.forms) == 2


def test_an_endpoint_that_tells_no_lifetime_is_asked_after_a_401_only(vendor: Vendor, tmp_path: Path) -> None:
    vendor.lifetime_seconds, clock = None, FakeClock()
    tokens = tokens_of(vendor.url, tmp_path, clock)
    first = tokens.read()
    clock.sleep(86_400)
    assert tokens.read() == first
    assert tokens.renew(first) != first
    assert len(vendor.forms) == 2


def age_the_token(folder: Path, seconds: float = 600.0) -> None:
    """Make the kept token one that was fetched a while ago."""
    (file,) = (folder / "tokens").glob("*.json")
    kept = json.loads(file.read_text())
    kept["obtained_at"] -= seconds
    file.write_text(json.dumps(kept))


def test_sixteen_threads_with_a_401_make_one_refresh(vendor: Vendor, tmp_path: Path) -> None:
    with session_to(vendor.url, tmp_path) as session:
        session.send(CALL)
        age_the_token(tmp_path)
        vendor.revoke()
        vendor.delay_seconds = 0.2
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: session.send(CALL), range(16)))
    assert [answer.status for answer in answers] == [200] * 16
    assert vendor.statuses.count(401) == 16, "all must have held the token that was refused"
    assert len(vendor.forms) == 2


WORKER = """
import sys
from pathlib import Path
from cdp_platform import faultpoints
from cdp_platform.connectors.http import open_session
from cdp_platform.domain.home import Home
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform_tests.unit.connectors.test_oauth import CALL, connection_to
import os, signal
url, home, kill_at = sys.argv[1:4]
def hook(name):
    if name == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
faultpoints.hook = hook
session = open_session(connection_to(url), FakeDestination(), Home(root=Path(home)), "contacts")
print("ready", flush=True)
sys.stdin.readline()
print(session.send(CALL).status)
"""


def start_worker(vendor: Vendor, folder: Path, kill_at: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, vendor.url, str(folder), kill_at]
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    assert worker.stdout
    assert worker.stdout.readline() == "ready\n"
    return worker


def test_two_processes_with_a_401_make_one_refresh(vendor: Vendor, tmp_path: Path) -> None:
    with session_to(vendor.url, tmp_path) as session:
        session.send(CALL)
    age_the_token(tmp_path)
    vendor.revoke()
    vendor.delay_seconds = 0.3
    workers = [start_worker(vendor, tmp_path) for _ in range(2)]
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("go\n")
        worker.stdin.flush()
    errors = [worker.communicate(timeout=60)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], errors
    assert vendor.statuses.count(200) == 3
    assert len(vendor.forms) == 2


@pytest.mark.parametrize(
    ("place", "asked"),
    [("token.asking", 1), ("token.answered", 2), ("token.kept", 1)],
)
def test_a_process_killed_during_the_refresh_holds_up_nobody(
    vendor: Vendor, tmp_path: Path, place: str, asked: int
) -> None:
    killed = start_worker(vendor, tmp_path, place)
    killed.communicate("go\n", timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert len(vendor.forms) == (0 if place == "token.asking" else 1), "it must have come that far"
    with session_to(vendor.url, tmp_path) as session:
        assert session.send(CALL).status == 200
    assert len(vendor.forms) == asked


def test_a_rotated_refresh_token_is_kept_and_used_next(vendor: Vendor, tmp_path: Path, clock: FakeClock) -> None:
    vendor.does_rotate = True
    tokens_of(vendor.url, tmp_path, clock).read()
    clock.sleep(3600)
    tokens_of(vendor.url, tmp_path, clock).read()
    assert [form["refresh_token"] for form in vendor.forms] == [REFRESH_TOKEN, "canary-refresh-1"]
    assert kept_in(tmp_path)["refresh_token"] == "canary-refresh-2"


def test_a_refresh_token_that_stays_the_same_is_not_written_down(vendor: Vendor, tmp_path: Path) -> None:
    vendor.replies = [(200, GOOD | {"refresh_token": REFRESH_TOKEN})]
    tokens_of(vendor.url, tmp_path, FakeClock()).read()
    assert kept_in(tmp_path)["refresh_token"] is None


def test_a_secret_that_was_rotated_on_the_way_is_used_at_once(
    vendor: Vendor, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = tokens_of(vendor.url, tmp_path, clock)
    tokens.read()
    vendor.client_secret, vendor.refresh_token = "another-client-secret", "another-refresh-token"
    clock.sleep(3600)
    with pytest.raises(AuthenticationFailed):
        tokens.read()
    monkeypatch.setenv("CRM_CLIENT_SECRET", "another-client-secret")
    monkeypatch.setenv("CRM_REFRESH_TOKEN", "another-refresh-token")
    assert tokens.read().reveal() == vendor.access_token


def test_another_refresh_token_in_the_environment_ends_the_kept_token(
    vendor: Vendor, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens_of(vendor.url, tmp_path, clock).read()
    vendor.refresh_token = "refresh-token-of-another-account"
    monkeypatch.setenv("CRM_REFRESH_TOKEN", vendor.refresh_token)
    assert tokens_of(vendor.url, tmp_path, clock).read().reveal() == "canary-access-2"


def test_a_new_token_that_is_refused_too_stops(vendor: Vendor, tmp_path: Path) -> None:
    with session_to(vendor.url, tmp_path) as session:
        session.send(CALL)
        age_the_token(tmp_path)
        vendor.accepts_tokens = False
        for _ in range(3):
            with pytest.raises(AuthenticationFailed):
                session.send(CALL)
    assert len(vendor.forms) == 2, "a fresh token that is refused is not renewed"


def test_a_403_renews_nothing(tmp_path: Path) -> None:
    with (
        FaultServer([Reply(body=GOOD), Reply(status=403)]) as server,
        session_to(server.url, tmp_path) as session,
        pytest.raises(AuthenticationFailed, match="permission"),
    ):
        session.send(CALL)
    assert len(server.requests) == 2


def test_a_refresh_token_that_is_not_good_names_its_variable(vendor: Vendor, tmp_path: Path) -> None:
    vendor.refresh_token = "somebody-elses"
    with pytest.raises(AuthenticationFailed, match=r"invalid_grant.*CRM_REFRESH_TOKEN"):
        tokens_of(vendor.url, tmp_path, FakeClock()).read()
    assert len(vendor.forms) == 1


def test_a_client_that_is_not_known_names_its_variables(vendor: Vendor, tmp_path: Path) -> None:
    vendor.client_secret = "somebody-elses"
    with pytest.raises(AuthenticationFailed, match=r"invalid_client.*CRM_CLIENT_ID, CRM_CLIENT_SECRET"):
        tokens_of(vendor.url, tmp_path, FakeClock()).read()


def test_a_refusal_is_asked_for_once_by_all_who_share_it(vendor: Vendor, tmp_path: Path, clock: FakeClock) -> None:
    vendor.refresh_token = "somebody-elses"
    tokens = tokens_of(vendor.url, tmp_path, clock)
    with ThreadPoolExecutor(16) as pool:
        ends = [pool.submit(tokens.read).exception() for _ in range(16)]
    assert all(isinstance(end, AuthenticationFailed) for end in ends)
    with pytest.raises(AuthenticationFailed):
        tokens_of(vendor.url, tmp_path, clock).read()
    assert len(vendor.forms) == 1
    clock.sleep(FRESH_SECONDS)
    vendor.refresh_token = REFRESH_TOKEN
    assert tokens.read()


def test_a_refusal_with_a_200_is_a_refusal(vendor: Vendor, tmp_path: Path) -> None:
    vendor.replies = [(200, {"error": "invalid_code"})]
    with pytest.raises(AuthenticationFailed, match="invalid_code"):
        tokens_of(vendor.url, tmp_path, FakeClock()).read()


@pytest.mark.parametrize("status", [500, 502, 503, 408])
def test_an_endpoint_that_is_down_for_a_moment_is_asked_again(vendor: Vendor, tmp_path: Path, status: int) -> None:
    vendor.replies = [(status, b"")] * (TRIES - 1)
    assert tokens_of(vendor.url, tmp_path, FakeClock()).read().reveal() == vendor.access_token


def test_an_endpoint_that_stays_down_means_that_no_row_was_sent(vendor: Vendor, tmp_path: Path) -> None:
    vendor.replies = [(503, b"")] * 100
    with pytest.raises(ConnectionFailed, match="no row was sent") as caught:
        tokens_of(vendor.url, tmp_path, FakeClock()).read()
    assert type(caught.value) is ConnectionFailed
    assert len(vendor.forms) == TRIES


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.RESET_AFTER_READING, Fault.DRIP, Fault.CUT])
def test_an_endpoint_that_does_not_answer_is_given_up_after_some_tries(tmp_path: Path, fault: Fault) -> None:
    reply = Reply(body=GOOD | {"x": "y" * 500}, fault=fault)
    with FaultServer([reply]) as server, pytest.raises(ConnectionFailed) as caught:
        tokens_of(server.url, tmp_path, FakeClock()).read()
    assert type(caught.value) is ConnectionFailed
    assert len(server.requests) == TRIES


def test_threads_that_wait_while_the_endpoint_fails_share_its_failure(vendor: Vendor, tmp_path: Path) -> None:
    vendor.replies, vendor.delay_seconds = [(503, b"")] * 100, 0.2
    tokens = tokens_of(vendor.url, tmp_path, FakeClock())
    barrier = threading.Barrier(16)

    def read(_: int) -> BaseException | None:
        barrier.wait()
        try:
            tokens.read()
        except ConnectionFailed as error:
            return error
        return None

    with ThreadPoolExecutor(16) as pool:
        ends = list(pool.map(read, range(16)))
    assert all(isinstance(end, ConnectionFailed) for end in ends)
    assert len(vendor.forms) == TRIES


def test_an_endpoint_that_is_down_opens_the_circuit_of_the_credential(vendor: Vendor, tmp_path: Path) -> None:
    vendor.replies = [(503, b"")] * 100
    tokens = tokens_of(vendor.url, tmp_path, FakeClock())
    for _ in range(5):
        with pytest.raises(ConnectionFailed):
            tokens.read()
    with pytest.raises(CircuitOpen):
        tokens.read()
    assert len(vendor.forms) == 5 * TRIES


def test_an_endpoint_that_asks_to_wait_is_obeyed(tmp_path: Path) -> None:
    reply = Reply(status=429, headers={"Retry-After": "7"})
    with FaultServer([reply]) as server, pytest.raises(RateLimited) as caught:
        tokens_of(server.url, tmp_path, FakeClock()).read()
    assert caught.value.retry_after_seconds == 7
    assert len(server.requests) == 1


def test_a_redirect_of_the_token_url_is_a_config_error_and_no_secret_follows_it(tmp_path: Path) -> None:
    with (
        FaultServer([Reply(body=GOOD)]) as elsewhere,
        FaultServer([Reply(status=307, headers={"Location": elsewhere.url})]) as server,
        pytest.raises(ConfigError, match=r"destination\.oauth\.token_url"),
    ):
        tokens_of(server.url, tmp_path, FakeClock()).read()
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"<html>", [], {}, {"access_token": None}, {"access_token": ""}, {"access_token": 7},
        {"access_token": "a b"}, {"access_token": "a\r\nX: 1"}, {"access_token": "é"}, {"access_token": "x" * 20_000},
        GOOD | {"token_type": "mac"}, GOOD | {"token_type": 1}, GOOD | {"expires_in": -1}, GOOD | {"expires_in": 0},
        GOOD | {"expires_in": "soon"}, GOOD | {"expires_in": True}, GOOD | {"expires_in": 1e99},
        GOOD | {"refresh_token": ["a"]}, GOOD | {"refresh_token": "a b"},
    ],
    ids=lambda answer: str(answer)[-40:],
)  # fmt: skip
def test_nonsense_is_never_believed(vendor: Vendor, tmp_path: Path, answer: Any) -> None:
    vendor.replies = [(200, answer)] * 100
    with pytest.raises(ConnectionFailed) as caught:
        tokens_of(vendor.url, tmp_path, FakeClock()).read()
    assert type(caught.value) is ConnectionFailed
    assert not list((tmp_path / "tokens").glob("*.json"))


@pytest.mark.parametrize("life", [1800, "1800", 1800.5])
def test_a_lifetime_is_read_as_vendors_write_it(vendor: Vendor, tmp_path: Path, clock: FakeClock, life: Any) -> None:
    vendor.lifetime_seconds = life
    tokens_of(vendor.url, tmp_path, clock).read()
    assert kept_in(tmp_path)["expires_at"] == pytest.approx(clock.now + 1800, abs=1)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', '{"format": 1, "origin": 3}', "[" * 100_000])
def test_a_kept_file_that_makes_no_sense_is_replaced(vendor: Vendor, tmp_path: Path, content: str) -> None:
    tokens_of(vendor.url, tmp_path, FakeClock()).read()
    (file,) = (tmp_path / "tokens").glob("*.json")
    file.write_text(content)
    assert tokens_of(vendor.url, tmp_path, FakeClock()).read().reveal() == "canary-access-2"
    assert kept_in(tmp_path)["access_token"] == "canary-access-2"


def test_what_is_kept_can_be_read_by_its_owner_only(vendor: Vendor, tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        tokens_of(vendor.url, tmp_path, FakeClock()).read()
    finally:
        os.umask(mask)
    files = list((tmp_path / "tokens").iterdir())
    assert files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "tokens").stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_written_stops_before_anything_is_sent(vendor: Vendor, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("a file where the folder should be")
    with pytest.raises(ConnectionFailed, match="tokens/ under CDP_HOME"):
        tokens_of(vendor.url, tmp_path, FakeClock()).read()
    assert vendor.forms == []


def test_a_lock_that_is_held_too_long_says_so(tmp_path: Path) -> None:
    second = TokenFile(tmp_path, "a").locked(0.05)
    with TokenFile(tmp_path, "a").locked(1), pytest.raises(ConnectionFailed, match="Another process"), second:
        raise AssertionError("two hold one lock")
    with TokenFile(tmp_path, "a").locked(1):
        assert (tmp_path / "a.lock").exists()


def test_a_variable_that_is_not_set_is_named_before_anything_is_sent(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRM_CLIENT_SECRET")
    with pytest.raises(AuthenticationFailed, match="CRM_CLIENT_SECRET"):
        open_session(connection_to(vendor.url), FakeDestination(), Home(root=tmp_path), "contacts")
    assert vendor.forms == []


def test_no_secret_shows_in_an_error_a_log_or_a_value_of_ours(
    vendor: Vendor, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    word = "canary_refresh_token_that_could_be_a_reason"
    monkeypatch.setenv("CRM_REFRESH_TOKEN", word)
    vendor.refresh_token = word
    echo = {"error": word, "error_description": f"{REFRESH_TOKEN} {CLIENT_SECRET}"}
    told = []
    for number, (status, body) in enumerate(
        [
            (400, echo),
            (401, echo),
            (403, echo),
            (500, echo),
            (404, echo),
            (200, echo),
            (200, b"<html>" + str(echo).encode()),
        ]
    ):
        vendor.replies = [(status, body)] * TRIES
        with pytest.raises(ConnectionFailed) as caught:
            tokens_of(vendor.url, tmp_path / str(number), FakeClock()).read()
        told += [str(caught.value), repr(caught.value.args), repr(caught.value.__cause__)]
    vendor.replies = []
    tokens = tokens_of(vendor.url, tmp_path / "good", FakeClock())
    told += [repr(tokens.read()), repr(vars(tokens)), repr(tokens._token), repr(tokens._read_secrets()), caplog.text]
    assert caplog.records, "something must have been logged"
    assert [text for text in told if any(canary in text for canary in (*CANARIES, "canary_refresh"))] == []


def test_the_names_of_bucket_and_file_outlive_every_renewal(
    vendor: Vendor, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.does_rotate = True
    first = tokens_of(vendor.url, tmp_path, clock)
    first.read()
    monkeypatch.setenv("CRM_CLIENT_SECRET", "another-client-secret")
    vendor.client_secret = "another-client-secret"
    vendor.refresh_token = REFRESH_TOKEN
    tokens_of(vendor.url, tmp_path, clock).read()
    assert len(list((tmp_path / "tokens").glob("*.json"))) == 1
    assert CLIENT_ID not in "".join(file.name for file in (tmp_path / "tokens").iterdir())
