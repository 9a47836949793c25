"""Compute a set of traits in the warehouse: its table is replaced whole, so that it is as of one day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from cdp_platform.audiences.catalogue import Catalogue
from cdp_platform.audiences.compile_traits import compile_traits
from cdp_platform.audiences.computed import SCHEMA, TraitSet
from cdp_platform.warehouse.base import Dialect, Session


@dataclass(frozen=True, kw_only=True)
class ComputedTraits:
    """What a run made, in people."""

    people: int
    known: Mapping[str, int]
    """Trait → people whose value is known."""
    columns: Mapping[str, str]
    """Column → type, as the warehouse has them."""


def compute_traits(
    session: Session, dialect: Dialect, found: TraitSet, catalogue: Catalogue, *, as_of: date
) -> ComputedTraits:
    """Write `traits.<set>`: `person_id` (text), a column per trait, `as_of_on`; one row for everybody."""
    compiled = compile_traits(found.traits, catalogue, as_of=as_of)
    relation = dialect.relation(f"{SCHEMA}.{found.name}")
    session.execute(f"create schema if not exists {SCHEMA}")
    session.execute(
        f"create or replace table {relation} as"
        f" select computed.*, cast('{as_of.isoformat()}' as date) as as_of_on from ({compiled.sql}) as computed",
        compiled.parameters,
    )
    counts = ", ".join(f"count({dialect.quote(one.name)}) as known_{number}" for number, one in enumerate(found.traits))
    [row] = session.rows(f"select count(*) as people, {counts} from {relation}")
    return ComputedTraits(
        people=row["people"],
        known={one.name: row[f"known_{number}"] for number, one in enumerate(found.traits)},
        columns=session.columns(f"{SCHEMA}.{found.name}"),
    )
