"""From an audience's name at the terminal to its definition, and what the warehouse says of it."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from datetime import date

from cdp_platform.audiences.catalogue import Catalogue
from cdp_platform.audiences.definition import Definition
from cdp_platform.cli.declared_syncs import declared_in, unknown
from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.errors import CdpError
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.choice import open_warehouse, require_written

Declared = tuple[Definition, Catalogue]


def declared_audiences() -> Mapping[str, Declared]:
    """Load every audience that the definitions declare, by name; raise ConfigError where one of them cannot work."""
    from cdp_platform.components.loading import load_audiences

    # dbt talks while it parses; a command's own output may be read by a program.
    with redirect_stdout(sys.stderr):
        return load_audiences(*declared_in())


def find_audience(name: str) -> Declared:
    """Find an audience by name; raise CdpError, naming the nearest, where there is none."""
    declared = declared_audiences()
    if name not in declared:
        raise unknown("audience", name, declared)
    return declared[name]


def has_warehouse() -> bool:
    """Whether anything was loaded yet."""
    return cdp_home().has_warehouse


@contextmanager
def asked_session(purpose: str) -> Iterator[tuple[Session, date]]:
    """Open the warehouse to ask it something, with the clock's day; raise CdpError where nothing was loaded yet."""
    from cdp_platform.components.clock import clock_day

    home = cdp_home()
    require_written(home, "asking audiences")
    if not home.has_warehouse:
        raise CdpError(f"there is no warehouse in {home.root} yet.", remedy="Run `cdp demo` first.")
    warehouse = open_warehouse(home)
    as_of = clock_day(warehouse)
    with warehouse.session(purpose) as session:
        yield session, as_of
