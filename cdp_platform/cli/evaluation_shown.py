"""An evaluation of identity rules at the terminal: the figures first, then what each rule did, then what to mend."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cdp_platform.identity.evaluate import Evaluation
from cdp_platform.texts.catalogue import text

_MOST_FIELDS: Final = 6
_LANGUAGE: Final = "en"


def evaluation_document(found: Evaluation) -> dict[str, Any]:
    """Everything that is told of an evaluation, for programs."""
    return {"precision": found.precision, "recall": found.recall, "f1": found.f1, **asdict(found)}


def show_evaluation(console: Console, found: Evaluation, *, is_default: bool) -> None:
    """Print an evaluation for people."""
    if is_default:
        _show_guess(console, found)
    console.print(
        f"[bold]precision {_share(found.precision)}   recall {_share(found.recall)}   F1 {_share(found.f1)}[/]"
    )
    _tell(console, "read_as_pairs" if found.is_pair_list else "read_as_people", {"count": found.labelled_count})
    _tell(console, "pairs", _pair_counts(found))
    _tell(
        console,
        "clusters",
        {"records": found.record_count, "clusters": found.cluster_count, "people": found.person_count},
    )
    sizes = "  ".join(f"{size}: {count:,}" for size, count in found.cluster_sizes.items() if count)
    _tell(console, "sizes", {"sizes": sizes})
    _show_rules(console, found)
    _show_missed(console, found)
    _show_false(console, found)
    _show_stopped(console, found)


def _show_guess(console: Console, found: Evaluation) -> None:
    _tell(console, "guessed", {})
    for field, columns in found.columns.items():
        console.print(f"  {escape(field)} ← {escape(', '.join(columns))}")
    if found.left_out_rules:
        reasons = ", ".join(f"{rule} ({why})" for rule, why in found.left_out_rules.items())
        _tell(console, "left_out", {"rules": reasons})
    console.print()


def _show_rules(console: Console, found: Evaluation) -> None:
    console.print("\n" + _say("rules_title"))
    table = _table("rule", "true", "false", "only it: true", "false")
    for rule in found.rules:
        counts = (rule.true_pairs, rule.false_pairs, rule.only_true_pairs, rule.only_false_pairs)
        style = "yellow" if rule.only_false_pairs > rule.only_true_pairs else None
        table.add_row(rule.name, *(f"{count:,}" for count in counts), style=style)
    console.print(table)
    for rule in found.rules:
        if rule.only_false_pairs > rule.only_true_pairs:
            _tell(
                console, "rule_costs", {"rule": rule.name, "false": rule.only_false_pairs, "true": rule.only_true_pairs}
            )
        elif not rule.only_true_pairs:
            _tell(console, "rule_idle", {"rule": rule.name})


def _show_missed(console: Console, found: Evaluation) -> None:
    missed = found.true_pair_count - found.correct_pair_count
    if not missed:
        _tell(console, "missed_none", {})
        return
    console.print("\n" + _say("missed_title", count=missed))
    table = _table("field", "different", "empty", "equal")
    for field in found.missed_fields[:_MOST_FIELDS]:
        table.add_row(field.name, *(f"{count / missed:.0%}" for count in (field.different, field.empty, field.equal)))
    console.print(table)
    _tell(console, "examples", {"pairs": _examples(found.missed_examples)})


def _show_false(console: Console, found: Evaluation) -> None:
    false = found.found_pair_count - found.correct_pair_count
    if not false:
        _tell(console, "false_none", {})
        return
    _tell(console, "false_pairs", {"count": false, "chained": found.chained_false_pair_count})
    _tell(console, "examples", {"pairs": _examples(found.false_examples)})
    mixed = [one for one in found.largest_clusters if one["people"] > 1]
    for one in mixed:
        _tell(console, "mixed_cluster", {"records": one["records"], "people": one["people"]})


def _show_stopped(console: Console, found: Evaluation) -> None:
    if found.shared_value_count:
        _tell(console, "shared", {"count": found.shared_value_count})
        for value in found.shared_values:
            console.print(f"  {escape(value.rule)}: {escape(value.value)}, {value.record_count:,}")
    if found.cut_cluster_count:
        _tell(console, "cut", {"count": found.cut_cluster_count})
    if found.quarantined_cluster_count:
        _tell(console, "quarantined", {"count": found.quarantined_cluster_count})


def _pair_counts(found: Evaluation) -> dict[str, int]:
    return {
        "true": found.true_pair_count,
        "found": found.found_pair_count,
        "correct": found.correct_pair_count,
        "missed": found.true_pair_count - found.correct_pair_count,
        "false": found.found_pair_count - found.correct_pair_count,
    }


def _table(first: str, *others: str) -> Table:
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, padding=0, collapse_padding=True)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _examples(pairs: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{one} = {other}" for one, other in pairs)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _say(code: str, **parameters: object) -> str:
    return text(f"identity.evaluation.{code}", _LANGUAGE, **parameters)


def _tell(console: Console, code: str, parameters: Mapping[str, object]) -> None:
    console.print(escape(_say(code, **parameters)), soft_wrap=True)
