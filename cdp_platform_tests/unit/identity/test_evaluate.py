"""Rules are judged by pairs: what was found, what was missed, which rule did it, and what the truth file says."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

import pyarrow as pa
import pyarrow.parquet
import pytest

from cdp_platform.errors import ConfigError
from cdp_platform.identity.evaluate import Evaluation, evaluate
from cdp_platform.identity.labelled import TruthFile, read_records, read_truth
from cdp_platform.identity.rule_file import default_rules
from cdp_platform.identity.rules import Rules
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.unit.identity.dirty_people import make_dirty
from cdp_platform_tests.unit.identity.town import rules_of

RECORDS = """\
id,email,name,phone
1,a@x.example,Anne,0911000001
2,A@x.example,Ann,0911000001
3,c@x.example,Anne,
4,d@x.example,Ben,0922000002
5,d@x.example,Bea,0933000003
6,,Cleo,0944000004
"""
TRUTH = "id,person_id\n1,p1\n2,p1\n3,p1\n4,p4\n5,p5\n6,p6\n"
RULES = """
    records: {key: id}
    fields: {email: email, phone: phone}
    rules:
      - {name: email, match: {email: email}}
      - {name: phone, match: {phone: digits}}
"""


def write(path: Path, text: str) -> Path:
    path.write_text(dedent(text), encoding="utf-8")
    return path


def judged(
    folder: Path, truth: str = TRUTH, records: str = RECORDS, rules: str = RULES, name: str = "truth.csv"
) -> Evaluation:
    table = read_records([write(folder / "records.csv", records)])
    who = read_truth(write(folder / name, truth), "id")
    return evaluate(DuckDbWarehouse(folder / "w.duckdb"), rules_of(folder, rules), table, who)


def labels(truth: Sequence[tuple[str, str]]) -> TruthFile:
    return TruthFile(records=[one for one, _ in truth], others=[other for _, other in truth], names_people=True)


def test_precision_and_recall_count_pairs_after_closure(tmp_path: Path) -> None:
    found = judged(tmp_path)
    assert (found.true_pair_count, found.found_pair_count, found.correct_pair_count) == (3, 2, 1)
    assert found.precision == 0.5
    assert found.recall == pytest.approx(1 / 3)
    assert found.f1 == pytest.approx(0.4)
    assert (found.cluster_count, found.person_count) == (4, 4)


def test_each_rule_is_told_with_what_it_alone_finds(tmp_path: Path) -> None:
    email, phone = judged(tmp_path).rules
    assert (email.true_pairs, email.false_pairs, email.only_true_pairs, email.only_false_pairs) == (1, 1, 0, 1)
    assert (phone.true_pairs, phone.false_pairs, phone.only_true_pairs, phone.only_false_pairs) == (1, 0, 0, 0)


def test_what_was_missed_is_told_by_field_and_by_example(tmp_path: Path) -> None:
    found = judged(tmp_path)
    fields = {field.name: (field.different, field.empty, field.equal) for field in found.missed_fields}
    assert fields == {"email": (2, 0, 0), "phone": (0, 2, 0)}
    assert found.missed_examples == (("1", "3"), ("2", "3"))
    assert found.false_examples == (("4", "5"),)


def test_a_false_pair_that_only_a_chain_joins_is_counted_apart(tmp_path: Path) -> None:
    records = "id,email,phone\n1,a@x.example,\n2,a@x.example,0911\n3,,0911\n"
    found = judged(tmp_path, truth="id,person_id\n1,p1\n2,p1\n3,p3\n", records=records)
    assert found.found_pair_count - found.correct_pair_count == 2
    assert found.chained_false_pair_count == 1


@pytest.mark.parametrize("pairs", ["id1,id2\n1,2\n2,3\n", "left,right\n3,1\n1,2\n"])
def test_a_list_of_pairs_is_the_same_truth(tmp_path: Path, pairs: str) -> None:
    found = judged(tmp_path, truth=pairs)
    assert found.is_pair_list
    assert (found.precision, found.recall) == (judged(tmp_path).precision, judged(tmp_path).recall)


def test_people_whose_numbers_look_like_records_are_still_people(tmp_path: Path) -> None:
    found = judged(tmp_path, truth="id,person\n1,1\n2,1\n3,1\n4,2\n5,3\n6,4\n")
    assert not found.is_pair_list
    assert found.true_pair_count == 3


def test_the_truth_may_stand_among_the_records(tmp_path: Path) -> None:
    both = [line + "," + (who or "person_id") for line, who in zip(RECORDS.splitlines(), ["", *"111234"], strict=True)]
    assert judged(tmp_path, truth="\n".join(both) + "\n").true_pair_count == 3


def test_records_without_a_known_person_are_left_out_of_the_count(tmp_path: Path) -> None:
    found = judged(tmp_path, truth="id,person_id\n1,p1\n2,p1\n")
    assert (found.labelled_count, found.found_pair_count, found.precision) == (2, 1, 1.0)


def test_where_nothing_is_found_there_is_no_precision(tmp_path: Path) -> None:
    found = judged(tmp_path, records="id,email,phone\n1,a@x.example,\n2,b@x.example,\n", truth="a,b\n1,2\n")
    assert (found.precision, found.recall) == (None, 0.0)


def test_a_shared_value_is_told_masked(tmp_path: Path) -> None:
    records = "id,email,phone\n" + "".join(f"{number},office@x.example,\n" for number in range(4))
    truth = "id,person_id\n" + "".join(f"{number},p{number}\n" for number in range(4))
    found = judged(tmp_path, truth=truth, records=records, rules=RULES.replace("email}}", "email}, cap: 3}"))
    [shared] = found.shared_values
    assert (shared.rule, shared.value, shared.record_count) == ("email", "o•••@•••.example", 4)


def test_parquet_spaces_in_headers_and_several_files_are_read(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pa.table({"id": [7], "email": ["z@x.example"]}), tmp_path / "more.parquet")
    table = read_records(
        [write(tmp_path / "r.csv", "id, email , phone\n1, a@x.example ,0911\n"), tmp_path / "more.parquet"]
    )
    assert table.to_pylist() == [
        {"id": "1", "email": " a@x.example ", "phone": "0911"},
        {"id": "7", "email": "z@x.example", "phone": None},
    ]


@pytest.mark.parametrize(
    ("truth", "told"),
    [
        ("id,person_id\n", "holds no row"),
        ("id,a,b\n1,x,y\n", "not clear which say who is who"),
        ("id,person_id\n91,p1\n", "no record of the truth file is among the records"),
        ("id,person_id\n1,p1\n1,p2\n", "names two people for 1 records"),
        ("id,person_id\n1\n", "neither a CSV file"),
    ],
)
def test_a_truth_that_cannot_be_read_is_told(tmp_path: Path, truth: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        judged(tmp_path, truth=truth)


def test_records_that_cannot_be_read_are_told_without_their_values(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.csv cannot be read \(No such file"):
        read_records([tmp_path / "nowhere.csv"])
    with pytest.raises(ConfigError, match="neither a CSV file") as ragged:
        read_records([write(tmp_path / "ragged.csv", "id,email\n1,anne@x.example,extra\n")])
    assert "anne" not in str(ragged.value)
    with pytest.raises(ConfigError, match="neither a CSV file"):
        read_records([_bytes(tmp_path / "latin.csv", b"id,name\n1,Jos\xe9\n")])
    with pytest.raises(ConfigError, match="has the column 'id' twice"):
        read_records([write(tmp_path / "twice.csv", "id, id\n1,2\n")])
    with pytest.raises(ConfigError, match="holds no record"):
        read_records([write(tmp_path / "head.csv", "id,email\n")])


@pytest.mark.parametrize(
    ("shape", "people", "precision", "recall"),
    [("light", 1500, 0.998, 0.99), ("heavy", 600, 0.998, 0.94), ("voters", 1500, 0.99, 0.955)],
)
def test_the_default_rules_are_precise_and_find_nearly_all(
    tmp_path: Path, shape: str, people: int, precision: float, recall: float
) -> None:
    records, truth = make_dirty(shape, people, seed=20261122)
    found = evaluate(DuckDbWarehouse(tmp_path / "w.duckdb"), default_rules(), records, labels(truth))
    assert found.labelled_count == records.num_rows
    assert found.precision is not None and found.precision >= precision
    assert found.recall is not None and found.recall >= recall


def test_exact_identifiers_alone_miss_half_of_dirty_people(tmp_path: Path) -> None:
    rules: Rules = rules_of(
        tmp_path,
        "records: {key: rec_id}\nfields: {number: soc_sec_id}\nrules: [{name: number, match: {number: digits}}]\n",
    )
    records, truth = make_dirty("heavy", 400)
    found = evaluate(DuckDbWarehouse(tmp_path / "w.duckdb"), rules, records, labels(truth))
    assert found.recall is not None and found.recall < 0.6


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
