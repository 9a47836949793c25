"""The diff: desired records against the ledger, in the warehouse, as the temporary table `operations`.

Its columns: key, operation, match_value, record_id, payload (JSON text), previous (JSON text, null where unknown),
changed (list of fields; null means all), fingerprint (null for removals), consent_identifier, skipped (the reason why
the row is left out, null for rows to be sent). Unchanged rows are absent.
"""

import hashlib
from collections.abc import Mapping, Sequence

from cdp_platform.domain.syncs import FieldMapping, Mode, Removal, SyncSpec
from cdp_platform.syncs.ledger import Ledger
from cdp_platform.syncs.records import Fields
from cdp_platform.warehouse.base import Dialect, Session

ORDER = ("remove", "withdraw", "update", "create")
"""The order in which operations are sent."""
_CREATE_ONLY = (Mode.INSERT, Mode.APPEND)


def create_operations(
    session: Session, dialect: Dialect, spec: SyncSpec, ledger: Ledger, fields: Fields, only: str = "true"
) -> None:
    """Fill the temporary table `operations`; `only` is a condition over "key" that narrows the plan."""
    _create_candidates(session, spec, ledger, only)
    _define_rendered(session, dialect, spec, fields)
    changed = ", ".join(_changed(dialect, entry) for entry in spec.mapping)
    names = _literal_list(cleared_fields(spec))
    unknown = "update" if spec.mode is Mode.UPDATE else "create"
    is_once = _literal_truth(spec.mode in _CREATE_ONLY)
    session.execute(
        f"""create or replace temporary table operations as
        with sent as (
            select primary_key, arg_max(payload, version) as payload
            from cdp.sync_log
            where ledger_id = ? and primary_key in (
                select cast("key" as varchar) from candidates where known is not null and skipped is null)
            group by primary_key
        )
        select
            candidates."key",
            case
                when is_gone then 'remove' when not is_in_ledger or {is_once} then '{unknown}'
                when permission = 'withdrawn' then 'withdraw' else 'update'
            end as operation,
            coalesce(candidates.match_value, side.match_value) as match_value,
            side.record_id,
            candidates.payload,
            case when candidates.known is not null then sent.payload end as previous,
            case
                when is_gone then {names}
                when is_in_ledger then nullif(list_filter([{changed}], field -> field is not null), [])
            end as changed,
            case when not is_gone then candidates.fingerprint end as fingerprint,
            candidates.consent_identifier,
            candidates.skipped
        from rendered as candidates
        left join {ledger.side_table} as side on side."key" = candidates."key"
        left join sent on sent.primary_key = cast(candidates."key" as varchar)""",
        [ledger.ledger_id],
    )


def _define_rendered(session: Session, dialect: Dialect, spec: SyncSpec, fields: Fields) -> None:
    """Define the temporary view `rendered`: the candidates with the JSON text of the fields that may be written.

    Inner joins and one condition each: more conditions on a left join would cost it its hash table.
    """
    gone = dialect.json_object(dict.fromkeys(cleared_fields(spec), "null"))
    session.execute(
        f"""create or replace temporary view rendered as
        select candidates.*, {fields.payload(dialect, "candidates.permission")} as payload
        from candidates
        join {dialect.relation(spec.relation)} as model on model.{dialect.quote(spec.primary_key)} = candidates."key"
        where candidates.skipped is null and not candidates.is_gone
        union all
        select candidates.*, {gone} as payload
        from candidates where candidates.skipped is not null or candidates.is_gone"""
    )


def planned_rows() -> str:
    """SQL of the operations to be sent, in order, with their ordinals."""
    parts = " union all ".join(
        f"select * exclude (skipped) from operations where skipped is null and operation = '{name}'" for name in ORDER
    )
    return f"select row_number() over () - 1 as ordinal, * from ({parts})"


def digest_of(session: Session, spec: SyncSpec, ledger: Ledger) -> str:
    """Name the operations to be sent: SHA-256 over sync, mapping, ledger and (key, operation, fingerprint) by key."""
    table = session.arrow(
        """select cast("key" as varchar) as "key", operation, cast(fingerprint as varchar) as fingerprint
        from operations where skipped is null order by "key", operation"""
    )
    digest = hashlib.sha256(f"{spec.name}|{spec.mapping_version}|{ledger.ledger_id}".encode())
    for batch in table.to_batches(max_chunksize=100_000):
        columns = [[value or "" for value in column.to_pylist()] for column in batch.columns]
        digest.update("\n".join(part for row in zip(*columns, strict=True) for part in row).encode())
        digest.update(b"\n")
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


def _create_candidates(session: Session, spec: SyncSpec, ledger: Ledger, only: str) -> None:
    """Fill the temporary table `candidates`: rows that differ from the ledger, left it, or were never permitted."""
    is_once = _literal_truth(spec.mode in _CREATE_ONLY)
    # Where nothing is ever updated, a row is sent again only while nobody knows whether it arrived.
    may_update = "ledger.fingerprint is null" if spec.mode in _CREATE_ONLY else "true"
    is_mirror = spec.mode is Mode.MIRROR
    session.execute(
        f"""create or replace temporary table candidates as
        select
            coalesce(desired."key", ledger."key") as "key",
            desired.match_value, desired.consent_identifier, desired.permission, desired.fingerprint,
            ledger.fingerprint as known,
            ledger."key" is not null as is_in_ledger,
            desired."key" is null as is_gone,
            case
                when permission = 'never_asked' then 'never_asked'
                when permission = 'withdrawn' and (not is_in_ledger or {is_once}) then 'withdrawn'
                when is_invalid then 'invalid_value'
                when rejected.primary_key is not null then 'held'
            end as skipped
        from (select * from desired where {only}) as desired
        {"full" if is_mirror else "left"} join (select * from {ledger.diff_table} where {only}) as ledger
            on ledger."key" = desired."key"
        left join cdp.rejected_rows as rejected
            on rejected.ledger_id = ? and rejected.next_at > current_timestamp
            and rejected.primary_key = cast(coalesce(desired."key", ledger."key") as varchar)
            and rejected.fingerprint is not distinct from cast(desired.fingerprint as varchar)
        where ledger."key" is null
            or (desired."key" is not null and ledger."key" is not null and {may_update}
                and (desired.fingerprint is distinct from ledger.fingerprint or is_invalid))
            or permission = 'never_asked'
            or desired."key" is null""",
        [ledger.ledger_id],
    )


def _changed(dialect: Dialect, entry: FieldMapping) -> str:
    """Name a field where it is written and its value differs from the last one sent; SQL NULL otherwise."""
    new = dialect.json_text("candidates.payload", entry.field)
    old = dialect.json_text("sent.payload", entry.field)
    # A withdrawal that followed an unanswered request logs the opt-out alone: of the other fields nothing is known.
    unknown = f"candidates.known is null or not {dialect.json_has('sent.payload', entry.field)}"
    permitted = "" if entry.after_withdrawal else "permission <> 'withdrawn' and "
    name = _literal(entry.field)
    return f"case when {permitted}({unknown} or {new} is distinct from {old}) then {name} end"


def cleared_fields(spec: SyncSpec) -> Sequence[str]:
    """The fields that a removal empties: all but the match key where records are cleared, none otherwise."""
    is_cleared = spec.removal is Removal.CLEAR
    return [entry.field for entry in spec.mapping if is_cleared and not entry.match_key]


def _literal_truth(value: bool) -> str:
    return "true" if value else "false"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literal_list(texts: Sequence[str]) -> str:
    return f"cast([{', '.join(_literal(text) for text in texts)}] as varchar[])"
