"""Values that the destination would refuse by its own description of the field: their rows are never sent.

The rules are part of the plan, from the same description by which the mapping was judged; the send asks for none.
"""

from collections.abc import Mapping, Sequence

from cdp_platform.connectors.abilities import DescribesValues
from cdp_platform.connectors.protocol import Batch, Destination, DestinationField, Json
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.syncs import FieldKind, FieldMapping, SyncSpec
from cdp_platform.domain.value_rules import ValueRule, WrongValue


def rules_of(destination: Destination, spec: SyncSpec, fields: Sequence[DestinationField]) -> tuple[ValueRule, ...]:
    """Say what the mapped fields take; nothing of a destination that does not describe values."""
    if not isinstance(destination, DescribesValues):
        return ()
    told = {field.name: field for field in fields}
    rules = [_rule(destination, entry, told[entry.field]) for entry in spec.mapping if entry.field in told]
    return tuple(rule for rule in rules if not rule.says_nothing)


def misfits(rules: Sequence[ValueRule], match_field: str, rows: Batch) -> Mapping[int, RowOutcome]:
    """The rows with a value that its field does not take, by ordinal, as rejected for the first such field."""
    if not rules or not rows or rows.operations[0] is Operation.REMOVE:
        return {}
    fields, found = rows.fields(), dict[int, RowOutcome]()
    for rule in rules:
        told: Sequence[Json] = [one.get(rule.field) for one in fields]
        if rule.field == match_field:
            told = rows.match_values
        for ordinal, value in zip(rows.ordinals, told, strict=True):
            if value is not None and not rule.surely_takes(value) and (wrong := rule.wrong(value)):
                found.setdefault(ordinal, _rejected(ordinal, wrong))
    return found


def _rule(destination: DescribesValues, entry: FieldMapping, field: DestinationField) -> ValueRule:
    # Of a column that is declared as another type than text the guard has judged the type, and it is never long.
    is_text = entry.type is None or entry.type.kind is FieldKind.TEXT
    return ValueRule(
        field=field.name,
        options=field.options,
        separator=destination.option_separator if field.takes_several else "",
        longest_characters=field.longest_characters if is_text else None,
        kind=field.kind if is_text else None,
    )


def _rejected(ordinal: int, wrong: WrongValue) -> RowOutcome:
    parameters = dict(wrong.parameters)
    return RowOutcome(ordinal=ordinal, outcome=Outcome.REJECTED, code=wrong.code, parameters=parameters)
