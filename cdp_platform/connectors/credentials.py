"""Secrets and places, read from the environment at the moment they are needed and nowhere else in the connectors."""

import hmac
import os
from pathlib import Path
from typing import Final, final

from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import Connection
from cdp_platform.errors import AuthenticationFailed, ConfigError
from cdp_platform.project_file import NAME, Project, find_project

_HOME_VARIABLE: Final = "CDP_HOME"
_PLANS_VARIABLE: Final = "CDP_PLANS_URL"
_WAREHOUSE_VARIABLE: Final = "CDP_WAREHOUSE"
_POSTGRES_VARIABLE: Final = "CDP_POSTGRES"
_JOURNAL_VARIABLE: Final = "CDP_JOURNAL"
_MEMORY_VARIABLE: Final = "CDP_DUCKDB_MEMORY"
_SCHEMES: Final = ("postgresql://", "postgres://")
_ACCOUNTS_VARIABLE: Final = "CDP_WAREHOUSES"
_ACCOUNTS_NAME: Final = "warehouses.yaml"
_PEM: Final = "-----BEGIN "
_PROJECT_VARIABLE: Final = "CDP_PROJECT"


@final
class Secret:
    """A value that no print, log, comparison or traceback shows. `reveal` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret()"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> str:
        raise TypeError("a Secret is never pickled: pass the variable's name and read it there")


def read_secret(env_name: str) -> Secret:
    """Read the secret in the environment variable `env_name`, without the white space around it.

    Raises AuthenticationFailed when it is missing, blank, or cannot be an HTTP header's value.
    """
    value = os.environ.get(env_name, "").strip()
    if not value:
        raise AuthenticationFailed(
            f"The environment variable {env_name} is not set, or is blank.",
            remedy=f"Set {env_name} to the credential and run again.",
        )
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise AuthenticationFailed(
            f"The environment variable {env_name} holds white space or a character that no credential has.",
            remedy=f"Set {env_name} to the credential alone, on one line and without quotes.",
        )
    return Secret(value)


def read_private_key(env_name: str) -> Secret:
    """Read a private key: the variable holds PEM, its lines parted by new lines or by `\\n`, or a file's path.

    Raises AuthenticationFailed where it is missing, cannot be read, or is no PEM.
    """
    value = os.environ.get(env_name, "").strip()
    try:
        text = value if _PEM in value else Path(value).expanduser().read_text(encoding="ascii")
    except (OSError, ValueError):
        text = ""
    if _PEM not in text:
        raise AuthenticationFailed(
            f"The environment variable {env_name} holds no private key, nor the path of a file with one.",
            remedy=f"Set {env_name} to the path of a PEM file that this process may read.",
        )
    return Secret(text.replace("\\n", "\n").strip())


class EnvironmentSecrets:
    """The secrets of a warehouse's account, from the environment."""

    def text(self, env_name: str) -> str:
        value = os.environ.get(env_name, "")
        if not value.strip():
            raise AuthenticationFailed(
                f"The environment variable {env_name} is not set, or is blank.",
                remedy=f"Set {env_name} to the secret of the warehouse's account and run again.",
            )
        return value

    def private_key(self, env_name: str) -> str:
        return read_private_key(env_name).reveal()


def credential_of(connection: Connection) -> Secret | None:
    """Say which credential the connection uses, the same through all renewals of its tokens; None where it has none.

    A static token names itself; OAuth is named by its client and by where its secrets come from, so that a new access
    token, or a rotated secret, keeps the pace, the circuit breaker and the account that belong to it. Never sent.
    Raises AuthenticationFailed where a variable is not set.
    """
    oauth = connection.oauth
    if oauth is None:
        return read_secret(connection.token_env) if connection.token_env else None
    references = [oauth.client_id_env, oauth.client_secret_env, oauth.refresh_token_env or "", oauth.scope or ""]
    references += [word for word in (oauth.subject, oauth.audience) if word]
    client = read_secret(oauth.client_id_env).reveal()
    return Secret("\0".join(["oauth", oauth.token_url, oauth.grant, client, *references]))


def resolve_base_url(connection: Connection, default: str) -> str:
    """Tell where the connection's account is: `base_url_env` where set, else `base_url`, else the vendor's default."""
    override = os.environ.get(connection.base_url_env, "").strip() if connection.base_url_env else ""
    return override or connection.base_url or default


def is_unattended() -> bool:
    """Whether this is a build server: it says so by the variable CI."""
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false", "no")


def cdp_home() -> Home:
    """Tell where the platform keeps its state: CDP_HOME, else what `cdp.yaml` says, else `.cdp` here; absolute.

    CDP_PLANS_URL, where set, is the folder in which plan files are shared. CDP_WAREHOUSE chooses the warehouse's
    engine or its account, of which CDP_WAREHOUSES is the file, by default `warehouses.yaml` beside `cdp.yaml`, or here;
    CDP_POSTGRES says where a PostgreSQL server is, CDP_DUCKDB_MEMORY what a session of a DuckDB file may hold.
    CDP_JOURNAL, where set, is the database in which hosts share journal, paces and tokens. Raises ConfigError for a
    wrong `cdp.yaml`, or where CDP_JOURNAL is no such address.
    """
    root, plans_url = (os.environ.get(name, "").strip() for name in (_HOME_VARIABLE, _PLANS_VARIABLE))
    project = cdp_project()
    usual = project.state if project else Path(".cdp")
    accounts = os.environ.get(_ACCOUNTS_VARIABLE, "").strip()
    accounts_file = Path(accounts).expanduser() if accounts else (project.root if project else Path()) / _ACCOUNTS_NAME
    return Home(
        root=Path(root or usual).expanduser().absolute(),
        plans_url=plans_url or None,
        warehouse_file=project.warehouse if project else None,
        warehouse_kind=os.environ.get(_WAREHOUSE_VARIABLE, "").strip() or (project.engine if project else "duckdb"),
        warehouse_address=os.environ.get(_POSTGRES_VARIABLE, "").strip() or None,
        journal_address=_journal_address(),
        duckdb_memory=os.environ.get(_MEMORY_VARIABLE, "").strip() or None,
        warehouse_accounts=accounts_file.absolute(),
        secrets=EnvironmentSecrets(),
    )


def _journal_address() -> str | None:
    address = os.environ.get(_JOURNAL_VARIABLE, "").strip()
    if address and not address.startswith(_SCHEMES):
        raise ConfigError(
            f"{_JOURNAL_VARIABLE} is no address of a PostgreSQL database.",
            remedy="Write postgresql://user@host/database, the password into PGPASSWORD or ~/.pgpass; or unset it:"
            " the journal is a file in CDP_HOME then.",
        )
    return address or None


def cdp_project() -> Project | None:
    """Find the project that is worked on: the folder in CDP_PROJECT, else the nearest `cdp.yaml` from here upwards.

    None where there is none. Raises ConfigError for a wrong one, and where CDP_PROJECT names a folder without one.
    """
    named = os.environ.get(_PROJECT_VARIABLE, "").strip()
    found = find_project(Path(named or ".").expanduser().absolute())
    if named and found is None:
        raise ConfigError(
            f"{_PROJECT_VARIABLE} names a folder without {NAME}.", remedy="Correct it, or run `cdp init` there."
        )
    return found
