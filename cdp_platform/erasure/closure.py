"""One identifier → everything one person is known by, along the tables that tell of two identifiers that they belong
together.

Only exclusive kinds lead on: a family's e-mail address joins nobody. A value that other people have, too, is counted
and left out, so that rows which only it points at stay. A record that no person claims, as a ticket written before
the customer logged in, is of whom its address is of, if that is one person.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from cdp_platform.erasure.holdings import Holding
from cdp_platform.erasure.identifiers import EXCLUSIVE, KINDS, SHAREABLE, Closure, normalised, normalised_sql
from cdp_platform.errors import CdpError
from cdp_platform.privacy.masking import masked
from cdp_platform.warehouse.base import Session

Values = dict[str, set[str]]
_MOST_CHOICES = 5
_PERSON = "person_id"


class Unfound(CdpError):
    """Nobody is known by an identifier."""


def find_person(session: Session, links: Sequence[Holding], identifier: str) -> Closure:
    """Everything that the person of this identifier is known by; `kind:value` says of which kind it is.

    Raises Unfound where nobody is known by it, and CdpError, naming the ids to choose from, where several people are.
    """
    people, records = _met(session, links, readings(identifier))
    if records and not people:
        found, _ = _met(session, links, _contacts(session, links, records))
        people = found if len(found) == 1 else [records]
    if not people:
        raise Unfound(
            f"nobody is known by {masked(identifier)!r}; nothing was erased.",
            remedy="Give an e-mail address, a telephone number, a person's id or a customer number as it stands in the"
            " warehouse, or its kind, too: " + ", ".join(f"{kind}:…" for kind in KINDS) + ".",
        )
    if len(people) > 1:
        choices = [_name_of(person) for person in people[:_MOST_CHOICES]]
        raise CdpError(
            f"{masked(identifier)!r} is of {len(people)} people; nothing was erased.",
            remedy=f"Say which one is meant: {', '.join(choices)}.",
        )
    return _closed(session, links, people[0])


def readings(identifier: str) -> Values:
    """Each kind that an identifier may be of, with its value."""
    kind, _, rest = identifier.partition(":")
    wanted = {kind: rest} if kind in KINDS else dict.fromkeys(KINDS, identifier)
    return {kind: {value} for kind, text in wanted.items() if (value := normalised(kind, text))}


def _met(session: Session, links: Sequence[Holding], wanted: Values) -> tuple[list[Values], Values]:
    """The exclusive values of each person whom the wanted ones lead to, and those of records that no person claims."""
    people: list[Values] = []
    records: Values = {}
    for kind, values in wanted.items():
        for link in links:
            for row in _rows(session, link, _columns(link, kind), kind, values):
                own = _exclusive(link, row)
                if not own or any(_meets(one, own) for one in (*people, records)):
                    continue
                followed = _followed(session, links, own)
                if followed[_PERSON]:
                    people.append(followed)
                else:
                    _add(records, followed)
    return people, records


def _followed(session: Session, links: Sequence[Holding], start: Values) -> Values:
    """All exclusive values that the given ones lead to."""
    known: Values = {kind: set() for kind in EXCLUSIVE}
    fresh = start
    while any(fresh.values()):
        for kind, values in fresh.items():
            known[kind] |= values
        found: Values = {}
        for kind, values in fresh.items():
            for link in links:
                for row in _rows(session, link, _columns(link, kind), kind, values):
                    for other, more in _exclusive(link, row).items():
                        found.setdefault(other, set()).update(more - known[other])
        fresh = found
    return known


def _closed(session: Session, links: Sequence[Holding], person: Values) -> Closure:
    """Add the values that may be shared, but for those that other people have, and the records that these lead to."""
    own: Values = {}
    shared: dict[str, int] = {}
    for kind, values in _contacts(session, links, person).items():
        for value in values:
            others, records = _met(session, links, {kind: {value}})
            if any(not _meets(person, other) for other in others):
                shared[kind] = shared.get(kind, 0) + 1
            else:
                own.setdefault(kind, set()).add(value)
                _add(own, records)
    _add(own, person)
    texts = {
        str(row[column])
        for kind, values in own.items()
        for link in links
        for row in _rows(session, link, _columns(link, kind), kind, values)
        for column, other in link.person_key.items()
        if other in SHAREABLE and row[column] is not None and normalised(other, str(row[column])) in own.get(other, ())
    }
    every = {kind: frozenset(values) for kind, values in own.items() if values}
    return Closure(values=every, texts=frozenset(texts), shared=shared)


def _contacts(session: Session, links: Sequence[Holding], person: Values) -> Values:
    """The values that may be shared and stand in one row with the exclusive ones."""
    seen: Values = {}
    for kind, values in person.items():
        for link in links:
            for row in _rows(session, link, _columns(link, kind), kind, values):
                for column, other in link.person_key.items():
                    if other in SHAREABLE and row[column] is not None:
                        seen.setdefault(other, set()).add(normalised(other, str(row[column])))
    return {kind: values - {""} for kind, values in seen.items()}


def _rows(
    session: Session, link: Holding, columns: Iterable[str], kind: str, values: set[str]
) -> list[Mapping[str, object]]:
    """The rows of a link in which one of the columns has one of the values."""
    wanted = sorted(columns)
    if not wanted or not values:
        return []
    listed = "(select unnest(from_json(?, '[\"VARCHAR\"]')))"
    where = " or ".join(f"{normalised_sql(kind, _quoted(column))} in {listed}" for column in wanted)
    names = ", ".join(_quoted(column) for column in link.person_key)
    document = json.dumps(sorted(values), ensure_ascii=False)
    return list(
        session.rows(f"select distinct {names} from {link.relation} as link where {where}", [document] * len(wanted))
    )


def _exclusive(link: Holding, row: Mapping[str, object]) -> Values:
    found: Values = {}
    for column, kind in link.person_key.items():
        if kind in EXCLUSIVE and row[column] is not None and (value := normalised(kind, str(row[column]))):
            found.setdefault(kind, set()).add(value)
    return found


def _add(known: Values, more: Values) -> None:
    for kind, values in more.items():
        known.setdefault(kind, set()).update(values)


def _meets(person: Values, own: Values) -> bool:
    return any(person.get(kind, set()) & values for kind, values in own.items())


def _columns(link: Holding, kind: str) -> set[str]:
    return {column for column, other in link.person_key.items() if other == kind}


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _name_of(person: Values) -> str:
    kind = next(kind for kind in EXCLUSIVE if person.get(kind))
    return f"{kind}:{min(person[kind])}"
