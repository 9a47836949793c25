"""Snowflake's emulator with its gaps filled, run by the emulator's own Python: `python fakesnow_server.py PORT`.

What is filled is what `emulators.FAKESNOW` lists as filled; the platform's own code knows nothing of an emulator.
"""

import dataclasses
import importlib
import json
import re
import sys
import threading
from itertools import pairwise
from typing import Any

import fakesnow
import pyarrow as pa
import sqlglot
from snowflake.connector.errors import DatabaseError, ProgrammingError
from sqlglot import exp

_SILENT = re.compile(r"\s*(create (or replace )?function|drop function|alter session|remove)\b", re.IGNORECASE)
_OPTIONS = re.compile(r"file_format = \([^()]*\)", re.IGNORECASE)
"""With commas between them, which the emulator does not know."""
_DEPTH, _STACK_BYTES = 20_000, 512_000_000


def main(port: int) -> None:
    """Serve until the process is ended."""
    # Long statements of identity are deep ones to the emulator's parser.
    sys.setrecursionlimit(_DEPTH)
    threading.stack_size(_STACK_BYTES)
    serve = fakesnow.server
    # The module of this name takes the function's place.
    server, cursors = (importlib.import_module(f"fakesnow.{name}") for name in ("server", "cursor"))
    row_types, answers = (importlib.import_module(f"fakesnow.{name}") for name in ("rowtype", "arrow"))
    to_struct = answers.timestamp_to_sf_struct
    parse, describe, to_sf = cursors.parse_one, row_types.describe_as_rowtype, answers.to_sf

    def parse_filled(command: str) -> Any:
        last = statements_in(command)[-1]
        plain = _OPTIONS.sub(lambda found: found[0].replace(",", " "), last)
        return fill(parse("select 1 as done" if _SILENT.match(last) else plain))

    def describe_filled(results: list[Any]) -> Any:
        told = describe([(name, "VARCHAR" if kind.endswith("[]") else kind, *rest) for name, kind, *rest in results])
        for column, result in zip(told, results, strict=True):
            column["type"] = "array" if result[1].endswith("[]") else column["type"]
        return told

    def to_sf_filled(table: pa.Table, types: Any) -> Any:
        return to_sf(pa.table([_as_json(column) for column in table.columns], names=table.column_names), types)

    execute = cursors.FakeSnowflakeCursor.execute

    def execute_filled(self: Any, command: str, *given: Any, **named: Any) -> Any:
        try:
            for statement in statements_in(command):
                execute(self, statement, *given, **named)
            return self
        except (ProgrammingError, DatabaseError):
            raise
        except Exception as error:
            # The client would ask again and again after a server's error.
            raise ProgrammingError(msg=f"not in the emulator: {error}", errno=9999, sqlstate="0A000") from error

    describe_last = cursors.FakeSnowflakeCursor._describe_last_sql

    def describe_last_filled(self: Any) -> list[Any]:
        # DuckDB describes a renamed column by the name below it, where only the case is another.
        names = self._arrow_table.column_names
        return [(name, *told[1:]) for name, told in zip(names, describe_last(self), strict=True)]

    cursors.FakeSnowflakeCursor.execute = execute_filled
    cursors.FakeSnowflakeCursor._describe_last_sql = describe_last_filled
    # Sums of decimals would be summed as doubles, for the sake of texts.
    cursors.transforms.numeric_agg_implicit_cast = lambda node: node
    _load_json_by_names(importlib.import_module("fakesnow.copy_into"))
    for module in (cursors, server):
        module.parse_one = parse_filled
    cursors.describe_as_rowtype = describe_filled
    server.describe_as_rowtype = describe_filled
    server.to_sf = to_sf_filled
    server.JSONResponse = _with_master_token(server.JSONResponse)
    answers.timestamp_to_sf_struct = lambda times: _with_nulls(to_struct(times), times)
    with serve(port=port):
        print("ready", flush=True)
        sys.stdin.read()


def statements_in(command: str) -> list[str]:
    """The statements of a command, which the emulator runs one by one only."""
    ends = [token.start for token in sqlglot.tokenize(command, read="snowflake") if token.text == ";"]
    parts = [command[start:end].strip() for start, end in pairwise([0, *(end + 1 for end in ends), len(command) + 1])]
    told = [part.rstrip(";").strip() for part in parts]
    return [part for part in told if part] or [command]


def fill(tree: exp.Expr) -> exp.Expr:
    """Say in the emulator's words what it does not know in Snowflake's."""
    for node in reversed(list(tree.walk())):
        new = _filled(node)
        if new is node:
            continue
        if node is tree:
            return new
        node.replace(new)
    return tree


def _filled(node: exp.Expr) -> exp.Expr:
    match node:
        case exp.Put() if (stage := node.args["target"].name).startswith("'"):
            node.set("target", exp.var(stage.strip("'")))
        case exp.Create() if (target := node.find(exp.Table)) and target.db and node.find(exp.TemporaryProperty):
            # DuckDB's temporary tables are in no schema of the caller's.
            node.find(exp.TemporaryProperty).pop()
        case exp.Table() if node.args.get("when"):
            node.set("when", None)
        case exp.CopyParameter(expression=exp.Literal() as word) if node.this.name == "MATCH_BY_COLUMN_NAME":
            node.set("expression", exp.var(word.name))
        case exp.Dot(expression=exp.Anonymous() as call) if node.this.name == "cdp_functions":
            name = {"nfc": "nfc_normalize", "merged": "json_merge_patch"}[call.name.lower()]
            return exp.Anonymous(this=name, expressions=call.expressions)
        case exp.ToNumber() if set(node.text("format")) == {"X"}:
            prefixed = exp.Concat(expressions=[exp.Literal.string("0x"), node.this.copy()])
            return exp.cast(prefixed, "bigint")
        case exp.Anonymous() if node.name.lower() == "hash":
            return _signed(node.copy())
        case exp.Split():
            return exp.Anonymous(this="string_split", expressions=[node.this, node.expression])
        case exp.ArrayToString():
            return exp.Anonymous(
                this="list_aggr", expressions=[node.this, exp.Literal.string("string_agg"), node.expression]
            )
        case exp.MD5NumberLower64():
            return _signed(exp.Anonymous(this="md5_number_lower", expressions=[node.this]))
        case exp.Anonymous() if node.name.lower() == "try_to_timestamp_tz":
            return exp.TryCast(this=node.expressions[0], to=exp.DataType.build("timestamptz"))
        case exp.CurrentWarehouse() | exp.CurrentRole():
            return exp.Literal.string("CDP")
        case exp.DataType() if node.this is exp.DataType.Type.ARRAY:
            # The emulator's own arrays are documents, which no longer tell that they are lists.
            return exp.DataType(this=exp.DataType.Type.USERDEFINED, kind="VARCHAR[]")
        case exp.ByteLength() | exp.Anonymous() if node.sql("snowflake").lower().startswith("octet_length("):
            return exp.Anonymous(this="strlen", expressions=list(node.iter_expressions()))
        case exp.ArraySize():
            return exp.Anonymous(this="len", expressions=[node.this])
        case exp.ArrayContains(this=items, expression=exp.Cast() as item):
            return exp.Anonymous(this="list_contains", expressions=[items, item.this])
        case exp.GetExtract():
            return _member("json_extract", node.this, node.expression)
        case exp.Cast(this=exp.Anonymous() as call) if call.name == "json_extract" and node.to.is_type("varchar"):
            return exp.Anonymous(this="json_extract_string", expressions=call.expressions)
    return node


def _signed(number: exp.Expr) -> exp.Expr:
    """What DuckDB gives without a sign, as one of the emulator's whole numbers, which have 64 bits."""
    return exp.Sub(this=exp.cast(number, "decimal(37, 0)"), expression=exp.Literal.number(2**63))


def _load_json_by_names(copies: Any) -> None:
    """Rows of JSON go into the columns of their names, as those of Parquet files do."""
    params = copies._params

    def params_filled(*given: Any, **named: Any) -> Any:
        told = params(*given, **named)
        by_names = told.match_by_column_name is not copies.MatchByColumnName.NONE
        is_json = by_names and isinstance(told.file_format, copies.ReadJSON)
        return dataclasses.replace(told, file_format=copies.ReadParquet()) if is_json else told

    def read_expression(self: Any, url: str) -> Any:
        return exp.func("read_json" if ".jsonl" in url else "read_parquet", self.file_literal(url))

    copies._params = params_filled
    copies.ReadParquet.read_expression = read_expression


def _member(function: str, document: exp.Expr, name: exp.Expr) -> exp.Expr:
    path = exp.Literal.string('$."' + name.name.replace('"', '\\"') + '"')
    return exp.Anonymous(this=function, expressions=[document, path])


def _with_master_token(response: Any) -> Any:
    """Without such a token the client would not end its session when it closes."""

    def answered(content: Any, **named: Any) -> Any:
        data = content.get("data")
        if isinstance(data, dict) and "token" in data:
            data["masterToken"] = data["token"]
        return response(content, **named)

    return answered


def _with_nulls(structs: pa.StructArray, times: pa.ChunkedArray) -> pa.StructArray:
    missing = pa.array([not valid for valid in times.is_valid().to_pylist()], pa.bool_())
    return pa.StructArray.from_arrays(structs.flatten(), fields=list(structs.type), mask=missing)


def _as_json(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_list(column.type):
        return column
    texts = [None if one is None else json.dumps(one) for one in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


if __name__ == "__main__":
    main(int(sys.argv[1]))
