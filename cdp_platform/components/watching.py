"""What a sensor may watch: files, a table of the warehouse or of a SQLite file, an asset made elsewhere.

Each is told by a short mark that changes when it does. The sensor keeps the newest mark as its cursor, and asks for a
run once for each change.
"""

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import dagster as dg
from pydantic import Field

from cdp_platform.components.resources import Platform
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.warehouse.base import reading_of
from cdp_platform.warehouse.literals import quoted

_CURSOR_VERSION: Final = 1


class WatchRule(dg.Model, dg.Resolvable):
    """One thing that is watched, and what runs when it has changed."""

    files: str | None = Field(default=None, description="A pattern of files under the project, as data/orders/*.csv.")
    sqlite: str | None = Field(default=None, description="A SQLite file under the project; with `table`.")
    table: str | None = Field(default=None, description="A table: of the SQLite file, else of the warehouse.")
    column: str | None = Field(default=None, description="A column of `table` that grows when rows change.")
    asset: str | None = Field(default=None, description="An asset that is made elsewhere, as raw/shop/orders.")
    runs: list[str] = Field(min_length=1, description="The assets to materialize; of daily ones the newest day.")
    every_seconds: int = Field(default=30, ge=5, description="Seconds between two looks.")
    environments: list[str] | None = Field(default=None, description="Where it is watched; left out: everywhere.")

    def check(self, name: str) -> None:
        """Raise ConfigError unless exactly one thing is watched."""
        told = [word for word in ("files", "table", "asset") if getattr(self, word)]
        if len(told) != 1 or (self.sqlite and not self.table) or (self.column and not self.table):
            raise ConfigError(
                f"the watch {name!r} names {', '.join(told) or 'nothing'} to look at.",
                remedy="Name one of `files`, `table` (with `sqlite` for a file) or `asset`.",
                field=f"watch.{name}",
            )


def watch_sensor(name: str, rule: WatchRule, project_root: Path) -> dg.SensorDefinition:
    """Make the sensor of one rule; it is stopped until somebody starts it."""
    keys = [dg.AssetKey.from_user_string(key) for key in rule.runs]

    @dg.sensor(
        name=name,
        target=dg.AssetSelection.assets(*keys),
        minimum_interval_seconds=rule.every_seconds,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=f"Asks for {', '.join(rule.runs)} when {_thing(rule)} has changed.",
    )
    def watch(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult:
        mark = _mark(context, platform, rule, project_root)
        known = _read_cursor(context.cursor)
        count = known["count"] + 1 if known else 0
        cursor = json.dumps({"version": _CURSOR_VERSION, "mark": mark, "count": count})
        if known is None:
            reason = "begins" if context.cursor is None else "begins anew: its cursor is of another version"
            return dg.SensorResult(
                skip_reason=f"The watch {reason}; what is there now asks for nothing.", cursor=cursor
            )
        if mark == known["mark"]:
            return dg.SensorResult(skip_reason=f"{_thing(rule)} has not changed.", cursor=context.cursor)
        request = dg.RunRequest(
            run_key=f"{name}-{count}-{mark}", asset_selection=keys, partition_key=_partition(context, keys)
        )
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return watch


def _thing(rule: WatchRule) -> str:
    return str(rule.files or rule.asset or (f"{rule.sqlite} {rule.table}" if rule.sqlite else rule.table))


def _read_cursor(cursor: str | None) -> dict[str, Any] | None:
    """The cursor as it was kept; None for none, or one that another version wrote."""
    try:
        told = json.loads(cursor or "null")
    except ValueError:
        return None
    is_known = isinstance(told, dict) and told.get("version") == _CURSOR_VERSION and isinstance(told.get("count"), int)
    return told if is_known else None


def _mark(context: dg.SensorEvaluationContext, platform: Platform, rule: WatchRule, root: Path) -> str:
    if rule.files:
        return _files_mark(root, rule.files)
    if rule.asset:
        event = context.instance.get_latest_materialization_event(dg.AssetKey.from_user_string(rule.asset))
        return str(event.timestamp) if event else "never"
    expression = f"count(*) as rows{f', max({quoted(rule.column)}) as newest' if rule.column else ''}"
    relation = ".".join(quoted(part) for part in (rule.table or "").split("."))
    sql = f"select {expression} from {relation}"
    if rule.sqlite:
        return _hashed(_sqlite_row(root / rule.sqlite, sql))
    with reading_of(platform.warehouse, "watching a table") as session:
        return _hashed(tuple(session.rows(sql)[0].values()))


def _files_mark(root: Path, pattern: str) -> str:
    folder = root / Path(pattern).parent
    if not any(sign in str(folder) for sign in "*?[") and not folder.is_dir():
        raise CdpError(f"there is no folder {Path(pattern).parent} to watch.", remedy="Make it, or mend `files`.")
    found = [
        (str(path.relative_to(root)), (stat := path.stat()).st_mtime_ns, stat.st_size) for path in root.glob(pattern)
    ]
    return _hashed(sorted(found))


def _sqlite_row(file: Path, sql: str) -> Any:
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=1)) as connection:
            return connection.execute(sql).fetchone()
    except sqlite3.Error as error:
        raise CdpError(
            f"the SQLite file {file.name} cannot be watched ({error}).", remedy="Check `sqlite`, `table` and `column`."
        ) from error


def _hashed(seen: Any) -> str:
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def _partition(context: dg.SensorEvaluationContext, keys: list[dg.AssetKey]) -> str | None:
    """The newest partition of the assets that have some."""
    repository = context.repository_def
    for key in keys if repository else ():
        partitions = repository.asset_graph.get(key).partitions_def if repository else None
        if partitions is not None:
            return partitions.get_last_partition_key()
    return None
