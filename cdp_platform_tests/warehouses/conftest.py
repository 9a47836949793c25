"""Empty homes on the warehouse that an example names with `homes.on`."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cdp_platform.domain.home import Home
from cdp_platform.warehouse.base import Session, Warehouse
from cdp_platform.warehouse.choice import open_warehouse
from cdp_platform_tests.warehouses.emulators import home_on

NewHome = Callable[[Path], Home]


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> str:
    """The warehouse's name; see `homes.on`."""
    return str(request.param)


@pytest.fixture(scope="module")
def new_home(request: pytest.FixtureRequest, engine: str) -> NewHome:
    """Makes a home in a folder, with a database of its own; skipped where the server is not installed."""

    def server(fixture: str) -> Any:
        return request.getfixturevalue(fixture)

    if engine == "postgres":
        running = server("postgres")
        return lambda folder: Home(root=folder, warehouse_kind="postgres", warehouse_address=running.new_database())
    if engine == "snowflake":
        running = server("fakesnow")
        return lambda folder: home_on(running.new_account(), folder)
    new: NewHome = server("crucible").new_home
    return new


@pytest.fixture
def home(new_home: NewHome, tmp_path: Path) -> Home:
    """An empty home."""
    return new_home(tmp_path)


@pytest.fixture
def warehouse(home: Home) -> Iterator[Warehouse]:
    """The warehouse of the home."""
    with closing(open_warehouse(home)) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_session(new_home: NewHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """One session for all examples of a file, for those that make what they read anew."""
    home = new_home(tmp_path_factory.mktemp("shared"))
    with closing(open_warehouse(home)) as opened, opened.session("test") as session:
        yield session
