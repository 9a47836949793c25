"""How Snowflake is reached, what its errors tell whom, and which grants an administrator is asked for."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pytest

pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed: it was NOT tested")

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from snowflake.connector.errors import DatabaseError, OperationalError, ProgrammingError

from cdp_platform.domain.home import Home
from cdp_platform.errors import AuthenticationFailed, ConfigError, WarehouseError
from cdp_platform.warehouse import snowflake_connecting as connecting
from cdp_platform.warehouse.accounts import KeyPair, OAuthToken, Password, SnowflakeAccount
from cdp_platform.warehouse.choice import open_warehouse
from cdp_platform.warehouse.snowflake import SnowflakeSession, SnowflakeWarehouse
from cdp_platform.warehouse.snowflake_grants import missing_grants


class Secrets:
    """Secrets by the names of their variables."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def text(self, env_name: str) -> str:
        return self.values[env_name]

    def private_key(self, env_name: str) -> str:
        return self.values[env_name]


def account_of(**changes: Any) -> SnowflakeAccount:
    given = {
        "type": "snowflake",
        "account": "acme-analytics",
        "user": "CDP",
        "role": "CDP_ROLE",
        "warehouse": "CDP_WH",
        "database": "CDP",
        "authentication": Password(method="password", password_env="P"),
    }
    return SnowflakeAccount(**given | changes)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the connector would be given."""
    heard: list[dict[str, Any]] = []
    monkeypatch.setattr(connecting, "connect", lambda **arguments: heard.append(arguments))
    return heard


def test_a_session_is_in_utc_and_its_names_keep_their_case(given: list[dict[str, Any]]) -> None:
    connecting.connected(account_of(), Secrets(P="canary"))
    [told] = given
    assert told["session_parameters"]["TIMEZONE"] == "UTC"
    assert told["session_parameters"]["QUOTED_IDENTIFIERS_IGNORE_CASE"] is False
    assert (told["account"], told["role"], told["password"]) == ("acme-analytics", "CDP_ROLE", "canary")
    assert "host" not in told


def test_a_key_pair_is_read_from_its_variable_with_its_passphrase(given: list[dict[str, Any]]) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    sealed = serialization.BestAvailableEncryption(b"canary")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed).decode()
    pair = KeyPair(method="key_pair", private_key_env="K", passphrase_env="W")
    connecting.connected(account_of(authentication=pair), Secrets(K=pem, W="canary"))
    assert given[0]["authenticator"] == "SNOWFLAKE_JWT" and isinstance(given[0]["private_key"], bytes)
    with pytest.raises(AuthenticationFailed, match="in K cannot be opened") as failure:
        connecting.connected(account_of(authentication=pair), Secrets(K=pem, W="wrong canary"))
    assert "canary" not in str(failure.value)


def test_an_access_token_is_passed_on(given: list[dict[str, Any]]) -> None:
    oauth = OAuthToken(method="oauth", token_env="T")
    connecting.connected(account_of(authentication=oauth, api_endpoint="http://127.0.0.1:8080"), Secrets(T="canary\n"))
    assert (given[0]["authenticator"], given[0]["token"]) == ("oauth", "canary")
    assert (given[0]["host"], given[0]["port"], given[0]["protocol"]) == ("127.0.0.1", 8080, "http")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (250001, "Check account, user"),
        (390144, "public half of this key"),
        (390114, "session has ended"),
        (606, "No warehouse runs"),
        (90073, "quota"),
        (3001, "cdp doctor"),
        (604, "run this again"),
    ],
)
def test_an_error_says_what_was_at_work_and_what_to_do_and_no_value(number: int, remedy: str) -> None:
    error = OperationalError(msg="Numeric value 'canary@example.com' is not recognized", errno=number, sfqid="01ab")
    with pytest.raises(WarehouseError) as failure, connecting.translated("plan crm_contacts"):
        raise error
    told = str(failure.value)
    assert "plan crm_contacts" in told and "01ab" in told and remedy in told
    assert "canary" not in told


def test_a_query_tag_is_json_with_the_purpose_and_what_the_process_is_at() -> None:
    work = {"asset": "plans/crm", "sync": "crm", "run": "0b1c"}
    told = json.loads(connecting.query_tag('plan "crm"', work))
    assert told["purpose"] == 'plan "crm"'
    assert told.items() >= work.items()


class CutShort:
    """A connection, and its cursor, whose answer of three rows ends after two."""

    rowcount = 3

    def is_closed(self) -> bool:
        return False

    def fetch_arrow_batches(self, **_: object) -> Iterator[pa.Table]:
        yield pa.table({"n": [1, 2]})


def test_an_answer_that_ends_before_its_rows_are_told_is_an_error_and_never_its_end() -> None:
    cut: Any = CutShort()
    session = SnowflakeSession(cut, "plan crm_contacts", schema="cdp_session", work={})
    read = session._read(cut, pa.schema([("n", pa.int64())]))
    assert next(read).num_rows == 2
    with pytest.raises(WarehouseError, match=r"3 rows broke off after 2 \(plan crm_contacts\)"):
        next(read)


@pytest.mark.parametrize(("number", "way_out"), [(390144, "public half"), (390100, "Check account, user")])
def test_a_key_that_is_no_longer_good_is_told_when_a_session_is_opened(
    number: int, way_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**arguments: object) -> None:
        raise DatabaseError(msg="JWT of 'canary@example.com' is invalid", errno=number)

    monkeypatch.setattr(connecting, "connect", refuse)
    with pytest.raises(WarehouseError, match=way_out) as failure:  # noqa: SIM117
        with SnowflakeWarehouse(account_of(), Secrets(P="canary")).session("plan crm_contacts"):
            pytest.fail("the session must not open")
    assert "canary" not in str(failure.value)


class Guarded:
    """An account in which statements that hold one of `refused` are refused, as Snowflake refuses them."""

    def __init__(self, *refused: str, role: str = "CDP_ROLE", warehouse: str | None = "W") -> None:
        self.refused = refused
        self.told = [(role, warehouse, "CDP")]

    def __call__(self, sql: str) -> Sequence[Sequence[Any]]:
        if any(words in sql for words in self.refused):
            raise ProgrammingError(msg="Insufficient privileges", errno=3001)
        return self.told


def test_a_role_that_lacks_nothing_is_asked_for_nothing() -> None:
    assert missing_grants(Guarded(), account_of(), lambda name: True, ["marts.people"]) == []


@pytest.mark.parametrize(
    ("refused", "granted"),
    [
        ("create schema", "grant usage, create schema on database CDP to role CDP_ROLE"),
        ("temporary table", 'grant usage, create temporary table on schema CDP."cdp_session" to role CDP_ROLE'),
        ("temporary stage", 'grant usage, create stage on schema CDP."cdp_session" to role CDP_ROLE'),
        ("replace function", 'grant usage, create function on schema CDP."cdp_functions" to role CDP_ROLE'),
        ('table "cdp".cdp_probe', 'grant usage, create table, create view on schema CDP."cdp" to role CDP_ROLE'),
    ],
)
def test_a_missing_right_is_the_statement_that_grants_it(refused: str, granted: str) -> None:
    assert missing_grants(Guarded(refused), account_of(), lambda name: True, []) == [granted]


def test_a_missing_warehouse_and_a_hidden_model_are_named() -> None:
    run = Guarded(warehouse=None)
    told = missing_grants(run, account_of(), lambda name: name != "marts.people", ["marts.people", "marts.consents"])
    assert told[0] == "grant usage on warehouse CDP_WH to role CDP_ROLE"
    assert "grant select on all tables in schema CDP.marts to role CDP_ROLE" in told[1] and "marts.people" in told[1]


def test_an_error_of_another_kind_is_no_missing_right() -> None:
    def run(sql: str) -> Sequence[Sequence[Any]]:
        raise ProgrammingError(msg="No active warehouse", errno=606)

    with pytest.raises(ProgrammingError):
        missing_grants(run, account_of(), lambda name: True, [])


def test_an_account_is_one_warehouse_in_a_process(tmp_path: Any) -> None:
    file = tmp_path / "warehouses.yaml"
    file.write_text(
        "lake: {type: snowflake, account: a, user: u, warehouse: w, database: d,"
        " authentication: {method: password, password_env: P}}",
        encoding="utf-8",
    )
    home = Home(root=tmp_path, warehouse_kind="lake", warehouse_accounts=file, secrets=Secrets(P="x"))
    assert isinstance(open_warehouse(home), SnowflakeWarehouse)
    assert open_warehouse(home) is open_warehouse(home)
    with pytest.raises(ConfigError, match="secrets"):
        open_warehouse(Home(root=tmp_path, warehouse_kind="lake", warehouse_accounts=file))
