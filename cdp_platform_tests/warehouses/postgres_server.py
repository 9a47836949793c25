"""A PostgreSQL server of a test run's own: data in a temporary folder, on a unix socket, gone at the end."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from adbc_driver_manager import OperationalError
from adbc_driver_manager.dbapi import Connection
from adbc_driver_postgresql.dbapi import connect

_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_OPTIONS = "-c listen_addresses='' -c fsync=off -c max_connections=40 -c unix_socket_directories="


def binaries() -> Path | None:
    """Where initdb and pg_ctl lie; None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    return Path(found).parent if found else next((folder for folder in _FOLDERS if (folder / "initdb").exists()), None)


@dataclass(frozen=True, kw_only=True)
class PostgresServer:
    """A running server. Databases are cheap: every test takes one of its own."""

    folder: Path
    numbers: Iterator[int] = field(default_factory=count)

    def address(self, database: str) -> str:
        return f"postgresql:///{database}?host={self.folder}&user=cdp"

    def new_database(self, options: str = "") -> str:
        """Create an empty database; the answer is its address."""
        name = f"shop_{next(self.numbers)}"
        self.run(f"create database {name} {options}")
        return self.address(name)

    def emptied(self) -> str:
        """Empty one and the same database, which is quicker; the answer is its address."""
        address = self.address("shop")
        with closing(self._shop()) as connection, connection.cursor() as cursor:
            cursor.execute(
                "select quote_ident(nspname) from pg_namespace"
                " where nspname !~ '^(pg_|information_schema|cdp_functions|public)'"
            )
            for (name,) in cursor.fetchall():
                cursor.execute(f"drop schema {name} cascade")
        return address

    def _shop(self) -> Connection:
        try:
            return connect(self.address("shop"), autocommit=True)
        except OperationalError:
            self.run("create database shop")
            return connect(self.address("shop"), autocommit=True)

    def run(self, sql: str) -> None:
        with connect(self.address("postgres"), autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(sql)

    def run_in_shop(self, statements: Sequence[str]) -> None:
        """Run statements in the database of `emptied`."""
        with closing(self._shop()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def end_connections(self) -> None:
        """Cut every other connection, as a restart does."""
        self.run("select pg_terminate_backend(pid) from pg_stat_activity where datname like 'shop_%'")


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start a server and stop it at the end. Raises LookupError where PostgreSQL is not installed."""
    folder = binaries()
    if folder is None:
        raise LookupError("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="cdp-pg-", ignore_cleanup_errors=True) as root:
        data = Path(root) / "data"
        if os.geteuid() == 0:
            shutil.chown(root, "postgres", "postgres")
        _run([folder / "initdb", "-D", data, "-U", "cdp", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"])
        start = [folder / "pg_ctl", "-D", data, "-l", Path(root) / "log", "-w", "-o", f"{_OPTIONS}{root}", "start"]
        _run(start)
        try:
            yield PostgresServer(folder=Path(root))
        finally:
            _run([folder / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"])


def _run(command: Sequence[object]) -> None:
    # PostgreSQL refuses to run as root.
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", check=False, **user
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}")
