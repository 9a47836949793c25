"""Where the platform runs: by the variable, else by the project's file, else embedded."""

import sys
from pathlib import Path

import dagster as dg
import pytest

from cdp_platform.cli.worker_command import celery_app
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


def test_of_a_cluster_the_brokers_address_stands_in_no_runs_configuration(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dagster_celery", reason="the extra `cluster` is not installed: its executor was NOT tested")
    monkeypatch.setenv("CDP_ENVIRONMENT", "cluster")
    monkeypatch.setenv("CDP_BROKER", "redis://:canary@127.0.0.1:1/0")
    executor = executor_of(current_environment())
    assert executor.name == "celery"
    assert "canary" not in repr(vars(executor))


def test_a_cluster_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dagster_celery", None)
    with pytest.raises(ConfigError, match=r"Install cdp-platform\[cluster\]"):
        executor_of("cluster")


def test_a_worker_without_a_broker_says_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dagster_celery", reason="the extra `cluster` is not installed: its worker was NOT tested")
    monkeypatch.delenv("CDP_BROKER", raising=False)
    with pytest.raises(ConfigError, match="CDP_BROKER is not set"):
        celery_app()


def test_an_unknown_one_is_an_error_with_its_line(project: Path) -> None:
    (project / "cdp.yaml").write_text("defs: defs\nenvironment: cloud\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cdp\.yaml:2, field `environment`: 'cloud' cannot be taken: .*'embedded'"):
        current_environment()
