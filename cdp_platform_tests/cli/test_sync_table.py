"""What each sync did, in the words of its destination."""

from collections import Counter
from pathlib import Path

from rich.console import Console

from cdp_platform.cli.sync_table import SyncRow, read_sync_rows, sync_table, told
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of


def test_records_members_and_events_are_called_what_they_are() -> None:
    done = Counter(create=2, remove=1)
    assert told(SyncRow(sync="s", destination="hubspot", operations=done)) == "2 records created, 1 record removed"
    assert told(SyncRow(sync="s", destination="meta_audiences", operations=done)) == (
        "2 people put into the audience, 1 person taken out of the audience"
    )
    assert told(SyncRow(sync="s", destination="meta_conversions", operations=Counter(create=1))) == "1 event told"


def test_what_went_wrong_and_who_was_left_out_stand_behind_what_was_sent() -> None:
    row = SyncRow(sync="s", destination="hubspot", rejected=3, pending=1, skipped_reasons=Counter(never_asked=1200))
    assert told(row) == "nothing to send; 3 rejected; 1 pending; left out: 1,200 never asked for permission"


def test_the_runs_of_a_sync_are_added_up_and_a_sync_that_never_ran_has_no_line(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(1, segment="lapsed"), person_of(2), person_of(3)])
    shop.run()
    [row] = read_sync_rows(shop.engine.warehouse, ["another", shop.spec.name])
    assert row.operations == Counter(create=3, update=1)


def test_a_warehouse_without_runs_has_no_lines(tmp_path: Path) -> None:
    assert read_sync_rows(DuckDbWarehouse(tmp_path / "new.duckdb"), ["crm_contacts"]) == []


def test_the_table_fits_a_terminal_of_120_columns() -> None:
    reasons = Counter(never_asked=248, withdrawn=151, suppressed=3)
    row = SyncRow(sync="lapsed_loyalists_ads", destination="salesforce", operations=Counter(create=1998, update=2236))
    console = Console(width=120)
    with console.capture() as shown:
        console.print(sync_table([row, SyncRow(sync="s", destination="hubspot", skipped_reasons=reasons)]))
    assert max(map(len, shown.get().splitlines())) <= 120
    assert "1,998 records created, 2,236 records updated" in " ".join(shown.get().split())
