"""BigQuery's jobs: one for each statement or file, named before it is sent, labelled with whose it is.

A job that was named may be asked for again after a lost answer: it never runs twice. Rows are read page by page by
the plain interface. The storage interface would be quicker, and wants a grant and a package of its own; only rows that
changed are ever read.
"""

import random
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import pyarrow as pa
from google.api_core.retry import Retry
from google.cloud import bigquery
from google.cloud.bigquery.table import RowIterator

from cdp_platform.domain.costs import Cost
from cdp_platform.errors import GuardTripped
from cdp_platform.warehouse.bigquery_arrow import without_empty_lists
from cdp_platform.warehouse.bigquery_errors import Failures, explained, translated

_PAGE_ROWS = 20_480
_LABEL_LENGTH = 63
_ATTEMPTS = 5
_PREFIX = "cdp"
_SCRIPT = "begin transaction"
# A transaction that met another's writes has been taken back whole, and may be tried again.
_CONFLICT = re.compile(r"aborted due to concurrent|Could not serialize|jobBackendError|jobInternalError")


@dataclass
class Jobs:
    """The jobs of one session. `maximum_bytes` bounds what one statement may be billed for; None: nothing does."""

    client: bigquery.Client
    purpose: str
    retry: Retry
    """How long a request is repeated where the connection or the service fails."""
    maximum_bytes: int | None = None
    scan_limit: int | None = None
    """What all statements together may scan, in bytes; None: nothing bounds it."""
    foreseen: int = 0
    """What those that were asked for beforehand scan."""
    work: Mapping[str, str] = field(default_factory=dict)
    """What the process is at: asset, sync and run."""
    sleep: Callable[[float], None] = time.sleep
    done: list[bigquery.QueryJob] = field(default_factory=list)

    def run(self, sql: str) -> RowIterator:
        """Run a statement or script, and wait for it. Raises WarehouseError, GuardTripped for one above the limit."""
        self._hold_to_limit(sql)
        attempt = 0
        while True:
            attempt, name = attempt + 1, _new_name()
            try:
                return self._run(sql, name)
            except Failures as error:
                if attempt == _ATTEMPTS or not _CONFLICT.search(str(error)):
                    raise explained(error, self.purpose, name) from error
            self.sleep(random.uniform(0, 2**attempt))

    def scanned_bytes(self, sql: str) -> int:
        """Ask how many bytes a statement would read, without running it, for nothing. Raises WarehouseError."""
        config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False, labels=labels_of(self.purpose, self.work))
        with translated(self.purpose):
            job = self.client.query(sql, job_config=config, retry=self.retry, job_retry=None)
            return int(job.total_bytes_processed or 0)

    def _hold_to_limit(self, sql: str) -> None:
        if self.scan_limit is None or sql.startswith(_SCRIPT):
            return
        self.foreseen += self.scanned_bytes(sql)
        if self.foreseen > self.scan_limit:
            raise GuardTripped(
                f"{self.purpose} would scan {self.foreseen:,} bytes by its next statement; its limit is"
                f" {self.scan_limit:,}. That statement was not run.",
                remedy="Raise limits.scanned_bytes, map fewer columns, or cut the sync by a partition.",
                counts={"scanned_bytes": self.foreseen},
            )

    def batches(self, rows: RowIterator) -> Iterator[pa.RecordBatch]:
        """Read an answer page by page, in Arrow. Raises WarehouseError where a page is not to be had."""
        with translated(self.purpose, self._last()):
            yield from map(without_empty_lists, rows.to_arrow_iterable())

    def load(self, table: str, schema: Sequence[bigquery.SchemaField], files: Iterable[IO[bytes]]) -> None:
        """Make a table of Parquet files, each by a load job. Raises WarehouseError."""
        parquet = bigquery.ParquetOptions()
        parquet.enable_list_inference = True
        with translated(self.purpose):
            self.client.create_table(bigquery.Table(table, schema=schema), retry=self.retry)
            for file in files:
                config = bigquery.LoadJobConfig(
                    source_format=bigquery.SourceFormat.PARQUET,
                    schema=schema,
                    write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
                    labels=labels_of(self.purpose, self.work),
                )
                config.parquet_options = parquet
                job = self.client.load_table_from_file(file, table, rewind=True, job_id=_new_name(), job_config=config)
                job.result(retry=self.retry)

    def cost(self) -> Cost:
        """What the statements have cost, as far as BigQuery has told."""
        scanned = [int(job.total_bytes_processed) for job in self.done if job.total_bytes_processed is not None]
        billed = [int(job.total_bytes_billed) for job in self.done if job.total_bytes_billed is not None]
        return Cost(
            statements=len(self.done),
            last_statement_id=self.done[-1].job_id if self.done else None,
            bytes_scanned=sum(scanned) if scanned else None,
            bytes_billed=sum(billed) if billed else None,
        )

    def _run(self, sql: str, name: str) -> RowIterator:
        config = bigquery.QueryJobConfig(labels=labels_of(self.purpose, self.work))
        if self.maximum_bytes is not None:
            config.maximum_bytes_billed = self.maximum_bytes
        job = self.client.query(sql, job_id=name, job_config=config, retry=self.retry, job_retry=None)
        self.done.append(job)
        return job.result(page_size=_PAGE_ROWS, retry=self.retry, job_retry=None)

    def _last(self) -> str:
        return str(self.done[-1].job_id) if self.done else ""


def labels_of(purpose: str, work: Mapping[str, str]) -> dict[str, str]:
    """A job's labels: small letters, digits, `-` and `_`, 63 of them at most."""
    told = {"purpose": purpose, **work}
    kept = {name: re.sub(r"[^a-z0-9_-]", "_", value.lower())[:_LABEL_LENGTH] for name, value in told.items()}
    return {"application": "cdp", **kept}


def plain_rows(rows: RowIterator) -> list[dict[str, Any]]:
    """The rows of a small answer."""
    return [{name: None if value == [] else value for name, value in row.items()} for row in rows]


def _new_name() -> str:
    return f"{_PREFIX}-{uuid.uuid4()}"
