"""Destinations are found by name, ours and others' alike."""

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from cdp_platform.connectors import registry
from cdp_platform.connectors.registry import destination_names, destination_of, find_destination
from cdp_platform.domain.syncs import Connection
from cdp_platform.errors import ConfigError

FAKE = "cdp_platform.testing.fakes:FakeDestination"


def register(monkeypatch: pytest.MonkeyPatch, *pairs: tuple[str, str]) -> None:
    entries = [EntryPoint(name=name, value=value, group=registry.GROUP) for name, value in pairs]

    def entry_points(**_: Any) -> list[EntryPoint]:
        return entries

    monkeypatch.setattr(registry, "entry_points", entry_points)


def test_an_installed_destination_is_found_by_its_name() -> None:
    assert "hubspot" in destination_names()
    assert find_destination("hubspot").name == "hubspot"


def test_a_destination_of_another_package_is_equal_to_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, ("fake", FAKE))
    assert find_destination("fake").name == "fake"


def test_an_unknown_name_is_told_the_nearest_valid_one() -> None:
    with pytest.raises(ConfigError, match=r"'hubspott'.*Did you mean 'hubspot'"):
        find_destination("hubspott")
    with pytest.raises(ConfigError, match=r"'zzz'.*There are: .*hubspot"):
        find_destination("zzz")


def test_a_name_that_two_packages_claim_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, ("fake", FAKE), ("fake", "another.package:Fake"))
    with pytest.raises(ConfigError, match="more than once"):
        find_destination("fake")


@pytest.mark.parametrize(
    "value", ["no_such_module:Fake", "cdp_platform.testing.fakes:Missing", "builtins:int", f"{FAKE}.read"]
)
def test_an_entry_point_that_is_no_destination_is_a_config_error(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    register(monkeypatch, ("fake", value))
    with pytest.raises(ConfigError):
        find_destination("fake")


def test_a_destination_must_bear_its_registered_name(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, ("other", FAKE))
    with pytest.raises(ConfigError, match="another name"):
        find_destination("other")


def test_options_that_a_destination_does_not_take_are_an_error_that_names_the_field(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register(monkeypatch, ("fake", FAKE))
    connection = Connection(name="fake", vendor="fake", options={"organization_id": "1"})
    with pytest.raises(ConfigError, match="takes no options") as caught:
        destination_of(connection)
    assert caught.value.field == "destination.options"
    assert destination_of(Connection(name="fake", vendor="fake")).name == "fake"
