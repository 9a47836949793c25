"""A project of Google Cloud's with BigQuery as the warehouse; needs the extra `bigquery`, imported only when chosen.

Statements come in DuckDB's SQL and are translated; each is a job. Rows come page by page, in Arrow, and go in by load
jobs of Parquet files. What a transaction is here stands in `bigquery_block`, where temporary tables lie in
`bigquery_names`. Sessions work beside each other, without a lock: two runs of one sync are kept apart by the journal's
lease, and a transaction that meets another's writes is taken back by BigQuery and tried again. No account of the
vendor's was used for any of it: it ran on an emulator.
"""

import itertools
import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core.exceptions import NotFound
from google.api_core.retry import Retry
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY
from google.cloud.bigquery.table import RowIterator
from sqlglot import exp

from cdp_platform.domain.costs import Cost
from cdp_platform.domain.home import Secrets
from cdp_platform.errors import WarehouseError
from cdp_platform.warehouse.accounts import BigQueryAccount
from cdp_platform.warehouse.base import AtWork, Parameters, Row, at_nothing
from cdp_platform.warehouse.bigquery_arrow import parquet_files, plain_schema, table_schema
from cdp_platform.warehouse.bigquery_block import Block
from cdp_platform.warehouse.bigquery_connecting import connected, provide
from cdp_platform.warehouse.bigquery_dialect import BigQueryDialect, type_name
from cdp_platform.warehouse.bigquery_errors import Failures, translated
from cdp_platform.warehouse.bigquery_grants import missing_grants
from cdp_platform.warehouse.bigquery_jobs import Jobs, plain_rows
from cdp_platform.warehouse.bigquery_listing import with_listing
from cdp_platform.warehouse.bigquery_moments import Moments
from cdp_platform.warehouse.bigquery_names import TEMPORARY, Names, Resolved
from cdp_platform.warehouse.bigquery_sql import said, written
from cdp_platform.warehouse.literals import quoted
from cdp_platform.warehouse.parquet_rows import numbered

_THREADS = 8
_BATCH_ROWS = 20_480


class BigQuerySession:
    """A session: jobs under one label, and temporary tables under one prefix."""

    def __init__(self, jobs: Jobs, names: Names, made: set[str]) -> None:
        """Use `jobs` and `names`; `made` are statements `if not exists` that this process has run already."""
        self._jobs = jobs
        self._names = names
        self._made = made
        self._block: Block | None = None
        self._moments = Moments(jobs, names.temporary_dataset)
        self._numbers = itertools.count()
        self._files: dict[tuple[Path, int, int], str] = {}

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        self._answer(sql, parameters)

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        answer = self._answer(sql, parameters)
        with translated(self._jobs.purpose):
            return plain_rows(answer) if answer is not None else []

    def batches(self, sql: str, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        answer = self._answer(sql, parameters)
        if answer is not None:
            yield from self._jobs.batches(answer)

    def write_parquet(self, sql: str, path: Path) -> None:
        writer: pq.ParquetWriter | None = None
        try:
            for batch in self.batches(sql):
                writer = writer or pq.ParquetWriter(path, batch.schema, use_dictionary=False)
                writer.write_batch(batch, row_group_size=_BATCH_ROWS)
        finally:
            if writer is not None:
                writer.close()

    def register(self, name: str, table: pa.Table) -> None:
        self._load(name, table.to_batches(), table.schema)

    def parquet(self, path: Path) -> str:
        told = path.stat()
        known = (path, told.st_mtime_ns, told.st_size)
        if known not in self._files:
            name = f"parquet_{next(self._numbers)}"
            with numbered(path) as rows:
                self._load(name, rows, rows.schema)
            self._files[known] = name
        return quoted(self._files[known])

    def columns(self, relation: str) -> dict[str, str]:
        table = exp.to_table(".".join(quoted(part) for part in relation.split(".", 1)), dialect="duckdb")
        if table.db.lower() in ("", TEMPORARY) and table.name.lower() in self._names.views:
            answer = self._answer(f"select * from {quoted(table.name)} limit 0", ())
            fields = answer.schema if answer is not None else []
        else:
            with translated(self._jobs.purpose):
                try:
                    fields = self._jobs.client.get_table(self._names.full_name(table), retry=self._jobs.retry).schema
                except NotFound:
                    return {}
        return {one.name: type_name(one.field_type, one.mode, one.precision, one.scale) for one in fields}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._block = block = Block()
        self._moments.begin()
        try:
            yield
        finally:
            self._block = None
            self._names.forget_local()
        # What raises in the block has changed nothing: what was collected is not sent.
        if block.statements:
            self._jobs.run(block.script())
        for statement in block.afterwards:
            self._jobs.run(statement)

    def cost(self) -> Cost:
        """What this session's statements have cost so far."""
        return self._jobs.cost()

    def scanned_bytes(self, sql: str) -> int:
        """Ask how many bytes a query would read, without running it, for nothing. Raises WarehouseError."""
        return self._jobs.scanned_bytes(written(self._names.resolve(said(sql)).tree))

    def limit_scan(self, maximum_bytes: int) -> None:
        """Let later statements raise GuardTripped, before they are run, where together they would scan more.

        Each is asked for first. Scripts, which end transactions, are not: BigQuery cannot foresee one.
        """
        self._jobs.scan_limit = maximum_bytes

    def _answer(self, sql: str, parameters: Parameters) -> RowIterator | None:
        """Run a statement, or keep it for the end of the transaction; the answer of a query, None of all others."""
        tree = said(sql, parameters)
        if isinstance(tree, exp.Create) and tree.kind == "VIEW" and tree.find(exp.TemporaryProperty):
            self._names.define(tree.this.name, tree.expression)
            return None
        with translated(self._jobs.purpose):
            tree = with_listing(tree, self._jobs.client, self._names.temporary_dataset, self._jobs.retry)
        resolved = self._names.resolve(tree)
        if isinstance(tree, exp.Query):
            return self._query(resolved)
        if resolved.temporary is not None:
            self._make_temporary(resolved)
        elif isinstance(tree, (exp.Insert, exp.Update, exp.Delete, exp.Merge)):
            self._write(resolved)
        else:
            self._define(resolved)
        return None

    def _query(self, resolved: Resolved) -> RowIterator:
        if self._block is not None and resolved.reads & self._block.dirty:
            return self._jobs.run(self._block.asking(written(resolved.tree)))
        if self._block is not None:
            self._moments.fix(resolved.tree, resolved.reads)
        return self._jobs.run(written(resolved.tree))

    def _make_temporary(self, resolved: Resolved) -> None:
        tree, name, table = resolved.tree, resolved.temporary or "", resolved.target or ""
        tree.args["properties"].find(exp.TemporaryProperty).pop()
        tree.set("replace", False)
        if self._block is not None and resolved.reads & self._block.dirty:
            table = self._names.localised(tree, table)
            self._block.add(
                f"create temp table {written(tree)[len('CREATE TABLE ') :]}", writes=table, reads=frozenset()
            )
        else:
            if self._block is not None:
                self._moments.fix(tree, resolved.reads)
            self._names.made.append(table)
            self._jobs.run(written(tree))
        self._names.bind(name, table)

    def _write(self, resolved: Resolved) -> None:
        sql, target, block = written(resolved.tree), resolved.target or "", self._block
        is_ours = target in self._names.made and not (
            block and (resolved.reads | {target}) & (block.dirty | block.used)
        )
        if block is None or is_ours:
            self._jobs.run(sql)
        else:
            block.add(sql, writes=target, reads=resolved.reads)

    def _define(self, resolved: Resolved) -> None:
        """Make, change or drop what stays."""
        sql, block, is_drop = written(resolved.tree), self._block, isinstance(resolved.tree, exp.Drop)
        if is_drop:
            self._made.clear()
        if is_drop and block is not None and block.statements:
            block.afterwards.append(sql)
            return
        if block is not None and (resolved.reads | {resolved.target}) & block.dirty:
            raise WarehouseError(
                "a transaction on BigQuery cannot make a table of what it has written itself.",
                remedy="Report this: the statement belongs before the transaction.",
            )
        is_known = not is_drop and "IF NOT EXISTS" in sql
        if not (is_known and sql in self._made):
            self._jobs.run(sql)
        if is_known:
            self._made.add(sql)

    def _load(self, name: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
        table, plain = self._names.new_table(name), plain_schema(schema)
        self._names.made.append(table)
        self._jobs.load(table, table_schema(plain), parquet_files(batches, plain))
        self._names.bind(name, table)


class BigQueryWarehouse:
    """A project. `retry_seconds` bounds how long a failing request is repeated."""

    def __init__(
        self,
        account: BigQueryAccount,
        secrets_of: Secrets,
        at_work: AtWork = at_nothing,
        *,
        retry_seconds: float = 120.0,
    ) -> None:
        self.dialect = BigQueryDialect()
        self._account = account
        self._secrets = secrets_of
        self._at_work = at_work
        self._retry = DEFAULT_RETRY.with_timeout(retry_seconds)
        self._client: bigquery.Client | None = None
        self._made: set[str] = set()

    @contextmanager
    def session(self, purpose: str) -> Iterator[BigQuerySession]:
        client, account = self._opened(purpose), self._account
        names = Names(
            project=account.project,
            dataset=account.dataset,
            temporary_dataset=account.temporary_dataset,
            prefix=f"s{secrets.token_hex(6)}",
        )
        jobs = Jobs(client, purpose, self._retry, account.maximum_bytes_billed, work=self._at_work())
        try:
            yield BigQuerySession(jobs, names, self._made)
        except BaseException:
            # What was there may be what is missing.
            self._made.clear()
            raise
        finally:
            _drop(client, names.made, self._retry)

    def reading(self, purpose: str) -> AbstractContextManager[BigQuerySession]:
        """A session as any: it makes nothing before it is told to. Each statement reads from a moment of its own."""
        return self.session(purpose)

    @contextmanager
    def exclusive(self, purpose: str) -> Iterator[None]:
        """Nothing is to be kept out: a tool's statements stand beside ours."""
        yield

    def shred(self) -> None:
        """Nothing is left to do: BigQuery keeps deleted rows for the dataset's time travel (seven days, two at the
        least) and seven days more, and then they are gone. Copies in temporary tables live for a day at the most.
        """

    def missing_grants(self, relations: Sequence[str]) -> list[str]:
        """The statements that an administrator has to run before the platform can work and read `relations`.

        Raises WarehouseError where BigQuery cannot even be asked.
        """
        with translated("cdp doctor"):
            client = connected(self._account, self._secrets)
            email = getattr(client._credentials, "service_account_email", None)
            member = f"serviceAccount:{email}" if email else "user:YOU@EXAMPLE.COM"
            return missing_grants(client, self._account, relations, member, self._retry)

    def close(self) -> None:
        """Close the client's connections; another is made when there is a next session."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _opened(self, purpose: str) -> bigquery.Client:
        if self._client is None:
            with translated(purpose):
                client = connected(self._account, self._secrets)
                for name in (self._account.dataset, self._account.temporary_dataset):
                    provide(client, self._account, name, self._retry)
            self._client = client
        return self._client


def _drop(client: bigquery.Client, tables: list[str], retry: Retry) -> None:
    """Drop tables at once; one that cannot be dropped expires."""

    def drop(table: str) -> None:
        with suppress(*Failures):
            client.delete_table(table, retry=retry, not_found_ok=True)

    if tables:
        with ThreadPoolExecutor(max_workers=_THREADS) as pool:
            list(pool.map(drop, tables))
