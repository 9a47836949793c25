"""Access to Salesforce by OAuth: client credentials, and an assertion that the client signs."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cdp_platform.connectors.http import open_session
from cdp_platform.destinations.salesforce import Salesforce
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import Connection, Grant, OAuth
from cdp_platform.errors import AuthenticationFailed
from cdp_platform_tests.contracts.salesforce_stage import TOKEN, Organization, serving

KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def organization(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Organization]:
    folder = tmp_path / "sandbox"
    folder.mkdir()
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "salesforce.pem").write_bytes(public)
    monkeypatch.setenv("SALESFORCE_CLIENT_ID", "consumer-key")
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", TOKEN)
    monkeypatch.setenv("SALESFORCE_KEY", PEM)
    with serving(folder) as served:
        yield served


def connection_by(url: str, grant: Grant, **changes: str) -> Connection:
    is_signed = grant is Grant.JWT_BEARER
    oauth = OAuth(
        token_url=f"{url}/services/oauth2/token",
        grant=grant,
        client_id_env="SALESFORCE_CLIENT_ID",
        client_secret_env="SALESFORCE_KEY" if is_signed else "SALESFORCE_CLIENT_SECRET",
        subject="cdp@example.com" if is_signed else None,
        audience="https://login.salesforce.com" if is_signed else None,
    )
    return Connection(name="salesforce", vendor="salesforce", oauth=replace(oauth, **changes), base_url=url)


def account_id(connection: Connection, home: Path) -> str:
    session = open_session(connection, Salesforce(), Home(root=home), "Contact")
    try:
        return Salesforce().account_id(session)
    finally:
        session.close()


@pytest.mark.parametrize("grant", [Grant.CLIENT_CREDENTIALS, Grant.JWT_BEARER])
def test_a_token_is_fetched_and_once_more_when_the_session_has_expired(
    organization: Organization, tmp_path: Path, grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connection_by(organization.url, grant)
    assert account_id(connection, tmp_path / "home").startswith("00D")
    organization.ask("DELETE", "/sandbox/salesforce/sessions")
    # A token that is refused while it is fresh is not renewed: here none counts as fresh.
    monkeypatch.setattr("cdp_platform.connectors.oauth.FRESH_SECONDS", -1.0)
    assert account_id(connection, tmp_path / "home").startswith("00D")


@pytest.mark.parametrize("written", ["lines", "escaped", "file"])
def test_the_key_is_read_from_the_variable_or_from_the_file_that_it_names(
    organization: Organization, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    (tmp_path / "key.pem").write_text(PEM)
    told = {"lines": PEM, "escaped": PEM.replace("\n", "\\n"), "file": str(tmp_path / "key.pem")}
    monkeypatch.setenv("SALESFORCE_KEY", told[written])
    assert account_id(connection_by(organization.url, Grant.JWT_BEARER), tmp_path / "home").startswith("00D")


def test_a_key_of_somebody_else_is_refused_and_shown_to_nobody(
    organization: Organization, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    monkeypatch.setenv("SALESFORCE_KEY", pem)
    with pytest.raises(AuthenticationFailed, match="SALESFORCE_KEY") as caught:
        account_id(connection_by(organization.url, Grant.JWT_BEARER), tmp_path / "home")
    assert pem.splitlines()[3] not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"


@pytest.mark.parametrize(
    "value", ["", "/nowhere/key.pem", "-----BEGIN PRIVATE KEY-----\nbm9uc2Vuc2U=\n-----END PRIVATE KEY-----"]
)
def test_a_key_that_is_none_is_named_by_its_variable(
    organization: Organization, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("SALESFORCE_KEY", value)
    with pytest.raises(AuthenticationFailed, match="SALESFORCE_KEY") as caught:
        account_id(connection_by(organization.url, Grant.JWT_BEARER), tmp_path / "home")
    assert "bm9uc2Vuc2U" not in str(caught.value)


def test_the_sandbox_takes_no_assertion_for_another_audience_or_for_longer_than_three_minutes(
    organization: Organization,
) -> None:
    claims = {"iss": "consumer-key", "sub": "cdp@example.com", "aud": "https://login.salesforce.com"}
    for changes in ({"aud": "https://example.com"}, {"exp": time.time() + 900}, {"exp": time.time() - 900}):
        told = {"exp": time.time() + 60, **claims, **changes}
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": jwt.encode(told, PEM, algorithm="RS256"),
        }
        answer = organization.ask("POST", "/services/oauth2/token", data=form)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
