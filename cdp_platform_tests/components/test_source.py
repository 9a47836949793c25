"""A source of one's own: files and a SQLite table by YAML alone, loaded as assets; a wrong word is told apart."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cdp_platform.components.loading import load_definitions
from cdp_platform.components.resources import PLATFORM
from cdp_platform.errors import ConfigError

SHOP = """\
type: cdp_platform.components.SourceComponent
attributes:
  source: shop
  days: {start: 2024-03-01, end: 2024-03-03, time_zone: Asia/Taipei}
  tables:
    visits:
      files: "delivered/visits-{day}.jsonl"
      columns: {visit_id: text, visited_at: instant}
      required: [visit_id]
    orders:
      files: "{home}/orders.csv"
      columns: {order_id: integer, paid: "decimal(12,2)", ordered_at: instant}
      day: ordered_at
    customers:
      database: delivered/desk.sqlite
      table: people
      columns: {customer_id: text}
  descriptions: {visits: One row per visit.}
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDP_HOME", str(tmp_path / "home"))
        yield tmp_path / "home"


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Path:
    """A project with three tables that were delivered to it."""
    project = tmp_path / "project"
    for folder in (home, project / "delivered", project / "defs" / "shop"):
        folder.mkdir(parents=True)
    (project / "defs" / "shop" / "defs.yaml").write_text(SHOP)
    for day, count in (("2024-03-01", 1), ("2024-03-02", 0), ("2024-03-03", 2)):
        rows = [{"visit_id": f"{day}-{number}", "visited_at": f"{day}T12:00:00Z"} for number in range(count)]
        text = "".join(f"{json.dumps(row)}\n" for row in rows)
        (project / "delivered" / f"visits-{day}.jsonl").write_text(text)
    (home / "orders.csv").write_text(
        "order_id,paid,ordered_at\n1,9.90,2024-02-29T16:00:00Z\n2,1.00,2024-03-01T16:00:00Z\n3,x,2024-03-01T16:00:00Z\n"
    )
    with closing(sqlite3.connect(project / "delivered" / "desk.sqlite")) as connection, connection:
        connection.execute("create table people (customer_id integer)")
        connection.execute("insert into people values (7)")
    return project


def load(project: Path, table: str, first: str = "", last: str = "") -> Any:
    definitions = load_definitions(project / "defs", project_root=project)
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last} if first else {}
    with dg.DagsterInstance.ephemeral() as instance:
        return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(["raw", "shop", table])], tags=tags, raise_on_error=False
        )


def rows(sql: str) -> list[dict[str, Any]]:
    with PLATFORM.warehouse.session("test") as session:
        return session.rows(sql)


def test_files_by_day_are_partitions_and_a_range_is_one_run(project: Path) -> None:
    result = load(project, "visits", "2024-03-01", "2024-03-03")
    assert result.success
    events = result.get_asset_materialization_events()
    counts = {event.partition: event.materialization.metadata["dagster/partition_row_count"].value for event in events}
    assert counts == {"2024-03-01": 1, "2024-03-02": 0, "2024-03-03": 2}
    by_day = "select cast(file_day as varchar) as day, count(*) as n from raw_shop.visits group by 1 order by 1"
    assert rows(by_day) == [{"day": "2024-03-01", "n": 1}, {"day": "2024-03-03", "n": 2}]


def test_a_day_loaded_again_is_replaced_and_no_other_is_touched(project: Path) -> None:
    assert load(project, "visits", "2024-03-01", "2024-03-03").success
    (project / "delivered" / "visits-2024-03-03.jsonl").write_text('{"visit_id": "new"}\n')
    assert load(project, "visits", "2024-03-03", "2024-03-03").success
    assert [row["visit_id"] for row in rows("select visit_id from raw_shop.visits order by 1")] == [
        "2024-03-01-0",
        "new",
    ]


def test_a_day_of_an_instant_is_taken_in_the_source_s_time_zone_and_bad_rows_are_counted(project: Path) -> None:
    result = load(project, "orders", "2024-03-01", "2024-03-01")
    assert result.success
    [event] = result.get_asset_materialization_events()
    assert event.materialization.metadata["unreadable_rows"].value == 1
    [row] = rows("select order_id, cast(paid as varchar) as paid, ordered_at_day from raw_shop.orders")
    assert (row["order_id"], row["paid"], str(row["ordered_at_day"])) == (1, "9.90", "2024-03-01")


def test_a_table_of_a_database_is_loaded_whole(project: Path) -> None:
    assert load(project, "customers").success
    assert load(project, "customers").success
    assert rows("select customer_id from raw_shop.customers") == [{"customer_id": "7"}]


def test_a_delivery_that_did_not_come_fails_the_run_and_leaves_the_table(project: Path) -> None:
    assert load(project, "visits", "2024-03-01", "2024-03-03").success
    (project / "delivered" / "visits-2024-03-03.jsonl").unlink()
    result = load(project, "visits", "2024-03-03", "2024-03-03")
    assert not result.success
    assert "there is no file" in str(result.all_events)
    assert rows("select count(*) as n from raw_shop.visits") == [{"n": 3}]


@pytest.mark.parametrize(
    ("old", "new", "field", "says"),
    [
        ("source: shop", "source: retail", "source", "already"),
        ("visit_id: text, v", "visit_id: txt, v", "tables.visits.columns.visit_id", "no column type 'txt'"),
        ("required: [visit_id]", "required: [visitid]", "tables.visits.required", "Did you mean `visit_id`?"),
        ("day: ordered_at", "day: orderd_at", "tables.orders.day", "Did you mean `ordered_at`?"),
        ("day: ordered_at", "day: order_id", "tables.orders.day", "a date or an instant"),
        ("required: [visit_id]", "day: visited_at", "tables.visits.day", "the files' names hold the day already"),
        (".jsonl", ".parquet", "tables.visits.files", "ends in none of"),
        ("database: delivered/desk.sqlite", "database: delivered/{day}.sqlite", "tables.customers.database", "{day}"),
        ("database: delivered/desk.sqlite", "files: a.csv", "tables.customers.table", "leave it out"),
        ('files: "{home}/orders.csv"', "database: x\n      files: y.csv", "tables.orders", "either"),
        ("columns: {customer_id: text}", "columns: {}", "tables.customers.columns", "at least one column"),
        ("  days: {start: 2024-03-01, end: 2024-03-03, time_zone: Asia/Taipei}\n", "", "days", "has days"),
        ("{visits: One row", "{visit: One row", "descriptions.visit", "Did you mean `visits`?"),
        ("files:", "fils:", "tables.visits.fils", "Did you mean `files`?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_file_line_and_field(
    project: Path, old: str, new: str, field: str, says: str
) -> None:
    path = project / "defs" / "shop" / "defs.yaml"
    assert old in SHOP
    path.write_text(SHOP.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_definitions(project / "defs", project_root=project)
    told = str(caught.value)
    assert f"{path}:" in told
    assert f"field `{field}`" in told
    assert says in told
