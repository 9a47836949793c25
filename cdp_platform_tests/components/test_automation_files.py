"""The automations of a project's files, judged together: which syncs and assets there are, who runs what."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cdp_platform.components.environment import VARIABLE
from cdp_platform.errors import ConfigError
from cdp_platform_tests.components.test_sync_component import definitions, home

__all__ = ["home"]
TYPE = "cdp_platform.components.AutomationComponent"


def write(folder: Path, **files: dict[str, Any]) -> Path:
    for name, attributes in files.items():
        (folder / name).mkdir(parents=True)
        content = yaml.safe_dump({"type": TYPE, "attributes": attributes})
        (folder / name / "defs.yaml").write_text(content, encoding="utf-8")
    return folder


def test_a_rule_is_a_sensor_in_its_environment_only(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = {"run": {"crm": {"syncs": ["crm_contacts"], "environments": ["local"]}}, "take_up_sends": False}
    assert not definitions(write(tmp_path / "first", automation=rules)).sensors
    monkeypatch.setenv(VARIABLE, "local")
    [sensor] = definitions(write(tmp_path / "second", automation=rules)).sensors or []
    assert sensor.name == "crm"


def test_two_files_that_would_run_one_sync_are_refused_with_both_their_names(home: Path, tmp_path: Path) -> None:
    rules = {"run": {"crm": {"syncs": ["crm_contacts"]}}}
    with pytest.raises(ConfigError, match=r"'crm_contacts' is run by '.*/one/defs.yaml: crm' and by '.*/two/defs.yaml"):
        definitions(write(tmp_path / "defs", one=rules, two=rules))


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"run": {"crm": {"syncs": ["crm_contact"]}}}, "there is no sync 'crm_contact'. Did you mean `crm_contacts`"),
        (
            {"watch": {"w": {"files": "*.csv", "runs": ["plans/crm_contact"]}}},
            "there is no asset 'plans/crm_contact'. Did you mean `plans/crm_contacts`",
        ),
    ],
)
def test_a_name_that_is_not_there_is_told_with_file_and_nearest_name(
    home: Path, tmp_path: Path, attributes: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told) as failure:
        definitions(write(tmp_path / "defs", automation=attributes))
    assert "automation/defs.yaml:" in str(failure.value)
