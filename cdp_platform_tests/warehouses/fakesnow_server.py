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
from sqlglot import exp

_SILENT = re.compile(r"\s*(create function|alter session)", re.IGNORECASE)
_LISTS = ("array_compact", "array_construct", "array_except")


def main(port: int) -> None:
    """Serve until the process is ended."""
    serve = fakesnow.server
    # The module of this name takes the function's place.
    server, cursors = (importlib.import_module(f"fakesnow.{name}") for name in ("server", "cursor"))
    row_types, answers = (importlib.import_module(f"fakesnow.{name}") for name in ("rowtype", "arrow"))
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

    for module in (cursors, server):
        module.parse_one = parse_filled
    cursors.describe_as_rowtype = describe_filled
    server.describe_as_rowtype = describe_filled
    server.to_sf = to_sf_filled
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
    return node


def _as_json(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_list(column.type):
        return column
    texts = [None if one is None else json.dumps(one) for one in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


if __name__ == "__main__":
    main(int(sys.argv[1]))
