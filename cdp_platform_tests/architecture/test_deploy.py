"""The files under `deploy` agree with the package, hold no secret, and let nothing listen where it should not.

They were not run: what a field of compose or of the chart is called was read in their schemas on 2026-11-23.
"""

import re
import shlex
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdp_platform.cli import app
from cdp_platform.components.environment import ENVIRONMENTS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SETTINGS = {
    "CDP_BROKER",
    "CDP_ENVIRONMENT",
    "CDP_HOME",
    "CDP_JOURNAL",
    "CDP_PLANS_URL",
    "CDP_POSTGRES",
    "CDP_WAREHOUSE",
}
SERVICE_FIELDS = {
    *("build", "command", "depends_on", "env_file", "environment", "healthcheck", "image", "ports", "restart"),
    *("stop_grace_period", "volumes"),
}
CHART_FIELDS = {
    *("dagsterWebserver", "dagster-user-deployments", "postgresql", "generatePostgresqlPasswordSecret", "global"),
    *("generateCeleryConfigSecret", "rabbitmq", "redis", "flower", "ingress", "imagePullSecrets", "computeLogManager"),
    *("scheduler", "runLauncher", "pythonLogs", "dagsterDaemon", "busybox", "migrate", "telemetry", "serviceAccount"),
    *("retention", "concurrency", "additionalInstanceConfig"),
}
DEPLOYMENT_FIELDS = {
    *("name", "image", "port", "dagsterApiGrpcArgs", "codeServerArgs", "includeConfigInLaunchedRuns", "env"),
    *("envConfigMaps", "envSecrets", "annotations", "resources", "labels", "volumeMounts", "volumes"),
}


def read(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8")))


SERVICES: dict[str, dict[str, Any]] = read("compose.yaml")["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)


def test_the_cluster_has_its_parts() -> None:
    assert set(SERVICES) == {"postgres", "redis", "code", "webserver", "daemon", "worker-one", "worker-two"}
    assert sum(SERVICES[name]["command"][:2] == ["cdp", "worker"] for name in OURS) == 2


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_fields_that_compose_knows_and_an_image_of_a_version(name: str) -> None:
    service = SERVICES[name]
    assert set(service) <= SERVICE_FIELDS
    assert re.fullmatch(r"[a-z-]+:[\d.]+", service["image"])
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    for other, told in service.get("depends_on", {}).items():
        assert told == {"condition": "service_healthy"} and "healthcheck" in SERVICES[other]


def test_our_image_has_the_version_of_the_package() -> None:
    assert {SERVICES[name]["image"] for name in OURS} == {f"cdp-platform:{PROJECT['version']}"}
    image = read("helm-values.yaml")["dagster-user-deployments"]["deployments"][0]["image"]
    assert image["tag"] == PROJECT["version"]


@pytest.mark.parametrize("name", OURS)
def test_a_command_is_one_that_the_image_has(name: str) -> None:
    program, *words = SERVICES[name]["command"]
    if program == "cdp":
        assert program in PROJECT["scripts"]
        commands = {group.typer_instance.registered_commands[0].callback.__name__ for group in app.registered_groups}  # type: ignore[union-attr]
        assert words[0] in commands
        return
    assert program in ("dagster", "dagster-webserver", "dagster-daemon")
    if "--python-module" in words:
        assert find_spec(words[words.index("--python-module") + 1])


def test_only_the_web_server_can_be_reached_and_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"webserver": ["127.0.0.1:3000:3000"]}
    assert read("helm-values.yaml")["dagsterWebserver"]["service"]["type"] == "ClusterIP"


def test_the_workspace_leads_to_the_code_location_where_it_listens() -> None:
    [location] = read("workspace.yaml")["load_from"]
    command = SERVICES[location["grpc_server"]["host"]]["command"]
    assert command[command.index("--port") + 1] == str(location["grpc_server"]["port"])


def test_every_process_of_ours_has_the_same_settings_and_they_are_settings_that_there_are() -> None:
    environments = [SERVICES[name]["environment"] for name in OURS]
    assert all(one == environments[0] for one in environments)
    [deployment] = read("helm-values.yaml")["dagster-user-deployments"]["deployments"]
    for told in (environments[0], deployment["env"]):
        names = {name for name in told if name.startswith("CDP_")}
        assert names <= SETTINGS
        assert {"CDP_JOURNAL", "CDP_PLANS_URL", "CDP_POSTGRES"} <= names
        assert told["CDP_ENVIRONMENT"] in ENVIRONMENTS
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "cdp_platform").rglob("*.py"))
    assert all(f'"{name}"' in code for name in SETTINGS)


@pytest.mark.parametrize("path", sorted(DEPLOY.iterdir()), ids=lambda path: path.name)
def test_no_file_holds_a_secret(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith(("#", "--")):
            continue
        assert not re.search(r"://[^/\s@]*:[^/\s@]+@", line), "a password in an address"
        told = re.search(r"(?i)\b\w*(?:password|token|secret)\w*\s*[:=]\s*(.+)", line)
        if told and "Secret" not in line:
            assert told[1].startswith("${") and ":?" in told[1], line


def test_the_image_is_made_from_the_lock_with_hashes_and_runs_as_nobody_special() -> None:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    copied = [word for step, words in steps if step == "COPY" for word in shlex.split(words)[:-1]]
    assert all((ROOT / word).exists() for word in copied)
    assert any(step == "RUN" and "--require-hashes -r requirements-all.lock" in words for step, words in steps)
    users = [words for step, words in steps if step == "USER"]
    assert users and users[-1] != "root"
    minor = re.search(r"python:(3\.\d+)", steps[0][1])
    assert minor and PROJECT["requires-python"] == f">={minor[1]}"


def test_the_charts_values_are_such_as_it_knows() -> None:
    values = read("helm-values.yaml")
    assert set(values) <= CHART_FIELDS
    assert values["runLauncher"]["type"] in ("CeleryK8sRunLauncher", "K8sRunLauncher", "CustomRunLauncher")
    [deployment] = values["dagster-user-deployments"]["deployments"]
    assert set(deployment) <= DEPLOYMENT_FIELDS
    assert deployment["includeConfigInLaunchedRuns"] == {"enabled": True}, "the pods of runs share the journal, too"


def test_the_instances_file_is_one_that_dagster_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dagster_postgres", reason="the extra `cluster` is not installed: dagster.yaml was NOT tested")
    from dagster._core.instance.ref import InstanceRef

    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "postgresql+psycopg2://cdp@127.0.0.1:1/dagster")
    (tmp_path / "dagster.yaml").write_bytes((DEPLOY / "dagster.yaml").read_bytes())
    ref = InstanceRef.from_dir(str(tmp_path))
    assert "DAGSTER_POSTGRES_URL" in str(ref.storage_data) and "127.0.0.1" not in str(ref.to_dict())
