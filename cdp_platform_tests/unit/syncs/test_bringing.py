"""What the file of `state: local` may take while rows come into it."""

from pathlib import Path

import pytest

from cdp_platform.syncs.bringing import _flat
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform.warehouse.duckdb_memory import bytes_of

_SETTINGS = ("memory_limit", "threads", "preserve_insertion_order")
_TOLD = "select " + ", ".join(f"current_setting('{name}') as {name}" for name in _SETTINGS)


@pytest.mark.parametrize(("memory", "held"), [("1GB", "158.9 MiB"), ("256MB", "152.5 MiB")])
def test_while_rows_come_in_a_session_has_a_sixth_of_its_memory(tmp_path: Path, memory: str, held: str) -> None:
    with DuckDbWarehouse(tmp_path / "state.duckdb", memory=memory).session("test") as session:
        [before] = session.rows(_TOLD)
        with _flat(session):
            [told] = session.rows(_TOLD)
            assert (told["memory_limit"], told["preserve_insertion_order"]) == (held, False)
        [after] = session.rows(_TOLD)
        # DuckDB tells the size with one digit after the point.
        assert bytes_of(after.pop("memory_limit")) == pytest.approx(bytes_of(before.pop("memory_limit")), rel=0.001)
        assert after == before
