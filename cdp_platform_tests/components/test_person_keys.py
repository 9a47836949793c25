"""Rows of who was forgotten are dropped before a raw table is loaded; a table that says nothing is not loaded."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from cdp_platform.components.dbt_manifest import DbtManifest
from cdp_platform.components.person_keys import declared_person_keys, without_forgotten_rows
from cdp_platform.components.resources import PLATFORM
from cdp_platform.erasure.identifiers import read_key
from cdp_platform.erasure.tombstones import remember
from cdp_platform.errors import CdpError, ConfigError

ROWS = pa.table({"household_id": [1, 2, 3], "email": ["a@example.com", None, "B@Example.com "]})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CDP_HOME", str(tmp_path))
    return tmp_path


def declare(home: Path, person_key: object) -> None:
    """Write a manifest in which the raw table has this person key."""
    source = {"schema": "raw_shop", "identifier": "people", "config": {"meta": {"person_key": person_key}}}
    (home / "dbt").mkdir()
    (home / "dbt" / "manifest.json").write_text(json.dumps({"nodes": {}, "sources": {"s": source}}), encoding="utf-8")


def forget(**values: str) -> None:
    key = read_key(PLATFORM.home.forgotten_key, may_make=True)
    with PLATFORM.warehouse.session("test") as session:
        remember(session, key, {kind: [value] for kind, value in values.items()})


def test_where_nobody_was_forgotten_no_declaration_is_asked_for(home: Path) -> None:
    assert without_forgotten_rows(PLATFORM, "raw_shop.people", ROWS) == (ROWS, 0)


def test_rows_are_dropped_by_any_of_their_identifiers(home: Path) -> None:
    declare(home, {"household_id": "customer_number", "email": "email"})
    forget(customer_number="1", email="b@example.com")
    kept, dropped = without_forgotten_rows(PLATFORM, "raw_shop.people", ROWS)
    assert (kept["household_id"].to_pylist(), dropped) == ([2], 2)


def test_a_table_without_persons_is_loaded_as_it_is(home: Path) -> None:
    declare(home, "none")
    forget(customer_number="1")
    assert without_forgotten_rows(PLATFORM, "raw_shop.people", ROWS) == (ROWS, 0)


def test_a_table_that_says_nothing_is_not_loaded(home: Path) -> None:
    forget(customer_number="1")
    with pytest.raises(ConfigError, match=r"raw_shop\.people does not say whose rows it holds; nothing was loaded"):
        without_forgotten_rows(PLATFORM, "raw_shop.people", ROWS)


@pytest.mark.parametrize(
    ("person_key", "says"),
    [(None, "does not say whose rows"), ({}, "does not say"), ({"email": "e-mail"}, "Did you mean `email`")],
)
def test_a_person_key_that_cannot_be_read_names_the_table(home: Path, person_key: object, says: str) -> None:
    declare(home, person_key)
    manifest = DbtManifest.read(home / "dbt" / "manifest.json")
    with pytest.raises(ConfigError, match=says):
        declared_person_keys(manifest)


def test_without_the_key_file_nothing_is_loaded(home: Path) -> None:
    declare(home, {"household_id": "customer_number"})
    forget(customer_number="1")
    PLATFORM.home.forgotten_key.unlink()
    with pytest.raises(CdpError, match=r"forgotten\.key holds no key, or is gone"):
        without_forgotten_rows(PLATFORM, "raw_shop.people", ROWS)
