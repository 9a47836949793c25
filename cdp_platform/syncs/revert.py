"""Undo: a plan back to the values that a run's records had before it, judged and sent like any other.

What a run created is taken away again only by a sync that may remove records, since elsewhere the record may have been
there before us. Fields that tell what a person permits are never put back, and who withdrew is left alone.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import Removal, SyncSpec
from cdp_platform.errors import CdpError
from cdp_platform.syncs import continuity, controls, guards
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.ledger import Ledger
from cdp_platform.syncs.operations import cleared_fields, count_operations, digest_of, in_order
from cdp_platform.syncs.permissions import count_statements, identifier_of, is_ended, permission_of
from cdp_platform.syncs.plan import row_count, store_plan
from cdp_platform.syncs.records import create_desired, encoded_fields
from cdp_platform.syncs.unknown import hold_unresolved
from cdp_platform.warehouse.base import Dialect, Session
from cdp_platform.warehouse.literals import literal

_COLUMNS = (
    '"key", operation, match_value, record_id, payload, previous, changed, fingerprint, consent_identifier,'
    " former_match_value"
)


def make_revert(engine: Engine, spec: SyncSpec, run: str, *, run_id: str) -> Plan:
    """Plan the way back from a run, given by its id or the beginning of it.

    Only fields that the run changed are put back. The plan needs an approval, always. Where there is something to take
    back the sync is switched off, because its next ordinary run would bring the new values again. Raises CdpError for a
    run that delivered nothing here.
    """

    def build(session: Session, ledger: Ledger) -> tuple[Plan, str]:
        return _revert(engine, session, spec, ledger, run=run, run_id=run_id)

    plan = store_plan(engine, spec, build)
    if plan.to_send:
        controls.switch(engine.journal, spec.name, is_enabled=False)
    return plan


def _revert(
    engine: Engine, session: Session, spec: SyncSpec, ledger: Ledger, *, run: str, run_id: str
) -> tuple[Plan, str]:
    dialect = engine.warehouse.dialect
    reverted = _run_of(session, spec, ledger, run)
    create_desired(session, dialect, spec, encoded_fields(session, dialect, spec))
    consent_rows, suppression_rows = count_statements(session, dialect, spec)
    _create_steps(session, dialect, spec, ledger, reverted)
    _create_operations(session, dialect, spec, ledger)
    hold_unresolved(session, ledger)
    operations, skipped = count_operations(session)
    verdicts = guards.judge_consents(spec, ledger, consent_rows, suppression_rows)
    verdicts += continuity.judge(engine, spec, ledger)
    ledger_rows = row_count(session, ledger.diff_table)
    removed = operations.get("remove", 0)
    verdicts += guards.judge_operations(spec, ledger_rows, operations, removed=removed, needs_approval=True)
    plan = Plan(
        digest=digest_of(session, spec, ledger),
        sync=spec.name,
        destination=spec.connection.name,
        mapping_version=spec.mapping_version,
        ledger_id=ledger.ledger_id,
        ledger_version=ledger.version,
        partition=None,
        made_at=datetime.now(UTC),
        run_id=run_id,
        model_rows=ledger.model_rows,
        consent_rows=consent_rows,
        suppression_rows=suppression_rows,
        unchanged=0,
        operations=operations,
        skipped=skipped,
        verdicts=tuple(verdicts),
        is_partial=True,
        reverts=reverted,
    )
    return plan, in_order(dialect, f"select {_COLUMNS} from operations where skipped is null", operations)


def _run_of(session: Session, spec: SyncSpec, ledger: Ledger, run: str) -> str:
    """Find a run of this ledger that delivered something by the beginning of its id."""
    rows = session.rows(
        """select run_id, max(version) as version from cdp.sync_log
        where ledger_id = ? and run_id is not null group by run_id order by version desc""",
        [ledger.ledger_id],
    )
    runs = [str(row["run_id"]) for row in rows]
    found = [one for one in runs if one == run] or [one for one in runs if run and one.startswith(run)]
    if len(found) != 1:
        what = "fits more than one run" if found else "delivered nothing"
        raise CdpError(
            f"the run {run[:40]!r} of sync {spec.name} {what}; nothing was planned.",
            remedy=f"Its newest runs that did: {', '.join(runs[:5]) or 'none'}.",
        )
    return found[0]


def _create_steps(session: Session, dialect: Dialect, spec: SyncSpec, ledger: Ledger, run: str) -> None:
    """Fill the temporary table `steps`: what takes each delivered row back, with the values there now (`present`)."""
    key_type = session.columns(ledger.diff_table)["key"]
    every = _names([entry.field for entry in spec.mapping])
    session.execute(
        f"""create or replace temporary table steps as
        with run as (
            select primary_key, cast(primary_key as {key_type}) as "key", operation, changed, previous
            from cdp.sync_log where ledger_id = ? and run_id = ?
        ),
        present as (
            select primary_key, arg_max(payload, version) as payload from cdp.sync_log
            where ledger_id = ? and primary_key in (select primary_key from run) group by primary_key
        )
        select run."key", run.previous, present.payload as present, side.match_value, side.record_id,
            coalesce(from_json(run.changed, '["VARCHAR"]'), {every}) as fields, ledger."key" is not null as is_there,
            ledger."key" is not null and ledger.fingerprint is null as is_unknown,
            case run.operation when 'create' then 'remove' when 'remove' then 'create' else 'update' end as operation
        from run
        join present on present.primary_key = run.primary_key
        left join {ledger.diff_table} as ledger on ledger."key" = run."key"
        left join {ledger.side_table} as side on side."key" = run."key" """,
        [ledger.ledger_id, run, ledger.ledger_id],
    )


def _create_operations(session: Session, dialect: Dialect, spec: SyncSpec, ledger: Ledger) -> None:
    """Fill the temporary table `operations` from `steps`, without the rows that are as they were already."""
    changed = ", ".join(
        f"case when {dialect.json_text('document', name)} is distinct from {dialect.json_text('present', name)}"
        f" or (is_unknown and list_contains(fields, {literal(name)})) then {literal(name)} end"
        for name in (entry.field for entry in spec.mapping if not entry.after_withdrawal)
    )
    names = _names(cleared_fields(spec))
    may_remove = "false" if spec.removal is Removal.KEEP else "true"
    identifier, permission, joined = _permission(dialect, spec)
    fingerprint = dialect.fingerprint(["'reverted'", "document"])
    match_value = dialect.json_text("document", spec.match_key.field)
    session.execute(
        f"""create or replace temporary table operations as
        with rendered as (
            select *, case operation when 'remove' then {_gone(dialect, spec)} when 'create' then
                {_former(dialect, spec)} else {_patched(dialect, spec)} end as document
            from steps where operation = 'update' or (operation = 'create') <> is_there
        ),
        compared as (
            select *, case operation when 'remove' then {names} when 'update'
                then list_filter([{changed}], field -> field is not null) end as changed
            from rendered
        ),
        permitted as (
            select compared.*, {identifier} as consent_identifier, desired.permission as own_permission
            from compared left join desired on desired."key" = compared."key"
        )
        select "key", operation, coalesce({match_value}, permitted.match_value) as match_value,
            case when is_there then permitted.record_id end as record_id, document as payload,
            case when is_there and not is_unknown then present end as previous, changed,
            case when operation <> 'remove' then {fingerprint} end as fingerprint, consent_identifier,
            case when operation = 'update' and permitted.match_value <> {match_value} then permitted.match_value end
                as former_match_value,
            case when operation = 'remove' then case when not {may_remove} then 'not_revertible' end
                when permitted.previous is null or (operation = 'update' and not is_there) then 'not_revertible'
                when {permission} <> 'granted' then {permission}
            end as skipped
        from permitted {joined}
        where operation <> 'update' or array_length(changed) > 0 or permitted.previous is null or not is_there"""
    )


def _permission(dialect: Dialect, spec: SyncSpec) -> tuple[str, str, str]:
    """SQL of the identifier that is written back, of its permission, and of the join that this needs.

    Who withdrew under the present identifier is not asked by a former one.
    """
    if spec.consent is None:
        return "cast(null as varchar)", "'granted'", ""
    own = "desired.consent_identifier"
    columns = [entry.field for entry in spec.mapping if entry.column == spec.consent.identifier_column]
    former = identifier_of(dialect, dialect.json_text("document", columns[0])) if columns else "null"
    written_to = permission_of(spec.consent, "permitted.consent_identifier")
    permission = f"case when {is_ended('own_permission')} then own_permission else {written_to} end"
    joined = "left join permissions on permissions.identifier = permitted.consent_identifier"
    return f"coalesce({former}, {own})", permission, joined


def _patched(dialect: Dialect, spec: SyncSpec) -> str:
    """SQL of the present document with the fields that the run changed as they were before it."""
    return dialect.json_object(
        {
            entry.field: _member("present", entry.field)
            if entry.after_withdrawal
            else f"case when list_contains(fields, {literal(entry.field)}) then {_member('previous', entry.field)}"
            f" else {_member('present', entry.field)} end"
            for entry in spec.mapping
        }
    )


def _former(dialect: Dialect, spec: SyncSpec) -> str:
    return dialect.json_object({entry.field: _member("previous", entry.field) for entry in spec.mapping})


def _gone(dialect: Dialect, spec: SyncSpec) -> str:
    return dialect.json_object(dict.fromkeys(cleared_fields(spec), "null"))


def _names(fields: Sequence[str]) -> str:
    return f"cast([{', '.join(map(literal, fields))}] as varchar[])"


def _member(document: str, name: str) -> str:
    """SQL of one member as JSON, so that numbers and truth values stay what they are."""
    path = '$."' + name.replace('"', '\\"') + '"'
    return f"json_extract({document}, {literal(path)})"
