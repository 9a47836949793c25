"""What makes two records one person, as a person wrote it down: fields, rules, and where to stop."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.identity.normalisers import Normaliser

MOST_COMBINATIONS = 100
"""Of one rule with `at_least`: each is a key of its own for each record."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """A fact about a person under one name, and the columns it may stand in. Blocked values count as empty."""

    name: str
    columns: tuple[str, ...]
    blocked: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a rule compares: one field, or several with a space between them, each through the same normalisers."""

    fields: tuple[str, ...]
    chain: tuple[Normaliser, ...]

    @property
    def written(self) -> str:
        """As it stands in the file: `surname + given_name: name, soundex`."""
        return f"{' + '.join(self.fields)}: {', '.join(one.written for one in self.chain)}"

    @property
    def has_many(self) -> bool:
        """Whether one value gives several keys."""
        return any(one.has_many for one in self.chain)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Two records that share a value are one person. A single identifier is a rule of one part.

    All `parts` have to agree, and `at_least` so many of `among`. `priority` 1 is the strongest; a value that more than
    `cap` records hold joins nobody.
    """

    name: str
    parts: tuple[Part, ...]
    priority: int
    cap: int
    among: tuple[Part, ...] = ()
    at_least: int = 0
    instead_of: tuple[str, ...] = ()
    """Fields that tell more; where the records have one of them the rule is left out."""
    joins: bool = True
    """False: the rule only tells people apart, where another names it in `within_one`."""
    within_one: str | None = None
    """Another rule: a value whose records have several values of that one joins nobody."""

    @property
    def written(self) -> str:
        """What has to agree, in one line."""
        required = [part.written for part in self.parts]
        some = "; ".join(part.written for part in self.among)
        return "; ".join([*required, f"{self.at_least} of ({some})"] if self.among else required)

    def combinations(self) -> list[tuple[Part, ...]]:
        """The sets of parts that are each enough."""
        return [(*self.parts, *chosen) for chosen in combinations(self.among, self.at_least)]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """A whole rule file. `key`, `source` and `seen_at` are columns of the records, the first that exists is taken."""

    key: tuple[str, ...]
    source: tuple[str, ...]
    seen_at: tuple[str, ...]
    fields: Mapping[str, Field]
    rules: tuple[Rule, ...]
    largest_cluster: int
    is_guessing: bool = False
    """Whether fields without a column are left out instead of refused."""
    declared_in: str = ""

    @property
    def digest(self) -> str:
        """Names what the rules say; equal for equal rules."""
        fields = sorted((one.name, one.columns, sorted(one.blocked)) for one in self.fields.values())
        rules = [(one.name, one.written, one.priority, one.cap, one.joins, one.within_one) for one in self.rules]
        return hashlib.sha256(repr((fields, rules, self.largest_cluster)).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class BoundPart:
    """A part on real columns, one for each of its fields."""

    part: Part
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way for a record to have a value of a rule. Ways of one `combination` are compared with one another."""

    combination: int
    parts: tuple[BoundPart, ...]


@dataclass(frozen=True, kw_only=True)
class BoundRule:
    """A rule and every way to fill it from the columns that are there."""

    rule: Rule
    ways: tuple[Way, ...]


@dataclass(frozen=True, kw_only=True)
class Binding:
    """Rules on the columns of one relation. `left_out` says why a rule is not used."""

    rules: Rules
    key: str
    source: str | None
    seen_at: str | None
    columns: Mapping[str, tuple[str, ...]]
    bound: tuple[BoundRule, ...]
    left_out: Mapping[str, str]

    @property
    def anchors(self) -> dict[int, int]:
        """Rule with `within_one` → the rule that it names, both by their place in `bound`."""
        places = {one.rule.name: place for place, one in enumerate(self.bound)}
        named = {place: one.rule.within_one for place, one in enumerate(self.bound)}
        return {place: places[name] for place, name in named.items() if name is not None}


def bind(rules: Rules, columns: Sequence[str]) -> Binding:
    """Find the rules' columns among those of a relation; case, spaces and underscores of names do not matter.

    Raises ConfigError where a needed column is not there, or where no rule is left.
    """
    present = {_plain(name): name for name in columns}
    found = {
        one.name: tuple(dict.fromkeys(present[_plain(name)] for name in one.columns if _plain(name) in present))
        for one in rules.fields.values()
    }
    key = _first(rules.key, present)
    if key is None:
        raise ConfigError(
            f"the records have no column {' or '.join(rules.key[:4])} that names a record.",
            place=rules.declared_in,
            field="records.key",
            remedy=f"Write `records: {{key: …}}` with one of {', '.join(columns)}.",
        )
    bound, left_out = [], {}
    for number, rule in enumerate(rules.rules):
        missing = _missing(rule, found)
        if missing and not rules.is_guessing:
            raise _no_column(rules, number, missing, columns)
        better = next((name for name in rule.instead_of if found[name]), None)
        if better is not None:
            left_out[rule.name] = f"there is {better}"
        elif ways := _ways(rule, found):
            bound.append(BoundRule(rule=rule, ways=tuple(ways)))
        else:
            left_out[rule.name] = f"no {missing}"
    used = {one.rule.name for one in bound}
    for lost in [one.rule for one in bound if one.rule.within_one not in {None, *used}]:
        left_out[lost.name] = f"no rule {lost.within_one}"
    bound = [one for one in bound if one.rule.name not in left_out]
    if not bound:
        raise ConfigError(
            f"no rule fits the columns {', '.join(columns)}.",
            place=rules.declared_in,
            remedy="Write a rule file that names them.",
        )
    return Binding(
        rules=rules,
        key=key,
        source=_first(rules.source, present),
        seen_at=_first(rules.seen_at, present),
        columns={name: names for name, names in found.items() if names},
        bound=tuple(bound),
        left_out=left_out,
    )


def _ways(rule: Rule, found: Mapping[str, tuple[str, ...]]) -> list[Way]:
    ways = []
    for number, parts in enumerate(rule.combinations()):
        choices = [
            [BoundPart(part=part, columns=columns) for columns in product(*(found[name] for name in part.fields))]
            for part in parts
        ]
        ways += [Way(combination=number, parts=chosen) for chosen in product(*choices)]
    return ways


def _missing(rule: Rule, found: Mapping[str, tuple[str, ...]]) -> str | None:
    parts = (*rule.parts, *rule.among)
    return next((name for part in parts for name in part.fields if not found[name]), None)


def _no_column(rules: Rules, number: int, field_name: str, columns: Sequence[str]) -> ConfigError:
    wanted = rules.fields[field_name].columns
    return ConfigError(
        f"rule `{rules.rules[number].name}` needs {field_name}, and the records have no column {' or '.join(wanted)}.",
        place=rules.declared_in,
        field=f"fields.{field_name}",
        remedy=nearest_of(wanted[0], columns),
    )


def _first(wanted: Sequence[str], present: Mapping[str, str]) -> str | None:
    return next((present[_plain(name)] for name in wanted if _plain(name) in present), None)


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", "", name).lower()
