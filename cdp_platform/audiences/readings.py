"""What a statement reads, each relation once: traits by person and memberships; beside it events and consents.

A reading collects what the conditions ask of it, hands out the columns that answer, and then writes its common table
expressions and its joins to `people`.
"""

from collections.abc import Iterator

import sqlglot
from sqlglot import exp

from cdp_platform.audiences.catalogue import Catalogue, Relation, Trait
from cdp_platform.audiences.expressions import (
    Bound,
    column,
    numbered,
    relation,
    table,
)
from cdp_platform.privacy.permission import normalised

MEMBERS = Relation(schema="audiences", name="audience_members")
PERSON = "person_id"

Table = tuple[str, exp.Expr]
"""A common table expression: its name and its query."""


class TraitReading:
    """The columns of relations with one row per person; the people themselves are the first of them."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Start with the people."""
        self._people = catalogue.people
        self._columns: dict[tuple[Relation, str], dict[str, None]] = {self._home: {}}
        self._others: dict[str, exp.Expr] = {}

    def place(self, trait: Trait) -> exp.Column:
        """The column that holds a trait's value."""
        key = (trait.relation, trait.person_key)
        self._columns.setdefault(key, {})[trait.column] = None
        return column(f"trait_{trait.column}", self._alias(key))

    def entity(self) -> exp.Column:
        """The column of the person's own brand and market."""
        self._others["entity"] = column(str(self._people.entity))
        return column("entity", "people")

    def identifier(self, channel: str) -> exp.Column:
        """The column of the person's identifier on a channel, as consents write it."""
        name = f"identifier_{channel}"
        own = column(self._people.channels[channel]).sql("duckdb")
        self._others[name] = sqlglot.parse_one(normalised(own), read="duckdb")
        return column(name, "people")

    def tables(self) -> Iterator[Table]:
        """One table each; the people's is the first."""
        for (source, person_key), columns in self._columns.items():
            chosen: dict[str, exp.Expr] = {f"trait_{name}": column(name) for name in columns}
            if (source, person_key) == self._home:
                chosen |= self._others
            named = [exp.alias_(value, name, quoted=True) for name, value in chosen.items()]
            key = exp.alias_(column(person_key), PERSON, quoted=True)
            yield self._alias((source, person_key)), exp.select(key, *named).from_(relation(source), copy=False)

    def join(self, select: exp.Select) -> exp.Select:
        """Join the traits of other relations to the people."""
        for key in self._columns:
            if key != self._home:
                select = joined(select, self._alias(key))
        return select

    @property
    def _home(self) -> tuple[Relation, str]:
        return self._people.relation, self._people.person_key

    def _alias(self, key: tuple[Relation, str]) -> str:
        return "people" if key == self._home else f"traits_{list(self._columns).index(key)}"


class MembershipReading:
    """The members of other audiences, as of their newest runs."""

    def __init__(self, bound: Bound) -> None:
        """Start without audiences."""
        self._bound = bound
        self._asked: dict[str, exp.Expr] = {}

    def mark(self, audience: str) -> exp.Expr:
        """Whether the person is a member."""
        if audience not in self._asked:
            self._asked[audience] = self._bound.place(audience)
        mark = or_zero(column(f"member_{list(self._asked).index(audience) + 1}", "memberships"))
        return exp.EQ(this=mark, expression=exp.Literal.number(1))

    def tables(self) -> Iterator[Table]:
        """One table, if any audience is asked for."""
        if not self._asked:
            return
        marks = [
            exp.alias_(
                exp.Max(this=numbered(exp.EQ(this=column("audience"), expression=place.copy()))),
                f"member_{number}",
                quoted=True,
            )
            for number, place in enumerate(self._asked.values(), 1)
        ]
        asked = exp.In(this=column("audience"), expressions=[place.copy() for place in self._asked.values()])
        yield (
            "memberships",
            exp.select(column(PERSON), *marks)
            .from_(relation(MEMBERS))
            .where(asked, copy=False)
            .group_by(column(PERSON), copy=False),
        )

    def join(self, select: exp.Select) -> exp.Select:
        """Join the memberships to the people; a membership's key is text, whatever the person's is."""
        if not self._asked:
            return select
        key = exp.cast(column(PERSON, "people"), "text")
        on = exp.EQ(this=column(PERSON, "memberships"), expression=key)
        return select.join(table("memberships"), on=on, join_type="left", copy=False)


def joined(select: exp.Select, alias: str) -> exp.Select:
    """Join a table with one row per person to the people."""
    on = exp.EQ(this=column(PERSON, alias), expression=column(PERSON, "people"))
    return select.join(table(alias), on=on, join_type="left", copy=False)


def or_zero(value: exp.Expr) -> exp.Expr:
    return exp.Coalesce(this=value, expressions=[exp.Literal.number(0)])
