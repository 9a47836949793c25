"""Many rows go to Salesforce as bulk jobs: made, filled, closed, followed, read in full, picked up after a crash."""

import csv
import io
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.connectors.http import HttpSession
from cdp_platform.connectors.protocol import Answer, Batch, Job, Request, StillRunning
from cdp_platform.destinations.salesforce import BULK_FROM_ROWS, Salesforce
from cdp_platform.destinations.salesforce_bulk import MOST_BYTES, SalesforceBulk
from cdp_platform.domain.outcomes import Counts, Operation, Outcome, RowOutcome
from cdp_platform.domain.traffic import Traffic
from cdp_platform.errors import ContractBroken, JobDropped, JobFailed, Refused, TemporarilyDown
from cdp_platform.syncs import send as send_module
from cdp_platform.syncs.jobs import open_jobs
from cdp_platform_tests.contracts.salesforce_stage import (
    DATA,
    Members,
    Organization,
    batch,
    member_of,
    row,
    serving,
    session_with,
)

BULK = SalesforceBulk()
ROWS = batch(row(0, "p-0", LastName="Wei"), row(1, "p-1", LastName="Okafor"), row(2, "p-2", LastName="Sato"))
IDS = ("0035i00000AAAAAAA0", "0035i00000AAAABAA0", "0035i00000AAAACAA0")


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALESFORCE_TOKEN", "secret-of-the-sandbox")


@pytest.fixture
def organization(tmp_path: Path) -> Iterator[Organization]:
    with serving(tmp_path / "sandbox") as served:
        yield served


@pytest.fixture
def members(organization: Organization, tmp_path: Path) -> Members:
    return Members(tmp_path / "home", organization.url, bulk_from_rows=1)


class Told:
    """A session that answers a job's questions from a script: its state, and its lists of results."""

    def __init__(self, job: dict[str, Any], **lists: str) -> None:
        self.job = {"state": "JobComplete", "externalIdFieldName": "CDP_Person_Id__c"} | job
        self.lists = lists
        self.requests: list[Request] = []

    @property
    def traffic(self) -> Traffic:
        return Traffic(request_count=len(self.requests))

    def send(self, request: Request) -> Answer:
        self.requests.append(request)
        name = request.path.rpartition("/")[2]
        body = self.lists.get(name, "") if request.reads == "text" else self.job
        return Answer(status=200, headers={}, body=body)

    def close(self) -> None:
        return None


def listed(*lines: Sequence[str], more: Sequence[str] = ()) -> str:
    """A list of results as CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([["sf__Id", *more, "CDP_Person_Id__c", "LastName"], *lines])
    return text.getvalue()


def told(session: Told) -> dict[int, RowOutcome]:
    outcomes = BULK.poll(session, "Contact", Job(id="7505i00000AAAAAAA0"), ROWS)
    assert isinstance(outcomes, list)
    return {outcome.ordinal: outcome for outcome in outcomes}


def wait_for(session: HttpSession, job: Job, rows: Batch) -> None:
    """Ask for a job until it has ended."""
    for _ in range(200):
        if not isinstance(BULK.poll(session, "Contact", job, rows), StillRunning):
            return
        time.sleep(0.05)


def test_the_way_is_chosen_by_the_size_of_the_plan() -> None:
    assert isinstance(Salesforce().way_for("Contact", BULK_FROM_ROWS), SalesforceBulk)
    assert isinstance(Salesforce().way_for("Contact", BULK_FROM_ROWS - 1), Salesforce)


def test_a_large_plan_goes_as_jobs_and_is_delivered_with_ids(members: Members, organization: Organization) -> None:
    organization.ask("PATCH", f"{DATA}/sobjects/Account/CDP_Id__c/a-1", json={"Name": "Alder Foods"})
    members.write([member_of(number, account_key="a-1" if number % 2 else None) for number in range(400)])
    assert members.run().counts == Counts(planned=400, delivered=400)
    assert organization.jobs() == {"JobComplete": 1}
    contacts = organization.contacts()
    assert len(contacts) == 400 and contacts["p-000001"]["Account"]["Name"] == "Alder Foods"
    (ledger,) = members.sql("select ledger_id from cdp.ledgers")
    side = members.sql(f"select match_value, record_id from cdp.ledger_side_{ledger['ledger_id']}")
    assert {line["match_value"]: line["record_id"] for line in side} == {
        person: contact["Id"] for person, contact in contacts.items()
    }
    assert members.run().counts == Counts()


@pytest.mark.parametrize(
    "name", ['Comma, "quoted"', "two\nlines", "carriage\rreturn", " blanks ", "=1+1", "王小明", "#N/B", "-1", "é"]
)
def test_every_text_arrives_as_it_was(members: Members, organization: Organization, name: str) -> None:
    members.write([member_of(1, last_name=name)])
    members.run()
    assert organization.contacts()["p-000001"]["LastName"] == name


def test_null_clears_a_field_and_what_did_not_change_is_left_alone(
    members: Members, organization: Organization
) -> None:
    organization.ask("PATCH", f"{DATA}/sobjects/Account/CDP_Id__c/a-1", json={"Name": "Alder Foods"})
    members.write([member_of(1, account_key="a-1"), member_of(2, account_key="a-1")])
    members.run()
    ids = organization.contacts()["p-000001"]["Id"]
    organization.ask("PATCH", f"{DATA}/sobjects/Contact/{ids}", json={"Email": "own@example.com"})
    members.write([member_of(1, segment=None, account_key=None), member_of(2, account_key="a-1", segment="new")])
    assert members.run().counts == Counts(planned=2, delivered=2)
    first, second = (organization.contacts()[f"p-{number:06}"] for number in (1, 2))
    assert (first["RFM_Segment__c"], first["Account"], first["Email"]) == (None, None, "own@example.com")
    assert (second["RFM_Segment__c"], second["Account"]["Name"]) == ("new", "Alder Foods")


def test_refused_lines_are_told_by_their_row_and_locked_ones_wait(members: Members, organization: Organization) -> None:
    members.write([member_of(number) for number in range(20)])
    members.run()
    organization.lock("p-000007", 1)
    bad = {3: {"email": "nowhere"}, 5: {"last_name": None}, 9: {"account_key": "nobody"}}
    members.write([member_of(number, segment="new", **bad.get(number, {})) for number in range(20)])
    assert members.run().counts == Counts(planned=20, delivered=16, rejected=3, pending=1)
    rejected = members.sql("select primary_key, code from cdp.rejected_rows order by primary_key")
    assert [(line["primary_key"], line["code"]) for line in rejected] == [
        ("p-000003", "invalid_email"),
        ("p-000005", "required_field_missing"),
        ("p-000009", "parent_not_found"),
    ]
    assert members.run().counts == Counts(planned=4, delivered=1, skipped=3)


def leave_a_job(members: Members, monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """Kill a run once its job was made and `after` of its requests were sent."""
    every = SalesforceBulk.contents

    def contents(*arguments: Any) -> Iterator[Request]:
        yield from list(every(*arguments))[:after]
        raise Killed

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(SalesforceBulk, "contents", contents)
        patched.setattr(send_module, "settle", die)
        with pytest.raises(Killed):
            members.run()


@pytest.mark.parametrize("after", [0, 1], ids=["empty", "uploaded"])
def test_a_job_that_a_dead_run_left_open_is_aborted_and_its_rows_are_sent_anew(
    members: Members, organization: Organization, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    members.write([member_of(number) for number in range(30)])
    leave_a_job(members, monkeypatch, after=after)
    assert organization.jobs() == {"Open": 1}
    assert members.run().counts == Counts(planned=30, delivered=30)
    assert organization.jobs() == {"Aborted": 1, "JobComplete": 1}
    assert len(organization.contacts()) == 30


def test_a_job_that_a_dead_run_left_closed_is_read_and_not_made_again(
    members: Members, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    members.write([member_of(number) for number in range(30)])
    leave_a_job(members, monkeypatch, after=2)
    assert members.run().counts == Counts()
    assert organization.jobs() == {"JobComplete": 1}
    (run,) = members.sql("select delivered from cdp.sync_runs where status = 'recovered'")
    assert run["delivered"] == 30
    (ledger,) = members.sql("select ledger_id from cdp.ledgers")
    assert open_jobs(members.engine.journal, ledger["ledger_id"]) == []


@pytest.mark.parametrize("step", [0, 1], ids=["upload", "close"])
@pytest.mark.parametrize("is_processed", [True, False], ids=["processed", "not processed"])
def test_an_upload_or_close_without_an_answer_loses_nothing(
    members: Members, organization: Organization, monkeypatch: pytest.MonkeyPatch, step: int, is_processed: bool
) -> None:
    members.write([member_of(number) for number in range(30)])
    send, seen = HttpSession.send, list[Request]()

    def unanswered(session: HttpSession, request: Request) -> Answer:
        is_filling = request.method in ("PUT", "PATCH") and "/jobs/" in request.path
        if is_filling and (request.body or {}) != {"state": "Aborted"}:
            seen.append(request)
            if len(seen) == step + 1:
                if is_processed:
                    send(session, request)
                raise TemporarilyDown("no answer")
        return send(session, request)

    monkeypatch.setattr(HttpSession, "send", unanswered)
    assert members.run().counts == Counts(planned=30, delivered=30)
    was_closed = step == 1 and is_processed
    assert organization.jobs() == {"JobComplete": 1} | ({} if was_closed else {"Aborted": 1})
    assert len(organization.contacts()) == 30 and len(seen) >= step + 1


def test_rows_that_are_too_large_together_go_in_several_jobs(
    members: Members, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp_platform.destinations.salesforce_bulk.MOST_BYTES", 2_000)
    members.write([member_of(number) for number in range(40)])
    assert members.run().counts == Counts(planned=40, delivered=40)
    assert organization.jobs()["JobComplete"] > 2
    assert MOST_BYTES < 100_000_000


def test_a_job_with_a_field_that_salesforce_does_not_have_fails_and_says_where_to_look(
    organization: Organization, tmp_path: Path
) -> None:
    rows = batch(row(1, "p-1", LastName="Wei", Nickname__c="W"))
    with session_with(organization.url, tmp_path / "home") as session:
        job = BULK.read(rows, session.send(BULK.encode("Contact", "CDP_Person_Id__c", rows)))
        for request in BULK.contents("Contact", "CDP_Person_Id__c", job, rows):
            session.send(request)
        with pytest.raises(JobFailed, match=r"InvalidBatch.*Bulk Data Load Jobs"):
            wait_for(session, job, rows)


def test_lines_in_any_order_are_joined_by_their_key() -> None:
    success = listed([IDS[2], "true", "p-2", "Sato"], [IDS[0], "false", "p-0", "Wei"], more=["sf__Created"])
    failed = listed(["", "STRING_TOO_LONG:too long:LastName --", "p-1", "Okafor"], more=["sf__Error"])
    job = {"numberRecordsProcessed": 3, "numberRecordsFailed": 1}
    outcomes = told(Told(job, successfulResults=success, failedResults=failed))
    assert [outcomes[ordinal].record_id for ordinal in (0, 2)] == [IDS[0], IDS[2]]
    assert (outcomes[1].code, outcomes[1].parameters) == ("text_too_long", {"field": "LastName"})


def test_rows_that_were_not_processed_are_pending_and_those_in_no_list_unknown() -> None:
    unprocessed = "CDP_Person_Id__c,LastName\np-1,Okafor\n"
    success = listed([IDS[0], "true", "p-0", "Wei"], more=["sf__Created"])
    job = {"state": "Failed", "numberRecordsProcessed": 1, "numberRecordsFailed": 0}
    outcomes = told(Told(job, successfulResults=success, unprocessedrecords=unprocessed))
    assert [outcomes[ordinal].outcome for ordinal in range(3)] == [Outcome.DELIVERED, Outcome.PENDING, Outcome.UNKNOWN]


@pytest.mark.parametrize(
    ("job", "success"),
    [
        ({"numberRecordsProcessed": 3}, ""),
        ({"numberRecordsProcessed": 3, "numberRecordsFailed": 0}, ""),
        ({"numberRecordsProcessed": 1, "numberRecordsFailed": 2}, ""),
        ({"numberRecordsProcessed": 0, "numberRecordsFailed": 0}, listed([IDS[0], "p-0", "Wei"])),
        ({"numberRecordsProcessed": 1, "numberRecordsFailed": 0}, listed([IDS[0], "p-9", "Wei"])),
        ({"numberRecordsProcessed": 1, "numberRecordsFailed": 0}, listed(["", "p-0", "Wei"])),
        ({"numberRecordsProcessed": 1, "numberRecordsFailed": 0}, listed([IDS[0], "p-0"])),
        ({"numberRecordsProcessed": 1, "numberRecordsFailed": 0}, "sf__Id,LastName\nx,Wei\n"),
        ({"numberRecordsProcessed": 1, "numberRecordsFailed": 0}, 'sf__Id,CDP_Person_Id__c\n"x,p-0\n'),
        ({"numberRecordsProcessed": 2, "numberRecordsFailed": 0}, listed([IDS[0], "p-0", "W"], [IDS[1], "p-0", "W"])),
        ({"state": "Sleeping"}, ""),
    ],
)
def test_numbers_and_lists_that_do_not_agree_are_not_believed(job: dict[str, Any], success: str) -> None:
    with pytest.raises(ContractBroken) as caught:
        told(Told(job, successfulResults=success))
    assert "Wei" not in str(caught.value) and "p-0" not in str(caught.value)


def test_an_open_job_is_aborted_when_it_is_asked_for() -> None:
    session = Told({"state": "Open"})
    with pytest.raises(JobDropped):
        told(session)
    assert [(request.method, request.body) for request in session.requests] == [
        ("GET", None),
        ("PATCH", {"state": "Aborted"}),
    ]


def test_a_job_that_salesforce_does_not_know_any_more_is_not_taken_for_one_that_did_nothing() -> None:
    class Gone(Told):
        def send(self, request: Request) -> Answer:
            raise Refused("salesforce answered 404.", status=404)

    with pytest.raises(JobFailed):
        told(Gone({}))


def test_a_deletion_is_joined_by_the_records_id() -> None:
    rows = batch(*(replace_id(ROWS[place], IDS[place]) for place in range(2)))
    success = f"sf__Id,sf__Created,Id\n{IDS[1]},false,{IDS[1]}\n"
    failed = f"sf__Id,sf__Error,Id\n{IDS[0]},ENTITY_IS_DELETED:entity is deleted:--,{IDS[0]}\n"
    job = {"numberRecordsProcessed": 2, "numberRecordsFailed": 1}
    session = Told(job, successfulResults=success, failedResults=failed)
    outcomes = BULK.poll(session, "Contact", Job(id="7505i00000AAAAAAA0"), rows)
    assert isinstance(outcomes, list)
    assert {outcome.outcome for outcome in outcomes} == {Outcome.DELIVERED}


def replace_id(one: Any, record_id: str) -> Any:
    return one._replace(operation=Operation.REMOVE, record_id=record_id)
