"""The brakes: what must be true of a plan before anything is sent. Their verdicts are stored with the plan."""

from collections.abc import Mapping, Sequence

from cdp_platform.connectors.protocol import DestinationField
from cdp_platform.domain.permission import ConsentRule
from cdp_platform.domain.plans import Verdict
from cdp_platform.domain.syncs import FieldKind, FieldType, Mode, Removal, SyncSpec
from cdp_platform.syncs.account import NOT_ASKED
from cdp_platform.syncs.ledger import Ledger
from cdp_platform.syncs.moves import leaves_leftovers
from cdp_platform.syncs.permissions import floors
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.literals import literal

_TAKEN: Mapping[FieldKind | None, frozenset[FieldKind]] = {
    FieldKind.INTEGER: frozenset({FieldKind.INTEGER}),
    FieldKind.DECIMAL: frozenset({FieldKind.DECIMAL, FieldKind.INTEGER}),
    FieldKind.BOOLEAN: frozenset({FieldKind.BOOLEAN}),
    FieldKind.DATE: frozenset({FieldKind.DATE}),
    FieldKind.TIMESTAMP: frozenset({FieldKind.TIMESTAMP, FieldKind.DATE}),
}
"""By the type of a destination's field: the declared types that it takes, besides text."""


def judge_model(
    session: Session, spec: SyncSpec, ledger: Ledger, model_rows: int, *, is_partial: bool
) -> list[Verdict]:
    """Judge keys and match keys by the temporary tables `desired` and `operations`, and the rows against the last run.

    What the ledger holds was unique when it was sent. So only rows that differ from it are looked at, unless another
    mapping or a narrowed plan makes that no proof.
    """
    is_known = ledger.version > 0 and ledger.mapping_version == spec.mapping_version and not is_partial
    if is_known:
        blank, doubled = _keys(session, spec, ledger, model_rows)
        blank_match, doubled_match = _match_keys(session, spec, ledger)
    else:
        # The model is read once: in some warehouses that is most of the price.
        blank, doubled, blank_match, doubled_match = _every(session, '"key"', "match_value")
    model = spec.source_model
    key = {"model": model, "column": spec.primary_key}
    match_key = {"model": model, "column": spec.match_key.column}
    size = [
        Verdict(code="model_not_empty", passed=model_rows > 0, parameters={"model": model, "rows": model_rows}),
        Verdict(
            code="model_not_shrunk",
            passed=model_rows >= ledger.model_rows * (1 - spec.limits.shrunk_share),
            parameters={"model": model, "rows": model_rows, "before": ledger.model_rows},
        ),
    ]
    return [
        # A day without events is no failed load, and takes nothing away.
        *(size if spec.mode is not Mode.APPEND else []),
        Verdict(code="keys_present", passed=not blank, parameters={**key, "rows": blank}),
        Verdict(code="keys_unique", passed=not doubled, parameters={**key, "rows": doubled}),
        Verdict(
            code="match_keys_unique",
            passed=not blank_match and not doubled_match,
            parameters={**match_key, "rows": blank_match + doubled_match},
        ),
    ]


def _every(session: Session, *columns: str) -> list[int]:
    """Count blank and doubled values over the whole model, for each column two numbers."""
    counted = [
        f"count(*) filter (where {column} is null or trim(cast({column} as varchar)) = '') as blank_{place},"
        f" count({column}) - count(distinct {column}) as doubled_{place}"
        for place, column in enumerate(columns)
    ]
    [found] = session.rows(f"select {', '.join(counted)} from desired")
    return [int(found[name]) for place in range(len(columns)) for name in (f"blank_{place}", f"doubled_{place}")]


def _keys(session: Session, spec: SyncSpec, ledger: Ledger, model_rows: int) -> tuple[int, int]:
    """Count blank and doubled keys: those that meet no row of the ledger, and what is too many to have met one each."""
    if spec.mode is not Mode.MIRROR:
        blank, doubled = _every(session, '"key"')
        return blank, doubled
    [found] = session.rows(
        f"""select
            count(*) filter (where "key" is null or trim(cast("key" as varchar)) = '') as blank,
            count(*) filter (where not is_in_ledger) as new_rows,
            count(distinct "key") filter (where not is_in_ledger) as new_keys,
            count(*) filter (where not is_in_ledger and "key" is null) as null_keys,
            count(*) filter (where operation = 'remove' and permission is null) as gone,
            (select count(*) from {ledger.diff_table}) as ledger_rows
        from operations"""
    )
    met_too_often = (model_rows - found["new_rows"]) - (found["ledger_rows"] - found["gone"])
    return found["blank"], found["new_rows"] - found["null_keys"] - found["new_keys"] + met_too_often


def _match_keys(session: Session, spec: SyncSpec, ledger: Ledger) -> tuple[int, int]:
    """Count blank and doubled match keys of the rows that differ, among each other and against the rows that do not."""
    session.execute(
        """create or replace temporary table matches as
        select "key", match_value from desired
        where "key" in (select "key" from operations where operation <> 'remove')"""
    )
    [found] = session.rows(
        """select count(*) filter (where match_value is null or trim(match_value) = '') as blank,
            count(match_value) - count(distinct match_value) as doubled from matches"""
    )
    taken = session.rows(
        f"""select "key" from {ledger.side_table} where match_value in (select match_value from matches)
            and "key" not in (select "key" from operations where "key" is not null)"""
    )
    # A record that left the model, and is kept, may well have had the match key that another row has now.
    still_there = (
        session.rows(
            'select count(*) as row_count from desired where cast("key" as varchar) in'
            f" ({', '.join(literal(str(row['key'])) for row in taken)})"
        )[0]["row_count"]
        if taken
        else 0
    )
    return found["blank"], found["doubled"] + still_there


def judge_consents(spec: SyncSpec, ledger: Ledger, consent_rows: int, suppression_rows: int) -> list[Verdict]:
    """Judge consents and suppressions: a table that is empty or has shrunk is no proof that nobody minds, or all do.

    Where everybody may be contacted who did not say no, there may be no answer yet.
    """
    if spec.consent is None:
        return []
    consents, suppressions = floors(spec, ledger)
    may_be_empty = spec.consent.rule is ConsentRule.OPT_OUT
    present = Verdict(
        code="consent_present",
        passed=(consent_rows > 0 or may_be_empty) and consent_rows >= consents,
        parameters={"purpose": spec.consent.purpose, "rows": consent_rows, "before": ledger.consent_rows},
    )
    if spec.consent.suppressions is None:
        return [present]
    listed = Verdict(
        code="suppressions_present",
        passed=suppression_rows >= suppressions,
        parameters={"channel": spec.consent.channel, "rows": suppression_rows, "before": ledger.suppression_rows},
    )
    return [present, listed]


def judge_account(session: Session, ledger: Ledger) -> list[Verdict]:
    """Judge whether a sync that has delivered to one account meets another for the first time."""
    identity = ledger.identity
    rows = session.rows(
        """select account_id from cdp.ledgers
        where sync = ? and version > 0 and account_id <> ? order by created_at desc""",
        [identity.sync, NOT_ASKED],
    )
    known = [str(row["account_id"]) for row in rows]
    is_known = not known or identity.account_id in (*known, NOT_ASKED)
    return [
        Verdict(
            code="account_known",
            passed=is_known,
            parameters={"sync": identity.sync, "account": identity.account_id, "before": known[0] if known else "–"},
        )
    ]


def may_remove(spec: SyncSpec) -> bool:
    """Whether a plan of this sync may hold removals."""
    return spec.mode is Mode.MIRROR or (leaves_leftovers(spec) and spec.removal is not Removal.KEEP)


def judge_operations(
    spec: SyncSpec, ledger_rows: int, operations: Mapping[str, int], *, removed: int, needs_approval: bool = False
) -> list[Verdict]:
    """Judge how much would be removed of what the ledger holds (G6), and ask for a person's word where needed.

    What merges have left counts like what left the model: a rule that merges strangers is stopped by the same brake.
    `removed` is what it holds; what goes by somebody's own word passes it (G13). `needs_approval`: also where the sync
    does not ask for it.
    """
    verdicts = []
    if may_remove(spec):
        limit = max(spec.limits.removed_rows, int(ledger_rows * spec.limits.removed_share))
        verdicts.append(
            Verdict(
                code="removals_within_limit",
                passed=removed <= limit,
                parameters={"rows": removed, "before": ledger_rows, "limit": limit, "object": spec.object},
            )
        )
    if (needs_approval or spec.needs_approval) and operations:
        verdicts.append(Verdict(code="approved", passed=False, parameters={"rows": sum(operations.values())}))
    return verdicts


def _takes(field: DestinationField | None, declared: FieldType | None) -> bool:
    """Whether a field may take values of a declared type: text may say anything, so only the others are judged."""
    if field is None or declared is None or declared.kind is FieldKind.TEXT:
        return True
    return field.kind not in _TAKEN or declared.kind in _TAKEN[field.kind]


def judge_mapping(spec: SyncSpec, fields: Sequence[DestinationField]) -> list[Verdict]:
    """Judge the mapping against what the destination says of its object."""
    declared = {field.name: field for field in fields}
    unknown = [entry.field for entry in spec.mapping if entry.field not in declared]
    read_only = [
        entry.field for entry in spec.mapping if entry.field in declared and not declared[entry.field].is_writable
    ]
    key = declared.get(spec.match_key.field)
    not_unique = [spec.match_key.field] if key is not None and not key.is_unique else []
    other_type = [entry.field for entry in spec.mapping if not _takes(declared.get(entry.field), entry.type)]
    wrong = [*unknown, *read_only, *not_unique, *other_type]
    return [
        Verdict(
            code="mapping_fits",
            passed=not wrong,
            parameters={"fields": ", ".join(wrong) or "–", "object": spec.object, "destination": spec.connection.name},
        )
    ]
