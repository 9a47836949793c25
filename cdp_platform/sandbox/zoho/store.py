"""The organisation's state: one SQLite file of records, each a JSON document, and the day's count of requests."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cdp_platform.sandbox.goods import GoodsFile
from cdp_platform.sandbox.vendor import Day
from cdp_platform.sandbox.zoho.goods import (
    STOCK_BY_DAY,
    first_id,
    replayed_items,
    seeded_customers,
    seeded_items,
    seeded_orders,
)

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

    def __init__(
        self,
        path: Path,
        *,
        seed: int,
        day: Day = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._now = now
        self._day = day
        self._seed = seed
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._connection.executescript(f"pragma journal_mode = wal; pragma synchronous = normal; {_SCHEMA}")
        with self._lock:
            self._connection.execute("begin immediate")
            if not self._connection.execute("select 1 from organisation").fetchall():
                self._fill(seed)
            self._connection.execute("commit")
        self._goods = GoodsFile(path, self._take, taken=self._value("goods"))

    @property
    def organisation_id(self) -> str:
        """The organisation's id, which every request has to name."""
        return str(self._value("id"))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def timestamp(self) -> str:
        """The present time as the vendor writes it."""
        return self._now().strftime("%Y-%m-%dT%H:%M:%S+0000")

    def get(self, module: str, record_id: str) -> dict[str, Any] | None:
        """Return a record; None where there is none."""
        document = self._document(module, record_id)
        return self._shown(document) if document and self._is_known(document) else None

    def find(
        self, module: str, where: str = "true", values: Iterable[Any] = (), *, order: str = "id", page: str = ""
    ) -> list[dict[str, Any]]:
        """Return the records of a module under a condition over `document`, in an order."""
        sql = (
            "select document from records where module = ? and coalesce(json_extract(document, '$.date') <= ?, true)"
            f" and {where} order by {order} {page}"
        )
        with self._lock:
            self._goods.look()
            rows = self._connection.execute(sql, (module, self._day(), *values)).fetchall()
        return [self._shown(json.loads(text)) for (text,) in rows]

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
            document = {**(self._document(module, record_id) or {}), **values, "last_modified_time": self.timestamp()}
            sql = "update records set document = ?, modified_at = ? where id = ?"
            self._connection.execute(sql, (json.dumps(document), document["last_modified_time"], int(record_id)))
        return self._shown(document)

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

    def _take(self, goods: Mapping[str, Any]) -> None:
        """Have the goods of a replay in place of those that were made up, and orders of them."""
        with self._lock, self._connection:
            self._connection.execute("begin immediate")
            self._connection.execute("delete from records where module in ('items', 'salesorders')")
            items = [self.add("items", item) for item in replayed_items(goods["items"])]
            sql = "select document from records where module = 'contacts' order by id limit 8"
            customers = [json.loads(text) for (text,) in self._connection.execute(sql).fetchall()]
            for order in seeded_orders(self._seed, items, customers):
                self.add("salesorders", order)
            self._connection.execute("replace into organisation values ('goods', ?)", (goods["stamp"],))

    def _value(self, key: str) -> str | None:
        with self._lock:
            found = self._connection.execute("select value from organisation where key = ?", (key,)).fetchone()
        return found[0] if found else None

    def _document(self, module: str, record_id: str) -> dict[str, Any] | None:
        if not (record_id.isascii() and record_id.isdigit() and len(record_id) < 19):
            return None
        with self._lock:
            sql = "select document from records where module = ? and id = ?"
            found = self._connection.execute(sql, (module, int(record_id))).fetchone()
        return json.loads(found[0]) if found else None

    def _is_known(self, document: Mapping[str, Any]) -> bool:
        """Whether a record is there on the day that is replayed: orders of later days are not made yet."""
        return "date" not in document or document["date"] <= (self._day() or document["date"])

    def _shown(self, document: dict[str, Any]) -> dict[str, Any]:
        """A record without what is to come: an item has the stock of the day that is replayed."""
        stock: dict[str, int] = document.pop(STOCK_BY_DAY, {})
        if past := [day for day in stock if day <= (self._day() or day)]:
            document["stock_on_hand"] = document["available_stock"] = stock[max(past)]
        return document
