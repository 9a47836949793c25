"""Two hosts, each with a home of its own; warehouse and journal in PostgreSQL, plan files in a folder that both see."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg2", reason="the extra `cluster` is not installed: two hosts were NOT tested")

from cdp_platform.domain.home import Home
from cdp_platform.errors import LeaseLost
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.lease import held_lease
from cdp_platform.warehouse.postgres import PostgresWarehouse
from cdp_platform_tests.faults.gateway import Gateway, Trouble
from cdp_platform_tests.faults.host_runner import BATCH_ROWS, WINDOW_REQUESTS, WINDOW_SECONDS
from cdp_platform_tests.faults.scenario import TOKEN, TOKEN_ENV, first_day
from cdp_platform_tests.warehouses.postgres_server import PostgresServer

pytestmark = pytest.mark.slow
LEASE_SECONDS = 4.0
ROWS = 40
ONE, OTHER = ("contacts__one", "activation.people"), ("contacts__other", "activation.others")


@dataclass
class Hosts:
    """What the hosts share, and how one of them is started."""

    root: Path
    address: str
    gateway: Gateway
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, name: str, sync: tuple[str, str] = ONE, *, has_own_journal: bool = False) -> subprocess.Popen[str]:
        """Start a host's process on one sync."""
        settings = {
            TOKEN_ENV: TOKEN,
            "CDP_HOME": str(self.root / name),
            "CDP_WAREHOUSE": "postgres",
            "CDP_POSTGRES": self.address,
            "CDP_PLANS_URL": f"file://{self.root}/plans",
            "CDP_JOURNAL": "" if has_own_journal else self.address,
        }
        command = [sys.executable, "-m", "cdp_platform_tests.faults.host_runner", name, self.gateway.url, *sync]
        process = subprocess.Popen(
            [*command, str(LEASE_SECONDS)],
            env=os.environ | settings,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).absolute().parents[2],
        )
        self.started.append(process)
        return process

    def people_sent(self) -> list[str]:
        """Every person that the account accepted, each time it did."""
        return [person for write in self.gateway.writes for person in write.accepted]

    @property
    def journal(self) -> Journal:
        return Journal(Home(root=self.root / "looking", journal_address=self.address))

    def left_in_the_journal(self) -> int:
        with self.journal.transaction() as connection:
            return int(connection.execute("select count(*) from requests").fetchone()[0])

    def require_excluded(self) -> None:
        """Nobody else gets the lease that a host has taken."""
        with self.journal.transaction() as connection:
            [(ledger_id, holder)] = connection.execute("select ledger_id, holder from leases").fetchall()
        assert holder.startswith("host-a~")
        with pytest.raises(LeaseLost, match="another run is at work"), held_lease(self.journal, ledger_id):
            pytest.fail("two at once")


def told_by(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a host's process told at its peaceful end."""
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return dict(json.loads(out))


def refused(process: subprocess.Popen[str]) -> str:
    """Why a host's process stopped by itself."""
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 3, error
    return error


@pytest.fixture
def hosts(tmp_path: Path, postgres: PostgresServer) -> Iterator[Hosts]:
    address = postgres.new_database("template template0 encoding 'UTF8' locale 'C'")
    fill(address)
    settings = SandboxSettings(
        state_path=tmp_path / "crm.sqlite",
        token=TOKEN,
        port=0,
        requests_per_window=WINDOW_REQUESTS,
        window_seconds=WINDOW_SECONDS,
    )
    with serve_sandbox(settings) as url, Gateway(url) as gateway:
        hosts = Hosts(root=tmp_path, address=address, gateway=gateway)
        yield hosts
        for process in hosts.started:
            process.kill()
            process.wait()


def fill(address: str) -> None:
    """Two models of different people, all of whom said yes."""
    with closing(PostgresWarehouse(address, wait_seconds=5)) as warehouse, warehouse.session("test") as session:
        for schema in ("activation", "marts"):
            session.execute(f"create schema {schema}")
        columns = "person_id varchar, email varchar, email_permission varchar, rfm_segment varchar"
        for table, people in (("people", first_day()[:ROWS]), ("others", first_day()[ROWS : 2 * ROWS])):
            session.execute(
                f"create table activation.{table} ({columns}, lifetime_value decimal(14,4), last_order_on date)"
            )
            for person in people:
                session.execute(f"insert into activation.{table} values (?, ?, ?, ?, ?, ?)", list(person))
        session.execute(
            "create table marts.consents as select lower(email) as identifier, 'shop' as entity, 'email' as channel,"
            " 'email_marketing' as purpose, email_permission as status"
            " from (select * from activation.people union all select * from activation.others) as everybody"
        )


def test_two_hosts_on_one_account_keep_its_limit_together_and_use_it_whole(hosts: Hosts) -> None:
    one, other = (told_by(process) for process in [hosts.start("host-a", ONE), hosts.start("host-b", OTHER)])
    together = one["requests"] + other["requests"]
    assert min(one["requests"], other["requests"]) >= ROWS // BATCH_ROWS, "both must have sent"
    assert min(one["ended_at"], other["ended_at"]) > max(one["began_at"], other["began_at"]), "at the same time"
    assert one["limited"] + other["limited"] == 0
    assert one["paced"] + other["paced"] > 0, f"{together} requests fit into no window"
    assert sorted(hosts.people_sent()) == sorted(person[0] for person in first_day()[: 2 * ROWS])
    assert hosts.left_in_the_journal() == 0


def test_hosts_that_do_not_share_their_journal_run_into_the_limit(hosts: Hosts) -> None:
    """What the test above would see if the pace were not shared."""
    processes = [
        hosts.start("host-a", ONE, has_own_journal=True),
        hosts.start("host-b", OTHER, has_own_journal=True),
    ]
    ends = [process.communicate(timeout=120) for process in processes]
    assert any("429" in error or (out and json.loads(out)["limited"]) for out, error in ends), ends


def held_at_the_third_write(hosts: Hosts) -> threading.Event:
    """Keep back the answer to the third write: the account has it, and the host does not know."""
    release = threading.Event()

    def trouble(write: int, rows: int) -> Trouble | None:
        hosts.gateway.hold = release if write == 2 else None
        return None

    hosts.gateway.trouble = trouble
    return release


@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP])
def test_another_host_takes_over_after_the_term_and_repeats_no_more_than_was_in_flight(
    hosts: Hosts, fate: signal.Signals
) -> None:
    release = held_at_the_third_write(hosts)
    first = hosts.start("host-a")
    hosts.gateway.wait_for_writes(2)
    while len(hosts.gateway.writes) < 3:
        threading.Event().wait(0.02)
    first.send_signal(fate)
    stopped_at = len(hosts.gateway.writes)
    hosts.require_excluded()
    threading.Event().wait(LEASE_SECONDS)
    told_by(hosts.start("host-b"))
    sent = hosts.people_sent()
    assert stopped_at == 3, "work had happened"
    assert set(sent) == {person[0] for person in first_day()[:ROWS]}
    assert len(sent) - len(set(sent)) <= BATCH_ROWS, "only the request without an answer was repeated"
    assert list((hosts.root / "host-b" / "plans").rglob("*.parquet")), "the plan of the other host was fetched"
    before = len(hosts.gateway.writes)
    release.set()
    if fate is signal.SIGSTOP:
        first.send_signal(signal.SIGCONT)
        assert "LeaseLost" in refused(first)
    assert len(hosts.gateway.writes) == before, "who came too late was fenced off"
    assert hosts.left_in_the_journal() == 0
