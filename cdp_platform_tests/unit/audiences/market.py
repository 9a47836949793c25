"""A small market with every kind of trait, event and consent: its catalogue, its tables, and a plain evaluator."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb

from cdp_platform.audiences import definition as tree
from cdp_platform.audiences.catalogue import Catalogue, Event, EventField, Kind, People, Relation, Trait
from cdp_platform.audiences.definition import Comparison, Condition, Operator
from cdp_platform.domain.permission import ConsentPolicy

AS_OF = date(2017, 6, 30)
KINDS = {"city": Kind.TEXT, "spent": Kind.NUMBER, "born_on": Kind.DATE, "is_vip": Kind.BOOLEAN, "points": Kind.NUMBER}


@dataclass(frozen=True, kw_only=True)
class Person:
    """One person: the first two stand among the people, the others in a table of traits."""

    person_id: str
    city: str | None = None
    email: str | None = None
    entity: str | None = "us"
    has_traits: bool = True
    spent: Decimal | None = None
    points: int | None = None
    born_on: date | None = None
    is_vip: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Happened:
    """A visit or a click of a person; clicks have no instant."""

    person_id: str | None
    day: date | None
    minute: int | None = 0
    value: Decimal | None = None
    shop: str | None = None
    counts: bool | None = True

    @property
    def moment(self) -> datetime | None:
        if self.day is None or self.minute is None:
            return None
        return datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC) + timedelta(minutes=self.minute)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was said about a permission."""

    identifier: str
    entity: str = "us"
    channel: str = "email"
    purpose: str = "news"
    status: str = "granted"


@dataclass(frozen=True, kw_only=True)
class Suppressed:
    """An address that must never be contacted; `entity` None: by no brand."""

    identifier: str
    channel: str = "email"
    entity: str | None = None


@dataclass(frozen=True, kw_only=True)
class Market:
    """Everything that is known."""

    people: Sequence[Person] = ()
    visits: Sequence[Happened] = ()
    clicks: Sequence[Happened] = ()
    answers: Sequence[Answer] = ()
    suppressed: Sequence[Suppressed] = ()
    policy: ConsentPolicy = field(default_factory=ConsentPolicy)
    members: Sequence[tuple[str, str]] = ()
    """Audience and person."""
    names: dict[str, str] = field(default_factory=dict)


def catalogue(rename: dict[str, str] | None = None, schema: str = "marts") -> Catalogue:
    """The market's catalogue; `rename` gives columns and relations other names."""

    def named(name: str) -> str:
        return (rename or {}).get(name, name)

    def relation(name: str) -> Relation:
        return Relation(schema=schema, name=named(name), asset=(schema, name))

    people, traits = relation("people"), relation("traits")
    homes = {"city": people, "spent": traits, "points": traits, "born_on": traits, "is_vip": traits}
    event_fields = {
        "value": EventField(name="value", column=named("value"), kind=Kind.NUMBER),
        "shop": EventField(name="shop", column=named("shop"), kind=Kind.TEXT),
    }
    events = {
        name: Event(
            name=name,
            relation=relation(name),
            person_key=named("person_id"),
            day=named("day"),
            moment=named("moment") if name == "visits" else None,
            only=named("counts") if name == "visits" else None,
            fields=event_fields,
        )
        for name in ("visits", "clicks")
    }
    return Catalogue(
        people=People(
            relation=people, person_key=named("person_id"), entity=named("entity"), channels={"email": named("email")}
        ),
        consents=relation("answers"),
        suppressions=relation("suppressed"),
        traits={
            name: Trait(
                name=name,
                relation=home,
                person_key=named("person_id"),
                column=named(name),
                kind=KINDS[name],
                is_personal=name == "city",
            )
            for name, home in homes.items()
        },
        events=events,
    )


_HAPPENED = "(person_id varchar, day date, moment timestamptz, value decimal(12,2), shop varchar, counts boolean)"
TABLES = {
    "people": "(person_id varchar, city varchar, email varchar, entity varchar)",
    "traits": "(person_id varchar, spent decimal(12,2), points integer, born_on date, is_vip boolean)",
    "visits": _HAPPENED,
    "clicks": _HAPPENED,
    "answers": "(identifier varchar, entity varchar, channel varchar, purpose varchar, status varchar)",
    "suppressed": "(identifier varchar, channel varchar, entity varchar)",
}


def fill(connection: Any, market: Market) -> None:
    """Write a market's tables anew. `connection` has `execute(sql, values)`."""
    connection.execute("create schema if not exists marts")
    for name, columns in TABLES.items():
        connection.execute(f"create or replace table marts.{name} {columns}")
    for person in market.people:
        _insert(connection, "people", (person.person_id, person.city, person.email, person.entity))
        if person.has_traits:
            traits = (person.person_id, person.spent, person.points, person.born_on, person.is_vip)
            _insert(connection, "traits", traits)
    for name, rows in (("visits", market.visits), ("clicks", market.clicks)):
        for row in rows:
            _insert(connection, name, (row.person_id, row.day, row.moment, row.value, row.shop, row.counts))
    for answer in market.answers:
        _insert(connection, "answers", tuple(getattr(answer, one.name) for one in fields(Answer)))
    for listed in market.suppressed:
        _insert(connection, "suppressed", (listed.identifier, listed.channel, listed.entity))


def fill_members(connection: Any, members: Iterable[tuple[str, str]]) -> None:
    """Write the members of audiences as if they had been computed."""
    connection.execute("create schema if not exists audiences")
    connection.execute("create or replace table audiences.audience_members (audience varchar, person_id varchar)")
    for row in members:
        _insert(connection, "audience_members", row, schema="audiences")


def _insert(connection: Any, table: str, row: tuple[Any, ...], schema: str = "marts") -> None:
    connection.execute(f"insert into {schema}.{table} values ({', '.join('?' * len(row))})", list(row))


def connected(market: Market) -> "duckdb.DuckDBPyConnection":
    """A database of its own that holds the market."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    fill(connection, market)
    fill_members(connection, market.members)
    return connection


def holds(condition: Condition, person: Person, market: Market) -> bool:
    """Whether a condition holds for a person: the plain reading of what the guide says, row by row."""
    match condition:
        case tree.All():
            return all(holds(one, person, market) for one in condition.conditions)
        case tree.AnyOf():
            return any(holds(one, person, market) for one in condition.conditions)
        case tree.Not():
            return not holds(condition.condition, person, market)
        case tree.TraitCondition():
            is_told = person.has_traits or condition.trait.name == "city"
            return meets(getattr(person, condition.trait.name) if is_told else None, condition.comparison)
        case tree.EventCondition():
            count = len(matching(condition.occurrence, person, market))
            return meets(count, Comparison(operator=condition.operator, values=(condition.count,)))
        case tree.SequenceCondition():
            return _came_after(condition, person, market)
        case tree.MembershipCondition():
            return (condition.audience, person.person_id) in market.members
        case tree.ConsentCondition():
            return permission(condition, person, market) == "granted"


def permission(condition: tree.ConsentCondition, person: Person, market: Market) -> str:
    """What is known of a person's permission: the plain reading of the page on consent."""
    address = person.email.strip(" ").lower() if person.email is not None else ""
    entity = condition.entity or person.entity
    if not address:
        return "never_asked"
    mine = [one for one in market.suppressed if one.identifier.strip(" ").lower() == address]
    if any(
        one.channel == condition.channel and one.entity in (None, entity) for one in mine if entity or not one.entity
    ):
        return "suppressed"
    said = [
        one
        for one in market.answers
        if one.identifier.strip(" ").lower() == address
        and (one.channel, one.purpose) == (condition.channel, condition.purpose)
    ]
    own = {one.status for one in said if one.entity == entity}
    rule = market.policy.rules.get(entity or "", {}).get(condition.channel)
    rule = rule or ("double_opt_in" if market.policy.rules else "opt_in")  # type: ignore[assignment]
    if "withdrawn" in own:
        return "withdrawn"
    if "confirmed" in own or rule == "opt_out" or ("granted" in own and rule == "opt_in"):
        return "granted"
    if "granted" in own:
        return "not_confirmed"
    return "other_brand" if {one.status for one in said} & {"granted", "confirmed"} else "never_asked"


def matching(occurrence: tree.Occurrence, person: Person, market: Market) -> list[Happened]:
    """The events of a person that are meant."""
    rows = market.visits if occurrence.event.name == "visits" else market.clicks
    return [
        row
        for row in rows
        if row.person_id == person.person_id
        and row.day is not None
        and row.day <= AS_OF
        and (occurrence.within_days is None or row.day > AS_OF - timedelta(days=occurrence.within_days))
        and (occurrence.event.only is None or row.counts is True)
        and all(meets(getattr(row, one.field.name), one.comparison) for one in occurrence.where)
    ]


def _came_after(condition: tree.SequenceCondition, person: Person, market: Market) -> bool:
    has_moments = bool(condition.first.event.moment and condition.then.event.moment)

    def at(row: Happened) -> Any:
        return row.moment if has_moments else row.day

    return any(
        at(first) is not None and at(then) is not None and at(first) < at(then)
        and first.day and then.day and (then.day - first.day).days <= condition.gap_days
        for first in matching(condition.first, person, market)
        for then in matching(condition.then, person, market)
    )  # fmt: skip


def meets(value: Any, comparison: Comparison) -> bool:
    """Whether a value meets a comparison; an unknown one does not, unless that is what is asked."""
    operator, values = comparison.operator, comparison.values
    if operator is Operator.IS_KNOWN:
        return (value is not None) is values[0]
    if value is None:
        return False
    days = timedelta(days=values[0]) if isinstance(values[0], int) else timedelta()
    answers = {
        Operator.EQUALS: lambda: value == values[0],
        Operator.NOT_EQUALS: lambda: value != values[0],
        Operator.IN: lambda: value in values,
        Operator.NOT_IN: lambda: value not in values,
        Operator.AT_LEAST: lambda: value >= values[0],
        Operator.AT_MOST: lambda: value <= values[0],
        Operator.BETWEEN: lambda: values[0] <= value <= values[1],
        Operator.BEFORE: lambda: value < values[0],
        Operator.AFTER: lambda: value > values[0],
        Operator.WITHIN_DAYS: lambda: AS_OF - days < value <= AS_OF,
        Operator.LONGER_AGO_THAN_DAYS: lambda: value <= AS_OF - days,
        Operator.CONTAINS: lambda: values[0] in value,
        Operator.STARTS_WITH: lambda: value.startswith(values[0]),
    }
    return bool(answers[operator]())
