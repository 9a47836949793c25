"""The session against a server that misbehaves on order: each trouble becomes its error, and nothing else."""

import gzip
import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from cdp_platform.connectors.credentials import Secret
from cdp_platform.connectors.http import HttpSession, open_session
from cdp_platform.connectors.protocol import Request
from cdp_platform.connectors.rate_limit import Bucket
from cdp_platform.connectors.transport import check_base_url
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import Connection
from cdp_platform.errors import (
    AuthenticationFailed,
    CdpError,
    ConfigError,
    ConnectionFailed,
    ContractBroken,
    RateLimited,
    Refused,
    TemporarilyDown,
)
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform.testing.fault_server import Fault, FaultServer, Reply

TOKEN = "canary-token-5f3a9c"
UPSERT = Request(method="POST", path="/crm/v3/objects/contacts/batch/upsert", body={"inputs": [{"id": "p-1"}]})
GOOD = {"status": "COMPLETE", "results": [{"id": "1"}]}

OpenSession = Callable[..., HttpSession]


@pytest.fixture
def open_to(tmp_path: Path) -> Iterator[OpenSession]:
    sessions: list[HttpSession] = []

    def open_to(url: str, **options: Any) -> HttpSession:
        bucket = Bucket(tmp_path / "limits.sqlite", "a", requests_per_second=100.0, burst_requests=1000)
        usual: dict[str, Any] = {"read_token": lambda: Secret(TOKEN), "deadline_seconds": 5.0, "pace_seconds": 0.5}
        sessions.append(HttpSession(url, vendor="hubspot", bucket=bucket, **usual | options))
        return sessions[-1]

    yield open_to
    for session in sessions:
        session.close()


def send_and_fail(open_to: OpenSession, reply: Reply, **options: Any) -> CdpError:
    """Send once to a server with this reply; return the error, which must tell neither token nor body."""
    with FaultServer([reply]) as server, pytest.raises(CdpError) as caught:
        open_to(server.url, **options).send(UPSERT)
    told = f"{caught.value} {caught.value.args} {caught.value.__cause__}"
    assert TOKEN not in told
    assert "ada@example.com" not in told
    return caught.value


def test_a_request_arrives_with_its_token_and_its_answer_comes_back_parsed(open_to: OpenSession) -> None:
    with FaultServer([Reply(status=207, body=GOOD, headers={"X-HubSpot-Correlation-Id": "5c2f"})]) as server:
        answer = open_to(f"{server.url}/proxy/").send(
            Request(method="POST", path="/a/b", body={"name": "Ærø 😀"}, query={"after": "1 &2"})
        )
    (request,) = server.requests
    assert (answer.status, answer.body, answer.request_id) == (207, GOOD, "5c2f")
    assert (request.method, request.path) == ("POST", "/proxy/a/b?after=1+%262")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["content-type"] == "application/json"
    assert request.json == {"name": "Ærø 😀"}


def test_a_form_goes_out_as_one_with_the_vendors_headers_and_word_for_the_token(open_to: OpenSession) -> None:
    with FaultServer([Reply(body={})]) as server:
        open_to(server.url, auth_scheme="Zoho-oauthtoken").send(
            Request(
                method="POST",
                path="/users",
                body={"payload": '{"data": ["a=b&c"]}'},
                media_type="application/x-www-form-urlencoded",
                headers={"X-Extra": "yes"},
            )
        )
    (request,) = server.requests
    assert request.headers["authorization"] == f"Zoho-oauthtoken {TOKEN}"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["x-extra"] == "yes"
    assert parse_qs(request.content.decode()) == {"payload": ['{"data": ["a=b&c"]}']}


def test_csv_goes_out_and_comes_back_as_it_is(open_to: OpenSession) -> None:
    with FaultServer([Reply(body=b"sf__Id,Name\n001,\xc3\x86r\xc3\xb8\n")]) as server:
        answer = open_to(server.url).send(
            Request(method="PUT", path="/batches", body=b"Id\n1\n", media_type="text/csv", reads="text")
        )
    (request,) = server.requests
    assert (request.headers["content-type"], request.content) == ("text/csv", b"Id\n1\n")
    assert answer.body == "sf__Id,Name\n001,Ærø\n"


def test_what_a_destination_reads_from_an_error_comes_before_the_default(open_to: OpenSession) -> None:
    def read_error(status: int, headers: Mapping[str, str], body: Any) -> CdpError | None:
        return RateLimited("the hour is used up") if body["error"]["code"] == 17 else None

    limited = Reply(status=400, body={"error": {"code": 17}})
    other = Reply(status=400, body={"error": {"code": 100}})
    assert isinstance(send_and_fail(open_to, other, read_error=read_error), Refused)
    assert isinstance(send_and_fail(open_to, limited, read_error=read_error), RateLimited)


def test_a_204_has_no_body(open_to: OpenSession) -> None:
    with FaultServer([Reply(status=204)]) as server:
        assert open_to(server.url).send(UPSERT).body is None


def test_a_compressed_answer_is_unfolded(open_to: OpenSession) -> None:
    content = gzip.compress(json.dumps(GOOD).encode())
    with FaultServer([Reply(body=content, headers={"Content-Encoding": "gzip"})]) as server:
        assert open_to(server.url).send(UPSERT).body == GOOD


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b'{"results": [', {}),
        ("<html>ada@example.com</html>", {"Content-Type": "text/html"}),
        ('{"value": NaN}', {}),
        (b"\xff\xfe\x00", {}),
        ("[" * 100_000, {}),
        (b"plain", {"Content-Encoding": "gzip"}),
        (gzip.compress(b'{"results": []}')[:-6], {"Content-Encoding": "gzip"}),
        (b"{}", {"Content-Encoding": "br"}),
    ],
    ids=["empty", "half", "html", "nan", "no text", "deep", "no gzip", "half gzip", "unasked encoding"],
)
def test_a_2xx_that_cannot_be_read_is_a_broken_contract(
    open_to: OpenSession, body: bytes | str, headers: dict[str, str]
) -> None:
    assert type(send_and_fail(open_to, Reply(body=body, headers=headers))) is ContractBroken


def test_a_cut_2xx_is_a_broken_contract(open_to: OpenSession) -> None:
    assert type(send_and_fail(open_to, Reply(body=GOOD, fault=Fault.CUT))) is ContractBroken


def test_a_cut_chunked_2xx_is_a_broken_contract(open_to: OpenSession) -> None:
    headers = {"Transfer-Encoding": "chunked"}
    with FaultServer([Reply(body=b'20\r\n{"results": [', headers=headers)]) as server, pytest.raises(ContractBroken):
        open_to(server.url).send(UPSERT)


def test_a_body_larger_than_the_limit_is_not_read_to_its_end(open_to: OpenSession) -> None:
    error = send_and_fail(open_to, Reply(body=b"x" * 300_000), body_limit_bytes=100_000)
    assert type(error) is ContractBroken


def test_a_gzip_bomb_is_not_unfolded(open_to: OpenSession) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    error = send_and_fail(open_to, Reply(body=bomb, headers={"Content-Encoding": "gzip"}), body_limit_bytes=1_000_000)
    assert type(error) is ContractBroken


@pytest.mark.parametrize("fault", [Fault.RESET_BEFORE_READING, Fault.RESET_AFTER_READING, Fault.CLOSE_AFTER_READING])
def test_a_connection_that_ends_leaves_the_outcome_unknown(open_to: OpenSession, fault: Fault) -> None:
    assert type(send_and_fail(open_to, Reply(body=GOOD, fault=fault))) is TemporarilyDown


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.DRIP, Fault.DRIP_BODY])
def test_the_deadline_is_for_the_whole_answer(open_to: OpenSession, fault: Fault) -> None:
    began = time.monotonic()
    error = send_and_fail(open_to, Reply(body=GOOD | {"more": "x" * 500}, fault=fault), deadline_seconds=0.3)
    assert type(error) is TemporarilyDown
    assert "0.3 seconds" in str(error)
    assert time.monotonic() - began < 10, "a whole drip takes 25 seconds and more"


def test_the_session_works_on_after_a_deadline(open_to: OpenSession) -> None:
    with FaultServer([Reply(body=GOOD, fault=Fault.DRIP), Reply(body=GOOD)]) as server:
        session = open_to(server.url, deadline_seconds=0.3)
        with pytest.raises(TemporarilyDown):
            session.send(UPSERT)
        assert session.send(UPSERT).body == GOOD


def test_a_refused_connection_means_that_nothing_was_sent(open_to: OpenSession) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionFailed, match="nothing was sent") as caught:
        open_to(f"http://127.0.0.1:{port}").send(UPSERT)
    assert type(caught.value) is ConnectionFailed


def test_an_unknown_host_means_that_nothing_was_sent(open_to: OpenSession) -> None:
    with pytest.raises(ConnectionFailed, match="nothing was sent"):
        open_to("https://no-such-host.invalid").send(UPSERT)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_stops_and_is_not_followed(open_to: OpenSession, status: int) -> None:
    with FaultServer([Reply(body=GOOD)]) as elsewhere:
        error = send_and_fail(open_to, Reply(status=status, headers={"Location": elsewhere.url}))
    assert type(error) is ConfigError
    assert elsewhere.requests == []


def test_a_refusal_tells_the_vendors_word_and_not_the_values(open_to: OpenSession) -> None:
    body = {"category": "VALIDATION_ERROR", "message": "ada@example.com is not valid"}
    error = send_and_fail(open_to, Reply(status=400, body=body))
    assert isinstance(error, Refused)
    assert (error.status, error.code) == (400, "VALIDATION_ERROR")


def test_a_429_is_obeyed_by_the_next_request_too(open_to: OpenSession) -> None:
    with FaultServer([Reply(status=429, headers={"Retry-After": "100"}), Reply(body=GOOD)]) as server:
        session = open_to(server.url)
        with pytest.raises(RateLimited) as told:
            session.send(UPSERT)
        with pytest.raises(RateLimited) as waiting:
            session.send(UPSERT)
    assert told.value.retry_after_seconds == 100
    assert waiting.value.retry_after_seconds == pytest.approx(100, abs=5)
    assert len(server.requests) == 1, "the second request must wait here, not at the vendor"


def test_a_503_with_retry_after_makes_everybody_wait(open_to: OpenSession) -> None:
    with FaultServer([Reply(status=503, headers={"Retry-After": "100"})]) as server:
        session = open_to(server.url)
        for kind in (TemporarilyDown, RateLimited):
            with pytest.raises(kind):
                session.send(UPSERT)
    assert len(server.requests) == 1


def test_no_more_requests_are_under_way_than_may_be_at_once(open_to: OpenSession) -> None:
    with FaultServer([Reply(body=GOOD, delay_seconds=0.2)]) as server, ThreadPoolExecutor(5) as pool:
        session = open_to(server.url, at_once=2, pace_seconds=5.0)
        answers = [pool.submit(session.send, UPSERT) for _ in range(5)]
        wait(answers, return_when=FIRST_COMPLETED)
        assert len(server.requests) <= 4
        assert [answer.result().status for answer in answers] == [200] * 5
    assert len(server.requests) == 5


def test_where_none_of_them_ends_the_next_one_is_put_off_with_nothing_sent(open_to: OpenSession) -> None:
    with FaultServer([Reply(body=GOOD, delay_seconds=1.0)]) as server, ThreadPoolExecutor(1) as pool:
        session = open_to(server.url, at_once=1, pace_seconds=0.2)
        slow = pool.submit(session.send, UPSERT)
        while not server.requests:
            time.sleep(0.01)
        with pytest.raises(RateLimited, match=r"No request to hubspot has ended in 0\.2 seconds"):
            session.send(UPSERT)
        assert slow.result().status == 200
        assert session.send(UPSERT).status == 200
    assert len(server.requests) == 2


def test_a_limit_smaller_than_ours_is_learned_from_the_headers(open_to: OpenSession) -> None:
    headers = {"X-HubSpot-RateLimit-Remaining": "0", "X-HubSpot-RateLimit-Interval-Milliseconds": "10000"}
    with FaultServer([Reply(body=GOOD, headers=headers)]) as server:
        session = open_to(server.url)
        session.send(UPSERT)
        with pytest.raises(RateLimited):
            session.send(UPSERT)
    assert len(server.requests) == 1


def test_a_401_stops_at_once_where_the_token_is_the_same(open_to: OpenSession) -> None:
    with FaultServer([Reply(status=401)]) as server, pytest.raises(AuthenticationFailed):
        open_to(server.url).send(UPSERT)
    assert len(server.requests) == 1


def test_a_token_renewed_on_the_way_is_tried_once(open_to: OpenSession) -> None:
    tokens = iter([Secret("old"), Secret("new")])
    with FaultServer([Reply(status=401), Reply(body=GOOD)]) as server:
        assert open_to(server.url, read_token=lambda: next(tokens)).send(UPSERT).body == GOOD
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer old", "Bearer new"]


def test_a_value_that_json_cannot_say_is_refused_before_sending(open_to: OpenSession) -> None:
    with FaultServer([Reply(body=GOOD)]) as server, pytest.raises(Refused):
        open_to(server.url).send(Request(method="POST", path="/a", body={"value": float("nan")}))
    assert server.requests == []


@pytest.mark.parametrize(
    "path",
    ["", "a", "//evil.example.com/a", "/a/../b", "/a/./b", "/a?b=c", "/a#b", "/a\r\nX: 1", "@evil.example.com", "/a b"],
)
def test_a_path_that_could_lead_elsewhere_is_refused(open_to: OpenSession, path: str) -> None:
    with FaultServer([Reply(body=GOOD)]) as server, pytest.raises(ConfigError):
        open_to(server.url).send(Request(method="GET", path=path))
    assert server.requests == []


def test_the_environments_proxy_is_not_used(open_to: OpenSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with FaultServer([Reply(body=GOOD)]) as server:
        assert open_to(server.url).send(UPSERT).body == GOOD


def test_cookies_do_not_make_one_request_depend_on_another(open_to: OpenSession) -> None:
    with FaultServer([Reply(body=GOOD, headers={"Set-Cookie": "a=b"})]) as server:
        session = open_to(server.url)
        session.send(UPSERT)
        session.send(UPSERT)
    assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize(
    "url",
    [
        "https://api.hubapi.com",
        "https://api.hubapi.com/",
        "https://10.1.2.3:8443/x",
        "http://127.0.0.1:8790",
        "http://localhost:8790",
        "http://[::1]:8790",
    ],
)
def test_https_anywhere_and_http_to_this_machine_are_allowed(url: str) -> None:
    assert check_base_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.hubapi.com", "http://169.254.169.254/latest", "http://127.1", "http://2130706433", "http://0x7f000001",
        "http://0177.0.0.1", "http://[::ffff:127.0.0.1]", "http://127.0.0.1.evil.example.com", "http://0.0.0.0:80",
        "ftp://127.0.0.1", "file:///etc/passwd", "", "api.hubapi.com", "https://", "https://user:pass@api.hubapi.com",
        "https://api.hubapi.com?a=b", "https://api.hubapi.com#a", "https://api.hubapi.com:99999", "https://[::1",
        "https://api.hubapi.com\r\n", "http://127.0.0.1@evil.example.com",
    ],
)  # fmt: skip
def test_any_other_base_url_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError):
        check_base_url(url)


@contextmanager
def self_signed(folder: Path) -> Iterator[tuple[ssl.SSLContext, Path]]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    yield context, certificate


def test_a_certificate_that_nobody_vouches_for_stops_before_sending(open_to: OpenSession, tmp_path: Path) -> None:
    with self_signed(tmp_path) as (context, certificate), FaultServer([Reply(body=GOOD)], tls=context) as server:
        with pytest.raises(ConnectionFailed, match="nothing was sent"):
            open_to(server.url).send(UPSERT)
        assert server.requests == []
        assert open_to(server.url, ca_file=certificate).send(UPSERT).body == GOOD


def test_the_deadline_holds_under_tls_too(open_to: OpenSession, tmp_path: Path) -> None:
    drip = Reply(body=GOOD, fault=Fault.DRIP_BODY)
    with self_signed(tmp_path) as (context, certificate), FaultServer([drip], tls=context) as server:
        session = open_to(server.url, ca_file=certificate, deadline_seconds=0.5)
        with pytest.raises(TemporarilyDown, match=r"0\.5 seconds"):
            session.send(UPSERT)


def test_a_session_opens_from_a_connection_and_shares_its_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(root=tmp_path / "home")
    with FaultServer([Reply(status=429, headers={"Retry-After": "100"})]) as server:
        connection = Connection(name="crm", vendor="fake", token_env="FAKE_TOKEN", base_url=server.url)
        monkeypatch.delenv("FAKE_TOKEN", raising=False)
        with pytest.raises(AuthenticationFailed, match="FAKE_TOKEN"):
            open_session(connection, FakeDestination(), home, "contacts")
        monkeypatch.setenv("FAKE_TOKEN", TOKEN)
        first, second = (open_session(connection, FakeDestination(), home, "contacts") for _ in range(2))
        for session in (first, second):
            with pytest.raises(RateLimited):
                session.send(UPSERT)
            session.close()
    assert len(server.requests) == 1
    assert all(TOKEN.encode() not in file.read_bytes() for file in home.root.iterdir())
