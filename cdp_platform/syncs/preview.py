"""What a plan is about to change, field by field, for people: personal values masked."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Operation
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.privacy.masking import masked
from cdp_platform.syncs.plan_files import intact_plan
from cdp_platform.warehouse.base import Row, Warehouse


@dataclass(frozen=True, kw_only=True)
class Change:
    """One field of one row. `old` is empty for a new record, `new` is empty where the field is cleared."""

    key: str
    operation: Operation
    field: str
    old: str
    new: str


def preview(
    home: Home, warehouse: Warehouse, spec: SyncSpec, plan: Plan, *, rows: int, is_masked: bool = True
) -> list[Change]:
    """List the changes of the first rows of each operation, at most `rows` of each, in order of their keys.

    Records that get another match value come before others.
    """
    if not plan.to_send:
        return []
    path = intact_plan(home, plan)
    with warehouse.session(f"preview {plan.sync}") as session:
        planned = session.parquet(path)
        found = session.rows(
            f"""select cast("key" as varchar) as "key", operation, payload, previous, changed, former_match_value
            from {planned}
            qualify row_number() over (partition by operation order by former_match_value is null, "key") <= ?
            order by operation, "key" """,
            [rows],
        )
    personal = frozenset(entry.field for entry in spec.mapping if entry.personal and is_masked)
    return [change for row in found for change in _changes(row, personal, spec.match_key.field)]


def _changes(row: Row, personal: frozenset[str], match_field: str) -> Iterator[Change]:
    payload: Mapping[str, Any] = json.loads(row["payload"])
    previous: Mapping[str, Any] = json.loads(row["previous"] or "{}")
    changed = payload if row["changed"] is None else row["changed"]
    for name in changed:
        old, new = previous.get(name), payload.get(name)
        if name == match_field and row["former_match_value"] is not None:
            old = row["former_match_value"]
        if old is None and new is None:
            continue
        show = _masked if name in personal else _plain
        yield Change(key=row["key"], operation=Operation(row["operation"]), field=name, old=show(old), new=show(new))


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _masked(value: Any) -> str:
    return masked(_plain(value))
