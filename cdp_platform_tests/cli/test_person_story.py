"""`cdp explain` of a person: the records and the fields' origins, masked unless they are asked for."""

from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from cdp_platform.cli.person_story import person_document, show_person
from cdp_platform.identity.story import FieldOrigin, PersonStory, RecordStory

MOMENT = datetime(2017, 3, 1, tzinfo=UTC)
STORY = PersonStory(
    asked="p_old",
    person_id="p_now",
    former_ids=("p_old",),
    records=(
        RecordStory(
            record_key="retail:1234", source="retail", first_seen_at=MOMENT, shares={"customer_number": ("web:a|1234",)}
        ),
        RecordStory(record_key="support:T-9", source="support", first_seen_at=MOMENT, shares={}),
    ),
    fields=(
        FieldOrigin(
            field="email",
            value="wren@example.com",
            source="crm",
            rule="source_priority",
            record_key="crm:p_now",
            seen_at=MOMENT,
        ),
    ),
)


def printed(*, is_shown: bool) -> str:
    out = StringIO()
    show_person(Console(file=out, width=200, highlight=False), person_document(STORY, is_shown=is_shown))
    return out.getvalue()


def test_records_rules_and_origins_are_told_and_nothing_personal_is() -> None:
    told = printed(is_shown=False)
    assert "p_now is 2 records" in told
    assert "retail:1•••, known since 2017-03-01: shares customer_number with web:a•••" in told
    assert "support:T•••, known since 2017-03-01: by itself" in told
    assert "it was also p_old" in told
    assert "email: w•••@•••.com from crm since 2017-03-01, by source_priority" in told
    assert "1234" not in told and "wren" not in told


def test_values_are_shown_where_they_are_asked_for() -> None:
    told = printed(is_shown=True)
    assert "retail:1234" in told and "wren@example.com" in told
