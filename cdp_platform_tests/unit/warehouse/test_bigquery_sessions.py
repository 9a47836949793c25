"""Transactions, labels, limits and troubles of BigQuery, on a client that only listens."""

from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed: it was NOT tested")

from google.api_core.exceptions import BadRequest, Conflict, Forbidden, GoogleAPICallError, NotFound
from google.auth.exceptions import RefreshError
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY

from cdp_platform.errors import GuardTripped, WarehouseError
from cdp_platform.warehouse import bigquery_arrow
from cdp_platform.warehouse.accounts import ApplicationDefault, BigQueryAccount
from cdp_platform.warehouse.bigquery import BigQuerySession
from cdp_platform.warehouse.bigquery_arrow import parquet_files, plain_schema, table_schema
from cdp_platform.warehouse.bigquery_errors import explained
from cdp_platform.warehouse.bigquery_grants import missing_grants
from cdp_platform.warehouse.bigquery_jobs import Jobs, labels_of
from cdp_platform.warehouse.bigquery_names import Names

_NOW = datetime(2017, 12, 25, 8, 30, tzinfo=UTC)
_CANARY = "canary@example.com"


class _Job:
    """A job that has ended; `rows` is its answer."""

    total_bytes_processed = 1000
    total_bytes_billed = 2000

    def __init__(self, job_id: str, trouble: Exception | None, rows: list[Any] | None = None) -> None:
        self.job_id = job_id
        self._rows = rows or []
        self._trouble = trouble

    def result(self, **_: object) -> list[Any]:
        if self._trouble:
            raise self._trouble
        return self._rows


class _Client:
    """Listens to statements; fails as it is told to, once for each trouble. Everything but `seen` is a table."""

    def __init__(self, *troubles: GoogleAPICallError) -> None:
        self.said: list[str] = []
        self.ids: list[str] = []
        self.configs: list[bigquery.QueryJobConfig] = []
        self.dry: list[str] = []
        self._troubles = list(troubles)

    def get_table(self, name: str, **_: object) -> bigquery.Table:
        table = bigquery.Table(name)
        table._properties["type"] = "VIEW" if name.endswith(".seen") else "TABLE"
        return table

    def query(self, sql: str, *, job_config: bigquery.QueryJobConfig, job_id: str = "", **_: object) -> _Job:
        if job_config.dry_run:
            self.dry.append(sql)
            return _Job("", None)
        self.said.append(sql)
        self.ids.append(job_id)
        self.configs.append(job_config)
        rows = [{"now": _NOW}] if "CURRENT_TIMESTAMP" in sql else []
        return _Job(job_id, self._troubles.pop(0) if self._troubles else None, rows)


_AT = "FOR SYSTEM_TIME AS OF CAST('2017-12-25 08:30:00+00:00' AS TIMESTAMP)"


def _jobs(client: _Client, **changes: Any) -> Jobs:
    jobs = Jobs(cast("bigquery.Client", client), "plan crm_contacts", DEFAULT_RETRY, sleep=lambda seconds: None)
    for name, value in changes.items():
        setattr(jobs, name, value)
    return jobs


def _session(client: _Client) -> BigQuerySession:
    names = Names(project="acme", dataset="cdp", temporary_dataset="cdp_temp", prefix="s1")
    return BigQuerySession(_jobs(client), names, set())


def test_what_a_transaction_writes_is_one_script_at_its_end() -> None:
    session = _session(client := _Client())
    with session.transaction():
        session.execute("insert into cdp.kept values (1)")
        session.execute("update cdp.ledgers set version = version + 1 where ledger_id = 'x'")
        assert client.said == []
    [script] = client.said
    assert script == (
        "begin transaction;\n"
        "INSERT INTO `acme`.`cdp`.`kept` VALUES (1);\n"
        "UPDATE `acme`.`cdp`.`ledgers` AS `ledgers` SET `version` = `version` + 1 WHERE `ledger_id` = 'x';\n"
        "commit transaction"
    )


def test_a_transaction_that_raises_sends_nothing_that_it_would_have_written() -> None:
    session = _session(client := _Client())
    with suppress(ZeroDivisionError):
        _write_and_raise(session)
    session.execute("insert into cdp.kept values (2)")
    assert client.said == ["INSERT INTO `acme`.`cdp`.`kept` VALUES (2)"]


def _write_and_raise(session: BigQuerySession) -> None:
    with session.transaction():
        session.execute("insert into cdp.kept values (1)")
        raise ZeroDivisionError


def test_a_query_of_what_the_transaction_has_written_is_asked_in_a_script_that_does_not_commit() -> None:
    session = _session(client := _Client())
    with session.transaction():
        session.execute("insert into cdp.kept values (1)")
        session.execute("insert into cdp.kept values (2)")
        session.rows("select n from cdp.other")
        session.rows("select n from cdp.kept")
    now, plain, asking, script = client.said
    assert "CURRENT_TIMESTAMP" in now
    assert plain.endswith("FROM `acme`.`cdp`.`other` AS `other` " + _AT)
    assert asking.startswith("begin transaction;\nINSERT")
    assert asking.endswith("SELECT `n` FROM `acme`.`cdp`.`kept` AS `kept`")
    assert "commit" not in asking
    assert script.count("INSERT") == 2


def test_a_temporary_table_of_what_was_written_lives_in_the_script() -> None:
    session = _session(client := _Client())
    with session.transaction():
        session.execute("insert into cdp.kept values (1)")
        session.execute("create or replace temporary table seen as select n from cdp.kept")
        session.execute("insert into cdp.more select n from seen")
        session.rows("select count(*) as row_count from seen")
    asking, script = client.said
    assert "create temp table `s1_0_seen` AS SELECT" in script
    assert "FROM `s1_0_seen` AS `seen`" in script
    assert asking.index("create temp table") < asking.index("COUNT(*)")
    session.rows("select n from seen")
    assert client.said[-1].endswith("FROM `acme`.`cdp`.`seen` AS `seen`")


def test_a_statement_that_waits_means_the_temporary_table_that_there_was() -> None:
    session = _session(client := _Client())
    with session.transaction():
        session.execute("create or replace temporary table mine as select 1 as n")
        session.execute("insert into cdp.kept select n from mine")
        session.execute("create or replace temporary table mine as select 2 as n")
    first, second, written = client.said
    assert "s1_0_mine" in first
    assert "s1_1_mine" in second
    assert "s1_0_mine" in written


def test_tables_are_read_from_one_moment_and_views_and_what_is_the_sessions_own_as_they_are() -> None:
    session = _session(client := _Client())
    with session.transaction():
        session.execute("create or replace temporary table mine as select n from shop.people")
        session.rows("select n from mine")
        session.rows("select n from shop.seen")
        session.rows("select n from shop.people join mine on mine.n = people.n")
    now, made, own, view, both = client.said
    assert [_AT in said for said in (now, made, own, view, both)] == [False, True, False, False, True]
    assert both.count(_AT) == 1
    session.rows("select n from shop.people")
    assert _AT not in client.said[-1]


def test_what_a_transaction_drops_is_dropped_after_it() -> None:
    session = _session(client := _Client())
    with session.transaction():
        session.execute("insert into cdp.kept select n from cdp.before")
        session.execute("drop table cdp.before")
    assert [said.split(" ", 1)[0] for said in client.said] == ["INSERT", "DROP"]


def test_a_table_of_what_a_transaction_wrote_is_refused_before_anything_is_sent() -> None:
    session = _session(client := _Client())
    with pytest.raises(WarehouseError, match="before the transaction"):
        _write_and_make(session)
    assert client.said == []


def _write_and_make(session: BigQuerySession) -> None:
    with session.transaction():
        session.execute("insert into cdp.kept values (1)")
        session.execute("create table cdp.more as select n from cdp.kept")


def test_what_is_there_is_not_asked_for_twice_until_something_is_dropped() -> None:
    session = _session(client := _Client())
    for _ in range(2):
        session.execute("create table if not exists cdp.kept (n bigint)")
    assert len(client.said) == 1
    session.execute("drop table cdp.kept")
    session.execute("create table if not exists cdp.kept (n bigint)")
    assert len(client.said) == 3


def test_every_statement_is_a_named_job_with_the_labels_of_its_purpose() -> None:
    jobs = _jobs(client := _Client(), maximum_bytes=5_000)
    jobs.run("select 1")
    jobs.run("select 2")
    assert all(name.startswith("cdp-") for name in client.ids)
    assert len(set(client.ids)) == 2
    assert client.configs[0].labels == {"application": "cdp", "purpose": "plan_crm_contacts"}
    assert client.configs[0].maximum_bytes_billed == 5_000


@pytest.mark.parametrize("purpose", ["Plan: Kunden/Übersicht", "", "x" * 200, "同步 crm"])
def test_labels_keep_to_bigquerys_letters_and_length(purpose: str) -> None:
    value = labels_of(purpose, {})["purpose"]
    assert len(value) <= 63
    assert set(value) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")


def test_labels_name_asset_sync_and_run() -> None:
    jobs = _jobs(client := _Client(), work={"asset": "plans/crm_contacts", "sync": "crm_contacts", "run": "0B1C-9"})
    jobs.run("select 1")
    assert client.configs[0].labels == {
        "application": "cdp", "purpose": "plan_crm_contacts", "asset": "plans_crm_contacts", "sync": "crm_contacts",
        "run": "0b1c-9",
    }  # fmt: skip


def test_a_transaction_that_met_anothers_writes_is_tried_again_under_a_new_name() -> None:
    met = BadRequest("Transaction is aborted due to concurrent update against table acme:cdp.ledgers")
    jobs = _jobs(client := _Client(met, met))
    jobs.run("begin transaction; commit transaction")
    assert len(set(client.ids)) == 3


def test_no_other_trouble_is_tried_again() -> None:
    jobs = _jobs(client := _Client(BadRequest("Syntax error: Unexpected end of script")))
    with pytest.raises(WarehouseError, match="Syntax error"):
        jobs.run("select")
    assert len(client.said) == 1


def test_who_meets_others_writes_again_and_again_gives_up_with_the_reason() -> None:
    met = Conflict("Transaction is aborted due to concurrent update against table acme:cdp.ledgers")
    jobs = _jobs(client := _Client(*[met] * 9))
    with pytest.raises(WarehouseError, match="Another program"):
        jobs.run("begin transaction; commit transaction")
    assert len(client.said) == 5


def test_a_statement_above_the_limit_is_not_run_and_says_how_far_it_would_have_come() -> None:
    jobs = _jobs(client := _Client(), scan_limit=2_500)
    jobs.run("select 1")
    jobs.run("select 2")
    with pytest.raises(GuardTripped, match="plan crm_contacts would scan 3,000 bytes"):
        jobs.run("select 3")
    assert client.said == ["select 1", "select 2"]
    assert len(client.dry) == 3


def test_the_cost_of_a_session_is_what_its_jobs_told() -> None:
    jobs = _jobs(client := _Client())
    assert jobs.cost().bytes_scanned is None
    jobs.run("select 1")
    jobs.run("select 2")
    cost = jobs.cost()
    assert (cost.statements, cost.bytes_scanned, cost.bytes_billed) == (2, 2000, 4000)
    assert cost.last_statement_id == client.ids[-1]


def test_what_bigquery_has_not_told_of_a_job_is_unknown_and_not_nothing() -> None:
    jobs = _jobs(_Client())
    jobs.run("select 1")
    setattr(jobs.done[0], "total_bytes_billed", None)  # noqa: B010 - a job's property cannot be set
    assert (jobs.cost().bytes_scanned, jobs.cost().bytes_billed) == (1000, None)


@pytest.mark.parametrize(
    "message",
    [
        f"Bad int64 value: {_CANARY}",
        f'Could not cast literal "{_CANARY}" to type INT64 at [1:8]',
        f"Invalid date: '{_CANARY}'",
        f"Error while reading data, error message: {_CANARY}",
        f'Syntax error: Unexpected string literal "{_CANARY}" at [1:8]',
        f"Query error: division by zero: {_CANARY} / 0",
    ],
)
def test_no_value_stands_in_an_error(message: str) -> None:
    error = explained(BadRequest(message), "plan crm_contacts", "cdp-1")
    assert "canary" not in str(error)
    assert "plan crm_contacts, job cdp-1" in str(error)


@pytest.mark.parametrize(
    ("error", "told", "remedy"),
    [
        (NotFound("Not found: Table acme:shop.people was not found in location EU"), "shop.people", ""),
        (NotFound("Not found: Dataset acme:shop was not found in location EU"), "acme:shop", "datasets.create"),
        (Forbidden("Access Denied: Table acme:shop.people: User does not have"), "shop.people", "cdp doctor"),
        (Forbidden("Quota exceeded: Your project exceeded quota"), "Quota exceeded", "quota raised"),
        (BadRequest("Query exceeded limit for bytes billed: 1000. 2000 or higher"), "bytes billed", "maximum_bytes"),
        (BadRequest("Unrecognized name: segment at [1:8]"), "segment", ""),
        (RefreshError("invalid_grant: Bad Request"), "credentials", "gcloud auth"),
        (ConnectionResetError("peer"), "connection to BigQuery was lost", "nothing is half done"),
    ],
)
def test_what_is_wrong_is_said_with_the_way_out(error: Exception, told: str, remedy: str) -> None:
    text = str(explained(error, "plan crm_contacts"))
    assert told in text
    assert remedy in text


class _Guarded:
    """A project in which nothing may be done but what is named."""

    def __init__(self, *may: str) -> None:
        self._may = set(may)

    def _try(self, what: str) -> None:
        if what not in self._may:
            raise Forbidden(f"Access Denied: {what}")

    def query(self, sql: str, **_: object) -> None:
        self._try("query" if sql == "select 1" else sql.split("`")[3])

    def get_dataset(self, reference: bigquery.DatasetReference, **_: object) -> None:
        self._try(reference.dataset_id)

    def create_table(self, table: bigquery.Table, **_: object) -> None:
        self._try(f"write {table.dataset_id}")

    def delete_table(self, table: str, **_: object) -> None:
        pass


_MEMBER = "serviceAccount:cdp@acme.iam.gserviceaccount.com"


_VIEWER = f'grant `roles/bigquery.dataViewer` on schema `acme`.`activation` to "{_MEMBER}"'


def _missing(*may: str) -> list[str]:
    account = BigQueryAccount(
        type="bigquery", project="acme", location="EU", authentication=ApplicationDefault(method="application_default")
    )
    client = cast("bigquery.Client", _Guarded(*may))
    return missing_grants(client, account, ["marts.consents", "activation.people"], _MEMBER, DEFAULT_RETRY)


def test_who_may_run_nothing_is_told_the_one_role_that_comes_first() -> None:
    assert _missing() == [
        f"gcloud projects add-iam-policy-binding acme --member={_MEMBER} --role=roles/bigquery.jobUser"
    ]


def test_what_is_missing_is_told_dataset_by_dataset_as_an_administrator_runs_it() -> None:
    assert _missing("query", "cdp", "write cdp", "marts") == [
        "create schema if not exists `acme`.`cdp_temp` options (location = 'EU')",
        f'grant `roles/bigquery.dataEditor` on schema `acme`.`cdp_temp` to "{_MEMBER}"',
        f"{_VIEWER}; or build what is not there yet: activation.people",
    ]
    assert _missing("query", "cdp", "cdp_temp", "write cdp_temp", "marts", "activation") == [
        f'grant `roles/bigquery.dataEditor` on schema `acme`.`cdp` to "{_MEMBER}"'
    ]


def test_who_has_every_right_is_told_nothing() -> None:
    assert _missing("query", "cdp", "cdp_temp", "write cdp", "write cdp_temp", "marts", "activation") == []


def test_files_go_in_in_bounded_pieces_with_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bigquery_arrow, "_FILE_BYTES", 1000)
    table = pa.table({"n": pa.array(range(5000), pa.uint16()), "t": ["x" * 50] * 5000})
    schema = plain_schema(table.schema)
    files, pieces = [], []
    for file in parquet_files(table.to_batches(max_chunksize=500), schema):
        file.seek(0)
        files.append(file)
        pieces.append(pq.read_table(BytesIO(file.read())))
        # On disk, and one at a time.
        assert [one.closed for one in files] == [True] * (len(files) - 1) + [False]
    assert len(files) == 10
    read = pa.concat_tables(pieces)
    assert read.column("n").to_pylist() == list(range(5000))
    assert [(field.name, field.field_type) for field in table_schema(schema)] == [("n", "INT64"), ("t", "STRING")]


def test_a_column_that_bigquery_has_no_type_for_is_named() -> None:
    with pytest.raises(WarehouseError, match="nested"):
        plain_schema(pa.schema([pa.field("nested", pa.struct([("a", pa.int64())]))]))
