"""One account after an undisturbed first day, copied for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cdp_platform_tests.faults.stage import Stage, prepare, staged


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an account that knows the first day, with the second day's models waiting."""
    folder = tmp_path_factory.mktemp("template")
    prepare(folder)
    return folder


@pytest.fixture
def stage(template: Path, tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path / "stage", template) as stage:
        yield stage
