"""A shop whose people have spent something, with its audiences."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.audiences import definition as tree
from cdp_platform.audiences.catalogue import Catalogue
from cdp_platform.audiences.definition import Comparison, Definition, Operator
from cdp_platform.audiences.membership import Taken, take_over
from cdp_platform.warehouse.duckdb import DuckDbSession, DuckDbWarehouse
from cdp_platform_tests.unit.audiences.market import AS_OF, Market, Person, catalogue, fill

CATALOGUE = catalogue()
NEXT_DAY = AS_OF + timedelta(days=1)


def spenders(least: int = 10, name: str = "spenders", **more: Any) -> Definition:
    members = tree.TraitCondition(
        trait=CATALOGUE.traits["spent"], comparison=Comparison(operator=Operator.AT_LEAST, values=(least,))
    )
    return Definition(name=name, members=members, version=f"at_least_{least}", document="{}", **more)


class Shop:
    """A warehouse with people who have spent something, and its audiences."""

    def __init__(self, session: DuckDbSession, warehouse: DuckDbWarehouse, known: Catalogue = CATALOGUE) -> None:
        self.session, self.dialect, self.known = session, warehouse.dialect, known

    def spent(self, **amounts: int) -> None:
        people = [Person(person_id=name, spent=Decimal(amount)) for name, amount in amounts.items()]
        fill(self.session, Market(people=people))

    def run(self, definition: Definition, day: date = AS_OF, before: Definition | None = None) -> Taken:
        return take_over(self.session, self.dialect, definition, self.known, as_of=day, before=before)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.session.rows(sql)]

    def members(self, audience: str = "spenders") -> set[str]:
        return {row[0] for row in self.rows(f"select person_id from audiences.{audience}")}

    def everything(self) -> list[list[tuple[Any, ...]]]:
        tables = ("audience_membership_history", "audience_assignments", "audience_sizes", "audience_members")
        return [self.rows(f"select * from audiences.{table} order by all") for table in tables]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    with warehouse.session("test") as session:
        yield Shop(session, warehouse)
