"""Snowflake's way to say what differs between warehouses, written so that `snowflake_sql` leaves it as it is."""

from collections.abc import Mapping, Sequence

from cdp_platform.domain.syncs import FieldKind, FieldType
from cdp_platform.warehouse.dialect import CommonDialect, spelled_object
from cdp_platform.warehouse.literals import literal
from cdp_platform.warehouse.snowflake_functions import SCHEMA

_KINDS = {
    "HUGEINT": FieldKind.INTEGER,
    "VARCHAR": FieldKind.TEXT,
    "BOOLEAN": FieldKind.BOOLEAN,
    "DATE": FieldKind.DATE,
    "TIMESTAMP": FieldKind.TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": FieldKind.TIMESTAMP,
}
_DAY = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*"
"""What is taken for a day: Snowflake by itself would take a number for seconds since 1970."""
_MICROSECONDS = "timestamp_ntz(6)"


class SnowflakeDialect(CommonDialect):
    """Snowflake in a session in UTC, with names quoted as they are written."""

    name = "snowflake"
    keeps_order = False
    defines_in_transactions = False
    kinds = _KINDS

    def exact(self, expression: str, column_type: str, field_type: FieldType) -> str:
        name, text = column_type.upper(), f"cast({expression} as varchar)"
        match field_type.kind:
            case FieldKind.TEXT:
                return f"{SCHEMA}.nfc({text})"
            case FieldKind.INTEGER:
                # A double is rounded to even, as everywhere; a decimal away from zero.
                return expression if name == "HUGEINT" else _number(_whole(expression, name), name, 38, 0)
            case FieldKind.DECIMAL:
                return _number(expression, name, field_type.precision, field_type.scale)
            case FieldKind.BOOLEAN if name == "HUGEINT":
                return f"({expression} <> 0)"
            case FieldKind.BOOLEAN:
                return expression if name == "BOOLEAN" else f"try_to_boolean(trim({text}))"
            case FieldKind.DATE if name == "TIMESTAMP WITH TIME ZONE":
                return f"cast({_moment(expression, name)} as date)"
            case FieldKind.DATE:
                is_time = name in ("DATE", "TIMESTAMP")
                return f"cast({expression} as date)" if is_time else f"try_to_date({_day_in(text)})"
            case FieldKind.TIMESTAMP:
                return _moment(expression, name)

    def encoded(self, exact: str, field_type: FieldType) -> str:
        match field_type.kind:
            case FieldKind.DECIMAL:
                return f"cast({exact} as varchar)"
            case FieldKind.DATE:
                return f"to_varchar({exact}, 'YYYY-MM-DD')"
            case FieldKind.TIMESTAMP:
                return f"(to_varchar({exact}, 'YYYY-MM-DD') || 'T' || to_varchar({exact}, 'HH24:MI:SS.FF6') || 'Z')"
        return exact

    def json_object(self, members: Mapping[str, str]) -> str:
        # Snowflake's own objects put their members into an order of theirs.
        return spelled_object(members, lambda expression: f"coalesce(to_json(to_variant({expression})), 'null')")

    def json_text(self, document: str, member: str) -> str:
        return f"cast({_member(document, member)} as varchar)"

    def json_changes(self, new: str, old: str, members: Sequence[str]) -> str:
        changed = [
            f"case when {_written(new, name)} is not null"
            f" and {_written(new, name)} is distinct from {_written(old, name)} then {literal(name)} end"
            for name in members
        ]
        return f"array_compact(array_construct({', '.join(changed)}))"

    def fingerprint(self, expressions: Sequence[str]) -> str:
        return f"hash({', '.join(expressions)})"


def _whole(expression: str, column_type: str) -> str:
    return f"round({expression})" if column_type in ("DOUBLE", "FLOAT") else expression


def _number(expression: str, column_type: str, precision: int, scale: int) -> str:
    """SQL of any value as a number of these digits; null where it is none. Snowflake tries texts only."""
    if column_type == "BOOLEAN":
        return f"cast(cast({expression} as integer) as decimal({precision},{scale}))"
    if column_type == f"DECIMAL({precision},{scale})":
        return expression
    return f"try_to_decimal(trim(cast({expression} as varchar)), {precision}, {scale})"


def _moment(expression: str, column_type: str) -> str:
    match column_type:
        case "TIMESTAMP" | "DATE":
            return f"cast({expression} as {_MICROSECONDS})"
        case "TIMESTAMP WITH TIME ZONE":
            told = expression
        case _:
            told = f"try_to_timestamp_tz({_day_in(f'cast({expression} as varchar)')})"
    return f"cast(convert_timezone('UTC', {told}) as {_MICROSECONDS})"


def _day_in(text: str) -> str:
    return f"case when regexp_like(trim({text}), '{_DAY}') then trim({text}) end"


def _member(document: str, member: str) -> str:
    return f"get(parse_json({document}), {literal(member)})"


def _written(document: str, member: str) -> str:
    return f"to_json({_member(document, member)})"
