"""Forgetting somebody of whose events an ad platform was told: nothing is told twice, and nothing is left."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from cdp_platform import faultpoints
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import FieldMapping, Mode
from cdp_platform.erasure.book import State, open_work
from cdp_platform.erasure.forget import Scope, forget, look, resume
from cdp_platform.errors import TemporarilyDown
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.testing.fakes import FakeDestination
from cdp_platform_tests.unit.erasure.conftest import DECLARED, load, scope_of
from cdp_platform_tests.unit.syncs.conftest import Shop, spec_of

EVENTS = "activation.sync_events__ads"
PLACES = ("forget.kept", "forget.remembered", "forget.deleted", "forget.noted", "forget.unledgered",
          "forget.acknowledged", "forget.shredded")  # fmt: skip


class Events(Shop):
    """People with events; the sync appends each event once, with the person's id and address."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.destination = FakeDestination(
            batch_rows=10, modes=frozenset({Mode.APPEND}), at_most_once=frozenset({Mode.APPEND})
        )
        self.spec = spec_of(
            name="redemptions_ads",
            source_model="sync_events__ads",
            relation=EVENTS,
            primary_key="event_id",
            mode=Mode.APPEND,
            consent=None,
            mapping=(
                FieldMapping(column="event_id", field="cdp_person_id", match_key=True, personal=False),
                FieldMapping(column="person_id", field="segment", personal=False),
                FieldMapping(column="email", field="email"),
            ),
        )
        switch(Journal(self.home), self.spec.name, is_enabled=True)

    def happened(self, events: Sequence[tuple[str, int, str]]) -> None:
        """Replace the model by events: id, number of the person, address that the person had."""
        with self.warehouse.session("test") as session:
            session.execute(f"create or replace table {EVENTS} (event_id varchar, person_id varchar, email varchar)")
            for event, number, address in events:
                session.execute(f"insert into {EVENTS} values (?, ?, ?)", [event, f"p-{number:03}", address])

    @property
    def scope(self) -> Scope:
        told = scope_of(self)
        return Scope(
            home=told.home,
            warehouse=told.warehouse,
            journal=told.journal,
            declared={**DECLARED, EVENTS: {"person_id": "person_id", "email": "email"}},
            syncs=told.syncs,
        )

    def logged(self) -> list[str]:
        return [row["primary_key"] for row in self.sql("select primary_key from cdp.delivered_rows order by 1")]

    def in_ledger(self) -> int:
        [found] = self.sql("select ledger_id from cdp.ledgers where sync = 'redemptions_ads'")
        return int(self.sql(f'select count(*) as n from cdp."ledger_{found["ledger_id"]}"')[0]["n"])


@pytest.fixture
def events(tmp_path: Path) -> Events:
    made = Events(tmp_path / "home")
    load(made)
    made.happened([("e-1", 1, "person1@example.com"), ("e-2", 2, "family@example.com"), ("e-3", 1, "old@example.com")])
    assert made.run().counts == Counts(planned=3, delivered=3)
    return made


def test_the_events_of_a_person_are_in_no_log_and_no_ledger_and_the_destination_is_by_hand(events: Events) -> None:
    steps = {step.system: (step.state, step.code) for step in forget(events.scope, "p-001")}
    assert steps["fake/redemptions_ads"] == (State.BY_HAND, "no_call")
    assert events.logged() == ["e-2"]
    assert events.in_ledger() == 1
    assert events.sql(f"select event_id from {EVENTS}") == [{"event_id": "e-2"}]
    files = [path for path in events.home.root.rglob("*") if path.is_file()]
    traces = (b"person1@", b"old@example.com", b"p-001")
    assert [path.name for path in files for trace in traces if trace in path.read_bytes()] == []


def test_an_event_that_left_the_model_under_an_address_that_nobody_knows_any_more_is_found(events: Events) -> None:
    events.happened([("e-2", 2, "family@example.com")])
    assert look(events.scope, "p-001").keys == {"redemptions_ads": 2}
    forget(events.scope, "p-001")
    assert events.logged() == ["e-2"]


def test_nobody_elses_event_is_forgotten_with_them(events: Events) -> None:
    events.happened([("e-11", 11, "person11@example.com")])
    events.run()
    forget(events.scope, "p-001")
    assert events.logged() == ["e-11", "e-2"]


def test_after_it_the_events_of_others_are_not_told_again_and_new_ones_are(events: Events) -> None:
    forget(events.scope, "p-001")
    events.happened([("e-2", 2, "family@example.com"), ("e-4", 4, "Person4@example.com")])
    assert events.run().counts == Counts(planned=1, delivered=1)
    assert sorted(events.account.processed) == ["e-1", "e-2", "e-3", "e-4"]


def test_an_event_of_which_nobody_knows_whether_it_arrived_is_forgotten_and_never_sent(events: Events) -> None:
    events.happened([("e-5", 1, "person1@example.com")])
    events.session.fail_next(TemporarilyDown("503", status=503))
    assert events.run().counts == Counts(planned=1, unknown=1)
    forget(events.scope, "p-001")
    assert events.sql("select primary_key from cdp.unknown_rows") == []
    assert events.run().counts == Counts()
    assert "e-5" not in events.account.processed


@pytest.mark.parametrize("place", PLACES)
def test_killed_anywhere_it_is_gone_on_with_and_no_event_is_told_twice(
    events: Events, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Stands for the end of the process."""

    def kill(name: str) -> None:
        if name == place:
            raise Killed

    monkeypatch.setattr(faultpoints, "hook", kill)
    with pytest.raises(Killed):
        forget(events.scope, "p-001")
    monkeypatch.setattr(faultpoints, "hook", lambda name: None)
    assert open_work(events.home), "something was begun before the end"
    [(_, steps)] = resume(events.scope)
    assert {step.state for step in steps} <= {State.DONE, State.BY_HAND}
    assert events.logged() == ["e-2"] and open_work(events.home) == []
    events.run()
    assert sorted(events.account.processed) == ["e-1", "e-2", "e-3"]
