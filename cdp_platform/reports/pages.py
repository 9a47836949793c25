"""Write the daily reports: one static page a day and language, and an index in each language."""

import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from cdp_platform.reports.daily import read_days
from cdp_platform.reports.markup import Markup, element, joined, page, words
from cdp_platform.reports.sections import Sections, audience_title, told_destination
from cdp_platform.reports.values import DayReport, SyncDay
from cdp_platform.texts.catalogue import LANGUAGES, operation_text, text
from cdp_platform.warehouse.base import Warehouse


def write_reports(
    warehouse: Warehouse, folder: Path, *, languages: Sequence[str] = LANGUAGES, today: date | None = None
) -> list[Path]:
    """Write every day's page and the indexes into `folder`, for its owner's eyes only; return the files, indexes first.

    Each file replaces its predecessor at once, so that a reader never sees half a page. Raises WarehouseError, OSError.
    """
    days = read_days(warehouse, today or datetime.now(UTC).date())
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = [
        _write(folder / _file_name("index", language), _index(days, language, languages)) for language in languages
    ]
    for place, report in enumerate(days):
        neighbours = (days[place - 1] if place else None, days[place + 1] if place + 1 < len(days) else None)
        for language in languages:
            path = folder / _file_name(report.day.isoformat(), language)
            written.append(_write(path, _day_page(report, neighbours, language, languages)))
    return written


def summary(report: DayReport, language: str) -> str:
    """Say in a few sentences what happened on a day."""
    sentences = [
        *(_audience_sentences(report, language)),
        *(sentence for sync in report.syncs or () for sentence in _sync_sentences(report, sync, language)),
        *(_feedback_sentences(report, language)),
    ]
    if not sentences:
        return text("report.summary.nothing", language)
    return text("report.sentence_separator", language).join(sentences)


def long_date(day: date, language: str) -> str:
    """A date with its weekday."""
    weekday = text(f"date.weekday.{day.isoweekday()}", language)
    month = text(f"date.month.{day.month}", language)
    return text("date.long", language, weekday=weekday, day=day.day, month=month, year=str(day.year))


def _audience_sentences(report: DayReport, language: str) -> list[str]:
    return [
        text(
            f"report.summary.{'audience_found' if audience.is_first else 'audience'}",
            language,
            audience=audience_title(audience, language),
            entered=text("report.people", language, count=audience.entered_count),
            left=text("report.people", language, count=audience.left_count),
            size=text("report.members", language, count=audience.member_count),
        )
        for audience in report.audiences or ()
    ]


def _sync_sentences(report: DayReport, sync: SyncDay, language: str) -> list[str]:
    destination = told_destination(report, sync.destination, sync.sync, language)
    told = [text("report.summary.sent_nothing", language, destination=destination)]
    if sync.delivered:
        parts = [
            operation_text(name, count, language, destination=sync.destination)
            for name, count in sync.operations.items()
        ]
        operations = text("report.list_separator", language).join(parts)
        told = [
            text("report.summary.sent", language, destination=destination, count=sync.delivered, operations=operations)
            if parts
            else text("report.summary.sent_plain", language, destination=destination, count=sync.delivered)
        ]
    elif sync.rejected or sync.unknown or sync.pending:
        told = []
    troubles = {"rejected": sync.rejected, "unknown": sync.unknown, "pending": sync.pending}
    return told + [text(f"report.summary.{name}", language, count=count) for name, count in troubles.items() if count]


def _feedback_sentences(report: DayReport, language: str) -> list[str]:
    feedback = report.feedback
    if feedback is None or not feedback.opt_out_count + feedback.email_count:
        return []
    opt_outs = text("report.people", language, count=feedback.opt_out_count)
    emails = text("report.people", language, count=feedback.email_count)
    return [text("report.summary.came_back", language, opt_outs=opt_outs, emails=emails)]


def _day_page(
    report: DayReport, neighbours: tuple[DayReport | None, DayReport | None], language: str, languages: Sequence[str]
) -> str:
    sections = Sections(report=report, language=language)
    main = element(
        "main",
        element("h1", words(long_date(report.day, language))),
        element("p", words(summary(report, language)), kind="lead"),
        _banner(report, language),
        sections.cards(),
        sections.audience(),
        sections.changes(),
        sections.skipped(),
        sections.rejected(),
        sections.feedback(),
    )
    body = joined([_navigation(report.day.isoformat(), neighbours, language, languages), main, _footer(language)])
    title = f"{text('report.title', language)} · {report.day.isoformat()}"
    return page(title=title, language=language, body=body)


def _index(days: Sequence[DayReport], language: str, languages: Sequence[str]) -> str:
    entries = [
        element(
            "li",
            element("a", words(long_date(report.day, language)), href=_file_name(report.day.isoformat(), language)),
            element("p", words(summary(report, language)), kind="quiet"),
        )
        for report in reversed(days)
    ]
    listed = element("ul", *entries) if entries else element("p", words(text("report.index_empty", language)))
    main = element(
        "main",
        element("h1", words(text("report.title", language))),
        element("p", words(text("report.index_lead", language)), kind="lead"),
        _banner(days[-1] if days else None, language),
        element("section", element("h2", words(text("report.index_title", language))), listed),
    )
    body = joined([_navigation("index", (None, None), language, languages), main, _footer(language)])
    return page(title=text("report.title", language), language=language, body=body)


def _navigation(
    name: str, neighbours: tuple[DayReport | None, DayReport | None], language: str, languages: Sequence[str]
) -> Markup:
    links: list[Markup] = []
    if name != "index":
        index = text("report.index_title", language)
        links.append(element("a", words(index), href=_file_name("index", language)))
    for code, arrow, report in zip(("previous", "next"), ("← {}", "{} →"), neighbours, strict=True):
        if report is not None:
            label = arrow.format(text(f"report.{code}", language))
            links.append(
                element(
                    "a",
                    words(label),
                    href=_file_name(report.day.isoformat(), language),
                    rel={"previous": "prev"}.get(code, code),
                )
            )
    others = [
        element("a", words(text("report.language_name", other)), href=_file_name(name, other), lang=other, kind="end")
        for other in languages
        if other != language
    ]
    return element("nav", *links, *others)


def _banner(report: DayReport | None, language: str) -> Markup:
    if report is None or not report.is_replay:
        return words("")
    told = text("report.replay", language, year=str(report.day.year))
    return element("p", words(told), kind="banner", role="note")


def _footer(language: str) -> Markup:
    return element("footer", element("p", words(text("report.footer", language))))


def _file_name(name: str, language: str) -> str:
    return f"{name}.{language}.html"


def _write(path: Path, content: str) -> Path:
    # mkstemp makes the file 0600 and the replacement keeps that: a report names people.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".report-", suffix=".html")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path
