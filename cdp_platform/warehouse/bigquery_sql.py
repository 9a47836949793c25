"""The platform's statements, which are DuckDB's SQL, said in BigQuery's.

sqlglot does most of it. Here is what it leaves: values, types, functions of DuckDB's, and what BigQuery wants written
out. Names of tables are the business of `bigquery_names`.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from cdp_platform.errors import WarehouseError
from cdp_platform.warehouse import bigquery_json
from cdp_platform.warehouse.base import Parameters
from cdp_platform.warehouse.bigquery_dialect import number_type
from cdp_platform.warehouse.literals import with_names
from cdp_platform.warehouse.translating import listed

_LAST_MOMENT = "9999-12-31 23:59:59.999999+00"
_INTEGERS = {
    exp.DataType.Type.UBIGINT,
    exp.DataType.Type.UINT,
    exp.DataType.Type.USMALLINT,
    exp.DataType.Type.UTINYINT,
    exp.DataType.Type.INT128,
}


def said(sql: str, parameters: Parameters = ()) -> exp.Expr:
    """Read one statement, with the values of `?` and `$name` in their places. Its tables have the platform's names.

    Raises WarehouseError for a statement, a value or a name that cannot be said.
    """
    try:
        named = parameters if isinstance(parameters, Mapping) else {str(n): v for n, v in enumerate(parameters)}
        tree = _filled(_plainly_named(sqlglot.parse_one(with_names(sql), read="duckdb")), named)
        for rewrite in (_typed, _rewritten):
            tree = _bottom_up(tree, rewrite)
        return tree
    except SqlglotError as error:
        raise WarehouseError(
            f"a statement cannot be said in BigQuery's SQL ({type(error).__name__}).",
            remedy="Run this on DuckDB, and report it.",
        ) from error


def written(tree: exp.Expr) -> str:
    """Write a statement; every name is quoted, since some are words of BigQuery's."""
    return tree.sql("bigquery", identify=True)


def _plainly_named(tree: exp.Expr) -> exp.Expr:
    """Refuse a name with a dot, which BigQuery reads as a path, be it quoted or not; projects alone may have one."""
    for identifier in tree.find_all(exp.Identifier):
        if "." in identifier.name and identifier.arg_key != "catalog":
            raise WarehouseError(
                f"BigQuery cannot have the name {identifier.name!r}.", remedy="Rename it in the model."
            )
    return tree


def _filled(tree: exp.Expr, values: Mapping[str, Any]) -> exp.Expr:
    try:
        for place in list(tree.find_all(exp.Placeholder)):
            place.replace(_literal(values[place.name]))
    except (KeyError, TypeError) as error:
        raise WarehouseError("a value cannot be said in BigQuery's SQL.") from error
    return tree


def _bottom_up(tree: exp.Expr, rewrite: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """Rewrite every node, the inner ones first: of what replaces a node, the parts have been rewritten."""
    for node in reversed(list(tree.walk())):
        parent, key, index = node.parent, node.arg_key, node.index
        new = rewrite(node)
        if new is node:
            continue
        if parent is None or key is None:
            tree = new
        else:
            parent.set(key, new, index)
    return tree


def _literal(value: Any) -> exp.Expr:
    match value:
        case None:
            return exp.null()
        case bool():
            return exp.true() if value else exp.false()
        case int():
            return exp.Literal.number(value) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))
        case Decimal() if value.is_finite():
            digits = -min(int(value.as_tuple().exponent), 0)
            kind = number_type(min(len(value.as_tuple().digits), 38), digits).split("(", 1)[0]
            return exp.cast(exp.Literal.string(f"{value:f}"), exp.DataType.build(kind, dialect="bigquery"))
        case str():
            return exp.Literal.string(value)
        case datetime() if value.tzinfo:
            return exp.cast(exp.Literal.string(value.isoformat(" ")), "timestamptz")
        case date() if not isinstance(value, datetime):
            return exp.cast(exp.Literal.string(value.isoformat()), "date")
    raise TypeError


def _typed(node: exp.Expr) -> exp.Expr:
    match node:
        case exp.DataType() if node.this in _INTEGERS:
            return exp.DataType.build("bigint")
        case exp.DataType() if node.this is exp.DataType.Type.DECIMAL:
            digits = [int(part.this.name) for part in node.expressions] or [18, 3]
            return exp.DataType.build(number_type(digits[0], (digits[1:] or [0])[0]), dialect="bigquery")
        case exp.Cast() if node.is_type("timestamptz") and node.this.is_string and node.this.name == "infinity":
            return exp.cast(exp.Literal.string(_LAST_MOMENT), "timestamptz")
    return node


def _rewritten(node: exp.Expr) -> exp.Expr:
    match node:
        case exp.AnyValue():
            # DuckDB's any value is none of the nulls.
            return exp.Max(this=node.this.this if isinstance(node.this, exp.IgnoreNulls) else node.this)
        case exp.Concat():
            texts = [part if part.is_string else exp.cast(part.copy(), "text") for part in node.expressions]
            node.set("expressions", texts)
        case exp.Nullif(expression=exp.Array(expressions=[])):
            # Lists cannot be compared, and an empty one comes out as null in any case: see `bigquery_arrow`.
            compared: exp.Expr = node.this
            return compared
        case exp.DateDiff() if str(node.args["unit"]).upper() in ("HOUR", "MINUTE", "SECOND"):
            return exp.TimestampDiff(this=node.this, expression=node.expression, unit=node.args["unit"])
        case exp.TimeToUnix():
            micros = exp.Anonymous(this="unix_micros", expressions=[node.this])
            return exp.Div(this=micros, expression=exp.Literal.number(1_000_000))
        case exp.RegexpReplace():
            # BigQuery replaces every match.
            node.set("modifiers", None)
        case exp.ArraySort():
            return _own(f"array(select one from unnest({_part(node.this)}) as one order by one)")
        case exp.FromJson():
            return exp.Anonymous(this="json_value_array", expressions=[node.this])
        case exp.Anonymous():
            return _function(node)
        case exp.Table() if isinstance(node.this, exp.GenerateSeries):
            return _numbers(node)
        case exp.Delete() if node.args.get("where") is None:
            node.set("where", exp.Where(this=exp.true()))
        case exp.Update() if node.args.get("where") is None:
            node.set("where", exp.Where(this=exp.true()))
        case exp.Values() if isinstance(node.parent, (exp.From, exp.Join)) and node.alias:
            return _united(node)
        case exp.Alter():
            return _retyped(node)
        case exp.Select():
            return _with_source(listed(node))
    return node


def _function(node: exp.Anonymous) -> exp.Expr:
    given = node.expressions
    match node.name.lower():
        case "nfc_normalize":
            return exp.Anonymous(this="normalize", expressions=[given[0], exp.Var(this="NFC")])
        case "now":
            return exp.CurrentTimestamp()
        case "timezone":
            return exp.Anonymous(this="datetime", expressions=given[::-1])
        case "to_json":
            # Of a list. A column of lists holds none that is null, only empty ones.
            return _own(f"if(array_length({_part(given[0])}) > 0, to_json_string({_part(given[0])}), null)")
        case "list_has_all":
            every, some = map(_part, given)
            return _own(f"not exists (select 1 from unnest({some}) as one where one not in unnest({every}))")
        case "json_merge_patch":
            return _own(bigquery_json.merged(*map(_part, given)))
        case "json_document":
            members = zip((name.name for name in given[::2]), map(_part, given[1::2]), strict=True)
            return _own(bigquery_json.document(list(members)))
        case "json_member_text":
            return _own(bigquery_json.member_text(_part(given[0]), given[1].name))
        case "json_changes":
            new, old = map(_part, given[:2])
            return _own(bigquery_json.changed_members(new, old, [name.name for name in given[2:]]))
        case "to_minutes":
            return exp.Interval(this=given[0], unit=exp.Var(this="MINUTE"))
        case "isfinite":
            # Of times: `_typed` says the last one for an infinite one.
            return exp.LT(this=given[0], expression=exp.cast(exp.Literal.string(_LAST_MOMENT), "timestamptz"))
        case "md5_number_lower":
            return exp.FarmFingerprint(expressions=given)
        case "strlen":
            return exp.Anonymous(this="byte_length", expressions=given)
        case "list_position":
            names = given[0].find(exp.Array)
            if names is not None:
                places = [
                    exp.If(this=name.copy(), true=exp.Literal.number(place))
                    for place, name in enumerate(names.expressions, 1)
                ]
                return exp.Case(this=given[1], ifs=places)
    return node


def _retyped(alter: exp.Alter) -> exp.Expr:
    """Write the table anew where a column is to have another type: BigQuery changes few types in place."""
    [action, *others] = alter.args["actions"]
    if others or not isinstance(action, exp.AlterColumn) or not action.args.get("dtype"):
        return alter
    column = exp.to_identifier(action.name, quoted=True)
    value = exp.alias_(exp.cast(exp.column(column), action.args["dtype"].copy()), column.copy())
    rows = exp.select(exp.Star(replace=[value])).from_(alter.this.copy())
    return exp.Create(this=alter.this.copy(), kind="TABLE", replace=True, expression=rows)


def _own(sql: str) -> exp.Expr:
    return sqlglot.parse_one(sql, read="bigquery")


def _part(expression: exp.Expr) -> str:
    return expression.sql("bigquery")


def _numbers(table: exp.Table) -> exp.Expr:
    """Say `range(n) as numbers (n)`, whose one column stands in a table."""
    alias = table.args.get("alias")
    columns = alias.columns if alias else []
    name = columns[0].name if columns else "range"
    numbers = exp.Unnest(expressions=[table.this.copy()], alias=exp.TableAlias(columns=[exp.to_identifier(name)]))
    return exp.Subquery(
        this=exp.select(exp.column(name)).from_(numbers),
        alias=exp.TableAlias(this=exp.to_identifier(alias.name if alias and alias.name else "numbers")),
    )


def _united(values: exp.Values) -> exp.Expr:
    """Say the rows of `values` as a table by queries of one row each."""
    names = values.args["alias"].columns
    rows = [
        exp.select(*(exp.alias_(value.copy(), name.copy()) for value, name in zip(row.expressions, names, strict=True)))
        for row in values.expressions
    ]
    query: exp.Query = rows[0]
    for row in rows[1:]:
        query = exp.union(query, row, distinct=False, copy=False)
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(values.alias)))


def _with_source(select: exp.Select) -> exp.Select:
    """Give a query without tables one of one row, where it has a condition: BigQuery has no condition without."""
    if select.args.get("where") is not None and select.args.get("from_") is None:
        return select.from_(exp.select("1 as one").subquery("nothing"), copy=False)
    return select
