"""What the tests of the components share: a home with dbt's manifest, and the definitions loaded on it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cdp_platform.components.loading import load_definitions
from cdp_platform.domain.home import Home

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def parsed_home(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Iterator[Path]:
    """A CDP_HOME for the module, in which dbt has parsed the project; no secret is set."""
    root = tmp_path_factory.mktemp("home")
    shutil.copytree(parsed_project, Home(root=root).dbt_target)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDP_HOME", str(root))
        for name in ("HUBSPOT_TOKEN", "HUBSPOT_BASE_URL", "CDP_SANDBOX_URL", "CDP_ENVIRONMENT"):
            patch.delenv(name, raising=False)
        yield root


@pytest.fixture(scope="module")
def definitions(parsed_home: Path) -> dg.Definitions:
    """The definitions of the project itself."""
    return load_definitions(ROOT / "cdp_platform" / "defs", project_root=ROOT)
