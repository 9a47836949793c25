"""Where the platform runs: by the variable, else by the project's file, else embedded."""

from pathlib import Path

import dagster as dg
import pytest

from cdp_platform.components.environment import current_environment, executor_of
from cdp_platform.errors import ConfigError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder, as the current one."""
    for name in ("CDP_ENVIRONMENT", "CDP_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "defs").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_word_it_is_embedded(project: Path) -> None:
    assert current_environment() == "embedded"
    (project / "cdp.yaml").write_text("defs: defs\n", encoding="utf-8")
    assert current_environment() == "embedded"
    assert executor_of("embedded") is dg.in_process_executor


def test_the_projects_file_says_it_and_the_variable_replaces_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "cdp.yaml").write_text("defs: defs\nenvironment: local\n", encoding="utf-8")
    assert current_environment() == "local"
    assert executor_of("local") is dg.multiprocess_executor
    monkeypatch.setenv("CDP_ENVIRONMENT", "embedded")
    assert current_environment() == "embedded"


def test_an_unknown_one_is_an_error_with_its_line(project: Path) -> None:
    (project / "cdp.yaml").write_text("defs: defs\nenvironment: cloud\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cdp\.yaml:2, field `environment`: 'cloud' cannot be taken: .*'embedded'"):
        current_environment()
