"""`warehouses.yaml`: the accounts of server warehouses, by names of the writer's own. It names secrets and holds none.

    production:
      type: snowflake
      account: acme-analytics
      user: CDP
      warehouse: CDP_WH
      database: CDP
      authentication: {method: key_pair, private_key_env: SNOWFLAKE_PRIVATE_KEY}

`CDP_WAREHOUSE`, or `warehouse` in `cdp.yaml`, chooses one by its name. The file is one for all kinds of warehouse.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cdp_platform.domain.nearest import nearest_of
from cdp_platform.errors import ConfigError
from cdp_platform.yaml_file import YamlFile

State = Literal["warehouse", "local"]
STATE: Final[State] = Field(
    default="warehouse",
    description="Where the platform keeps ledgers and log: in the warehouse, or `local`, in the file state.duckdb in"
    " CDP_HOME, and the warehouse is only read.",
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyPair(_Block):
    """A key pair, whose public half the account's administrator gives to the user."""

    method: Literal["key_pair"]
    private_key_env: str = Field(description="The variable with the private key as PEM, or with the path of its file.")
    passphrase_env: str | None = Field(default=None, description="The variable with the key's passphrase.")


class OAuthToken(_Block):
    """An access token that somebody else keeps fresh."""

    method: Literal["oauth"]
    token_env: str = Field(description="The variable with the access token; read anew for each connection.")


class Password(_Block):
    """A password, or a programmatic access token in its place."""

    method: Literal["password"]
    password_env: str = Field(description="The variable with the password.")


class ServiceAccount(_Block):
    """A service account's key file."""

    method: Literal["service_account"]
    key_file_env: str = Field(description="The variable with the path of the service account's key file.")


class ApplicationDefault(_Block):
    """Whatever the vendor's own library finds: the machine's identity, or who logged in on it."""

    method: Literal["application_default"]


class SnowflakeAccount(_Block):
    """An account of Snowflake's."""

    type: Literal["snowflake"]
    account: str = Field(min_length=1, description="The account's identifier, as `organization-account`.")
    user: str = Field(min_length=1, description="The platform's own user.")
    role: str | None = Field(default=None, description="The role to work with; left out: the user's default role.")
    warehouse: str = Field(min_length=1, description="The virtual warehouse that runs the statements.")
    database: str = Field(min_length=1, description="The database with the models; the platform's tables go there.")
    temporary_schema: str = Field(
        default="cdp_session", min_length=1, description="The schema in which sessions make their temporary tables."
    )
    authentication: Annotated[KeyPair | OAuthToken | Password, Field(discriminator="method")]
    api_endpoint: str | None = Field(default=None, description="Another address than the vendor's, as of an emulator.")

    state: State = STATE

    _endpoint = field_validator("api_endpoint")(lambda value: _address(value))


class BigQueryAccount(_Block):
    """A project of Google Cloud's with BigQuery."""

    type: Literal["bigquery"]
    project: str = Field(min_length=1, description="The project that is billed for the statements.")
    dataset: str = Field(default="cdp", min_length=1, description="The dataset of names that name none.")
    temporary_dataset: str = Field(
        default="cdp_temp", min_length=1, description="The dataset in which sessions make their temporary tables."
    )
    location: str = Field(min_length=1, description="Where the datasets lie, as `EU` or `asia-east1`.")
    maximum_bytes_billed: int | None = Field(
        default=None, gt=0, description="The most that one statement may be billed for, in bytes; left out: no limit."
    )
    authentication: Annotated[ServiceAccount | ApplicationDefault, Field(discriminator="method")]
    api_endpoint: str | None = Field(default=None, description="Another address than the vendor's, as of an emulator.")

    state: State = STATE

    _endpoint = field_validator("api_endpoint")(lambda value: _address(value))


class PostgresAccount(_Block):
    """A database of a PostgreSQL server."""

    type: Literal["postgres"]
    address: str = Field(description="The database as libpq reads it, `postgresql://user@host/database`, no password.")
    password_env: str | None = Field(
        default=None, description="The variable with the password; left out: libpq finds it by itself."
    )
    state: State = STATE


Account = SnowflakeAccount | BigQueryAccount | PostgresAccount
TYPES: Final[Mapping[str, type[Account]]] = {
    "snowflake": SnowflakeAccount,
    "bigquery": BigQueryAccount,
    "postgres": PostgresAccount,
}


def account_names(file: Path | None) -> list[str]:
    """The names of the accounts in a file; none where there is no file. Raises ConfigError for one that is no YAML."""
    return list(YamlFile.read(file).content) if file is not None and file.is_file() else []


def find_account(file: Path | None, name: str) -> Account | None:
    """Read the account `name`; None where there is no file or no such account in it.

    Raises ConfigError with file, line and field for whatever is wrong with it.
    """
    if file is None or not file.is_file():
        return None
    document = YamlFile.read(file)
    return _account(document, name) if name in document.content else None


def _account(document: YamlFile, name: str) -> Account:
    file, given = document.path, document.content[name]
    if not isinstance(given, Mapping):
        raise ConfigError("the account must hold fields.", place=f"{file}:{document.line_of(name)}", field=name)
    kind = given.get("type")
    model = TYPES.get(kind) if isinstance(kind, str) else None
    if model is None:
        what = "this field is required and missing." if kind is None else f"there is no type {kind!r}."
        line = f"{file}:{document.line_of(name, 'type')}"
        raise ConfigError(what, place=line, field=f"{name}.type", remedy=nearest_of(str(kind or ""), TYPES))
    _refuse_secrets(document, given, (name,))
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise document.explained(error, model, within=(name,)) from error


def _refuse_secrets(document: YamlFile, block: Mapping[str, Any], path: tuple[str, ...]) -> None:
    """What stands in the place of a variable's name may be the secret itself, and is not repeated."""
    for field, value in block.items():
        if isinstance(value, Mapping):
            _refuse_secrets(document, value, (*path, field))
        is_variable = isinstance(value, str) and _VARIABLE.fullmatch(value) is not None
        holds_password = field == "address" and isinstance(value, str) and _has_password(value)
        if (field.endswith("_env") and value is not None and not is_variable) or holds_password:
            raise ConfigError(
                "an address with a password does not belong into a file."
                if holds_password
                else "this is no name of an environment variable.",
                place=f"{document.path}:{document.line_of(*path, field)}",
                field=".".join((*path, field)),
                remedy="Name the variable that holds the secret, and set it where the platform runs.",
            )


def _has_password(address: str) -> bool:
    return "password" in address.lower() or bool(re.search(r"//[^/@]*:[^/@]*@", address))


def _address(value: str | None) -> str | None:
    if value is not None and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
        raise ValueError("it is no address that begins with https:// or http://")
    return value
