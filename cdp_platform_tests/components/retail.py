"""The marts of the shipped dbt project with three people in them, written without dbt, for the shipped audiences."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from cdp_platform.components.dbt_manifest import DbtManifest

DAY = date(2017, 12, 30)
TYPES = {"text": "varchar", "timestamp": "timestamptz"}
MODELS = (
    "profiles",
    "traits_rfm",
    "traits_engagement",
    "traits_departments",
    "person_orders",
    "person_order_lines",
    "consents",
    "suppressions",
)


class Retail:
    """A warehouse as of a day: `lover` is a coupon lover, `away` is at risk, `quiet` is neither."""

    def __init__(self, path: Path, manifest: DbtManifest) -> None:
        self.path = path
        self._columns = {name: _columns(manifest, name) for name in MODELS}

    def build(self, day: date = DAY, *, coupons: int = 5, away_days: int = 30) -> None:
        """Write everything anew."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(str(self.path)) as connection:
            connection.execute("create schema if not exists cdp; create schema if not exists marts")
            connection.execute(f"create or replace table cdp.loop_clock as select date '{day}' as as_of_on")
            for name, columns in self._columns.items():
                told = ", ".join(f"{column} {kind}" for column, kind in columns.items())
                connection.execute(f"create or replace table marts.{name} ({told})")
            for person in ("lover", "away", "quiet"):
                self._person(connection, person, day, coupons, away_days)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path)) as connection:
            return connection.execute(sql).fetchall()

    def _person(
        self, connection: "duckdb.DuckDBPyConnection", person: str, day: date, coupons: int, away_days: int
    ) -> None:
        address = f"{person}@example.com"
        last = day - timedelta(days=away_days if person == "away" else 1)
        score = 5 if person == "away" else 1
        rows: list[tuple[str, Mapping[str, Any]]] = [
            ("profiles", {"person_id": person, "entity": "retail_us", "email": address, "household_size": "2"}),
            ("traits_rfm", {"person_id": person, "monetary_score": score, "lifetime_value": 100,
                            "days_since_last_order": (day - last).days, "last_order_on": last}),
            ("traits_engagement", {"person_id": person, "coupons_redeemed": coupons if person == "lover" else 0}),
            ("consents", {"identifier": address, "entity": "retail_us", "channel": "email",
                          "purpose": "email_marketing", "status": "granted"}),
        ]  # fmt: skip
        for number in range(14):
            order = {"person_id": person, "order_day": last - timedelta(days=7 * number), "is_purchase": True}
            rows.append(("person_orders", {**order, "order_value": 20}))
        for table, row in rows:
            names, marks = ", ".join(row), ", ".join("?" for _ in row)
            connection.execute(f"insert into marts.{table} ({names}) values ({marks})", list(row.values()))


def _columns(manifest: DbtManifest, name: str) -> dict[str, str]:
    node = manifest.find(name)
    assert node is not None
    return {
        column: TYPES.get(told["data_type"], told["data_type"]) for column, told in node["columns"].items()
    }  # fmt: skip
