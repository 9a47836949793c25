"""From which columns of its parents each column of a dbt model is made, read from the compiled SQL by sqlglot.

Runs where dbt parses, in a process of its own: sqlglot is no part of loading definitions. A column that cannot be
followed to its end is left out and named as unresolved; nothing is guessed.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer import Scope, build_scope, qualify, traverse_scope
from sqlglot.schema import MappingSchema

from cdp_platform.components.column_lineage import ColumnLineage, Deps

NO_COLUMN: Final = "cdp_no_column_is_known"
"""The one column of a stand-in for a source that declares none; nothing is made of it."""
STAR: Final = "*"
"""Stands among the unresolved columns of a model whose columns are not known at all."""
_DIALECT: Final = "duckdb"
"""Models are compiled to it, whatever the warehouse is."""
_UNREADABLE: Final = (SqlglotError, ValueError, KeyError, RecursionError)


def trace(relations: Mapping[str, str], compiled: Mapping[str, str]) -> ColumnLineage:
    """Follow the columns of every model.

    `relations` are the names in the warehouse, as DuckDB quotes them, by unique id, of sources and seeds, too;
    `compiled` is the SQL of each model, each after what it reads, empty where it did not compile.
    """
    homes = {_name_of(exp.to_table(name, dialect=_DIALECT)): unique_id for unique_id, name in relations.items()}
    trees = {unique_id: _parsed(sql) for unique_id, sql in compiled.items()}
    schema = MappingSchema(dialect=_DIALECT)
    for table, asked in _asked_of_tables(trees).items():
        if homes.get(_name_of(table)) not in compiled:
            schema.add_table(table, dict.fromkeys(asked, "text"), dialect=_DIALECT)
    found: dict[str, dict[str, Deps]] = {}
    missing: dict[str, list[str]] = {}
    for unique_id, tree in trees.items():
        columns, unresolved = _columns_of(tree, schema, homes)
        found[unique_id] = columns
        if unresolved:
            missing[unique_id] = sorted(unresolved)
        if STAR not in unresolved:
            # So those that read the model may say `select *`.
            table = exp.to_table(relations[unique_id], dialect=_DIALECT)
            schema.add_table(table, dict.fromkeys([*columns, *unresolved], "text"), dialect=_DIALECT)
    return ColumnLineage(columns=found, unresolved=missing)


def _parsed(sql: str) -> exp.Expr | None:
    """The tree of a select, each table read by name where a part of it only said `select *` of the table."""
    try:
        tree = parse_one(sql, dialect=_DIALECT)
    except _UNREADABLE:
        return None
    for part in list(tree.find_all(exp.CTE)):
        if (table := _read_whole(part.this)) is not None:
            _read_by_name(tree, part.alias, table)
    return tree


def _read_whole(query: exp.Expr) -> exp.Table | None:
    """The table that a select reads whole, whatever rows it keeps; None for every other select."""
    if not isinstance(query, exp.Select) or query.args.get("joins") or not query.args.get("from_"):
        return None
    table = query.args["from_"].this
    is_star = len(query.selects) == 1 and isinstance(query.selects[0], exp.Star)
    has_db = isinstance(table, exp.Table) and bool(table.db)
    return table if is_star and has_db and not query.selects[0].args.get("except_") else None


def _read_by_name(tree: exp.Expr, part: str, table: exp.Table) -> None:
    for asked in list(tree.find_all(exp.Table)):
        if asked.name == part and not asked.db:
            direct = exp.alias_(
                exp.table_(table.name, table.db, table.catalog, quoted=True), asked.alias_or_name, table=True
            )
            for name in ("joins", "pivots", "laterals"):
                direct.set(name, asked.args.get(name))
            asked.replace(direct)


def _asked_of_tables(trees: Mapping[str, exp.Expr | None]) -> dict[exp.Table, list[str]]:
    """The columns that are asked of tables anywhere: those of sources stand nowhere else."""
    found: dict[tuple[str, ...], set[str]] = defaultdict(set)
    tables: dict[tuple[str, ...], exp.Table] = {}
    for tree in trees.values():
        for scope in traverse_scope(tree) if tree else ():
            for table, column in _asked_in(scope):
                tables[_name_of(table)] = table
                found[_name_of(table)].add(column)
    bare = {name: exp.table_(table.name, table.db, table.catalog, quoted=True) for name, table in tables.items()}
    return {bare[name]: sorted(columns - {NO_COLUMN}) for name, columns in found.items()}


def _asked_in(scope: Scope) -> Iterator[tuple[exp.Table, str]]:
    chosen = {name: source for name, (_, source) in scope.selected_sources.items()}
    projections = scope.expression.selects if isinstance(scope.expression, exp.Selectable) else []
    made = {column.alias for column in projections if column.alias}
    before: dict[int, set[str]] = {}
    names: set[str] = set()
    for projection in projections:
        before |= {id(column): set(names) for column in projection.find_all(exp.Column)}
        names.add(projection.alias_or_name)
    for column in scope.columns:
        source = chosen.get(column.table)
        if not column.table and len(chosen) == 1 and column.name not in before.get(id(column), made):
            # An alias is known only to the right of where it is made.
            source = next(iter(chosen.values()))
        if isinstance(source, exp.Table):
            yield source, column.name.lower()


def _columns_of(
    tree: exp.Expr | None, schema: MappingSchema, homes: Mapping[tuple[str, ...], str]
) -> tuple[dict[str, Deps], list[str]]:
    """The columns of one select, and those that cannot be followed."""
    if tree is None:
        return {}, [STAR]
    try:
        query = qualify.qualify(tree, schema=schema, dialect=_DIALECT, validate_qualify_columns=False, identify=False)
        nodes = lineage(None, query, schema, dialect=_DIALECT, scope=build_scope(query), trim_selects=False)
    except _UNREADABLE:
        return {}, [STAR]
    columns: dict[str, Deps] = {}
    unresolved: list[str] = []
    for name, node in nodes.items() if isinstance(nodes, dict) else ():
        deps = [_dep(table, column, schema, homes) for table, column in _leaves(node)]
        if name == STAR or None in deps:
            unresolved.append(name)
        else:
            columns[name] = sorted({dep for dep in deps if dep is not None})
    return columns, unresolved


def _dep(
    table: exp.Expr, column: str, schema: MappingSchema, homes: Mapping[tuple[str, ...], str]
) -> tuple[str, str] | None:
    if not isinstance(table, exp.Table) or column not in schema.column_names(table):
        return None
    home = homes.get(_name_of(table))
    return (home, column) if home else None


def _leaves(node: Node) -> Iterator[tuple[exp.Expr, str]]:
    """The tables' columns at the ends of a column's ways; a constant has none."""
    for below in node.downstream:
        if below.downstream or not isinstance(below.expression, exp.Table | exp.Placeholder):
            yield from _leaves(below)
        else:
            yield below.expression, STAR if below.name == STAR else exp.to_column(below.name).name


def _name_of(table: exp.Table) -> tuple[str, ...]:
    return tuple(part.name.lower() for part in table.parts)


logging.getLogger("sqlglot").setLevel(logging.ERROR)
