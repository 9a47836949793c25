"""A person's word on rows whose outcome nobody knows: they were delivered, or they were not and may be sent again."""

from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import CdpError
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.ledger import Ledger
from cdp_platform.syncs.reset import ledger_at_rest
from cdp_platform.warehouse.base import Session

_CHOSEN = "ledger_id = $ledger and resolved_at is null and primary_key = coalesce($key, primary_key)"
_CHOSEN_KEYS = f'cast("key" as varchar) in (select primary_key from cdp.unknown_rows where {_CHOSEN})'


def resolve(engine: Engine, spec: SyncSpec, *, is_delivered: bool, resolved_by: str, key: str | None = None) -> int:
    """Settle rows of unknown outcome as a person says, all of the sync or the one of `key`; returns how many.

    Delivered rows go into the ledger and the sync log as of the run that sent them; the others may be planned by the
    next run. Who said so and when stays in `cdp.unknown_rows`. Raises CdpError where no such row is unknown, LeaseLost
    where another run is at work.
    """
    with ledger_at_rest(engine, spec) as (session, ledger), session.transaction():
        values = {"ledger": ledger.ledger_id, "key": key}
        [found] = session.rows(f"select count(*) as row_count from cdp.unknown_rows where {_CHOSEN}", values)
        if not found["row_count"]:
            which = "no row" if key is None else "no row with this key"
            raise CdpError(
                f"{which} of sync {spec.name} has an unknown outcome.", remedy=f"See: cdp resolve {spec.name}."
            )
        raised = _settle_delivered(session, ledger, key) if is_delivered else _release(session, ledger, key)
        said = "delivered" if is_delivered else "not-delivered"
        session.execute(
            f"update cdp.unknown_rows set resolved_as = $said, resolved_by = $who, resolved_at = now() where {_CHOSEN}",
            values | {"said": said, "who": resolved_by},
        )
        # Plans that were made before are not sent any more.
        session.execute(
            "update cdp.ledgers set version = version + ? where ledger_id = ?", [max(raised, 1), ledger.ledger_id]
        )
    return int(found["row_count"])


def _settle_delivered(session: Session, ledger: Ledger, key: str | None) -> int:
    """Write what the runs would have written; the answer is the number of versions, one for each run."""
    values = {"ledger": ledger.ledger_id, "key": key}
    removed = f"select primary_key from cdp.unknown_rows where {_CHOSEN} and operation = 'remove'"
    for table in (ledger.diff_table, ledger.side_table):
        session.execute(f'delete from {table} where cast("key" as varchar) in ({removed})', values)
    session.execute(
        f"""update {ledger.diff_table} as ledger set fingerprint = cast(doubtful.fingerprint as ubigint)
        from cdp.unknown_rows as doubtful
        where {_CHOSEN} and cast(ledger."key" as varchar) = doubtful.primary_key""",
        values,
    )
    sent = 'select sync, digest, run_id, "partition", max(last_at) as last_at from cdp.unknown_rows'
    runs = session.rows(f"{sent} where {_CHOSEN} group by all order by last_at", values)
    for number, run in enumerate(runs, start=1):
        version = ledger.version + number
        session.execute(
            "insert into cdp.settles values (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                *(ledger.ledger_id, version, run["sync"], ledger.identity.destination),
                *(run["digest"], run["run_id"], run["partition"], run["last_at"]),
            ],
        )
        session.execute(
            f"""insert into cdp.delivered_rows select $ledger, $version, primary_key, operation, changed, payload,
                previous, record_id, request_id
            from cdp.unknown_rows where {_CHOSEN} and digest = $digest and run_id = $run""",
            values | {"version": version, "digest": run["digest"], "run": run["run_id"]},
        )
    return len(runs)


def _release(session: Session, ledger: Ledger, key: str | None) -> int:
    """Let rows be planned again: what was never delivered is new, of the rest nobody knows the content."""
    values = {"ledger": ledger.ledger_id, "key": key}
    delivered = "select primary_key from cdp.delivered_rows where ledger_id = $ledger"
    for table in (ledger.diff_table, ledger.side_table):
        session.execute(
            f'delete from {table} where {_CHOSEN_KEYS} and cast("key" as varchar) not in ({delivered})', values
        )
    return 1
