"""HubSpot's words: how rows are said to it, and what cannot be said. Answers are read in the contract's tests."""

from typing import Any

import pytest

from cdp_platform.connectors.protocol import Answer, OutgoingRow
from cdp_platform.destinations.hubspot import HubSpot
from cdp_platform.domain.outcomes import Operation, Outcome
from cdp_platform.domain.syncs import FieldKind, Mode, Removal
from cdp_platform.errors import ConfigError, ContractBroken
from cdp_platform.testing.destination_contract import OneAnswerSession
from cdp_platform.testing.rows import outgoing_row

CODES = {
    "invalid_email", "duplicate_value", "unknown_field", "invalid_value", "read_only_field", "not_found", "refused",
}  # fmt: skip


def make_row(ordinal: int = 0, operation: Operation = Operation.UPDATE, **fields: Any) -> OutgoingRow:
    record_id = None if operation is Operation.CREATE else f"900{ordinal}"
    return outgoing_row(
        ordinal=ordinal,
        operation=operation,
        match_value=f"p-000000{ordinal}",
        record_id=record_id,
        fields=fields,
    )


def encode(*rows: OutgoingRow) -> list[dict[str, Any]]:
    inputs: list[dict[str, Any]] = HubSpot().encode("contacts", "cdp_person_id", rows).body["inputs"]
    return inputs


def test_an_update_says_only_its_fields_and_who() -> None:
    assert encode(make_row(7, rfm_segment="champions")) == [
        {
            "id": "p-0000007",
            "idProperty": "cdp_person_id",
            "objectWriteTraceId": "7",
            "properties": {"rfm_segment": "champions"},
        }
    ]


def test_a_create_says_its_match_field_too() -> None:
    (said,) = encode(make_row(7, Operation.CREATE, email="ada@example.com"))
    assert said["properties"] == {"email": "ada@example.com", "cdp_person_id": "p-0000007"}


def test_a_new_match_value_updates_the_contact_by_its_id() -> None:
    row = make_row(7, rfm_segment="champions")._replace(former_match_value="p-0000003")
    request = HubSpot().encode("contacts", "cdp_person_id", [row])
    assert request.path == "/crm/v3/objects/contacts/batch/update"
    assert request.body["inputs"] == [
        {
            "id": "9007",
            "objectWriteTraceId": "7",
            "properties": {"rfm_segment": "champions", "cdp_person_id": "p-0000007"},
        }
    ]


def test_a_withdrawal_is_an_update_like_any_other() -> None:
    (said,) = encode(make_row(7, Operation.WITHDRAW, email_permission="withdrawn"))
    assert said["properties"] == {"email_permission": "withdrawn"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (12, "12"),
        (2**60, "1152921504606846976"),
        (812.5, "812.5"),
        (["b", "a"], "b;a"),
        ("Ærø 😀", "Ærø 😀"),
    ],
)
def test_each_value_is_said_as_text(value: object, text: str) -> None:
    (said,) = encode(make_row(favourite_department=value))
    assert said["properties"]["favourite_department"] == text


def test_a_removal_archives_by_the_records_own_id() -> None:
    request = HubSpot().encode("contacts", "cdp_person_id", [make_row(1, Operation.REMOVE)])
    assert (request.path, request.body) == ("/crm/v3/objects/contacts/batch/archive", {"inputs": [{"id": "9001"}]})


def test_a_lookup_believes_only_what_is_found_or_said_to_be_missing() -> None:
    found = {"id": "9001", "properties": {"cdp_person_id": "p-1"}}
    missing = {"category": "OBJECT_NOT_FOUND", "context": {"ids": ["p-2"]}}
    whole = OneAnswerSession({"results": [found], "errors": [missing]})
    assert HubSpot().find(whole, "contacts", "cdp_person_id", ["p-1", "p-2"]) == {"p-1": "9001"}
    cut = OneAnswerSession({"results": [found]})
    with pytest.raises(ContractBroken):
        HubSpot().find(cut, "contacts", "cdp_person_id", ["p-1", "p-2"])


def test_matching_by_email_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ConfigError, match="unique values"):
        HubSpot().encode("contacts", "email", [make_row()])


def test_only_modes_that_work_are_declared_and_the_pace_is_the_vendors() -> None:
    told = HubSpot().capabilities("contacts")
    assert told.modes == {Mode.UPSERT, Mode.MIRROR}
    assert told.removals == {Removal.KEEP, Removal.ARCHIVE, Removal.CLEAR}
    # A little more than the vendor's ten seconds, which counts by arrival.
    assert told.burst_requests / told.requests_per_second == pytest.approx(10.1)
    assert told.writes_changed_fields_only


def test_the_fields_tell_type_options_and_who_may_write_them() -> None:
    properties = [
        {"name": "lifetime_value", "type": "number"},
        {"name": "email_permission", "type": "enumeration", "options": [{"value": "granted"}, {"label": "odd"}]},
        {"name": "hs_object_id", "type": "number", "modificationMetadata": {"readOnlyValue": True}},
        {"name": "score", "type": "number", "calculated": True},
        {"name": "where", "type": "object_coordinates"},
        {"name": "opted", "type": "bool", "options": [{"value": "true"}, {"value": "false"}]},
    ]
    fields = {field.name: field for field in HubSpot().describe(OneAnswerSession({"results": properties}), "contacts")}
    assert fields["lifetime_value"].kind is FieldKind.DECIMAL
    assert fields["email_permission"].options == ("granted",)
    assert not fields["hs_object_id"].is_writable
    assert not fields["score"].is_writable
    assert fields["where"].kind is None
    assert (fields["opted"].kind, fields["opted"].options) == (FieldKind.BOOLEAN, ())


@pytest.mark.parametrize(
    "error",
    [
        {},
        {"context": None, "errors": None, "message": None, "category": None},
        {"context": ["11"], "errors": "x", "message": 5, "category": {"a": 1}},
        {"errors": [None, 1, {"context": 3, "in": 4, "message": {}}]},
        {"context": {"propertyName": [1, None]}, "subCategory": {"a": "b"}},
    ],
)
def test_an_error_of_any_shape_gives_a_code_of_the_closed_set(error: dict[str, Any]) -> None:
    body = {"results": [], "errors": [error]}
    (outcome,) = HubSpot().read([make_row(email="ada@example.com")], Answer(status=207, headers={}, body=body))
    assert outcome.outcome is Outcome.REJECTED
    assert outcome.code in CODES
    assert outcome.parameters == {}


def test_a_field_that_we_did_not_send_is_not_named() -> None:
    error = {"errors": [{"code": "INVALID_DATE", "context": {"propertyName": ["ada@example.com"]}, "in": "ada"}]}
    body = {"results": [], "errors": [error]}
    (outcome,) = HubSpot().read([make_row(email="ada@example.com")], Answer(status=207, headers={}, body=body))
    assert (outcome.code, dict(outcome.parameters)) == ("invalid_value", {})


def test_one_error_may_speak_of_several_rows() -> None:
    rows = [make_row(ordinal, email=f"{ordinal}@example.com") for ordinal in (1, 2, 3)]
    body = {
        "results": [{"id": "9003", "objectWriteTraceId": "3"}],
        "errors": [{"category": "VALIDATION_ERROR", "context": {"objectWriteTraceId": ["1", "2"]}}],
    }
    outcomes = HubSpot().read(rows, Answer(status=207, headers={}, body=body))
    assert {outcome.ordinal: outcome.code for outcome in outcomes} == {1: "invalid_value", 2: "invalid_value", 3: None}
