"""Journal, warehouse and plan files that cannot be read or written, or are not what they were."""

import ctypes
import os
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.plans import Plan
from cdp_platform.errors import CdpError, WarehouseError
from cdp_platform.syncs import send as send_module
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan_files import plan_path
from cdp_platform.syncs.preview import preview
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of

_OVERRIDES = 0b110
"""The capabilities to write and to read whatever the permissions say, which root has."""


@contextmanager
def permissions_obeyed() -> Iterator[None]:
    """Let this thread obey a file's permissions, though it may be root's."""
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    kept = ctypes.create_string_buffer(24)
    system = ctypes.CDLL(None, use_errno=True)
    assert system.capget(header, kept) == 0
    effective, *others = struct.unpack("6I", kept.raw)
    assert system.capset(header, ctypes.create_string_buffer(struct.pack("6I", effective & ~_OVERRIDES, *others))) == 0
    try:
        yield
    finally:
        assert system.capset(header, kept) == 0


@contextmanager
def read_only(*paths: Path) -> Iterator[None]:
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        with permissions_obeyed():
            yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def overwrite(path: Path, at: int, size: int = 64) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * size)


def half_sent(shop: Shop) -> Plan:
    """Deliver a day, change everybody, send that, and lose the process before it settles."""
    shop.people([person_of(number) for number in range(30)])
    shop.run()
    shop.people([person_of(number, segment="lapsed") for number in range(30)])
    plan = shop.plan()
    with patch.object(send_module, "settle"):
        shop.send(plan)
    assert len(shop.session.writes) == 6
    return plan


def checkpointed(path: Path) -> None:
    """Bring everything from the journal's write-ahead log into its file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")


# the journal


def test_a_read_only_journal_is_one_clear_error_and_the_next_run_goes_on(shop: Shop) -> None:
    half_sent(shop)
    files = list(shop.home.root.glob("journal.sqlite*"))
    before = len(shop.session.requests)
    with read_only(shop.home.root, *files), pytest.raises(CdpError, match=r"journal\.sqlite.*permissions"):
        shop.plan()
    assert len(shop.session.requests) == before
    assert shop.run().counts.planned == 0
    (recovered,) = shop.sql("select delivered from cdp.sync_runs where status = 'recovered'")
    assert recovered["delivered"] == 30


def test_a_journal_whose_head_is_overwritten_is_told_from_a_full_disk(shop: Shop) -> None:
    half_sent(shop)
    checkpointed(shop.home.journal)
    overwrite(shop.home.journal, 0)
    with pytest.raises(CdpError, match=r"damaged: restore it from a backup, or move it away"):
        shop.plan()


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
def test_a_journal_with_a_page_overwritten_is_an_error_or_makes_no_difference(shop: Shop, share: float) -> None:
    half_sent(shop)
    checkpointed(shop.home.journal)
    pages = shop.home.journal.stat().st_size // 4096
    overwrite(shop.home.journal, int(pages * share) * 4096, size=4096)
    failure = ""
    try:
        shop.run()
    except CdpError as error:
        failure = str(error)
    if failure:
        assert "damaged" in failure
        for file in shop.home.root.glob("journal.sqlite*"):
            file.unlink()
        send_module.controls.switch(shop.engine.journal, "crm_contacts", is_enabled=True)
        shop.run()
    assert set(shop.records("segment").values()) == {"lapsed"}
    assert shop.run().counts.planned == 0


def test_a_line_that_cannot_be_read_is_named_and_nothing_is_settled(shop: Shop) -> None:
    half_sent(shop)
    runs = shop.sql("select * from cdp.sync_runs")
    with closing(sqlite3.connect(shop.home.journal)) as connection, connection:
        connection.execute("update requests set spans = '[[0, ' where number = (select max(number) from requests)")
    with pytest.raises(CdpError, match="holds a line that cannot be read, after number"):
        shop.plan()
    assert shop.sql("select * from cdp.sync_runs") == runs


@pytest.mark.parametrize("schema", ["0", "2"])
def test_a_journal_of_an_older_or_a_newer_schema_is_refused_and_left_alone(tmp_path: Path, schema: str) -> None:
    home = Home(root=tmp_path)
    with closing(sqlite3.connect(home.journal)) as connection, connection:
        connection.execute("create table meta (name text primary key, value text not null)")
        connection.execute("insert into meta values ('schema', ?)", [schema])
    with pytest.raises(CdpError, match=f"has schema {schema}.*version of cdp-platform that wrote it"):
        Journal(home)
    with closing(sqlite3.connect(home.journal)) as connection:
        assert connection.execute("select name from sqlite_master where type = 'table'").fetchall() == [("meta",)]


def test_a_journal_that_could_not_write_once_works_again_with_the_same_connection(shop: Shop) -> None:
    journal = Journal(shop.home)

    def fail_as_on_a_full_disk() -> None:
        with journal.transaction() as connection:
            connection.execute("rollback")
            raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(CdpError, match=r"disk is full.*Check the disk"):
        fail_as_on_a_full_disk()
    assert journal.syncs() == []


# the warehouse


@pytest.mark.duckdb_only
def test_a_read_only_warehouse_is_one_clear_error(shop: Shop) -> None:
    plan = half_sent(shop)
    with read_only(shop.home.warehouse), pytest.raises(WarehouseError, match=r"warehouse\.duckdb.*permissions"):
        shop.plan()
    assert shop.engine.journal.open_digests(plan.ledger_id) != []
    assert shop.run().counts.planned == 0


@pytest.mark.duckdb_only
def test_a_warehouse_folder_that_cannot_be_written_is_one_clear_error(shop: Shop) -> None:
    half_sent(shop)
    lock = Path(f"{shop.home.warehouse}.lock")
    with read_only(lock), pytest.raises(WarehouseError, match="permissions"):
        shop.plan()
    assert shop.run().counts.planned == 0


@pytest.mark.parametrize("at", [0, 100, 4096, 8192, 12_400])
@pytest.mark.duckdb_only
def test_a_damaged_warehouse_is_noticed_before_anything_is_sent(shop: Shop, at: int) -> None:
    shop.people([person_of(number) for number in range(30)])
    shop.run()
    whole = shop.home.warehouse.read_bytes()
    overwrite(shop.home.warehouse, at)
    before = len(shop.session.requests)
    with pytest.raises(WarehouseError, match="from a backup"):
        shop.plan()
    assert len(shop.session.requests) == before
    shop.home.warehouse.write_bytes(whole)
    assert shop.run().counts.planned == 0


# the plan's file


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    """Change one bit in the middle: a Parquet reader that checks no sums would not see it."""
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {"gone": Path.unlink, "cut": cut, "flipped": flip}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_plan_file_that_is_not_what_was_written_is_not_sent(shop: Shop, damage: str) -> None:
    shop.people([person_of(number) for number in range(30)])
    plan = shop.plan()
    path = plan_path(shop.home, plan.sync, plan.digest)
    DAMAGES[damage](path)
    with pytest.raises(CdpError, match=rf"{plan.digest}\.parquet is (gone|not as it was written).*Plan again"):
        shop.send(plan)
    with pytest.raises(CdpError, match="Plan again"):
        preview(shop.home, shop.warehouse, shop.spec, plan, rows=1)
    assert shop.session.writes == []
    again = shop.plan()
    assert again.digest == plan.digest
    assert shop.send(again).counts == Counts(planned=30, delivered=30)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_plan_file_that_changes_during_the_send_is_not_settled_from(shop: Shop, damage: str) -> None:
    shop.people([person_of(number, segment="a") for number in range(30)])
    plan = shop.plan()
    path = plan_path(shop.home, plan.sync, plan.digest)
    is_last = iter((False, False, True))
    shop.session.after_send = lambda request, answer: DAMAGES[damage](path) if next(is_last) else None
    with pytest.raises(CdpError, match="Plan again"):
        shop.send(plan)
    shop.session.after_send = None
    assert len(shop.account.records) == 30
    assert shop.sql("select * from cdp.sync_log") == []
    again = shop.plan()
    assert (again.to_send, again.resend_reason, again.resent_rows) == (30, "ledger_behind", 30)
    assert shop.send(again).counts == Counts(planned=30, delivered=30)
    assert len(shop.account.records) == 30


def test_a_plan_folder_that_cannot_be_written_is_one_clear_error(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.plan()
    folder = shop.home.plans / "crm_contacts"
    shop.people([person_of(1), person_of(2)])
    with read_only(folder), pytest.raises(CdpError, match=r"plans/crm_contacts.*Permission denied.*permissions"):
        shop.plan()
    assert shop.session.writes == []
    assert shop.run().counts == Counts(planned=2, delivered=2)


def test_a_plan_that_could_not_be_made_leaves_no_draft_behind(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.sql("alter table activation.sync_contacts__crm drop column segment")
    with pytest.raises(CdpError):
        shop.plan()
    assert list((shop.home.plans / "crm_contacts").iterdir()) == []
