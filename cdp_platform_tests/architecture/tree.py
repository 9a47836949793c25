"""What the architecture tests look at: the files of the repository, and the functions in them."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "cdp_platform"
TESTS = ROOT / "cdp_platform_tests"


@dataclass(frozen=True, kw_only=True)
class Function:
    """One function: where it stands and how many lines it takes, without its docstring and decorators."""

    place: str
    name: str
    line_count: int
    node: ast.FunctionDef | ast.AsyncFunctionDef


@cache
def repository_files() -> tuple[Path, ...]:
    """Every file that is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return tuple(ROOT / name for name in sorted(listed.split("\0")) if name and (ROOT / name).is_file())


def python_files(folder: Path) -> list[Path]:
    return [path for path in repository_files() if path.suffix == ".py" and path.is_relative_to(folder)]


def text_files() -> Iterator[tuple[str, str]]:
    """Name and text of every file that is text."""
    for path in repository_files():
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def functions_of(path: Path) -> list[Function]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        Function(place=f"{path.relative_to(ROOT)}:{node.lineno}", name=node.name, line_count=_lines(node), node=node)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def line_count(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is None:
        return length
    return length - ((first.end_lineno or first.lineno) - first.lineno + 1)
