"""README.zh-TW.md says what README.md says, and what both show is what the project has."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdp_platform_tests.architecture.tree import ROOT

ENGLISH = ROOT / "README.md"
CHINESE = ROOT / "README.zh-TW.md"
IMAGE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)]+)\)")
BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
MOST_BYTES = 300 * 1024


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose(path: Path) -> str:
    return BLOCK.sub("", read(path))


def in_english(links: list[str]) -> list[str]:
    """Each README links to the other, and to the report of its own language."""
    return [link.replace("README.zh-TW.md", "README.md").replace("report.zh-Hant", "report") for link in links]


def test_both_readmes_are_short() -> None:
    assert [path.name for path in (ENGLISH, CHINESE) if len(read(path).splitlines()) >= 150] == []


def test_both_readmes_have_the_same_sections() -> None:
    levels = [re.findall(r"^(#+) ", prose(path), re.MULTILINE) for path in (ENGLISH, CHINESE)]
    assert levels[0] == levels[1]
    assert len(levels[0]) > 5


def test_both_readmes_show_the_same_commands_output_and_yaml() -> None:
    assert BLOCK.findall(read(ENGLISH)) == BLOCK.findall(read(CHINESE))


def test_both_readmes_name_the_same_words_of_the_code() -> None:
    words = [set(re.findall(r"`([^`]+)`", prose(path))) for path in (ENGLISH, CHINESE)]
    assert words[0] == words[1]


def test_both_readmes_make_as_many_points() -> None:
    points = [len(re.findall(r"^- \*\*", prose(path), re.MULTILINE)) for path in (ENGLISH, CHINESE)]
    assert points[0] == points[1] > 0


def test_both_readmes_lead_to_the_same_places() -> None:
    assert IMAGE.findall(read(ENGLISH)) == IMAGE.findall(read(CHINESE))
    assert in_english(LINK.findall(read(ENGLISH))) == in_english(LINK.findall(read(CHINESE)))


@pytest.mark.parametrize("name", ["demo", "ui"])
def test_the_commands_of_the_readme_can_be_made(name: str) -> None:
    assert f"make {name}\n" in read(ENGLISH)
    assert re.search(rf"^{name}:", read(ROOT / "Makefile"), re.MULTILINE)


def test_the_sync_of_the_readme_is_the_one_that_is_shipped_but_for_left_out_fields() -> None:
    (told,) = [yaml.safe_load(block.split("\n", 1)[1].rsplit("```", 1)[0]) for block in yaml_blocks()]
    shipped = yaml.safe_load(read(ROOT / "cdp_platform" / "defs" / "syncs" / "crm_contacts" / "defs.yaml"))
    assert told["type"] == shipped["type"]
    assert without_mapping(told) == without_mapping(shipped)
    assert all(entry in shipped["attributes"]["mapping"] for entry in told["attributes"]["mapping"])


def yaml_blocks() -> list[str]:
    return [block for block in BLOCK.findall(read(ENGLISH)) if block.startswith("```yaml")]


def without_mapping(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document["attributes"].items() if name != "mapping"}


def test_every_image_is_shown_somewhere_and_small_enough() -> None:
    pages = [ENGLISH, CHINESE, *(ROOT / "docs").rglob("*.md")]
    shown = {(path.parent / link).resolve() for path in pages for link in re.findall(r"\(([^)\s]+\.png)\)", read(path))}
    images = set((ROOT / "docs" / "images").glob("*.png"))
    assert shown == images
    assert [image.name for image in images if image.stat().st_size > MOST_BYTES] == []


def test_every_page_of_the_documentation_can_be_reached_from_its_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(read(index))}
    pages = {path for path in (ROOT / "docs").rglob("*.md") if path != index}
    assert pages - linked == set()
