"""crucible, an emulator of BigQuery, with what it lacks and the platform needs; run by the emulator's own interpreter.

    python crucible_server.py 9050

What stands here is the platform's own reading of BigQuery and proves nothing about it: the statements UPDATE and
DELETE, scripts with a transaction and temporary tables, load jobs of Parquet files, dry runs, the digits of NUMERIC,
TO_JSON of null, FARM_FINGERPRINT (another hash here), and what dlt needs: values of a query's places,
INFORMATION_SCHEMA.COLUMNS, TRUNCATE TABLE, descriptions of columns. What crucible itself has, it judges.
"""

import io
import re
import sys
import threading

import pyarrow.parquet as pq
import sqlglot
import uvicorn
from crucible.dialects.bigquery import ddl, metadata, statements, transforms, types
from crucible.dialects.bigquery.generator import generate
from crucible.dialects.bigquery.transforms import json as json_transform
from crucible.dialects.bigquery.transforms.common import duck_cast, typed
from crucible.dialects.bigquery.translate import outer_selects, prepare, translate_query, write_value
from crucible.engine import CommandPlan, Engine, ExecContext, Pipeline, Result
from crucible.engine.catalog import qualified
from crucible.server.app import create_app
from crucible.server.bigquery import app, encoding, jobs
from sqlglot import exp
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

# The normalisers of identity are calls within calls, deeper than Python goes by itself.
sys.setrecursionlimit(20_000)
threading.stack_size(64 * 1024 * 1024)
_SCRIPT = "crucible_script"
"""The dataset of a script's temporary tables; what is made there is taken back at the script's end."""

# --- parameters of NUMERIC -----------------------------------------------------------------------
_type_name, _schema_field = types.type_name, encoding.schema_field


def type_name(data_type):
    if data_type.this == exp.DType.DECIMAL:
        return "NUMERIC"
    return _type_name(data_type)


def schema_field(name, data_type, *, with_mode=True):
    field = _schema_field(name, data_type, with_mode=with_mode)
    digits = types._decimal_params(data_type) if data_type.this == exp.DType.DECIMAL else None
    if digits not in (None, (38, 9)):
        field |= {"precision": str(digits[0]), "scale": str(digits[1])}
    return field


types.type_name, encoding.schema_field = type_name, schema_field


# --- FARM_FINGERPRINT and NORMALIZE; COUNTIF of no row, which is 0 -------------------------------
def functions(tree, ctx):
    for node in reversed(list(tree.find_all(exp.FarmFingerprint, exp.Normalize, exp.CountIf))):
        if isinstance(node, exp.Normalize):
            new = typed(exp.Anonymous(this="nfc_normalize", expressions=[node.this.copy()]), "STRING")
        elif isinstance(node, exp.CountIf):
            counted = exp.Case(ifs=[exp.If(this=node.this.copy(), true=exp.Literal.number(1))])
            new = typed(exp.Count(this=counted), "INT64")
        else:
            hashed = exp.Anonymous(this="hash", expressions=[part.copy() for part in node.expressions])
            half = exp.BitwiseRightShift(this=hashed, expression=exp.Literal.number(1))
            new = typed(duck_cast(half, "BIGINT"), "INT64")
        if node is tree:
            tree = new
        else:
            node.replace(new)
    return tree


transforms.PIPELINE = (("functions", functions), *transforms.PIPELINE)


# --- TO_JSON of null, which is a null of JSON's --------------------------------------------------
_unsupported = json_transform._unsupported
json_transform._unsupported = lambda what: exp.Null() if what == "TO_JSON of NULL" else _unsupported(what)

# --- UPDATE, DELETE, scripts ---------------------------------------------------------------------
_plan, _name_of, _execute = statements._plan, metadata.name_of, Pipeline.execute


def plan(tree, ctx: ExecContext):
    match tree:
        case exp.Transaction():
            return _command("BEGIN_TRANSACTION", lambda c: c.begin())
        case exp.Commit():
            return _command("COMMIT_TRANSACTION", lambda c: c.commit())
        case exp.Rollback():
            return _command("ROLLBACK_TRANSACTION", lambda c: c.rollback())
        case exp.Delete() | exp.Update():
            return change(tree, ctx)
        case exp.TruncateTable():
            [table] = tree.expressions
            return change(exp.delete(table.copy(), where=exp.true()), ctx)
        case exp.Create() if tree.find(exp.TemporaryProperty):
            return script_table(tree, ctx)
        case exp.Alter() if isinstance(tree.args["actions"][0], (exp.Drop, exp.RenameColumn)):
            info = metadata.find_table(ctx, metadata.name_of(tree.this, ctx))
            action = tree.args["actions"][0].sql("duckdb", identify=True)
            sql = f"ALTER TABLE {qualified(info.catalog, info.schema, info.name)} {action}"
            return statements.run_sql(sql, "ALTER_TABLE", ctx, returns_rows=False)
    return _plan(tree, ctx)


def _command(name, run):
    def wrapped(c):
        run(c)
        return Result(name)

    return CommandPlan(wrapped, name)


def change(tree, ctx: ExecContext):
    """Translate an UPDATE or DELETE as crucible translates a MERGE: all its expressions as columns of one query."""
    info = metadata.find_table(ctx, metadata.name_of(tree.this, ctx))
    alias = tree.this.alias or info.name
    known = {column.name.lower(): types.parse(types.type_name(column.type)) for column in info.columns}
    sets = tree.expressions if isinstance(tree, exp.Update) else []
    where = tree.args["where"].this
    target = exp.Table(
        this=exp.to_identifier(info.name, quoted=True),
        db=exp.to_identifier(info.schema, quoted=True),
        catalog=exp.to_identifier(info.catalog, quoted=True),
        alias=exp.TableAlias(this=exp.to_identifier(alias)),
    )
    columns = [where.copy(), *(one.expression.copy() for one in sets)]
    query = exp.select(*(exp.alias_(column, f"crucible_m{n}") for n, column in enumerate(columns))).from_(target)
    source = tree.args.get("from_")
    if source is not None:
        query = query.join(source.this.copy(), join_type="cross")
    prepared = prepare(query, ctx)
    [select] = outer_selects(prepared.query)
    values = [one.this if isinstance(one, exp.Alias) else one for one in select.expressions]
    named = f"{qualified(info.catalog, info.schema, info.name)} AS {qualified(alias)}"
    if isinstance(tree, exp.Delete):
        return statements.run_sql(f"DELETE FROM {named} WHERE {generate(values[0])}", "DELETE", ctx, returns_rows=False)
    names = [one.this.name for one in sets]
    written = [
        f"{qualified(name)} = {generate(write_value(value.copy(), known[name.lower()], name))}"
        for name, value in zip(names, values[1:], strict=True)
    ]
    joined = f" FROM {generate(select.args['joins'][0].this)}" if source is not None else ""
    sql = f"UPDATE {named} SET {', '.join(written)}{joined} WHERE {generate(values[0])}"
    return statements.run_sql(sql, "UPDATE", ctx, returns_rows=False)


def script_table(tree, ctx: ExecContext):
    name = tree.this.name
    sql = translate_query(tree.expression, ctx).sql
    project = ctx.session.default_catalog

    def run(c):
        c.run_sql(f"CREATE SCHEMA IF NOT EXISTS {qualified(project, _SCRIPT)}", returns_rows=False)
        c.run_sql(f"CREATE TABLE {qualified(project, _SCRIPT, name)} AS {sql}", returns_rows=False)
        c.session.state[name] = True

    return _command("CREATE_TABLE_AS_SELECT", run)


def name_of(table, ctx: ExecContext):
    # Nobody writes between the queries of a test: now is then.
    table.set("version", None)
    if not table.db and table.name in ctx.session.state:
        return metadata.Name(ctx.session.default_catalog, _SCRIPT, table.name)
    return _name_of(table, ctx)


def target_of(tree, ctx):
    return None if isinstance(tree, exp.Create) and tree.find(exp.TemporaryProperty) else _target(tree, ctx)


_target = statements._target


def execute(self, session, sql, params=None):
    """Run a script; a transaction that it leaves open, or that fails, is taken back."""
    try:
        found = self.dialect.split(sql)
        with self.engine.cursor(session) as cursor:
            ctx = ExecContext(self.engine, self.dialect, session, cursor, params)
            done = [ctx.execute(one) for one in found]
            for name in session.state if session.transaction is None else ():
                ctx.run_sql(f"DROP TABLE {qualified(session.default_catalog, _SCRIPT, name)}", returns_rows=False)
            return done
    finally:
        if session.transaction is not None:
            session.transaction.execute("rollback")
            session.transaction.close()
            session.transaction = None


_check_assignable = statements._check_assignable


def check_assignable(source, **known):
    # Of `select *` it would count one column.
    if not source.is_star:
        _check_assignable(source, **known)


statements._check_assignable = check_assignable
statements._plan, statements._target, metadata.name_of, Pipeline.execute = plan, target_of, name_of, execute


# --- load jobs of Parquet ------------------------------------------------------------------------
_load = jobs.Runner._load


def load(self, job, config, data):
    if config.get("sourceFormat") != "PARQUET":
        return _load(self, job, config, data)
    place = config["destinationTable"]
    table = pq.read_table(io.BytesIO(data))
    session = jobs.DIALECT.new_session(place["projectId"], place["datasetId"])
    full = qualified(place["projectId"], place["datasetId"], place["tableId"])
    with self.engine.cursor(session) as cursor:
        cursor.register("crucible_file", table)
        names = ", ".join(qualified(name) for name in table.column_names)
        cursor.execute(f"INSERT INTO {full} ({names}) SELECT {names} FROM crucible_file")
        cursor.unregister("crucible_file")
    job.load_statistics = {"inputFiles": "1", "outputRows": str(table.num_rows), "badRecords": "0"}
    return None


jobs.Runner._load = load


# --- values of a query's places, and INFORMATION_SCHEMA.COLUMNS, as dlt asks with and for ---------
_run_query, _jobs_query = jobs.Runner.run_query, app.BigQueryServer.jobs_query
_INSIDE = re.compile(r"`([^`]+)`\.`([^`]+)`\.`?INFORMATION_SCHEMA`?\.`?COLUMNS`?")


def spelled(query):
    """Write the values of a query into it, as literals."""
    values, _ = query.pop("queryParameters", None), query.pop("parameterMode", None)
    if values:
        tree = sqlglot.parse_one(query["query"], read="bigquery")
        for place, value in zip(list(tree.find_all(exp.Placeholder)), values, strict=True):
            text = exp.Literal.string(value["parameterValue"]["value"])
            place.replace(exp.cast(text, value["parameterType"]["type"], dialect="bigquery"))
        query["query"] = tree.sql("bigquery")


async def jobs_query(self, request):
    spelled(await request.json())
    return await _jobs_query(self, request)


def run_query(self, job):
    config = job.configuration["query"]
    spelled(config)
    config["query"] = _INSIDE.sub(lambda found: columns_of(self.engine, *found.groups()), config["query"])
    return _run_query(self, job)


def columns_of(engine, project, dataset):
    session = jobs.DIALECT.new_session(project, dataset)
    told = []
    with engine.cursor(session) as cursor:
        catalog = engine.catalog(cursor)
        for table in catalog.tables(project, dataset) if catalog.catalog_exists(project) else []:
            for place, column in enumerate(table.columns, 1):
                told.append(f"('{table.name}', '{column.name}', '{type_name(column.type)}', 'YES', {place})")
    fields = "table_name string, column_name string, data_type string, is_nullable string, ordinal_position int64"
    return f"(select * from unnest(array<struct<{fields}>>[{', '.join(told)}]))"


jobs.Runner.run_query, app.BigQueryServer.jobs_query = run_query, jobs_query


# --- a dataset whose names mind capitals, as all do that do not say otherwise --------------------
_datasets_insert = app.BigQueryServer.datasets_insert


async def datasets_insert(self, request):
    body = await request.json()
    if body.get("isCaseInsensitive") is False:
        del body["isCaseInsensitive"]
    return await _datasets_insert(self, request)


app.BigQueryServer.datasets_insert = datasets_insert


# --- what a column is described as, which changes no answer --------------------------------------
_column_def = ddl.column_def


def column_def(column):
    kept = [one for one in column.args.get("constraints") or [] if not one.sql("bigquery").startswith("OPTIONS")]
    column.set("constraints", kept)
    return _column_def(column)


ddl.column_def = column_def


# --- dry runs ------------------------------------------------------------------------------------
_insert = app.BigQueryServer.jobs_insert


async def jobs_insert(self, request):
    body = await request.json()
    configuration = body["configuration"]
    if not configuration.pop("dryRun", False):
        return await _insert(self, request)

    def scan(ctx):
        [statement] = jobs.DIALECT.split(configuration["query"]["query"])
        jobs.DIALECT.plan(statement, ctx)
        tree = statement.tree.expression if isinstance(statement.tree, (exp.Create, exp.Insert)) else statement.tree
        infos = metadata.qualify_names(tree, ctx) if isinstance(tree, exp.Expr) else []
        counts = [
            ctx.run_sql(f"select count(*) from {qualified(i.catalog, i.schema, i.name)}").rows[0][0] for i in infos
        ]
        return sum(8 * count * len(info.columns) for count, info in zip(counts, infos, strict=True))

    try:
        found = await run_in_threadpool(self._context_run, request.path_params["project"], scan)
    except app.CrucibleError as error:
        return app.http_error(error)
    answer = {
        "kind": "bigquery#job",
        "configuration": configuration | {"dryRun": True, "jobType": "QUERY"},
        "jobReference": body["jobReference"],
        "statistics": {"totalBytesProcessed": str(found), "query": {"totalBytesProcessed": str(found)}},
        "status": {"state": "DONE"},
    }
    return JSONResponse(answer)


app.BigQueryServer.jobs_insert = jobs_insert

if __name__ == "__main__":
    uvicorn.run(create_app("bigquery", Engine()), host="127.0.0.1", port=int(sys.argv[1]), access_log=False)
