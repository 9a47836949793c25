"""Begin anew, knowingly: send everything again, or forget what the destination has accepted."""

from collections.abc import Iterator
from contextlib import contextmanager

from cdp_platform.domain.syncs import Mode, SyncSpec
from cdp_platform.errors import CdpError
from cdp_platform.syncs import controls
from cdp_platform.syncs.account import Engine, connection_id, identity, is_at_most_once
from cdp_platform.syncs.current_ledger import forget
from cdp_platform.syncs.jobs import finish_jobs
from cdp_platform.syncs.lease import held_lease
from cdp_platform.syncs.ledger import Ledger, ledger_id
from cdp_platform.syncs.plan import ask_account, ledger_of, row_count
from cdp_platform.syncs.settle import recover
from cdp_platform.warehouse.base import Session


def resync(engine: Engine, spec: SyncSpec) -> int:
    """Let the next run send every row of the ledger again, all its fields; the answer is the number of rows.

    Plans that were made before are not sent any more. Raises CdpError for a sync whose rows must not be sent twice,
    LeaseLost where another run is at work.
    """
    if spec.mode is Mode.APPEND or is_at_most_once(engine, spec):
        raise CdpError(
            f"sync {spec.name} sends each row once; sending them again could do harm.",
            remedy=f"Of single rows whose outcome is unknown: cdp resolve {spec.name}.",
        )
    with ledger_at_rest(engine, spec) as (session, ledger), session.transaction():
        session.execute(f"update {ledger.diff_table} set fingerprint = null")
        session.execute("update cdp.ledgers set version = version + 1 where ledger_id = ?", [ledger.ledger_id])
        return row_count(session, ledger.diff_table)


def reset(engine: Engine, spec: SyncSpec) -> int:
    """Forget what the destination has accepted, and switch the sync off: it is as new, and has its first run again.

    The sync log keeps what was sent, under the ledger's old name. The answer is the number of rows forgotten. Raises
    LeaseLost where another run is at work.
    """
    controls.switch(engine.journal, spec.name, is_enabled=False)
    with ledger_at_rest(engine, spec) as (session, ledger), session.transaction():
        forgotten = row_count(session, ledger.diff_table)
        old_name = f"{ledger.ledger_id}-{_reset_count(session, ledger) + 1}"
        # A new ledger counts its versions from one: entries of the old one must not stand among them.
        for table in ("cdp.ledgers", "cdp.settles", "cdp.delivered_rows", "cdp.sync_runs"):
            session.execute(f"update {table} set ledger_id = ? where ledger_id = ?", [old_name, ledger.ledger_id])
        session.execute(
            "update cdp.unknown_rows set ledger_id = ?, resolved_as = 'forgotten', resolved_at = now()"
            " where ledger_id = ? and resolved_at is null",
            [old_name, ledger.ledger_id],
        )
        session.execute("delete from cdp.rejected_rows where ledger_id = ?", [ledger.ledger_id])
        forget(engine.journal, ledger)
        session.execute(f"drop table {ledger.diff_table}")
        session.execute(f"drop table {ledger.side_table}")
        ledger_of(engine, session, spec, ledger.identity.account_id)
        return forgotten


@contextmanager
def ledger_at_rest(engine: Engine, spec: SyncSpec) -> Iterator[tuple[Session, Ledger]]:
    """Hold the ledger of the connection's account, with everything settled that earlier runs left."""
    account_id = controls.known_account(engine.journal, connection_id(engine, spec)) or ask_account(engine, spec)
    name = ledger_id(identity(spec, account_id))
    with held_lease(engine.journal, name) as lease:
        finish_jobs(engine, spec, lease)
        with engine.warehouse.session(f"reset {spec.name}") as session:
            yield session, recover(engine, session, ledger_of(engine, session, spec, account_id))


def _reset_count(session: Session, ledger: Ledger) -> int:
    [found] = session.rows(
        "select count(*) as row_count from cdp.ledgers where starts_with(ledger_id, ?)", [f"{ledger.ledger_id}-"]
    )
    return int(found["row_count"])
