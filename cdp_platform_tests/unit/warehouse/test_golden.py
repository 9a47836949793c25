"""What syncs, identity and audiences tell each engine: on record, read by sqlglot, and of functions that it has."""

import itertools
import logging
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import Final

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from cdp_platform.audiences.compile import compile_audience
from cdp_platform.audiences.compile_traits import compile_traits
from cdp_platform.domain.syncs import Mode
from cdp_platform.identity.normalisers import parse_normaliser
from cdp_platform_tests.unit.audiences import conftest as market
from cdp_platform_tests.unit.audiences.market import AS_OF
from cdp_platform_tests.unit.audiences.test_computed import one_of_each
from cdp_platform_tests.unit.audiences.test_sql import everything
from cdp_platform_tests.unit.identity.test_normalisers import WRITTEN
from cdp_platform_tests.unit.identity.test_present import ANNE, FIRST, OTHERS, SECOND, Records
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of
from cdp_platform_tests.warehouses.functions import KNOWN, UNSAYABLE
from cdp_platform_tests.warehouses.listening import ENGINES, Listening

GOLDEN = Path(__file__).parent / "golden"
LOST: Final[dict[str, frozenset[str]]] = {}
"""What sqlglot says that it leaves out."""
PARTS: Final = ("syncs", "identity", "audiences")
_CALL = re.compile(r"(?<![`\"\w.])([A-Za-z_]\w*)\(")
_WORDS = {"and", "or", "not", "on", "as", "in", "exists", "values", "where", "over", "from", "join", "select", "then",
          "else", "when", "filter", "using", "table", "end", "between", "by", "primary", "is"}  # fmt: skip
TYPES: Final = {
    "snowflake": {"VARCHAR", "BIGINT", "INT", "DOUBLE", "BOOLEAN", "DECIMAL", "TIMESTAMPTZ", "TIMESTAMPNTZ", "DATE",
                  "ARRAY"},
    "bigquery": {"STRING", "INT64", "BOOL", "NUMERIC", "TIMESTAMP", "DATETIME", "DATE", "ARRAY<STRING>"},
}  # fmt: skip
_PASSING = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+]\d\d(?::\d\d)?)?"), "<time>"),
    (re.compile(r"(?<![0-9a-f])[0-9a-f]{12,64}(?![0-9a-f])"), "<hex>"),
    (re.compile(r"\b\d{15,}\b"), "<number>"),
)
"""What may be another each time, or with another version of DuckDB."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a part of the platform tells an engine, each statement once, and what sqlglot said that it left out."""

    engine: str
    part: str
    statements: list[str]
    trees: list[exp.Expr | None]
    lost: frozenset[str]


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Listening]:
    """Warehouses that have heard the whole of a part of the platform, by the part."""
    return {part.__name__: part(tmp_path_factory.mktemp(part.__name__)) for part in (syncs, identity, audiences)}


@pytest.fixture(scope="module", params=itertools.product(PARTS, ENGINES), ids="-".join)
def told(heard: dict[str, Listening], request: pytest.FixtureRequest) -> Told:
    part, engine = request.param
    lost: list[str] = []
    keeper = logging.Handler()
    keeper.emit = lambda record: lost.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("sqlglot").addHandler(keeper)
    try:
        statements = heard[part].said(engine)
    finally:
        logging.getLogger("sqlglot").removeHandler(keeper)
    trees = [sqlglot.parse_one(sql, read=engine) for sql in statements]
    return Told(engine=engine, part=part, statements=statements, trees=trees, lost=frozenset(lost))


def syncs(folder: Path) -> Listening:
    """Three runs, with a withdrawal, a removal and a change among them."""
    shop = Shop(folder)
    shop.warehouse = listening = Listening(shop.home.warehouse)
    shop.spec = spec_of(mode=Mode.MIRROR)
    shop.people([person_of(number) for number in range(1, 5)])
    listening.heard.clear()
    shop.run()
    kept = len(listening.heard)
    shop.people([person_of(1, permission="withdrawn"), person_of(2, segment="new"), person_of(3)])
    del listening.heard[kept:]
    shop.run()
    shop.run()
    return listening


def identity(folder: Path) -> Listening:
    """All records, those of the day after, and each step of each normaliser."""
    records = Records(folder)
    records.warehouse = listening = Listening(folder / "heard.duckdb")
    records.put([*ANNE, *OTHERS])
    listening.heard.clear()
    records.update(FIRST)
    records.update(SECOND)
    with listening.session("test") as session:
        session.register("given", pa.table({"value": ["Anne"]}))
        for step in dict.fromkeys(step("value") for one in WRITTEN for step in parse_normaliser(one).steps):
            session.rows(f"select {step} as value from given")
    return listening


def audiences(folder: Path) -> Listening:
    """The baseline, and a day on which one enters, one leaves and the definition is another."""
    listening = Listening(folder / "heard.duckdb")
    with listening.session("test") as session:
        shop = market.Shop(session, listening)
        shop.spent(stays=40, leaves=20, enters=0)
        listening.heard.clear()
        shop.run(market.spenders(holdout_share=0.5))
        kept = len(listening.heard)
        shop.spent(stays=40, leaves=0, enters=40)
        del listening.heard[kept:]
        shop.run(market.spenders(30, holdout_share=0.5), market.NEXT_DAY, before=market.spenders(holdout_share=0.5))
        for compiled in (
            compile_audience(everything(market.CATALOGUE), market.CATALOGUE, as_of=AS_OF),
            compile_traits(one_of_each(), market.CATALOGUE, as_of=AS_OF),
        ):
            session.rows(compiled.sql, compiled.parameters)
    return listening


def test_the_statements_are_those_on_record(told: Told) -> None:
    """On purpose? Then delete the file and run again: it is written, and this test fails once."""
    text = "\n\n".join("\n".join(lines(f"{sql};")) for sql in told.statements) + "\n"
    for passing, said in _PASSING:
        text = passing.sub(said, text)
    file = GOLDEN / f"{told.part}.{told.engine}.txt"
    is_there = file.is_file()
    if not is_there:
        file.write_text(text, encoding="utf-8")
    assert is_there and file.read_text(encoding="utf-8") == text


def lines(sql: str) -> list[str]:
    # Blanks of other alphabets stay as they are.
    told = re.sub(r" *\n *", " ", sql)
    return wrap(told, 118, break_long_words=False, break_on_hyphens=False, expand_tabs=False, replace_whitespace=False)


def test_every_statement_is_read_and_nothing_of_it_is_lost(told: Told) -> None:
    assert len(told.statements) > 30
    for sql, tree in zip(told.statements, told.trees, strict=True):
        assert tree is not None and (not isinstance(tree, exp.Command) or sql.startswith("CALL take_name(")), sql
    assert told.lost <= LOST.get(told.engine, frozenset())


def test_every_function_is_one_that_the_engine_has(told: Told) -> None:
    called = set[str]()
    for sql in told.statements:
        called |= {name.lower() for name in _CALL.findall(without_texts(sql, told.engine))}
    assert called - _WORDS - functions_of(told.engine) == set()


def without_texts(sql: str, engine: str) -> str:
    text = r"'(?:[^'\\]|\\.)*'" if engine in ("snowflake", "bigquery") else r"'(?:[^']|'')*'"
    return re.sub(rf"{text}|\"[^\"]*\"|`[^`]*`", "''", sql)


@cache
def functions_of(engine: str) -> frozenset[str]:
    if engine != "duckdb":
        return KNOWN[engine] | UNSAYABLE.get(engine, frozenset())
    with duckdb.connect() as connection:
        rows = connection.execute("select distinct function_name from duckdb_functions()").fetchall()
    return frozenset(name for (name,) in rows) | KNOWN["duckdb"]


def test_no_type_of_duckdbs_is_left(told: Told) -> None:
    kinds = {
        re.sub(r"\(.*\)", "", kind.sql(told.engine))
        for tree in told.trees
        if tree is not None
        for kind in tree.find_all(exp.DataType)
    }
    assert told.engine not in TYPES or kinds <= TYPES[told.engine]


def test_every_table_of_bigquery_is_named_with_its_project(heard: dict[str, Listening]) -> None:
    for sql in itertools.chain.from_iterable(one.said("bigquery") for one in heard.values()):
        tree = sqlglot.parse_one(sql, read="bigquery")
        known = {cte.alias_or_name for cte in tree.find_all(exp.CTE)} | {"cdp"}
        for table in () if isinstance(tree, exp.Create) else tree.find_all(exp.Table):
            if isinstance(table.this, exp.Identifier) and not known & {table.name, table.db}:
                assert "`acme`." in table.sql("bigquery"), sql
