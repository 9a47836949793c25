"""Which table of BigQuery's a name of the platform's means, in one session.

A schema is a dataset. BigQuery has temporary tables in its own sessions and scripts only, where no file can be loaded
into them; so the platform's lie in a dataset of their own, under names that no other session has and that are new each
time, since a statement that waits for the end of a transaction still means the former. A temporary view is no relation
at all there: its query stands wherever it is named.
"""

import itertools
import re
from dataclasses import dataclass, field

from sqlglot import exp

TEMPORARY = "temp"
_MAIN = "main"
_NAME_LENGTH = 60


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A statement as BigQuery is to run it."""

    tree: exp.Expr
    reads: frozenset[str]
    """The tables that it reads, by their names in BigQuery."""
    target: str | None
    """The table that it writes, makes or drops."""
    temporary: str | None = None
    """The platform's name of the temporary table that it makes."""


@dataclass
class Names:
    """The names of one session. `project` and `dataset` are those of names that name none."""

    project: str
    dataset: str
    temporary_dataset: str
    prefix: str
    """What the session's tables begin with."""
    tables: dict[str, str] = field(default_factory=dict)
    """Temporary tables, from the platform's names, in lower case, to BigQuery's."""
    views: dict[str, exp.Expr] = field(default_factory=dict)
    local: set[str] = field(default_factory=set)
    """Those of the tables that there are in the script of the open transaction only."""
    made: list[str] = field(default_factory=list)
    """Every table that the session has made in the temporary dataset."""
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def resolve(self, tree: exp.Expr) -> Resolved:
        """Put BigQuery's names into a statement."""
        reads: set[str] = set()
        target, temporary = None, None
        table = _target(tree)
        if table is not None:
            temporary = table.name if _is_temporary(tree) else None
            target = self.new_table(table.name) if temporary else self.full_name(table)
            # Of what is written to, the alias is kept: conditions name the table by it.
            alias = table.alias or (table.name if isinstance(tree, (exp.Delete, exp.Update, exp.Merge)) else "")
            table.replace(_table(target, alias))
        self._resolve_inside(tree, reads, written=_target(tree))
        for database in list(tree.find_all(exp.CurrentDatabase)):
            database.replace(exp.Literal.string(self.project))
        for column in tree.find_all(exp.Column):
            # Every table has its own name as the alias.
            column.set("db", None)
        return Resolved(tree=tree, reads=frozenset(reads), target=target, temporary=temporary)

    def _resolve_inside(self, tree: exp.Expr, reads: set[str], written: exp.Table | None = None) -> None:
        for table in list(tree.find_all(exp.Table)):
            if table is written or not isinstance(table.this, exp.Identifier):
                continue
            if not table.db and _is_own(table):
                continue
            alias = table.alias or table.name
            if view := self._view(table):
                query = view.copy()
                self._resolve_inside(query, reads)
                table.replace(exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(alias))))
                continue
            name = self.full_name(table)
            reads.add(name)
            table.replace(_table(name, alias))

    def full_name(self, table: exp.Table) -> str:
        """BigQuery's name of a table that the platform names, `project.dataset.table`; of a local one, one part."""
        schema, key = table.db.lower(), table.name.lower()
        if schema in ("", TEMPORARY) and key in self.tables:
            return self.tables[key]
        dataset = self.temporary_dataset if schema == TEMPORARY else table.db
        if schema in ("", _MAIN):
            dataset = self.dataset
        return f"{table.catalog or self.project}.{dataset}.{table.name}"

    def _view(self, table: exp.Table) -> exp.Expr | None:
        return self.views.get(table.name.lower()) if table.db.lower() in ("", TEMPORARY) else None

    def new_table(self, name: str) -> str:
        """Find a name in the temporary dataset that nobody has."""
        plain = re.sub(r"\W", "_", name.lower(), flags=re.ASCII)[:_NAME_LENGTH]
        return f"{self.project}.{self.temporary_dataset}.{self.prefix}_{next(self._numbers)}_{plain}"

    def bind(self, name: str, table: str) -> None:
        """Let `name` mean a table from now on."""
        self.views.pop(name.lower(), None)
        self.tables[name.lower()] = table

    def define(self, name: str, query: exp.Expr) -> None:
        """Let `name` mean a query from now on."""
        self.tables.pop(name.lower(), None)
        self.views[name.lower()] = query

    def localised(self, tree: exp.Expr, table: str) -> str:
        """Let a statement make a table of the open transaction's script; the answer is its name."""
        name = table.rsplit(".", 1)[-1]
        target = _target(tree)
        if target is not None:
            target.replace(_table(name, ""))
        self.local.add(name)
        return name

    def forget_local(self) -> None:
        """Forget the tables of a script that has ended."""
        self.tables = {name: table for name, table in self.tables.items() if table not in self.local}
        self.local.clear()


def _is_own(table: exp.Table) -> bool:
    """Whether a `with` makes what is named: one of a query around it, or an earlier part of the `with` it stands in."""
    inner: exp.Expr = table
    while (outer := inner.parent) is not None:
        if isinstance(outer, exp.With):
            parts = outer.expressions if outer.recursive else outer.expressions[: inner.index]
            # The query that this `with` belongs to knows its later parts, too, which its earlier ones do not.
            inner = outer.parent or outer
        else:
            own = outer.args.get("with_")
            parts = own.expressions if own is not None else []
            inner = outer
        if table.name.lower() in {part.alias_or_name.lower() for part in parts}:
            return True
    return False


def _target(tree: exp.Expr) -> exp.Table | None:
    if not isinstance(tree, (exp.Create, exp.Insert, exp.Delete, exp.Update, exp.Merge, exp.Drop, exp.Alter)):
        return None
    if getattr(tree, "kind", None) == "SCHEMA":
        return None
    [target, *_] = tree.args.get("tables") or [tree.this]
    target = target.this if isinstance(target, exp.Schema) else target
    return target if isinstance(target, exp.Table) else None


def _is_temporary(tree: exp.Expr) -> bool:
    return isinstance(tree, exp.Create) and tree.find(exp.TemporaryProperty) is not None


def _table(name: str, alias: str) -> exp.Table:
    """A table by its parts; a part may hold dots itself, the project's before its colon among them."""
    project, dataset, table = name.rsplit(".", 2) if name.count(".") >= 2 else (None, None, name)
    parts = [exp.to_identifier(part, quoted=True) if part else None for part in (table, dataset, project)]
    return exp.Table(
        this=parts[0],
        db=parts[1],
        catalog=parts[2],
        alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)) if alias else None,
    )
