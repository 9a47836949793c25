"""A wrong definition of an audience is told apart by file, line, field, wrong name and the nearest valid one."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdp_platform.audiences import definition as tree
from cdp_platform.audiences.catalogue import Catalogue, Kind
from cdp_platform.components.audience_catalogue import read_catalogue
from cdp_platform.components.audience_definition import make_definition, read_document
from cdp_platform.components.dbt_manifest import DbtManifest
from cdp_platform.components.loading import load_audiences, load_definitions
from cdp_platform.errors import ConfigError
from cdp_platform_tests.components.conftest import ROOT

COUPONS = "audiences/coupon_lovers"


@pytest.fixture
def folder(parsed_home: Path, tmp_path: Path) -> Path:
    """A copy of our own `defs/`, to be spoiled."""
    return Path(shutil.copytree(ROOT / "cdp_platform" / "defs", tmp_path / "defs"))


@pytest.fixture(scope="module")
def known(parsed_home: Path) -> Catalogue:
    [(_, catalogue), *_] = load_audiences(ROOT / "cdp_platform" / "defs", ROOT).values()
    return catalogue


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("trait: coupons_redeemed", "trait: coupon_redeemed", 9, "members.all.0.any.0.trait",
         "there is no trait 'coupon_redeemed'. Did you mean `coupons_redeemed`?"),
        ("event: product_bought", "event: products_bought", 10, "members.all.0.any.1.event",
         "Did you mean `product_bought`?"),
        ("field: coupon_discount", "field: coupon_discounts", 11, "members.all.0.any.1.where.0.field",
         "Did you mean `coupon_discount`?"),
        ("within_days: 90", "within_day: 90", 12, "members.all.0.any.1.within_day", "Did you mean `within_days`?"),
        ("times: {at_least: 10}", "times: {at_leest: 10}", 13, "members.all.0.any.1.times.at_leest",
         "Did you mean `at_least`?"),
        ("channel: email", "channel: emial", 15, "members.all.2.channel", "Did you mean `email`?"),
        ("any:", "anny:", 8, "members.all.0.anny", "Did you mean `any`?"),
        ("at_least: 3", "at_least: three", 9, "members.all.0.any.0.at_least", "'three' is no number"),
        ("at_least: 3", "contains: three", 9, "members.all.0.any.0.contains", "`contains` cannot be asked of a number"),
        ("at_least: 3", "at_least: 3, at_most: 5", 9, "members.all.0.any.0", "ask exactly one thing"),
        ("holdout_share: 0.1", "holdout_share: 1.5", 17, "holdout_share", "less than 1"),
        ("label: {en", "label: {fr", 4, "label", "en and zh-Hant"),
        ("name: coupon_lovers", "name: Coupon lovers", 3, "name", "'Coupon lovers'"),
        ("name: coupon_lovers", "name: audience_sizes", 3, "name", "kept for the tables"),
        ("[high_value_at_risk]", "[high_value_at_rsk]", 16, "yields_to.0", "Did you mean `high_value_at_risk`?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(
    folder: Path, old: str, new: str, line: int, field: str, says: str
) -> None:
    file = spoil(folder / COUPONS, old, new)
    error = problem(folder)
    assert (error.place, error.field) == (f"{file}:{line}", field)
    assert says in str(error)


def test_a_circle_of_audiences_is_told_with_all_its_members(folder: Path) -> None:
    spoil(folder / "audiences/high_value_at_risk", "  owner:", "  yields_to: [big_basket_families]\n  owner:")
    error = problem(folder)
    assert "big_basket_families → coupon_lovers → high_value_at_risk → big_basket_families" in str(error)
    assert error.field == "members.all.2.not.audience"
    assert error.place == f"{folder / 'audiences/big_basket_families/defs.yaml'}:15"


def test_an_audience_that_asks_for_itself_is_a_circle(folder: Path) -> None:
    spoil(folder / COUPONS, "[high_value_at_risk]", "[coupon_lovers]")
    assert "coupon_lovers → coupon_lovers" in str(problem(folder))


def test_two_audiences_of_one_name_are_refused_naming_both_files(folder: Path) -> None:
    spoil(folder / COUPONS, "name: coupon_lovers", "name: lapsed_loyalists")
    spoil(folder / "audiences/big_basket_families", "audience: coupon_lovers", "audience: lapsed_loyalists")
    error = problem(folder)
    assert "audiences/lapsed_loyalists is made by" in str(error)
    assert "coupon_lovers/defs.yaml" in str(error) and "lapsed_loyalists/defs.yaml" in str(error)


def members(text: str, known: Catalogue) -> tree.Condition:
    return make_definition(name="tried", members=yaml.safe_load(text), catalogue=known).members


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{trait: first_order_on, is_known: true}", "write `profiles.first_order_on` or `traits_rfm.first_order_on`"),
        ("{}", "this is no condition"),
        ("[a, b]", "is no condition"),
        ("{all: []}", "holds a list"),
        ("{all: {trait: order_count, at_least: 1}}", "holds a list"),
        ("{not: [{trait: order_count, at_least: 1}]}", "is no condition"),
        ("{trait: order_count, event: purchase}", "either `trait` or `event`"),
        ("{all: [{audience: a}], any: [{audience: b}]}", "`all` stands alone"),
        ("{trait: order_count}", "nothing is asked"),
        ("{trait: order_count, at_least: }", "is no number"),
        ("{trait: order_count, at_least: true}", "is no number"),
        ("{trait: order_count, at_least: .nan}", "is no number"),
        ("{trait: order_count, at_least: 1e30}", "is no number"),
        ("{trait: rfm_segment, equals: 5}", 'Write text in quotes, as "2"'),
        ("{trait: last_order_on, before: soon}", "is no date"),
        ("{trait: last_order_on, within_days: 0}", "greater than or equal to 1"),
        ("{trait: last_order_on, within_days: }", "a value is missing"),
        ("{trait: order_count, between: [9, 1]}", "nobody can be between"),
        ("{trait: order_count, between: [9]}", "at least 2 items"),
        ("{trait: in_crm, equals: maybe}", "is no boolean"),
        ("{event: purchase, times: {at_least: 1, at_most: 2}}", "say how often with one of"),
        ("{event: purchase, times: {at_least: 1}, then: {event: purchase, within_days: 1}}", "do not go together"),
        ("{event: purchase, then: {event: purchase}}", "required and missing"),
        ("{event: purchase, then: {event: purchase, within_days: 1, wher: []}}", "Did you mean `where`?"),
        ("{audience: }", "valid string"),
        ("&a {all: [*a]}", "the definition is too large"),
        (f"{{all: [{', '.join(['{audience: a}'] * 120)}]}}", "the definition is too large"),
        ("{consent: email_marketing, channel: sms}", "there is no channel 'sms'"),
    ],
)
def test_what_cannot_be_taken_says_why(known: Catalogue, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        members(text, known)
    assert says in str(caught.value)
    assert caught.value.field.startswith("members")


def test_days_may_be_written_with_quotes_or_without_and_numbers_keep_their_digits(known: Catalogue) -> None:
    plain = members("{trait: last_order_on, before: 2017-06-01}", known)
    quoted = members("{trait: last_order_on, before: '2017-06-01'}", known)
    assert plain == quoted
    cents = members("{trait: lifetime_value, at_least: 0.1}", known)
    assert isinstance(cents, tree.TraitCondition) and str(cents.comparison.values[0]) == "0.1"


@pytest.mark.parametrize("name", ["coupon_lovers", "new_department_explorers", "big_basket_families"])
def test_a_stored_definition_is_read_back_as_the_same(parsed_home: Path, name: str) -> None:
    definition, catalogue = load_audiences(ROOT / "cdp_platform" / "defs", ROOT)[name]
    again = read_document(name, definition.document, catalogue)
    assert (again.condition, again.top, again.version) == (definition.condition, definition.top, definition.version)


def test_labels_and_the_holdout_do_not_make_another_version(known: Catalogue) -> None:
    rule = {"trait": "order_count", "at_least": 3}
    plain = make_definition(name="a", members=rule, catalogue=known)
    same = make_definition(name="a", members=rule, catalogue=known, labels={"en": "A"}, holdout_share=0.1)
    other = make_definition(name="a", members=rule, catalogue=known, yields_to=["b"])
    assert plain.version == same.version != other.version


def manifest(**meta: Any) -> DbtManifest:
    """A manifest of one model, `people`, with the columns id and city."""
    node = {
        "unique_id": "model.shop.people",
        "resource_type": "model",
        "name": "people",
        "schema": "marts",
        "original_file_path": "models/people.sql",
        "patch_path": "shop://models/people.yml",
        "config": {"materialized": "table", "meta": {"audiences": meta}},
        "columns": {"id": {"data_type": "text"}, "city": {"data_type": "geography"}, "age": {"data_type": "INT"}},
    }
    return DbtManifest({"nodes": {"model.shop.people": node}, "sources": {}, "metadata": {}})


@pytest.mark.parametrize(
    ("meta", "says"),
    [
        ({"people": "person_id"}, "there is no column 'person_id'"),
        ({"people": "id", "chanels": {}}, "Did you mean `channels`?"),
        ({"traits": "id"}, "0 models say that they hold the people"),
        ({"people": "id", "event": "visit"}, "needs to say `person` and `day`"),
        ({"people": "id", "consents": "id"}, "there is no column 'identifier'"),
        ({"people": ["id"]}, "valid string"),
    ],
)
def test_a_model_that_says_something_impossible_of_itself_is_named(meta: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says.replace("(", r"\(")) as caught:
        read_catalogue(manifest(**meta))
    assert caught.value.place in ("models/people.yml", "")


def test_a_column_whose_type_is_not_one_of_ours_is_not_offered_and_says_what_to_do() -> None:
    known = read_catalogue(manifest(people="id"))
    assert {name: trait.kind for name, trait in known.traits.items()} == {"age": Kind.NUMBER, "people.age": Kind.NUMBER}
    with pytest.raises(ConfigError, match=r"Give the column a `data_type` in models/people\.yml"):
        members("{trait: city, equals: Taipei}", known)


def test_without_consents_in_the_project_a_consent_cannot_be_asked_for() -> None:
    with pytest.raises(ConfigError, match="no model says that it holds the consents"):
        members("{consent: news}", read_catalogue(manifest(people="id", channels={"email": "city"})))


def spoil(folder: Path, old: str, new: str) -> Path:
    """Replace text in a folder's `defs.yaml`; returns the file."""
    file = folder / "defs.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return file


def problem(folder: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_definitions(folder, project_root=ROOT)
    return caught.value
