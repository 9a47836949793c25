"""What a plan is about to change, field by field, for people: personal values masked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Operation
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.privacy.masking import masked
from cdp_platform.syncs.plan_files import PlannedRow, plan_path, read_batches

_ROWS_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Change:
    """One field of one row. `old` is empty for a new record, `new` is empty where the field is cleared."""

    key: str
    operation: Operation
    field: str
    old: str
    new: str


def preview(home: Home, spec: SyncSpec, plan: Plan, *, rows: int) -> list[Change]:
    """List the changes of the first rows of each operation, at most `rows` of each."""
    shown: dict[Operation, int] = {}
    changes: list[Change] = []
    for row in _rows(home, plan):
        shown[row.operation] = shown.get(row.operation, 0) + 1
        if shown[row.operation] <= rows:
            changes.extend(_changes(row, _personal(spec)))
        elif all(shown.get(Operation(name), 0) > rows for name, count in plan.operations.items() if count > rows):
            break
    return changes


def _rows(home: Home, plan: Plan) -> Iterator[PlannedRow]:
    for batch in read_batches(plan_path(home, plan.sync, plan.digest), _ROWS_AT_ONCE):
        yield from batch


def _personal(spec: SyncSpec) -> frozenset[str]:
    return frozenset(entry.field for entry in spec.mapping if entry.personal)


def _changes(row: PlannedRow, personal: frozenset[str]) -> Iterator[Change]:
    for name in row.changed:
        old = (row.previous or {}).get(name)
        new = row.payload.get(name)
        if old is None and new is None:
            continue
        show = _masked if name in personal else _plain
        yield Change(key=row.key, operation=row.operation, field=name, old=show(old), new=show(new))


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _masked(value: Any) -> str:
    return masked(_plain(value))
