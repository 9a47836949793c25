"""Where a pace may lie: in a file, and, for the examples that ask for a `place`, in the database that hosts share."""

from pathlib import Path

import pytest


@pytest.fixture(params=["file", pytest.param("postgres", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """What a `Bucket` is opened with."""
    return tmp_path / "limits.sqlite" if request.param == "file" else request.getfixturevalue("postgres").emptied()
