"""`cdp identity`: the figures of an evaluation for people and for programs, and what is wrong with a file."""

import json
from pathlib import Path

import pyarrow.csv
import pytest

from cdp_platform.errors import ConfigError
from cdp_platform.identity.rule_file import default_rules, read_rules
from cdp_platform_tests.cli.conftest import Told
from cdp_platform_tests.unit.identity.dirty_people import make_dirty


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    monkeypatch.setenv("COLUMNS", "200")
    records, truth = make_dirty("heavy", 150, seed=7)
    pyarrow.csv.write_csv(records, tmp_path / "records.csv")
    rows = "".join(f"{record},{person}\n" for record, person in truth)
    (tmp_path / "truth.csv").write_text("rec_id,person_id\n" + rows, encoding="utf-8")
    return str(tmp_path / "records.csv"), str(tmp_path / "truth.csv")


def evaluated(files: tuple[str, str], *more: str) -> Told:
    return Told("identity", "evaluate", "--records", files[0], "--truth", files[1], *more)


def test_an_evaluation_tells_figures_rules_and_what_was_missed(files: tuple[str, str]) -> None:
    told = evaluated(files)
    assert told.error is None
    assert "precision 1.0000   recall 0.9" in told.text
    assert "national_id ← soc_sec_id" in told.text
    assert "Rules not used: email (no email)" in told.text
    assert "number_and_birth_typos" in told.text
    assert "pairs that were missed" in told.text


def test_an_evaluation_as_json_holds_the_same_figures(files: tuple[str, str]) -> None:
    document = json.loads(evaluated(files, "--json").text)
    assert document["precision"] == document["correct_pair_count"] / document["found_pair_count"]
    assert {rule["name"] for rule in document["rules"]} >= {"number_typo", "names_and_birth"}


def test_no_personal_value_is_printed(files: tuple[str, str]) -> None:
    told, [first] = evaluated(files), make_dirty("heavy", 1, seed=7)[0].to_pylist()[:1]
    assert first["soc_sec_id"] not in told.text
    assert first["address_1"] not in told.text


def test_a_rule_that_costs_more_than_it_brings_is_named(files: tuple[str, str], tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "records: {key: rec_id}\nfields: {surname: surname, number: soc_sec_id}\nrules:\n"
        "  - {name: number, match: {number: digits}}\n  - {name: surname, match: {surname: name}, cap: 12}\n",
        encoding="utf-8",
    )
    told = evaluated(files, "--rules", str(rules))
    assert told.error is None
    assert "Rule surname brings more wrong pairs" in told.text
    assert "joined" not in told.text


def test_a_file_that_is_not_there_is_told(files: tuple[str, str]) -> None:
    assert isinstance(evaluated((files[0], "nowhere.csv")).error, ConfigError)
    assert isinstance(evaluated(files, "--rules", "nowhere.yaml").error, ConfigError)


def test_the_default_rules_are_printed_to_begin_from(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(Told("identity", "rules").text, encoding="utf-8")
    assert read_rules(path).digest == default_rules().digest
