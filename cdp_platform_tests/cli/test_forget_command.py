"""`cdp forget` at the terminal: what it shows, asks, refuses and tells."""

import json
from pathlib import Path

import pytest

from cdp_platform.cli import declared_syncs
from cdp_platform.domain.syncs import Removal
from cdp_platform.errors import CdpError, ConnectionFailed
from cdp_platform_tests.cli.conftest import Cdp
from cdp_platform_tests.unit.erasure.conftest import ErasingDestination, load, scope_of
from cdp_platform_tests.unit.syncs.conftest import Shop


@pytest.fixture
def known(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop.destination = ErasingDestination(Removal.DELETE)
    load(shop)
    shop.run()
    monkeypatch.setattr(declared_syncs, "everything", lambda: scope_of(shop))
    return shop


def test_a_dry_run_tells_tables_and_syncs_without_a_value_of_the_person(known: Shop, cdp: Cdp) -> None:
    told = cdp("forget", "person1@example.com", "--dry-run")
    assert "raw_shop.orders: 2 rows" in told.text
    assert "crm_contacts: 1 key, with its record" in told.text
    assert "erson1@" not in told.text
    assert json.loads(cdp("forget", "p-001", "--dry-run", "--json").text)["rows"]["raw_shop.orders"] == 2
    assert "p-001" in known.account.records


def test_it_asks_and_no_is_no(known: Shop, cdp: Cdp) -> None:
    assert cdp("forget", "p-001", typed="n\n").code == 1
    assert "p-001" in known.account.records
    told = cdp("forget", "p-001", typed="y\n")
    assert (told.code, "fake/crm_contacts: done – 1 row or record is gone" in told.text) == (0, True)
    assert "p-001" not in known.account.records


def test_what_waits_ends_with_two_and_is_gone_on_with(known: Shop, cdp: Cdp) -> None:
    known.session.fail_next_read(ConnectionFailed("refused"))
    told = cdp("forget", "p-001", "--yes")
    assert (told.code, "cannot be reached" in told.text) == (2, True)
    assert cdp("forget", "--resume").code == 0
    assert "No erasure waits." in cdp("forget", "--resume").text
    book = json.loads(cdp("forget", "--status", "--json").text)["erasures"]
    assert {line["status"] for line in book} == {"done"}
    assert "fake/crm_contacts: done" in cdp("forget", "--status").text


@pytest.mark.parametrize("arguments", [(), ("p-001", "--resume"), ("--resume", "--status")])
def test_exactly_one_thing_is_meant(known: Shop, cdp: Cdp, arguments: tuple[str, ...]) -> None:
    error = cdp("forget", *arguments).error
    assert isinstance(error, CdpError)
    assert "say what is meant" in str(error)


def test_nobody_was_forgotten_where_there_was_no_erasure(known: Shop, cdp: Cdp) -> None:
    assert cdp("forget", "--status").text == "Nobody was forgotten.\n"


def test_beside_a_warehouse_that_is_only_read_the_copies_and_the_log_are_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = tmp_path / "warehouses.yaml"
    accounts.write_text("theirs: {type: postgres, address: postgresql:///shop, state: local}", encoding="utf-8")
    shop = Shop(tmp_path / "home")
    for name, value in {"HOME": shop.home.root, "WAREHOUSE": "theirs", "WAREHOUSES": accounts}.items():
        monkeypatch.setenv(f"CDP_{name}", str(value))
    monkeypatch.setattr(declared_syncs, "open_all", lambda: [(shop.engine, shop.spec)])
    scope = declared_syncs.everything()
    assert scope.theirs["activation.sync_contacts__crm"]["person_id"] == "person_id"
    assert scope.declared["cdp_copies.crm_contacts"]["person_id"] == "person_id"
    assert len(scope.links) == 1


def test_in_a_project_of_ones_own_the_person_has_to_be_gone_from_its_models_and_nothing_is_deleted_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cdp: Cdp
) -> None:
    shop = Shop(tmp_path / "home")
    shop.destination = ErasingDestination(Removal.DELETE)
    load(shop)
    shop.run()
    (tmp_path / "defs").mkdir()
    (tmp_path / "cdp.yaml").write_text("defs: defs\n", encoding="utf-8")
    monkeypatch.setenv("CDP_PROJECT", str(tmp_path))
    monkeypatch.setenv("CDP_HOME", str(shop.home.root))
    monkeypatch.setattr(declared_syncs, "open_all", lambda: [(shop.engine, shop.spec)])
    refused = cdp("forget", "p-001", "--yes").error
    assert "still have rows of this person: activation.sync_contacts__crm (1); nothing was erased" in str(refused)
    shop.sql("delete from activation.sync_contacts__crm where person_id = 'p-001'")
    told = cdp("forget", "person1@example.com", "--yes")
    assert (told.code, "fake/crm_contacts: done" in told.text) == (0, True)
    assert "p-001" not in shop.account.records
    with shop.warehouse.session("test") as session:
        [left] = session.rows("select count(*) as n from marts.consents where identifier = 'person1@example.com'")
        assert left["n"] == 1
        assert session.rows("select 1 from cdp.delivered_rows where primary_key = 'p-001'") == []
