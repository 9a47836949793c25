"""Begin anew, knowingly: send everything again, forget what was accepted, or take the present as accepted."""

from collections.abc import Iterator
from contextlib import contextmanager

from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import CdpError, GuardTripped
from cdp_platform.syncs import continuity, controls, guards
from cdp_platform.syncs.account import Engine, connection_id, identity, sends_once
from cdp_platform.syncs.baseline import take_baseline
from cdp_platform.syncs.jobs import finish_jobs
from cdp_platform.syncs.lease import held_lease
from cdp_platform.syncs.ledger import Ledger, follow_key_type, ledger_id
from cdp_platform.syncs.permissions import count_statements
from cdp_platform.syncs.plan import ask_account, ledger_of, row_count
from cdp_platform.syncs.records import create_desired, encoded_fields
from cdp_platform.syncs.settle import recover
from cdp_platform.syncs.source import prepare_source
from cdp_platform.texts.catalogue import verdict_text
from cdp_platform.warehouse.base import Session


def resync(engine: Engine, spec: SyncSpec) -> int:
    """Let the next run send every row of the ledger again, all its fields; the answer is the number of rows.

    Plans that were made before are not sent any more. It is also a person's word that the ledger is to be worked with,
    where it or the journal was lost. Raises LeaseLost where another run is at work, CdpError for a sync whose rows must
    not be sent twice.
    """
    if sends_once(engine, spec):
        raise CdpError(
            f"sync {spec.name} sends each row once; sending them again could do harm.",
            remedy=f"Rows of unknown outcome: cdp resolve {spec.name}. All anew, knowingly: cdp reset {spec.name}.",
        )
    with ledger_at_rest(engine, spec) as (session, ledger):
        continuity.take_as_unknown(engine.journal, session, ledger, reason=continuity.ASKED)
        return row_count(session, ledger.diff_table)


def reset(engine: Engine, spec: SyncSpec) -> int:
    """Forget what the destination has accepted, and switch the sync off: it is as new, and has its first run again.

    The sync log keeps what was sent, under the ledger's old name. The answer is the number of rows forgotten. Raises
    LeaseLost where another run is at work.
    """
    controls.switch(engine.journal, spec.name, is_enabled=False)
    with ledger_at_rest(engine, spec) as (session, ledger):
        forgotten = _forget(engine, session, ledger)
        # They are empty; some warehouses drop and make no table in a transaction. The new ones may have another key.
        for table in (ledger.diff_table, ledger.side_table):
            session.execute(f"drop table {table}")
        ledger_of(engine, session, spec, ledger.identity.account_id)
        return forgotten


def _forget(engine: Engine, session: Session, ledger: Ledger) -> int:
    with session.transaction():
        continuity.forget(engine.journal, ledger.ledger_id)
        forgotten = row_count(session, ledger.diff_table)
        old_name = f"{ledger.ledger_id}-{_reset_count(session, ledger) + 1}"
        # A new ledger counts its versions from one: entries of the old one must not stand among them.
        for table in ("cdp.ledgers", "cdp.settles", "cdp.delivered_rows", "cdp.key_moves", "cdp.sync_runs"):
            session.execute(f"update {table} set ledger_id = ? where ledger_id = ?", [old_name, ledger.ledger_id])
        session.execute(
            "update cdp.unknown_rows set ledger_id = ?, resolved_as = 'forgotten', resolved_at = now()"
            " where ledger_id = ? and resolved_at is null",
            [old_name, ledger.ledger_id],
        )
        session.execute("delete from cdp.rejected_rows where ledger_id = ?", [ledger.ledger_id])
        for table in (ledger.diff_table, ledger.side_table):
            session.execute(f"delete from {table}")
    return forgotten


def adopt(engine: Engine, spec: SyncSpec) -> int:
    """Take the model's present rows for what the connection's account holds already; nothing is sent.

    The answer is the number of rows taken. Raises CdpError where the account was delivered to before, GuardTripped for
    a model or consents that no plan may be made of, LeaseLost where another run is at work.
    """
    account_id = ask_account(engine, spec)
    with ledger_at_rest(engine, spec, account_id) as (session, ledger):
        if ledger.version:
            raise CdpError(
                f"sync {spec.name} has delivered to the account {ledger.identity.account_id} already.",
                remedy=f"Forget that first: cdp reset {spec.name}.",
            )
        prepare_source(session, engine.warehouse, spec)
        with session.transaction():
            return _adopt(engine, session, spec, ledger)


def _adopt(engine: Engine, session: Session, spec: SyncSpec, ledger: Ledger) -> int:
    dialect = engine.warehouse.dialect
    follow_key_type(session, dialect, ledger, spec)
    fields = encoded_fields(session, dialect, spec)
    create_desired(session, dialect, spec, fields)
    model_rows = row_count(session, dialect.relation(spec.relation))
    verdicts = guards.judge_model(session, spec, ledger, model_rows, is_partial=False)
    verdicts += guards.judge_consents(spec, ledger, *count_statements(session, dialect, spec))
    if failed := [verdict for verdict in verdicts if not verdict.passed]:
        reasons = "\n".join(verdict_text(verdict, "en") for verdict in failed)
        raise GuardTripped(f"nothing was taken as delivered.\n{reasons}")
    ledger = take_baseline(session, dialect, spec, ledger, fields)
    continuity.forget(engine.journal, ledger.ledger_id)
    return row_count(session, ledger.diff_table)


@contextmanager
def ledger_at_rest(engine: Engine, spec: SyncSpec, account_id: str | None = None) -> Iterator[tuple[Session, Ledger]]:
    """Hold the ledger of an account, by default the connection's, with everything settled that earlier runs left."""
    account_id = (
        account_id or controls.known_account(engine.journal, connection_id(engine, spec)) or ask_account(engine, spec)
    )
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
