"""On which warehouses an example runs; the fixtures of `conftest` give it a home on each."""

import pytest

SERVERS = ("postgres", "snowflake", "bigquery")
"""The warehouses behind a server or an emulator."""


def on(*engines: str, fast: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """Run an example on these warehouses, by default on each of SERVERS; in the fast suite on those of `fast` alone."""
    cases = [pytest.param(engine, marks=[] if engine in fast else [pytest.mark.slow]) for engine in engines or SERVERS]
    return pytest.mark.parametrize("engine", cases, indirect=True, scope="module")
