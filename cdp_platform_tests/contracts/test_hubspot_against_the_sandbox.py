"""The HubSpot destination, over HTTP, against an independent reading of HubSpot's documents."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests

from cdp_platform.connectors.http import HttpSession, open_session
from cdp_platform.connectors.protocol import OutgoingRow
from cdp_platform.destinations.hubspot import HubSpot
from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.syncs import Connection, FieldKind
from cdp_platform.errors import AuthenticationFailed, RateLimited, Refused
from cdp_platform.ingest.hubspot import PROPERTY_COLUMNS, read_contacts
from cdp_platform.testing.rows import outgoing_row

DESTINATION = HubSpot()


class Sandbox:
    """A running sandbox and its own log."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token

    def writes(self) -> list[dict[str, Any]]:
        body = requests.get(f"{self.url}/sandbox/writes", params={"after": "0", "limit": "1000"}, timeout=10).json()
        writes: list[dict[str, Any]] = (
            body if isinstance(body, list) else next(value for value in body.values() if isinstance(value, list))
        )
        return writes


@contextmanager
def running_sandbox(folder: Path, *options: str) -> Iterator[Sandbox]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    files = ["--state", str(folder / "crm.sqlite"), "--token-file", str(folder / "token")]
    command = [sys.executable, "-m", "cdp_platform.sandbox", *files, "--port", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, process)
        yield Sandbox(url, (folder / "token").read_text().strip())
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        assert process.poll() is None, "the sandbox ended"
        try:
            requests.get(f"{url}/sandbox/health", timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError("the sandbox did not start")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def session(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpSession]:
    monkeypatch.setenv("HUBSPOT_TOKEN", sandbox.token)
    opened = open_session(connection_to(sandbox), DESTINATION, Home(root=tmp_path), "contacts")
    yield opened
    opened.close()


def connection_to(sandbox: Sandbox) -> Connection:
    return Connection(name="hubspot", vendor="hubspot", token_env="HUBSPOT_TOKEN", base_url=sandbox.url)


def make_row(ordinal: int, person: str, operation: Operation = Operation.CREATE, **fields: Any) -> OutgoingRow:
    return outgoing_row(ordinal=ordinal, operation=operation, match_value=person, record_id=None, fields=fields)


def deliver(session: HttpSession, *rows: OutgoingRow) -> dict[int, RowOutcome]:
    answer = session.send(DESTINATION.encode("contacts", "cdp_person_id", rows))
    return {outcome.ordinal: outcome for outcome in DESTINATION.read(rows, answer)}


def test_the_account_and_its_fields_are_told(session: HttpSession) -> None:
    assert DESTINATION.account_id(session).isdigit()
    fields = {field.name: field for field in DESTINATION.describe(session, "contacts")}
    assert fields["cdp_person_id"].is_unique
    assert fields["lapsed_loyalist_since"].kind is FieldKind.DATE
    assert fields["email_permission"].options == ("granted", "withdrawn")
    assert not fields["email_confirmed_on"].is_writable


def test_a_full_batch_is_delivered_and_read_back(session: HttpSession) -> None:
    rows = [
        make_row(
            ordinal, f"p-1{ordinal:06}", email=f"full{ordinal}@example.com", lapsed_loyalist=True, lifetime_value=812.5,
            lapsed_loyalist_since="2017-12-21", email_permission="granted", favourite_department=None,
        )
        for ordinal in range(100)
    ]  # fmt: skip
    outcomes = deliver(session, *rows)
    assert {outcome.outcome for outcome in outcomes.values()} == {Outcome.DELIVERED}
    table = read_contacts(session, tuple(PROPERTY_COLUMNS), date(2017, 12, 25))
    by_id = {row["contact_id"]: row for row in table.to_pylist()}
    for row in rows:
        record = by_id[outcomes[row.ordinal].record_id or ""]
        assert (record["cdp_person_id"], record["email"]) == (row.match_value, row.fields["email"])
        assert record["lapsed_loyalist"] is True


def test_an_update_changes_only_its_fields_and_keeps_the_record(session: HttpSession, sandbox: Sandbox) -> None:
    before = deliver(session, make_row(1, "p-2000001", email="upd@example.com", rfm_segment="loyal"))[1]
    after = deliver(session, make_row(2, "p-2000001", Operation.UPDATE, rfm_segment="lapsed", email=None))[2]
    assert before.record_id == after.record_id
    writes = [write for write in sandbox.writes() if str(write["contact_id"]) == after.record_id]
    assert set(writes[-1]["properties"]) >= {"rfm_segment", "email"}
    assert writes[-1]["properties"]["rfm_segment"] == ["loyal", "lapsed"]
    assert not {"lifetime_value", "cdp_person_id"} & set(writes[-1]["properties"])


def test_sending_a_batch_twice_changes_nothing_more(session: HttpSession, sandbox: Sandbox) -> None:
    row = make_row(1, "p-3000001", email="twice@example.com")
    first = deliver(session, row)[1]
    second = deliver(session, row)[1]
    assert first.record_id == second.record_id
    creations = [write for write in sandbox.writes() if str(write["contact_id"]) == first.record_id]
    assert sum("email" in write["properties"] for write in creations) == 1


def test_bad_rows_are_told_by_reason_and_the_good_one_is_delivered(session: HttpSession) -> None:
    deliver(session, make_row(0, "p-4000000", email="taken@example.com"))
    outcomes = deliver(
        session,
        make_row(1, "p-4000001", email="good@example.com"),
        make_row(2, "p-4000002", email="not an address"),
        make_row(3, "p-4000003", email="taken@example.com"),
        make_row(4, "p-4000004", no_such_field="x"),
        make_row(5, "p-4000005", lifetime_value="many"),
        make_row(6, "p-4000006", email_permission="perhaps"),
        make_row(7, "p-4000007", email_confirmed_on="2017-12-21"),
    )
    told = {ordinal: (outcome.code, outcome.parameters.get("field")) for ordinal, outcome in outcomes.items()}
    assert told == {
        1: (None, None),
        2: ("invalid_email", "email"),
        3: ("duplicate_value", "email"),
        4: ("unknown_field", "no_such_field"),
        5: ("invalid_value", "lifetime_value"),
        6: ("invalid_value", "email_permission"),
        7: ("read_only_field", "email_confirmed_on"),
    }
    assert "example.com" not in json.dumps([repr(outcome) for outcome in outcomes.values()])


def test_two_rows_of_one_person_in_a_batch_are_refused_as_a_whole(session: HttpSession) -> None:
    with pytest.raises(Refused) as caught:
        deliver(session, make_row(1, "p-5000001"), make_row(2, "p-5000001"))
    assert caught.value.status == 400


def test_a_wrong_token_stops_without_touching_rows(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBSPOT_TOKEN", "canary-wrong-token")
    session = open_session(connection_to(sandbox), DESTINATION, Home(root=tmp_path), "contacts")
    with pytest.raises(AuthenticationFailed) as caught:
        deliver(session, make_row(1, "p-6000001"))
    session.close()
    assert "canary" not in str(caught.value)
    assert all(write["cdp_person_id"] != "p-6000001" for write in sandbox.writes())


def test_a_smaller_limit_at_the_vendor_is_kept_after_the_first_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_sandbox(tmp_path, "--requests-per-window", "5") as small:
        monkeypatch.setenv("HUBSPOT_TOKEN", small.token)
        home = Home(root=tmp_path)
        session = open_session(connection_to(small), DESTINATION, home, "contacts", pace_seconds=0.0)
        for ordinal in range(5):
            deliver(session, make_row(ordinal, f"p-700000{ordinal}"))
        with pytest.raises(RateLimited) as caught:
            deliver(session, make_row(6, "p-7000006"))
        session.close()
    assert caught.value.status is None, "our own pace must stop it, not a 429"
