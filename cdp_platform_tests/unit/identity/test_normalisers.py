"""What a normaliser makes of a value: by example, in SQL as in Python, and in SQL that can be translated."""

from collections.abc import Callable, Iterator

import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_platform.errors import ConfigError
from cdp_platform.identity.normalisers import NAMES, parse_normaliser
from cdp_platform.privacy import normalise
from cdp_platform.privacy.phone_regions import PHONE_REGIONS
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

NEED_ARGUMENT = {"phone": "phone(TW)", "prefix": "prefix(3)", "suffix": "suffix(4)"}
WRITTEN = [
    *(NEED_ARGUMENT.get(name, name) for name in NAMES),
    "phone(JP)", "phone(US)", "phone(SG)", "phone(GB)", "date(dmy)", "year(dmy)",
]  # fmt: skip
ALPHABET = (
    "abcdefghijlmnorstuvwxyzABCXYZ éüßøÉñĐłŌệ'’-.,@ 0123456789+()/\t　e\u0301か\u3099"
    "ｱｶﾞﾊﾟはがぱゔアガ王小明様先生さんＡｂ１＠年月日"
)
NUMBERS = st.text("0123456789+-() ext#０９年月日/.T", min_size=4, max_size=18)
TEXTS = st.one_of(
    st.text(ALPHABET, max_size=14), NUMBERS, st.sampled_from(["Dr. Ann", "mr x", "王小明先生", "20170203"])
)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with DuckDbWarehouse(tmp_path_factory.mktemp("normalisers") / "n.duckdb").session("test") as opened:
        yield opened


def sql_of(written: str, source: str) -> str:
    sql = f"select position, value from {source}"
    for number, step in enumerate(parse_normaliser(written).steps):
        sql = f"select position, {step('value')} as value from ({sql}) as s{number}"
    return sql


@pytest.mark.parametrize("written", WRITTEN)
@given(values=st.lists(TEXTS, min_size=30, max_size=60))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_sql_says_what_python_says(session: Session, written: str, values: list[str]) -> None:
    in_sql = sql_of(written, "(select unnest($values) as value, unnest($positions) as position) as given")
    rows = session.rows(f"{in_sql} order by position", {"values": values, "positions": list(range(len(values)))})
    expected = [parse_normaliser(written).in_python(value) for value in values]
    assert [(value, row["value"]) for value, row in zip(values, rows, strict=True)] == list(
        zip(values, expected, strict=True)
    )


@pytest.mark.parametrize("written", WRITTEN)
def test_the_adapters_can_parse_the_sql(written: str) -> None:
    [statement] = sqlglot.parse(sql_of(written, "people"), read="duckdb")
    assert statement is not None
    assert not list(statement.find_all(sqlglot.exp.Command))


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (normalise.email, "  Anne.B+x@Example.COM ", "anne.b+x@example.com"),
        (normalise.email, "ａｎｎｅ＠example.com", "anne@example.com"),
        (normalise.email, "anne at example.com", ""),
        (normalise.name, "O’Brien-Smith, José", "obrien smith jose"),
        (normalise.name, "ｻｶﾞﾗ はなこ様", "サガラ ハナコ"),
        (normalise.name, "王　小明 先生", "王 小明"),
        (normalise.name, "Dr. Ｍａｒｙ Ann", "mary ann"),
        (normalise.name, "Nguyễn Đức", "nguyen duc"),
        (normalise.nickname, "Bob", "robert"),
        (normalise.soundex, "Robert", "R163"),
        (normalise.soundex, "Rupert", "R163"),
        (normalise.soundex, "Ashcraft", "A261"),
        (normalise.soundex, "Tymczak", "T522"),
        (normalise.soundex, "Pfister", "P236"),
        (normalise.soundex, "Honeyman", "H555"),
        (normalise.soundex, "王小明", ""),
        (normalise.date, "1961/2/3", "1961-02-03"),
        (normalise.date, "1961年2月3日", "1961-02-03"),
        (normalise.date, "19610203", "1961-02-03"),
        (normalise.date, "1961-02-03T10:00:00", "1961-02-03"),
        (normalise.date, "2/3/1961", "1961-02-03"),
        (normalise.date, "Feb 3", ""),
        (normalise.postal, "SW1A 1aa", "sw1a1aa"),
        (normalise.digits, "１２-3", "123"),
    ],
)
def test_a_value_is_brought_into_one_form(function: Callable[[str], str], value: str, expected: str) -> None:
    assert function(value) == expected


@pytest.mark.parametrize(
    ("region", "ways", "expected"),
    [
        ("TW", ["0912345678", "+886 912-345-678", "+886 0912 345 678", "886912345678", "０９１２345678", "912345678",
                "002886912345678"], "+886912345678"),
        ("TW", ["(02) 2345-6789", "+886-2-2345-6789", "02-23456789 分機 12", "02 2345 6789 ext 5"], "+886223456789"),
        ("JP", ["090-1234-5678", "+81 90 1234 5678", "+81(0)9012345678"], "+819012345678"),
        ("US", ["(212) 555-0123", "1-212-555-0123", "+1 212 555 0123", "212.555.0123 x44"], "+12125550123"),
        ("GB", ["020 7946 0123", "+44 (0)20 7946 0123", "0044 20 7946 0123"], "+442079460123"),
        ("SG", ["8123 4567", "+65 8123 4567"], "+6581234567"),
        ("TW", ["123", "", "call me", "+1"], ""),
    ],
)  # fmt: skip
def test_ways_to_write_a_number_meet(region: str, ways: list[str], expected: str) -> None:
    assert {normalise.phone(way, region) for way in ways} == {expected}


def test_numbers_from_abroad_keep_their_country() -> None:
    assert normalise.phone("+1 212 555 0123", "TW") == "+12125550123"


def test_a_name_meets_itself_in_any_order() -> None:
    assert normalise.any_order("王 小明") == normalise.any_order("小明 王")
    assert normalise.any_order("Smith, John") == normalise.any_order("john SMITH")


def test_a_name_with_an_initial_meets_the_name_written_out() -> None:
    assert normalise.initials("J. Smith") == normalise.initials("SMITH, John") == "j s"
    assert normalise.initials("J. Smith") != normalise.initials("J. Miller")


def test_exchanged_day_and_month_meet() -> None:
    assert normalise.swapped_date("1961-03-02") == normalise.swapped_date("1961-02-03")
    assert normalise.date("03/02/1961", "dmy") == "1961-02-03"


@pytest.mark.parametrize("other", ["2453817", "245817", "24535817", "2435817", "9453817"])
def test_one_typing_error_is_tolerated(other: str) -> None:
    assert normalise.one_typo("2453817") & normalise.one_typo(other) or other == "245817"


def test_short_texts_tolerate_no_error_and_nothing_is_no_key() -> None:
    assert normalise.one_typo("abc") == {"abc"}
    assert normalise.one_typo("") == frozenset()


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("fone", "no normaliser 'fone'"),
        ("phone", "needs a region"),
        ("phone(XX)", "Choose from AU"),
        ("prefix(0)", "a length from 1 to 20"),
        ("lower(3)", "takes no argument"),
        ("date(ymd)", "mdy or dmy"),
        ("prefix(3", "not of the shape"),
    ],
)
def test_a_normaliser_that_cannot_be_read_says_why(written: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("(", r"\(")):
        parse_normaliser(written)


def test_every_region_has_a_calling_code_and_a_range() -> None:
    assert all(one.calling_code.isdigit() and one.shortest <= one.longest for one in PHONE_REGIONS.values())
