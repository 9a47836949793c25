"""Identity as of a day: the first time everything, then only what differs; a former id leads to who is there now."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cdp_platform.errors import ConfigError, GuardTripped, WarehouseError
from cdp_platform.identity import present
from cdp_platform.identity.present import Update, update
from cdp_platform.identity.rules import Rules
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.unit.identity.town import COLUMNS, RULES, Row, record, rules_of, together

FIRST, SECOND, THIRD = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
ANNE = [record("a1", email="anne@x.example", seen_on="2026-03-01"),
        record("a2", email="ANNE@x.example", seen_on="2026-03-02")]  # fmt: skip
OTHERS = [record(f"o{number}", email=f"o{number}@x.example", seen_on="2026-03-01") for number in range(20)]


class Records:
    """A relation of records that is written anew, and the identity of it."""

    def __init__(self, folder: Path) -> None:
        self.warehouse = DuckDbWarehouse(folder / "warehouse.duckdb")
        self.rules = rules_of(folder)

    def put(self, rows: Iterable[Row]) -> None:
        held = list(rows)
        columns = {name: pa.array([row.get(name) for row in held], pa.string()) for name in (*COLUMNS, "seen_on")}
        with self.warehouse.session("test") as session:
            session.register("given", pa.table(columns))
            session.execute("create schema if not exists town")
            session.execute(
                "create or replace table town.records as select * replace (cast(seen_on as date) as seen_on) from given"
            )

    def update(self, as_of: date | None = FIRST, rules: Rules | None = None, **more: Any) -> Update:
        given = {"records": "town.records", "schema": "identity", "as_of": as_of, **more}
        return update(self.warehouse, rules or self.rules, **given)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with self.warehouse.session("test") as session:
            return session.rows(sql)

    def people(self) -> set[frozenset[str]]:
        rows = self.rows("select list(record_key) as keys from identity.identity_clusters group by person_id")
        return {frozenset(row["keys"]) for row in rows}


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path)


def test_records_of_a_later_day_are_not_seen_before_it(records: Records) -> None:
    records.put([*ANNE, *OTHERS])
    first = records.update(FIRST)
    assert (first.scope, first.record_count, first.resolved_at) == ("all", 21, datetime(2026, 3, 1, 23, tzinfo=UTC))
    second = records.update(SECOND)
    assert (second.scope, second.changed_count, second.record_count) == ("changes", 1, 22)
    assert frozenset({"a1", "a2"}) in records.people()


def test_without_a_change_nothing_is_resolved(records: Records) -> None:
    records.put([*ANNE, *OTHERS])
    records.update(SECOND)
    again = records.update(THIRD)
    assert (again.scope, again.resolution) == ("none", None)
    assert len(records.rows("select * from identity.identity_runs")) == 1


def test_a_changed_a_new_and_a_gone_record_are_told_apart_from_the_rest(records: Records) -> None:
    records.put([*ANNE, *OTHERS])
    records.update(SECOND)
    moved = record("o0", email="anne@x.example", seen_on="2026-03-01")
    records.put([*ANNE, moved, *OTHERS[2:], record("n", email="n@x.example", seen_on="2026-03-03")])
    found = records.update(THIRD)
    assert (found.scope, found.changed_count, found.gone_count) == ("changes", 2, 1)
    assert frozenset({"a1", "a2", "o0"}) in records.people()
    assert not any("o1" in keys for keys in records.people())


def test_other_rules_and_many_changes_resolve_everything(records: Records, tmp_path: Path) -> None:
    records.put(OTHERS)
    records.update()
    (tmp_path / "new").mkdir()
    assert records.update(rules=rules_of(tmp_path / "new", RULES.replace("cap: 4", "cap: 5"))).scope == "all"
    records.put([{**row, "email": f"new.{row['email']}"} for row in OTHERS])
    assert records.update(SECOND, rules=records.rules).scope == "all"


def test_each_run_has_a_moment_of_its_own_also_on_one_day(records: Records) -> None:
    records.put(OTHERS)
    first = records.update()
    records.put([*OTHERS, *ANNE])
    second = records.update()
    assert first.resolved_at < second.resolved_at
    assert {run["resolved_at"] for run in records.rows("select resolved_at from identity.identity_runs")} == {
        first.resolved_at,
        second.resolved_at,
    }


def test_a_former_id_leads_to_the_person_who_is_there_now_over_several_merges_and_back(records: Records) -> None:
    alone = [record(key, email=f"{key}@x.example", seen_on="2026-03-01") for key in "abc"]
    records.put([*alone, *OTHERS])
    records.update()
    ids = {row["record_key"]: row["person_id"] for row in records.rows("select * from identity.identity_clusters")}
    bridge = record("z1", email="a@x.example", phone="0912345678", seen_on="2026-03-02")
    bridge_on = record("z2", email="b@x.example", phone="0912345678", seen_on="2026-03-02")
    records.put([*alone, *OTHERS, bridge, bridge_on])
    records.update(SECOND)
    third = record("z3", email="c@x.example", phone="0912345678", seen_on="2026-03-03")
    records.put([*alone, *OTHERS, bridge, bridge_on, third])
    records.update(THIRD)
    now = {
        row["person_id"]: row["present_person_id"] for row in records.rows("select * from identity.identity_person_ids")
    }
    assert len({now[ids[key]] for key in "abc"}) == 1
    records.put([*alone, *OTHERS])
    records.update(THIRD)
    now = {
        row["person_id"]: row["present_person_id"] for row in records.rows("select * from identity.identity_person_ids")
    }
    present = {row["person_id"] for row in records.rows("select person_id from identity.identity_clusters")}
    assert records.people() >= together("a", "b", "c")
    assert {now[ids[key]] for key in "abc"} <= present


def test_a_run_that_would_merge_too_many_people_writes_nothing_and_names_the_rule(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp_platform.identity.resolve.FEWEST_MERGED", 3)
    ten = OTHERS[:10]
    records.put(ten)
    records.update()
    before = records.people()
    assert len(before) == len(ten)
    pairs = [{**row, "phone": f"0912 000 00{number // 2}"} for number, row in enumerate(ten)]
    records.put(pairs)
    with pytest.raises(GuardTripped, match=r"merge 5 of 10 people.*rule.*`phone`") as stopped:
        records.update(SECOND, most_merged_share=0.2)
    assert stopped.value.counts["merged"] == 5
    assert records.people() == before
    assert records.update(SECOND, most_merged_share=0.6).resolution is not None
    assert len(records.people()) == 5


def test_a_crash_before_the_records_are_remembered_finds_the_same_people_again(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.put(OTHERS)
    records.update()
    records.put([*OTHERS, *ANNE])

    def die(*_: object) -> None:
        raise WarehouseError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(present, "_remember", die)
        with pytest.raises(WarehouseError):
            records.update(SECOND)
    found = records.people()
    assert frozenset({"a1", "a2"}) in found
    assert records.update(SECOND).scope == "changes"
    assert records.people() == found
    assert records.rows("select * from identity.identity_merges") == []


def test_records_without_the_day_are_refused(records: Records) -> None:
    records.put(OTHERS)
    with pytest.raises(ConfigError, match=r"no column 'known_on'.*seen_on"):
        records.update(day_column="known_on")


def test_a_record_without_a_key_stops_the_run_also_among_a_days_changes(records: Records) -> None:
    records.put(OTHERS)
    records.update()
    records.put([*OTHERS, {"email": "x@x.example", "seen_on": "2026-03-01"}])
    with pytest.raises(GuardTripped, match="1 are empty"):
        records.update(SECOND)
