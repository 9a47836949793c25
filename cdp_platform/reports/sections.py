"""The sections of a day's page, in the reader's language."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from cdp_platform.reports.markup import Markup, element, joined, words
from cdp_platform.reports.values import (
    AudienceDay,
    DayReport,
    Feedback,
    FieldChange,
    MembershipChange,
    Named,
    Rejection,
    SyncDay,
)
from cdp_platform.texts.catalogue import (
    has_text,
    name_of,
    operation_text,
    rejected_text,
    skipped_text,
    text,
    written_value,
)

Item = TypeVar("Item")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def told_destination(report: DayReport, destination: str, sync: str, language: str) -> str:
    """A destination's name; where other syncs of the day go to one of that name, with the sync's own."""
    name = name_of(destination, language)
    alike = {other.sync for other in report.syncs or () if name_of(other.destination, language) == name} - {sync}
    return text("report.summary.destination", language, destination=name, sync=sync) if alike else name


@dataclass(frozen=True, kw_only=True)
class Sections:
    """Writes the sections of one day in one language."""

    report: DayReport
    language: str

    def say(self, code: str, **parameters: object) -> str:
        """A text of the report."""
        return text(f"report.{code}", self.language, **parameters)

    def cards(self) -> Markup:
        """The day in numbers; a number that is bad when it is not zero is marked."""
        report = self.report
        numbers: list[tuple[str, int]] = []
        if report.audiences is not None:
            numbers += [
                ("members", sum(audience.member_count for audience in report.audiences)),
                ("entered", sum(audience.entered_count for audience in report.audiences)),
                ("left", sum(audience.left_count for audience in report.audiences)),
            ]
        if report.syncs:
            numbers += [
                (name, sum(getattr(sync, name) for sync in report.syncs))
                for name in ("delivered", "unchanged", "skipped", "rejected", "unknown", "pending")
            ]
        if report.feedback is not None:
            numbers.append(("came_back", report.feedback.opt_out_count + report.feedback.email_count))
        shown = [(name, count) for name, count in numbers if count or name not in ("unknown", "pending")]
        return element("div", *(self._card(name, count) for name, count in shown), kind="cards") if shown else words("")

    def audience(self) -> Markup:
        """Who entered and left, and why."""
        return self._section("audience.heading", self.report.audiences, self._audience)

    def changes(self) -> Markup:
        """What was changed, by destination."""
        return self._section("changes.heading", self.report.syncs, self._sync)

    def skipped(self) -> Markup:
        """Who was left out, why, and who can mend it."""
        syncs = self.report.syncs
        told = None if syncs is None else [sync for sync in syncs if sync.skipped_reasons]
        return self._section("skipped.heading", told, self._left_out)

    def rejected(self) -> Markup:
        """What the destination refused and still stands; older days say how many at that time, on their card."""
        if not self.report.is_newest:
            return words("")
        content = self._list(self.report.rejections, self._rejection, empty="rejected.none")
        note = element("p", words(self.say("rejected.present")), kind="quiet")
        return element("section", element("h2", words(self.say("rejected.heading"))), content, note)

    def feedback(self) -> Markup:
        """What came back."""
        feedback = self.report.feedback
        told = None if feedback is None else [feedback] if feedback.opt_out_count + feedback.email_count else []
        return self._section("feedback.heading", told, self._feedback)

    def _section(self, heading: str, items: Sequence[Item] | None, write: Callable[[Item], Markup]) -> Markup:
        return element("section", element("h2", words(self.say(heading))), self._list(items, write))

    def _list(
        self, items: Sequence[Item] | None, write: Callable[[Item], Markup], *, empty: str = "none_today"
    ) -> Markup:
        if not items:
            return element("p", words(self.say("nothing_yet" if items is None else empty)), kind="quiet")
        return joined(write(item) for item in items)

    def _card(self, name: str, count: int) -> Markup:
        is_bad = bool(count) and name in ("rejected", "unknown", "pending")
        number = element("b", words(written_value(count, self.language)))
        return element(
            "div", number, element("span", words(self.say(f"card.{name}"))), kind="card bad" if is_bad else "card"
        )

    def _audience(self, audience: AudienceDay) -> Markup:
        members = self.say("members", count=audience.member_count)
        rule = audience.words.get(self.language, {}).get("rule", "")
        return joined(
            [
                element("h3", words(f"{audience_title(audience, self.language)} · {members}")),
                element("p", words(rule), kind="quiet") if rule else words(""),
                *self._movements(audience),
            ]
        )

    def _movements(self, audience: AudienceDay) -> list[Markup]:
        if audience.is_first:
            return [element("p", words(self.say("audience.baseline")), kind="quiet")]
        return [
            self._movement(audience, "entered", audience.entered_count, audience.entered),
            self._movement(audience, "left", audience.left_count, audience.left),
        ]

    def _movement(self, audience: AudienceDay, change: str, count: int, people: Sequence[MembershipChange]) -> Markup:
        heading = element("h3", words(self.say(f"audience.{change}", count=count)))
        return joined([heading, self._bullets([self._member(audience, member) for member in people], count)])

    def _member(self, audience: AudienceDay, change: MembershipChange) -> Markup:
        why = change_words(audience, change, self.language)
        return joined([element("b", words(change.person.name)), element("span", words(f"– {why}"), kind="why")])

    def _bullets(self, items: Sequence[Markup], count: int) -> Markup:
        rest = [words(self.say("more", count=count - len(items)))] if count > len(items) else []
        return element("ul", *(element("li", item) for item in [*items, *rest])) if count else words("")

    def _named(self, sync: SyncDay) -> Markup:
        destination = name_of(sync.destination, self.language)
        return element("h3", words(self.say("changes.by_operation", destination=destination, object=sync.sync)))

    def _left_out(self, sync: SyncDay) -> Markup:
        reasons = (_reason(skipped_text(*pair, self.language)) for pair in sync.skipped_reasons.items())
        return joined([self._named(sync), *reasons])

    def _sync(self, sync: SyncDay) -> Markup:
        tags = joined(
            element(
                "span",
                words(operation_text(name, count, self.language, destination=sync.destination)),
                kind=f"tag {name}",
            )
            for name, count in sync.operations.items()
        )
        books = {
            name: getattr(sync, name) for name in ("planned", "delivered", "rejected", "unknown", "skipped", "pending")
        }
        return joined(
            [
                self._named(sync),
                element("p", tags) if tags else words(""),
                element("p", words(self.say("changes.books", **books)), kind="quiet"),
                self._field_changes(sync),
                self._created(sync),
            ]
        )

    def _created(self, sync: SyncDay) -> Markup:
        if not sync.created:
            return words("")
        names = self._names(sync.created, sync.operations.get("create", len(sync.created)))
        return element("p", words(self.say("changes.created", names=names)))

    def _field_changes(self, sync: SyncDay) -> Markup:
        if not sync.field_changes:
            return words("")
        heads = ("person", "operation", "field", "old", "new")
        head = element("tr", *(element("th", words(self.say(f"changes.{name}")), scope="col") for name in heads))
        rows = [self._field_change(change) for change in sync.field_changes]
        rest = words("")
        if sync.records_not_shown:
            rest = element("p", words(self.say("changes.limit", count=sync.records_not_shown)), kind="quiet")
        table = element("table", element("thead", head), element("tbody", *rows))
        title = element("h3", words(self.say("changes.records")))
        return joined([title, element("div", table, kind="scroll"), rest])

    def _field_change(self, change: FieldChange) -> Markup:
        operation = text(f"operation.{change.operation}.label", self.language)
        return element(
            "tr",
            element("td", words(change.person.name)),
            element("td", element("span", words(operation), kind=f"tag {change.operation}")),
            element("td", words(field_label(change.field, self.language))),
            element("td", words(shown_value(change.old, self.language)), kind="old"),
            element("td", words(shown_value(change.new, self.language)), kind="new"),
        )

    def _rejection(self, rejection: Rejection) -> Markup:
        named = rejection.parameters.get("field")
        told = rejected_text(
            rejection.code,
            rejection.count,
            self.language,
            destination=told_destination(self.report, rejection.destination, rejection.sync, self.language),
            parameters={**rejection.parameters, "field": field_label(named, self.language) if named else ""},
        )
        concerns = self.say("rejected.concerns", names=self._names(rejection.people, rejection.count))
        return _reason(f"{told}\n{concerns}")

    def _feedback(self, feedback: Feedback) -> Markup:
        emails = [
            words(
                self.say(
                    "feedback.email_change",
                    name=change.person.name,
                    old=shown_value(change.old, self.language),
                    new=change.new,
                )
            )
            for change in feedback.emails
        ]
        return joined(
            [
                element("h3", words(self.say("feedback.opt_outs", count=feedback.opt_out_count))),
                self._bullets([words(person.name) for person in feedback.opt_outs], feedback.opt_out_count),
                element("h3", words(self.say("feedback.emails", count=feedback.email_count))),
                self._bullets(emails, feedback.email_count),
                element("p", words(self.say("feedback.acts")), kind="quiet"),
            ]
        )

    def _names(self, people: Sequence[Named], count: int) -> str:
        names = [person.name for person in people]
        if count > len(names):
            names.append(self.say("more", count=count - len(names)))
        return self.say("list_separator").join(names)


def audience_title(audience: AudienceDay, language: str) -> str:
    """An audience's title; its name where its definition has none in that language."""
    title: str = audience.words.get(language, {}).get("title") or audience.audience
    return title


def change_words(audience: AudienceDay, change: MembershipChange, language: str) -> str:
    """Why somebody entered or left, with the value of that day."""
    told = audience.words.get(language, {}).get("conditions", {}).get(str(change.condition), {})
    template: str = told.get("values", {}).get(change.value or "") or told.get(change.change, "")
    if template:
        value = text("audience.unknown", language) if change.value is None else shown_value(change.value, language)
        return template.replace("{value}", value)
    for code in (f"audience.change.{change.reason}", f"audience.change.{change.reason}.{change.change}"):
        if has_text(code):
            return text(code, language)
    return change.reason


def field_label(field: str, language: str) -> str:
    """A destination field's label; its name where the catalogue has no label."""
    return text(f"field.{field}", language) if has_text(f"field.{field}") else field


def shown_value(value: object, language: str) -> str:
    """A field's value as a person reads it: an empty one, yes and no, and known words are translated."""
    if value is None or value == "":
        return text("value.empty", language)
    if isinstance(value, str) and has_text(f"value.{value}"):
        return text(f"value.{value}", language)
    return written_value(_as_date(value), language)


def _as_date(value: object) -> object:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        return value


def _reason(told: str) -> Markup:
    first, *rest = told.splitlines()
    lines = [element("p", element("b", words(first))), *(element("p", words(line), kind="why") for line in rest)]
    return element("div", *lines, kind="reason")
