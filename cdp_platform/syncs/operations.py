"""The diff: desired records against the ledger, in the warehouse, as the temporary table `operations`.

Its columns: key, operation, fingerprint (null for removals), known (the ledger's fingerprint; null where the content is
not known), is_in_ledger, permission (null for rows that left the model), skipped (the reason why the row is left out,
null for rows to be sent). Unchanged rows are absent. It is narrow on purpose: the values of the rows to be sent are
rendered once, by the query of `planned_rows`, on their way to the plan's file.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdp_platform.domain.permission import ObjectKind
from cdp_platform.domain.syncs import Mode, Removal, SyncSpec
from cdp_platform.syncs.ledger import Ledger
from cdp_platform.syncs.moves import leaves_leftovers
from cdp_platform.syncs.permissions import is_ended, is_not_found
from cdp_platform.syncs.records import Fields
from cdp_platform.warehouse.base import Dialect, Session
from cdp_platform.warehouse.literals import literal

ORDER = ("remove", "withdraw", "update", "create")
"""The order in which operations are sent."""
_ENDED, _NOT_FOUND = is_ended("permission"), is_not_found("permission")
_LEFT_BY_MERGES = """union all
            select "key", 'remove', null, fingerprint, true, null, null from {diff}
            where {only} and "key" in (select "key" from leftovers)"""


def create_operations(
    session: Session,
    spec: SyncSpec,
    ledger: Ledger,
    only: str = "true",
    *,
    kind: ObjectKind,
    is_forgetful: bool = False,
    is_anew: bool = False,
) -> None:
    """Fill the temporary table `operations`; `only` is a condition over "key" that narrows the plan.

    With `is_anew` the table is there and is emptied first: it may not be made after something was written.

    The join carries nothing but key and fingerprint: it is the one step that meets every row of model and ledger. Who
    withdrew is told of nobody whom the destination does not have; a ledger that `is_forgetful` cannot say so, and the
    send looks these people up.
    """
    case = _Case(mode=spec.mode, kind=kind, is_forgetful=is_forgetful)
    left = _LEFT_BY_MERGES.format(diff=ledger.diff_table, only=only) if leaves_leftovers(spec) else ""
    joined = "full join" if spec.mode is Mode.MIRROR else "left join"
    made = "insert into operations" if is_anew else "create or replace temporary table operations as"
    if is_anew:
        session.execute("delete from operations")
    session.execute(
        f"""{made}
        with compared as (
            select
                coalesce(desired."key", ledger."key") as "key", {case.operation} as operation,
                case when not ({case.leaves}) then desired.fingerprint end as fingerprint,
                ledger.fingerprint as known, ledger."key" is not null as is_in_ledger,
                permission, is_invalid and not ({case.leaves}) as is_invalid
            from (select * from desired where {only}) as desired
            {joined} (select * from {ledger.diff_table} where {only}) as ledger
                on ledger."key" = desired."key"
            where ledger."key" is null
                or desired."key" is null
                or (({case.may_change}) and (desired.fingerprint is distinct from ledger.fingerprint or is_invalid))
                or {_NOT_FOUND} or {case.leaves}
            {left}
        )
        select compared."key", compared.operation, compared.fingerprint, known, is_in_ledger, permission,
            case
                when {_NOT_FOUND} and compared.operation <> 'remove' then permission
                when {_ENDED} and not ({case.is_told}) then permission
                when is_invalid then 'invalid_value'
                when permission is null and {spec.removal is Removal.KEEP} then 'merged'
                when rejected.primary_key is not null then 'held'
            end as skipped
        from compared
        left join cdp.rejected_rows as rejected
            on rejected.ledger_id = ? and rejected.next_at > current_timestamp
            and (rejected.last_at <= current_timestamp or not isfinite(rejected.next_at))
            and rejected.primary_key = cast(compared."key" as varchar)
            and rejected.fingerprint is not distinct from cast(compared.fingerprint as varchar)""",
        [ledger.ledger_id],
    )


@dataclass(frozen=True, kw_only=True)
class _Case:
    """What becomes of a row, as SQL over a row of the model (`desired`) that may have met one of the ledger."""

    mode: Mode
    kind: ObjectKind
    is_forgetful: bool

    @property
    def operation(self) -> str:
        """The operation's name."""
        new = "update" if self.mode is Mode.UPDATE else "create"
        known = "create" if self.mode is Mode.INSERT else "update"
        sent = f"when {_ENDED} then 'withdraw' when ledger.\"key\" is null then '{new}' else '{known}'"
        if self.mode is Mode.APPEND:
            sent = "else 'create'"
        return f"case when desired.\"key\" is null or {self.leaves} then 'remove' {sent} end"

    @property
    def may_change(self) -> str:
        """Whether the mode sends a row again that differs.

        Where nothing is ever updated, only while nobody knows whether it arrived. An opt-out is told also where only
        new records are made: it is no update that somebody chose.
        """
        unsure = "ledger.fingerprint is null"
        return {Mode.APPEND: unsure, Mode.INSERT: f"{unsure} or {_ENDED}"}.get(self.mode, "true")

    @property
    def leaves(self) -> str:
        """Whether a row that is in the model loses its membership of a mirror because no permission is found any more,
        which the brake holds. Who withdrew is told like any withdrawal, which of a membership is its removal."""
        is_held = self.kind is ObjectKind.MEMBERSHIP and self.mode is Mode.MIRROR
        return f'({_NOT_FOUND} and ledger."key" is not null)' if is_held else "false"

    @property
    def is_told(self) -> str:
        """Whether the destination is told that a permission has ended: of a record that it may have."""
        return "false" if self.kind is ObjectKind.MESSAGE else f"is_in_ledger or {self._forgetful}"

    @property
    def _forgetful(self) -> str:
        return "true" if self.is_forgetful else "false"


def count_removals(session: Session) -> tuple[int, int]:
    """Count in `operations` the removals that the brake holds, and the removals of rows that left the model."""
    [found] = session.rows(
        f"""select count(*) filter (where skipped is null and (permission is null or {_NOT_FOUND})) as held,
            count(*) filter (where permission is null) as gone
        from operations where operation = 'remove'"""
    )
    return int(found["held"]), int(found["gone"])


def planned_rows(
    dialect: Dialect,
    spec: SyncSpec,
    ledger: Ledger,
    fields: Fields,
    operations: Mapping[str, int],
    *,
    kind: ObjectKind,
) -> str:
    """SQL of the rows to be sent, in their order, with the columns of a plan's file.

    `operations` are those that occur: rows of one kind need not be sorted. Of a membership what was last delivered is
    told also where the content is not known: it may still point at the person, and has to be taken back.
    """
    is_membership = kind is ObjectKind.MEMBERSHIP
    previous = "sent.payload" if is_membership else "case when known is not null then sent.payload end"
    gone = dialect.json_object(dict.fromkeys(cleared_fields(spec), "null"))
    names = _literal_list(cleared_fields(spec))
    # Where the content is not known, nothing was sent as far as anybody knows: every field differs.
    sent_payload = "case when known is not null then sent.payload else '{}' end"
    changed = dialect.json_changes("rendered.payload", sent_payload, [entry.field for entry in spec.mapping])
    return in_order(
        dialect,
        f"""with rendered as (
            select operations.*, {fields.match_value} as match_value, {fields.consent_identifier} as consent_identifier,
                {fields.payload(dialect, "permission")} as payload
            from operations
            join {dialect.relation(spec.relation)} as model
                on model.{dialect.quote(spec.primary_key)} = operations."key"
            where skipped is null and operation <> 'remove'
        ),
        removed as (
            select "key", cast(null as varchar) as consent_identifier, {gone} as payload
            from operations where skipped is null and operation = 'remove'
        ),
        sent as ({_sent(ledger, "true" if is_membership else "known is not null")})
        select rendered."key", operation, coalesce(rendered.match_value, side.match_value) as match_value,
            side.record_id, rendered.payload, {previous} as previous,
            case when is_in_ledger then nullif({changed}, []) end as changed,
            fingerprint, consent_identifier,
            case when is_in_ledger and side.match_value <> rendered.match_value then side.match_value end
                as former_match_value
        from rendered
        left join {ledger.side_table} as side on side."key" = rendered."key"
        left join sent on sent."key" = rendered."key"
        union all
        select removed."key", 'remove', side.match_value, side.record_id, removed.payload, sent.payload, {names},
            null, consent_identifier, null
        from removed
        left join {ledger.side_table} as side on side."key" = removed."key"
        left join sent on sent."key" = removed."key" """,
        operations,
    )


def in_order(dialect: Dialect, rows: str, operations: Mapping[str, int]) -> str:
    """SQL that puts rows into the order of sending: operation by operation, in each as the model has them or by key."""
    places = [f"list_position({_literal_list(ORDER)}, operation)"] if len(operations) > 1 else []
    if not dialect.keeps_order:
        places.append('"key"')
    return f"select * from ({rows}) order by {', '.join(places)}" if places else rows


def _sent(ledger: Ledger, condition: str) -> str:
    """SQL of what the log says of the rows that meet a condition: "key", payload (JSON text of all fields).

    Two steps, because the payloads are most of the log: first which entry is the newest, then what it says.
    """
    log = f"cdp.delivered_rows where ledger_id = {literal(ledger.ledger_id)}"
    return f"""
            select newest."key", rows.payload from (
                select operations."key", max(rows.version) as version
                from (select primary_key, version from {log}) as rows
                join operations on cast(operations."key" as varchar) = rows.primary_key
                where {condition} and skipped is null
                group by operations."key"
            ) as newest
            join (select primary_key, version, payload from {log}) as rows
                on rows.primary_key = cast(newest."key" as varchar) and rows.version = newest.version
        """


def digest_of(session: Session, spec: SyncSpec, ledger: Ledger) -> str:
    """Name the operations to be sent: SHA-256 over sync, mapping, ledger and (key, operation, fingerprint) by key."""
    lines = session.batches(
        """select concat(strlen(name), ':', name, ' ', operation, ' ', fingerprint, chr(10)) as line
        from (select cast("key" as varchar) as name, operation, fingerprint from operations where skipped is null)
        order by name, operation"""
    )
    digest = hashlib.sha256(f"{spec.name}|{spec.mapping_version}|{ledger.ledger_id}".encode())
    for batch in lines:
        digest.update("".join(batch.column(0).to_pylist()).encode())
    return digest.hexdigest()


def count_operations(session: Session) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Count the rows to be sent by operation, and those left out by reason."""
    rows = session.rows("select skipped, operation, count(*) as row_count from operations group by all order by all")
    sent = {row["operation"]: row["row_count"] for row in rows if row["skipped"] is None}
    skipped: dict[str, int] = {}
    for row in rows:
        if row["skipped"]:
            skipped[row["skipped"]] = skipped.get(row["skipped"], 0) + row["row_count"]
    return sent, skipped


def cleared_fields(spec: SyncSpec) -> Sequence[str]:
    """The fields that a removal empties: all but the match key where records are cleared, none otherwise."""
    is_cleared = spec.removal is Removal.CLEAR
    return [entry.field for entry in spec.mapping if is_cleared and not entry.match_key]


def _literal_list(texts: Sequence[str]) -> str:
    return f"cast([{', '.join(map(literal, texts))}] as varchar[])"
