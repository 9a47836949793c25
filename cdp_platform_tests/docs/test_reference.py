"""The reference tells every field, command and asset; what it shows is what the code has."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main
from pydantic import BaseModel

from cdp_platform.cli import app
from cdp_platform.components.destination import DestinationAccount
from cdp_platform.components.sync import SyncComponent
from cdp_platform.components.sync_definition import ConsentRule, MappingEntry, SyncLimits
from cdp_platform_tests.architecture.tree import ROOT
from cdp_platform_tests.docs.generate import FOLDER, PAGES

SYNC_PAGE = FOLDER / "sync-yaml.md"
GUIDES = sorted((ROOT / "docs").rglob("*.md"))
CDP_COMMAND = re.compile(r"`(?:\.venv/bin/)?cdp ([a-z]+)|^(?:\.venv/bin/)?cdp ([a-z]+)", re.MULTILINE)


def section(text: str, heading: str) -> str:
    """The text from a heading of the second level to the next one; the page's head for an empty heading."""
    start = text.index(f"\n## {heading}\n") if heading else 0
    end = text.find("\n## ", start + 1)
    return text[start:end] if end > 0 else text[start:]


def told_fields(text: str) -> set[str]:
    """The words in backticks of the first column of a page's tables."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)}


@pytest.mark.parametrize(("name", "page"), PAGES.items(), ids=PAGES)
def test_a_page_that_is_written_from_the_code_is_up_to_date(name: str, page: Callable[[], str]) -> None:
    remedy = "write it anew: python -m cdp_platform_tests.docs.generate"
    assert (FOLDER / name).read_text(encoding="utf-8") == page(), remedy


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("", SyncComponent),
        ("destination", DestinationAccount),
        ("consent", ConsentRule),
        ("mapping", MappingEntry),
        ("limits", SyncLimits),
    ],
)
def test_the_page_of_a_sync_tells_what_each_field_does(heading: str, model: type[BaseModel]) -> None:
    text = section(SYNC_PAGE.read_text(encoding="utf-8"), heading)
    assert told_fields(text) == set(model.model_fields)


def test_every_field_of_every_component_has_a_meaning() -> None:
    empty = [
        line for line in (FOLDER / "components.md").read_text(encoding="utf-8").splitlines() if line.endswith("|  |")
    ]
    assert empty == []


@pytest.mark.parametrize("path", [ROOT / "README.md", *GUIDES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_document_names_a_command_that_does_not_exist(path: Path) -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    named = {first or second for first, second in CDP_COMMAND.findall(path.read_text(encoding="utf-8"))}
    assert named - known == set()
