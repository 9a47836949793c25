"""Components → a `person_id` that does not move, and the log of what merged and what split.

A component takes over the former id that most of its records had, the oldest on a tie; an id that several want goes to
the one with most of its records, and the others take their next. New ids follow from the smallest record key.
"""

from datetime import datetime
from typing import Final

from cdp_platform.errors import WarehouseError
from cdp_platform.identity.expressions import at
from cdp_platform.warehouse.base import Session

_ID_LENGTH: Final = 20
"""Hexadecimal digits, 80 bits: among a billion people two equal ids are a matter of one in a million."""
_MOST_TRIES: Final = 20


def keep_quarantined_apart(session: Session, largest: int) -> None:
    """Leave records of a quarantined cluster with whom they were before; who is new there stands alone.

    A former group that is itself too large is not kept.
    """
    session.execute(
        "create or replace temporary table work_kept_apart as select n.node, case when f.person_id is null or"
        f" count(*) over (partition by n.cluster, f.person_id) > {largest} then n.node"
        " else min(n.node) over (partition by n.cluster, f.person_id) end as component"
        " from work_nodes as n left join work_former as f on f.node = n.node where n.is_quarantined"
    )
    session.execute(
        "create or replace temporary table work_settled as select n.node, n.cluster,"
        " coalesce(k.component, n.component) as component, f.person_id as former_id, f.person_since"
        " from work_nodes as n left join work_former as f on f.node = n.node"
        " left join work_kept_apart as k on k.node = n.node"
    )


def assign_persons(session: Session, resolved_at: datetime, taken: str | None) -> None:
    """Make `work_persons` [component] with person_id and person_since, from `work_settled`.

    `taken` is a relation with a column person_id: ids that are in use or were before this run, so that none is minted
    twice. Raises WarehouseError where an id cannot be minted.
    """
    session.execute(
        "create or replace temporary table work_wishes as select component, former_id, count(*) as records,"
        " min(person_since) as person_since from work_settled where former_id is not null group by component, former_id"
    )
    session.execute(
        "create or replace temporary table work_persons as select component, former_id as person_id, person_since"
        " from work_wishes where 1 = 0"
    )
    while _grant(session):
        pass
    _mint(session, resolved_at, taken)


def _grant(session: Session) -> bool:
    """Give each id to the component that wants it most, where the wish is mutual; say whether any was given."""
    session.execute(
        "create or replace temporary table work_open as select w.component, w.former_id, w.records, w.person_since"
        " from work_wishes as w left join work_persons as c on c.component = w.component"
        " left join work_persons as p on p.person_id = w.former_id where c.component is null and p.person_id is null"
    )
    order = "records desc, person_since, former_id, component"
    session.execute(
        "insert into work_persons select component, former_id, person_since from (select component, former_id,"
        f" person_since, row_number() over (partition by component order by {order}) as choice,"
        f" row_number() over (partition by former_id order by {order}) as rank from work_open) as ranked"
        " where choice = 1 and rank = 1"
    )
    [left] = session.rows("select count(*) as wishes from work_open")
    return bool(left["wishes"])


def _mint(session: Session, resolved_at: datetime, taken: str | None) -> None:
    session.execute(
        "create or replace temporary table work_nameless as select s.component, min(r.record_key) as record_key"
        " from work_settled as s join work_records as r on r.node = s.node"
        " left join work_persons as p on p.component = s.component where p.component is null group by s.component"
    )
    for attempt in range(1, _MOST_TRIES + 1):
        salted = "record_key" if attempt == 1 else f"concat(record_key, '#{attempt}')"
        session.execute(
            "create or replace temporary table work_minted as select component, record_key,"
            f" concat('p_', substr(md5({salted}), 1, {_ID_LENGTH})) as person_id from work_nameless"
        )
        in_use = f" and person_id not in (select person_id from {taken})" if taken else ""
        session.execute(
            f"insert into work_persons select component, person_id, {at(resolved_at)} from work_minted"
            f" where person_id not in (select person_id from work_persons){in_use}"
        )
        session.execute(
            "create or replace temporary table work_unnamed as select n.component, n.record_key from work_nameless as n"
            " left join work_persons as p on p.component = n.component where p.component is null"
        )
        [left] = session.rows("select count(*) as components from work_unnamed")
        if not left["components"]:
            return
        session.execute(
            "create or replace temporary table work_nameless as select component, record_key from work_unnamed"
        )
    raise WarehouseError(f"no free person id was found for {left['components']:,} people.")


def log_moves(session: Session) -> None:
    """Make `work_moves` [former id × id] of records that changed their person: `merge` where the former id is gone."""
    session.execute(
        "create or replace temporary table work_moves as select m.former_id, m.person_id, case when m.is_alive or"
        " count(*) over (partition by m.former_id) > 1 then 'split' else 'merge' end as kind, m.records"
        " from (select s.former_id, p.person_id, count(*) as records,"
        " s.former_id in (select person_id from work_persons) as is_alive"
        " from work_settled as s join work_persons as p on p.component = s.component"
        " where s.former_id is not null and s.former_id <> p.person_id group by s.former_id, p.person_id) as m"
    )
