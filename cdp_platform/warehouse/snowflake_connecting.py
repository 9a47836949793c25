"""Connections to Snowflake, and what its errors mean to the people who must act.

The numbers of errors are those of Snowflake's documentation and of its connector; no account was at hand to see them.
"""

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import pyarrow as pa
from cryptography.hazmat.primitives import serialization
from snowflake.connector import SnowflakeConnection, connect
from snowflake.connector.errors import Error as DriverError

from cdp_platform.domain.home import Secrets
from cdp_platform.errors import AuthenticationFailed, WarehouseError
from cdp_platform.warehouse.accounts import KeyPair, OAuthToken, SnowflakeAccount

_LOGIN_SECONDS = 60
_NETWORK_SECONDS = 600
_SETTINGS: Final = {
    "TIMEZONE": "UTC",
    "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
    "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
    "BINARY_OUTPUT_FORMAT": "HEX",
    "ABORT_DETACHED_QUERY": True,
    "LOCK_TIMEOUT": 600,
    "CLIENT_RESULT_CHUNK_SIZE": 16,
}
"""The last: an answer comes in pieces of so many megabytes, unpacked; Snowflake knows 16 to 160, and takes 160."""
_FETCH_THREADS = 1
"""So many pieces of an answer are fetched ahead of the one that is read; the connector would fetch four."""
_OF_NAMES = (904, 2003, 2043)
"""Errors that speak of relations and columns; their names are told, values never are."""
_REMEDIES = (
    ((250001, 251001, 290403, 290404, 390100, 390101), "Check account, user and secret of the account's entry."),
    ((390144,), "Give the user the public half of this key: alter user … set rsa_public_key = '…'."),
    ((290401, 390104, 390110, 390111, 390112, 390114, 390195), "The session has ended: run this again."),
    ((390303, 390318), "The access token is no longer good: renew it, and run this again."),
    ((390186, 390189, 390201), "Check that the role, the warehouse and the database are there and granted."),
    ((606,), "No warehouse runs: name one that the role may use, or resume it."),
    ((90073,), "The credits of its resource monitor are used up: its administrator can raise the quota."),
    ((3001,), "Grant what is missing: `cdp doctor` writes the statements for an administrator."),
    ((2003, 2043), "It is not there, or the role may not see it: `cdp doctor` writes the grants."),
    ((904,), "Was the column dropped or renamed? Correct the mapping, or the model."),
    ((604, 630), "It was cancelled, or took longer than it may: nothing of it was kept; run this again."),
    ((625,), "Another session held the table for too long: run this again."),
)

_Failures = (DriverError, pa.ArrowException, OSError)


def connected(account: SnowflakeAccount, secrets: Secrets) -> SnowflakeConnection:
    """Open a connection, which commits by itself. Raises WarehouseError, AuthenticationFailed for a missing secret."""
    # The connector's own log would hold statements, and with them values of rows.
    logging.getLogger("snowflake.connector").setLevel(logging.ERROR)
    given = {
        "account": account.account,
        "user": account.user,
        "role": account.role,
        "warehouse": account.warehouse,
        "database": account.database,
        "autocommit": True,
        "application": "cdp_platform",
        "login_timeout": _LOGIN_SECONDS,
        "network_timeout": _NETWORK_SECONDS,
        "client_fetch_threads": _FETCH_THREADS,
        # Else numbers with digits after the point would pass through binary fractions, and lose the last ones.
        "arrow_number_to_decimal": True,
        "session_parameters": _SETTINGS | {"CLIENT_TELEMETRY_ENABLED": False},
        **endpoint(account),
        **credential(account, secrets),
    }
    with translated("connect", "the Snowflake warehouse cannot be reached"):
        return connect(**{name: value for name, value in given.items() if value is not None})


@contextmanager
def translated(tag: str, what: str = "the warehouse refused a statement") -> Iterator[None]:
    """Let the connector's errors be WarehouseError, naming what was at work and what to do, without a value."""
    try:
        yield
    except _Failures as error:
        number = getattr(error, "errno", None) or 0
        remedy = next((told for numbers, told in _REMEDIES if number in numbers), "")
        query = getattr(error, "sfqid", None)
        name = f", query {query}" if query else ""
        raise WarehouseError(f"{what} ({tag}{name}): {_first_line(error, number)}", remedy=remedy) from error


def query_tag(purpose: str, work: Mapping[str, str]) -> str:
    """The tag that statements carry into Snowflake's history: JSON with the process, its purpose and what it is at."""
    told = {"application": "cdp", "purpose": purpose, "process": os.getpid(), **work}
    return json.dumps(told, ensure_ascii=False)


def endpoint(account: SnowflakeAccount) -> dict[str, Any]:
    """Where the connector asks, if not at Snowflake's own address: host, port, protocol; else empty."""
    if account.api_endpoint is None:
        return {}
    address = urlsplit(account.api_endpoint)
    return {
        "host": address.hostname,
        "port": address.port or (443 if address.scheme == "https" else 80),
        "protocol": address.scheme,
    }


def credential(account: SnowflakeAccount, secrets: Secrets) -> dict[str, Any]:
    """How the connector says who it is: `password`, or `authenticator` with `token` or `private_key`, which is DER.

    Raises AuthenticationFailed for a secret that is missing or a key that cannot be opened.
    """
    match account.authentication:
        case KeyPair() as pair:
            passphrase = secrets.text(pair.passphrase_env) if pair.passphrase_env else None
            key = _private_key(pair.private_key_env, secrets.private_key(pair.private_key_env), passphrase)
            return {"authenticator": "SNOWFLAKE_JWT", "private_key": key}
        case OAuthToken() as oauth:
            return {"authenticator": "oauth", "token": secrets.text(oauth.token_env).strip()}
        case password:
            return {"password": secrets.text(password.password_env)}


def _private_key(env_name: str, pem: str, passphrase: str | None) -> bytes:
    try:
        key = serialization.load_pem_private_key(pem.encode(), passphrase.encode() if passphrase else None)
    except (ValueError, TypeError) as error:
        raise AuthenticationFailed(
            f"The private key in {env_name} cannot be opened.",
            remedy="Check that it is an unencrypted PKCS#8 key, or name its passphrase by passphrase_env.",
        ) from error
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _first_line(error: Exception, number: int) -> str:
    """The message without quoted values, which may be personal; some errors quote names alone, which are told."""
    text = str(getattr(error, "msg", None) or error)
    lines = [line.strip() for line in text.replace("SQL compilation error:", "").splitlines() if line.strip()]
    told = " ".join(lines[:2]) if lines else type(error).__name__
    return (told if number in _OF_NAMES else re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", told))[:300]
