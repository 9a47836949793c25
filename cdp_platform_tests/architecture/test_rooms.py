"""The rooms of the house: what may stand in them, who may read the environment, who may import whom."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cdp_platform_tests.architecture.tree import PACKAGE, ROOT, TESTS, functions_of, python_files, text_files

MAY_READ_ENVIRONMENT = {
    "cdp_platform/connectors/credentials.py",
    "cdp_platform/components/resources.py",
    "cdp_platform/components/dbt_server.py",
}
NO_NOUN = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "manager",
    "managers",
    "processor",
    "handler",
    "handlers",
    "misc",
}
PROTOCOL_CALLS = {"raises", "warns", "fail", "deprecated_call"}


def layers() -> list[str]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    named = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [room.strip(" ()") for layer in named for room in layer.split("|")]


def reads_environment(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(
        isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "putenv", "unsetenv"}
        for node in ast.walk(tree)
    )


def asserts_something(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
            if name in PROTOCOL_CALLS or name.startswith(("assert_", "check_")):
                return True
    return False


def test_the_import_contracts_hold() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    result = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]


def test_every_room_stands_in_the_table_of_who_may_import_whom() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert rooms | modules <= set(layers())


def test_only_few_modules_touch_the_environment() -> None:
    readers = {path.relative_to(ROOT).as_posix() for path in python_files(PACKAGE) if reads_environment(path)}
    assert readers <= MAY_READ_ENVIRONMENT


def test_every_module_is_named_after_a_noun_of_the_field() -> None:
    named = [path.relative_to(ROOT).as_posix() for path in python_files(ROOT)]
    assert [name for name in named if NO_NOUN & set(re.split(r"[/_.]", name))] == []


@pytest.mark.parametrize("path", python_files(PACKAGE), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_says_what_it_is_for(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert not source.strip() or ast.get_docstring(ast.parse(source))


def test_every_test_asserts_something() -> None:
    tests = [
        function for path in python_files(TESTS) for function in functions_of(path) if function.name.startswith("test_")
    ]
    assert tests
    assert [one.place for one in tests if not asserts_something(one.node)] == []


def test_no_file_names_a_registry() -> None:
    hosts = "|".join(
        ["pypi" + r"\.org", "pythonhosted" + r"\.org", "npmjs" + r"\.(?:org|com)", "registry" + r"\.[a-z]+"]
    )
    listed = re.compile(rf"(?:https?://[^\s\"']*(?:{hosts})|--(?:extra-)?index-url\s+\S*://|--find-links[ =]\S)")
    assert [name for name, content in text_files() if listed.search(content)] == []


def test_no_file_names_a_path_of_one_machine() -> None:
    machine = re.compile(
        r"(?<![\w.<{])/(?:" + "|".join(["home/[a-z]", "Users/[A-Za-z]", "root/", "work/", "tmp/lab"]) + ")"
    )
    found = [name for name, content in text_files() if machine.search(content) and not name.endswith("test_rooms.py")]
    assert found == []


def test_certificates_are_always_verified() -> None:
    banned = re.compile(r"verify\s*=\s*False|CERT_NONE|_create_unverified_context|disable_warnings\(")
    sources = [(path, path.read_text(encoding="utf-8")) for path in python_files(PACKAGE)]
    assert [path.name for path, content in sources if banned.search(content)] == []


def test_nothing_listens_to_the_whole_network() -> None:
    everywhere = "0.0" + ".0.0"
    assert [path.name for path in python_files(PACKAGE) if everywhere in path.read_text(encoding="utf-8")] == []
