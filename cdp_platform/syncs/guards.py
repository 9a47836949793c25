"""The brakes: what must be true of a plan before anything is sent. Their verdicts are stored with the plan."""

from collections.abc import Sequence

from cdp_platform.connectors.protocol import DestinationField
from cdp_platform.domain.plans import Verdict
from cdp_platform.domain.syncs import Mode, SyncSpec
from cdp_platform.syncs.ledger import Ledger
from cdp_platform.warehouse.base import Session


def judge_model(session: Session, spec: SyncSpec, ledger: Ledger) -> tuple[int, list[Verdict]]:
    """Judge the temporary view `desired`: keys, match keys, and its rows, which are returned, against the last run."""
    (found,) = session.rows(
        """select
            count(*) as model_rows,
            count(*) filter (where "key" is null or trim(cast("key" as varchar)) = '') as blank_keys,
            count("key") - count(distinct "key") as doubled_keys,
            count(*) filter (where match_value is null or trim(match_value) = '') as blank_match_keys,
            count(match_value) - count(distinct match_value) as doubled_match_keys
        from desired"""
    )
    model, rows = spec.source_model, found["model_rows"]
    key = {"model": model, "column": spec.primary_key}
    match_key = {"model": model, "column": spec.match_key.column}
    blank, doubled = found["blank_match_keys"], found["doubled_match_keys"]
    size = [
        Verdict(code="model_not_empty", passed=rows > 0, parameters={"model": model, "rows": rows}),
        Verdict(
            code="model_not_shrunk",
            passed=rows >= ledger.model_rows * (1 - spec.limits.shrunk_share),
            parameters={"model": model, "rows": rows, "before": ledger.model_rows},
        ),
    ]
    return rows, [
        # A day without events is no failed load, and takes nothing away.
        *(size if spec.mode is not Mode.APPEND else []),
        Verdict(code="keys_present", passed=not found["blank_keys"], parameters={**key, "rows": found["blank_keys"]}),
        Verdict(
            code="keys_unique", passed=not found["doubled_keys"], parameters={**key, "rows": found["doubled_keys"]}
        ),
        Verdict(
            code="match_keys_unique",
            passed=not blank and not doubled,
            parameters={**match_key, "rows": blank + doubled},
        ),
    ]


def judge_consents(spec: SyncSpec, ledger: Ledger, consent_rows: int) -> list[Verdict]:
    """Judge the consents table: a table that is empty or has shrunk is no proof that nobody minds, or that all do."""
    if spec.consent is None:
        return []
    floor = ledger.consent_rows * (1 - spec.limits.shrunk_share)
    return [
        Verdict(
            code="consent_present",
            passed=consent_rows > 0 and consent_rows >= floor,
            parameters={"purpose": spec.consent.purpose, "rows": consent_rows, "before": ledger.consent_rows},
        )
    ]


def judge_removals(spec: SyncSpec, ledger_rows: int, removed: int) -> list[Verdict]:
    """Judge how much a mirror would remove of what the ledger holds (G6)."""
    if spec.mode is not Mode.MIRROR:
        return []
    limit = max(spec.limits.removed_rows, int(ledger_rows * spec.limits.removed_share))
    return [
        Verdict(
            code="removals_within_limit",
            passed=removed <= limit,
            parameters={"rows": removed, "before": ledger_rows, "limit": limit, "object": spec.object},
        )
    ]


def judge_mapping(spec: SyncSpec, fields: Sequence[DestinationField]) -> list[Verdict]:
    """Judge the mapping against what the destination says of its object."""
    declared = {field.name: field for field in fields}
    unknown = [entry.field for entry in spec.mapping if entry.field not in declared]
    read_only = [
        entry.field for entry in spec.mapping if entry.field in declared and not declared[entry.field].is_writable
    ]
    key = declared.get(spec.match_key.field)
    not_unique = [spec.match_key.field] if key is not None and not key.is_unique else []
    wrong = [*unknown, *read_only, *not_unique]
    return [
        Verdict(
            code="mapping_fits",
            passed=not wrong,
            parameters={"fields": ", ".join(wrong) or "–", "object": spec.object, "destination": spec.connection.name},
        )
    ]
