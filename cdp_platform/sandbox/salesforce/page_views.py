"""The web page of the organization: accounts, contacts, opportunities and bulk jobs, the newest first."""

import json
from collections.abc import Sequence
from html import escape
from typing import Any, Final

from cdp_platform.sandbox.frame import document, link
from cdp_platform.sandbox.salesforce.objects import OBJECTS
from cdp_platform.sandbox.salesforce.store import OrganizationStore, Record
from cdp_platform.sandbox.salesforce.texts import Texts
from cdp_platform.sandbox.wire import ApiRequest

ROWS_PER_PAGE: Final = 25
_PATHS: Final = {
    "Account": "/salesforce",
    "Contact": "/salesforce/contacts",
    "Opportunity": "/salesforce/opportunities",
    "jobs": "/salesforce/jobs",
}
_COLUMNS: Final = {
    "Account": ("Name", "CDP_Id__c", "Tier__c", "Industry", "Customer_Since__c", "NumberOfEmployees"),
    "Contact": ("FirstName", "LastName", "Email", "CDP_Person_Id__c", "AccountId", "Lifetime_Value__c"),
    "Opportunity": ("Name", "StageName", "CloseDate", "AccountId", "CDP_Deal_Id__c", "Amount"),
}
_NUMBERS: Final = ("currency", "int", "percent")


class PageViews:
    """The pages of the organization. Each returns a status and a document."""

    def __init__(self, store: OrganizationStore) -> None:
        self._store = store

    def accounts(self, request: ApiRequest) -> tuple[int, str]:
        """Return the accounts: `page` turns, `lang` chooses the language."""
        return self._records(request, "Account")

    def contacts(self, request: ApiRequest) -> tuple[int, str]:
        """Return the contacts."""
        return self._records(request, "Contact")

    def opportunities(self, request: ApiRequest) -> tuple[int, str]:
        """Return the opportunities."""
        return self._records(request, "Opportunity")

    def jobs(self, request: ApiRequest) -> tuple[int, str]:
        """Return the newest bulk jobs."""
        texts = Texts(request.query.get("lang", "en"))
        rows = self._store.execute(
            "select id, details, state, done, created_at from jobs order by created_at desc, id desc limit ?",
            (ROWS_PER_PAGE,),
        )
        lines = []
        for job_id, details, state, done, created_at in rows:
            told = json.loads(details)
            lines.append([job_id, told["object"], told["operation"], state, f"{done:,}", f"{created_at[:16]} UTC"])
        titles = [texts[key] for key in ("job", "object", "operation", "state", "rows", "created")]
        return 200, self._page(_table(titles, lines, texts, {4}), texts, "jobs", "1")

    def _records(self, request: ApiRequest, name: str) -> tuple[int, str]:
        texts = Texts(request.query.get("lang", "en"))
        total = int(
            self._store.execute("select count(*) from records where object = ? and is_deleted = 0", (name,))[0][0]
        )
        page_count = max(1, -(-total // ROWS_PER_PAGE))
        number = min(_page_number(request), page_count)
        found = self._store.records(
            "object = ? and is_deleted = 0",
            (name,),
            order="modified_at desc, id desc",
            limit=ROWS_PER_PAGE,
            offset=(number - 1) * ROWS_PER_PAGE,
        )
        columns = _COLUMNS[name]
        lines = [[self._shown(record, column) for column in columns] for record in found]
        kinds = OBJECTS[name].fields
        numbers = {place for place, column in enumerate(columns) if kinds[column].type in _NUMBERS}
        body = _table([texts.label(column) for column in columns], lines, texts, numbers)
        return 200, self._page(body + _paging(_PATHS[name], number, page_count, total, texts), texts, name, str(number))

    def _shown(self, record: Record, column: str) -> str:
        value: Any = record.value(column)
        if value is None:
            return "–"
        if column == "AccountId":
            parent = self._store.record(value)
            return str(parent.value("Name")) if parent else str(value)
        return f"{value:,.2f}" if isinstance(value, float) else str(value)

    def _page(self, body: str, texts: Texts, chosen: str, number: str) -> str:
        counted = dict(self._store.execute("select object, count(*) from records where is_deleted = 0 group by object"))
        cards = "".join(
            f'<div class="card"><dt>{escape(texts[name])}</dt><dd>{counted.get(name, 0):,}</dd></div>'
            for name in _COLUMNS
        )
        links = "".join(
            f'<a href="{link(path, texts.language)}"{_current(name == chosen)}>{escape(texts[name])}</a>'
            for name, path in _PATHS.items()
        )
        tools = f'<div class="tools"><nav class="filters" aria-label="{escape(texts["objects"])}">{links}</nav></div>'
        return document(
            f'<dl class="cards">{cards}</dl><section class="panel">{tools}{body}</section>',
            title=texts["title"],
            notice=texts["notice"],
            language=texts.language,
            path=_PATHS[chosen],
            query={"page": number},
        )


def _current(is_here: bool) -> str:
    return ' aria-current="true"' if is_here else ""


def _table(titles: Sequence[str], lines: Sequence[Sequence[str]], texts: Texts, numbers: set[int]) -> str:
    if not lines:
        return f'<p class="empty">{escape(texts["none"])}</p>'
    kinds = [' class="number"' if place in numbers else "" for place in range(len(titles))]
    head = "".join(f'<th scope="col"{kind}>{escape(title)}</th>' for kind, title in zip(kinds, titles, strict=True))
    rows = "".join(
        f"<tr>{''.join(f'<td{kind}>{escape(cell)}</td>' for kind, cell in zip(kinds, line, strict=True))}</tr>"
        for line in lines
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _paging(path: str, number: int, page_count: int, total: int, texts: Texts) -> str:
    links = []
    if number > 1:
        links.append(f'<a href="{link(path, texts.language, page=str(number - 1))}">← {escape(texts["previous"])}</a>')
    if number < page_count:
        links.append(f'<a href="{link(path, texts.language, page=str(number + 1))}">{escape(texts["next"])} →</a>')
    shown = escape(texts["shown"].format(total=f"{total:,}"))
    return f'<div class="paging"><span>{shown}</span><span>{"".join(links)}</span></div>'


def _page_number(request: ApiRequest) -> int:
    text = request.query.get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1
