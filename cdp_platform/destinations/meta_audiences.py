"""Meta Custom Audiences: people, by hashed identifiers, into one customer-file audience and out of it.

Vendor pages, read 2026-11-22: developers.facebook.com/documentation/ads-commerce/marketing-api/audiences/guides/
custom-audiences and .../reference/custom-audience/users; hashing as in `privacy.ad_identifiers`.

- Limits: 10,000 people a request. An hour and ad account take 190,000 requests (standard access; 5,000 in development)
  and 40 more for each active audience; usage headers say how much of it is left, and the pace obeys them.
- Authentication: an access token with ads_management, as bearer; terms of Custom Audiences accepted.
- An audience of the given name is made where there is none, when the sync, switched on, is first planned with rows to
  send. It is empty until a plan is sent.
- Meta answers per request, with counts. A row counts as delivered only by an answer that says that all rows were
  received and no entry was invalid; otherwise the batch is sent again in halves until the invalid entry stands alone.
- A row that changed is added with what it is now, after what it no longer has was removed.
- Cannot: say whether anybody was matched (up to 24 hours, and never by row), read members back, use an app's secret.
- Each request is an upload of its own (one session, one batch): nothing depends on an order of requests. Not confirmed:
  what Meta says to a session that is repeated after an answer was lost.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from cdp_platform.connectors.protocol import (
    ALL_DELIVERED,
    AllDelivered,
    Answer,
    Batch,
    Capabilities,
    Destination,
    DestinationField,
    Json,
    OutgoingRow,
    Request,
    Session,
)
from cdp_platform.destinations import meta_graph as graph
from cdp_platform.destinations import meta_people as people
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.syncs import Mode, Removal
from cdp_platform.errors import CdpError, ConfigError, Refused

_AUDIENCE: Final = Capabilities(
    modes=frozenset({Mode.MIRROR, Mode.UPSERT}),
    removals=frozenset({Removal.KEEP, Removal.DELETE}),
    batch_rows=10_000,
    writes_changed_fields_only=False,
    # 190,000 an hour, evenly.
    requests_per_second=52.0,
    burst_requests=52,
    requests_at_once=12,
    is_membership=True,
)
_REMOVING: Final = (Operation.REMOVE, Operation.WITHDRAW)
_MOST_INVALID_SHARE: Final = 0.05
_FEW_INVALID: Final = 20
_PAGE_ROWS: Final = "500"
_MOST_PAGES: Final = 200


class MetaAudiences:
    """One custom audience of one ad account."""

    name: ClassVar[str] = "meta_audiences"
    default_base_url: ClassVar[str] = graph.BASE_URL

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        self._options = dict(options or {})
        self._audience_id = self._options.get("audience_id", "")

    def with_options(self, options: Mapping[str, str]) -> Destination:
        known = {"ad_account_id", "audience", "audience_id", "phone_region"}
        if strangers := sorted(options.keys() - known):
            raise _config(f"meta_audiences knows no option {strangers[0]!r}.", f"It has: {', '.join(sorted(known))}.")
        account = options.get("ad_account_id", "").removeprefix("act_")
        if not account.isdigit():
            raise _config("meta_audiences needs the option ad_account_id.", "Give the digits of the ad account's id.")
        if bool(options.get("audience")) == bool(options.get("audience_id")):
            raise _config("meta_audiences needs either audience or audience_id.", "Name the audience, or give its id.")
        region = options.get("phone_region", "")
        if region and not (len(region) == 2 and region.isalpha() and region.isascii()):
            raise _config(f"phone_region {region!r} is no country.", "Give two letters, as TW.")
        return MetaAudiences({**options, "ad_account_id": account})

    def capabilities(self, object_name: str) -> Capabilities:
        if object_name != "audience":
            raise ConfigError(
                f"Destination meta_audiences has no object {object_name!r}.",
                remedy="It has: audience.",
                field="destination.object",
            )
        return _AUDIENCE

    def account_id(self, session: Session) -> str:
        """Ask for the audience, and make it where it is named and not there: `<ad account>:<audience>`.

        Another audience is another account to the engine: its own ledger, its own first run.
        """
        account = self._options.get("ad_account_id", "")
        if chosen := self._options.get("audience_id"):
            answer = session.send(Request(method="GET", path=f"/{chosen}", query={"fields": "id,account_id"}))
            told = answer.body if isinstance(answer.body, Mapping) else {}
            self._audience_id = graph.id_of(answer, told.get("id"))
            if graph.id_of(answer, told.get("account_id")) != account:
                raise _config("the audience belongs to another ad account.", "Correct ad_account_id or audience_id.")
        else:
            self._audience_id = self._found(session) or self._made(session)
        return f"{account}:{self._audience_id}"

    def describe(self, session: Session, object_name: str) -> Sequence[DestinationField]:
        self.capabilities(object_name)
        return people.declared()

    def unfit(self, object_name: str, match_field: str, rows: Batch) -> Sequence[RowOutcome]:
        if rows.operations[0] in _REMOVING:
            return []
        outcomes = []
        for row in rows:
            fields = _fields(row, match_field)
            if fault := people.fault_of(fields, self._normalised(fields)):
                code, field = fault
                parameters = {"field": field} if field else {}
                outcomes.append(
                    RowOutcome(ordinal=row.ordinal, outcome=Outcome.REJECTED, code=code, parameters=parameters)
                )
        return outcomes

    def stale(self, object_name: str, match_field: str, rows: Batch) -> Batch:
        changed = (row for row in rows if row.operation is Operation.UPDATE)
        return Batch.of(row for row in changed if self._gone(row, match_field))

    def encode_clearing(self, object_name: str, match_field: str, rows: Batch) -> Request:
        return self._request("DELETE", (self._gone(row, match_field) for row in rows))

    def encode(self, object_name: str, match_field: str, rows: Batch) -> Request:
        """Turn rows into one addition, or removals and withdrawals into one removal by what was last delivered."""
        self.capabilities(object_name)
        if rows.operations[0] in _REMOVING:
            known = ({**row.delivered_fields, match_field: row.match_value} for row in rows)
            return self._request("DELETE", map(self._normalised, known))
        return self._request("POST", (self._normalised(_fields(row, match_field)) for row in rows))

    def read(self, rows: Batch, answer: Answer) -> Sequence[RowOutcome] | AllDelivered:
        if len(rows) > 1 or not _judge(len(rows), answer, may_be_invalid=True):
            _judge(len(rows), answer)
            return ALL_DELIVERED
        outcome = RowOutcome(ordinal=rows.ordinals[0], outcome=Outcome.REJECTED, code="invalid_identifier")
        return [outcome]

    def error_of(self, status: int, headers: Mapping[str, str], body: Json) -> CdpError | None:
        return graph.error_of(status, headers, body)

    def rest_seconds(self, headers: Mapping[str, str]) -> float:
        return graph.rest_seconds(headers)

    def _gone(self, row: OutgoingRow, match_field: str) -> dict[str, str]:
        """What a row was last delivered with and no longer has, of what points at a person."""
        former = {match_field: row.former_match_value} if row.former_match_value is not None else {}
        told = ({**row.delivered_fields, **former}, _fields(row, match_field))
        before, now = map(self._normalised, told)
        return {key: before[key] for key in people.KEYS if key in before and before[key] != now.get(key)}

    def _normalised(self, fields: Mapping[str, Json]) -> dict[str, str]:
        return people.normalised(fields, self._options.get("phone_region", ""))

    def _request(self, method: str, persons: Iterable[Mapping[str, str]]) -> Request:
        if not self._audience_id:
            raise _config("the audience was not looked up yet.", "Give the option audience_id, or ask for the account.")
        entries = [_columns(person) for person in persons]
        named = {key for entry in entries for key in entry}
        schema = [key for key in _SCHEMA if key in named] or ["EXTERN_ID"]
        data = [[entry.get(key, "") for key in schema] for entry in entries]
        payload = json.dumps({"schema": schema, "data": data}, ensure_ascii=False, separators=(",", ":"))
        session = {
            "session_id": int(hashlib.sha256(f"{method}{payload}".encode()).hexdigest()[:15], 16),
            "batch_seq": 1,
            "last_batch_flag": True,
            "estimated_num_total": len(entries),
        }
        return Request(
            method=method,
            path=f"/{self._audience_id}/users",
            body={"payload": payload, "session": json.dumps(session)},
            media_type=graph.FORM,
        )

    def _found(self, session: Session) -> str:
        """The id of the audience of this name; '' where there is none. Raises ConfigError where there are several."""
        query = {"fields": "id,name", "limit": _PAGE_ROWS}
        found = []
        for _ in range(_MOST_PAGES):
            answer = session.send(Request(method="GET", path=f"{self._account_path}/customaudiences", query=query))
            told = answer.body if isinstance(answer.body, Mapping) else {}
            items = told.get("data")
            if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
                raise graph.broken(answer, "has no readable list of audiences")
            name = self._options["audience"]
            found += [graph.id_of(answer, item.get("id")) for item in items if item.get("name") == name]
            if not (after := _cursor(told.get("paging"))):
                break
            query = {**query, "after": after}
        if len(found) > 1:
            raise _config(f"{len(found)} audiences have this name.", "Give the option audience_id, or rename one.")
        return found[0] if found else ""

    def _made(self, session: Session) -> str:
        body = {
            "name": self._options["audience"],
            "subtype": "CUSTOM",
            "customer_file_source": "USER_PROVIDED_ONLY",
        }
        path = f"{self._account_path}/customaudiences"
        answer = session.send(Request(method="POST", path=path, body=body, media_type=graph.FORM))
        return graph.id_of(answer, answer.body.get("id") if isinstance(answer.body, Mapping) else None)

    @property
    def _account_path(self) -> str:
        return f"/act_{self._options['ad_account_id']}"


_SCHEMA: Final = (
    "EXTERN_ID", "EMAIL", "PHONE", "MADID", "FN", "LN", "GEN", "DOBY", "DOBM", "DOBD", "CT", "ST", "ZIP", "COUNTRY",
)  # fmt: skip


def _columns(person: Mapping[str, str]) -> dict[str, str]:
    """One person by column of the schema, hashed; a date of birth is three of them.

    In an audience, unlike in an event, the vendor's own client writes a name without spaces.
    """
    plain = {name: value.replace(" ", "") if name in ("FN", "LN") else value for name, value in person.items()}
    if born := plain.pop("DOB", ""):
        plain |= {"DOBY": born[:4], "DOBM": born[4:6], "DOBD": born[6:]}
    return {name: people.hashed(name, value) for name, value in plain.items()}


def _fields(row: OutgoingRow, match_field: str) -> dict[str, Json]:
    return {**row.fields, match_field: row.match_value}


def _judge(sent: int, answer: Answer, *, may_be_invalid: bool = False) -> int:
    """Hold the counts of an answer against what was sent, and return how many entries were invalid.

    Raises ContractBroken where they do not match or too many are invalid to be looked for, Refused where some are.
    """
    told = answer.body if isinstance(answer.body, Mapping) else {}
    received, invalid = (graph.count_of(told.get(name)) for name in ("num_received", "num_invalid_entries"))
    if received != sent or invalid is None or invalid > sent:
        raise graph.broken(answer, "does not say that every row was received")
    if invalid and not may_be_invalid:
        if invalid > max(_FEW_INVALID, _MOST_INVALID_SHARE * sent):
            raise graph.broken(answer, f"calls {invalid} of {sent} rows invalid: forms have come apart")
        raise Refused(
            f"meta calls {invalid} of {sent} rows invalid and does not say which.",
            status=answer.status,
            code="invalid_identifier",
            is_partial=True,
        )
    return invalid


def _cursor(paging: Json) -> str:
    """The cursor of the next page; '' at the end."""
    if not isinstance(paging, Mapping) or "next" not in paging:
        return ""
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, Mapping) else None
    return after if isinstance(after, str) else ""


def _config(what: str, remedy: str) -> ConfigError:
    return ConfigError(what, remedy=remedy, field="destination.options")
