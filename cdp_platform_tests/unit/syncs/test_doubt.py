"""What may have been processed stays in doubt, and who lost the lease has no say any more."""

from pathlib import Path

import pytest

from cdp_platform.domain.home import Home
from cdp_platform.errors import LeaseLost, Refused, TemporarilyDown
from cdp_platform.syncs import plan as plan_module
from cdp_platform.syncs import plan_files
from cdp_platform.syncs.lease import held_lease
from cdp_platform.syncs.notes import RequestNote, Status
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of


def test_a_change_that_timed_out_and_was_then_refused_is_undone_when_the_model_goes_back(shop: Shop) -> None:
    shop.people([person_of(1, segment="a")])
    shop.run()
    shop.people([person_of(1, segment="b")])
    shop.session.fail_next(TemporarilyDown("no answer"), is_processed=True)
    shop.session.fail_next(Refused("not today", status=400))
    assert shop.run().counts.rejected == 1
    assert shop.records("segment") == {"p-001": "b"}
    shop.people([person_of(1, segment="a")])
    shop.run()
    assert shop.records("segment") == {"p-001": "a"}


def test_a_row_that_was_refused_for_certain_keeps_its_ledger_entry(shop: Shop) -> None:
    shop.people([person_of(1, segment="a")])
    plan = shop.plan()
    shop.send(plan)
    known = shop.sql(f"select * from cdp.ledger_{plan.ledger_id}")
    shop.people([person_of(1, segment="b")])
    shop.session.reject("p-001", code="invalid_value")
    assert shop.run().counts.rejected == 1
    assert shop.sql(f"select * from cdp.ledger_{plan.ledger_id}") == known


def test_a_value_emptied_while_nobody_knew_what_the_record_held_is_cleared(shop: Shop) -> None:
    shop.people([person_of(1, segment="a"), person_of(2)])
    shop.session.fail_next(TemporarilyDown("no answer"), is_processed=True, times=5)
    with pytest.raises(TemporarilyDown):
        shop.run()
    shop.people([person_of(1, segment="a", permission="withdrawn"), person_of(2)])
    shop.run()
    shop.people([person_of(1, segment=None), person_of(2)])
    shop.run()
    assert shop.records("segment")["p-001"] is None


def test_the_journal_takes_no_note_of_who_lost_the_lease(shop: Shop) -> None:
    shop.people([person_of(1)])
    plan, journal = shop.plan(), shop.engine.journal
    with held_lease(journal, plan.ledger_id) as old:
        pass
    with held_lease(journal, plan.ledger_id) as new:
        late = RequestNote(
            ledger_id=plan.ledger_id,
            digest=plan.digest,
            run_id="late",
            fence=old.fence,
            batch=1,
            attempt=1,
            status=Status.DELIVERED,
            ordinals=[0],
        )
        assert new.fence > old.fence
        with pytest.raises(LeaseLost):
            journal.write(late)
    assert journal.open_digests(plan.ledger_id) == []


def test_a_plan_is_put_in_its_place_before_another_may_sweep_the_folder(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.people([person_of(1)])
    kept = []

    def keep_under_the_lease(draft: Path, home: Home, sync: str, digest: str) -> str:
        (ledger,) = [name for (name,) in _ledgers(shop)]
        with pytest.raises(LeaseLost), held_lease(shop.engine.journal, ledger):
            raise AssertionError("the lease was free")
        kept.append(digest)
        return plan_files.keep(draft, home, sync, digest)

    monkeypatch.setattr(plan_module, "keep", keep_under_the_lease)
    shop.plan()
    assert kept


def _ledgers(shop: Shop) -> list[tuple[str]]:
    with shop.engine.journal.transaction() as connection:
        return connection.execute("select ledger_id from leases").fetchall()
