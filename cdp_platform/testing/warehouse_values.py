"""What every warehouse makes of values: exact, encoded, misfit, JSON and fingerprints; inherited like its sister."""

# A pytest suite that lies in the package, so that packages elsewhere can inherit it.
# ruff: noqa: S101

import json
from typing import Any, Final

import pytest

from cdp_platform.domain.syncs import FieldType
from cdp_platform.testing.warehouse_contract import WarehouseCase
from cdp_platform.warehouse.base import Dialect, Session

_DOCUMENT = """'{"a":"x","b":1,"c":null,"d\\"e":"quoted"}'"""
ENCODED: Final[tuple[tuple[str, str, str, object], ...]] = (
    ("'e\u0301'", "varchar", "text", "\u00e9"),
    ("''", "varchar", "text", ""),
    ("'\U0001f600 Z\u00fcrich'", "varchar", "text", "\U0001f600 Z\u00fcrich"),
    ("'one' || chr(13) || chr(10) || 'two'", "varchar", "text", "one\r\ntwo"),
    ("'=cmd()'", "varchar", "text", "=cmd()"),
    ("7", "bigint", "text", "7"),
    ("true", "boolean", "text", "true"),
    ("10.005", "decimal(20,4)", "decimal(12,2)", "10.01"),
    ("-0.004", "decimal(20,4)", "decimal(12,2)", "0.00"),
    ("'12.345'", "varchar", "decimal(12,2)", "12.35"),
    ("'-0.001'", "varchar", "decimal(12,2)", "0.00"),
    ("0.1", "double", "decimal(12,2)", "0.10"),
    ("-0.0", "double", "decimal(12,2)", "0.00"),
    ("7", "integer", "decimal(12,2)", "7.00"),
    ("9007199254740993", "bigint", "integer", 9007199254740993),
    ("' 42 '", "varchar", "integer", 42),
    ("7.0", "double", "integer", 7),
    ("2.5", "double", "integer", 2),
    ("-3.5", "double", "integer", -4),
    ("1", "integer", "boolean", True),
    ("'false'", "varchar", "boolean", False),
    ("'2017-12-31'", "date", "date", "2017-12-31"),
    ("'0001-01-01'", "date", "date", "0001-01-01"),
    ("'9999-12-31'", "date", "date", "9999-12-31"),
    ("'2017-12-31'", "varchar", "date", "2017-12-31"),
    ("'2017-12-31 23:59:59'", "timestamp", "date", "2017-12-31"),
    ("'2017-12-31 20:00:00.5-05'", "timestamptz", "timestamp", "2018-01-01T01:00:00.500000Z"),
    ("'2017-03-26 02:30:00 Europe/Zurich'", "timestamptz", "timestamp", "2017-03-26T01:30:00.000000Z"),
    ("'2017-10-29 02:30:00+01'", "timestamptz", "timestamp", "2017-10-29T01:30:00.000000Z"),
    ("'2017-12-31 20:00:00.5'", "timestamp", "timestamp", "2017-12-31T20:00:00.500000Z"),
    ("'2017-12-31'", "date", "timestamp", "2017-12-31T00:00:00.000000Z"),
    ("'2017-12-31 20:00:00+01'", "varchar", "timestamp", "2017-12-31T19:00:00.000000Z"),
    ("'0001-01-01 00:00:00'", "timestamp", "timestamp", "0001-01-01T00:00:00.000000Z"),
    ("'9999-12-31 23:59:59.999999'", "timestamp", "timestamp", "9999-12-31T23:59:59.999999Z"),
    ("null", "date", "date", None),
    ("null", "varchar", "decimal(12,2)", None),
)  # fmt: skip
"""A value in SQL, its column's type, the type that is declared, and what is sent."""
LONG: Final[tuple[tuple[str, str, str, object], ...]] = (
    ("12345678901234567890123456789012345678", "decimal(38,0)", "decimal(38,0)",
     "12345678901234567890123456789012345678"),
    ("9" * 38, "hugeint", "integer", int("9" * 38)),
)  # fmt: skip
"""The same of numbers with more digits than some emulators have."""
MISFITS: Final = (
    ("'nan'", "double", "decimal(12,2)"),
    ("'infinity'", "double", "decimal(12,2)"),
    ("'-infinity'", "double", "integer"),
    ("1e11", "double", "decimal(12,2)"),
    ("12345678901234.5", "decimal(20,4)", "decimal(12,2)"),
    ("'twelve'", "varchar", "integer"),
    ("'1e40'", "varchar", "integer"),
    ("'perhaps'", "varchar", "boolean"),
    ("'2017-02-30'", "varchar", "date"),
    ("'10000-01-01'", "date", "date"),
    ("'25 o clock'", "varchar", "timestamp"),
)
"""A value in SQL that the declared type cannot hold, its column's type, and the declared one."""


class WarehouseValuesContract:
    """Every type's values as they are compared, sent and refused."""

    @pytest.mark.parametrize(("value", "column_type", "declared", "encoded"), [*ENCODED, *LONG])
    def test_values_are_encoded_by_their_declared_type(
        self, case: WarehouseCase, value: str, column_type: str, declared: str, encoded: object
    ) -> None:
        told = _told(case, value, column_type, declared)
        assert told == {"encoded": encoded, "is_misfit": False}

    @pytest.mark.parametrize(("value", "column_type", "declared"), MISFITS)
    def test_a_value_that_its_type_cannot_hold_is_a_misfit_and_no_error(
        self, case: WarehouseCase, value: str, column_type: str, declared: str
    ) -> None:
        assert _told(case, value, column_type, declared)["is_misfit"] is True

    def test_an_integer_or_truth_value_always_fits_its_own_type(self, case: WarehouseCase) -> None:
        for column_type, declared in (("bigint", "integer"), ("boolean", "boolean")):
            with case.warehouse.session("test") as session:
                told = _column_type(session, column_type)
            assert case.warehouse.dialect.misfit("value", told, FieldType.parse(declared)) is None

    def test_a_document_is_json_with_its_members_in_order(self, case: WarehouseCase) -> None:
        dialect = case.warehouse.dialect
        text = "'quotes \" and ' || chr(10) || 'lines, \u5b57 \U0001f600'"
        sql = dialect.json_object({"z": text, "a": "9007199254740993", "it's": "true", "n": "cast(null as varchar)"})
        with case.warehouse.session("test") as session:
            [row] = session.rows(f"select {sql} as document")
            [empty] = session.rows(f"select {dialect.json_object({})} as document")
        expected = {"z": 'quotes " and \nlines, \u5b57 \U0001f600', "a": 9007199254740993, "it's": True, "n": None}
        assert list(json.loads(row["document"]).items()) == list(expected.items())
        assert empty == {"document": "{}"}

    def test_members_of_a_document_are_read_as_text(self, case: WarehouseCase) -> None:
        read = [case.warehouse.dialect.json_text(_DOCUMENT, name) for name in ("a", "b", "c", "absent", 'd"e')]
        with case.warehouse.session("test") as session:
            [row] = session.rows(f"select {', '.join(f'{sql} as m{n}' for n, sql in enumerate(read))}")
        assert list(row.values()) == ["x", "1", None, None, "quoted"]

    def test_changed_members_are_named_in_their_order(self, case: WarehouseCase) -> None:
        names = ["d", "c", "b", "a", "absent"]
        new, old = """'{"a":"x","b":1,"c":null,"d":"2"}'""", """'{"a":"x","b":2,"d":2}'"""
        for former, expected in ((old, ["d", "c", "b"]), ("'{}'", ["d", "c", "b", "a"])):
            sql = case.warehouse.dialect.json_changes(new, former, names)
            with case.warehouse.session("test") as session:
                assert session.rows(f"select {sql} as changed") == [{"changed": expected}]

    def test_equal_values_have_one_fingerprint_and_others_have_others(self, case: WarehouseCase) -> None:
        fingerprint = case.warehouse.dialect.fingerprint(["a", "b"])
        pairs = [("'ab'", "null"), ("'a'", "'b'"), ("null", "'ab'"), ("''", "'ab'"), ("'ab'", "''"), ("null", "null")]
        rows = ", ".join(f"({a}, {b})" for a, b in [*pairs, *pairs])
        with case.warehouse.session("test") as session:
            session.execute(f"create table given as select * from (values {rows}) as v (a, b)")
            found = session.rows(f"select {fingerprint} as fingerprint, count(*) as times from given group by 1")
        assert [row["times"] for row in found] == [2] * len(pairs)
        assert all(row["fingerprint"] is not None for row in found)

    def test_fingerprints_have_64_bits(self, case: WarehouseCase) -> None:
        fingerprint = case.warehouse.dialect.fingerprint(["n", "'text'", "cast(n as decimal(12,2))", "n > 5"])
        with case.warehouse.session("test") as session:
            rows = session.rows(f"select distinct {fingerprint} as fingerprint from range(20000) as numbers (n)")
        assert len(rows) == 20_000
        assert max(abs(row["fingerprint"]) for row in rows) > 2**61

    def test_a_fingerprint_is_the_same_in_every_session(self, case: WarehouseCase) -> None:
        sql = case.warehouse.dialect.fingerprint(["'probe'", "1", "true", "cast(null as varchar)"])
        seen = []
        for warehouse in (case.warehouse, case.other):
            with warehouse.session("test") as session:
                seen += session.rows(f"select {sql} as fingerprint")
        assert seen[0] == seen[1]


class InfiniteTimesContract:
    """Of a warehouse whose dates and times may be infinite."""

    @pytest.mark.parametrize(
        ("column_type", "declared"), [("date", "date"), ("timestamp", "timestamp"), ("timestamptz", "timestamp")]
    )
    def test_a_time_without_end_is_a_misfit(self, case: WarehouseCase, column_type: str, declared: str) -> None:
        assert _told(case, "'infinity'", column_type, declared)["is_misfit"] is True


def _told(case: WarehouseCase, value: str, column_type: str, declared: str) -> dict[str, Any]:
    """One value in a column of its own: how it is sent, and whether it is refused."""
    dialect, field_type = case.warehouse.dialect, FieldType.parse(declared)
    with case.warehouse.session("test") as session:
        told = _column_type(session, column_type)
        session.execute(f"insert into given select cast({value} as {column_type})")
        [row] = session.rows(
            f"select {_encoded(dialect, told, field_type)} as encoded,"
            f" {dialect.misfit('value', told, field_type) or 'false'} as is_misfit from given"
        )
    return row


def _column_type(session: Session, column_type: str) -> str:
    session.execute("drop table if exists given")
    session.execute(f"create table given (value {column_type})")
    return session.columns("given")["value"]


def _encoded(dialect: Dialect, column_type: str, field_type: FieldType) -> str:
    return dialect.encoded(dialect.exact("value", column_type, field_type), field_type)
