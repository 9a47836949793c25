"""A plan's statements do not grow with the model, and what comes out of the warehouse grows with the changes alone."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cdp_platform.testing.fakes import FakeDestination
from cdp_platform.warehouse.base import Warehouse
from cdp_platform_tests.unit.syncs.conftest import Shop
from cdp_platform_tests.warehouses.emulators import NoSecrets
from cdp_platform_tests.warehouses.wire import Wire

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
FEW, MANY = 1_000, 20_000
_ROW_BYTES = 1_500
"""More than a planned row of this model takes on any of the wires: it takes some 500."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A warehouse, and the same one over a wire that counts."""

    direct: Warehouse
    wired: Warehouse
    wire: Wire
    statements: list[str]
    """What either of them has been told."""

    def fill(self, count: int) -> None:
        """Make a model of so many people, all of whom said yes."""
        numbers = range(count)
        people = pa.table(
            {
                "person_id": [f"p-{number:06}" for number in numbers],
                "email": [f"person{number}@example.com" for number in numbers],
            }
        )
        with self.direct.session("test") as session:
            session.register("given", people)
            for schema in ("activation", "marts"):
                session.execute(f"create schema if not exists {schema}")
            session.execute(
                "create or replace table activation.sync_contacts__crm as select person_id, email,"
                " 'granted' as email_permission, 'loyal' as segment, cast(10 as decimal(14,4)) as lifetime_value"
                " from given"
            )
            session.execute(
                "create or replace table marts.consents as select email as identifier, 'shop' as entity,"
                " 'email' as channel, 'email_marketing' as purpose, 'granted' as status from given"
            )
            session.execute(
                "create table if not exists marts.suppressions (identifier varchar, channel varchar, entity varchar)"
            )

    def change(self, count: int) -> None:
        """Give the first `count` people another segment."""
        with self.direct.session("test") as session:
            session.execute(
                f"update activation.sync_contacts__crm set segment = segment || '!' where person_id < 'p-{count:06}'"
            )


@pytest.fixture(params=["postgres", "fakesnow", "crucible"])
def stage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    server = request.getfixturevalue(request.param)
    both: tuple[Any, Any]
    with ExitStack() as held:
        if request.param == "postgres":
            from adbc_driver_manager.dbapi import Cursor

            from cdp_platform.warehouse.postgres import PostgresWarehouse

            address, folder = server.new_database(), tmp_path / "wire"
            folder.mkdir()
            wire = held.enter_context(Wire(str(server.folder / ".s.PGSQL.5432"), folder))
            both = PostgresWarehouse(address), PostgresWarehouse(address.replace(str(server.folder), str(folder)))
            run = (Cursor, "execute")
        else:
            account = server.new_account()
            wire = held.enter_context(Wire(("127.0.0.1", server.port)))
            wired = account.model_copy(update={"api_endpoint": f"http://127.0.0.1:{wire.port}"})
            both, run = _of_account(request.param, account, wired)
        yield Stage(
            direct=held.enter_context(closing(both[0])),
            wired=held.enter_context(closing(both[1])),
            wire=wire,
            statements=_counted(monkeypatch, *run),
        )


def _of_account(emulator: str, account: Any, wired: Any) -> tuple[tuple[Any, Any], tuple[type, str]]:
    if emulator == "fakesnow":
        from snowflake.connector.cursor import SnowflakeCursor

        from cdp_platform.warehouse.snowflake import SnowflakeWarehouse

        return (SnowflakeWarehouse(account, NoSecrets()), SnowflakeWarehouse(wired, NoSecrets())), (
            SnowflakeCursor,
            "execute",
        )
    from google.cloud.bigquery import Client

    from cdp_platform.warehouse.bigquery import BigQueryWarehouse

    return (BigQueryWarehouse(account, NoSecrets()), BigQueryWarehouse(wired, NoSecrets())), (Client, "query")


def _counted(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[str]:
    """The statements that a driver is told from now on."""
    told: list[str] = []
    method = getattr(owner, name)

    def counting(self: object, sql: str, *given: Any, **named: Any) -> Any:
        told.append(sql)
        return method(self, sql, *given, **named)

    monkeypatch.setattr(owner, name, counting)
    return told


def test_what_leaves_grows_with_the_changes_alone_and_statements_with_nothing(stage: Stage, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "home", stage.direct)
    shop.destination = FakeDestination(batch_rows=1_000)
    left: dict[tuple[int, int], int] = {}
    statements: dict[tuple[int, int], int] = {}
    for rows in (FEW, MANY):
        stage.fill(rows)
        shop.warehouse = stage.direct
        shop.run()
        shop.warehouse = stage.wired
        assert shop.plan().unchanged == rows
        for changed in (10, 100):
            stage.change(changed)
            before, said = stage.wire.received_bytes, len(stage.statements)
            plan = shop.plan()
            left[rows, changed] = stage.wire.received_bytes - before
            statements[rows, changed] = len(stage.statements) - said
            assert (plan.operations, plan.unchanged) == ({"update": changed}, rows - changed)
    assert len(set(statements.values())) == 1
    for changed in (10, 100):
        assert left[MANY, changed] < 1.05 * left[FEW, changed]
    for rows in (FEW, MANY):
        assert 0 < left[rows, 100] - left[rows, 10] < 90 * _ROW_BYTES
