"""The pages of companies, deals and custom objects: a list, and one record with its history and associations."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Final

from cdp_platform.sandbox.frame import document, link
from cdp_platform.sandbox.hubspot.associations import Associations
from cdp_platform.sandbox.hubspot.changes import read_record_id
from cdp_platform.sandbox.hubspot.contacts import Contact, ContactStore
from cdp_platform.sandbox.hubspot.control import read_history
from cdp_platform.sandbox.hubspot.objects import Objects, ObjectType
from cdp_platform.sandbox.hubspot.texts import Texts
from cdp_platform.sandbox.wire import ApiRequest, Refusal

PER_PAGE: Final = 25
CAMPAIGNS_PATH: Final = "/campaigns"
_SHOWN: Final = 6
_NAMED: Final = ("contacts", "companies", "deals", "products", "line_items")


class RecordPages:
    """Two pages a kind of record. Each returns a status and a document."""

    def __init__(self, objects: Objects, associations: Associations, look: Callable[[], None]) -> None:
        """`look` brings the records up to the day that is replayed."""
        self._objects = objects
        self._associations = associations
        self._look = look

    def records(self, request: ApiRequest) -> tuple[int, str]:
        """Return the list of a kind's records, the newest first; `page` turns, `lang` chooses the language."""
        texts = Texts(request.query.get("lang", "en"))
        self._look()
        kind, store = self._objects.find(request.path["object"])
        total = store.count("archived_at is null")
        page_count = max(1, -(-total // PER_PAGE))
        asked = request.query.get("page", "1")
        page = min(max(1, int(asked) if asked.isdigit() and len(asked) < 7 else 1), page_count)
        found = store.find("archived_at is null", order="id desc", limit=PER_PAGE, offset=(page - 1) * PER_PAGE)
        body = kinds_menu(self._objects.kinds, kind.name, texts) + self._table(kind, store, found, texts)
        return 200, self._document(kind, body, texts, f"/objects/{kind.name}", {"page": str(page)})

    def record(self, request: ApiRequest) -> tuple[int, str]:
        """Return one record; 404 when it is not there or archived."""
        texts = Texts(request.query.get("lang", "en"))
        try:
            kind, store = self._objects.find(request.path["object"])
        except Refusal:
            return 404, page_of(escape(texts["not_found_record"]), texts, "/", {})
        found = list(store.contacts(read_record_id(request.path["id"])).values())
        path = f"/objects/{kind.name}/{request.path['id']}"
        menu = kinds_menu(self._objects.kinds, kind.name, texts)
        if not found or found[0].archived_at is not None:
            body = f'{menu}<p class="empty">{escape(texts["not_found_record"])}</p>'
            return 404, self._document(kind, body, texts, path, {})
        panels = self._facts(found[0], store, texts) + self._links(kind, found[0], texts)
        return 200, self._document(kind, menu + panels + _history(store, found[0], texts), texts, path, {})

    def _table(self, kind: ObjectType, store: ContactStore, records: Sequence[Contact], texts: Texts) -> str:
        if not records:
            return f'<p class="empty">{escape(texts["none_records"])}</p>'
        definitions = store.definitions()
        names = [name for name in definitions if name not in kind.system][:_SHOWN]
        head = "".join(f'<th scope="col">{escape(definitions[name].label)}</th>' for name in names)
        rows = "".join(_row(kind, record, names, texts) for record in records)
        return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'

    def _facts(self, record: Contact, store: ContactStore, texts: Texts) -> str:
        facts = "".join(
            f"<div><dt>{escape(item.label)}</dt><dd>{escape(record.value(name) or '–')}</dd></div>"
            for name, item in store.definitions().items()
        )
        return f'<section class="panel"><h2>{escape(texts["properties"])}</h2><dl class="facts">{facts}</dl></section>'

    def _links(self, kind: ObjectType, record: Contact, texts: Texts) -> str:
        items = []
        for other in self._objects.kinds:
            for each in self._associations.of_record(kind, record.id, other):
                href = _record_link(other, each["toObjectId"], texts)
                items.append(f'<li><a href="{href}">{escape(_named(other, texts))} {each["toObjectId"]}</a></li>')
        body = f"<ul>{''.join(items)}</ul>" if items else f'<p class="empty">{escape(texts["no_associations"])}</p>'
        return f'<section class="panel"><h2>{escape(texts["associations"])}</h2>{body}</section>'

    def _document(self, kind: ObjectType, body: str, texts: Texts, path: str, query: Mapping[str, str]) -> str:
        return page_of(body, texts, path, query)


def kinds_menu(kinds: Sequence[ObjectType], here: str, texts: Texts) -> str:
    """Return the way from one kind of record to the next."""
    ways = [(kind.name, "/" if kind.name == "contacts" else f"/objects/{kind.name}") for kind in kinds]
    titles = {kind.name: _named(kind, texts) for kind in kinds} | {"campaigns": texts["campaigns"]}
    links = []
    for name, path in [*ways, ("campaigns", CAMPAIGNS_PATH)]:
        current = ' aria-current="true"' if name == here else ""
        links.append(f'<a href="{link(path, texts.language)}"{current}>{escape(titles[name])}</a>')
    return f'<div class="tools"><nav class="filters" aria-label="{escape(texts["kinds"])}">{"".join(links)}</nav></div>'


def _named(kind: ObjectType, texts: Texts) -> str:
    return texts[kind.name] if kind.name in _NAMED else kind.name


def _record_link(kind: ObjectType, record_id: int, texts: Texts) -> str:
    path = f"/contacts/{record_id}" if kind.name == "contacts" else f"/objects/{kind.name}/{record_id}"
    return link(path, texts.language)


def _row(kind: ObjectType, record: Contact, names: Sequence[str], texts: Texts) -> str:
    cells = [escape(record.value(name) or "–") for name in names]
    cells[0] = f'<a href="{_record_link(kind, record.id, texts)}">{cells[0]}</a>'
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _history(store: ContactStore, record: Contact, texts: Texts) -> str:
    entries = "".join(_entry(item, texts) for item in read_history(store, record.id))
    body = f'<ol class="timeline">{entries}</ol>' if entries else f'<p class="empty">{escape(texts["no_history"])}</p>'
    return f'<section class="panel"><h2>{escape(texts["history"])}</h2>{body}</section>'


def _entry(item: Mapping[str, Any], texts: Texts) -> str:
    changes = "".join(
        f"<li>{escape(name)}: {escape(str(old or '∅'))} → {escape(str(new or '∅'))}</li>"
        for name, (old, new) in item["properties"].items()
    )
    at = escape(str(item["at"])[:16].replace("T", " "))
    return f"<li><p><strong>{escape(texts[item['operation']])}</strong> · {at} UTC</p><ul>{changes}</ul></li>"


def page_of(body: str, texts: Texts, path: str, query: Mapping[str, str]) -> str:
    """Return a page of the CRM around its body."""
    return document(body, title=texts["title"], notice=texts["notice"], language=texts.language, path=path, query=query)
