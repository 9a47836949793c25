"""What the web page shows: reads the state, catches up with the people's acts, and hands it to the HTML."""

from cdp_platform.sandbox.hubspot.changes import read_record_id
from cdp_platform.sandbox.hubspot.contacts import Contact, ContactStore
from cdp_platform.sandbox.hubspot.control import CHANGED_EMAIL, LAPSED_LOYALIST, OPTED_OUT, read_history, read_stats
from cdp_platform.sandbox.hubspot.objects import Objects
from cdp_platform.sandbox.hubspot.pages import (
    FILTERS,
    ContactView,
    Group,
    ListView,
    contact_page,
    list_page,
    missing_page,
)
from cdp_platform.sandbox.hubspot.people import PeopleRule, let_people_act
from cdp_platform.sandbox.hubspot.record_pages import kinds_menu
from cdp_platform.sandbox.hubspot.search import query_condition
from cdp_platform.sandbox.hubspot.texts import Texts
from cdp_platform.sandbox.wire import ApiRequest

CONTACTS_PER_PAGE = 25
_CONDITIONS = {
    "all": "archived_at is null",
    "lapsed": LAPSED_LOYALIST,
    "opted_out": OPTED_OUT,
    "changed_email": CHANGED_EMAIL,
}
_GROUPS = {
    "identity": (
        "firstname",
        "lastname",
        "email",
        "phone",
        "cdp_person_id",
        "hs_object_id",
        "createdate",
        "lastmodifieddate",
    ),
    "permission_group": ("email_permission", "email_permission_changed_on", "hs_email_optout", "email_confirmed_on"),
    "marketing": (
        "lapsed_loyalist",
        "lapsed_loyalist_since",
        "high_value_at_risk",
        "coupon_lover",
        "new_department_explorer",
        "big_basket_family",
        "rfm_segment",
        "lifetime_value",
        "last_order_on",
        "favourite_department",
    ),
}


class PageViews:
    """The two pages of the account. Each returns a status and a document."""

    def __init__(self, store: ContactStore, rule: PeopleRule, objects: Objects) -> None:
        self._store = store
        self._objects = objects
        self._rule = rule

    def contacts(self, request: ApiRequest) -> tuple[int, str]:
        """Return the list: `q` searches, `filter` narrows, `page` turns, `lang` chooses the language."""
        texts = Texts(request.query.get("lang", "en"))
        query = request.query.get("q", "").replace("\0", "").strip()[:200]
        chosen = request.query.get("filter", "all")
        chosen = chosen if chosen in FILTERS else "all"
        menu = kinds_menu(self._objects.kinds, "contacts", texts)
        return 200, list_page(self._list_view(query, chosen, _page_number(request)), texts, menu)

    def contact(self, request: ApiRequest) -> tuple[int, str]:
        """Return the page of one contact; 404 when it is not there or archived."""
        texts = Texts(request.query.get("lang", "en"))
        with self._store.transaction():
            let_people_act(self._store, self._rule)
            found = list(self._store.contacts(read_record_id(request.path["id"])).values())
        if not found or found[0].archived_at is not None:
            return 404, missing_page(texts)
        return 200, contact_page(self._contact_view(found[0], texts), texts)

    def _list_view(self, query: str, chosen: str, page: int) -> ListView:
        searched = query_condition(query)
        where = f"{_CONDITIONS[chosen]} and {searched.sql}"
        with self._store.transaction():
            let_people_act(self._store, self._rule)
            total = self._store.count(where, searched.values)
            page_count = max(1, -(-total // CONTACTS_PER_PAGE))
            page = min(page, page_count)
            offset = (page - 1) * CONTACTS_PER_PAGE
            contacts = self._store.find(where, searched.values, limit=CONTACTS_PER_PAGE, offset=offset)
            stats = read_stats(self._store)
        return ListView(
            stats=stats,
            contacts=contacts,
            total=total,
            first=offset + 1,
            page=page,
            page_count=page_count,
            query=query,
            filter=chosen,
        )

    def _contact_view(self, contact: Contact, texts: Texts) -> ContactView:
        definitions = self._store.definitions()
        labels = {name: texts.property_label(name, item.label) for name, item in definitions.items()}
        grouped = {name for names in _GROUPS.values() for name in names}
        groups = {**_GROUPS, "other": tuple(name for name in definitions if name not in grouped)}
        return ContactView(
            contact=contact,
            groups=[
                Group(title=texts[key], facts=[(labels[name], _shown(contact, name)) for name in names])
                for key, names in groups.items()
            ],
            history=read_history(self._store, contact.id),
            labels=labels,
        )


def _shown(contact: Contact, name: str) -> str:
    value = contact.value(name) or "–"
    is_time = name in ("createdate", "lastmodifieddate")
    return f"{value[:16].replace('T', ' ')} UTC" if is_time else value


def _page_number(request: ApiRequest) -> int:
    text = request.query.get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1
