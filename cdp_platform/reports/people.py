"""Names for the people of a report."""

from collections.abc import Iterable

from cdp_platform.reports.values import Named
from cdp_platform.warehouse.base import Session

_PROFILES = "marts.profiles"


def name_people(session: Session, person_ids: Iterable[str]) -> dict[str, Named]:
    """Name each person by the profile; by the id where there is no profile. Keeps the order of the ids."""
    wanted = list(dict.fromkeys(person_ids))
    names: dict[str, str] = {}
    if wanted and {"first_name", "last_name"} <= session.columns(_PROFILES).keys():
        marks = ", ".join("?" * len(wanted))
        found = session.rows(
            f"select person_id, first_name, last_name from {_PROFILES} where person_id in ({marks})", wanted
        )
        names = {
            row["person_id"]: " ".join(part for part in (row["first_name"], row["last_name"]) if part) for row in found
        }
    return {person_id: Named(person_id=person_id, name=names.get(person_id) or person_id) for person_id in wanted}
