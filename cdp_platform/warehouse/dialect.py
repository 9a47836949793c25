"""What the dialects have in common: names, the types of columns, and when a value does not fit."""

import json
import re
from collections.abc import Callable, Mapping
from typing import ClassVar

from cdp_platform.domain.syncs import FieldKind, FieldType
from cdp_platform.warehouse.literals import literal, quoted

_BOUNDS = {
    FieldKind.DATE: ("0001-01-01", "9999-12-31"),
    FieldKind.TIMESTAMP: ("0001-01-01", "9999-12-31 23:59:59.999999"),
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


class CommonDialect:
    """The part of `base.Dialect` that is said alike; `exact` and the rest are the heir's."""

    kinds: ClassVar[Mapping[str, FieldKind]]
    """By type of a column, in capitals, what its values are; decimals apart. Others have no exact text."""
    most_digits: ClassVar[int] = 38
    defines_in_transactions: bool = True

    def quote(self, identifier: str) -> str:
        return quoted(identifier)

    def relation(self, name: str) -> str:
        return ".".join(self.quote(part) for part in name.split("."))

    def field_type(self, column_type: str) -> FieldType | None:
        name = column_type.upper()
        if match := _DECIMAL.fullmatch(name):
            precision, scale = int(match[1]), int(match[2])
            is_known = precision <= self.most_digits
            return FieldType(kind=FieldKind.DECIMAL, precision=precision, scale=scale) if is_known else None
        kind = self.kinds.get(name)
        return FieldType(kind=kind) if kind else None

    def exact(self, expression: str, column_type: str, field_type: FieldType) -> str:
        raise NotImplementedError

    def misfit(self, expression: str, column_type: str, field_type: FieldType) -> str | None:
        match field_type.kind:
            case FieldKind.TEXT:
                # NFC would cut the text at the NUL without a word.
                return f"contains(cast({expression} as varchar), chr(0))"
            case FieldKind.DATE | FieldKind.TIMESTAMP as kind:
                first, last = (f"cast('{bound}' as {kind})" for bound in _BOUNDS[kind])
                fits = f"coalesce({self.exact(expression, column_type, field_type)} between {first} and {last}, false)"
            case _ if self.always_fits(column_type, field_type):
                return None
            case _:
                fits = f"{self.exact(expression, column_type, field_type)} is not null"
        return f"({expression} is not null and not ({fits}))"

    def always_fits(self, column_type: str, field_type: FieldType) -> bool:
        """Whether every value of such a column can be said in the type, which is neither text nor time."""
        return self.field_type(column_type) == field_type


def spelled_object(members: Mapping[str, str], value: Callable[[str], str]) -> str:
    """SQL of a JSON document that is put together as text; `value` makes SQL of a member's JSON of its expression."""
    pairs = [
        f"{literal(('' if place == 0 else ',') + json.dumps(name, ensure_ascii=False) + ':')} || {value(expression)}"
        for place, (name, expression) in enumerate(members.items())
    ]
    return f"({' || '.join([literal('{'), *pairs, literal('}')])})"
