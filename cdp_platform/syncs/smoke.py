"""A trial of a real account: a few marked records written, found, changed and removed, each step told.

It goes by the destination's own requests and readings, beside every ledger: no sync knows of its records. What it has
written it removes at the end, whatever happened before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cdp_platform.connectors.abilities import MarksTests
from cdp_platform.connectors.protocol import (
    Batch,
    Destination,
    DestinationField,
    FindsRecords,
    Job,
    JudgesRows,
    OutgoingRow,
    Reading,
    RunsJobs,
    Session,
    StillRunning,
)
from cdp_platform.domain.outcomes import Operation, Outcome, RowOutcome
from cdp_platform.domain.syncs import Removal, SyncSpec
from cdp_platform.errors import CdpError, ContractBroken
from cdp_platform.syncs.answer_rules import complete
from cdp_platform.syncs.smoke_rows import changed_rows, marked_rows

_LOOKS: Final = 5
_JOB_SECONDS: Final = 600.0
_LONGEST_PAUSE_SECONDS: Final = 30.0


class Result(StrEnum):
    """How a step ended."""

    DONE = "done"
    CANNOT = "cannot"
    """The destination has no way to do it; no fault."""
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a trial. `rows` are those of which the destination said that all is well."""

    name: str
    result: Result
    rows: int = 0
    note: str = ""


@dataclass(kw_only=True)
class Smoke:
    """The trial of one account. `sleep` takes seconds."""

    destination: Destination
    session: Session
    spec: SyncSpec
    stamp: str
    sleep: Callable[[float], None]
    fields: Sequence[DestinationField] = ()
    _written: dict[int, str | None] = field(default_factory=dict)
    """By number: the record's id, as far as it was told."""
    _may_be_there: bool = False

    def run(self, tell: Callable[[Step], None]) -> None:
        """Take the steps one after the other and tell each; the removal is the last, also where a step before it failed
        or somebody broke it off.
        """
        self.fields = self.destination.describe(self.session, self.spec.object)
        try:
            for take in (self._write, self._find, self._change):
                step = self._taken(take)
                tell(step)
                if step.result is Result.FAILED:
                    return
        finally:
            if self._may_be_there:
                tell(self.clean())

    def clean(self) -> Step:
        """Remove what a trial of this stamp may have left, found by its marks; may be repeated."""
        return self._taken(self._remove)

    def _taken(self, take: Callable[[], Step]) -> Step:
        try:
            return take()
        except CdpError as error:
            return Step(name=take.__name__.strip("_"), result=Result.FAILED, note=str(error))

    def _rows(self) -> list[OutgoingRow]:
        fields = self.fields or self.destination.describe(self.session, self.spec.object)
        return marked_rows(self.spec, fields, self.stamp)

    def _write(self) -> Step:
        rows = Batch.of(self._rows())
        if isinstance(self.destination, JudgesRows):
            unfit = self.destination.unfit(self.spec.object, self.spec.match_key.field, rows)
            if unfit:
                return _step("write", len(rows), list(unfit))
        self._may_be_there = True
        outcomes = self._sent(rows)
        self._written = {one.ordinal: one.record_id for one in outcomes if one.outcome is Outcome.DELIVERED}
        note = "as test events, by their code" if isinstance(self.destination, MarksTests) else ""
        return _step("write", len(rows), outcomes, note)

    def _find(self) -> Step:
        if not isinstance(self.destination, FindsRecords):
            return Step(name="find", result=Result.CANNOT, note="the destination tells nobody who or what it holds")
        rows = self._rows()
        found: Mapping[str, str] = {}
        for look in range(_LOOKS):
            found = self._found(self.destination, rows)
            if len(found) == len(rows):
                return Step(name="find", result=Result.DONE, rows=len(found))
            self.sleep(2.0**look)
        return Step(
            name="find", result=Result.FAILED, rows=len(found), note=f"of {len(rows)}; the others were not found"
        )

    def _change(self) -> Step:
        told = self.destination.capabilities(self.spec.object)
        if told.is_membership or isinstance(self.destination, MarksTests):
            what = "a membership has nothing to change" if told.is_membership else "an event is never changed"
            return Step(name="change", result=Result.CANNOT, note=what)
        rows = changed_rows(self.spec, self.fields, self._rows(), self._written)
        if not rows:
            return Step(name="change", result=Result.CANNOT, note="the mapping has no free text to change")
        batch = Batch.of(rows) if told.writes_changed_fields_only else Batch.of(rows).with_all_fields()
        return _step("change", len(rows), self._sent(batch))

    def _remove(self) -> Step:
        removals = self.destination.capabilities(self.spec.object).removals
        way = next((way for way in (Removal.DELETE, Removal.ARCHIVE) if way in removals), None)
        if way is None:
            return Step(name="remove", result=Result.CANNOT, note="the destination takes nothing back")
        rows = self._rows()
        if isinstance(self.destination, FindsRecords):
            ids = self._found(self.destination, rows)
            rows = [row._replace(record_id=ids.get(row.match_value)) for row in rows if row.match_value in ids]
        gone = [row._replace(operation=Operation.REMOVE, previous=row.document) for row in rows]
        outcomes = self._sent(Batch.of(gone)) if gone else []
        note = "archived: the vendor keeps them for a while" if way is Removal.ARCHIVE else ""
        return _step("remove", len(gone), outcomes, note)

    def _found(self, destination: FindsRecords, rows: Sequence[OutgoingRow]) -> Mapping[str, str]:
        values = [row.match_value for row in rows]
        return destination.find(self.session, self.spec.object, self.spec.match_key.field, values)

    def _sent(self, rows: Batch) -> list[RowOutcome]:
        """Send rows, as many at once as the destination takes, and wait for what becomes of each."""
        size = self.destination.capabilities(self.spec.object).batch_rows
        outcomes = list[RowOutcome]()
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            request = self.destination.encode(self.spec.object, self.spec.match_key.field, part)
            reading = self.destination.read(part, self.session.send(request))
            told = complete(part, self._ended(reading, part) if isinstance(reading, Job) else reading)
            accepted = (RowOutcome(ordinal=number, outcome=Outcome.DELIVERED) for number in part.ordinals)
            outcomes += told.values() or accepted
        return outcomes

    def _ended(self, job: Job, rows: Batch) -> Reading:
        if not isinstance(self.destination, RunsJobs):
            raise ContractBroken(f"{self.destination.name} made a job that cannot be asked for.")
        waited, pause = 0.0, 1.0
        while waited < _JOB_SECONDS:
            told = self.destination.poll(self.session, self.spec.object, job, rows)
            if not isinstance(told, StillRunning):
                return told
            self.sleep(pause)
            waited, pause = waited + pause, min(2 * pause, _LONGEST_PAUSE_SECONDS)
        raise CdpError(f"{self.destination.name} has not ended the job within {_JOB_SECONDS / 60:.0f} minutes.")


def _step(name: str, sent: int, outcomes: Sequence[RowOutcome], note: str = "") -> Step:
    accepted = sum(outcome.outcome is Outcome.DELIVERED for outcome in outcomes)
    refused = next((outcome for outcome in outcomes if outcome.outcome is not Outcome.DELIVERED), None)
    if refused is not None:
        field_name = refused.parameters.get("field", "")
        note = f"of {sent}; {refused.code or refused.outcome}{f': {field_name}' if field_name else ''}"
    return Step(name=name, result=Result.FAILED if refused else Result.DONE, rows=accepted, note=note)
