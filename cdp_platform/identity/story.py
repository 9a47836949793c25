"""How one person came to be: which records are this person by which rules, and which record each field is from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cdp_platform.identity import tables
from cdp_platform.identity.tables import Names
from cdp_platform.warehouse.base import Row, Session, Warehouse

PROFILE_FIELDS: Final = "marts.profile_fields"
"""The dbt model that says which record's value survived; columns person_id, field, value, source, seen_at, record_key,
rule."""


@dataclass(frozen=True, kw_only=True)
class RecordStory:
    """One record of the person. `shares` are the rules whose value it has in common with others of the person."""

    record_key: str
    source: str
    first_seen_at: datetime
    shares: Mapping[str, tuple[str, ...]]
    """Rule → keys of the records that have the same value."""


@dataclass(frozen=True, kw_only=True)
class FieldOrigin:
    """Where the value of a profile's field is from, and by which rule it survived."""

    field: str
    value: str
    source: str
    rule: str
    record_key: str
    seen_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class PersonStory:
    """One person. `asked` is the id that was asked for, which may have gone up in `person_id`."""

    asked: str
    person_id: str
    former_ids: tuple[str, ...]
    records: tuple[RecordStory, ...]
    fields: tuple[FieldOrigin, ...]


def tell_person(warehouse: Warehouse, person_id: str, *, schema: str) -> PersonStory | None:
    """Tell of a person by a present or former id; None where identity does not know it. Values are not masked."""
    names = Names.of(schema, warehouse.dialect)
    with warehouse.session("identity: story of a person") as session:
        if not tables.has_tables(session, names):
            return None
        known = session.rows(f"select present_person_id from {names.person_ids} where person_id = ?", [person_id])
        if not known:
            return None
        present = str(known[0]["present_person_id"])
        former = session.rows(
            f"select person_id from {names.person_ids} where present_person_id = ? and person_id <> ? order by 1",
            [present, present],
        )
        return PersonStory(
            asked=person_id,
            person_id=present,
            former_ids=tuple(row["person_id"] for row in former),
            records=_records(session, names, present),
            fields=_fields(session, warehouse, present),
        )


def _records(session: Session, names: Names, person_id: str) -> tuple[RecordStory, ...]:
    edges = session.rows(
        "select c.record_key, e.identifier, e.value_hash, e.source, e.first_seen_at"
        f" from {names.clusters} as c left join {names.edges} as e on e.record_key = c.record_key"
        " where c.person_id = ? order by c.record_key, e.identifier",
        [person_id],
    )
    stopped = session.rows(
        f"select identifier, value_hash from {names.quarantine} where kind = 'shared_value'",
    )
    shared = {(row["identifier"], row["value_hash"]) for row in stopped}
    holders: dict[tuple[str, int], list[str]] = {}
    for edge in edges:
        if edge["identifier"] is not None and (edge["identifier"], edge["value_hash"]) not in shared:
            holders.setdefault((edge["identifier"], edge["value_hash"]), []).append(edge["record_key"])
    return tuple(_record(key, edges, holders) for key in dict.fromkeys(edge["record_key"] for edge in edges))


def _record(key: str, edges: list[Row], holders: Mapping[tuple[str, int], list[str]]) -> RecordStory:
    own = [edge for edge in edges if edge["record_key"] == key]
    joined: dict[str, tuple[str, ...]] = {}
    for edge in own:
        others = [other for other in holders.get((edge["identifier"], edge["value_hash"]), ()) if other != key]
        if others:
            joined[edge["identifier"]] = tuple(dict.fromkeys((*joined.get(edge["identifier"], ()), *others)))
    return RecordStory(
        record_key=key,
        source=str(own[0]["source"] or key.partition(":")[0]),
        first_seen_at=own[0]["first_seen_at"],
        shares=joined,
    )


def _fields(session: Session, warehouse: Warehouse, person_id: str) -> tuple[FieldOrigin, ...]:
    if not session.columns(PROFILE_FIELDS):
        return ()
    rows = session.rows(
        "select field, value, source, rule, record_key, seen_at"
        f" from {warehouse.dialect.relation(PROFILE_FIELDS)} where person_id = ? order by field",
        [person_id],
    )
    return tuple(FieldOrigin(**row) for row in rows)
