"""First run as a baseline: take the model's present rows as delivered, and send nothing."""

from dataclasses import replace

from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.syncs.ledger import Ledger
from cdp_platform.syncs.permissions import is_not_found
from cdp_platform.syncs.records import Fields
from cdp_platform.warehouse.base import Dialect, Session


def take_baseline(session: Session, dialect: Dialect, spec: SyncSpec, ledger: Ledger, fields: Fields) -> Ledger:
    """Fill a new ledger from the temporary view `desired`, without the rows that may not be written to.

    The record ids at the destination are not known; the sync log notes the values as `baseline`.
    """
    taken = f"not ({is_not_found('desired.permission')}) and desired.is_invalid is not true"
    session.execute(f'insert into {ledger.diff_table} select "key", fingerprint from desired where {taken}')
    session.execute(
        f'insert into {ledger.side_table} ("key", match_value, version)'
        f' select "key", match_value, 1 from desired where {taken}'
    )
    session.execute(
        "insert into cdp.settles values (?, 1, ?, ?, null, null, null, current_timestamp)",
        [ledger.ledger_id, spec.name, spec.connection.name],
    )
    session.execute(
        f"""insert into cdp.delivered_rows
        select ?, 1, cast(desired."key" as varchar), 'baseline', '[]', {fields.payload(dialect, "desired.permission")},
            null, null, null
        from desired
        join {dialect.relation(spec.relation)} as model on model.{dialect.quote(spec.primary_key)} = desired."key"
        where {taken}""",
        [ledger.ledger_id],
    )
    session.execute(
        "update cdp.ledgers set version = 1, mapping_version = ? where ledger_id = ?",
        [spec.mapping_version, ledger.ledger_id],
    )
    return replace(ledger, version=1, mapping_version=spec.mapping_version)
