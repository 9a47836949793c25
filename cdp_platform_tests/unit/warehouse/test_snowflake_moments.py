"""What a transaction on Snowflake reads is all of one moment, as far as the account keeps the past."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pyarrow as pa
import pytest
import sqlglot

pytest.importorskip("snowflake.connector", reason="the extra `snowflake` is not installed: it was NOT tested")

from snowflake.connector import SnowflakeConnection
from snowflake.connector.cursor import ResultMetadata
from snowflake.connector.errors import ProgrammingError

from cdp_platform.errors import WarehouseError
from cdp_platform.warehouse.snowflake import SnowflakeSession

_TEXT = 2
_COPY = re.compile(r'create temporary table "(\w+)" (clone|as select \* from) (\S+)(?: at \(timestamp => (.*)\))?$')
_READ = re.compile(r'FROM ("[^ )]+)')
"""Of a query within a query the last is where its rows are."""
PEOPLE, CONSENTS = '"marts"."people"', '"marts"."consents"'


class Account:
    """Stands in for a connection: relations of one text each that change minute by minute, and copies of them."""

    def __init__(self) -> None:
        self.minute = 10
        self.past: dict[str, dict[int, str]] = {PEOPLE: {0: "people, first"}, CONSENTS: {0: "consents, first"}}
        self.views: set[str] = set()
        self.forgetful: set[str] = set()
        """Tables whose retention is 0 days."""
        self.refused: dict[str, int] = {}
        """The numbers of errors, by what the statement holds."""
        self.copies: dict[str, str] = {}
        self.said: list[str] = []

    def write(self, relation: str, text: str) -> None:
        """Let somebody else change a relation, a minute later."""
        self.minute += 1
        self.past[relation][self.minute] = text

    def is_closed(self) -> bool:
        return False

    def cursor(self) -> "Cursor":
        return Cursor(self)

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        self.said.append(sql)
        for words, number in self.refused.items():
            if words in sql:
                raise ProgrammingError(msg="refused", errno=number)
        if "current_timestamp" in sql:
            return [(datetime(2026, 1, 1, 12, self.minute, 0, 123456, tzinfo=UTC),)]
        if made := _COPY.match(sql):
            self.copies[f'"{made[1]}"'] = self._read(made[3], made[4], is_clone=made[2] == "clone")
        if sql.startswith("SELECT"):
            return [(self._read(_READ.findall(sql)[-1], None, is_clone=False),)]
        return []

    def _read(self, relation: str, when: str | None, *, is_clone: bool) -> str:
        if relation in self.copies:
            return self.copies[relation]
        if is_clone and relation in self.views:
            raise ProgrammingError(msg="Object found is of type 'VIEW'", errno=2002)
        told = self.past[relation]
        minute = int(when.split(":")[1]) if when else self.minute
        if when and (relation in self.forgetful or minute <= min(told)):
            raise ProgrammingError(msg="Time travel data is not available", errno=707)
        return told[max(one for one in told if one <= minute)]


class Cursor:
    """A cursor of such a connection."""

    sfqid, rowcount = "01ab", None

    def __init__(self, account: Account) -> None:
        self.account = account
        self.answer: list[tuple[Any, ...]] = []
        self.description = [ResultMetadata("told", _TEXT, None, None, None, None, True)]

    def execute(self, sql: str, _statement_params: object = None) -> None:
        self.answer = self.account.run(sql)

    def describe(self, sql: str) -> Sequence[ResultMetadata]:
        if sql.removeprefix("select * from ") not in self.account.past:
            raise ProgrammingError(msg="not there", errno=2003)
        return self.description

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.answer

    def fetch_arrow_batches(self, **_: object) -> Iterator[pa.Table]:
        yield pa.table({"told": [row[0] for row in self.answer]})

    def close(self) -> None:
        pass


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def session(account: Account) -> SnowflakeSession:
    return SnowflakeSession(cast("SnowflakeConnection", account), "plan crm_contacts", schema="cdp_session", work={})


def read(session: SnowflakeSession, relation: str) -> str:
    [row] = session.rows(f"select told from {relation}")
    return str(row["told"])


def copies(account: Account) -> list[str]:
    return [sql for sql in account.said if sql.startswith("create temporary table")]


def test_two_relations_of_a_transaction_are_read_as_of_one_moment(account: Account, session: SnowflakeSession) -> None:
    with session.transaction():
        assert read(session, "marts.people") == "people, first"
        account.write(PEOPLE, "people, second")
        account.write(CONSENTS, "consents, second")
        assert read(session, "marts.consents") == "consents, first"
        assert read(session, "marts.people") == "people, first"
    assert read(session, "marts.consents") == "consents, second"
    moment = "at (timestamp => '2026-01-01 12:10:00.123456+00:00'::timestamp_tz)"
    assert copies(account) == [
        f'create temporary table "copy_0" clone "marts"."people" {moment}',
        f'create temporary table "copy_1" clone "marts"."consents" {moment}',
    ]
    for sql in copies(account):
        assert sqlglot.parse_one(sql, read="snowflake").sql("snowflake").count("AT (TIMESTAMP => CAST(") == 1


def test_each_transaction_has_a_moment_of_its_own(account: Account, session: SnowflakeSession) -> None:
    with session.transaction():
        read(session, "marts.people")
    account.write(PEOPLE, "people, second")
    with session.transaction():
        assert read(session, "marts.people") == "people, second"


def test_a_transaction_that_reads_nothing_of_others_asks_for_no_moment(
    account: Account, session: SnowflakeSession
) -> None:
    with session.transaction():
        session.execute("create temporary table mine as select 1 as n")
    assert not any("current_timestamp" in sql for sql in account.said)


def test_a_view_is_read_as_of_the_same_moment_by_its_rows(account: Account, session: SnowflakeSession) -> None:
    account.views.add(CONSENTS)
    with session.transaction():
        read(session, "marts.people")
        account.write(CONSENTS, "consents, second")
        assert read(session, "marts.consents") == "consents, first"
    assert copies(account)[-1].startswith('create temporary table "copy_1" as select * from "marts"."consents" at (')


@pytest.mark.parametrize("is_view", [False, True])
def test_what_has_no_past_is_read_as_it_is_when_it_is_read(
    account: Account, session: SnowflakeSession, is_view: bool
) -> None:
    account.forgetful.add(CONSENTS)
    account.views |= {CONSENTS} if is_view else set()
    with session.transaction():
        read(session, "marts.people")
        account.write(CONSENTS, "consents, second")
        assert read(session, "marts.consents") == "consents, second"
        account.write(CONSENTS, "consents, third")
        assert read(session, "marts.consents") == "consents, second"
    assert copies(account)[-1].endswith('* from "marts"."consents"' if is_view else 'clone "marts"."consents"')


def test_what_was_made_anew_after_the_moment_is_read_as_it_is(account: Account, session: SnowflakeSession) -> None:
    with session.transaction():
        read(session, "marts.people")
        account.past[CONSENTS] = {account.minute + 1: "consents, made anew"}
        account.minute += 1
        assert read(session, "marts.consents") == "consents, made anew"


def test_what_the_session_has_made_or_written_itself_is_never_read_as_of_a_moment_before_that(
    account: Account, session: SnowflakeSession
) -> None:
    session.execute("create or replace table marts.people as select 'x' as told")
    session.execute("insert into marts.consents values ('y')")
    with session.transaction():
        read(session, "marts.people")
        read(session, "marts.consents")
    assert [sql.split(" ", 4)[4] for sql in copies(account)] == ['clone "marts"."people"', 'clone "marts"."consents"']
    assert not any("current_timestamp" in sql for sql in account.said)


def test_a_statement_that_somebody_cancels_is_not_asked_for_in_another_way(
    account: Account, session: SnowflakeSession
) -> None:
    account.refused["clone"] = 604
    with pytest.raises(WarehouseError, match="cancelled"), session.transaction():
        read(session, "marts.people")
    assert len(copies(account)) == 1


def test_a_relation_that_may_not_be_read_in_any_way_is_an_error(account: Account, session: SnowflakeSession) -> None:
    account.refused["create temporary"] = 3001
    with pytest.raises(WarehouseError, match="cdp doctor"), session.transaction():
        read(session, "marts.people")
