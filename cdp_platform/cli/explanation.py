"""What is known of one key, at the terminal: personal values masked unless they are asked for."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from cdp_platform.cli.column_story import ends_of
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.privacy.masking import masked
from cdp_platform.syncs.explain import Delivery, Explanation
from cdp_platform.syncs.moves import KeyMove
from cdp_platform.syncs.unknown import UnknownRow
from cdp_platform.texts.catalogue import rejected_text, text

_EMPTY = "∅"
_MOST_ENDS = 3


def explanation_document(spec: SyncSpec, known: Explanation, *, field: str | None, is_shown: bool) -> dict[str, Any]:
    """Everything that is told of a key, for programs and for `show_explanation`; values are text, masked."""
    hidden = frozenset(entry.field for entry in spec.mapping if entry.personal and not is_shown)
    return {
        "sync": spec.name,
        "key": known.key,
        "model": spec.source_model,
        "destination": spec.connection.name,
        "object": spec.object,
        "reason": known.reason,
        "says": _says(spec, known),
        "is_record_there": known.is_record_there,
        "is_content_known": known.is_content_known,
        "fields": [
            {
                "field": story.field,
                "column": story.column,
                "delivered": _value(story.delivered, story.field in hidden),
                "delivered_at": story.by.delivered_at if story.by else None,
                "run_id": story.by.run_id if story.by else None,
                "digest": story.by.digest if story.by else None,
                "now": _value(story.now, story.field in hidden),
                "is_equal": story.delivered == story.now,
                "held_by": story.held_by,
            }
            for story in known.fields
            if field in (None, story.field)
        ],
        "deliveries": [
            _delivery(delivery, field, hidden)
            for delivery in known.deliveries
            if field is None or field in delivery.fields
        ],
    }


def show_explanation(console: Console, spec: SyncSpec, document: dict[str, Any]) -> None:
    """Print what is known of a key for people."""
    where = f"{document['destination']} {document['object']}"
    console.print(f"[bold]{escape(document['key'])}[/] of {spec.source_model} → {where}")
    for says in document["says"]:
        console.print("  " + escape(says.replace("\n", "\n  ")))
    for story in document["fields"] if document["deliveries"] or document["reason"] != "not_in_model" else ():
        console.print(f"  [bold]{story['field']}[/] ← {spec.source_model}.{story['column']}")
        console.print("    " + escape(_story(story)))
        if story.get("made_of") and (ends := ends_of(story["made_of"])):
            console.print("    " + escape(_made_of(ends)))
        if story["held_by"]:
            told = text("explain.held_field", "en", field=story["field"], policy=story["held_by"])
            console.print("    " + escape(told))
    for delivery in document["deliveries"]:
        console.print("  " + escape(_line(delivery)))
    if not document["deliveries"]:
        console.print("  Nothing was ever delivered.")


def _says(spec: SyncSpec, known: Explanation) -> list[str]:
    says = [text(f"explain.{known.reason or 'in_order'}", "en")]
    says += [
        text(f"explain.moved_{'here' if move.key == known.key else 'away'}", "en", **_move(move))
        for move in known.moves
    ]
    if known.rejected:
        refused = known.rejected
        says += [rejected_text(refused.code, 1, "en", destination=spec.connection.name, parameters=refused.parameters)]
    if known.unknown:
        says.append(attempt_line(known.unknown))
    if not known.is_content_known:
        says.append(text("explain.content_unknown", "en"))
    return says


def _move(move: KeyMove) -> dict[str, str]:
    return {"former": move.former_key, "key": move.key, "at": f"{move.moved_at:%Y-%m-%d %H:%M} UTC"}


def attempt_line(row: UnknownRow) -> str:
    """Tell when, by what and until when a row of unknown outcome was sent, so that it can be found there."""
    by = f"plan {row.digest[:12]}, run {row.run_id}, batch {row.batch}, request {row.request_id or '–'}"
    said = f", answered {row.code}" if row.code else ""
    again = f"; repeated by the next run until {row.retry_until:%Y-%m-%d %H:%M} UTC" if row.retry_until else ""
    return f"{row.operation} sent {row.last_at:%Y-%m-%d %H:%M} UTC ({by}){said}{again}"


def _delivery(delivery: Delivery, field: str | None, hidden: frozenset[str]) -> dict[str, Any]:
    names = [name for name in delivery.fields if field in (None, name)]
    return {
        "delivered_at": delivery.delivered_at,
        "operation": delivery.operation,
        "day": delivery.partition,
        "run_id": delivery.run_id,
        "digest": delivery.digest,
        "account_id": delivery.account_id,
        "record_id": delivery.record_id,
        "request_id": delivery.request_id,
        "fields": {name: _value(delivery.fields[name], name in hidden) for name in names},
    }


def _story(story: dict[str, Any]) -> str:
    if story["delivered_at"] is None:
        return f"never sent; the model has {story['now'] or _EMPTY} now"
    sent = f"{story['delivered'] or _EMPTY} since {story['delivered_at']:%Y-%m-%d %H:%M} UTC"
    by = f"plan {story['digest'][:12]}, run {story['run_id']}" if story["digest"] else "taken as it was"
    now = "the model agrees" if story["is_equal"] else f"the model has {story['now'] or _EMPTY} now"
    return f"{sent} ({by}); {now}"


def _made_of(ends: list[str]) -> str:
    more = f" and {len(ends) - _MOST_ENDS} more (--field shows them)" if len(ends) > _MOST_ENDS else ""
    return f"made of {', '.join(ends[:_MOST_ENDS])}{more}"


def _line(delivery: dict[str, Any]) -> str:
    at, day = f"{delivery['delivered_at']:%Y-%m-%d %H:%M} UTC", delivery["day"] or "–"
    fields = ", ".join(f"{name} = {value or _EMPTY}" for name, value in delivery["fields"].items())
    request = f", request {delivery['request_id']}" if delivery["request_id"] else ""
    by = f"plan {delivery['digest'][:12]}, run {delivery['run_id']}" if delivery["digest"] else "not sent"
    record = f"record {delivery['record_id'] or '–'}{request}"
    return f"{at} {delivery['operation']} (day {day}, {by}, {record}): {fields or '–'}"


def _value(value: Any, is_hidden: bool) -> str:
    if value is None:
        return ""
    plain = str(value).lower() if isinstance(value, bool) else str(value)
    return masked(plain) if is_hidden else plain
