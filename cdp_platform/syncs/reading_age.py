"""How long ago a read-back was read, where its rows alone do not tell it.

A source that reads only what changed has no row of a day on which nothing did. That it was read all the same stands in
the loader's book, `_dlt_loads`, beside every table that dlt has loaded.
"""

from cdp_platform.warehouse.base import Dialect, Session


def newest_reading_hours(session: Session, dialect: Dialect, relation: str, told: float | None) -> float | None:
    """Hours since `relation` (schema.table) was read last; `told` is what its rows say, None for a table without rows.

    A table that no row is in stays unread. One that dlt did not load is as old as its rows say.
    """
    schema, _, table = relation.partition(".")
    book = f"{schema}._dlt_loads"
    if told is None or not session.columns(book):
        return told
    [found] = session.rows(
        f"""select date_diff('minute', max(inserted_at), current_timestamp) as minutes
        from {dialect.relation(book)} where schema_name = ? and status = 0""",
        [f"{schema}_{table}"],
    )
    return told if found["minutes"] is None else min(told, found["minutes"] / 60)
