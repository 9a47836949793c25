"""Whatever goes wrong at the vendor's, the error names statement and way out; nothing is half planned or settled."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.errors import CdpError, WarehouseError
from cdp_platform.warehouse.base import Warehouse
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of
from cdp_platform_tests.warehouses.emulators import NoSecrets
from cdp_platform_tests.warehouses.strikes import CANARY, Strikes, Trouble, listening, troubles_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
_MODEL = "sync_contacts__crm"
_DROP = f"drop table activation.{_MODEL}"
_RETYPE = (
    f"create or replace table activation.{_MODEL} as select person_id, email, email_permission, segment,"
    f" '{CANARY}' as lifetime_value from marts.kept"
)
_SETTLES = r"insert into .*settles"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A shop on an emulator, another way into the same warehouse, and what the driver is told."""

    engine: str
    shop: Shop
    direct: Warehouse
    strikes: Strikes

    def people(self, segment: str) -> None:
        """Three people, of whom one has changed."""
        changed = person_of(1, segment=segment, email=CANARY)
        self.shop.people([changed, person_of(2), person_of(3)])

    def books(self) -> dict[str, Any]:
        """What the ledger and its tables hold."""
        with self.direct.session("test") as session:
            [ledger] = session.rows("select ledger_id, version from cdp.ledgers")
            tables = ("settles", "delivered_rows", "rejected_rows", "unknown_rows", f"ledger_{ledger['ledger_id']}")
            counts = {
                name: session.rows(f"select count(*) as row_count from cdp.{name}")[0]["row_count"] for name in tables
            }
        return {**ledger, **counts}

    def told_of(self, act: Callable[[], object]) -> str:
        with pytest.raises(WarehouseError) as failure:
            act()
        assert "canary" not in str(failure.value)
        return str(failure.value)


@pytest.fixture(params=["snowflake", "bigquery"])
def stage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    engine: str = request.param
    both: tuple[Any, Any]
    if engine == "snowflake":
        account = request.getfixturevalue("fakesnow").new_account()
        from cdp_platform.warehouse.snowflake import SnowflakeWarehouse

        both = SnowflakeWarehouse(account, NoSecrets()), SnowflakeWarehouse(account, NoSecrets())
    else:
        account = request.getfixturevalue("crucible").new_account()
        from cdp_platform.warehouse.bigquery import BigQueryWarehouse

        both = tuple(BigQueryWarehouse(account, NoSecrets(), retry_seconds=0.3) for _ in range(2))
    strikes = listening(monkeypatch, engine)
    with closing(both[0]), closing(both[1]):
        shop = Shop(tmp_path / "home", both[0])
        stage = Stage(engine=engine, shop=shop, direct=both[1], strikes=strikes)
        stage.people("loyal")
        shop.run()
        yield stage


def raising(trouble: Trouble) -> Callable[[Any], None]:
    def act(driver: Any) -> None:
        raise trouble.make()

    return act


def test_a_plan_that_is_refused_says_why_and_leaves_the_books_and_the_next_plan_as_they_are(stage: Stage) -> None:
    stage.people("new")
    before, arrived = stage.books(), len(stage.shop.account.arrived)
    for trouble in troubles_of(stage.engine):
        said = len(stage.strikes.said)
        with stage.strikes.at("operations", raising(trouble)):
            text = stage.told_of(stage.shop.plan)
        assert len(stage.strikes.said) - said > 5, trouble.name
        assert trouble.told in text, trouble.name
        assert "plan crm_contacts, query 01ab-query" in text or "plan crm_contacts, job cdp-" in text, trouble.name
        assert stage.books() == before, trouble.name
    assert dict(stage.shop.plan().operations) == {"update": 1}
    assert len(stage.shop.account.arrived) == arrived


def test_a_settlement_that_is_refused_keeps_nothing_and_the_next_run_settles_without_sending(stage: Stage) -> None:
    for number, trouble in enumerate(troubles_of(stage.engine)):
        stage.people(f"new {number}")
        before, arrived = stage.books(), len(stage.shop.account.arrived)
        plan = stage.shop.plan()
        with stage.strikes.at(_SETTLES, raising(trouble)):
            text = stage.told_of(lambda plan=plan: stage.shop.send(plan))
        assert trouble.told in text and "settle crm_contacts" in text, trouble.name
        assert len(stage.shop.account.arrived) == arrived + 1, trouble.name
        assert stage.books() == before, trouble.name
        assert stage.shop.plan().to_send == 0, trouble.name
        after = stage.books()
        assert (after["version"], after["delivered_rows"]) == (before["version"] + 1, before["delivered_rows"] + 1)
        assert len(stage.shop.account.arrived) == arrived + 1, trouble.name


@pytest.mark.parametrize("sql", [_DROP, _RETYPE])
def test_a_model_that_is_dropped_or_retyped_under_a_plan_is_planned_whole_or_not_at_all(stage: Stage, sql: str) -> None:
    stage.people("new")
    before, told = stage.books(), []
    with stage.direct.session("test") as session:
        session.execute(f"create table marts.kept as select * from activation.{_MODEL}")

    def change(driver: object) -> None:
        with stage.direct.session("dbt") as session:
            session.execute(sql)

    for place in range(4):
        stage.people("new")
        with stage.strikes.at(_MODEL, change, place):
            told.append(outcome(stage.shop))
        assert stage.strikes.place < 0, "the plan ended before the model was changed"
        assert stage.books() == before, place
    assert set(told) <= {"as before", "as after", "refused"} and set(told) != {"as before"}, told
    stage.people("new")
    assert outcome(stage.shop) == "as before"


def outcome(shop: Shop) -> str:
    """What became of a plan: the one of the table before, of the one after, or a clear error."""
    try:
        plan = shop.plan()
    except CdpError as error:
        text = str(error)
        return "refused" if _MODEL in text and "canary" not in text else text
    if (dict(plan.operations), plan.unchanged) == ({"update": 1}, 2):
        return "as before"
    return "as after" if (dict(plan.operations), plan.skipped) == ({}, {"invalid_value": 3}) else str(plan)
