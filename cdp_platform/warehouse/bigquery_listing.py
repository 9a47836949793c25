"""`information_schema.tables`, which BigQuery has for a dataset, or for a whole region and who may see all of it.

So the tables are asked for by the interface, which lists what the account may see, and stand in the query as values.
"""

from collections.abc import Iterator

import sqlglot
from google.api_core.exceptions import NotFound
from google.api_core.retry import Retry
from google.cloud import bigquery
from sqlglot import exp

_SCHEMA, _TABLES = "information_schema", "tables"
_COLUMNS = ("table_catalog", "table_schema", "table_name", "table_type")
_KINDS = {"TABLE": "BASE TABLE"}


def with_listing(tree: exp.Expr, client: bigquery.Client, left_out: str, retry: Retry) -> exp.Expr:
    """Put what there is, but for the dataset `left_out`, in the place of `information_schema.tables`.

    Datasets are asked for only as far as the statement's conditions name them. Raises what the client raises.
    """
    for table in [one for one in tree.find_all(exp.Table) if (one.db.lower(), one.name.lower()) == (_SCHEMA, _TABLES)]:
        rows = _rows(client, _named(tree), left_out, retry)
        fields = ", ".join(f"{name} string" for name in _COLUMNS)
        values = ", ".join(f"({', '.join(map(_text, row))})" for row in rows)
        query = sqlglot.parse_one(
            f"select {', '.join(_COLUMNS)} from unnest(array<struct<{fields}>>[{values}])", read="bigquery"
        )
        alias = exp.TableAlias(this=exp.to_identifier(table.alias or _TABLES))
        table.replace(exp.Subquery(this=query, alias=alias))
    return tree


def _named(tree: exp.Expr) -> list[str]:
    """The datasets that conditions of the statement name; none: all are meant."""
    equal = (one for one in tree.find_all(exp.EQ) if one.this.name == "table_schema" and one.expression.is_string)
    return [one.expression.name for one in equal]


def _rows(client: bigquery.Client, named: list[str], left_out: str, retry: Retry) -> Iterator[tuple[str, ...]]:
    datasets = named or [one.dataset_id for one in client.list_datasets(retry=retry)]
    for dataset in datasets:
        if dataset == left_out:
            continue
        try:
            for one in client.list_tables(dataset, retry=retry):
                yield one.project, dataset, one.table_id, _KINDS.get(one.table_type, one.table_type)
        except NotFound:
            continue


def _text(value: str) -> str:
    return exp.Literal.string(value).sql("bigquery")
