"""Identity as assets: what a run writes and shows, what stops it, and which YAML is refused."""

import shutil
from base64 import b64decode
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cdp_platform.components.loading import load_definitions
from cdp_platform.components.resources import PLATFORM
from cdp_platform.errors import ConfigError
from cdp_platform.identity.story import tell_person
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.components.conftest import ROOT

DAY = date(2017, 12, 30)
COLUMNS = (
    "record_key", "source", "customer_number", "other_customer_number", "card_number", "anonymous_id", "email", "phone",
    "given_name", "surname", "full_name", "birth_date", "postcode",
)  # fmt: skip
CLUSTERS, HEALTH = dg.AssetKey(["identity", "identity_clusters"]), dg.AssetKey(["identity", "health"])
Row = dict[str, str]


def customer(number: int, **values: str) -> Row:
    given = {
        "record_key": f"retail:{number}",
        "source": "retail",
        "customer_number": str(number),
        "seen_on": "2017-01-05",
    }
    return {**given, "email": f"c{number}@example.com", "full_name": f"Ann Number{number}x", **values}


def ticket(number: int, seen_on: str = "2017-12-30", **values: str) -> Row:
    return {"record_key": f"support:T-{number}", "source": "support", "seen_on": seen_on, **values}


@pytest.fixture
def folder(parsed_home: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of our own `defs/`, to be changed; the warehouse goes afterwards."""
    yield Path(shutil.copytree(ROOT / "cdp_platform" / "defs", tmp_path / "defs"))
    PLATFORM.home.warehouse.unlink(missing_ok=True)
    shutil.rmtree(PLATFORM.home.root / "demo", ignore_errors=True)


def put(rows: list[Row], day: date = DAY) -> None:
    """Write records as dbt would, with the clock at a day, and the truth: one person for each customer's number."""
    home = PLATFORM.home
    home.warehouse.parent.mkdir(parents=True, exist_ok=True)
    names = (*COLUMNS, "seen_at", "seen_on")
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute("create schema if not exists cdp; create schema if not exists intermediate")
        connection.execute(f"create or replace table cdp.loop_clock as select date '{day}' as as_of_on")
        told = ", ".join(f"{name} varchar" for name in COLUMNS)
        connection.execute(
            f"create or replace table intermediate.int_identity_records ({told}, seen_at timestamptz, seen_on date)"
        )
        values = [[row.get(name) for name in names] for row in rows]
        connection.executemany(
            f"insert into intermediate.int_identity_records values ({', '.join('?' for _ in names)})", values
        )
    keys = [row["record_key"].split(":") for row in rows]
    truth = {"source": [key[0] for key in keys], "record_id": [key[1] for key in keys],
             "person_id": [row.get("customer_number", "1") for row in rows]}  # fmt: skip
    (home.root / "demo").mkdir(exist_ok=True)
    pq.write_table(pa.table({name: pa.array(column, pa.string()) for name, column in truth.items()}),
                   home.root / "demo" / "truth.parquet")  # fmt: skip


def run(folder: Path, *, is_success: bool = True) -> Any:
    definitions = load_definitions(folder, project_root=ROOT)
    keys = [key for key in definitions.resolve_asset_graph().materializable_asset_keys if key.path[0] == "identity"]
    assert len(keys) == 6
    job = definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, asset_selection=keys, raise_on_error=False)
    assert result.success is is_success
    return result


def shown(result: Any, key: dg.AssetKey) -> dict[str, Any]:
    [event] = [one for one in result.get_asset_materialization_events() if one.asset_key == key]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def checks(result: Any) -> dict[str, bool]:
    return {one.check_name: one.passed for one in result.get_asset_check_evaluations()}


def change(folder: Path, name: str, old: str, new: str) -> None:
    file = folder / "identity" / name
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def people() -> set[frozenset[str]]:
    with duckdb.connect(str(PLATFORM.home.warehouse)) as connection:
        rows = connection.execute("select list(record_key) from identity.identity_clusters group by person_id")
        return {frozenset(keys) for (keys,) in rows.fetchall()}


def test_a_run_writes_who_is_one_person_and_health_shows_counts_a_picture_and_how_right_it_is(folder: Path) -> None:
    put(
        [
            customer(1),
            customer(2),
            ticket(1, email="C1@example.com", full_name="NUMBER1X, Ann"),
            ticket(2, "2017-12-31"),
        ]
    )
    result = run(folder)
    assert people() == {frozenset({"retail:1", "support:T-1"}), frozenset({"retail:2"})}
    clusters, health = shown(result, CLUSTERS), shown(result, HEALTH)
    assert (clusters["scope"], clusters["dagster/row_count"], clusters["people"]) == ("all", 3, 2)
    assert (health["people"], health["largest_person"], health["precision"], health["recall"]) == (2, 2, 1.0, 1.0)
    picture = b64decode(health["cluster_sizes"].partition("base64,")[2].partition(")")[0])
    assert len(ElementTree.fromstring(picture).findall("{http://www.w3.org/2000/svg}rect")) == 8
    assert set(checks(result).values()) == {True}


def test_a_ticket_of_the_next_day_merges_two_people_and_the_day_stands_in_the_log(folder: Path) -> None:
    both = ticket(7, "2017-12-31", customer_number="1", other_customer_number="2")
    others = [customer(number) for number in range(3, 20)]
    put([customer(1), customer(2), *others, both])
    run(folder)
    put([customer(1), customer(2), *others, both], date(2017, 12, 31))
    result = run(folder)
    assert frozenset({"retail:1", "retail:2", "support:T-7"}) in people()
    health = shown(result, HEALTH)
    assert (shown(result, CLUSTERS)["scope"], health["merges"]) == ("changes", 1)
    assert "| 2017-12-31 | 1 | 0 |" in health["moves_by_day"]
    with duckdb.connect(str(PLATFORM.home.warehouse)) as connection:
        [(former, now, day)] = connection.execute(
            "select former_person_id, person_id, cast(resolved_at at time zone 'UTC' as date)"
            " from identity.identity_merges"
        ).fetchall()
    assert day == date(2017, 12, 31)
    story = tell_person(DuckDbWarehouse(PLATFORM.home.warehouse), former, schema="identity")
    assert story is not None
    assert (story.person_id, story.former_ids) == (now, (former,))
    told = {record.record_key: dict(record.shares) for record in story.records}
    assert told["retail:2"] == {"customer_number": ("support:T-7",)}
    assert set(told["support:T-7"]["customer_number"]) == {"retail:1", "retail:2"}


def test_no_person_stands_in_the_metadata(folder: Path) -> None:
    put([customer(1), ticket(1, email="c1@example.com", full_name="Ann Number1x")])
    result = run(folder)
    told = str([shown(result, key) for key in (CLUSTERS, HEALTH)])
    assert "c1@" not in told
    assert "Number1x" not in told


def test_a_rule_that_would_merge_everybody_stops_the_run_and_names_the_rule_and_the_masked_value(folder: Path) -> None:
    change(folder, "rules.yaml", "    match: {card_number: digits}", "    match: {postcode: postal}\n    cap: 100000")
    put([customer(number, postcode="10115") for number in range(300)])
    result = run(folder, is_success=False)
    assert checks(result) == {"rules_are_believed": False}
    [said] = [one.metadata["said"].value for one in result.get_asset_check_evaluations()]
    assert "rule `card_number`" in said
    assert "'1•••'" in said and "10115" not in said
    with duckdb.connect(str(PLATFORM.home.warehouse)) as connection:
        tables = connection.execute("select table_name from information_schema.tables where table_schema = 'identity'")
        assert tables.fetchall() == []


def test_a_value_of_more_records_than_its_cap_joins_nobody_and_is_shown_by_its_hash(folder: Path) -> None:
    devices = [
        {"record_key": f"web:kiosk|{number}", "source": "web", "anonymous_id": "kiosk", "seen_on": "2017-01-05",
         "customer_number": str(number)}
        for number in range(1, 4)
    ]  # fmt: skip
    put([*(customer(number) for number in range(1, 4)), *devices])
    result = run(folder)
    assert len(people()) == 3
    health = shown(result, HEALTH)
    assert "| anonymous_id | 1 |" in health["shared_values_by_rule"]
    assert "kiosk" not in health["most_shared_values"]
    assert checks(result)["shared_values_within_bounds"] is False


def test_a_person_of_more_records_than_the_limit_fails_the_check(folder: Path) -> None:
    change(folder, "defs.yaml", "largest_person: 40", "largest_person: 2")
    put([customer(1), *(ticket(number, customer_number="1") for number in range(3))])
    assert checks(run(folder, is_success=False))["largest_person_within_bounds"] is False


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "records: int_identity_records",
            "records: int_identity_record",
            r"defs\.yaml:3.*Did you mean `int_identity_rec",
        ),
        ("rules: rules.yaml", "rules: rule.yaml", r"defs\.yaml:4.*no rule file 'rule.yaml'"),
        ("merged_share: 0.05", "merged_share: 5", r"defs\.yaml:6.*merged_share"),
        ("merged_share: 0.05", "merge_share: 0.05", r"defs\.yaml:6.*Did you mean `merged_share`"),
    ],
)
def test_a_mistake_in_the_yaml_is_told_with_its_line(folder: Path, old: str, new: str, told: str) -> None:
    change(folder, "defs.yaml", old, new)
    with pytest.raises(ConfigError, match=told):
        load_definitions(folder, project_root=ROOT)


def test_a_mistake_in_the_rules_is_told_with_their_file_and_line(folder: Path) -> None:
    change(folder, "rules.yaml", "match: {card_number: digits}", "match: {card_number: digit}")
    with pytest.raises(ConfigError, match=r"rules\.yaml:17.*no normaliser 'digit'.*`digits`"):
        load_definitions(folder, project_root=ROOT)
