"""Secrets show themselves to nobody; places come from the environment first."""

import pickle
from pathlib import Path

import pytest

from cdp_platform.connectors.credentials import Secret, cdp_home, read_secret, resolve_base_url
from cdp_platform.domain.syncs import Connection
from cdp_platform.errors import AuthenticationFailed

CANARY = "canary-5f3a9c"


def test_a_secret_is_blank_in_every_form() -> None:
    secret = Secret(CANARY)
    forms = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", repr([secret]), "%s" % secret]  # noqa: UP031
    assert not any(CANARY in form for form in forms)
    assert secret.reveal() == CANARY


def test_a_secret_cannot_be_pickled_into_another_process() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(CANARY))


def test_equal_secrets_are_equal() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_a_secret_is_read_without_the_space_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBSPOT_TOKEN", f" {CANARY}\n")
    assert read_secret("HUBSPOT_TOKEN").reveal() == CANARY


@pytest.mark.parametrize("value", [None, "", "   "])
def test_a_missing_secret_names_its_variable_and_the_way_out(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("HUBSPOT_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("HUBSPOT_TOKEN", value)
    with pytest.raises(AuthenticationFailed, match=r"HUBSPOT_TOKEN.*Set HUBSPOT_TOKEN"):
        read_secret("HUBSPOT_TOKEN")


@pytest.mark.parametrize("value", [f"{CANARY}\r\nX-Evil: 1", f"{CANARY} {CANARY}", f"{CANARY}é"])
def test_a_secret_that_no_header_can_carry_is_refused_unseen(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HUBSPOT_TOKEN", value)
    with pytest.raises(AuthenticationFailed) as caught:
        read_secret("HUBSPOT_TOKEN")
    assert CANARY not in str(caught.value)


def test_the_base_url_is_the_variable_then_the_declared_then_the_vendors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUBSPOT_URL", raising=False)
    vendor = "https://api.hubapi.com"
    plain = Connection(name="hubspot", vendor="hubspot", base_url_env="HUBSPOT_URL")
    declared = Connection(
        name="hubspot", vendor="hubspot", base_url_env="HUBSPOT_URL", base_url="https://proxy.example.com"
    )
    assert resolve_base_url(plain, vendor) == vendor
    assert resolve_base_url(declared, vendor) == "https://proxy.example.com"
    monkeypatch.setenv("HUBSPOT_URL", "http://127.0.0.1:8790")
    assert resolve_base_url(declared, vendor) == "http://127.0.0.1:8790"


def test_the_home_is_absolute_and_under_the_current_directory_by_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CDP_HOME", raising=False)
    assert cdp_home().root == tmp_path / ".cdp"
    monkeypatch.setenv("CDP_HOME", "elsewhere")
    assert cdp_home().journal == tmp_path / "elsewhere" / "journal.sqlite"
