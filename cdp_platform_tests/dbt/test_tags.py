"""dbt's statements are tagged with the run and the asset that build, and no run is part of what was parsed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dbt.config.renderer import DbtProjectYamlRenderer
from jinja2 import Environment

from cdp_platform.components import dbt_project
from cdp_platform.components.dbt_project import DbtProject
from cdp_platform.components.dbt_server import Ended
from cdp_platform.domain.home import Home
from cdp_platform_tests.dbt.conftest import PROJECT

VARIABLE = "CDP_DBT_WORK"
WORK = {"run": "0b1c", "asset": "models"}


class _Node:
    unique_id = "model.cdp.orders"


def rendered(template: str, work: Mapping[str, str] | None, **more: Any) -> str:
    """What dbt makes of a template of the project's, where a step is at `work`."""

    def env_var(name: str, default: str) -> str:
        assert name == VARIABLE
        return default if work is None else json.dumps(work)

    given = {"tojson": json.dumps, "fromjson": json.loads, "env_var": env_var, **more}
    return Environment(extensions=["jinja2.ext.do"]).from_string(template).render(given)


def test_each_statement_carries_a_comment_with_node_run_and_asset() -> None:
    comment = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["query-comment"]
    assert comment["job-label"] is True
    told = json.loads(rendered(comment["comment"], WORK, node=_Node))
    assert told == {"application": "cdp", "purpose": "dbt", "node": "model.cdp.orders", **WORK}
    by_hand = json.loads(rendered(comment["comment"], None, node=None))
    assert by_hand == {"application": "cdp", "purpose": "dbt", "node": "none"}


@pytest.mark.parametrize("asset", ["models", "shop/it's", 'shop/"new"'])
def test_on_snowflake_each_node_sets_the_tag_of_its_session(asset: str) -> None:
    said: list[str] = []
    macro = (PROJECT / "macros" / "snowflake_query_tag.sql").read_text(encoding="utf-8")
    call = "{{ snowflake__set_query_tag() }}"
    rendered(macro + call, {**WORK, "asset": asset}, model=_Node, run_query=said.append, **{"return": lambda value: ""})
    [statement] = said
    tag = statement.removeprefix("alter session set query_tag = '").removesuffix("'")
    plain = tag.replace("''", "'").replace("\\\\", "\\")
    assert json.loads(plain) == {
        "application": "cdp", "purpose": "dbt", "node": "model.cdp.orders", "run": "0b1c", "asset": asset,
    }  # fmt: skip


def test_a_build_by_hand_sets_no_tag_on_snowflake() -> None:
    said: list[str] = []
    macro = (PROJECT / "macros" / "snowflake_query_tag.sql").read_text(encoding="utf-8")
    rendered(macro + "{{ snowflake__set_query_tag() }}", None, run_query=said.append, **{"return": lambda value: ""})
    assert said == []


def test_no_run_is_part_of_what_dbt_parses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps(WORK))
    content = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    renderer = DbtProjectYamlRenderer(None)
    assert renderer.render_data(content)["query-comment"] == content["query-comment"]
    assert VARIABLE not in renderer.ctx_obj.env_vars
    texts = {path: path.read_text(encoding="utf-8") for path in PROJECT.rglob("*") if path.suffix in (".sql", ".yml")}
    assert {path.name for path, text in texts.items() if VARIABLE in text and "target" not in path.parts} == {
        "dbt_project.yml",
        "snowflake_query_tag.sql",
    }


@dataclass
class Builder:
    """Stands in for dbt's process: builds nothing, and keeps the environment that it was given."""

    environments: list[Mapping[str, str]] = field(default_factory=list)

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], *, timeout_seconds: float) -> Ended:
        self.environments.append(environment)
        target = Path(arguments[arguments.index("--target-path") + 1])
        target.mkdir(parents=True, exist_ok=True)
        (target / "run_results.json").write_text('{"results": []}', encoding="utf-8")
        return Ended(returncode=0, output="")


def test_a_build_in_a_step_is_told_of_its_run_and_its_asset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dbt_project, "DBT", builder := Builder())
    project = DbtProject(folder=PROJECT, home=Home(root=tmp_path))

    @dg.asset
    def orders() -> None:
        project.build(["orders"], None)

    done = dg.materialize([orders])
    project.build(["orders"], None)
    told = [json.loads(environment[VARIABLE]) for environment in builder.environments]
    assert done.success and told == [{"run": done.run_id, "asset": "orders"}, {}]
