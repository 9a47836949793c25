"""`cdp doctor`: what is wrong is found before a run finds it, and nothing is sent to find it."""

import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from cdp_platform.cli import app, declared_syncs
from cdp_platform.cli.doctor_command import examine_sandbox, examine_versions
from cdp_platform.domain.home import Home
from cdp_platform.domain.syncs import Connection
from cdp_platform.errors import AuthenticationFailed, CdpError, ConfigError
from cdp_platform.syncs import send as send_module
from cdp_platform.syncs.checkup import State, examine_home, examine_journal
from cdp_platform.syncs.controls import switch
from cdp_platform_tests.cli.conftest import Cdp
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of
from cdp_platform_tests.warehouses.postgres_server import PostgresServer


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def wrong(text: str) -> list[dict[str, Any]]:
    return [finding for finding in json.loads(text)["findings"] if finding["state"] != "fine"]


def test_a_shop_in_order_is_said_to_be_in_order_and_is_sent_nothing(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    told = cdp("doctor")
    assert told.code == 0
    assert "Everything is in order. No row was sent." in told.text
    assert "fake/crm_contacts  account fake-1 answers; switched on" in told.text
    assert not shop.account.arrived


def test_the_probe_of_the_warehouse_leaves_nothing_behind(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    assert "duckdb can be read, and written to in the schema cdp" in cdp("doctor").text
    assert not shop.sql("select 1 from information_schema.tables where table_name like 'checkup%'")


def test_after_a_demo_it_says_how_this_shell_finds_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Connection(name="hubspot", vendor="hubspot", token_env="SANDBOX_TOKEN", base_url="http://127.0.0.1:8790")
    there = replace(here, base_url="https://api.hubapi.com")
    specs = [replace(spec_of(), connection=connection) for connection in (here, there)]
    home = Home(root=tmp_path)
    monkeypatch.delenv("SANDBOX_TOKEN", raising=False)
    assert not list(examine_sandbox(home, specs)), "where there never was a sandbox, it is none that is missing"
    monkeypatch.setenv("CDP_HOME", str(tmp_path))
    app(["sandbox", "--env", "--port", "8791"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    [finding] = examine_sandbox(home, specs)
    assert finding.told.startswith("1 syncs lead to this machine") and "cdp sandbox --env" in finding.remedy
    told = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    assert told["HUBSPOT_BASE_URL"] == "http://127.0.0.1:8791" and told["META_BASE_URL"].endswith("8791/v26.0")
    monkeypatch.setenv("SANDBOX_TOKEN", told["HUBSPOT_TOKEN"])
    assert not list(examine_sandbox(home, specs))


def test_a_refused_credential_is_wrong_with_the_way_out(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    shop.session.fail_next_read(AuthenticationFailed("fake refused the token.", remedy="Make another.", status=401))
    told = cdp("doctor", "--json")
    assert told.code == 1
    [finding] = wrong(told.text)
    assert finding["subject"] == "fake/crm_contacts"
    assert (finding["told"], finding["remedy"]) == ("fake refused the token.", "Make another.")


@pytest.mark.parametrize(("is_on", "state", "code"), [(True, "wrong", 1), (False, "warning", 0)])
def test_a_missing_credential_is_wrong_only_where_something_would_be_sent(
    shop: Shop, cdp: Cdp, monkeypatch: pytest.MonkeyPatch, is_on: bool, state: str, code: int
) -> None:
    shop.people([person_of(1)])
    shop.spec = replace(shop.spec, connection=replace(shop.spec.connection, token_env="FAKE_TOKEN_OF_THIS_TEST"))
    switch(shop.engine.journal, shop.spec.name, is_enabled=is_on)
    monkeypatch.delenv("FAKE_TOKEN_OF_THIS_TEST", raising=False)
    told = cdp("doctor", "--json")
    [finding] = wrong(told.text)
    assert (finding["state"], told.code) == (state, code)
    assert "FAKE_TOKEN_OF_THIS_TEST is not set" in finding["told"]


def test_a_field_that_the_destination_lacks_is_named(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    shop.account.fields = [field for field in shop.account.fields if field.name != "segment"]
    [finding] = wrong(cdp("doctor", "--json").text)
    assert "segment" in finding["told"]


@pytest.mark.parametrize(("minutes", "words"), [(10, "ahead of"), (-10, "behind")])
@pytest.mark.parametrize("url", ["https://crm.example.com", "http://127.0.0.1:9"])
def test_a_clock_that_differs_from_the_destinations_is_a_warning_unless_it_is_a_stand_ins_on_this_machine(
    shop: Shop, cdp: Cdp, monkeypatch: pytest.MonkeyPatch, minutes: int, words: str, url: str
) -> None:
    shop.people([person_of(1)])
    shop.spec = replace(shop.spec, connection=replace(shop.spec.connection, base_url=url))
    there = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    answered = shop.session.send
    monkeypatch.setattr(shop.session, "send", lambda request: replace(answered(request), headers={"date": there}))
    told = cdp("doctor", "--json")
    found = wrong(told.text)
    assert told.code == 0
    assert [words in finding["told"] for finding in found] == ([True] if url.startswith("https") else [])


def test_a_definition_that_cannot_be_loaded_is_a_finding_and_not_the_end(
    shop: Shop, cdp: Cdp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Sequence[Any]:
        raise ConfigError("there is no such field.", place="defs.yaml:8", field="mod", remedy="Did you mean `mode`?")

    monkeypatch.setattr(declared_syncs, "open_all", broken)
    told = cdp("doctor", "--json")
    assert told.code == 1
    [finding] = wrong(told.text)
    assert finding["remedy"] == "Did you mean `mode`?"


def test_without_a_warehouse_there_is_a_warning_and_none_is_made(shop: Shop, cdp: Cdp) -> None:
    told = cdp("doctor", "--json")
    assert told.code == 0
    [finding] = wrong(told.text)
    assert finding["subject"] == "warehouse"
    assert not shop.home.warehouse.exists()


def test_a_damaged_warehouse_is_wrong(shop: Shop, cdp: Cdp) -> None:
    shop.home.warehouse.write_bytes(b"no database" * 1000)
    told = cdp("doctor", "--json")
    assert told.code == 1
    assert [finding["subject"] for finding in wrong(told.text)] == ["warehouse"]


def test_a_damaged_journal_is_wrong(tmp_path: Path) -> None:
    home = Home(root=tmp_path)
    home.journal.write_bytes(b"no database" * 1000)
    [finding] = examine_journal(home)
    assert finding.state is State.WRONG
    assert "cannot be used" in finding.told


def test_a_journal_that_hosts_share_is_told_without_its_address(tmp_path: Path, postgres: PostgresServer) -> None:
    home = Home(root=tmp_path, journal_address=postgres.emptied())
    journal, plans = examine_journal(home)
    assert (journal.state, journal.told) == (State.FINE, "PostgreSQL, in order; nothing waits in it")
    assert (plans.state, "CDP_PLANS_URL" in plans.remedy) == (State.WARNING, True)
    assert len(examine_journal(replace(home, plans_url=f"file://{tmp_path}/plans"))) == 1
    [gone] = examine_journal(replace(home, journal_address="postgresql://canary@127.0.0.1:1/x", plans_url="file:///x"))
    assert (gone.state, "CDP_JOURNAL" in gone.remedy, "canary" in gone.told) == (State.WRONG, True, False)


class Killed(BaseException):
    pass


def test_requests_that_wait_to_be_settled_are_told(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    plan = shop.plan()
    with patch.object(send_module, "settle", side_effect=Killed), pytest.raises(Killed):
        shop.send(plan)
    assert shop.account.arrived
    [finding] = wrong(cdp("doctor", "--json").text)
    assert finding["told"] == "a file of this host; 1 run(s) are under way, or were cut off before they were settled"
    assert not shop.plan().to_send
    assert not wrong(cdp("doctor", "--json").text)


def test_a_state_folder_that_cannot_be_written_to_is_wrong() -> None:
    [finding, *_] = examine_home(Home(root=Path("/proc")))
    assert finding.state is State.WRONG
    assert "cannot be written to" in finding.told


@pytest.mark.parametrize(("free", "state"), [(50_000_000, State.WRONG), (500_000_000, State.WARNING)])
def test_a_disk_that_is_nearly_full_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: State
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(total=10**12, used=0, free=free))
    [disk] = [finding for finding in examine_home(Home(root=tmp_path)) if finding.subject == "disk"]
    assert disk.state is state


def test_a_token_that_others_can_read_is_wrong_and_its_value_is_not_shown(tmp_path: Path) -> None:
    home = Home(root=tmp_path)
    home.tokens.mkdir()
    token = home.tokens / "abc"
    token.write_text("secret-value", encoding="utf-8")
    token.chmod(0o644)
    [finding] = [finding for finding in examine_home(home) if finding.state is State.WRONG]
    assert "tokens/abc" in finding.told
    assert "secret-value" not in finding.told + finding.remedy


def test_a_clock_behind_the_state_is_wrong(tmp_path: Path) -> None:
    home = Home(root=tmp_path)
    home.journal.write_bytes(b"")
    os.utime(home.journal, (time.time(), time.time() + 3600))
    [finding] = [finding for finding in examine_home(home) if finding.state is State.WRONG]
    assert finding.subject == "clock"


@pytest.mark.parametrize(
    ("asked", "says"),
    [("duckdb==0.1", "duckdb==0.1 is asked for"), ("no-such-package>=1", "no-such-package is not installed")],
)
def test_a_package_of_another_version_is_named(monkeypatch: pytest.MonkeyPatch, asked: str, says: str) -> None:
    monkeypatch.setattr(metadata, "requires", lambda name: [asked, 'never-asked>=1; extra == "snowflake"'])
    [finding] = examine_versions()
    assert finding.state is State.WRONG
    assert says in finding.told


def test_the_versions_of_the_lock_are_the_ones_that_are_asked_for() -> None:
    assert [finding.state for finding in examine_versions()] == [State.FINE]


def test_no_error_of_the_platform_ends_the_checkup(shop: Shop, cdp: Cdp) -> None:
    shop.people([person_of(1)])
    shop.session.fail_next_read(CdpError("something that nobody thought of."))
    assert [finding["told"] for finding in wrong(cdp("doctor", "--json").text)] == ["something that nobody thought of."]
