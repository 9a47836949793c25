"""PostgreSQL's way to say what differs between warehouses, written so that `translating` leaves it as it is."""

import re
from collections.abc import Mapping, Sequence

from cdp_platform.domain.syncs import FieldKind, FieldType
from cdp_platform.warehouse.dialect import CommonDialect, spelled_object
from cdp_platform.warehouse.literals import literal

_INTEGERS = {"SMALLINT", "INTEGER", "BIGINT", "HUGEINT"}
_KINDS = {
    **dict.fromkeys(_INTEGERS, FieldKind.INTEGER),
    "VARCHAR": FieldKind.TEXT,
    "UUID": FieldKind.TEXT,
    "BOOLEAN": FieldKind.BOOLEAN,
    "DATE": FieldKind.DATE,
    "TIMESTAMP": FieldKind.TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": FieldKind.TIMESTAMP,
}
_TYPE_NAMES = {
    "text": "VARCHAR",
    "character varying": "VARCHAR",
    "character": "VARCHAR",
    "timestamp without time zone": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
    "double precision": "DOUBLE",
    "real": "FLOAT",
    "numeric": "DECIMAL",
    "numeric(38,0)": "HUGEINT",
    "text[]": "VARCHAR[]",
}


def type_name(postgres_type: str) -> str:
    """The platform's name of a column type, from PostgreSQL's `format_type`. Whole numbers of 38 digits are HUGEINT."""
    if name := _TYPE_NAMES.get(postgres_type):
        return name
    without_length = re.sub(r"\(\d+\)", "", postgres_type)
    return _TYPE_NAMES.get(without_length, postgres_type.replace("numeric", "decimal").upper())


class PostgresDialect(CommonDialect):
    """PostgreSQL 13 and later, in a database of UTF-8 texts that are ordered by their characters."""

    name = "postgres"
    keeps_order = False
    kinds = _KINDS

    def exact(self, expression: str, column_type: str, field_type: FieldType) -> str:
        name, text = column_type.upper(), f"cast({expression} as varchar)"
        match field_type.kind:
            case FieldKind.TEXT:
                return f"nfc({text})"
            case FieldKind.INTEGER:
                # A double is rounded to even, as everywhere; a decimal away from zero.
                value = f"round({expression})" if name in ("DOUBLE", "FLOAT") else expression
                return f"cast(fitting({_number(value, name)}, 38, 0) as decimal(38,0))"
            case FieldKind.DECIMAL:
                precision, scale = field_type.precision, field_type.scale
                number = f"fitting({_number(expression, name)}, {precision}, {scale})"
                return f"cast({number} as decimal({precision},{scale}))"
            case FieldKind.BOOLEAN:
                if name in _INTEGERS:
                    return f"({expression} <> 0)"
                return expression if name == "BOOLEAN" else f"truth_of({text})"
            case FieldKind.DATE:
                is_time = name == "DATE" or name.startswith("TIMESTAMP")
                return f"cast({expression} as date)" if is_time else f"day_of({text})"
            case FieldKind.TIMESTAMP:
                return _moment(expression, name)

    def encoded(self, exact: str, field_type: FieldType) -> str:
        match field_type.kind:
            case FieldKind.DECIMAL:
                return f"cast({exact} as varchar)"
            case FieldKind.DATE:
                return f"day_text({exact})"
            case FieldKind.TIMESTAMP:
                return f"moment_text({exact})"
        return exact

    def misfit(self, expression: str, column_type: str, field_type: FieldType) -> str | None:
        # PostgreSQL's texts hold no NUL.
        return None if field_type.kind is FieldKind.TEXT else super().misfit(expression, column_type, field_type)

    def always_fits(self, column_type: str, field_type: FieldType) -> bool:
        # A decimal may be NaN whatever its digits.
        return field_type.kind is not FieldKind.DECIMAL and super().always_fits(column_type, field_type)

    def json_object(self, members: Mapping[str, str]) -> str:
        return spelled_object(members, lambda expression: f"json_of({expression})")

    def json_text(self, document: str, member: str) -> str:
        return f"json_text({document}, {literal(member)})"

    def json_changes(self, new: str, old: str, members: Sequence[str]) -> str:
        names = f"cast([{', '.join(map(literal, members))}] as varchar[])"
        return f"json_changes({new}, {old}, {names})"

    def fingerprint(self, expressions: Sequence[str]) -> str:
        # Quoted and parted by commas, no two lists of values have one text.
        parts = " || ',' || ".join(f"quote_nullable(cast({expression} as varchar))" for expression in expressions)
        return f"hashtextextended({parts}, 0)"


def _number(expression: str, column_type: str) -> str:
    """SQL of any value as a number; null where it is none. A cast would be to DuckDB's decimal(18,3)."""
    if column_type in _INTEGERS or column_type.startswith("DECIMAL"):
        return expression
    if column_type == "BOOLEAN":
        return f"cast({expression} as integer)"
    return f"number_of(cast({expression} as varchar))"


def _moment(expression: str, column_type: str) -> str:
    match column_type:
        case "TIMESTAMP":
            return expression
        case "DATE":
            return f"cast({expression} as timestamp)"
        case "TIMESTAMP WITH TIME ZONE":
            return f"timezone('UTC', {expression})"
    return f"moment_of(cast({expression} as varchar))"
