"""Which tables hold persons, and by which columns: every table says so, or says `none`.

Models and sources say it in dbt (`meta: {person_key: …}`), the platform's own tables here. A person key is a mapping of
columns to kinds of identifiers. Whoever adds a table adds its person key, and no other line.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdp_platform.domain.nearest import nearest_of
from cdp_platform.erasure.identifiers import EXCLUSIVE, KINDS
from cdp_platform.errors import ConfigError
from cdp_platform.warehouse.base import Session

NONE = "none"
PersonKey = Mapping[str, str]
"""Column → kind of identifier; empty: the table holds no persons."""

BY_LEDGER = (
    "cdp.ledgers", "cdp.settles", "cdp.delivered_rows", "cdp.rejected_rows", "cdp.unknown_rows", "cdp.key_moves",
    "cdp.sync_runs",
)  # fmt: skip
"""Kept for each sync by the primary key of its model, and emptied with its ledger."""
LEDGER_TABLE = "cdp.ledger_"
COMPUTED_TRAITS = "traits."
"""Tables of this schema are made of YAML, each with one row per person."""
OWN_TABLES: Mapping[str, PersonKey] = {
    "cdp.forgotten": {},
    "cdp.erasures": {},
    "cdp.loop_clock": {},
    "cdp.settle_days": {},
    "identity.identity_clusters": {"record_key": "record_key", "person_id": "person_id"},
    "identity.identity_edges": {"record_key": "record_key"},
    "identity.identity_merges": {"former_person_id": "person_id", "person_id": "person_id"},
    "identity.identity_quarantine": {"cluster_key": "record_key"},
    "identity.identity_person_ids": {"person_id": "person_id"},
    "identity.identity_fingerprints": {"record_key": "record_key"},
    "identity.identity_runs": {},
    "audiences.audience_membership_history": {"person_id": "person_id"},
    "audiences.audience_conditions": {"person_id": "person_id"},
    "audiences.audience_assignments": {"person_id": "person_id"},
    "audiences.audience_sizes": {},
}
_FORMER_IDS = (
    "(select former_person_id, person_id from identity.identity_merges where kind = 'merge'"
    " and former_person_id not in (select person_id from identity.identity_clusters))"
)


@dataclass(frozen=True, kw_only=True)
class Holding:
    """One table or view that holds persons."""

    relation: str
    """`schema.table`, or a select in parentheses."""
    person_key: PersonKey
    is_table: bool = True
    """Whether rows can be deleted there; a view shows what others hold."""

    @property
    def is_link(self) -> bool:
        """Whether a row tells of two identifiers, one of them exclusive, that they are of one person."""
        kinds = list(self.person_key.values())
        return len(kinds) > 1 and any(kind in EXCLUSIVE for kind in kinds)


def parse_person_key(written: Any, *, place: str) -> PersonKey:
    """Read a declaration: `none`, or columns with their kinds. Raises ConfigError, naming the nearest kind."""
    if written == NONE:
        return {}
    if not isinstance(written, Mapping) or not written:
        raise ConfigError(
            f"{place} does not say whose rows it holds.",
            remedy="Write meta: {person_key: {<column>: <kind>}}, or person_key: none. Kinds: "
            + ", ".join(KINDS)
            + ".",
            field="person_key",
        )
    for column, kind in written.items():
        if kind not in KINDS:
            raise ConfigError(
                f"{place}: the column {column} is of the kind {kind!r}.",
                remedy=nearest_of(str(kind), KINDS),
                field="person_key",
            )
    return {str(column): str(kind) for column, kind in written.items()}


def present_holdings(session: Session, declared: Mapping[str, PersonKey]) -> list[Holding]:
    """The platform's own tables and the declared tables and views that stand in the warehouse and hold persons."""
    computed = {one: {"person_id": "person_id"} for one in sorted(_tables(session)) if one.startswith(COMPUTED_TRAITS)}
    return holdings_in(session, {**OWN_TABLES, **computed, **declared})


def holdings_in(session: Session, declared: Mapping[str, PersonKey]) -> list[Holding]:
    """Those of the declared that stand in the warehouse and hold persons; columns that are not there are left out."""
    is_table = _tables(session)
    found = []
    for relation, person_key in declared.items():
        if relation in is_table and person_key:
            columns = session.columns(relation)
            there = {column: kind for column, kind in person_key.items() if column in columns}
            if there:
                found.append(Holding(relation=relation, person_key=there, is_table=is_table[relation]))
    return found


def links_of(holdings: Sequence[Holding]) -> list[Holding]:
    """The holdings by which one identifier leads to another; who has split off again is another person."""
    links = [held for held in holdings if held.is_link and held.relation != "identity.identity_merges"]
    relations = {held.relation for held in holdings}
    if {"identity.identity_merges", "identity.identity_clusters"} <= relations:
        key = {"former_person_id": "person_id", "person_id": "person_id"}
        links.append(Holding(relation=_FORMER_IDS, person_key=key, is_table=False))
    return links


def undeclared(session: Session, declared: Iterable[str]) -> list[str]:
    """The tables of the warehouse, views left out, that say nothing of whose rows they hold."""
    known = {*declared, *OWN_TABLES, *BY_LEDGER}
    return [
        relation
        for relation, is_table in sorted(_tables(session).items())
        if is_table
        and relation not in known
        and not relation.startswith((LEDGER_TABLE, COMPUTED_TRAITS))
        and "._dlt_" not in relation
    ]


def _tables(session: Session) -> dict[str, bool]:
    """`schema.table` → whether it is a table, of everything that stands in the warehouse."""
    rows = session.rows(
        """select table_schema || '.' || table_name as relation, table_type = 'BASE TABLE' as is_table
        from information_schema.tables
        where table_catalog = current_database() and table_schema not in ('information_schema', 'pg_catalog')
            and table_type in ('BASE TABLE', 'VIEW')"""
    )
    return {row["relation"]: row["is_table"] for row in rows}
