"""The examples of destinations are syncs that can work, each for the destination that its folder is named after."""

from pathlib import Path

import pytest
import yaml

from cdp_platform.components.destination import DestinationAccount
from cdp_platform.components.sync_definition import MappingEntry, SyncLimits, make_spec
from cdp_platform.domain.permission import ConsentPolicy
from cdp_platform_tests.architecture.tree import ROOT

EXAMPLES = sorted((ROOT / "examples" / "destinations").glob("*/defs.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_example_is_a_sync_to_its_destination(path: Path) -> None:
    told = yaml.safe_load(path.read_text(encoding="utf-8"))["attributes"]
    spec = make_spec(
        name=told["name"],
        source_model=told["source_model"],
        relations={told["source_model"]: "activation.example"},
        primary_key=told["primary_key"],
        account=DestinationAccount(**told["destination"]),
        mode=told["mode"],
        purpose=told["purpose"],
        consent=None,
        mapping=[MappingEntry(**entry) for entry in told["mapping"]],
        limits=SyncLimits(),
        removal=told.get("removal", "keep"),
        policy=ConsentPolicy(),
    )
    assert spec.connection.vendor == path.parent.name


def test_there_are_examples() -> None:
    assert EXAMPLES
