"""BigQuery's way to say what differs between warehouses, in DuckDB's syntax; `bigquery_sql` says it in BigQuery's."""

from collections.abc import Mapping, Sequence

from cdp_platform.domain.syncs import FieldKind, FieldType
from cdp_platform.warehouse.dialect import CommonDialect, to_even
from cdp_platform.warehouse.literals import literal

_KINDS = {
    "VARCHAR": FieldKind.TEXT,
    "BIGINT": FieldKind.INTEGER,
    "BOOLEAN": FieldKind.BOOLEAN,
    "DATE": FieldKind.DATE,
    "TIMESTAMP": FieldKind.TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": FieldKind.TIMESTAMP,
}
_NAMES = {
    "STRING": "VARCHAR",
    "INTEGER": "BIGINT",
    "INT64": "BIGINT",
    "BOOL": "BOOLEAN",
    "FLOAT": "DOUBLE",
    "FLOAT64": "DOUBLE",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "BYTES": "BLOB",
}
_NUMBERS = {"NUMERIC": "DECIMAL(38,9)", "BIGNUMERIC": "DECIMAL(76,38)"}


def type_name(bigquery_type: str, mode: str | None, precision: int | None, scale: int | None) -> str:
    """The platform's name of a column type, from a field of BigQuery's schema."""
    name = _NAMES.get(bigquery_type, bigquery_type)
    if bigquery_type in _NUMBERS:
        name = f"DECIMAL({precision},{scale or 0})" if precision else _NUMBERS[bigquery_type]
    return f"{name}[]" if mode == "REPEATED" else name


def number_type(precision: int, scale: int) -> str:
    """BigQuery's type of so many digits: NUMERIC has 29 before the point and 9 behind it."""
    is_narrow = scale <= 9 and precision - scale <= 29
    return f"{'NUMERIC' if is_narrow else 'BIGNUMERIC'}({precision},{scale})"


class BigQueryDialect(CommonDialect):
    """GoogleSQL. Whole numbers have 64 bits: a longer one is a misfit of `integer`, and can be a decimal or a text."""

    name = "bigquery"
    keeps_order = False
    kinds = _KINDS

    def exact(self, expression: str, column_type: str, field_type: FieldType) -> str:
        name, text = column_type.upper(), f"cast({expression} as varchar)"
        match field_type.kind:
            case FieldKind.TEXT:
                return f"nfc_normalize({text})"
            case FieldKind.INTEGER:
                if name == "DOUBLE":
                    return f"try_cast({to_even(expression)} as bigint)"
                if name in ("BIGINT", "BOOLEAN") or name.startswith("DECIMAL"):
                    return expression if name == "BIGINT" else f"try_cast({expression} as bigint)"
                return f"try_cast(try_cast(trim({text}) as decimal(38,9)) as bigint)"
            case FieldKind.DECIMAL:
                number = expression if _is_number(name) else f"trim({text})"
                return f"try_cast({number} as decimal({field_type.precision},{field_type.scale}))"
            case FieldKind.BOOLEAN:
                return expression if name == "BOOLEAN" else f"try_cast({expression} as boolean)"
            case FieldKind.DATE:
                return expression if name == "DATE" else f"try_cast({expression} as date)"
            case FieldKind.TIMESTAMP:
                return _moment(expression, name)

    def encoded(self, exact: str, field_type: FieldType) -> str:
        match field_type.kind:
            case FieldKind.DECIMAL:
                return f"format('%.{field_type.scale}f', {exact})"
            case FieldKind.DATE:
                return f"cast({exact} as varchar)"
            case FieldKind.TIMESTAMP:
                # A year's digits are four in the text of a day, and as many as it needs in most formats.
                return f"(cast(cast({exact} as date) as varchar) || format_datetime('T%H:%M:%E6SZ', {exact}))"
        return exact

    def misfit(self, expression: str, column_type: str, field_type: FieldType) -> str | None:
        match field_type.kind:
            case FieldKind.TEXT:
                is_text = column_type.upper() == "VARCHAR"
                return rf"coalesce(regexp_contains({expression}, '\x00'), false)" if is_text else None
            case FieldKind.TIMESTAMP if column_type.upper() in ("DATE", *_KINDS) and column_type.upper() != "VARCHAR":
                return None
            case _ if self.field_type(column_type) == field_type:
                return None
        return f"({expression} is not null and {self.exact(expression, column_type, field_type)} is null)"

    def json_object(self, members: Mapping[str, str]) -> str:
        pairs = [part for name, expression in members.items() for part in (literal(name), expression)]
        return f"json_document({', '.join(pairs)})"

    def json_text(self, document: str, member: str) -> str:
        return f"json_member_text({document}, {literal(member)})"

    def json_changes(self, new: str, old: str, members: Sequence[str]) -> str:
        return f"json_changes({', '.join([new, old, *map(literal, members)])})"

    def fingerprint(self, expressions: Sequence[str]) -> str:
        values = ", ".join(f"v{place} := {expression}" for place, expression in enumerate(expressions))
        return f"farm_fingerprint(to_json_string(struct_pack({values})))"


def _is_number(column_type: str) -> bool:
    return column_type in ("BIGINT", "DOUBLE", "BOOLEAN") or column_type.startswith("DECIMAL")


def _moment(expression: str, column_type: str) -> str:
    """SQL of a moment in UTC without a zone, BigQuery's DATETIME."""
    match column_type:
        case "TIMESTAMP":
            return expression
        case "DATE" | "TIMESTAMP WITH TIME ZONE":
            return f"cast({expression} as timestamp)"
    return f"cast(try_cast({expression} as timestamptz) as timestamp)"
