"""`information_schema.tables` on BigQuery: what the interface lists stands in the query."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed: it was NOT tested")

from google.api_core.exceptions import NotFound
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY

from cdp_platform.warehouse.bigquery_listing import with_listing
from cdp_platform.warehouse.bigquery_sql import said, written

THERE = {"marts": {"profiles": "TABLE", "seen": "VIEW"}, "cdp_temp": {"s1_0_mine": "TABLE"}, "cdp": {"it's": "TABLE"}}


class _Client:
    """Knows tables by dataset, and remembers of which it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def list_datasets(self, **_: object) -> list[Any]:
        return [SimpleNamespace(dataset_id=name) for name in THERE]

    def list_tables(self, dataset: str, **_: object) -> Iterator[Any]:
        self.asked.append(dataset)
        if dataset not in THERE:
            raise NotFound(dataset)
        for name, kind in THERE[dataset].items():
            yield SimpleNamespace(project="acme", table_id=name, table_type=kind)


def listed(client: _Client, sql: str) -> str:
    return written(with_listing(said(sql), cast("bigquery.Client", client), "cdp_temp", DEFAULT_RETRY))


def test_every_table_but_the_sessions_own_is_told_with_what_it_is() -> None:
    sql = listed(client := _Client(), "select table_name from information_schema.tables where table_type = 'VIEW'")
    assert "('acme', 'marts', 'profiles', 'BASE TABLE'), ('acme', 'marts', 'seen', 'VIEW')" in sql
    assert r"('acme', 'cdp', 'it\'s', 'BASE TABLE')" in sql
    assert client.asked == ["marts", "cdp"]


def test_one_dataset_is_asked_where_the_statement_names_one_and_may_be_missing() -> None:
    sql = listed(client := _Client(), "select 1 as n from information_schema.tables where table_schema = 'audiences'")
    assert client.asked == ["audiences"]
    assert "[]" in sql


def test_a_statement_about_anything_else_asks_nothing() -> None:
    assert "unnest" not in listed(client := _Client(), "select n from marts.tables").lower()
    assert client.asked == []
