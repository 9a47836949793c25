"""Plan: what a run is about to do, from one consistent read, before anything is sent.

The desired records are joined with the ledger's diff table by key; what differs becomes an operation, what may not be
sent is counted by reason. The operations are written once to a file named by their digest; the record with the guards'
verdict goes to the journal. A plan changes nothing at the destination.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from cdp_platform.domain.plans import Plan, Verdict
from cdp_platform.domain.syncs import FieldMapping, Mode, SyncSpec
from cdp_platform.errors import GuardTripped
from cdp_platform.syncs import guards
from cdp_platform.syncs.account import Engine, identity, session_to
from cdp_platform.syncs.lease import held_lease
from cdp_platform.syncs.ledger import Ledger, ledger_id, open_ledger
from cdp_platform.syncs.plan_files import keep, plan_path
from cdp_platform.syncs.records import create_desired
from cdp_platform.syncs.settle import recover
from cdp_platform.texts.catalogue import verdict_text
from cdp_platform.warehouse.base import Dialect, Session

NOT_ASKED = "not-asked"
"""The account of a sync that was never switched on: it is not asked who it is, and its plan is never sent."""


_PLANNED = 'select * exclude (skipped) from operations where skipped is null order by "key"'


def make_plan(engine: Engine, spec: SyncSpec, *, run_id: str, partition: str | None = None) -> Plan:
    """Compare the source model with the ledger, store the plan and its verdict, and return its record.

    Settles first what an earlier run left in the journal. While the sync is switched off no request is made.
    Raises ConfigError for a model or column that is not there, ConnectionFailed where the account cannot be asked.
    """
    is_enabled = engine.journal.is_enabled(spec.name)
    account_id = _account(engine, spec) if is_enabled else NOT_ASKED
    with held_lease(engine.journal, ledger_id(identity(spec, account_id))):
        plan = _compare(engine, spec, account_id, run_id=run_id, partition=partition)
    if is_enabled and plan.to_send:
        with session_to(engine, spec) as session:
            fields = engine.destination.describe(session, spec.object)
        plan = _with_verdicts(plan, guards.judge_mapping(spec, fields))
    engine.journal.add_plan(plan)
    return plan


def require_allowed(plan: Plan) -> None:
    """Raise GuardTripped, naming the guards, where the plan's verdict forbids to send it."""
    if plan.is_allowed:
        return
    failed = [verdict for verdict in plan.verdicts if not verdict.passed]
    reasons = "\n".join(f"{verdict.code}: {verdict_text(verdict, 'en')}" for verdict in failed)
    raise GuardTripped(
        f"the plan {plan.digest[:12]} of sync {plan.sync} was stopped by its guards; nothing was sent.\n{reasons}",
        counts={verdict.code: int(verdict.parameters.get("rows", 1)) for verdict in failed},
    )


def _account(engine: Engine, spec: SyncSpec) -> str:
    with session_to(engine, spec) as session:
        account_id = engine.destination.account_id(session)
    engine.journal.remember_account(spec.connection.name, account_id)
    return account_id


def _compare(engine: Engine, spec: SyncSpec, account_id: str, *, run_id: str, partition: str | None) -> Plan:
    folder = engine.home.plans / spec.name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = folder / f"draft-{os.getpid()}"
    with engine.warehouse.session(f"plan {spec.name}") as session:
        ledger = recover(engine, session, _ledger(engine, session, spec, account_id))
        with session.transaction():
            create_desired(session, engine.warehouse, spec)
            verdicts = guards.judge_model(session, spec, ledger)
            consent_rows = _consent_rows(session, engine.warehouse.dialect, spec)
            verdicts += guards.judge_consents(spec, ledger, consent_rows)
            _create_operations(session, engine.warehouse.dialect, spec, ledger)
            digest = _digest(session, spec, ledger)
            session.write_parquet(_PLANNED, draft)
            counts = _counts(session)
            (model,) = session.rows("select count(*) as rows_ from desired")
    keep(draft, plan_path(engine.home, spec.name, digest))
    operations = {name: number for (kind, name), number in counts.items() if kind == "send"}
    skipped = {name: number for (kind, name), number in counts.items() if kind == "skip"}
    return Plan(
        digest=digest,
        sync=spec.name,
        destination=spec.connection.name,
        mapping_version=spec.mapping_version,
        ledger_id=ledger.ledger_id,
        ledger_version=ledger.version,
        partition=partition,
        made_at=datetime.now(UTC),
        run_id=run_id,
        model_rows=model["rows_"],
        consent_rows=consent_rows,
        unchanged=model["rows_"] - sum(counts.values()),
        operations=operations,
        skipped=skipped,
        verdicts=tuple(verdicts),
    )


def _ledger(engine: Engine, session: Session, spec: SyncSpec, account_id: str) -> Ledger:
    key_type = session.columns(spec.relation).get(spec.primary_key, "varchar")
    return open_ledger(
        session,
        engine.warehouse,
        identity(spec, account_id),
        key_type=key_type,
        mapping_version=spec.mapping_version,
    )


def _consent_rows(session: Session, dialect: Dialect, spec: SyncSpec) -> int:
    if spec.consent is None:
        return 0
    (found,) = session.rows(f"select count(*) as rows_ from {dialect.relation(spec.consent.relation)}")
    return int(found["rows_"])


def _create_operations(session: Session, dialect: Dialect, spec: SyncSpec, ledger: Ledger) -> None:
    """Fill the temporary table `operations`: rows to be sent or left out with a reason; unchanged rows are absent."""
    _create_candidates(session, dialect, spec, ledger)
    changed = ", ".join(_changed(dialect, entry) for entry in spec.mapping)
    session.execute("drop table if exists operations")
    session.execute(
        f"""create temporary table operations as
        with sent as (
            select primary_key, arg_max(payload, version) as payload
            from cdp.sync_log where ledger_id = ? group by primary_key
        )
        select
            row_number() over (partition by candidates.skipped is null order by candidates."key") - 1 as ordinal,
            candidates."key",
            case
                when not is_in_ledger then 'create' when permission = 'withdrawn' then 'withdraw' else 'update'
            end as operation,
            candidates.match_value,
            side.record_id,
            candidates.payload,
            case when candidates.known is not null then sent.payload end as previous,
            list_filter([{changed}], field -> field is not null) as changed,
            candidates.fingerprint,
            candidates.consent_identifier,
            candidates.skipped
        from candidates
        left join {ledger.side_table} as side on side."key" = candidates."key"
        left join sent on candidates.known is not null and sent.primary_key = cast(candidates."key" as varchar)""",
        [ledger.ledger_id],
    )


def _create_candidates(session: Session, dialect: Dialect, spec: SyncSpec, ledger: Ledger) -> None:
    """Fill the temporary table `candidates`: desired rows that differ from the ledger, or were never permitted."""
    fingerprint = dialect.fingerprint("desired.payload")
    may_create = "true" if spec.mode is not Mode.UPDATE else "false"
    may_update = "true" if spec.mode not in (Mode.INSERT, Mode.APPEND) else "false"
    session.execute("drop table if exists candidates")
    session.execute(
        f"""create temporary table candidates as
        select
            desired.*,
            {fingerprint} as fingerprint,
            ledger.fingerprint as known,
            ledger."key" is not null as is_in_ledger,
            case
                when permission = 'never_asked' then 'never_asked'
                when permission = 'withdrawn' and not is_in_ledger then 'withdrawn'
                when rejected.primary_key is not null then 'held'
            end as skipped
        from desired
        left join {ledger.diff_table} as ledger on ledger."key" = desired."key"
        left join cdp.rejected_rows as rejected
            on rejected.ledger_id = ? and rejected.primary_key = cast(desired."key" as varchar)
            and rejected.fingerprint = cast({fingerprint} as varchar) and rejected.next_at > current_timestamp
        where (ledger."key" is null and {may_create})
            or (ledger."key" is not null and {may_update} and {fingerprint} is distinct from ledger.fingerprint)
            or permission = 'never_asked'""",
        [ledger.ledger_id],
    )


def _changed(dialect: Dialect, entry: FieldMapping) -> str:
    """Name a field where it is written and its value differs from the last one sent; SQL NULL otherwise."""
    new = dialect.json_text("candidates.payload", entry.field)
    old = dialect.json_text("sent.payload", entry.field)
    name = "'" + entry.field.replace("'", "''") + "'"
    permitted = "" if entry.after_withdrawal else "permission <> 'withdrawn' and "
    return f"case when {permitted}(candidates.known is null or {new} is distinct from {old}) then {name} end"


def _digest(session: Session, spec: SyncSpec, ledger: Ledger) -> str:
    (found,) = session.rows(
        """select sha256(
            ? || coalesce(string_agg(
                sha256(to_json([cast("key" as varchar), operation, match_value, payload, previous]) :: varchar),
                '' order by "key"), '')
        ) as digest from operations where skipped is null""",
        [f"{spec.name}|{spec.mapping_version}|{ledger.ledger_id}|"],
    )
    return str(found["digest"])


def _counts(session: Session) -> Mapping[tuple[str, str], int]:
    rows = session.rows(
        """select case when skipped is null then 'send' else 'skip' end as kind,
            coalesce(skipped, operation) as name, count(*) as rows_
        from operations group by 1, 2 order by 1, 2"""
    )
    return {(row["kind"], row["name"]): row["rows_"] for row in rows}


def _with_verdicts(plan: Plan, verdicts: list[Verdict]) -> Plan:
    return replace(plan, verdicts=(*plan.verdicts, *verdicts))
