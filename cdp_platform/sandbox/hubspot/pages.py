"""HTML of the web page: pure functions from what is to be shown to a document. Every value is escaped here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from cdp_platform.sandbox.frame import document, link
from cdp_platform.sandbox.hubspot.contacts import Contact
from cdp_platform.sandbox.hubspot.texts import Texts

FILTERS = ("all", "lapsed", "opted_out", "changed_email")


@dataclass(frozen=True, kw_only=True)
class ListView:
    """What the list shows."""

    stats: Mapping[str, Any]
    contacts: Sequence[Contact]
    total: int
    first: int
    """Position of the first contact shown, from 1."""
    page: int
    page_count: int
    query: str
    filter: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """Properties of a contact under one heading."""

    title: str
    facts: Sequence[tuple[str, str]]
    """Label and value."""


@dataclass(frozen=True, kw_only=True)
class ContactView:
    """What the page of one contact shows."""

    contact: Contact
    groups: Sequence[Group]
    history: Sequence[Mapping[str, Any]]
    labels: Mapping[str, str]


def list_page(view: ListView, texts: Texts, menu: str) -> str:
    """Return the page with counts, search, filters and one page of contacts; `menu` leads to the other records."""
    panel = f'<section class="panel">{_tools(view, texts)}{_table(view, texts)}</section>'
    query = {"q": view.query, "filter": view.filter, "page": str(view.page)}
    return _document(_cards(view.stats, texts) + menu + panel, texts, path="/", query=query)


def contact_page(view: ContactView, texts: Texts) -> str:
    """Return the page of one contact: its properties in groups, and what happened to it."""
    groups = "".join(_group(group, texts) for group in view.groups if group.facts)
    body = (
        f'<p><a href="{_link("/", texts)}">← {escape(texts["back"])}</a></p>'
        f'<div class="person"><h2>{escape(name_of(view.contact, texts))}</h2>{_tags(view.contact, texts)}</div>'
        f'<div class="columns"><div>{groups}</div>{_history(view, texts)}</div>'
    )
    return _document(body, texts, path=f"/contacts/{view.contact.id}", query={})


def missing_page(texts: Texts) -> str:
    """Return the page that says there is no such contact."""
    back = f'<a href="{_link("/", texts)}">← {escape(texts["back"])}</a>'
    return _document(f'<p>{back}</p><p class="empty">{escape(texts["not_found"])}</p>', texts, path="/", query={})


def name_of(contact: Contact, texts: Texts) -> str:
    """Return the contact's name as it is written in its language."""
    names = [contact.properties.get(part, "") for part in ("firstname", "lastname")]
    return " ".join(name for name in names if name) or texts["nameless"]


def _document(body: str, texts: Texts, *, path: str, query: Mapping[str, str]) -> str:
    return document(body, title=texts["title"], notice=texts["notice"], language=texts.language, path=path, query=query)


def _link(path: str, texts: Texts, **query: str) -> str:
    return link(path, texts.language, **query)


def _cards(stats: Mapping[str, Any], texts: Texts) -> str:
    shown = [(key, f"{stats[key]:,}") for key in ("contacts", "lapsed_loyalists", "opted_out")]
    shown.append(("day", stats["day"] or texts["no_day"]))
    cards = (f'<div class="card"><dt>{escape(texts[key])}</dt><dd>{escape(value)}</dd></div>' for key, value in shown)
    return f'<dl class="cards">{"".join(cards)}</dl>'


def _tools(view: ListView, texts: Texts) -> str:
    hidden = {"filter": view.filter, "lang": texts.language}
    fields = "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in hidden.items())
    links = "".join(_filter_link(name, view, texts) for name in FILTERS)
    hint = escape(texts["search_hint"])
    return (
        f'<div class="tools"><form action="/" role="search">{fields}<input type="search" name="q" aria-label="{hint}" '
        f'placeholder="{hint}" value="{escape(view.query)}"><button>{escape(texts["search"])}</button></form>'
        f'<nav class="filters" aria-label="{escape(texts["filter"])}">{links}</nav></div>'
    )


def _filter_link(name: str, view: ListView, texts: Texts) -> str:
    current = ' aria-current="true"' if name == view.filter else ""
    return f'<a href="{_link("/", texts, q=view.query, filter=name)}"{current}>{escape(texts[name])}</a>'


def _table(view: ListView, texts: Texts) -> str:
    if not view.contacts:
        return f'<p class="empty">{escape(texts["none"])}</p>'
    titles = [texts["name"], texts.property_label("email", "E-mail"), texts["status"], texts["segment"]]
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in [*titles, texts["last_order"]])
    head += f'<th scope="col" class="number">{escape(texts["value"])}</th>'
    rows = "".join(_table_row(contact, texts) for contact in view.contacts)
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return table + _paging(view, texts)


def _table_row(contact: Contact, texts: Texts) -> str:
    def shown(name: str) -> str:
        return escape(contact.properties.get(name, "–"))

    link = _link(f"/contacts/{contact.id}", texts)
    return (
        f'<tr><td><a href="{link}">{escape(name_of(contact, texts))}</a></td><td>{shown("email")}</td>'
        f"<td>{_tags(contact, texts)}</td><td>{shown('rfm_segment')}</td><td>{shown('last_order_on')}</td>"
        f'<td class="number">{shown("lifetime_value")}</td></tr>'
    )


def _tags(contact: Contact, texts: Texts) -> str:
    tags = []
    if contact.properties.get("hs_email_optout") == "true":
        tags.append(("tag warn", texts["opted_out"]))
    permission = contact.properties.get("email_permission")
    if permission:
        tags.append(("tag" if permission == "granted" else "tag warn", texts.value(permission)))
    if contact.properties.get("lapsed_loyalist") == "true":
        tags.append(("tag gold", texts["lapsed_one"]))
    return " ".join(f'<span class="{kind}">{escape(text)}</span>' for kind, text in tags)


def _paging(view: ListView, texts: Texts) -> str:
    last = view.first + len(view.contacts) - 1
    shown = texts["shown"].format(first=f"{view.first:,}", last=f"{last:,}", total=f"{view.total:,}")
    links = []
    if view.page > 1:
        links.append(_page_link(view.page - 1, f"← {texts['previous']}", view, texts))
    if view.page < view.page_count:
        links.append(_page_link(view.page + 1, f"{texts['next']} →", view, texts))
    return f'<div class="paging"><span>{escape(shown)}</span><span>{"".join(links)}</span></div>'


def _page_link(page: int, text: str, view: ListView, texts: Texts) -> str:
    href = _link("/", texts, q=view.query, filter=view.filter, page=str(page))
    return f'<a href="{href}">{escape(text)}</a>'


def _group(group: Group, texts: Texts) -> str:
    facts = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{escape(texts.value(value))}</dd></div>" for label, value in group.facts
    )
    return f'<section class="panel"><h2>{escape(group.title)}</h2><dl class="facts">{facts}</dl></section>'


def _history(view: ContactView, texts: Texts) -> str:
    entries = "".join(_entry(item, view.labels, texts) for item in view.history)
    body = f'<ol class="timeline">{entries}</ol>' if entries else f'<p class="empty">{escape(texts["no_history"])}</p>'
    return f'<section class="panel"><h2>{escape(texts["history"])}</h2>{body}</section>'


def _entry(item: Mapping[str, Any], labels: Mapping[str, str], texts: Texts) -> str:
    kind = "by-person" if item["actor"] == "person" else "by-api"
    actor = texts["by_person" if item["actor"] == "person" else "by_api"]
    at = str(item["at"])
    day = f" · {texts['on_day'].format(day=item['day'])}" if item["day"] else ""
    changes = "".join(
        f"<li>{escape(labels.get(name, name))}: {_change(old, new, texts)}</li>"
        for name, (old, new) in item["properties"].items()
    )
    return (
        f'<li class="{kind}"><p><strong>{escape(texts[item["operation"]])}</strong> {escape(actor)} '
        f'<span class="soft">· <time datetime="{escape(at)}">{escape(at[:16].replace("T", " "))} UTC</time>'
        f"{escape(day)}</span></p><ul>{changes}</ul></li>"
    )


def _change(old: str | None, new: str | None, texts: Texts) -> str:
    before = f'<span class="soft">{escape(texts.value(old))}</span> → ' if old is not None else ""
    return before + (f"<strong>{escape(texts.value(new))}</strong>" if new is not None else "–")
