"""A vendor that takes events and keeps a log of each one it processed: it never looks whether it had one before.

with EventLog() as log:
    log.trouble = lambda write, rows: Trouble(reply=Reply(status=503), is_processed=True) if write == 2 else None
    ...
    assert log.processed.count("e-0007") == 1

`/events` answers at once, `/jobs` takes the request as a job. Rows that carry a known idempotency key are answered as
before and not processed again. A request with a poisoned event is refused, a bad event is refused alone.
"""

import json
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from cdp_platform.testing.fault_server import Reply
from cdp_platform_tests.faults.event_scenario import BAD, POISON
from cdp_platform_tests.faults.gateway import Misbehaving, Trouble


class EventLog:
    """Listens on a free port of 127.0.0.1 while used as a context; what it knows outlives the processes that ask."""

    def __init__(self) -> None:
        self.processed: list[str] = []
        """Ids of the events, each time that one was processed."""
        self.jobs: dict[str, list[dict[str, Any]]] = {}
        """Results by job."""
        self.trouble: Callable[[int, int], Trouble | None] = lambda write, rows: None
        """What is to happen to a write, by its number from 1 among those without poison, and its rows."""
        self.polls_while_running = 1
        """How often a job is still running when it is asked for."""
        self.write_count = 0
        self._arrived = threading.Condition()
        self._polls: dict[str, int] = {}
        self._by_key: dict[str, str] = {}
        self._lock = threading.Lock()
        log = self

        class Handler(_Handler):
            vendor = log

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for_writes(self, number: int) -> None:
        """Wait until this many writes have been answered."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.write_count >= number, timeout=60), "the writes never came"

    def write(self, path: str, rows: list[dict[str, Any]]) -> Reply:
        """Process a write, into the trouble that was ordered for it."""
        with self._lock:
            if any(row["fields"].get("kind") == POISON for row in rows):
                return Reply(status=400, body={"category": "VALIDATION_ERROR"})
            self.write_count += 1
            trouble = self.trouble(self.write_count, len(rows)) or Trouble()
            if trouble.reply and not trouble.is_processed:
                return trouble.reply
            results = [self._process(row) for row in rows]
            if path == "/jobs":
                name = f"job-{len(self.jobs) + 1}"
                self.jobs[name] = results
                honest = Reply(status=202, body={"job": name})
            else:
                body: Any = {"results": results}
                honest = Reply(body=trouble.change(body) if trouble.change else body)
            return trouble.reply or honest

    def tell(self) -> None:
        """Let those who wait for writes look again."""
        with self._arrived:
            self._arrived.notify_all()

    def poll(self, job: str) -> Reply:
        """Say that a job runs, then what became of its rows."""
        with self._lock:
            self._polls[job] = self._polls.get(job, 0) + 1
            if self._polls[job] <= self.polls_while_running:
                return Reply(body={"state": "running"})
            return Reply(body={"state": "done", "results": self.jobs[job]})

    def _process(self, row: dict[str, Any]) -> dict[str, Any]:
        key = row.get("key")
        if row["fields"].get("kind") == BAD:
            return {"ordinal": row["ordinal"], "code": "invalid_value"}
        if key not in self._by_key:
            self.processed.append(row["id"])
            if key is None:
                return {"ordinal": row["ordinal"], "id": f"log-{len(self.processed)}"}
            self._by_key[key] = f"log-{len(self.processed)}"
        return {"ordinal": row["ordinal"], "id": self._by_key[key]}


class _Handler(Misbehaving):
    vendor: EventLog

    def do_GET(self) -> None:  # noqa: N802 - the name is the library's
        if self.path.startswith("/jobs/"):
            self.reply(self.vendor.poll(self.path.rpartition("/")[2]))
        elif self.path == "/account":
            self.reply(Reply(body={"account_id": "events-1"}))
        else:
            self.reply(Reply(status=404))

    def do_POST(self) -> None:  # noqa: N802
        content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.reply(self.vendor.write(self.path, json.loads(content)["rows"]))
        self.vendor.tell()
