"""What was made by other code than now shows as stale: a changed mapping, model, macro, audience, trait or rule."""

import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cdp_platform.components.dbt_manifest import DbtManifest
from cdp_platform.components.loading import load_definitions
from cdp_platform_tests.components.conftest import ROOT


def versions(definitions: dg.Definitions) -> dict[str, str | None]:
    return {spec.key.to_user_string(): spec.code_version for spec in definitions.resolve_all_asset_specs()}


def test_a_changed_mapping_condition_trait_or_rule_changes_the_version_of_its_assets_only(
    parsed_home: Path, definitions: dg.Definitions, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(ROOT / "cdp_platform" / "defs", tmp_path / "defs"))
    for file, old, new in (
        (
            "syncs/crm_contacts",
            "    - {column: favourite_department, field: favourite_department, personal: false}\n",
            "",
        ),
        ("traits/web_interest", "within_days: 28", "within_days: 30"),
        ("audiences/coupon_lovers", "label:", "label: # what people call it\n   "),
    ):
        text = (folder / file / "defs.yaml").read_text(encoding="utf-8")
        assert old in text, file
        (folder / file / "defs.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    rules = folder / "identity" / "rules.yaml"
    rules.write_text(rules.read_text(encoding="utf-8").replace("cap: 20", "cap: 19", 1), encoding="utf-8")
    before, after = versions(definitions), versions(load_definitions(folder, project_root=ROOT))
    changed = {name for name, version in after.items() if version != before[name]}
    assert changed == {
        "plans/crm_contacts", "hubspot/crm_contacts", "traits/web_interest", "identity/health",
        *(name for name in before if name.startswith("identity/")),
    }  # fmt: skip


def test_models_audiences_traits_identity_and_syncs_have_a_version(definitions: dg.Definitions) -> None:
    outside = ("raw/", "feedback/", "exposures/")
    assert [name for name, found in versions(definitions).items() if not found and not name.startswith(outside)] == []


@pytest.fixture(scope="module")
def content(parsed_home: Path, definitions: dg.Definitions) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((parsed_home / "dbt" / "manifest.json").read_text(encoding="utf-8"))
    return found


def test_a_models_version_follows_its_sql_its_materialization_and_the_macros_that_it_calls(
    content: dict[str, Any],
) -> None:
    name = "model.cdp.traits_rfm"

    def version() -> str:
        return DbtManifest(json.loads(json.dumps(content))).code_version(name)

    seen = [version()]
    assert version() == seen[0]
    for change in ("sql", "materialization", "macro", "description"):
        node = content["nodes"][name]
        if change == "sql":
            node["checksum"]["checksum"] += "0"
        elif change == "materialization":
            node["config"]["materialized"] = "view"
        elif change == "macro":
            [macro] = [called for called in node["depends_on"]["macros"] if called == "macro.cdp.money"]
            content["macros"][macro]["macro_sql"] += " "
        else:
            node["description"] += " More."
        seen.append(version())
    assert len(set(seen)) == 4
    assert seen[-1] == seen[-2], "words about a model make nothing stale"
