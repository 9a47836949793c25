"""From what the YAML of an audience says to its closed tree, each name checked against the catalogue."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from cdp_platform.audiences import definition as tree
from cdp_platform.audiences.catalogue import Catalogue, Event, Kind, Trait
from cdp_platform.audiences.definition import OPERATORS, Operator, Value
from cdp_platform.components.audience_blocks import (
    LEAVES,
    AudienceBlock,
    Block,
    ConsentBlock,
    EventBlock,
    FieldBlock,
    Operators,
    SizeBlock,
    TimesBlock,
    TopBlock,
    TraitBlock,
)
from cdp_platform.components.consent_policy import require_named
from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError

_BLOCKS: Final = ("all", "any", "not")
_MOST_CONDITIONS: Final = 100
_DEEPEST: Final = 8
_LARGEST_NUMBER: Final = 10**15
_TIMES: Final = {"at_least": Operator.AT_LEAST, "at_most": Operator.AT_MOST, "exactly": Operator.EQUALS}

_B = TypeVar("_B", bound=Block)


def make_definition(
    *,
    name: str,
    members: Mapping[str, Any],
    catalogue: Catalogue,
    labels: Mapping[str, str] | None = None,
    top: TopBlock | None = None,
    yields_to: Sequence[str] = (),
    holdout_share: float | None = None,
    size: SizeBlock | None = None,
) -> tree.Definition:
    """Make the definition of an audience. Raises ConfigError, naming the field, for what cannot be."""
    reader = _Reader(catalogue)
    condition = reader.condition(members, "members", depth=1)
    said = {"members": members, "top": top.model_dump() if top else None, "yields_to": list(yields_to)}
    document = json.dumps(said, sort_keys=True, default=str, ensure_ascii=False)
    bounds = size or SizeBlock()
    return tree.Definition(
        name=name,
        members=condition,
        version=hashlib.sha256(document.encode()).hexdigest()[:12],
        document=document,
        labels=dict(labels or {}),
        top=tree.Top(count=top.n, by=reader.trait(top.by, "top.by"), is_highest=top.order == "highest")
        if top
        else None,
        yields_to=tuple(yields_to),
        holdout_share=holdout_share,
        size=tree.Size(at_least=bounds.at_least, at_most=bounds.at_most),
    )


def read_document(name: str, document: str, catalogue: Catalogue) -> tree.Definition:
    """Make a definition of a document that an earlier run has stored; raises ConfigError where a name is gone."""
    said = json.loads(document)
    top = TopBlock.model_validate(said["top"]) if said["top"] else None
    return make_definition(
        name=name, members=said["members"], catalogue=catalogue, top=top, yields_to=said["yields_to"]
    )


def read_block(block: type[_B], said: Mapping[str, Any], field: str) -> _B:
    """Check what is said against the fields of a block; raises ConfigError, naming the field and the nearest one."""
    return _validated(block, said, field)


def read_occurrence(
    event: str, where: Sequence[FieldBlock], within_days: int | None, catalogue: Catalogue, field: str
) -> tree.Occurrence:
    """Make an occurrence of an event; raises ConfigError where a name or a value of it cannot be."""
    found = _Reader(catalogue).event(event, f"{field}.event")
    return tree.Occurrence(event=found, where=_where(where, found, f"{field}.where"), within_days=within_days)


def unknown_name(what: str, name: str, known: Mapping[str, object], field: str) -> ConfigError:
    """The error for a name that is not there, with the nearest one."""
    return _unknown(what, name, known, field)


class _Reader:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._count = 0

    def condition(self, said: Any, field: str, *, depth: int) -> tree.Condition:
        self._count += 1
        if self._count > _MOST_CONDITIONS or depth > _DEEPEST:
            raise ConfigError(
                f"the definition is too large: {_MOST_CONDITIONS} conditions in {_DEEPEST} levels at most.",
                field=field,
                remedy="Make audiences of its parts, and name them with `audience:`.",
            )
        word = _word_of(said, field)
        if word in _BLOCKS:
            return self._block(word, said, field, depth)
        block = _validated(LEAVES[word], said, field)
        match block:
            case TraitBlock():
                trait = self.trait(block.trait, f"{field}.trait")
                return tree.TraitCondition(trait=trait, comparison=_comparison(block, trait.kind, field))
            case EventBlock():
                return self._event(block, field)
            case ConsentBlock():
                return self._consent(block, field)
            case AudienceBlock():
                return tree.MembershipCondition(audience=block.audience)
        raise AssertionError(word)

    def trait(self, name: str, field: str) -> Trait:
        if name in self._catalogue.traits:
            return self._catalogue.traits[name]
        if name in self._catalogue.unusable:
            raise ConfigError(
                f"the trait {name!r} cannot be taken like this.", field=field, remedy=self._catalogue.unusable[name]
            )
        raise _unknown("trait", name, self._catalogue.traits, field)

    def _block(self, word: str, said: Mapping[str, Any], field: str, depth: int) -> tree.Condition:
        if len(said) > 1:
            other = next(name for name in said if name != word)
            raise ConfigError(
                f"`{word}` stands alone; {str(other)[:40]!r} stands beside it.",
                field=f"{field}.{other}",
                remedy="Put both into an `all`.",
            )
        inside = said[word]
        if word == "not":
            return tree.Not(condition=self.condition(inside, f"{field}.not", depth=depth + 1))
        if not isinstance(inside, list) or not inside:
            raise ConfigError(f"`{word}` holds a list of conditions.", field=f"{field}.{word}")
        found = tuple(
            self.condition(one, f"{field}.{word}.{number}", depth=depth + 1) for number, one in enumerate(inside)
        )
        return tree.All(conditions=found) if word == "all" else tree.AnyOf(conditions=found)

    def _event(self, block: EventBlock, field: str) -> tree.Condition:
        first = tree.Occurrence(
            event=(event := self.event(block.event, f"{field}.event")),
            where=_where(block.where, event, f"{field}.where"),
            within_days=block.within_days,
        )
        if block.then is None:
            operator, count = _times(block.times, f"{field}.times")
            return tree.EventCondition(occurrence=first, operator=operator, count=count)
        if block.times is not None:
            raise ConfigError(
                "`times` and `then` do not go together.", field=f"{field}.times", remedy="Make two conditions of them."
            )
        follower = self.event(block.then.event, f"{field}.then.event")
        then = tree.Occurrence(event=follower, where=_where(block.then.where, follower, f"{field}.then.where"))
        return tree.SequenceCondition(first=first, then=then, gap_days=block.then.within_days)

    def event(self, name: str, field: str) -> Event:
        if name not in self._catalogue.events:
            raise _unknown("event", name, self._catalogue.events, field)
        return self._catalogue.events[name]

    def _consent(self, block: ConsentBlock, field: str) -> tree.Condition:
        people = self._catalogue.people
        if self._catalogue.consents is None:
            raise ConfigError(
                "no model says that it holds the consents.",
                field=f"{field}.consent",
                remedy="Give one `meta: {audiences: {consents: identifier}}`.",
            )
        if block.channel not in people.channels:
            raise _unknown("channel", block.channel, people.channels, f"{field}.channel")
        if block.entity is None and people.entity is None:
            raise ConfigError(
                "nothing says which brand and market the person belongs to.",
                field=f"{field}.entity",
                remedy="Name the entity here.",
            )
        if block.entity is not None:
            require_named(self._catalogue.policy, block.entity, block.channel, field=f"{field}.entity")
        return tree.ConsentCondition(purpose=block.consent, channel=block.channel, entity=block.entity)


def _word_of(said: Any, field: str) -> str:
    """The word that says what a condition is; raises ConfigError unless there is exactly one."""
    words = (*_BLOCKS, *LEAVES)
    if not isinstance(said, Mapping):
        raise ConfigError(f"{str(said)[:80]!r} is no condition.", field=field, remedy=f"Say one of {', '.join(words)}.")
    found = [word for word in words if word in said]
    if len(found) == 1 or (found and found[0] in _BLOCKS):
        return found[0]
    if len(found) > 1:
        raise ConfigError(
            f"a condition is either `{found[0]}` or `{found[1]}`.",
            field=f"{field}.{found[1]}",
            remedy="Make two conditions of them, in an `all`.",
        )
    wrong = str(next(iter(said), ""))
    raise ConfigError(
        "this is no condition.", field=f"{field}.{wrong}" if wrong else field, remedy=nearest_of(wrong, words)
    )


def _validated(block: type[_B], said: Mapping[str, Any], field: str) -> _B:
    try:
        return block.model_validate(dict(said))
    except ValidationError as error:
        problem = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")[0]
        where = ".".join([field, *(str(part) for part in problem["loc"])])
        if problem["type"] == "extra_forbidden":
            names = _names(block, problem["loc"][:-1])
            raise ConfigError(
                "there is no such field.", field=where, remedy=nearest_of(problem["loc"][-1], names)
            ) from error
        if problem["type"] == "missing":
            raise ConfigError("this field is required and missing.", field=where) from error
        raise ConfigError(f"{str(problem['input'])[:80]!r} cannot be taken: {problem['msg']}.", field=where) from error


def _names(block: type[Block], path: Sequence[Any]) -> list[str]:
    current: Any = block
    for step in path:
        if isinstance(step, str):
            inner = current.model_fields[step].annotation
            parts = [inner, *getattr(inner, "__args__", ())]
            current = next(part for part in parts if isinstance(part, type) and issubclass(part, Block))
    return [info.alias or name for name, info in current.model_fields.items()]


def _where(blocks: Sequence[FieldBlock], event: Event, field: str) -> tuple[tree.FieldCondition, ...]:
    found = []
    for number, block in enumerate(blocks):
        place = f"{field}.{number}"
        if block.field not in event.fields:
            raise _unknown(f"field of {event.name}", block.field, event.fields, f"{place}.field")
        chosen = event.fields[block.field]
        found.append(tree.FieldCondition(field=chosen, comparison=_comparison(block, chosen.kind, place)))
    return tuple(found)


def _times(block: TimesBlock | None, field: str) -> tuple[Operator, int]:
    given = block.model_dump(exclude_none=True) if block else {"at_least": 1}
    if len(given) != 1:
        raise ConfigError("say how often with one of at_least, at_most and exactly.", field=field)
    [(word, count)] = given.items()
    return _TIMES[word], count


def _comparison(block: Operators, kind: Kind, field: str) -> tree.Comparison:
    given = {
        (info.alias or name): getattr(block, name)
        for name, info in Operators.model_fields.items()
        if name in block.model_fields_set
    }
    able = [str(operator) for operator in OPERATORS[kind]]
    if len(given) != 1:
        told = f"{' and '.join(given)} are" if given else "nothing is"
        raise ConfigError(f"{told} asked; ask exactly one thing.", field=field, remedy=f"One of {', '.join(able)}.")
    [(word, said)] = given.items()
    if word not in able:
        raise ConfigError(
            f"`{word}` cannot be asked of a {kind}.", field=f"{field}.{word}", remedy=f"One of {', '.join(able)}."
        )
    if word in ("is_known", "within_days", "longer_ago_than_days"):
        return tree.Comparison(operator=Operator(word), values=(_required(said, f"{field}.{word}"),))
    values = said if isinstance(said, list) else [said]
    found = tuple(_value(value, kind, f"{field}.{word}") for value in values)
    if word == "between" and found[0] > found[1]:  # type: ignore[operator]
        raise ConfigError("the first value is the larger one: nobody can be between.", field=f"{field}.between")
    return tree.Comparison(operator=Operator(word), values=found)


def _required(said: Any, field: str) -> Value:
    if said is None:
        raise ConfigError("a value is missing.", field=field)
    value: Value = said
    return value


def _value(said: Any, kind: Kind, field: str) -> Value:
    """Take a value as one of a kind; raises ConfigError where it is another."""
    match kind, said:
        case (Kind.TEXT, str()) | (Kind.BOOLEAN, bool()):
            return said  # type: ignore[no-any-return]
        case Kind.NUMBER, int() | float() if not isinstance(said, bool) and abs(said) <= _LARGEST_NUMBER:
            return Decimal(str(said)) if isinstance(said, float) else said
        case Kind.DATE, date() if not isinstance(said, datetime):
            return said
        case Kind.DATE, str():
            try:
                return date.fromisoformat(said)
            except ValueError:
                pass
    remedy = 'Write text in quotes, as "2".' if kind is Kind.TEXT else ""
    raise ConfigError(f"{str(said)[:80]!r} is no {kind}.", field=field, remedy=remedy)


def _unknown(what: str, name: str, known: Mapping[str, object], field: str) -> ConfigError:
    return ConfigError(f"there is no {what} {name[:80]!r}.", field=field, remedy=nearest_of(name, known))
