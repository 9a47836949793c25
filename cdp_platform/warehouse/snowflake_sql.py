"""The platform's statements, which are DuckDB's SQL, said in Snowflake's.

Every name is quoted as it is written, so that it reads the same on every warehouse. sqlglot does most of the rest; here
is what it leaves: schemas and types of DuckDB's, views of a session, and functions on lists and documents.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from cdp_platform.errors import WarehouseError
from cdp_platform.warehouse.literals import quoted
from cdp_platform.warehouse.snowflake_functions import SCHEMA
from cdp_platform.warehouse.translating import listed

LAST_MOMENT: Final = "9999-12-31 23:59:59.999999"
"""What stands for a time that never comes: Snowflake has no infinity."""
_TYPES = {
    exp.DataType.Type.INT128: "number(38, 0)",
    exp.DataType.Type.UBIGINT: "number(38, 0)",
    exp.DataType.Type.UINT: "number(38, 0)",
    exp.DataType.Type.USMALLINT: "number(38, 0)",
    exp.DataType.Type.UTINYINT: "number(38, 0)",
    exp.DataType.Type.TINYINT: "number(38, 0)",
    exp.DataType.Type.ARRAY: "array",
    exp.DataType.Type.LIST: "array",
}
_UNNAMED_SCHEMAS = ("temp", "main")
_READ_AS: Final = 'case when {0} = upper({0}) then lower({0}) else {0} end as "{1}"'
_LISTED: Final = (
    'select TABLE_CATALOG as "table_catalog", TABLE_TYPE as "table_type",'
    f" {_READ_AS.format('TABLE_SCHEMA', 'table_schema')}, {_READ_AS.format('TABLE_NAME', 'table_name')}"
    " from INFORMATION_SCHEMA.TABLES"
)
"""What there is, under the names by which the platform reads it."""

Resolve = Callable[[exp.Table], exp.Expr | None]
"""What a relation that is read is replaced by; None: it is read as it is named."""
Stored = tuple[Sequence[str], Mapping[str, str]]
"""The parts of a relation's name as Snowflake has them, and its columns: name as the platform reads it → as it is."""


class Kind(StrEnum):
    """What a statement does."""

    QUERY = "query"
    CHANGE = "change"
    """Changes rows of a table that lasts; belongs into a transaction."""
    SESSION_CHANGE = "session_change"
    """Changes rows of a temporary table."""
    DEFINITION = "definition"
    """Makes, changes or drops a relation: commits by itself."""


class Statement:
    """One statement, parsed: what it does, to what, and how Snowflake says it."""

    def __init__(self, sql: str) -> None:
        """Parse `sql`. Raises WarehouseError for what is no statement."""
        try:
            self._tree = sqlglot.parse_one(sql, read="duckdb")
        except SqlglotError as error:
            raise _unsayable(error) from error

    @property
    def target(self) -> exp.Table | None:
        """The relation that is made, changed or dropped."""
        if isinstance(self._tree, exp.Query):
            return None
        named = (self._tree.args.get("tables") or [self._tree.this])[0]
        return named.find(exp.Table) if isinstance(named, exp.Expr) else None

    @property
    def is_temporary(self) -> bool:
        """Whether it makes a relation of the session."""
        return self._tree.find(exp.TemporaryProperty) is not None

    @property
    def retyped(self) -> tuple[str, str] | None:
        """The column that it gives another type, and that type in DuckDB's words; None for all other statements."""
        actions = self._tree.args.get("actions") or [] if isinstance(self._tree, exp.Alter) else []
        for action in actions:
            if isinstance(action, exp.AlterColumn) and action.args.get("dtype"):
                return action.this.name, action.args["dtype"].sql("duckdb")
        return None

    def kind(self, temporary: Mapping[str, object]) -> Kind:
        """Say what it does, where `temporary` are the names of the session's own tables."""
        if isinstance(self._tree, exp.Query):
            return Kind.QUERY
        if not isinstance(self._tree, (exp.Insert, exp.Update, exp.Delete, exp.Merge)):
            return Kind.DEFINITION
        target = self.target
        is_own = target is not None and target.db.lower() in ("", "temp") and target.name in temporary
        return Kind.SESSION_CHANGE if is_own else Kind.CHANGE

    def said(self, resolve: Resolve = lambda table: None, stored: Stored | None = None) -> str:
        """Say it in Snowflake's SQL; `stored` is how the target is named, if otherwise than in the statement.

        Raises WarehouseError for what cannot be said.
        """
        try:
            target = self.target
            if stored is not None and target is not None:
                _aim(self._tree, target, *stored)
            for table in list(self._tree.find_all(exp.Table)):
                if table is not target and (found := resolve(table)) is not None:
                    table.replace(found)
            for node in reversed(list(self._tree.walk())):
                # From the leaves up: what is rewritten holds what has been.
                if (new := _rewritten(node)) is not node:
                    node.replace(new)
            return str(self._tree.sql("snowflake", identify=True))
        except SqlglotError as error:
            raise _unsayable(error) from error


def to_snowflake(sql: str) -> str:
    """Translate one statement, taking every relation as it is named."""
    return Statement(sql).said()


def _aim(tree: exp.Expr, target: exp.Table, parts: Sequence[str], columns: Mapping[str, str]) -> None:
    """Name what rows are deleted from or changed in, and its columns, as they are stored; what is read stays."""
    for part, name in zip(target.parts, parts, strict=True):
        part.set("this", name)
    for column in list(tree.find_all(exp.Column)):
        if column.find_ancestor(exp.Select) is None and column.name in columns:
            column.this.set("this", columns[column.name])


def _unsayable(error: SqlglotError) -> WarehouseError:
    return WarehouseError(
        f"a statement cannot be said in Snowflake's SQL ({type(error).__name__}).",
        remedy="Run this on DuckDB, and report it.",
    )


def _rewritten(node: exp.Expr) -> exp.Expr:
    match node:
        case exp.DataType() if node.this in _TYPES:
            return exp.DataType.build(_TYPES[node.this], dialect="snowflake")
        case exp.Table() if node.db.lower() in _UNNAMED_SCHEMAS:
            node.set("db", None)
        case exp.Table() if isinstance(node.this, exp.GenerateSeries):
            return _range(node)
        case exp.Table() if (node.db.lower(), node.name.lower()) == ("information_schema", "tables"):
            return subquery(_LISTED, node.alias or node.name)
        case exp.Create() if node.kind == "VIEW" and node.find(exp.TemporaryProperty):
            # A view would be read anew by each statement, and Snowflake has no one moment for several of them.
            node.set("kind", "TABLE")
        case exp.Cast() if _is_infinity(node):
            return exp.cast(exp.Literal.string(LAST_MOMENT), node.to.copy())
        case exp.Select(expressions=[exp.Explode(this=exp.Cast() as items)]) if node.args.get("from_") is None:
            told = items.this.sql("snowflake", identify=True)
            flat = f'select cast("one"."VALUE" as varchar) as "item" from table(flatten(input => {told})) as "one"'
            return sqlglot.parse_one(flat, read="snowflake")
        case exp.Select():
            return listed(node)
        case exp.Filter(this=exp.Count(this=exp.Star())):
            counted = exp.If(this=node.expression.this.copy(), true=exp.Literal.number(1))
            return exp.Count(this=counted)
        case exp.Add(expression=exp.Anonymous() as minutes) if minutes.name.lower() == "to_minutes":
            # An interval of Snowflake's is a constant.
            return _call("dateadd", exp.var("minute"), minutes.expressions[0], node.this)
        case exp.TimeToUnix():
            told = f"date_part(epoch_microsecond, {node.this.sql('snowflake', identify=True)})"
            return sqlglot.parse_one(f"cast({told} as double) / 1000000", read="snowflake")
        case exp.AnyValue():
            # Snowflake's own may answer null where there is a value.
            return exp.Min(this=node.this)
        case exp.IgnoreNulls(this=exp.Min()):
            return exp.Min(this=node.this.this)
        case exp.Is(expression=exp.Boolean() as truth):
            # sqlglot would leave null what is unknown.
            known = exp.Coalesce(this=node.this, expressions=[exp.Boolean(this=not truth.this)])
            return known if truth.this else exp.Not(this=known)
        case exp.Concat():
            texts = [exp.cast(one.copy(), exp.DataType.build("varchar")) for one in node.expressions]
            node.set("expressions", texts)
        case exp.RegexpReplace():
            # It replaces every match, and has no letter for that.
            node.set("modifiers", None)
        case exp.Anonymous() | exp.Func():
            return _function(node)
    return node


def _function(node: exp.Expr) -> exp.Expr:
    arguments = [one for one in node.iter_expressions() if isinstance(one, exp.Expr)]
    name = node.name.lower() if isinstance(node, exp.Anonymous) else node.key
    match name:
        case "now":
            return exp.CurrentTimestamp()
        case "isfinite":
            return exp.NEQ(this=arguments[0], expression=_timestamp(LAST_MOMENT))
        case "list_position" if (names := arguments[0].find(exp.Array)) is not None:
            places = enumerate(names.expressions, 1)
            cases = [exp.If(this=one.copy(), true=exp.Literal.number(place)) for place, one in places]
            return exp.Case(this=arguments[1], ifs=cases)
        case "list_has_all":
            missing = _call("array_except", arguments[1], arguments[0])
            return exp.EQ(this=_call("array_size", missing), expression=exp.Literal.number(0))
        case "fromjson":
            return exp.cast(_call("parse_json", arguments[0]), exp.DataType.build("array", dialect="snowflake"))
        case "arrayfilter":
            # The engine filters lists for one thing: what is null is left out.
            return _call("array_compact", _call("array_construct", *node.this.expressions))
        case "json_merge_patch":
            return _own("merged", *arguments)
        case "md5_number_lower":
            return _call("md5_number_lower64", arguments[0])
        case "strlen":
            return _call("octet_length", arguments[0])
        case "nfc_normalize":
            return _own("nfc", arguments[0])
    return node


def _own(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Dot(this=exp.to_identifier(SCHEMA, quoted=True), expression=_call(name, *arguments))


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=[one.copy() for one in arguments])


def _timestamp(text: str) -> exp.Expr:
    return exp.cast(exp.Literal.string(text), exp.DataType.build("timestamptz"))


def _is_infinity(node: exp.Cast) -> bool:
    is_time = node.to.this in exp.DataType.TEMPORAL_TYPES
    return is_time and isinstance(node.this, exp.Literal) and str(node.this.this).lower() == "infinity"


def _range(table: exp.Table) -> exp.Expr:
    """Rows that count from 0 or from `start`, as `range(start, n) as name (column)` makes them."""
    alias = table.args.get("alias")
    column = alias.columns[0].name if alias and alias.columns else "range"
    start, end = (int(table.this.args[part].name) for part in ("start", "end"))
    count = end - start + (0 if table.this.args.get("is_end_exclusive") else 1)
    name = alias.this.name if alias and alias.this else "range"
    numbers = f"select row_number() over (order by seq8()) {start - 1:+} as {quoted(column)}"
    return subquery(f"{numbers} from table(generator(rowcount => {count}))", name)


def subquery(sql: str, name: str) -> exp.Expr:
    """A query in Snowflake's SQL as a relation of this name."""
    query = sqlglot.parse_one(sql, read="snowflake", into=exp.Select)
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
