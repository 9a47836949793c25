"""The clock of the loop goes forward only, and tells nobody but this machine."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from cdp_platform.components.clock import announce, read_clock, set_clock
from cdp_platform.errors import ConfigError, ConnectionFailed
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

CHRISTMAS = date(2017, 12, 25)


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDbWarehouse:
    return DuckDbWarehouse(tmp_path / "warehouse.duckdb")


def test_a_clock_that_was_never_set_shows_no_day(warehouse: DuckDbWarehouse) -> None:
    assert read_clock(warehouse) is None


def test_the_clock_shows_the_day_it_was_set_to(warehouse: DuckDbWarehouse) -> None:
    assert set_clock(warehouse, CHRISTMAS) == CHRISTMAS
    assert read_clock(warehouse) == CHRISTMAS


def test_the_clock_does_not_go_back(warehouse: DuckDbWarehouse) -> None:
    set_clock(warehouse, CHRISTMAS)
    assert set_clock(warehouse, date(2017, 3, 1)) == CHRISTMAS
    assert read_clock(warehouse) == CHRISTMAS


def test_the_clock_holds_one_row_however_often_it_is_set(warehouse: DuckDbWarehouse) -> None:
    for day in (24, 25, 25, 26):
        set_clock(warehouse, date(2017, 12, day))
    with warehouse.session("test") as session:
        assert session.rows("select as_of_on from cdp.loop_clock") == [{"as_of_on": date(2017, 12, 26)}]


@pytest.mark.parametrize(
    "address", ["http://crm.example.com", "https://127.0.0.1:1", "ftp://127.0.0.1", "http://10.0.0.1"]
)
def test_the_day_is_announced_to_this_machine_only(address: str) -> None:
    with pytest.raises(ConfigError, match="not an address of this machine"):
        announce(address, CHRISTMAS)


def test_an_absent_sandbox_is_said_so() -> None:
    with pytest.raises(ConnectionFailed, match="nobody took the day"):
        announce("http://127.0.0.1:9", CHRISTMAS)


def test_an_absent_sandbox_does_not_stop_the_clock(
    definitions: dg.Definitions, parsed_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDP_SANDBOX_URL", "http://127.0.0.1:9")
    clock = definitions.resolve_asset_graph().assets_def_for_key(dg.AssetKey(["raw", "loop", "clock"]))
    assert dg.materialize([clock], partition_key="2017-12-25").success
    assert read_clock(DuckDbWarehouse(parsed_home / "warehouse.duckdb")) == CHRISTMAS
