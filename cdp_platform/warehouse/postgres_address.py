"""A PostgreSQL server's address as libpq reads it, in the parts that tools with settings of their own ask for."""

from collections.abc import Mapping
from getpass import getuser
from typing import Final

from psycopg2 import ProgrammingError
from psycopg2.extensions import parse_dsn

from cdp_platform.errors import ConfigError

_NAMED_OTHERWISE: Final = {
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": "PGDATABASE",
}
_DEFAULTS: Final = {"PGHOST": "", "PGPORT": "5432", "PGPASSWORD": ""}


def address_parts(address: str | None) -> dict[str, str]:
    """Say an address in libpq's parameters: host, user, dbname and whatever else stands in it.

    Raises as `checked_address` does.
    """
    parts: dict[str, str] = parse_dsn(checked_address(address))
    return parts


def checked_address(address: str | None) -> str:
    """Return an address that libpq can read.

    Raises ConfigError where there is none, and for what is no address; the message does not repeat it.
    """
    if not address:
        raise ConfigError(
            "the warehouse is PostgreSQL, and nothing says where it is.",
            remedy="Set CDP_POSTGRES to its address, as postgresql://user@host/database, PGPASSWORD to the password.",
        )
    try:
        parse_dsn(address)
    except ProgrammingError:
        raise ConfigError(
            "what is set is no address of a PostgreSQL server.", remedy="Write it as postgresql://user@host/database."
        ) from None
    return address


def libpq_environment(address: str | None, environment: Mapping[str, str]) -> dict[str, str]:
    """Say an address in libpq's own variables, PGHOST and so on, over those that `environment` holds.

    PGHOST (empty: the socket's usual folder), PGPORT, PGUSER, PGPASSWORD (empty: none, or one of ~/.pgpass) and
    PGDATABASE are always among them. Raises as `address_parts` does.
    """
    said = {_variable(name): value for name, value in address_parts(address).items()}
    inherited = {name: value for name, value in environment.items() if name.startswith("PG")}
    merged = {**_DEFAULTS, **inherited, **said}
    user = merged.setdefault("PGUSER", getuser())
    merged.setdefault("PGDATABASE", user)
    return merged


def _variable(parameter: str) -> str:
    return _NAMED_OTHERWISE.get(parameter, f"PG{parameter.replace('_', '').upper()}")
