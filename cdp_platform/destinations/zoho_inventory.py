"""Zoho Inventory: items and contacts, one record a request, found by SKU or name and then by Zoho's own id.

Vendor pages, read 2026-11-22, under https://www.zoho.com/inventory/api/v1: introduction, http-methods, items, contacts.

- Address: https://www.zohoapis.com/inventory/v1; other data centres have other endings (eu, in, com.au, jp, ca, com.cn,
  sa): `base_url`. Every request names the organisation: option `organization_id`.
- Authentication: OAuth 2, refresh token; access tokens live an hour and are announced as `Zoho-oauthtoken`. Scopes
  ZohoInventory.items.ALL or .contacts.ALL, and .settings.READ.
- There is no batch and no upsert: POST makes, PUT changes by id. Whether a record is there is looked up before it is
  made, so that a request that was never answered makes no twin.
- Limits, as third parties tell them: 100 requests a minute and organisation; 1,000 (Free), 2,500 (Standard), 5,000
  (Professional) or 10,000 (Premium) a day. They disagree on the last, and the vendor's introduction names none: option
  `plan`, or the number itself as `requests_per_day`. It is counted over runs; a day that is used up, by our count or by
  Zoho's word, ends the run as deferred. Option `requests_per_minute` for the pace.
- What a code of an error means is read from its text, since the pages list no codes.
- Removing means marking as inactive; nothing is deleted. A record that is inactive and comes back is marked as active.
- Cannot: change stock (that is an adjustment, with its own books), say which custom fields there are.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from cdp_platform.connectors.protocol import (
    Answer,
    Capabilities,
    DestinationField,
    Json,
    OutgoingRow,
    Request,
    Session,
)
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.syncs import FieldKind, Mode, Removal
from cdp_platform.errors import CdpError, ConfigError, ContractBroken, RateLimited, Refused

_OPTIONS: Final = ("organization_id", "requests_per_minute", "plan", "requests_per_day")
PLANS: Final[Mapping[str, int]] = {"free": 1_000, "standard": 2_500, "professional": 5_000, "premium": 10_000}
"""Requests a day by plan, as third parties tell them; `requests_per_day` says otherwise where the account shows it."""
_ROWS_LOOKED_UP: Final = 25
_PAGE_ROWS: Final = "200"
_NEXT_MINUTE_SECONDS: Final = 60.0
_NEXT_DAY_SECONDS: Final = 3600.0
_TEXT, _NUMBER = FieldKind.TEXT, FieldKind.DECIMAL
_FIELDS: Final[Mapping[str, Mapping[str, FieldKind]]] = {
    "items": {
        **dict.fromkeys(("name", "sku", "unit", "description", "purchase_description", "upc", "ean", "isbn"), _TEXT),
        **dict.fromkeys(("part_number", "brand", "manufacturer", "product_type", "item_type"), _TEXT),
        **dict.fromkeys(("rate", "purchase_rate", "reorder_level"), _NUMBER),
    },
    "contacts": dict.fromkeys(
        ("contact_name", "company_name", "contact_type", "email", "phone", "mobile", "website", "notes"), _TEXT
    ),
}
_READ_ONLY: Final = {"items": ("item_id", "status", "stock_on_hand", "available_stock"), "contacts": ("contact_id",)}
_UNIQUE: Final = {"items": ("sku", "name"), "contacts": ("contact_name",)}
_SINGULAR: Final = {"items": "item", "contacts": "contact"}
# Words in the text of a refusal; the first that fits. The text itself may repeat a value and is never passed on.
_REASONS: Final = (
    ("duplicate_value", re.compile(r"already exist", re.IGNORECASE)),
    ("not_found", re.compile(r"(does not|doesn.?t) exist", re.IGNORECASE)),
    ("invalid_value", re.compile(r"invalid|please (ensure|enter)|mandatory|cannot be (blank|empty)", re.IGNORECASE)),
)
_DAY: Final = re.compile(r"\b(day|daily|24 ?h)", re.IGNORECASE)


class ZohoInventory:
    """One organisation of Zoho Inventory."""

    name: ClassVar[str] = "zoho_inventory"
    default_base_url: ClassVar[str] = "https://www.zohoapis.com/inventory/v1"
    auth_scheme: ClassVar[str] = "Zoho-oauthtoken"

    def __init__(
        self, organization_id: str | None = None, requests_per_minute: int = 100, requests_per_day: int | None = None
    ) -> None:
        self._organization_id = organization_id
        self._requests_per_day = requests_per_day
        self._requests_per_minute = requests_per_minute

    def with_options(self, options: Mapping[str, str]) -> "ZohoInventory":
        if strangers := sorted(set(options) - set(_OPTIONS)):
            raise _wrong(strangers[0], f"There are: {', '.join(_OPTIONS)}.")
        organization_id, pace = options.get("organization_id", ""), options.get("requests_per_minute", "100")
        if not (organization_id.isascii() and organization_id.isdigit()):
            raise _wrong(
                "organization_id", "It is the number under Settings, Organization Profile; write it in quotes."
            )
        if not (pace.isascii() and pace.isdigit() and 1 <= int(pace) <= 1_000):
            raise _wrong("requests_per_minute", 'It is a whole number from 1 to 1000, in quotes: "100".')
        return ZohoInventory(organization_id, int(pace), _of_a_day(options))

    def capabilities(self, object_name: str) -> Capabilities:
        if object_name not in _FIELDS:
            raise ConfigError(
                f"Destination zoho_inventory has no object {object_name!r}.",
                remedy=f"It has: {', '.join(_FIELDS)}.",
                field="destination.object",
            )
        return Capabilities(
            modes=frozenset({Mode.UPSERT, Mode.MIRROR}),
            removals=frozenset({Removal.KEEP, Removal.ARCHIVE, Removal.CLEAR}),
            batch_rows=1,
            writes_changed_fields_only=True,
            requests_per_second=self._requests_per_minute / 60,
            burst_requests=self._requests_per_minute,
            requests_per_day=self._requests_per_day,
            # Five at once is what the free plan allows; at this pace two are under way even where each takes a second.
            requests_at_once=2,
            lookup_rows=_ROWS_LOOKED_UP,
        )

    def account_id(self, session: Session) -> str:
        """Tell the organisation; raises ConfigError where the credential does not lead to the one of the options."""
        answer = session.send(Request(method="GET", path="/organizations"))
        ids = [str(item.get("organization_id", "")) for item in _records(answer, "organizations")]
        if not ids or not all(text.isdigit() for text in ids):
            raise _broken(answer, "names no organisation")
        if self._organization_id is None and len(ids) == 1:
            return ids[0]
        if self._organization_id not in ids:
            raise _wrong("organization_id", "The credential leads to other organisations; correct the number.")
        return self._organization_id

    def describe(self, session: Session, object_name: str) -> Sequence[DestinationField]:
        """Tell the fields by the vendor's pages: there is no request that lists them."""
        self.capabilities(object_name)
        unique = _UNIQUE[object_name]
        writable = [
            DestinationField(name=name, kind=kind, is_unique=name in unique)
            for name, kind in _FIELDS[object_name].items()
        ]
        fixed = [DestinationField(name=name, kind=None, is_writable=False) for name in _READ_ONLY[object_name]]
        return [*writable, *fixed]

    def encode(self, object_name: str, match_field: str, rows: Sequence[OutgoingRow]) -> Request:
        """Turn the one row into a POST that makes, a PUT that changes, or a POST that marks as inactive."""
        self.capabilities(object_name)
        row = rows[0]
        if row.operation is Operation.REMOVE:
            return self._request("POST", f"/{object_name}/{row.record_id}/inactive")
        kinds = _FIELDS[object_name]
        fields = {name: _said(value, kinds.get(name)) for name, value in row.fields.items()}
        if row.record_id is None:
            return self._request("POST", f"/{object_name}", {**fields, match_field: row.match_value})
        return self._request("PUT", f"/{object_name}/{row.record_id}", fields)

    def find(
        self, session: Session, object_name: str, match_field: str, match_values: Sequence[str]
    ) -> Mapping[str, str]:
        """Look records up by a page of the list, or, of items where there are many, one by one.

        Contacts are never searched for: the search stands in the address, where no name of a person belongs. What is
        found and inactive is marked as active: its row is back.
        """
        self.capabilities(object_name)
        wanted = {value.strip().casefold(): value for value in match_values}
        found = dict[str, str]()
        for record in self._candidates(session, object_name, match_field, match_values):
            told = str(record.get(match_field, "")).strip().casefold()
            record_id = _id_of(record, object_name)
            if told in wanted and record_id:
                found[wanted[told]] = record_id
                if record.get("status") == "inactive":
                    session.send(self._request("POST", f"/{object_name}/{record_id}/active"))
        return found

    def read(self, rows: Sequence[OutgoingRow], answer: Answer) -> Sequence[RowOutcome]:
        row, body = rows[0], answer.body
        code = body.get("code") if isinstance(body, Mapping) else None
        if not isinstance(code, int) or isinstance(code, bool):
            raise _broken(answer, "has no code")
        if code != 0:
            return [RowOutcome(ordinal=row.ordinal, outcome=Outcome.REJECTED, code=_reason(body))]
        record_id = next((_id_of(body.get(name), plural) for plural, name in _SINGULAR.items() if name in body), None)
        if row.operation is Operation.REMOVE:
            return [RowOutcome(ordinal=row.ordinal, outcome=Outcome.DELIVERED, record_id=row.record_id)]
        if not record_id or (row.record_id and record_id != row.record_id):
            raise _broken(answer, "names no record, or another one")
        return [RowOutcome(ordinal=row.ordinal, outcome=Outcome.DELIVERED, record_id=record_id)]

    def error_of(self, status: int, headers: Mapping[str, str], body: Json) -> CdpError | None:
        """Read the envelope of a refusal: which limit of a 429, which reason of a row."""
        message = body.get("message") if isinstance(body, Mapping) else None
        if status == 429 and isinstance(message, str):
            is_day = _DAY.search(message) is not None
            limit = "the day's requests are used up" if is_day else "the minute's requests are used up"
            seconds = _NEXT_DAY_SECONDS if is_day else _NEXT_MINUTE_SECONDS
            return RateLimited(f"zoho_inventory answered 429: {limit}.", retry_after_seconds=seconds)
        if status in (400, 404) and isinstance(message, str):
            what = f"zoho_inventory answered {status}, code {_code_of(body)}."
            return Refused(what, status=status, code=_reason(body))
        return None

    def _request(self, method: str, path: str, body: Json = None, **query: str) -> Request:
        organisation = {"organization_id": self._organization_id} if self._organization_id else {}
        return Request(method=method, path=path, body=body, query={**organisation, **query})

    def _candidates(
        self, session: Session, object_name: str, match_field: str, match_values: Sequence[str]
    ) -> Iterator[Mapping[str, Json]]:
        """Give the records among which those sought are."""
        page, records, has_more = 1, *self._page(session, object_name, page="1")
        yield from records
        if object_name == "items" and has_more:
            there = {str(record.get(match_field, "")).strip().casefold() for record in records}
            for value in match_values:
                if value.strip().casefold() not in there:
                    yield from self._page(session, object_name, page="1", search_text=value)[0]
            return
        while has_more:
            page += 1
            records, has_more = self._page(session, object_name, page=str(page))
            yield from records

    def _page(self, session: Session, object_name: str, **query: str) -> tuple[list[Mapping[str, Json]], bool]:
        answer = session.send(
            self._request("GET", f"/{object_name}", None, per_page=_PAGE_ROWS, filter_by="Status.All", **query)
        )
        records = _records(answer, object_name)
        context = answer.body.get("page_context")
        return records, isinstance(context, Mapping) and context.get("has_more_page") is True and bool(records)


def _of_a_day(options: Mapping[str, str]) -> int | None:
    """The requests of a day by the options; None where they say nothing. Raises ConfigError for what cannot be."""
    plan, number = options.get("plan"), options.get("requests_per_day")
    if plan is not None and plan not in PLANS:
        raise _wrong("plan", nearest_of(plan, PLANS))
    if number is not None and not (number.isascii() and number.isdigit() and int(number) >= 1):
        raise _wrong("requests_per_day", 'It is a whole number in quotes, as your account shows it: "2500".')
    return int(number) if number else PLANS.get(plan or "")


def _said(value: Json, kind: FieldKind | None) -> Json:
    """Say a value as Zoho takes it: numbers as numbers, also where they are kept as exact text; empty text clears."""
    if value is None:
        return ""
    return float(value) if kind is _NUMBER and isinstance(value, str) else value


def _records(answer: Answer, name: str) -> list[Mapping[str, Json]]:
    found = answer.body.get(name) if isinstance(answer.body, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
        raise _broken(answer, f"has no readable list of {name}")
    return found


def _id_of(record: Json, plural: str) -> str | None:
    told = record.get(f"{_SINGULAR[plural]}_id") if isinstance(record, Mapping) else None
    return str(told) if isinstance(told, str | int) and str(told).isdigit() else None


def _reason(body: Mapping[str, Json]) -> str:
    message = body.get("message")
    text = message if isinstance(message, str) else ""
    return next((code for code, pattern in _REASONS if pattern.search(text)), "refused")


def _code_of(body: Json) -> str:
    code = body.get("code") if isinstance(body, Mapping) else None
    return str(code) if isinstance(code, int) else "unknown"


def _wrong(option: str, remedy: str) -> ConfigError:
    return ConfigError(
        f"The option {option!r} of zoho_inventory is missing or cannot be.", remedy=remedy, field="destination.options"
    )


def _broken(answer: Answer, what: str) -> ContractBroken:
    return ContractBroken(f"zoho_inventory answered {answer.status}, but the body {what}.", status=answer.status)
