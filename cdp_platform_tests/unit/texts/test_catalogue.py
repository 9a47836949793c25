"""The catalogue speaks every language equally well, and has a text for every code that the code can say."""

import ast
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

import cdp_platform
from cdp_platform.domain.outcomes import Operation, Outcome
from cdp_platform.domain.plans import Verdict
from cdp_platform.syncs.resend import REASONS
from cdp_platform.texts import LANGUAGES, has_text, rejected_text, skipped_text, text, verdict_text
from cdp_platform.texts.catalogue import TextMissing, catalogue, placeholders, resend_text

SKIPPED = (
    "never_asked",
    "withdrawn",
    "withdrawn_during_send",
    "suppressed_during_send",
    "other_brand",
    "not_confirmed",
    "held",
    "unresolved",
    "invalid_key",
    "suppressed",
    "not_revertible",
    "merged",
    "older_day",
)
GUARDS = (
    "keys_unique",
    "keys_present",
    "model_not_empty",
    "model_not_shrunk",
    "consent_present",
    "suppressions_present",
    "mapping_fits",
    "ledger_current",
    "account_known",
    "removals_within_limit",
    "approved",
    "match_keys_unique",
    "read_back_fresh",
)
REJECTED = (
    "invalid_email",
    "duplicate_value",
    "unknown_field",
    "invalid_value",
    "read_only_field",
    "not_found",
    "refused",
    "row_too_large",
    "record_missing",
    "record_exists",
    "invalid_phone",
    "no_identifier",
    "invalid_identifier",
    "event_too_old",
    "event_in_future",
    "missing_field",
)
UNFIT = ("value_not_listed", "value_too_long", "value_of_other_type")
UNFIT_GIVEN = {"field": "tier", "nearest": "Gold", "longest": "40", "type": "date"}
PACKAGE = Path(cdp_platform.__file__).parent
GIVEN = {"rows": 3, "model": "m", "column": "c", "before": 9, "limit": 2, "fields": "a", "destination": "hubspot"}
GIVEN |= {"relation": "raw_hubspot.contacts", "hours": 40}
GIVEN |= {"sync": "s", "object": "contacts", "version": 5, "known": 7, "account": "2"}


def calls_of(name: str) -> list[tuple[str, ast.Call]]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(node, ast.Call) and name in (getattr(called, "id", None), getattr(called, "attr", None)):
                found.append((f"{path.name}:{node.lineno}", node))
    return found


def literal(call: ast.Call, keyword: str) -> str | None:
    values = [entry.value for entry in call.keywords if entry.arg == keyword]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def test_both_languages_have_the_same_codes() -> None:
    assert set(catalogue("en")) == set(catalogue("zh-Hant"))


@pytest.mark.parametrize("code", sorted(catalogue("en")))
def test_both_languages_put_the_same_parameters_into_a_text(code: str) -> None:
    assert placeholders(code, "en") == placeholders(code, "zh-Hant")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty(language: str) -> None:
    empty = [code for code, entry in catalogue(language).items() if not entry]
    assert empty == ([] if language == "en" else ["report.sentence_separator"])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", SKIPPED)
def test_a_left_out_row_is_told_with_its_number_and_with_who_can_mend_it(reason: str, language: str) -> None:
    what, remedy = skipped_text(reason, 1234, language).splitlines()
    assert "1,234" in what
    assert remedy


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", REJECTED)
def test_a_rejection_is_told_without_json_and_without_a_status_code(code: str, language: str) -> None:
    what, remedy = rejected_text(code, 7, language, destination="hubspot", parameters={"field": "email"}).splitlines()
    assert "HubSpot" in what and "7" in what
    assert not set("{}[]") & set(what) and not any(number in what for number in ("400", "409", "422"))
    assert remedy


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", UNFIT)
def test_a_value_that_was_not_sent_is_told_with_its_field_and_what_would_do(code: str, language: str) -> None:
    what, remedy = rejected_text(code, 7, language, destination="salesforce", parameters=UNFIT_GIVEN).splitlines()
    assert "Salesforce" in what and "7" in what
    assert any(UNFIT_GIVEN[name] in what for name in ("nearest", "longest", "type"))
    assert remedy


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", GUARDS)
def test_a_guard_says_what_is_wrong_and_who_can_mend_it(code: str, language: str) -> None:
    assert verdict_text(Verdict(code=code, passed=True, parameters=GIVEN), language)
    assert len(verdict_text(Verdict(code=code, passed=False, parameters=GIVEN), language).splitlines()) == 2


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", REASONS)
def test_rows_that_are_sent_again_are_told_with_their_number_and_the_reason(reason: str, language: str) -> None:
    what, remedy = resend_text(reason, 1234, language).splitlines()
    assert "1,234" in what
    assert remedy


def test_every_guard_in_the_source_has_texts_for_the_parameters_it_gives() -> None:
    for place, call in calls_of("Verdict"):
        code = literal(call, "code")
        if code is not None:
            assert has_text(f"guard.{code}.failed"), f"{place}: no text for the guard {code}"
            given = next((entry.value for entry in call.keywords if entry.arg == "parameters"), None)
            keys = {getattr(key, "value", None) for key in given.keys} if isinstance(given, ast.Dict) else {None}
            if None not in keys:
                named = keys | {"count"} if "rows" in keys else keys
                assert placeholders(f"guard.{code}.failed", "en") <= named, f"{place}: {code} gets {sorted(keys)}"


def test_every_row_outcome_in_the_source_has_a_text() -> None:
    for name in ("RowOutcome", "rejected_outcome", "reject"):
        for place, call in calls_of(name):
            code = literal(call, "code")
            known = code is None or has_text(f"rejected.{code}.text") or has_text(f"skipped.{code}.text")
            assert known, f"{place}: no text for {code}"


def test_every_text_that_the_source_asks_for_exists() -> None:
    for place, call in calls_of("text"):
        code = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
        assert code is None or has_text(code), f"{place}: no text {code}"


def test_every_operation_and_outcome_has_a_label() -> None:
    assert all(has_text(f"operation.{operation}.label") for operation in Operation)
    assert all(has_text(f"outcome.{outcome}.label") for outcome in Outcome)


def test_one_row_is_told_in_the_singular() -> None:
    assert skipped_text("withdrawn", 1, "en").startswith("1 person was left out")
    assert skipped_text("withdrawn", 2, "en").startswith("2 people were left out")


@pytest.mark.parametrize(
    ("value", "english", "chinese"),
    [
        (1234567, "1,234,567", "1,234,567"),
        (Decimal("1234.50"), "1,234.50", "1,234.50"),
        (date(2017, 12, 5), "5 Dec 2017", "2017年12月5日"),
        (True, "yes", "是"),
        (None, "empty", "空白"),
    ],
)
def test_values_are_written_as_the_language_writes_them(value: object, english: str, chinese: str) -> None:
    assert text("audience.asked.at_least", "en", value=value).endswith(english)
    assert text("audience.asked.at_least", "zh-Hant", value=value).endswith(chinese)


def test_a_code_that_only_the_vendor_knows_is_told_as_a_refusal() -> None:
    assert rejected_text("STRANGE_THING", 1, "en", destination="hubspot").startswith(
        "HubSpot refused 1 row and gave no"
    )


def test_a_field_that_the_destination_did_not_name_is_said_so() -> None:
    assert "a field it did not name" in rejected_text("invalid_value", 1, "en")


@pytest.mark.parametrize(
    ("code", "language", "named"),
    [("no.such.code", "en", "no.such.code"), ("operation.create.count", "en", "count"), ("value.true", "fr", "fr")],
)
def test_a_missing_code_parameter_or_language_is_an_error_that_names_it(code: str, language: str, named: str) -> None:
    with pytest.raises(TextMissing, match=named):
        text(code, language)


def test_a_brace_in_a_value_stays_a_brace() -> None:
    assert "{evil}" in rejected_text("unknown_field", 1, "en", parameters={"field": "{evil}"})
