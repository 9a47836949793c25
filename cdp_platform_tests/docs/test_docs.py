"""The documents hold together: links lead somewhere, and the words are the words of the code."""

import ast
import re
from pathlib import Path

import pytest

from cdp_platform_tests.architecture.tree import PACKAGE, ROOT, python_files, repository_files

GLOSSARY = ROOT / "docs" / "explanation" / "glossary.md"
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
WORDS = (
    "source",
    "source model",
    "destination",
    "connection",
    "entity",
    "object",
    "sync",
    "sync run",
    "mode",
    "mapping",
    "match key",
    "primary key",
    "plan",
    "digest",
    "delivered",
    "rejected",
    "unknown",
    "skipped",
    "pending",
    "unresolved",
    "idempotency key",
    "job",
    "ledger",
    "journal",
    "rejected row",
    "identifier",
    "profile",
    "trait",
    "event",
    "segment",
    "audience",
    "membership",
    "consent",
    "purpose",
    "suppression",
    "holdout",
    "lift",
    "feedback",
    "read-back",
)
# Of the synonyms, those that mean nothing else in Python, Dagster, dbt or a vendor's API.
FORBIDDEN = {
    "tenant",
    "extractor",
    "sink",
    "dead_letter",
    "dead_letters",
    "blacklist",
    "whitelist",
    "opt_in_flag",
    "field_map",
    "control_bucket",
    "dlq",
    "pipeline_run",
    "sync_target",
    "target_system",
}


def documents() -> list[Path]:
    return [path for path in repository_files() if path.suffix == ".md"]


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def headings(path: Path) -> set[str]:
    return {slug(match) for match in re.findall(r"^#+\s+(.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)}


def glossary_rows() -> list[list[str]]:
    lines = GLOSSARY.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][1:]


def identifiers(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
    return found


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().strip("_")


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(path: Path) -> None:
    broken = []
    for link in LINK.findall(re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        aim = (path.parent / name).resolve() if name else path
        if not aim.exists() or (anchor and aim.suffix == ".md" and anchor not in headings(aim)):
            broken.append(link)
    assert broken == []


def test_the_glossary_explains_every_word_once() -> None:
    explained = [word.strip() for row in glossary_rows() for word in row[0].split(",")]
    assert sorted(explained) == sorted(set(explained))
    assert set(WORDS) == set(explained)


def test_every_row_of_the_glossary_says_what_the_word_means() -> None:
    assert [row[0] for row in glossary_rows() if len(row) != 3 or not row[1]] == []


def test_no_identifier_uses_a_word_that_the_glossary_forbids() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in python_files(PACKAGE)
        for name in identifiers(path)
        if snake(name) in FORBIDDEN or FORBIDDEN & set(snake(name).split("_"))
    }
    assert found == set()


def test_every_guarantee_is_told_with_how_far_it_holds() -> None:
    told = (ROOT / "docs" / "explanation" / "guarantees.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (G\d+) \|[^|]+\| (holds|in part|not yet) \|", told, re.MULTILINE)
    assert [identifier for identifier, _ in rows] == [f"G{number}" for number in range(1, 16)]


def test_decisions_are_numbered_without_a_gap_and_short() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    assert [path.name for path in records if len(path.read_text(encoding="utf-8").splitlines()) > 60] == []
