"""Identity on BigQuery's emulator: the normalisers say what Python says."""

import random
from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa
import pytest

pytest.importorskip("google.cloud.bigquery", reason="the extra `bigquery` is not installed: it was NOT tested")

from cdp_platform.identity.normalisers import parse_normaliser
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.bigquery import BigQueryWarehouse
from cdp_platform_tests.unit.identity.test_normalisers import ALPHABET, WRITTEN, sql_of
from cdp_platform_tests.warehouses.bigquery_server import Crucible
from cdp_platform_tests.warehouses.emulators import NoSecrets

pytestmark = pytest.mark.slow
SEED = 20_171_231
TEXTS = 300


@pytest.fixture(scope="module")
def session(crucible: Crucible) -> Iterator[Session]:
    warehouse = BigQueryWarehouse(crucible.new_account(), NoSecrets())
    with closing(warehouse), warehouse.session("test") as opened:
        yield opened


@pytest.fixture(scope="module")
def texts(session: Session) -> list[str]:
    """Texts of all kinds of letters, as the relation `given`."""
    chance = random.Random(SEED)
    made = ["".join(chance.choices(ALPHABET, k=chance.randint(0, 14))) for _ in range(TEXTS)]
    made += ["+".join(chance.choices("0123456789 ()-.", k=14)) for _ in range(50)]
    made += ["Dr. Ann", "王小明先生", "20170203", "12/31/1980", "0912-345-678", "ÉMILE@EXAMPLE.COM"]
    session.register("given", pa.table({"position": range(len(made)), "value": made}))
    return made


@pytest.mark.parametrize("written", WRITTEN)
def test_sql_says_there_what_python_says(session: Session, texts: list[str], written: str) -> None:
    rows = session.rows(f"{sql_of(written, 'given')} order by position")
    said = parse_normaliser(written).in_python
    assert [(text, row["value"]) for text, row in zip(texts, rows, strict=True)] == [(one, said(one)) for one in texts]


def test_lower_case_is_that_of_every_letter_and_not_of_ascii_alone(session: Session) -> None:
    assert session.rows("select lower('ÉMILE Ł') as small, upper('é') as large") == [{"small": "émile ł", "large": "É"}]


def test_what_is_no_value_of_a_type_is_null_where_it_is_only_tried(session: Session) -> None:
    [row] = session.rows(
        "select try_cast('2017-02-30' as date) as day, try_cast(left('2017-02-03x', 10) as date) as other,"
        " try_cast('1.5e1' as double) as number, try_cast('one' as double) as word,"
        " try_cast('maybe' as boolean) as truth"
    )
    assert (str(row.pop("other")), row.pop("number")) == ("2017-02-03", 15.0)
    assert row == {"day": None, "word": None, "truth": None}


def test_a_text_is_found_within_another(session: Session) -> None:
    assert session.rows("select contains(lower('ABÉ'), 'bé') as is_there, not contains('abc', '-') as is_not") == [
        {"is_there": True, "is_not": True}
    ]
