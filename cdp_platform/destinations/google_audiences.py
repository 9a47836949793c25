"""Google's Data Manager API: people, by hashed identifiers, into one user list of an advertising account and out of it.

Vendor pages, read 2026-11-22 under developers.google.com/data-manager/api: reference/rest/v1 (audienceMembers,
requestStatus, accountTypes.accounts.userLists), devguides/limits, devguides/concepts/understand-errors; the shapes are
held to Google's own discovery document by a test. Hashing as in `privacy.ad_identifiers`.

- This is the way for newcomers: since 2026-04-01 Customer Match of the Google Ads API takes no upload of a developer
  token that had none before.
- Limits: 10,000 people a request, 10 identifiers a person; 300 requests a minute and 100,000 a day for a project.
- Authentication: OAuth 2, scope https://www.googleapis.com/auth/datamanager.
- A request is taken as a whole or not at all (one bad record refuses it, and it is halved), then processed as a job:
  its status tells how many records failed, and of which it names the places those rows are rejected.
- The terms of Customer Match have to be accepted by a person: option `customer_match_terms: accepted`.
- Cannot: make the user list, say who was matched (a range of the match rate only), tell rows of a request that failed
  without places (it is halved). What a changed row no longer has is removed before it is added again, job after job:
  Google promises no order of requests.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from cdp_platform.connectors.protocol import (
    ALL_DELIVERED,
    STILL_RUNNING,
    Answer,
    Batch,
    Capabilities,
    Destination,
    DestinationField,
    Job,
    Json,
    OutgoingRow,
    Reading,
    Request,
    Session,
    StillRunning,
)
from cdp_platform.destinations import google_status as status_of
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.syncs import FieldKind, Mode, Removal
from cdp_platform.errors import CdpError, ConfigError, ContractBroken
from cdp_platform.privacy import ad_identifiers as identifiers
from cdp_platform.privacy import normalise

_AUDIENCE: Final = Capabilities(
    modes=frozenset({Mode.MIRROR, Mode.UPSERT}),
    removals=frozenset({Removal.KEEP, Removal.DELETE}),
    batch_rows=10_000,
    writes_changed_fields_only=False,
    # 300 a minute.
    requests_per_second=5.0,
    burst_requests=300,
    requests_at_once=8,
    # Google promises no time; a run that ends earlier leaves the job to the next one.
    job_seconds=6 * 3600.0,
    is_membership=True,
)
_FIELDS: Final = ("emailAddress", "phoneNumber", "givenName", "familyName", "regionCode", "postalCode")
_ADDRESS: Final = ("givenName", "familyName", "regionCode", "postalCode")
_REMOVING: Final = (Operation.REMOVE, Operation.WITHDRAW)
_JOB: Final = re.compile(r"[A-Za-z0-9_.:/=-]{1,200}")
_OPTIONS: Final = frozenset(
    {"account_id", "user_list_id", "login_account_id", "phone_region", "customer_match_terms"}
    | {"ad_user_data", "ad_personalization"}
)
_CONSENTS: Final = {"granted": "CONSENT_GRANTED", "denied": "CONSENT_DENIED"}


class GoogleAudiences:
    """One user list of one Google Ads account."""

    name: ClassVar[str] = "google_audiences"
    default_base_url: ClassVar[str] = "https://datamanager.googleapis.com"

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        self._options = dict(options or {})

    def with_options(self, options: Mapping[str, str]) -> Destination:
        if strangers := sorted(options.keys() - _OPTIONS):
            remedy = f"It has: {', '.join(sorted(_OPTIONS))}."
            raise _config(f"google_audiences knows no option {strangers[0]!r}.", remedy)
        told = {
            name: value.replace("-", "") if name.endswith("account_id") else value for name, value in options.items()
        }
        for name in ("account_id", "user_list_id"):
            if not told.get(name, "").isdigit():
                raise _config(f"google_audiences needs the option {name}.", "Give its digits, as Google shows them.")
        if not told.get("login_account_id", "0").isdigit():
            raise _config("login_account_id is no account.", "Give the digits of the manager account.")
        if told.get("customer_match_terms") != "accepted":
            remedy = "Somebody who may reads Google's Customer Match terms and writes customer_match_terms: accepted."
            raise _config("the terms of Customer Match are not accepted.", remedy)
        for name in ("ad_user_data", "ad_personalization"):
            if told.get(name, "granted") not in _CONSENTS:
                raise _config(f"{name} is {told[name]!r}.", f"It is one of: {', '.join(_CONSENTS)}.")
        return GoogleAudiences(told)

    def capabilities(self, object_name: str) -> Capabilities:
        if object_name != "audience":
            raise ConfigError(
                f"Destination google_audiences has no object {object_name!r}.",
                remedy="It has: audience.",
                field="destination.object",
            )
        return _AUDIENCE

    def account_id(self, session: Session) -> str:
        """Ask for the user list: `<account>:<list>`, so that another list is another account to the engine."""
        account, user_list = self._options.get("account_id", ""), self._options.get("user_list_id", "")
        path = f"/v1/accountTypes/GOOGLE_ADS/accounts/{account}/userLists/{user_list}"
        login = self._options.get("login_account_id")
        headers = {"login-account": f"accountTypes/GOOGLE_ADS/accounts/{login}"} if login else {}
        answer = session.send(Request(method="GET", path=path, headers=headers))
        told = answer.body if isinstance(answer.body, Mapping) else {}
        if str(told.get("id")) != user_list:
            raise _broken(answer, "is no user list of this id")
        if told.get("readOnly") is True:
            raise _config("the user list may not be changed by this account.", "Name a list that the account owns.")
        return f"{account}:{user_list}"

    def describe(self, session: Session, object_name: str) -> Sequence[DestinationField]:
        self.capabilities(object_name)
        unique = ("emailAddress", "phoneNumber")
        return [DestinationField(name=name, kind=FieldKind.TEXT, is_unique=name in unique) for name in _FIELDS]

    def unfit(self, object_name: str, match_field: str, rows: Batch) -> Sequence[RowOutcome]:
        if rows.operations[0] in _REMOVING:
            return []
        outcomes = []
        for row in rows:
            fields = _fields(row, match_field)
            if not _identifiers(self._normalised(fields)):
                code, parameters = _fault(fields)
                outcomes.append(
                    RowOutcome(ordinal=row.ordinal, outcome=Outcome.REJECTED, code=code, parameters=parameters)
                )
        return outcomes

    def stale(self, object_name: str, match_field: str, rows: Batch) -> Batch:
        changed = (row for row in rows if row.operation is Operation.UPDATE)
        return Batch.of(row for row in changed if self._gone(row, match_field))

    def encode_clearing(self, object_name: str, match_field: str, rows: Batch) -> Request:
        return self._removal(self._gone(row, match_field) for row in rows)

    def encode(self, object_name: str, match_field: str, rows: Batch) -> Request:
        """Turn rows into one ingestion, or removals and withdrawals into one removal by what was last delivered."""
        self.capabilities(object_name)
        if rows.operations[0] in _REMOVING:
            known = ({**row.delivered_fields, match_field: row.match_value} for row in rows)
            return self._removal(_identifiers(self._normalised(fields)) for fields in known)
        persons = (_identifiers(self._normalised(_fields(row, match_field))) for row in rows)
        consent = {
            key: _CONSENTS[self._options.get(name, "granted")]
            for key, name in (("adUserData", "ad_user_data"), ("adPersonalization", "ad_personalization"))
        }
        terms = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
        body = self._body(persons) | {"consent": consent, "termsOfService": terms}
        return Request(method="POST", path="/v1/audienceMembers:ingest", body=body)

    def read(self, rows: Batch, answer: Answer) -> Job:
        told = answer.body.get("requestId") if isinstance(answer.body, Mapping) else None
        if not isinstance(told, str) or not _JOB.fullmatch(told):
            raise _broken(answer, "names no request")
        return Job(id=told)

    def poll(self, session: Session, object_name: str, job: Job, rows: Batch) -> Reading | StillRunning:
        request = Request(method="GET", path="/v1/requestStatus:retrieve", query={"requestId": job.id})
        told = status_of.read_status(session.send(request), len(rows))
        if told is None:
            return STILL_RUNNING
        if not told:
            return ALL_DELIVERED
        return [
            RowOutcome(ordinal=ordinal, outcome=Outcome.REJECTED, code=told[place])
            if place in told
            else RowOutcome(ordinal=ordinal, outcome=Outcome.DELIVERED)
            for place, ordinal in enumerate(rows.ordinals)
        ]

    def error_of(self, status: int, headers: Mapping[str, str], body: Json) -> CdpError | None:
        return status_of.error_of(status, body)

    def _gone(self, row: OutgoingRow, match_field: str) -> list[dict[str, Json]]:
        """The identifiers that a row was last delivered with and no longer has."""
        former = {match_field: row.former_match_value} if row.former_match_value is not None else {}
        before = _identifiers(self._normalised({**row.delivered_fields, **former}))
        now = _identifiers(self._normalised(_fields(row, match_field)))
        return [one for one in before if one not in now]

    def _normalised(self, fields: Mapping[str, Json]) -> dict[str, str]:
        told = {name: str(fields[name]) for name in _FIELDS if fields.get(name) is not None}
        region = identifiers.country(told.get("regionCode", "")).upper()
        return {
            "emailAddress": identifiers.google_email(told.get("emailAddress", "")),
            "phoneNumber": identifiers.phone(
                told.get("phoneNumber", ""), self._options.get("phone_region", "") or region
            ),
            "givenName": identifiers.google_given_name(told.get("givenName", "")),
            "familyName": identifiers.google_family_name(told.get("familyName", "")),
            "regionCode": region,
            "postalCode": normalise.trim(told.get("postalCode", "")),
        }

    def _removal(self, persons: Iterable[Sequence[Json]]) -> Request:
        return Request(method="POST", path="/v1/audienceMembers:remove", body=self._body(persons))

    def _body(self, persons: Iterable[Sequence[Json]]) -> dict[str, Json]:
        destination: dict[str, Json] = {
            "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": self._options.get("account_id", "")},
            "productDestinationId": self._options.get("user_list_id", ""),
        }
        if login := self._options.get("login_account_id"):
            destination["loginAccount"] = {"accountType": "GOOGLE_ADS", "accountId": login}
        members = [{"userData": {"userIdentifiers": list(person)}} for person in persons]
        return {"destinations": [destination], "audienceMembers": members, "encoding": "HEX"}


def _identifiers(person: Mapping[str, str]) -> list[dict[str, Json]]:
    """A person's identifiers as Google takes them; an address only where it is whole."""
    found: list[dict[str, Json]] = [
        {name: identifiers.sha256(person[name])} for name in ("emailAddress", "phoneNumber") if person.get(name)
    ]
    if all(person.get(name) for name in _ADDRESS):
        plain = {name: person[name] for name in ("regionCode", "postalCode")}
        hashed = {name: identifiers.sha256(person[name]) for name in ("givenName", "familyName")}
        found.append({"address": {**hashed, **plain}})
    return found


def _fields(row: OutgoingRow, match_field: str) -> dict[str, Json]:
    return {**row.fields, match_field: row.match_value}


def _fault(fields: Mapping[str, Json]) -> tuple[str, dict[str, str]]:
    """Why a person cannot be recognised: a row needs an address or a telephone number, or a whole postal address."""
    for name, code in (("emailAddress", "invalid_email"), ("phoneNumber", "invalid_phone")):
        if fields.get(name) not in (None, ""):
            return code, {"field": name}
    return "no_identifier", {}


def _broken(answer: Answer, what: str) -> ContractBroken:
    return ContractBroken(f"google answered {answer.status}, but the body {what}.", status=answer.status)


def _config(what: str, remedy: str) -> ConfigError:
    return ConfigError(what, remedy=remedy, field="destination.options")
