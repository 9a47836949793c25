"""Which rights the platform's role lacks in Snowflake, told as the statements that grant them.

Each right is tried, not looked up: what a role may do also comes from roles below it, which no table tells at once.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from snowflake.connector.errors import Error as DriverError

from cdp_platform.warehouse.accounts import SnowflakeAccount
from cdp_platform.warehouse.literals import quoted
from cdp_platform.warehouse.snowflake_functions import SCHEMA

_PLATFORM_SCHEMA = "cdp"
_REFUSED = (3001, 2003, 2043)
"""Insufficient privileges; and what is not there, which Snowflake does not tell from what may not be seen."""

Run = Callable[[str], Sequence[Sequence[Any]]]


def missing_grants(
    run: Run, account: SnowflakeAccount, sees: Callable[[str], bool], relations: Sequence[str]
) -> list[str]:
    """The statements for an administrator; `sees` says whether a relation can be read.

    Raises the connector's errors other than those of missing rights.
    """
    [[role, warehouse, database]] = run("select current_role(), current_warehouse(), current_database()")
    grantee = f"to role {account.role or quoted(str(role))}"
    if database is None:
        return [f"grant usage, create schema on database {account.database} {grantee}"]
    missing = [] if warehouse else [f"grant usage on warehouse {account.warehouse} {grantee}"]
    missing += _of_schemas(run, account, grantee)
    return missing + list(_of_relations(account, grantee, sees, relations))


def _of_schemas(run: Run, account: SnowflakeAccount, grantee: str) -> Iterator[str]:
    temporary = quoted(account.temporary_schema)
    for schema in (temporary, quoted(SCHEMA), quoted(_PLATFORM_SCHEMA)):
        if not _may(run, f"create schema if not exists {schema}"):
            yield f"grant usage, create schema on database {account.database} {grantee}"
            return
    tried = (
        (f"use schema {temporary}", temporary, "create temporary table, create stage"),
        ("create or replace temporary table cdp_probe (n integer)", temporary, "create temporary table"),
        ("create or replace temporary stage cdp_probe", temporary, "create stage"),
        (
            f"create or replace function {quoted(SCHEMA)}.probe() returns integer as '1'",
            quoted(SCHEMA),
            "create function",
        ),
        (
            f"create or replace table {quoted(_PLATFORM_SCHEMA)}.cdp_probe (n integer)",
            quoted(_PLATFORM_SCHEMA),
            "create table, create view",
        ),
    )
    for statement, schema, right in tried:
        if not _may(run, statement):
            yield f"grant usage, {right} on schema {account.database}.{schema} {grantee}"
    for what in (
        f"table if exists {quoted(_PLATFORM_SCHEMA)}.cdp_probe",
        f"function if exists {quoted(SCHEMA)}.probe()",
    ):
        _may(run, f"drop {what}")


def _of_relations(
    account: SnowflakeAccount, grantee: str, sees: Callable[[str], bool], relations: Sequence[str]
) -> Iterator[str]:
    hidden = [relation for relation in relations if not sees(relation)]
    for schema in sorted({relation.split(".")[0] for relation in hidden}):
        names = ", ".join(relation for relation in hidden if relation.split(".")[0] == schema)
        place = f"schema {account.database}.{schema}"
        yield (
            f"grant usage on {place} {grantee}; grant select on all tables in {place} {grantee};"
            f" grant select on future tables in {place} {grantee}; or build what is not there yet: {names}"
        )


def _may(run: Run, statement: str) -> bool:
    try:
        run(statement)
    except DriverError as error:
        if error.errno in _REFUSED:
            return False
        raise
    return True
