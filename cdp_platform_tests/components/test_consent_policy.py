"""The consent policy: one file says each market's rule, and syncs and audiences obey it where they are loaded."""

import shutil
from pathlib import Path

import pytest

from cdp_platform.components.consent_policy import read_policy
from cdp_platform.components.loading import load_audiences, load_definitions, load_syncs
from cdp_platform.domain.permission import ConsentPolicy, ConsentRule
from cdp_platform.errors import ConfigError
from cdp_platform_tests.components.test_loading import ROOT, SYNC, problem, spoil

POLICY = "policies"


@pytest.fixture
def folder(parsed_home: Path, tmp_path: Path) -> Path:
    """A copy of our own `defs/`, to be changed."""
    return Path(shutil.copytree(ROOT / "cdp_platform" / "defs", tmp_path / "defs"))


def rule_of(folder: Path) -> ConsentRule:
    consent = load_syncs(folder, ROOT)["crm_contacts"].consent
    assert consent is not None
    return consent.rule


def test_a_sync_takes_the_rule_of_its_entity_and_channel(folder: Path) -> None:
    assert rule_of(folder) is ConsentRule.OPT_IN
    spoil(folder / POLICY, "email: opt_in", "email: double_opt_in")
    assert rule_of(folder) is ConsentRule.DOUBLE_OPT_IN


def test_an_audience_takes_the_same_policy(folder: Path) -> None:
    spoil(folder / POLICY, "email: opt_in", "email: opt_out")
    for _, catalogue in load_audiences(folder, ROOT).values():
        assert catalogue.policy.rule("retail_us", "email") is ConsentRule.OPT_OUT
        assert catalogue.suppressions is not None


def test_without_a_policy_everything_is_opt_in(folder: Path) -> None:
    shutil.rmtree(folder / POLICY)
    assert read_policy(folder) == ConsentPolicy()
    assert rule_of(folder) is ConsentRule.OPT_IN


def test_a_market_that_the_policy_does_not_name_is_held_to_the_strictest_rule() -> None:
    policy = ConsentPolicy(rules={"retail_us": {"email": ConsentRule.OPT_OUT}})
    assert policy.rule("retail_de", "email") is ConsentRule.DOUBLE_OPT_IN
    assert policy.rule("retail_us", "sms") is ConsentRule.DOUBLE_OPT_IN


@pytest.mark.parametrize(
    ("place", "old", "new", "says"),
    [
        (POLICY, "retail_us:", "retail_uk:", r"no rules for the entity 'retail_us'. Did you mean `retail_uk`"),
        (
            POLICY,
            "email: opt_in",
            "sms: opt_in",
            r"no rule for 'retail_us' on the channel 'email'.*it has: sms",
        ),
        (POLICY, "email: opt_in", "email: opt_inn", r"'opt_inn' cannot be taken.*'opt_in'"),
        (POLICY, "rules:", "rulez:", r"Did you mean `rules`"),
        (
            SYNC,
            "consent: {identifier: email,",
            "consent: {suppressions_model: suppresions, identifier: email,",
            r"no model 'suppresions'. Did you mean `suppressions`.*suppressions_model: none",
        ),
    ],
)
def test_what_does_not_fit_is_refused_at_load(folder: Path, place: str, old: str, new: str, says: str) -> None:
    spoil(folder / place, old, new)
    with pytest.raises(ConfigError, match=says):
        load_definitions(folder, ROOT)


def test_two_policies_are_refused_naming_both_files(folder: Path) -> None:
    shutil.copytree(folder / POLICY, folder / "more_policies")
    message = str(problem(folder))
    assert str(folder / POLICY / "defs.yaml") in message
    assert str(folder / "more_policies" / "defs.yaml") in message


def test_an_audience_that_names_an_entity_without_rules_is_refused(folder: Path) -> None:
    coupon_lovers = folder / "audiences" / "coupon_lovers"
    spoil(coupon_lovers, "{consent: email_marketing,", "{consent: email_marketing, entity: retail_de,")
    assert "no rules for the entity 'retail_de'" in str(problem(folder))


def test_a_list_of_suppressions_is_done_without_only_where_that_is_written_out(folder: Path) -> None:
    consent = load_syncs(folder, ROOT)["crm_contacts"].consent
    assert consent is not None and consent.suppressions == "marts.suppressions"
    spoil(folder / SYNC, "consent: {identifier", "consent: {suppressions_model: none, identifier")
    consent = load_syncs(folder, ROOT)["crm_contacts"].consent
    assert consent is not None and consent.suppressions is None
