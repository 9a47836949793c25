"""Comparisons as SQL expression trees: names quoted, values bound by name, every answer true or false, never null."""

from collections.abc import Callable
from datetime import date, timedelta
from string import ascii_lowercase

from sqlglot import exp

from cdp_platform.audiences.catalogue import Relation
from cdp_platform.audiences.definition import Comparison, Operator, Value

_SIMPLE: dict[Operator, type[exp.Binary]] = {
    Operator.EQUALS: exp.EQ,
    Operator.NOT_EQUALS: exp.NEQ,
    Operator.AT_LEAST: exp.GTE,
    Operator.AT_MOST: exp.LTE,
    Operator.BEFORE: exp.LT,
    Operator.AFTER: exp.GT,
}


class Bound:
    """The values of one statement, each bound under a name."""

    def __init__(self, after: int = 0) -> None:
        """Start without values, counting on after those of another statement, so that both can stand in one."""
        self.values: dict[str, Value] = {}
        self._after = after

    def place(self, value: Value) -> exp.Expr:
        """Bind a value and return its place in the statement."""
        name = f"value_{_letters(self._after + len(self.values))}"
        self.values[name] = value
        return exp.Placeholder(this=name)


def column(name: str, table: str = "") -> exp.Column:
    """A column, quoted."""
    return exp.column(name, table=table or None, quoted=True)


def relation(one: Relation) -> exp.Table:
    """A relation, quoted part by part."""
    return exp.table_(one.name, db=one.schema, quoted=True)


def table(name: str, alias: str | None = None) -> exp.Table:
    """A table of this very statement, quoted."""
    return exp.table_(name, alias=exp.to_identifier(alias, quoted=True) if alias else None, quoted=True)


def written(select: exp.Select) -> str:
    """Write a statement in DuckDB's SQL, which each warehouse's adapter translates."""
    return select.sql("duckdb", pretty=True, copy=False)


def compared(value: exp.Expr, comparison: Comparison, bound: Bound, as_of: date) -> exp.Expr:
    """Say that a value meets a comparison; false where the value is null."""
    if comparison.operator is Operator.IS_KNOWN:
        is_null = exp.Is(this=value, expression=exp.null())
        return exp.paren(is_null.not_() if comparison.values[0] else is_null)
    return certain(_OTHERS.get(comparison.operator, _simple)(value, comparison, bound, as_of))


def certain(condition: exp.Expr) -> exp.Expr:
    """False where a condition is null."""
    return exp.Coalesce(this=condition, expressions=[exp.false()])


def within(day: exp.Expr, days: int, bound: Bound, as_of: date) -> exp.Expr:
    """Say that a day is one of the last `days`, the clock's day the last of them."""
    return exp.and_(
        exp.GT(this=day.copy(), expression=bound.place(days_before(as_of, days))),
        exp.LTE(this=day.copy(), expression=bound.place(as_of)),
    )


def days_before(day: date, count: int) -> date:
    """The day `count` days earlier, the first of all days at the earliest."""
    return date.fromordinal(max(day.toordinal() - count, date.min.toordinal()))


def counted(condition: exp.Expr) -> exp.Expr:
    """Count the rows for which a condition is true."""
    return exp.Count(this=exp.Case().when(condition, exp.Literal.number(1)))


def numbered(condition: exp.Expr) -> exp.Expr:
    """1 where a condition is true, else 0: not every warehouse can take the largest of truths."""
    return exp.Case().when(condition, exp.Literal.number(1)).else_(exp.Literal.number(0))


def _simple(value: exp.Expr, comparison: Comparison, bound: Bound, as_of: date) -> exp.Expr:
    return _SIMPLE[comparison.operator](this=value, expression=bound.place(comparison.values[0]))


def _in(value: exp.Expr, comparison: Comparison, bound: Bound, as_of: date) -> exp.Expr:
    return exp.In(this=value, expressions=[bound.place(one) for one in comparison.values])


def _not_in(value: exp.Expr, comparison: Comparison, bound: Bound, as_of: date) -> exp.Expr:
    return exp.paren(_in(value, comparison, bound, as_of)).not_()


def _between(value: exp.Expr, comparison: Comparison, bound: Bound, as_of: date) -> exp.Expr:
    low, high = comparison.values
    return exp.Between(this=value, low=bound.place(low), high=bound.place(high))


def _within(value: exp.Expr, comparison: Comparison, bound: Bound, as_of: date) -> exp.Expr:
    return within(value, int(str(comparison.values[0])), bound, as_of)


def _longer_ago(value: exp.Expr, comparison: Comparison, bound: Bound, as_of: date) -> exp.Expr:
    days = int(str(comparison.values[0]))
    return exp.LTE(this=value, expression=bound.place(as_of - timedelta(days=days)))


def _contains(value: exp.Expr, comparison: Comparison, bound: Bound, as_of: date) -> exp.Expr:
    found = exp.StrPosition(this=value, substr=bound.place(comparison.values[0]))
    return exp.GT(this=found, expression=exp.Literal.number(0))


def _starts_with(value: exp.Expr, comparison: Comparison, bound: Bound, as_of: date) -> exp.Expr:
    return exp.StartsWith(this=value, expression=bound.place(comparison.values[0]))


_OTHERS: dict[Operator, Callable[[exp.Expr, Comparison, Bound, date], exp.Expr]] = {
    Operator.IN: _in,
    Operator.NOT_IN: _not_in,
    Operator.BETWEEN: _between,
    Operator.WITHIN_DAYS: _within,
    Operator.LONGER_AGO_THAN_DAYS: _longer_ago,
    Operator.CONTAINS: _contains,
    Operator.STARTS_WITH: _starts_with,
}


def _letters(number: int) -> str:
    first, rest = divmod(number, len(ascii_lowercase))
    return (_letters(first - 1) if first else "") + ascii_lowercase[rest]
