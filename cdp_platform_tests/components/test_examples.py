"""Each example of a destination and of a source is read as it stands, and fits what it names."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cdp_platform.components.destination import DestinationAccount
from cdp_platform.components.source import SourceComponent
from cdp_platform.components.source_account import API_SOURCES, SourceAccount
from cdp_platform.components.sync_definition import ConsentRule, MappingEntry, SyncLimits, make_spec
from cdp_platform.connectors.registry import destination_of
from cdp_platform.domain.permission import ConsentPolicy
from cdp_platform.syncs import guards
from cdp_platform.testing.destination_contract import OneAnswerSession

EXAMPLES = Path(__file__).parents[2] / "examples"
SYNCS = sorted(EXAMPLES.glob("destinations/*/defs.yaml"))
SOURCES = sorted(EXAMPLES.glob("sources/*/defs.yaml"))
FIXTURES = Path(__file__).parents[1] / "contracts" / "fixtures"


def attributes(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))["attributes"])


@pytest.mark.parametrize("path", SYNCS, ids=lambda path: path.parent.name)
def test_a_sync_of_an_example_fits_its_destination(path: Path) -> None:
    told = attributes(path)
    spec = make_spec(
        name=told["name"],
        source_model=told["source_model"],
        relations={told["source_model"]: "activation.rows", "consents": "marts.consents", "suppressions": "marts.s"},
        primary_key=told["primary_key"],
        account=DestinationAccount(**told["destination"]),
        mode=told["mode"],
        purpose=told["purpose"],
        consent=ConsentRule(**told["consent"]) if "consent" in told else None,
        mapping=[MappingEntry(**entry) for entry in told["mapping"]],
        limits=SyncLimits(),
        removal=told.get("removal", "keep"),
        policy=ConsentPolicy(),
    )
    assert spec.connection.vendor == path.parent.name
    own = FIXTURES / f"{path.parent.name}_{spec.object}"
    folder = own if own.exists() else FIXTURES / path.parent.name
    rows = yaml.safe_load((folder / "rows.json").read_text(encoding="utf-8"))
    fields = destination_of(spec.connection).describe(OneAnswerSession(rows["describe_body"]), spec.object)
    # A fixture's account has fewer fields than the vendor's; where the destination knows its fields, all must fit.
    if not rows["describe_body"]:
        assert all(verdict.passed for verdict in guards.judge_mapping(spec, fields))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.parent.name)
def test_a_source_of_an_example_has_the_options_that_it_needs(path: Path) -> None:
    told = attributes(path)
    account = SourceAccount(**told["account"])
    API_SOURCES[told["source"]].check_options(account.options)
    assert told["descriptions"].keys() == API_SOURCES[told["source"]].tables.keys()
    assert set(told) <= SourceComponent.model_fields.keys()
