"""A token that hosts share: one of them renews it, the others find it, and the database tells it to nobody else."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("psycopg2", reason="the extra `cluster` is not installed: shared tokens were NOT tested")

from cdp_platform.connectors.credentials import Secret
from cdp_platform.connectors.http import HttpSession, open_session
from cdp_platform.connectors.oauth import carry_token
from cdp_platform.connectors.stored_token import StoredToken
from cdp_platform.connectors.token_row import TokenRow
from cdp_platform.domain.home import Home
from cdp_platform.errors import ConnectionFailed
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform_tests.unit.connectors.test_oauth import CALL, connection_to, environment, vendor  # noqa: F401
from cdp_platform_tests.unit.connectors.vendor import Vendor
from cdp_platform_tests.unit.syncs import journal_copies
from cdp_platform_tests.warehouses.postgres_server import PostgresServer

TOKEN = StoredToken(
    origin="o", access=Secret("canary-access"), obtained_at=1.0, expires_at=None, refresh=Secret("canary-refresh")
)


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.emptied()


def row(address: str, secrets: str = "client and secret") -> TokenRow:
    return TokenRow(address, "a", lambda: secrets)


def test_what_one_host_has_written_another_reads(address: str) -> None:
    assert row(address).read() is None
    with row(address).locked(5):
        row(address).write(TOKEN)
    assert row(address).read() == TOKEN


def test_the_database_alone_tells_no_token(address: str, tmp_path: Path) -> None:
    row(address).write(TOKEN)
    kept = journal_copies.content(Home(root=tmp_path, journal_address=address))
    assert b"sealed" in kept or kept
    assert b"canary" not in kept
    assert row(address, "other secrets").read() is None


def test_a_lock_that_is_held_too_long_says_so(address: str) -> None:
    with row(address).locked(5), pytest.raises(ConnectionFailed, match="held the lock"), row(address).locked(0.05):
        pytest.fail("two hold one lock")
    with row(address).locked(5):
        pass


@contextmanager
def host(url: str, folder: Path, address: str) -> Iterator[HttpSession]:
    home = Home(root=folder, journal_address=address)
    session = open_session(connection_to(url), FakeDestination(), home, "contacts")
    try:
        yield session
    finally:
        session.close()


def test_two_hosts_that_need_a_token_at_once_fetch_one(vendor: Vendor, tmp_path: Path, address: str) -> None:  # noqa: F811
    vendor.delay_seconds = 0.2

    def work(name: str) -> None:
        with host(vendor.url, tmp_path / name, address) as session:
            assert session.send(CALL).status == 200

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert vendor.statuses == [200, 200]
    assert len(vendor.forms) == 1
    assert not list(tmp_path.rglob("*.json")), "no host keeps a token of its own"


def test_a_refresh_token_that_was_rotated_on_one_host_is_taken_to_the_hosts_that_share(
    address: str,
    tmp_path: Path,
    vendor: Vendor,  # noqa: F811
) -> None:
    vendor.does_rotate, vendor.lifetime_seconds = True, 1e-6
    connection, alone = connection_to(vendor.url), Home(root=tmp_path / "alone")
    assert connection.oauth
    with closing(open_session(connection, FakeDestination(), alone, "contacts")) as session:
        assert session.send(CALL).status == 200
    assert carry_token(connection, connection.oauth, alone, address)
    assert not carry_token(connection, connection.oauth, alone, address), "what is there is no older"
    with host(vendor.url, tmp_path / "other", address) as session:
        assert session.send(CALL).status == 200
    assert [form["refresh_token"] for form in vendor.forms][1:] == ["canary-refresh-1"]
    assert not carry_token(connection, connection.oauth, Home(root=tmp_path / "nowhere"), address)
