"""The organisation's state: one SQLite file of records, each a JSON document, and the day's count of requests."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cdp_platform.sandbox.zoho.goods import first_id, seeded_customers, seeded_items, seeded_orders

ID_OF: Final = {"items": "item_id", "contacts": "contact_id", "salesorders": "salesorder_id"}
"""The name of a record's id, by module."""
_SCHEMA: Final = """
create table if not exists organisation (key text primary key, value text not null) without rowid;
create table if not exists records (
    id integer primary key autoincrement, module text not null, document text not null, modified_at text not null);
create index if not exists records_by_module on records (module, modified_at);
create table if not exists requests (day text primary key, count integer not null) without rowid;
"""


class ZohoStore:
    """One connection behind one lock; creates and seeds the file when it is new."""

    def __init__(self, path: Path, *, seed: int, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._now = now
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._connection.executescript(f"pragma journal_mode = wal; pragma synchronous = normal; {_SCHEMA}")
        with self._lock:
            self._connection.execute("begin immediate")
            if not self._connection.execute("select 1 from organisation").fetchall():
                self._fill(seed)
            self._connection.execute("commit")

    @property
    def organisation_id(self) -> str:
        """The organisation's id, which every request has to name."""
        with self._lock:
            return str(self._connection.execute("select value from organisation where key = 'id'").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def timestamp(self) -> str:
        """The present time as the vendor writes it."""
        return self._now().strftime("%Y-%m-%dT%H:%M:%S+0000")

    def get(self, module: str, record_id: str) -> dict[str, Any] | None:
        """Return a record; None where there is none."""
        if not (record_id.isascii() and record_id.isdigit() and len(record_id) < 19):
            return None
        with self._lock:
            sql = "select document from records where module = ? and id = ?"
            found = self._connection.execute(sql, (module, int(record_id))).fetchone()
        return json.loads(found[0]) if found else None

    def find(
        self, module: str, where: str = "true", values: Iterable[Any] = (), *, order: str = "id", page: str = ""
    ) -> list[dict[str, Any]]:
        """Return the records of a module under a condition over `document`, in an order."""
        sql = f"select document from records where module = ? and {where} order by {order} {page}"
        with self._lock:
            return [json.loads(text) for (text,) in self._connection.execute(sql, (module, *values)).fetchall()]

    def add(self, module: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a new record and return it with its id and times."""
        with self._lock:
            at = str(values.get("last_modified_time") or self.timestamp())
            sql = "insert into records (module, document, modified_at) values (?, '{}', ?) returning id"
            record_id = self._connection.execute(sql, (module, at)).fetchone()[0]
            told = {ID_OF[module]: str(record_id), "status": "active", "created_time": at, "last_modified_time": at}
            document = {**told, **values}
            sql = "update records set document = ? where id = ?"
            self._connection.execute(sql, (json.dumps(document), record_id))
        return document

    def change(self, module: str, record_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Change fields of a record that is there, and return it."""
        with self._lock:
            document = {**(self.get(module, record_id) or {}), **values, "last_modified_time": self.timestamp()}
            sql = "update records set document = ?, modified_at = ? where id = ?"
            self._connection.execute(sql, (json.dumps(document), document["last_modified_time"], int(record_id)))
        return document

    def delete(self, record_id: str) -> None:
        """Delete a record for good."""
        with self._lock:
            self._connection.execute("delete from records where id = ?", (int(record_id),))

    def requests_on(self, day: str, *, counted: bool) -> int:
        """Return how many requests were let in on a day of the real calendar, this one included if it is `counted`."""
        with self._lock:
            sql = "insert into requests values (?, ?) on conflict (day) do update set count = count + excluded.count"
            self._connection.execute(sql, (day, int(counted)))
            return int(self._connection.execute("select count from requests where day = ?", (day,)).fetchone()[0])

    def _fill(self, seed: int) -> None:
        organisation = str(10_234_695 + seed)
        self._connection.execute("insert into organisation values ('id', ?)", (organisation,))
        self._connection.execute("insert into sqlite_sequence values ('records', ?)", (first_id() + seed,))
        items = [self.add("items", item) for item in seeded_items(seed)]
        customers = [self.add("contacts", customer) for customer in seeded_customers()]
        for order in seeded_orders(seed, items, customers):
            self.add("salesorders", order)
