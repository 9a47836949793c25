"""The platform's statements, which are DuckDB's SQL, said in PostgreSQL's; each text is translated once per process.

sqlglot does most of it. Here is what it leaves: what replaces or keeps a relation, subqueries without a name, types of
DuckDB's, and functions that `postgres_functions` defines under DuckDB's names.
"""

from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from cdp_platform.errors import WarehouseError
from cdp_platform.warehouse.literals import literal

_CACHED_STATEMENTS = 2_000
_TYPES = {
    exp.DataType.Type.INT128: "decimal(38, 0)",
    exp.DataType.Type.UBIGINT: "bigint",
    exp.DataType.Type.UINT: "bigint",
    exp.DataType.Type.USMALLINT: "integer",
    exp.DataType.Type.UTINYINT: "smallint",
    exp.DataType.Type.TINYINT: "smallint",
}
_TRIED = {
    exp.DataType.Type.DOUBLE: "number_of",
    exp.DataType.Type.BOOLEAN: "truth_of",
    exp.DataType.Type.DATE: "day_of",
    exp.DataType.Type.TIMESTAMP: "moment_of",
}
"""Functions that answer null where a cast would fail."""
_SCHEMAS = {"temp": "pg_temp", "main": "public"}


@lru_cache(maxsize=_CACHED_STATEMENTS)
def to_postgres(sql: str) -> tuple[str, ...]:
    """Translate one statement; its places for values stay `?` and `$name`. The answer is run one after the other.

    Raises WarehouseError for a statement that cannot be said.
    """
    try:
        tree = sqlglot.parse_one(sql, read="duckdb")
        return tuple(_statements(tree.transform(_rewritten)))
    except SqlglotError as error:
        raise WarehouseError(
            f"a statement cannot be said in PostgreSQL's SQL ({type(error).__name__}).",
            remedy="Run this on DuckDB, and report it.",
        ) from error


def _statements(tree: exp.Expr) -> list[str]:
    """What DuckDB does in one statement and PostgreSQL, in some cases, in several."""
    if isinstance(tree, exp.Create) and tree.kind in ("TABLE", "VIEW"):
        if tree.args.get("replace"):
            return _replaced(tree)
        if tree.kind == "VIEW" and tree.args.get("exists"):
            # Of a view there is `or replace` only, which leaves an equal one as it is.
            tree.set("exists", False)
            tree.set("replace", True)
    return [tree.sql("postgres")]


def _replaced(tree: exp.Create) -> list[str]:
    """Make the new relation beside the old one, which it may read, and let it take the name.

    What reads a temporary relation goes with it, since whoever replaces it makes that anew, too. What reads
    another stays, where the columns are the same; else the statement is refused.
    """
    is_temporary = tree.find(exp.TemporaryProperty) is not None
    table = tree.this.find(exp.Table)
    plain = table.name
    name, anew = (exp.to_identifier(one, quoted=True) for one in (plain, f"{plain}__anew"))
    tree.set("replace", False)
    table.set("this", anew)
    if not is_temporary:
        named = ", ".join(literal(part) for part in (table.db or "public", anew.name, plain, str(tree.kind)))
        return [tree.sql("postgres"), f"CALL take_name({named})"]
    return [
        tree.sql("postgres"),
        f"DROP {tree.kind} IF EXISTS pg_temp.{name.sql('postgres')} CASCADE",
        f"ALTER {tree.kind} pg_temp.{anew.sql('postgres')} RENAME TO {name.sql('postgres')}",
    ]


def _rewritten(node: exp.Expr) -> exp.Expr:
    match node:
        case exp.Placeholder():
            return exp.Var(this=f"${node.this}" if node.this else "?")
        case exp.DataType() if node.this in _TYPES:
            return exp.DataType.build(_TYPES[node.this], dialect="postgres")
        case exp.Table() if node.db.lower() in _SCHEMAS:
            node.set("db", exp.to_identifier(_SCHEMAS[node.db.lower()]))
        case exp.Subquery() if not node.alias and isinstance(node.parent, (exp.From, exp.Join)):
            node.set("alias", exp.TableAlias(this=exp.to_identifier("unnamed")))
        case exp.Table() if isinstance(node.this, exp.GenerateSeries) and not node.alias:
            node.set("alias", exp.TableAlias(this=exp.to_identifier("range")))
        case exp.AlterColumn() if node.args.get("dtype") and not node.args.get("using"):
            # What PostgreSQL would not cast by itself.
            node.set("using", exp.cast(exp.column(node.this.copy()), node.args["dtype"].copy()))
        case exp.Array() if not node.expressions:
            return exp.cast(node.copy(), exp.DataType.build("text[]", dialect="postgres"), copy=False)
        case exp.TryCast() if node.to.this in _TRIED:
            tried = exp.Anonymous(this=_TRIED[node.to.this], expressions=[exp.cast(_inside(node), "text")])
            return exp.cast(tried, node.to, copy=False)
        case exp.Lower() | exp.Upper():
            return exp.Anonymous(this=f"{node.key}_of", expressions=[_inside(node)])
        case exp.ArgMax():
            return _newest(node.this, node.expression)
        case exp.JSONExtract() | exp.JSONExtractScalar() if isinstance(node.expression, exp.JSONPath):
            name = exp.Literal.string(str(node.expression.expressions[-1].this))
            function = "json_member" if isinstance(node, exp.JSONExtract) else "json_text"
            return exp.Anonymous(this=function, expressions=[_inside(node), name])
        case exp.Select():
            return _unqualified(listed(node))
    return node


def _inside(node: exp.Expr) -> exp.Expr:
    """What a node is of, rewritten: of one that another takes the place of, nobody else would look inside."""
    inside: exp.Expr = node.this
    return inside.transform(_rewritten)


def _newest(value: exp.Expr, by: exp.Expr) -> exp.Expr:
    said, order = value.sql("duckdb"), by.sql("duckdb")
    known = f"filter (where not {said} is null and not {order} is null)"
    return sqlglot.parse_one(f"(array_agg({said} order by {order} desc) {known})[1]", read="postgres")


def _unqualified(select: exp.Select) -> exp.Expr:
    """Put `qualify` of a query with `*` into one around it; sqlglot would name the other columns twice."""
    condition = select.args.get("qualify")
    if condition is None or not select.is_star:
        return select
    inner = select.copy()
    inner.set("qualify", None)
    ranks = []
    for number, window in enumerate(condition.this.find_all(exp.Window)):
        ranks.append(exp.alias_(window.copy(), f"rank_{number}"))
        window.replace(exp.column(f"rank_{number}"))
    subquery = inner.select(*ranks, copy=False).subquery("ranked", copy=False)
    around: exp.Expr = exp.select("*").from_(subquery, copy=False).where(condition.this.copy(), copy=False)
    return around.transform(_rewritten)


def listed(select: exp.Select) -> exp.Select:
    """Say `group by all` and `order by all` by the places of the columns."""
    group, order = select.args.get("group"), select.args.get("order")
    if group is not None and group.args.get("all"):
        places = [
            exp.Literal.number(place)
            for place, column in enumerate(select.expressions, 1)
            if column.find(exp.AggFunc) is None
        ]
        select.set("group", exp.Group(expressions=places) if places else None)
    if order is not None and [str(one.this).lower() for one in order.expressions] == ["all"]:
        places = [exp.Literal.number(place) for place in range(1, len(select.expressions) + 1)]
        select.set("order", exp.Order(expressions=[exp.Ordered(this=place, nulls_first=False) for place in places]))
    return select
