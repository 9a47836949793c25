"""A sync's source that comes from audiences: the view over one that a sync reads, and whether their sizes are expected.

The platform keeps audiences in the schema `audiences`; only its tables are read here, by their names.
"""

from cdp_platform.domain.plans import Verdict
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import ConfigError
from cdp_platform.warehouse.base import Dialect, Session

_SIZES = "audiences.audience_sizes"
_MEMBERS = "audiences.audience_members"


def create_source(session: Session, dialect: Dialect, spec: SyncSpec) -> None:
    """Define the view that a sync of an audience reads: one row per member who is not held out.

    Does nothing for a sync of a model. Raises ConfigError where the audience was never computed.
    """
    view = spec.view
    if view is None:
        return
    if not session.columns(view.members):
        raise ConfigError(
            f"the audience `{spec.source_model}` was never computed ({view.members}).",
            remedy=f"Materialize audiences/{spec.source_model} first.",
            place=spec.declared_in,
            field="source_model",
        )
    chosen = [
        f"members.person_id as {dialect.quote(spec.primary_key)}",
        f"members.entered_on as {dialect.quote('entered_on')}",
    ]
    joins = []
    for number, table in enumerate(view.tables, 1):
        key = f"cast(table_{number}.{dialect.quote(table.person_key)} as varchar)"
        # Whoever is no person any more, by models that are newer than the audience, is not sent.
        kind = "inner" if number == 1 else "left"
        joins.append(f"{kind} join {dialect.relation(table.relation)} as table_{number} on {key} = members.person_id")
        chosen += [f"table_{number}.{dialect.quote(column)} as {dialect.quote(name)}" for name, column in table.columns]
    session.execute(
        f"create or replace view {dialect.relation(spec.relation)} as select {', '.join(chosen)}"
        f" from {dialect.relation(view.members)} as members {' '.join(joins)}"
    )


def judge_audiences(session: Session, spec: SyncSpec) -> list[Verdict]:
    """Judge whether the newest run of every audience that the source reads had a size within its declared bounds."""
    if not spec.audiences:
        return []
    wrong = [
        row["audience"]
        for row in (session.rows(_NEWEST) if "is_expected" in session.columns(_SIZES) else ())
        if row["audience"] in spec.audiences and row["is_expected"] is False
    ]
    parameters = {"audiences": ", ".join(wrong or spec.audiences)}
    return [Verdict(code="audience_expected", passed=not wrong, parameters=parameters)]


def held_out_count(session: Session, audience: str) -> int:
    """Count the members of an audience that are held out, and so are no rows of a sync's source."""
    [found] = session.rows(
        f"select count(*) as row_count from {_MEMBERS} where audience = $audience and is_held_out",
        {"audience": audience},
    )
    return int(found["row_count"])


_NEWEST = f"""
    select audience, is_expected from {_SIZES}
    qualify row_number() over (partition by audience order by as_of_on desc) = 1
    order by audience
"""
