"""What Dagster shows of identity: sizes, moves, what was stopped, and verdicts; counts and hashes, never a person."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from cdp_platform.components.markdown import table
from cdp_platform.errors import GuardTripped

if TYPE_CHECKING:
    from cdp_platform.components.identity import HealthBlock
    from cdp_platform.identity.health import Health
    from cdp_platform.identity.pairs import PairScore
    from cdp_platform.identity.present import Update

CHECKS: Final = {
    "rules_are_believed": "No guard stopped the run: neither strangers nor too many people at once would merge.",
    "largest_person_within_bounds": "Nobody is made of too many records.",
    "shared_values_within_bounds": "Few records hold a value that too many share.",
    "quarantine_within_bounds": "Few records stand in clusters that are too large to believe.",
}
STOPPING: Final = frozenset({"rules_are_believed", "largest_person_within_bounds"})
"""The others warn: what they count was stopped already, and joins nobody."""
_SIZES: Final = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 10), (11, 20), (21, None))
_WIDTH, _HEIGHT, _MARGIN = 640, 180, 24


def table_metadata(done: "Update", state: "Health") -> dict[str, dict[str, Any]]:
    """By table what the run did to it. Numbers are numbers, so that Dagster draws them over time."""
    found = done.resolution
    clusters = {
        "dagster/row_count": state.record_count,
        "people": state.person_count,
        "scope": done.scope,
        "changed_records": done.changed_count,
        "gone_records": done.gone_count,
        "looked_at_records": found.record_count if found else 0,
        "new_people": found.minted_count if found else 0,
    }
    merges = {
        "merges": found.merge_count if found else 0,
        "splits": found.split_count if found else 0,
        "resolved_at": done.resolved_at.isoformat(),
    }
    quarantine = {
        "shared_values": sum(state.shared_value_counts.values()),
        "cut_clusters": state.cut_cluster_count,
        "quarantined_clusters": state.quarantined_cluster_count,
    }
    return {
        "identity_edges": {"records_by_source": dg.MetadataValue.md(table(("source", "records"), _sources(state)))},
        "identity_clusters": clusters,
        "identity_merges": merges,
        "identity_person_ids": {},
        "identity_quarantine": quarantine,
    }


def check_results(key: dg.AssetKey, limits: "HealthBlock", state: "Health") -> Iterator[dg.AssetCheckResult]:
    """Judge the state by its limits."""
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="rules_are_believed",
        passed=True,
        metadata={"merged_share": state.merge_share, "limit": limits.merged_share, "merges": state.merge_count},
    )
    judged = {
        "largest_person_within_bounds": (state.largest_person, limits.largest_person),
        "shared_values_within_bounds": (state.shared_share, limits.shared_share),
        "quarantine_within_bounds": (state.quarantined_share, limits.quarantined_share),
    }
    for name, (found, limit) in judged.items():
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=found <= limit,
            severity=dg.AssetCheckSeverity.ERROR if name in STOPPING else dg.AssetCheckSeverity.WARN,
            metadata={"found": found, "limit": limit},
        )


def stopped_result(key: dg.AssetKey, stopped: GuardTripped) -> dg.AssetCheckResult:
    """Say which guard stopped the run: the rule and the masked value stand in its words."""
    metadata: dict[str, Any] = {"said": str(stopped), **stopped.counts}
    return dg.AssetCheckResult(asset_key=key, check_name="rules_are_believed", passed=False, metadata=metadata)


def health_metadata(state: "Health") -> dict[str, Any]:
    """The report: a picture, tables, and the numbers behind them."""
    shared = [(rule, f"{count:,}") for rule, count in state.shared_value_counts.items()]
    largest = [(place, size) for place, size in enumerate(state.largest, start=1)]
    values = [(one.rule, one.value_hash, f"{one.record_count:,}") for one in state.shared_values]
    moves = [(one.day, f"{one.merge_count:,}", f"{one.split_count:,}") for one in reversed(state.recent_moves)]
    return {
        "records": state.record_count,
        "people": state.person_count,
        "records_per_person": round(state.record_count / max(state.person_count, 1), 3),
        "merges": state.merge_count,
        "splits": state.split_count,
        "merged_share": round(state.merge_share, 6),
        "largest_person": state.largest_person,
        "shared_record_share": round(state.shared_share, 6),
        "quarantined_record_share": round(state.quarantined_share, 6),
        "records_by_source": dg.MetadataValue.md(table(("source", "records"), _sources(state))),
        "cluster_sizes": dg.MetadataValue.md(_drawn(state.sizes)),
        "largest_people": dg.MetadataValue.md(table(("place", "records"), largest)),
        "moves_by_day": dg.MetadataValue.md(table(("day", "merges", "splits"), moves)),
        "shared_values_by_rule": dg.MetadataValue.md(table(("rule", "values that join nobody"), shared)),
        "most_shared_values": dg.MetadataValue.md(table(("rule", "value (hash)", "records"), values)),
    }


def score_metadata(score: "PairScore") -> dict[str, Any]:
    """Precision and recall against the truth, in pairs of records."""
    return {
        "precision": round(score.precision or 0.0, 6),
        "recall": round(score.recall or 0.0, 6),
        "true_pairs": score.true_pair_count,
        "missed_pairs": score.true_pair_count - score.correct_pair_count,
        "false_pairs": score.found_pair_count - score.correct_pair_count,
    }


def _sources(state: "Health") -> list[tuple[str, str]]:
    return [(source, f"{records:,}") for source, records in state.sources.items()]


def _drawn(sizes: Mapping[int, int]) -> str:
    counted = {
        _range_text(low, high): sum(
            people for size, people in sizes.items() if low <= size and (high is None or size <= high)
        )
        for low, high in _SIZES
    }
    picture = b64encode(bars(counted).encode()).decode()
    image = f"![people by their number of records](data:image/svg+xml;base64,{picture})"
    rows = [(size, f"{people:,}") for size, people in counted.items()]
    return f"{image}\n\n{table(('records of a person', 'people'), rows)}"


def _range_text(low: int, high: int | None) -> str:
    if high is None:
        return f"{low}+"
    return str(low) if low == high else f"{low}-{high}"


def bars(counted: Mapping[str, int]) -> str:
    """Draw counts by name as the bars of an SVG image; heights begin at 0."""
    highest = max(counted.values(), default=0) or 1
    step = (_WIDTH - 2 * _MARGIN) / max(len(counted), 1)
    base = _HEIGHT - _MARGIN
    drawn = []
    for place, (name, count) in enumerate(counted.items()):
        left, height = _MARGIN + step * place, (_HEIGHT - 3 * _MARGIN) * count / highest
        middle = left + step / 2
        drawn.append(
            f'<rect x="{left + step * 0.15:.1f}" y="{base - height:.1f}" width="{step * 0.7:.1f}"'
            f' height="{height:.1f}" fill="#4f43dd"/>'
            f'<text x="{middle:.1f}" y="{base - height - 4:.1f}" text-anchor="middle">{count:,}</text>'
            f'<text x="{middle:.1f}" y="{base + 14}" text-anchor="middle">{name}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif"'
        f' font-size="11" fill="#555"><line x1="{_MARGIN}" y1="{base}" x2="{_WIDTH - _MARGIN}" y2="{base}"'
        f' stroke="#bbb"/>{"".join(drawn)}</svg>'
    )
