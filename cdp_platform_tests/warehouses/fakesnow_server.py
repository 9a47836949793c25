"""Snowflake's emulator with its gaps filled, run by the emulator's own Python: `python fakesnow_server.py PORT`.

What is filled is what `emulators.FAKESNOW` lists as filled; the platform's own code knows nothing of an emulator.
"""

import importlib
import json
import re
import sys
from typing import Any

import fakesnow
import pyarrow as pa
from snowflake.connector.errors import DatabaseError, ProgrammingError
from sqlglot import exp

_SILENT = re.compile(r"\s*(create (or replace )?function|drop function|alter session)", re.IGNORECASE)


def main(port: int) -> None:
    """Serve until the process is ended."""
    serve = fakesnow.server
    # The module of this name takes the function's place.
    server, cursors = (importlib.import_module(f"fakesnow.{name}") for name in ("server", "cursor"))
    row_types, answers = (importlib.import_module(f"fakesnow.{name}") for name in ("rowtype", "arrow"))
    to_struct = answers.timestamp_to_sf_struct
    parse, describe, to_sf = cursors.parse_one, row_types.describe_as_rowtype, answers.to_sf

    def parse_filled(command: str) -> Any:
        return fill(parse("select 1 as done" if _SILENT.match(command) else command))

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
            return execute(self, command, *given, **named)
        except (ProgrammingError, DatabaseError):
            raise
        except Exception as error:
            # The client would ask again and again after a server's error.
            raise ProgrammingError(msg=f"not in the emulator: {error}", errno=9999, sqlstate="0A000") from error

    cursors.FakeSnowflakeCursor.execute = execute_filled
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
        case exp.Dot(expression=exp.Anonymous() as call) if node.this.name == "cdp_functions":
            name = {"nfc": "nfc_normalize", "merged": "json_merge_patch"}[call.name.lower()]
            return exp.Anonymous(this=name, expressions=call.expressions)
        case exp.Anonymous() if node.name.lower() == "hash":
            # DuckDB's hash has no sign.
            return exp.Sub(this=exp.cast(node.copy(), "decimal(37, 0)"), expression=exp.Literal.number(2**63))
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
