"""A mapping that declares a type which the destination's field cannot take is stopped before anything is sent."""

from dataclasses import replace

import pytest

from cdp_platform.connectors.protocol import DestinationField
from cdp_platform.domain.syncs import FieldKind, FieldType
from cdp_platform.syncs.guards import judge_mapping
from cdp_platform_tests.unit.syncs.conftest import FIELDS, spec_of


@pytest.mark.parametrize(
    ("kind", "declared", "fits"),
    [
        (FieldKind.DECIMAL, "decimal(12,2)", True),
        (FieldKind.DECIMAL, "integer", True),
        (FieldKind.DECIMAL, "text", True),
        (FieldKind.TEXT, "date", True),
        (None, "boolean", True),
        (FieldKind.DECIMAL, "date", False),
        (FieldKind.DATE, "boolean", False),
        (FieldKind.BOOLEAN, "integer", False),
        (FieldKind.TIMESTAMP, "date", True),
        (FieldKind.DATE, "timestamp", False),
    ],
)
def test_a_declared_type_fits_or_the_field_is_named(kind: FieldKind | None, declared: str, fits: bool) -> None:
    mapping = [
        replace(entry, type=FieldType.parse(declared)) if entry.field == "segment" else replace(entry, type=None)
        for entry in spec_of().mapping
    ]
    fields = [
        DestinationField(
            name=name, kind=kind if name == "segment" else FieldKind.TEXT, is_unique=name == "cdp_person_id"
        )
        for name in FIELDS
    ]
    [verdict] = judge_mapping(spec_of(mapping=tuple(mapping)), fields)
    assert (verdict.passed, verdict.parameters["fields"]) == (fits, "–" if fits else "segment")
