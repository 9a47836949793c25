"""How near the engine comes to a vendor's limit, against a server of our own that takes 200 ms for each answer.

usage: ceiling.py hubspot|salesforce WORKDIR [REQUESTS]

hubspot: batch upserts of 100 contacts at 190 requests in any 10 seconds; one more is answered with 429. The share is
that of requests that arrived after the first window, of the 19 a second that the limit allows.
salesforce: collections of 200 contacts, 25 requests at once; one more is answered with 403. The share is that of
requests between the first and the last arrival, of 25 at once for 200 ms each.

The server is a process of its own. It keeps nothing: what is measured is pace, not truth.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import requests

from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.registry import destination_of
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import Connection, FieldMapping, Mode, SyncSpec
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.send import send_plan
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

LATENCY_SECONDS = 0.2
WINDOW_REQUESTS, WINDOW_SECONDS = 190, 10.0
AT_ONCE = 25
VENDORS = {
    "hubspot": {
        "object": "contacts",
        "fields": ("cdp_person_id", "email", "firstname"),
        "rows": 100,
        "options": {},
        "requests": 950,
    },
    "salesforce": {
        "object": "Contact",
        "fields": ("CDP_Person_Id__c", "Email", "LastName"),
        "rows": 200,
        "options": {"requests_at_once": str(AT_ONCE)},
        "requests": 2_000,
    },
}


class Vendor(BaseHTTPRequestHandler):
    """Answers as a vendor does who is never busy, and counts."""

    protocol_version = "HTTP/1.1"
    # Headers and body in one piece; else the body waits for the client's delayed ACK, 40 ms.
    disable_nagle_algorithm = True
    wbufsize = -1
    lock: ClassVar[threading.Lock] = threading.Lock()
    arrivals: ClassVar[list[float]] = []
    window: ClassVar[deque[float]] = deque()
    refused: ClassVar[int] = 0
    at_once: ClassVar[int] = 0
    most_at_once: ClassVar[int] = 0
    is_hubspot: ClassVar[bool] = True

    def do_GET(self) -> None:
        if self.path == "/counts":
            told = {"arrivals": self.arrivals, "refused": self.refused, "most_at_once": self.most_at_once}
            return self._answer(200, told)
        return self._paced()

    def do_POST(self) -> None:
        self._paced()

    def do_PATCH(self) -> None:
        self.do_POST()

    def _paced(self) -> None:
        now = time.monotonic()
        size = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(size)) if size else {}
        with self.lock:
            Vendor.at_once += 1
            Vendor.most_at_once = max(self.most_at_once, self.at_once)
            is_allowed = self._may_pass(now)
            Vendor.refused += not is_allowed
            if is_allowed and body:
                self.arrivals.append(now)
        if is_allowed:
            status, told = 200, _hubspot(self.path, body) if self.is_hubspot else _salesforce(self.path, body)
        else:
            status, told = (429, {"status": "error"}) if self.is_hubspot else (403, _TOO_MANY)
        content = json.dumps(told).encode()
        time.sleep(max(0.0, now + LATENCY_SECONDS - time.monotonic()))
        with self.lock:
            Vendor.at_once -= 1
        self._send(status, content)

    def _may_pass(self, now: float) -> bool:
        if not self.is_hubspot:
            return self.at_once <= AT_ONCE
        while self.window and self.window[0] <= now - WINDOW_SECONDS:
            self.window.popleft()
        if len(self.window) >= WINDOW_REQUESTS:
            return False
        self.window.append(now)
        return True

    def _answer(self, status: int, body: Any) -> None:
        self._send(status, json.dumps(body).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if self.is_hubspot:
            self.send_header("X-HubSpot-RateLimit-Interval-Milliseconds", str(int(WINDOW_SECONDS * 1000)))
            self.send_header("X-HubSpot-RateLimit-Remaining", str(WINDOW_REQUESTS - len(self.window)))
        else:
            self.send_header("Sforce-Limit-Info", f"api-usage={len(self.arrivals)}/1000000")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        return None


_TOO_MANY = [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "ConcurrentRequests Limit exceeded."}]


def _hubspot(path: str, body: Any) -> Any:
    if path.startswith("/account-info"):
        return {"portalId": 1}
    if path.startswith("/crm/v3/properties"):
        names = VENDORS["hubspot"]["fields"]
        return {"results": [{"name": n, "type": "string", "hasUniqueValue": n == "cdp_person_id"} for n in names]}
    results = [{"id": one["id"], "objectWriteTraceId": one["objectWriteTraceId"]} for one in body["inputs"]]
    return {"status": "COMPLETE", "results": results}


def _salesforce(path: str, body: Any) -> Any:
    if "/query" in path:
        return {"done": True, "records": [{"Id": "00D000000000001AAA"}]}
    if path.endswith("/describe"):
        told = {"type": "string", "length": 80, "createable": True, "updateable": True}
        key = {"externalId": True, "unique": True}
        names = VENDORS["salesforce"]["fields"]
        return {"fields": [{"name": n, **told, **(key if n == names[0] else {})} for n in names]}
    ids = (f"003{record['CDP_Person_Id__c'][2:]:0>12}" for record in body["records"])
    return [{"id": name, "success": True, "created": True, "errors": []} for name in ids]


def serve(vendor: str) -> None:
    """Serve until killed; print the port."""
    Vendor.is_hubspot = vendor == "hubspot"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    server.request_queue_size = 64
    print(server.server_address[1], flush=True)
    server.serve_forever()


def drive(vendor: str, root: Path, request_count: int, url: str) -> tuple[float, float]:
    """Plan and send so many full requests; return the seconds of the send, and those of the processor."""
    told = VENDORS[vendor]
    home = Home(root=root)
    warehouse = DuckDbWarehouse(home.warehouse)
    count = request_count * told["rows"]
    keys = [f"p-{number:09}" for number in range(count)]
    people = pa.table(
        {"k": keys, "e": [f"{key}@example.com" for key in keys], "n": [f"Lindqvist {key}" for key in keys]}
    )
    with warehouse.session("people") as session:
        session.execute("create schema activation")
        session.register("incoming", people)
        session.execute("create table activation.people as select * from incoming")
    connection = Connection(name=vendor, vendor=vendor, base_url=url, options=told["options"])
    spec = SyncSpec(
        name="ceiling",
        source_model="people",
        relation="activation.people",
        primary_key="k",
        connection=connection,
        object=told["object"],
        mode=Mode.UPSERT,
        mapping=tuple(
            FieldMapping(column=column, field=field, match_key=column == "k")
            for column, field in zip("ken", told["fields"], strict=True)
        ),
    )
    destination = destination_of(connection)
    if vendor == "salesforce":
        destination._bulk_from_rows = count + 1
    journal = Journal(home)
    switch(journal, spec.name, is_enabled=True)
    engine = Engine(home=home, warehouse=warehouse, journal=journal, destination=destination, open_session=open_session)
    plan = make_plan(engine, spec, run_id="one")
    began_at, cpu_before = time.monotonic(), time.process_time()
    record = send_plan(engine, spec, plan, run_id="one")
    if record.counts.delivered != count:
        raise SystemExit(f"not all was delivered: {record.counts}")
    return time.monotonic() - began_at, time.process_time() - cpu_before


def share_of_ceiling(vendor: str, arrivals: list[float]) -> float:
    """The share of the vendor's ceiling that the arrivals reached."""
    if vendor == "hubspot":
        late = arrivals[WINDOW_REQUESTS:]
        seconds = late[-1] - arrivals[WINDOW_REQUESTS - 1]
        return len(late) / seconds / (WINDOW_REQUESTS / WINDOW_SECONDS)
    return (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) / (AT_ONCE / LATENCY_SECONDS)


def main() -> None:
    """Measure one vendor and print a line of figures."""
    vendor, root = sys.argv[1], Path(sys.argv[2])
    request_count = int(sys.argv[3]) if len(sys.argv) > 3 else VENDORS[vendor]["requests"]
    server = subprocess.Popen([sys.executable, __file__, "serve", vendor], stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline() if server.stdout else 0)}"
        seconds, cpu_seconds = drive(vendor, root / f"{vendor}-{os.getpid()}", request_count, url)
        counts = requests.get(f"{url}/counts", timeout=10).json()
    finally:
        server.kill()
        server.wait()
    arrived = len(counts["arrivals"])
    print(
        f"{vendor}: {share_of_ceiling(vendor, counts['arrivals']):.1%} of the ceiling,"
        f" {counts['refused'] / (arrived + counts['refused']):.2%} refused, {arrived} requests, {seconds:.1f} s,"
        f" {counts['most_at_once']} at once at most, {cpu_seconds:.1f} CPU s"
    )


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        main()
