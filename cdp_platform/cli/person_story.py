"""Who a person is, at the terminal: the records behind the profile and where each field is from; values masked."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from cdp_platform.identity.story import PersonStory
from cdp_platform.privacy.masking import masked


def person_document(story: PersonStory, *, is_shown: bool) -> dict[str, Any]:
    """Everything that is told of a person, for programs and for `show_person`; values and keys masked."""

    def key(text: str) -> str:
        source, colon, rest = text.partition(":")
        return text if is_shown or not colon else f"{source}:{masked(rest)}"

    return {
        "person_id": story.person_id,
        "former_ids": list(story.former_ids),
        "records": [
            {
                "record": key(record.record_key),
                "source": record.source,
                "first_seen_at": record.first_seen_at,
                "shares": {rule: [key(other) for other in others] for rule, others in record.shares.items()},
            }
            for record in story.records
        ],
        "fields": [
            {
                "field": origin.field,
                "value": origin.value if is_shown else masked(origin.value),
                "source": origin.source,
                "rule": origin.rule,
                "record": key(origin.record_key),
                "seen_at": origin.seen_at,
            }
            for origin in story.fields
        ],
    }


def show_person(console: Console, document: dict[str, Any]) -> None:
    """Print who a person is for people."""
    count = len(document["records"])
    console.print(f"  [bold]{document['person_id']}[/] is {count:,} {'record' if count == 1 else 'records'}:")
    for record in document["records"]:
        joined = "; ".join(f"{rule} with {', '.join(others)}" for rule, others in record["shares"].items())
        since = f", known since {record['first_seen_at']:%Y-%m-%d}" if record["first_seen_at"] else ""
        console.print("    " + escape(f"{record['record']}{since}: {f'shares {joined}' if joined else 'by itself'}"))
    if document["former_ids"]:
        console.print(f"    it was also {', '.join(document['former_ids'])}")
    for origin in document["fields"]:
        since = f" since {origin['seen_at']:%Y-%m-%d}" if origin["seen_at"] else ""
        told = f"{origin['value']} from {origin['source']}{since}, by {origin['rule']} ({origin['record']})"
        console.print(f"  [bold]{origin['field']}[/]: " + escape(told))
