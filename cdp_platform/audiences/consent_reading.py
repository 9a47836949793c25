"""The permissions that a statement asks for: everything that was said, weighed for each person's own identifier.

What counts, and what a market's rule makes of it, is the one reading that syncs have, too (privacy/permission).
"""

from collections.abc import Iterator, Mapping

import sqlglot
from sqlglot import exp

from cdp_platform.audiences.catalogue import Catalogue
from cdp_platform.audiences.definition import ConsentCondition
from cdp_platform.audiences.expressions import Bound, certain, column, relation
from cdp_platform.audiences.readings import PERSON, Table, TraitReading, joined
from cdp_platform.domain.permission import ConsentRule
from cdp_platform.privacy.permission import concerns, permission, standing, statements

_WRITTEN_IN = "duckdb"


class ConsentReading:
    """What is known of each person's permission, one column for each consent that is asked for."""

    def __init__(self, catalogue: Catalogue, traits: TraitReading, bound: Bound) -> None:
        """Start without consents."""
        self._catalogue = catalogue
        self._traits = traits
        self._bound = bound
        self._asked: dict[ConsentCondition, tuple[exp.Expr, exp.Expr]] = {}
        """By condition: the identifier, and the entity that is asked for."""

    def permission(self, condition: ConsentCondition) -> exp.Expr:
        """The permission's name, as in domain/permission; never null."""
        if condition not in self._asked:
            entity = self._bound.place(condition.entity) if condition.entity else self._traits.entity()
            self._asked[condition] = (self._traits.identifier(condition.channel), entity)
        identifier, _ = self._asked[condition]
        found = permission(
            "asked_standing", is_known="asked_known", is_opt_out="asked_opt_out", is_double_opt_in="asked_double"
        )
        return _parsed(
            found,
            asked_standing=column("standing", self._alias(condition)),
            asked_known=exp.Is(this=identifier.copy(), expression=exp.null()).not_(),
            asked_opt_out=self._has_rule(condition, ConsentRule.OPT_OUT),
            asked_double=self._has_rule(condition, ConsentRule.DOUBLE_OPT_IN),
        )

    def tables(self) -> Iterator[Table]:
        """What was said, and for each consent that is asked for how it weighs by person."""
        consents, suppressions = self._catalogue.consents, self._catalogue.suppressions
        if not self._asked or consents is None:
            return
        listed = relation(suppressions).sql(_WRITTEN_IN) if suppressions else None
        yield "statements", _parsed(statements(relation(consents).sql(_WRITTEN_IN), listed))
        for condition, (identifier, entity) in self._asked.items():
            weighed = f"""select "people"."{PERSON}", max({standing("asked_entity")}) as "standing"
                from "people" inner join "statements" as said on said."identifier" = asked_identifier
                where {concerns("asked_channel", "asked_purpose")}
                group by "people"."{PERSON}" """
            yield (
                self._alias(condition),
                _parsed(
                    weighed,
                    asked_entity=entity,
                    asked_identifier=identifier,
                    asked_channel=self._bound.place(condition.channel),
                    asked_purpose=self._bound.place(condition.purpose),
                ),
            )

    def join(self, select: exp.Select) -> exp.Select:
        """Join what was found to the people."""
        for condition in self._asked:
            select = joined(select, self._alias(condition))
        return select

    def _alias(self, condition: ConsentCondition) -> str:
        return f"standings_{list(self._asked).index(condition) + 1}"

    def _has_rule(self, condition: ConsentCondition, rule: ConsentRule) -> exp.Expr:
        """Whether a rule holds for the entity that is asked for; the person's own may be any."""
        policy, channel = self._catalogue.policy, condition.channel
        if condition.entity is not None:
            return _truth(policy.rule(condition.entity, channel) is rule)
        is_otherwise = rule is policy.otherwise
        named = [entity for entity in policy.rules if (policy.rule(entity, channel) is rule) != is_otherwise]
        if not named:
            return _truth(is_otherwise)
        _, entity = self._asked[condition]
        among = certain(exp.In(this=entity.copy(), expressions=[self._bound.place(name) for name in named]))
        return exp.paren(among.not_() if is_otherwise else among)


def _parsed(sql: str, **asked: exp.Expr) -> exp.Expr:
    """Read SQL of the common reading: names quoted, and what is `asked` put in its place."""
    tree = sqlglot.parse_one(sql, read=_WRITTEN_IN)
    for identifier in tree.find_all(exp.Identifier):
        identifier.set("quoted", True)
    return tree.transform(lambda node: _placed(node, asked), copy=False)


def _placed(node: exp.Expr, asked: Mapping[str, exp.Expr]) -> exp.Expr:
    return asked[node.name].copy() if isinstance(node, exp.Column) and node.name in asked else node


def _truth(value: bool) -> exp.Expr:
    return exp.true() if value else exp.false()
