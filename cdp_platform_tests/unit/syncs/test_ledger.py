"""The platform's own tables: made at the first use, and brought along from an earlier form."""

import pytest

from cdp_platform.domain.outcomes import Counts
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of

WIDE_LOG = """create table cdp.sync_log as select * from (
    select rows.ledger_id, rows.version, settles.sync, settles.destination, rows.primary_key, rows.operation,
        rows.changed, rows.payload, rows.previous, settles.digest, settles.run_id, settles."partition", rows.record_id,
        settles.delivered_at
    from cdp.delivered_rows as rows join cdp.settles as settles using (ledger_id, version))"""


@pytest.mark.duckdb_only
def test_a_wide_sync_log_of_an_earlier_version_is_taken_over_whole(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(1, segment="new"), person_of(2)])
    shop.run()
    before = shop.sql("select * exclude (request_id) from cdp.sync_log order by version, primary_key")
    for statement in (
        *("drop view cdp.sync_log", WIDE_LOG, "drop table cdp.delivered_rows", "drop table cdp.settles"),
        *(f"alter table cdp.{row['name']} add column delivered_at timestamptz" for row in side_tables(shop)),
    ):
        shop.sql(statement)

    shop.people([person_of(1, segment="lapsed"), person_of(2)])
    assert shop.run().counts == Counts(planned=1, delivered=1)

    after = shop.sql("select * exclude (request_id) from cdp.sync_log order by version, primary_key")
    assert len(before) == 3
    assert after[:3] == before
    assert [row["changed"] for row in after[3:]] == ['["segment"]']
    assert shop.sql("select table_name from information_schema.tables where table_name = 'sync_log_before'") == []


def side_tables(shop: Shop) -> list[dict[str, str]]:
    return shop.sql(
        "select table_name as name from information_schema.tables where starts_with(table_name, 'ledger_side_')"
    )
