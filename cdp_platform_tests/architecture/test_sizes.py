"""Nothing grows beyond what a reader can hold: the test names what is over."""

import statistics
from collections.abc import Callable
from pathlib import Path

from cdp_platform_tests.architecture.tree import PACKAGE, ROOT, functions_of, line_count, python_files, repository_files

MODULE_LINES, DESTINATION_LINES, FUNCTION_LINES = 350, 300, 50
SQL_LINES, README_LINES, DEFS_LINES = 120, 150, range(10, 36)
MEDIAN_FUNCTION_LINES = 12


def over(paths: list[Path], limit: int) -> list[str]:
    return [f"{path.relative_to(ROOT)}: {line_count(path)}" for path in paths if line_count(path) > limit]


def test_no_module_is_longer_than_its_limit() -> None:
    assert over(python_files(PACKAGE), MODULE_LINES) == []


def test_no_destination_is_longer_than_its_limit() -> None:
    assert over(python_files(PACKAGE / "destinations"), DESTINATION_LINES) == []


def test_no_function_is_longer_than_its_limit() -> None:
    functions = [function for path in python_files(PACKAGE) for function in functions_of(path)]
    assert functions
    long = [f"{one.place} {one.name}: {one.line_count}" for one in functions if one.line_count > FUNCTION_LINES]
    assert long == []


def test_functions_are_short_as_a_rule(record_property: Callable[[str, object], None]) -> None:
    counts = [function.line_count for path in python_files(PACKAGE) for function in functions_of(path)]
    median, p90 = statistics.median(counts), statistics.quantiles(counts, n=10)[-1]
    record_property("function_lines_median", median)
    record_property("function_lines_p90", p90)
    assert median <= MEDIAN_FUNCTION_LINES, f"median {median}, p90 {p90}"


def test_no_sql_model_is_longer_than_its_limit() -> None:
    assert over([path for path in repository_files() if path.suffix == ".sql"], SQL_LINES) == []


def test_a_definition_is_short_enough_to_be_read_at_a_glance() -> None:
    found = [path for path in repository_files() if path.name == "defs.yaml" and path.is_relative_to(PACKAGE)]
    wrong = [f"{path.relative_to(ROOT)}: {line_count(path)}" for path in found if line_count(path) not in DEFS_LINES]
    assert wrong == []


def test_the_readme_stays_short() -> None:
    assert line_count(ROOT / "README.md") < README_LINES
