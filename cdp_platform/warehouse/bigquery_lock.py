"""Who is at work in BigQuery, which has no locks: a table that only one can make is the lock.

It expires by itself where its holder was killed, and is held on to by a thread while the holder lives. So who waits for
a killed process waits until the table has expired. The lock keeps the platform's processes from undoing each other's
work; what must be right even if it failed, which is the ledger, is right by its version.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from google.api_core.exceptions import Conflict, NotFound
from google.api_core.retry import Retry
from google.cloud import bigquery

from cdp_platform.errors import WarehouseLocked
from cdp_platform.warehouse.bigquery_errors import Failures, translated

_WAIT_STEP_SECONDS = 0.5
_SCHEMA = [bigquery.SchemaField("nothing", "INT64")]


@contextmanager
def held(
    client: bigquery.Client,
    table: str,
    purpose: str,
    *,
    wait_seconds: float,
    lock_seconds: float,
    retry: Retry,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold the lock `table` (project.dataset.table). Raises WarehouseLocked, naming the holder, after the wait."""
    deadline = clock() + wait_seconds
    with translated(purpose):
        while (lock := _made(client, table, purpose, lock_seconds, retry)) is None:
            if clock() >= deadline:
                raise _locked(_holder(client, table, retry), wait_seconds)
            sleep(min(_WAIT_STEP_SECONDS, wait_seconds))
    is_done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(client, lock, lock_seconds, retry, is_done), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        is_done.set()
        keeper.join()
        # One that cannot be given back expires.
        with suppress(*Failures):
            client.delete_table(table, retry=retry, not_found_ok=True)


def _made(client: bigquery.Client, name: str, purpose: str, seconds: float, retry: Retry) -> bigquery.Table | None:
    table = bigquery.Table(name, schema=_SCHEMA)
    table.description = f"process {os.getpid()} ({purpose})"
    table.expires = _from_now(seconds)
    try:
        return client.create_table(table, retry=retry)
    except Conflict:
        return None


def _keep(
    client: bigquery.Client, lock: bigquery.Table, seconds: float, retry: Retry, is_done: threading.Event
) -> None:
    while not is_done.wait(seconds / 3):
        lock.expires = _from_now(seconds)
        with suppress(*Failures):
            lock = client.update_table(lock, ["expires"], retry=retry)


def _from_now(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def _holder(client: bigquery.Client, table: str, retry: Retry) -> str:
    try:
        return str(client.get_table(table, retry=retry).description or "a process that did not leave its name")
    except NotFound:
        return "a process that has just ended"


def _locked(holder: str, wait_seconds: float) -> WarehouseLocked:
    return WarehouseLocked(
        f"the BigQuery warehouse is held by {holder}; waited {wait_seconds:g} s.",
        remedy="Close that program, or wait for it, and run this again.",
        holder=holder,
    )
