"""A ledger or a journal that was lost, or comes from yesterday: nothing is lost with it, nothing removed by it."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from cdp_platform.connectors.protocol import Session
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.plans import Verdict
from cdp_platform.domain.syncs import FirstRun, Mode, Removal
from cdp_platform.errors import CdpError, GuardTripped, TemporarilyDown
from cdp_platform.syncs import send as send_module
from cdp_platform.syncs.approval import require_approvable
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan_files import plan_path
from cdp_platform.syncs.reset import adopt, reset, resync
from cdp_platform.testing.fakes import FakeAccount, FakeDestination
from cdp_platform_tests.unit.syncs import journal_copies
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of, spec_of

pytestmark = pytest.mark.duckdb_only


def copy_of(path: Path) -> Path:
    """Keep a copy of a warehouse that nobody has open."""
    kept = path.with_suffix(".yesterday")
    shutil.copy(path, kept)
    return kept


def put_back(kept: Path, path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        if file.suffix != ".lock":
            file.unlink()
    shutil.copy(kept, path)


def as_mirror(shop: Shop) -> Shop:
    limits = replace(spec_of().limits, removed_share=1.0, shrunk_share=1.0)
    shop.spec = spec_of(mode=Mode.MIRROR, removal=Removal.DELETE, consent=None, limits=limits)
    return shop


def verdict_of(shop: Shop, code: str) -> Verdict:
    return next(verdict for verdict in shop.plan().verdicts if verdict.code == code)


def three_days(shop: Shop) -> Path:
    """Deliver three days and give back the warehouse of the first evening."""
    shop.people([person_of(1, segment="a"), person_of(2), person_of(3)])
    shop.run()
    kept = copy_of(shop.home.warehouse)
    shop.people([person_of(1, segment="b"), person_of(2), person_of(3)])
    shop.run()
    shop.people([person_of(1, segment="b"), person_of(2), person_of(3), person_of(4)])
    shop.run()
    return kept


def test_a_warehouse_restored_from_an_older_copy_sends_everything_again_and_ends_right(shop: Shop) -> None:
    put_back(three_days(shop), shop.home.warehouse)
    # The model is back at the value that the restored ledger takes for delivered: the account has another one.
    shop.people([person_of(1, segment="a"), person_of(2), person_of(3), person_of(4)])
    plan = shop.plan()
    assert (plan.resend_reason, plan.resent_rows) == ("ledger_behind", 4)
    assert plan.operations == {"update": 3, "create": 1}
    shop.send(plan)
    assert shop.records("segment") == {"p-001": "a", "p-002": "loyal", "p-003": "loyal", "p-004": "loyal"}
    after = shop.plan()
    assert (after.to_send, after.resend_reason) == (0, None)


def test_a_dropped_schema_sends_everything_again_without_twins_and_takes_no_baseline(shop: Shop) -> None:
    three_days(shop)
    shop.sql("drop schema cdp cascade")
    shop.spec = spec_of(first_run=FirstRun.BASELINE)
    shop.people([person_of(number, segment="new") for number in range(1, 5)])
    plan = shop.plan()
    assert plan.operations == {"create": 4}
    assert (plan.resend_reason, plan.resent_rows) == ("ledger_behind", 4)
    shop.send(plan)
    assert set(shop.records("segment").values()) == {"new"}
    assert len(shop.account.records) == 4


def test_a_sync_broken_off_while_it_sends_everything_again_goes_on_and_says_why(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(25)])
    shop.run()
    shop.sql("drop schema cdp cascade")
    plan = shop.plan()
    shop.session.after_send = lambda request, answer: shop.session.fail_next(TemporarilyDown("no answer"), times=5)
    with pytest.raises(TemporarilyDown):
        shop.send(plan)
    shop.session = type(shop.session)(shop.account)
    plan = shop.plan()
    assert (plan.to_send, plan.resend_reason, plan.resent_rows) == (15, "ledger_behind", 15)
    shop.send(plan)
    assert shop.plan().to_send == 0


def test_a_mirror_with_a_restored_ledger_sends_nothing_until_a_person_has_looked(shop: Shop) -> None:
    put_back(three_days(as_mirror(shop)), shop.home.warehouse)
    shop.people([person_of(1, segment="c"), person_of(2)])
    plan, before = shop.plan(), len(shop.session.writes)
    assert [verdict.code for verdict in plan.verdicts if not verdict.passed] == ["ledger_current"]
    with pytest.raises(GuardTripped, match="cdp resync crm_contacts"):
        shop.send(plan)
    with pytest.raises(CdpError, match="cannot be approved: ledger_current"):
        require_approvable(shop.engine.journal, "crm_contacts", plan.digest)
    assert not verdict_of(shop, "ledger_current").passed, "looking does not mend"
    assert len(shop.session.writes) == before
    assert resync(shop.engine, shop.spec) == 3
    assert verdict_of(shop, "ledger_current").passed
    shop.run()
    # Of p-004 the restored ledger knows nothing: that is what the person was asked to compare.
    assert shop.records("segment") == {"p-001": "c", "p-002": "loyal", "p-004": "loyal"}


def test_a_mirror_whose_schema_was_dropped_is_begun_anew_by_hand(shop: Shop) -> None:
    three_days(as_mirror(shop))
    shop.sql("drop schema cdp cascade")
    assert not verdict_of(shop, "ledger_current").passed
    reset(shop.engine, shop.spec)
    switch(shop.engine.journal, "crm_contacts", is_enabled=True)
    assert verdict_of(shop, "ledger_current").passed
    assert shop.run().operations == {"create": 4}
    assert len(shop.account.records) == 4


def test_a_run_under_way_is_settled_into_a_restored_ledger_without_hiding_the_loss(shop: Shop) -> None:
    kept = three_days(as_mirror(shop))
    shop.people([person_of(1, segment="d"), person_of(2), person_of(3), person_of(4)])
    plan = shop.plan()
    with patch.object(send_module, "settle"):
        shop.send(plan)
    put_back(kept, shop.home.warehouse)
    shop.people([person_of(1, segment="d"), person_of(2)])
    assert not verdict_of(shop, "ledger_current").passed
    assert shop.engine.journal.open_digests(plan.ledger_id) == []
    assert not verdict_of(shop, "ledger_current").passed


def test_a_plan_made_before_the_warehouse_was_restored_is_not_sent(shop: Shop) -> None:
    kept = three_days(shop)
    shop.people([person_of(1, segment="e")])
    plan, before = shop.plan(), len(shop.session.writes)
    put_back(kept, shop.home.warehouse)
    with pytest.raises(CdpError, match="moved on"):
        shop.send(plan)
    shop.sql("drop schema cdp cascade")
    with pytest.raises(CdpError):
        shop.send(plan)
    assert len(shop.session.writes) == before


def test_a_new_journal_beside_a_ledger_with_a_past_sends_everything_again(shop: Shop) -> None:
    shop.people([person_of(1, segment="a"), person_of(2)])
    shop.run()
    shop.people([person_of(1, segment="b"), person_of(2)])
    plan = shop.plan()
    with patch.object(send_module, "settle"):
        shop.send(plan)
    journal_copies.lose(shop.home)
    switch(shop.engine.journal, "crm_contacts", is_enabled=True)
    # The answer to b is lost with the journal, and the model is back at a, as the ledger has it.
    shop.people([person_of(1, segment="a"), person_of(2)])
    plan = shop.plan()
    assert (plan.resend_reason, plan.resent_rows) == ("journal_behind", 2)
    shop.send(plan)
    assert shop.records("segment")["p-001"] == "a"
    assert shop.plan().to_send == 0


def test_a_journal_from_yesterday_settles_nothing_twice_and_everything_is_sent_again(shop: Shop) -> None:
    shop.people([person_of(1, segment="a"), person_of(2)])
    shop.run()
    shop.people([person_of(1, segment="b"), person_of(2)])
    with patch.object(send_module, "settle"):
        shop.send(shop.plan())
    journal_copies.keep(shop.home)
    assert len(shop.session.writes) == 2
    shop.plan()
    shop.people([person_of(1, segment="c"), person_of(2)])
    shop.run()
    logged = shop.sql("select * from cdp.sync_log")
    journal_copies.put_back(shop.home)
    plan = shop.plan()
    assert shop.sql("select * from cdp.sync_log") == logged
    assert (plan.resend_reason, plan.resent_rows) == ("ledger_behind", 2)
    shop.send(plan)
    assert shop.records("segment")["p-001"] == "c"
    assert shop.plan().to_send == 0


def test_an_older_journal_with_nothing_under_way_is_noticed_and_everything_is_sent_again(shop: Shop) -> None:
    shop.people([person_of(1, segment="a"), person_of(2)])
    shop.run()
    journal_copies.keep(shop.home)
    shop.people([person_of(1, segment="b"), person_of(2)])
    shop.run()
    journal_copies.put_back(shop.home)
    plan = shop.plan()
    assert (plan.resend_reason, plan.resent_rows) == ("journal_behind", 2)
    shop.send(plan)
    assert shop.plan().to_send == 0


def test_a_person_s_word_to_send_everything_again_outlives_an_older_copy(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.run()
    kept = copy_of(shop.home.warehouse)
    resync(shop.engine, shop.spec)
    put_back(kept, shop.home.warehouse)
    assert shop.plan().to_send == 2


def test_versions_are_not_used_twice_after_a_loss(shop: Shop) -> None:
    three_days(shop)
    last = shop.plan().ledger_version
    shop.sql("drop schema cdp cascade")
    assert shop.plan().ledger_version > last


def test_a_journal_from_before_these_books_is_trusted(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.run()
    with shop.engine.journal.transaction() as connection:
        connection.execute("delete from settlings")
    assert shop.plan().to_send == 0


def test_a_crash_between_settling_and_remembering_hides_nothing_and_repeats_nothing(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2)])
    with patch.object(Journal, "forget"), patch("cdp_platform.syncs.continuity.remember"):
        shop.run()
    plan = shop.plan()
    assert (plan.to_send, plan.resend_reason) == (0, None)


@pytest.mark.parametrize("damage", ["gone", "altered"])
def test_requests_whose_plan_file_is_lost_are_given_up_and_everything_is_sent_again(shop: Shop, damage: str) -> None:
    shop.people([person_of(1, segment="a"), person_of(2)])
    shop.run()
    shop.people([person_of(1, segment="b"), person_of(2)])
    plan = shop.plan()
    with patch.object(send_module, "settle"):
        shop.send(plan)
    path = plan_path(shop.home, plan.sync, plan.digest)
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:-9] + b"\0" * 9)
    shop.people([person_of(1, segment="a"), person_of(2)])
    again = shop.plan()
    assert (again.resend_reason, again.resent_rows) == ("ledger_behind", 2)
    shop.send(again)
    assert shop.records("segment")["p-001"] == "a"
    assert shop.plan().to_send == 0


def test_what_may_be_sent_once_only_is_not_sent_again_by_hand(shop: Shop) -> None:
    shop.people([person_of(1)])
    shop.run()
    shop.spec = spec_of(mode=Mode.APPEND)
    with pytest.raises(CdpError, match="cdp reset crm_contacts"):
        resync(shop.engine, shop.spec)
    shop.sql("drop schema cdp cascade")
    assert not verdict_of(shop, "ledger_current").passed
    with pytest.raises(GuardTripped):
        shop.run()
    reset(shop.engine, shop.spec)
    assert adopt(shop.engine, shop.spec) == 1
    switch(shop.engine.journal, "crm_contacts", is_enabled=True)
    assert verdict_of(shop, "ledger_current").passed
    assert shop.run().counts == Counts()


class FindingDestination(FakeDestination):
    """A destination that can be asked which records it has; here the account itself is looked at."""

    def __init__(self, account: FakeAccount) -> None:
        super().__init__(batch_rows=10)
        self._account = account
        self.sought: list[str] = []

    def find(
        self, session: Session, object_name: str, match_field: str, match_values: Sequence[str]
    ) -> Mapping[str, str]:
        self.sought += match_values
        known = self._account.records
        return {value: known[value].record_id for value in match_values if value in known}


def test_people_forgotten_with_the_ledger_who_withdrew_get_their_opt_out_and_nobody_else_a_record(shop: Shop) -> None:
    shop.people([person_of(1), person_of(2), person_of(3)])
    shop.run()
    shop.sql("drop schema cdp cascade")
    shop.destination = FindingDestination(shop.account)
    withdrawn = {"permission": "withdrawn", "segment": "lapsed"}
    shop.people([person_of(1), person_of(2), person_of(3, **withdrawn), person_of(4, **withdrawn)])
    plan = shop.plan()
    assert plan.operations == {"create": 2, "withdraw": 2}
    record = shop.send(plan)
    assert record.counts == Counts(planned=4, delivered=3, skipped=1)
    assert record.skipped_reasons == {"withdrawn": 1}
    assert shop.records("email_permission") == {"p-001": "granted", "p-002": "granted", "p-003": "withdrawn"}
    assert shop.records("segment")["p-003"] == "loyal"
    after = shop.plan()
    assert (after.to_send, after.skipped) == (0, {"withdrawn": 1})
    assert sorted(shop.destination.sought) == ["p-003", "p-004"]
