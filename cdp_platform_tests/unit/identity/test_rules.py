"""A rule file is read, or refused with file, line, field and what comes nearest."""

from pathlib import Path

import pytest

from cdp_platform.errors import ConfigError
from cdp_platform.identity.rule_file import default_rules, default_rules_text, read_rules
from cdp_platform.identity.rules import bind
from cdp_platform_tests.unit.identity.town import RULES, rules_of


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        (
            "match: {email: email}",
            "match: {email: emial}",
            r"rules\.yaml:8.*rules.0.match.email.*no normaliser 'emial'.*`email`",
        ),
        ("match: {email: email}", "match: {emil: email}", r"rules\.yaml:8.*no field 'emil'.*Did you mean `email`"),
        ("cap: 4", "capp: 4", r"rules\.yaml:8.*rules.0.capp.*no such field.*Did you mean `cap`"),
        ("cap: 4", "cap: one", r"rules\.yaml:8.*rules.0.cap.*'one' cannot be taken"),
        ("cap: 4", "cap: 1", r"rules\.yaml:8.*greater than or equal to 2"),
        ("name: phone,", "name: email,", r"rules\.yaml:9.*`email` is written twice"),
        ("match: {email: email}", "match: {email: [one_typo, lower]}", r"one_typo comes last"),
        (
            "match: {email: email}",
            "match: {name: soundex}",
            r"rules\.yaml:8.*would merge strangers: name through soundex",
        ),
        ("match: {email: email}", "at_least: 2, among: {email: email}", r"2 of 1 fields in `among`.*from 1 to 1"),
        ("match: {email: email}", "among: {email: email}", r"0 of 1 fields"),
        ("match: {email: email}", "priority: 3", r"needs `match`, or `at_least` and `among`"),
        ("cap: 4", "instead_of: mail", r"no field 'mail'"),
        (
            "cap: 4",
            "within_one: fone",
            r"rules\.yaml:8.*rules.0.within_one.*no other rule 'fone'.*Did you mean `phone`",
        ),
        ("cap: 4", "within_one: email", r"no other rule 'email'"),
        ("cap: 4", "joins: nobody", r"rules\.yaml:8.*rules.0.joins"),
        ("largest_cluster: 6", "larges_cluster: 6", r"rules\.yaml:11.*Did you mean `largest_cluster`"),
        ("records: {key: key, source: source}", "record: {key: key}", r"rules\.yaml:2.*no such field.*`records`"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_the_nearest_word(
    tmp_path: Path, right: str, wrong: str, told: str
) -> None:
    assert right in RULES
    with pytest.raises(ConfigError, match=told):
        rules_of(tmp_path, RULES.replace(right, wrong, 1))


def test_a_file_that_is_not_there_or_no_yaml_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml cannot be read"):
        read_rules(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match=r"rules\.yaml:2: this is not YAML"):
        rules_of(tmp_path, "records: a\nrules: [}")


def test_too_many_combinations_are_refused(tmp_path: Path) -> None:
    fields = "".join(f"\n      f{number}: f{number}" for number in range(12))
    among = ", ".join(f"f{number}: name" for number in range(12))
    text = RULES.replace("fields:", f"fields:{fields}").replace(
        "match: {email: email}", f"at_least: 6, among: {{{among}}}"
    )
    with pytest.raises(ConfigError, match="924 combinations are too many; 100 is the most"):
        rules_of(tmp_path, text)


def test_the_digest_follows_what_the_rules_say(tmp_path: Path) -> None:
    digest = rules_of(tmp_path).digest
    assert rules_of(tmp_path, RULES + "# a remark\n").digest == digest
    assert rules_of(tmp_path, RULES.replace("cap: 4", "cap: 5")).digest != digest
    assert rules_of(tmp_path, RULES.replace("prefix(3)", "prefix(4)")).digest != digest


def test_columns_are_found_whatever_their_case_and_underscores(tmp_path: Path) -> None:
    bound = bind(rules_of(tmp_path), ["Key", "E-Mail", "PHONE", "Name "])
    assert bound.columns == {"email": ("E-Mail",), "phone": ("PHONE",), "name": ("Name ",)}
    assert bound.source is None


def test_the_default_rules_take_the_fields_that_are_there_and_say_what_is_left_out() -> None:
    bound = bind(default_rules(), ["rec_id", "given_name", "surname", "date_of_birth", "soc_sec_id", "postcode"])
    assert bound.key == "rec_id"
    assert {one.rule.name for one in bound.bound} >= {"number_typo", "names_and_birth"}
    assert bound.left_out["email"] == "no email"
    assert bound.left_out["names_and_place"] == "there is birth_date"


def test_the_default_rules_may_be_written_to_a_file_and_read_again(tmp_path: Path) -> None:
    assert rules_of(tmp_path, default_rules_text()).digest == default_rules().digest


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["email"], "no column record_key or .*names a record"),
        (["id", "colour"], "no rule fits the columns id, colour"),
    ],
)
def test_records_that_the_default_rules_cannot_read_are_told(columns: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        bind(default_rules(), columns)
