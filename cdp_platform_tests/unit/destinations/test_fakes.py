"""The fakes do what the engine's tests trust them to do."""

from dataclasses import replace

import pytest

from cdp_platform.connectors.protocol import Answer, OutgoingRow, Request
from cdp_platform.domain.outcomes import Operation, Outcome
from cdp_platform.errors import ContractBroken, Refused, TemporarilyDown
from cdp_platform.testing.fakes import FakeAccount, FakeDestination, FakeSession
from cdp_platform.testing.rows import outgoing_row


def make_row(ordinal: int, operation: Operation = Operation.CREATE, **fields: object) -> OutgoingRow:
    return outgoing_row(ordinal=ordinal, operation=operation, match_value=f"p-{ordinal}", record_id=None, fields=fields)


def encode(*rows: OutgoingRow) -> Request:
    return FakeDestination().encode("contacts", "cdp_person_id", rows)


def test_an_update_changes_only_the_fields_it_names() -> None:
    session = FakeSession()
    session.send(encode(make_row(1, email="a@example.com", name="Ada")))
    rows = [make_row(1, Operation.UPDATE, email="b@example.com")]
    (outcome,) = FakeDestination().read(rows, session.send(encode(*rows)))
    assert (outcome.outcome, outcome.record_id) == (Outcome.DELIVERED, "r-1")
    assert session.account.records["p-1"].fields == {"email": "b@example.com", "name": "Ada"}


def test_a_failure_comes_before_or_after_the_work_as_ordered() -> None:
    session = FakeSession()
    session.fail_next(TemporarilyDown("reset"))
    session.fail_next(TemporarilyDown("timeout"), is_processed=True)
    for ordinal in (1, 2):
        with pytest.raises(TemporarilyDown):
            session.send(encode(make_row(ordinal)))
    assert set(session.account.records) == {"p-2"}
    assert (len(session.writes), len(session.account.arrived)) == (2, 1)


def test_a_rejected_row_leaves_the_others_delivered_until_it_is_accepted_again() -> None:
    session = FakeSession()
    session.reject("p-1", code="invalid_email", field="email")
    rows = [make_row(1), make_row(2)]
    outcomes = FakeDestination().read(rows, session.send(encode(*rows)))
    assert [(outcome.outcome, outcome.code) for outcome in outcomes] == [
        (Outcome.REJECTED, "invalid_email"),
        (Outcome.DELIVERED, None),
    ]
    session.accept("p-1")
    session.send(encode(*rows))
    assert set(session.account.records) == {"p-1", "p-2"}


def test_poison_and_size_refuse_the_whole_request() -> None:
    session = FakeSession()
    session.poison("p-1")
    session.limit_rows(2)
    for rows, status in (((1, 2), 400), ((2, 3, 4), 413)):
        with pytest.raises(Refused) as caught:
            session.send(encode(*(make_row(ordinal) for ordinal in rows)))
        assert caught.value.status == status
    assert session.account.records == {}


def test_an_answer_can_be_turned_into_nonsense_after_the_work() -> None:
    session = FakeSession()
    session.answer_next(lambda answer: replace(answer, body={"results": []}))
    with pytest.raises(ContractBroken):
        FakeDestination().read([make_row(1)], session.send(encode(make_row(1))))
    assert set(session.account.records) == {"p-1"}


def test_a_crash_leaves_the_account_as_it_was_for_the_next_session() -> None:
    account = FakeAccount()
    crashing = FakeSession(account)

    def crash(request: Request, answer: Answer) -> None:
        raise KeyboardInterrupt

    crashing.after_send = crash
    with pytest.raises(KeyboardInterrupt):
        crashing.send(encode(make_row(1)))
    FakeSession(account).send(encode(make_row(1)))
    assert account.records["p-1"].record_id == "r-1"


def test_removing_what_is_gone_is_accepted() -> None:
    session = FakeSession()
    rows = [make_row(1, Operation.REMOVE)]
    (outcome,) = FakeDestination().read(rows, session.send(encode(*rows)))
    assert outcome.outcome is Outcome.DELIVERED
