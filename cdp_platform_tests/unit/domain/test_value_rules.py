"""A value is called wrong only where the field's own description rules it out for certain."""

from typing import Any

import pytest

from cdp_platform.domain.syncs import FieldKind
from cdp_platform.domain.value_rules import ValueRule

TIER = ValueRule(field="tier", options=("Gold", "Silver", "Bronze"))
TASTES = ValueRule(field="tastes", options=("Sweet", "Sour"), separator=";")


@pytest.mark.parametrize("value", ["Gold", "GOLD", " silver ", "", None])
def test_an_option_fits_in_any_case_and_so_does_nothing_at_all(value: Any) -> None:
    assert TIER.wrong(value) is None


@pytest.mark.parametrize(
    ("value", "nearest"), [("Glod", "Gold"), ("silvr", "Silver"), (7, "Gold"), ("Gold;Silver", "Silver")]
)
def test_what_is_no_option_is_told_with_the_nearest_that_is(value: Any, nearest: str) -> None:
    wrong = TIER.wrong(value)
    assert wrong is not None
    assert (wrong.code, wrong.parameters["field"]) == ("value_not_listed", "tier")
    assert wrong.parameters["nearest"] in TIER.options
    if value != 7:
        assert wrong.parameters["nearest"] == nearest


@pytest.mark.parametrize(
    ("value", "fits"),
    [("Sweet;Sour", True), (["Sweet", "Sour"], True), (";Sour", True), ("Sweet;Salty", False), (["Salty"], False)],
)
def test_a_field_that_takes_several_is_judged_option_by_option(value: Any, fits: bool) -> None:
    assert (TASTES.wrong(value) is None) is fits


@pytest.mark.parametrize(
    ("value", "fits"), [("a" * 40, True), ("a" * 41, False), ("😀" * 40, True), ("a" * 40 + "  ", True)]
)
def test_a_text_is_measured_in_characters_without_the_blanks_around_it(value: str, fits: bool) -> None:
    assert (ValueRule(field="name", longest_characters=40).wrong(value) is None) is fits


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        (FieldKind.DECIMAL, "12.50", True),
        (FieldKind.DECIMAL, " -1e3 ", True),
        (FieldKind.DECIMAL, 12.5, True),
        (FieldKind.DECIMAL, "much", False),
        (FieldKind.DECIMAL, "1,250", False),
        (FieldKind.DECIMAL, "NaN", False),
        (FieldKind.INTEGER, True, False),
        (FieldKind.BOOLEAN, "Yes", True),
        (FieldKind.BOOLEAN, "perhaps", False),
        (FieldKind.DATE, "2017-12-25", True),
        (FieldKind.DATE, "1514160000000", True),
        (FieldKind.DATE, "25/12/2017", False),
        (FieldKind.TIMESTAMP, "2017-12-25T10:00:00Z", True),
        (FieldKind.TIMESTAMP, "2017-02-30", False),
        (FieldKind.TEXT, "anything", True),
    ],
)
def test_a_text_must_be_readable_as_the_fields_type(kind: FieldKind, value: Any, fits: bool) -> None:
    wrong = ValueRule(field="it", kind=kind).wrong(value)
    assert (wrong is None) is fits
    assert wrong is None or (wrong.code, wrong.parameters) == ("value_of_other_type", {"field": "it", "type": kind})


def test_the_reason_never_holds_the_value_itself() -> None:
    for rule in (TIER, ValueRule(field="name", longest_characters=3), ValueRule(field="day", kind=FieldKind.DATE)):
        wrong = rule.wrong("ada.lindqvist@example.com")
        assert wrong is not None
        assert "ada.lindqvist" not in f"{wrong.code} {dict(wrong.parameters)}"
