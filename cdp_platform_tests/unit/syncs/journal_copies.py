"""A journal that is lost, or put back as it was yesterday: the file, or the schema in PostgreSQL."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from adbc_driver_postgresql.dbapi import connect

from cdp_platform.domain.home import Home


def lose(home: Home) -> None:
    """Delete the journal that nobody has open."""
    if home.journal_address:
        _run(home.journal_address, "drop schema cdp_journal cascade")
    for file in home.root.glob("journal.sqlite*"):
        file.unlink()


def keep(home: Home) -> None:
    """Keep a copy of the journal as it is."""
    if home.journal_address:
        tables = _tables(home.journal_address)
        copies = [f"create table yesterday.{name} as table cdp_journal.{name}" for name in tables]
        _run(home.journal_address, "create schema yesterday", *copies)
        return
    with closing(sqlite3.connect(home.journal)) as source, closing(sqlite3.connect(_kept(home))) as target:
        source.backup(target)


def put_back(home: Home) -> None:
    """Put the copy into the journal's place."""
    if home.journal_address:
        for name in _tables(home.journal_address):
            table = f"cdp_journal.{name}"
            everything = f"insert into {table} overriding system value table yesterday.{name}"
            _run(home.journal_address, f"delete from {table}", everything)
        return
    lose(home)
    shutil.copy(_kept(home), home.journal)


def content(home: Home) -> bytes:
    """Everything that stands in the journal, in small letters."""
    if not home.journal_address:
        return b"".join(path.read_bytes().lower() for path in home.root.glob("journal*"))
    with connect(home.journal_address) as connection, connection.cursor() as cursor:
        told = []
        for name in _tables(home.journal_address):
            cursor.execute(f"select lower(cast(told as text)) from cdp_journal.{name} as told")
            told += [line for (line,) in cursor.fetchall()]
    return "\n".join(told).encode()


def _kept(home: Home) -> Path:
    return home.root / "yesterday.sqlite"


def _tables(address: str) -> list[str]:
    with connect(address) as connection, connection.cursor() as cursor:
        cursor.execute("select tablename from pg_tables where schemaname = 'cdp_journal'")
        return [name for (name,) in cursor.fetchall()]


def _run(address: str, *statements: str) -> None:
    with connect(address, autocommit=True) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
