"""Plan: what a run is about to do, from one consistent read, before anything is sent.

The desired records are joined with the ledger's diff table by key; what differs becomes an operation, what may not be
sent is counted by reason. The operations are written once to a file named by their digest; the record with the guards'
verdict goes to the journal. A plan changes nothing at the destination, and asks it nothing where nothing is to be sent.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cdp_platform.connectors.protocol import FindsRecords
from cdp_platform.domain.partitions import Partition
from cdp_platform.domain.plans import Plan, Verdict
from cdp_platform.domain.syncs import FirstRun, SyncSpec
from cdp_platform.errors import GuardTripped
from cdp_platform.faultpoints import faultpoint
from cdp_platform.syncs import continuity, controls, guards
from cdp_platform.syncs.account import NOT_ASKED, Engine, connection_id, identity, is_at_most_once, kind_of, session_to
from cdp_platform.syncs.audience_source import judge_audiences
from cdp_platform.syncs.baseline import take_baseline
from cdp_platform.syncs.jobs import finish_jobs
from cdp_platform.syncs.lease import held_lease
from cdp_platform.syncs.ledger import Ledger, follow_key_type, ledger_id, open_ledger
from cdp_platform.syncs.moves import follow_merges, with_moves
from cdp_platform.syncs.operations import (
    count_operations,
    count_removals,
    create_operations,
    digest_of,
    planned_rows,
)
from cdp_platform.syncs.partitions import hold_older, judged, keys_of, outside_count, read_partition, rows_before
from cdp_platform.syncs.permissions import count_statements
from cdp_platform.syncs.plan_files import drafted, expire, keep
from cdp_platform.syncs.policies import Policies, apply_policies
from cdp_platform.syncs.records import Fields, create_desired, encoded_fields, register_keys
from cdp_platform.syncs.resend import with_resend
from cdp_platform.syncs.scan_cost import foresee_scan
from cdp_platform.syncs.settle import recover
from cdp_platform.syncs.source import prepare_source
from cdp_platform.syncs.unknown import hold_unresolved
from cdp_platform.syncs.value_rules import rules_of
from cdp_platform.texts.catalogue import verdict_text
from cdp_platform.warehouse.base import Dialect, Session, cost_of

APPROVABLE = ("removals_within_limit", "model_not_shrunk", "account_known", "approved")
"""Verdicts that a person may overrule for one plan."""

Build = Callable[[Session, Ledger], tuple[Plan, str]]
"""Fills the temporary table `operations` against a ledger, inside a transaction. The answer describes them, and is the
SQL of the rows to be sent in their order, with the columns of a plan's file."""


@dataclass(frozen=True, kw_only=True)
class _Scope:
    """What a plan is of: the whole model, one partition of it, or chosen rows; and the day that it describes."""

    day: str | None
    partition: Partition | None
    keys: tuple[str, ...]

    @property
    def is_partial(self) -> bool:
        return bool(self.keys) or self.partition is not None

    @property
    def label(self) -> str | None:
        return self.partition.label if self.partition else self.day


def make_plan(
    engine: Engine,
    spec: SyncSpec,
    *,
    run_id: str,
    partition: str | Partition | None = None,
    keys: tuple[str, ...] = (),
) -> Plan:
    """Compare the source model with the ledger, store the plan and its verdict, and return its record.

    A `Partition` narrows the plan to its rows; a text only names the day that the whole model describes. `keys` narrows
    the plan to these rows. Settles first what an earlier run left in the journal. While the sync is
    switched off no request is made. Raises ConfigError for a model or column that is not there, ConnectionFailed where
    the account cannot be asked, LeaseLost where another run is at work.
    """
    faultpoint("plan.begun")

    scope = _Scope(
        day=partition if isinstance(partition, str) else None,
        partition=partition if isinstance(partition, Partition) else None,
        keys=keys,
    )

    def build(session: Session, ledger: Ledger) -> tuple[Plan, str]:
        return _plan(engine, session, spec, ledger, scope, run_id=run_id)

    is_enabled = controls.is_enabled(engine.journal, spec.name)
    return store_plan(engine, spec, build, may_ask=is_enabled)


def store_plan(engine: Engine, spec: SyncSpec, build: Build, *, may_ask: bool = True) -> Plan:
    """Build a plan against the ledger of the account that the connection leads to now, have it judged, and keep it.

    With `may_ask` the account is asked who it is where that is not known or where something is to be sent; without, the
    plan is for no account and is never sent.
    """
    plan = _planned_for_account(engine, spec, build) if may_ask else _compare(engine, spec, NOT_ASKED, build)
    faultpoint("plan.kept")
    engine.journal.add_plan(plan)
    faultpoint("plan.recorded")
    return plan


def _planned_for_account(engine: Engine, spec: SyncSpec, build: Build) -> Plan:
    known = controls.known_account(engine.journal, connection_id(engine, spec))
    plan = _compare(engine, spec, known or ask_account(engine, spec), build)
    if not plan.to_send:
        return plan
    account_id = ask_account(engine, spec)
    if account_id != known and known is not None:
        plan = _compare(engine, spec, account_id, build)
    return _judged_by_destination(engine, spec, plan)


def require_allowed(engine: Engine, plan: Plan, *, run_id: str) -> None:
    """Raise GuardTripped, naming the guards, where the verdict forbids to send the plan and nobody approved it.

    An approval is bound to the digest and used up by this.
    """
    failed = [verdict for verdict in plan.verdicts if not verdict.passed]
    if not failed:
        return
    may_be_approved = all(verdict.code in APPROVABLE for verdict in failed)
    if may_be_approved and controls.use_approval(engine.journal, plan.sync, plan.digest, run_id):
        return
    reasons = "\n".join(f"{verdict.code}: {verdict_text(verdict, 'en')}" for verdict in failed)
    advice = f"Go ahead knowingly: cdp approve {plan.sync} {plan.digest[:12]}" if may_be_approved else ""
    raise GuardTripped(
        f"the plan {plan.digest[:12]} of sync {plan.sync} was stopped by its guards; nothing was sent.\n{reasons}",
        remedy=advice and f"\n{advice}",
        counts={verdict.code: int(verdict.parameters.get("rows", 1)) for verdict in failed},
    )


def ask_account(engine: Engine, spec: SyncSpec) -> str:
    """Ask which account the connection leads to, and remember it."""
    with session_to(engine, spec) as session:
        account_id = engine.destination.account_id(session)
    controls.remember_account(engine.journal, connection_id(engine, spec), account_id)
    return account_id


def _judged_by_destination(engine: Engine, spec: SyncSpec, plan: Plan) -> Plan:
    with session_to(engine, spec) as session:
        fields = engine.destination.describe(session, spec.object)
    verdicts = (*plan.verdicts, *guards.judge_mapping(spec, fields))
    return replace(plan, verdicts=verdicts, value_rules=rules_of(engine.destination, spec, fields))


def _compare(engine: Engine, spec: SyncSpec, account_id: str, build: Build) -> Plan:
    """Compute and store a plan against the ledger of one account."""
    name = ledger_id(identity(spec, account_id))
    with held_lease(engine.journal, name) as lease:
        finish_jobs(engine, spec, lease)
        with engine.warehouse.session(f"plan {spec.name}") as session:
            read_cost = prepare_source(session, engine.warehouse, spec)
            ledger = recover(engine, session, ledger_of(engine, session, spec, account_id))
            follow_key_type(session, engine.warehouse.dialect, ledger, spec)
            ledger = continuity.reconcile(engine, session, spec, ledger)
            ledger = follow_merges(engine.journal, session, engine.warehouse.dialect, spec, ledger)
            expire(engine.home, spec.name, {digest for digest, _ in engine.journal.open_digests(name)})
            with drafted(engine.home, spec.name) as draft:
                with session.transaction():
                    plan, rows = build(session, ledger)
                    session.write_parquet(rows, draft)
                # The file is read as a relation, which some warehouses do not make where something was written.
                plan = with_resend(plan, session, engine, spec, ledger, draft)
                plan = with_moves(plan, session, f"select * from {session.parquet(draft)}")
                file_hash = keep(draft, engine.home, spec.name, plan.digest)
            plan = replace(plan, cost=cost_of(session) or read_cost)
    return _under_rule(engine, spec, replace(plan, file_hash=file_hash))


def _under_rule(engine: Engine, spec: SyncSpec, plan: Plan) -> Plan:
    """Put into the plan what the destination says of sending a row twice."""
    told = engine.destination.capabilities(spec.object)
    return replace(
        plan, at_most_once=is_at_most_once(engine, spec), idempotency_seconds=float(told.idempotency_seconds)
    )


def _plan(
    engine: Engine, session: Session, spec: SyncSpec, ledger: Ledger, scope: _Scope, *, run_id: str
) -> tuple[Plan, str]:
    dialect, part = engine.warehouse.dialect, scope.partition
    foreseen = foresee_scan(session, dialect, spec, ledger)
    read = read_partition(session, dialect, spec, part)
    policies, fields = policied(session, dialect, read, ledger)
    faultpoint("plan.reading")
    only = register_keys(session, scope.keys) if scope.keys else keys_of(session, dialect, spec, ledger, part)
    is_forgetful = _diff(engine, session, spec, ledger, only)
    model_rows, said = row_count(session, dialect.relation(read.relation)), count_statements(session, dialect, spec)
    verdicts = [*_judge_model(session, dialect, spec, ledger, scope, fields, model_rows), *policies.verdicts]
    verdicts += [*_judge_surroundings(engine, session, spec, ledger, said), *judge_audiences(session, spec)]
    if spec.first_run is FirstRun.BASELINE and ledger.version == 0 and all(verdict.passed for verdict in verdicts):
        policies, fields = replace(policies, source=spec), _desired(session, dialect, spec)
        ledger = take_baseline(session, dialect, spec, ledger, fields)
        _diff(engine, session, spec, ledger, only, is_anew=True)
    hold_unresolved(session, ledger)
    hold_older(session, spec, ledger, part)
    operations, skipped = count_operations(session)
    removed, gone = count_removals(session)
    held = row_count(session, f"{ledger.diff_table} where {only}" if part else ledger.diff_table)
    verdicts += guards.judge_operations(spec, held, operations, removed=removed)
    plan = Plan(
        digest=digest_of(session, spec, ledger),
        sync=spec.name,
        destination=spec.connection.name,
        mapping_version=spec.mapping_version,
        ledger_id=ledger.ledger_id,
        ledger_version=ledger.version,
        partition=scope.label,
        made_at=datetime.now(UTC),
        run_id=run_id,
        model_rows=model_rows,
        consent_rows=said[0],
        suppression_rows=said[1],
        unchanged=0 if scope.keys else model_rows + gone - sum(operations.values()) - sum(skipped.values()),
        operations=operations,
        skipped=skipped,
        verdicts=tuple(verdicts),
        is_partial=scope.is_partial,
        is_of_partition=part is not None and not scope.keys,
        outside_rows=outside_count(session, dialect, spec, part),
        has_forgotten=is_forgetful,
        held_fields=policies.held,
        scanned_bytes=foreseen,
    )
    kind = kind_of(engine, spec)
    return plan, planned_rows(dialect, policies.source, ledger, fields, operations, kind=kind)


def _judge_model(
    session: Session,
    dialect: Dialect,
    spec: SyncSpec,
    ledger: Ledger,
    scope: _Scope,
    fields: Fields,
    model_rows: int,
) -> list[Verdict]:
    """Judge keys, and the rows against those of the last run over the same partition."""
    before = rows_before(session, ledger, scope.partition)
    seen = replace(ledger, model_rows=before)
    verdicts = guards.judge_model(session, spec, seen, model_rows, is_partial=scope.is_partial)
    return judged(session, dialect, spec, fields, verdicts, scope.partition, before)


def _diff(
    engine: Engine, session: Session, spec: SyncSpec, ledger: Ledger, only: str, *, is_anew: bool = False
) -> bool:
    """Fill `operations`; the answer is whether the ledger may lack records that the destination has."""
    is_forgetful = isinstance(engine.destination, FindsRecords) and continuity.is_forgetful(engine.journal, ledger)
    kind = kind_of(engine, spec)
    create_operations(session, spec, ledger, only, kind=kind, is_forgetful=is_forgetful, is_anew=is_anew)
    return is_forgetful


def policied(session: Session, dialect: Dialect, spec: SyncSpec, ledger: Ledger) -> tuple[Policies, Fields]:
    """Define the temporary view `desired` as the fields' policies leave the records."""
    policies = apply_policies(session, dialect, spec, ledger)
    return policies, _desired(session, dialect, policies.source)


def _desired(session: Session, dialect: Dialect, source: SyncSpec) -> Fields:
    """Define the desired records, and say how their fields are encoded."""
    fields = encoded_fields(session, dialect, source)
    create_desired(session, dialect, source, fields)
    return fields


def _judge_surroundings(
    engine: Engine, session: Session, spec: SyncSpec, ledger: Ledger, said: tuple[int, int]
) -> list[Verdict]:
    """Judge what is neither model nor operations: consents, the books, the account."""
    books = [*continuity.judge(engine, spec, ledger), *guards.judge_account(session, ledger)]
    return [*guards.judge_consents(spec, ledger, *said), *books]


def ledger_of(engine: Engine, session: Session, spec: SyncSpec, account_id: str) -> Ledger:
    """Open the ledger of this sync on one account, creating it at the first use."""
    return open_ledger(
        session,
        engine.warehouse,
        identity(spec, account_id),
        key_type=session.columns(spec.relation).get(spec.primary_key, "VARCHAR"),
        mapping_version=spec.mapping_version,
    )


def row_count(session: Session, relation: str) -> int:
    """Count the rows of a relation, given as SQL."""
    [found] = session.rows(f"select count(*) as row_count from {relation}")
    return int(found["row_count"])
