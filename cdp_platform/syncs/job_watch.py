"""Ask a destination for the outcome of a job until it is told: patiently, within a bound, and without harm."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cdp_platform.connectors.abilities import FillsJobs
from cdp_platform.connectors.protocol import Batch, Destination, Job, RunsJobs, Session, StillRunning
from cdp_platform.domain.outcomes import RowOutcome
from cdp_platform.errors import (
    AuthenticationFailed,
    CdpError,
    CircuitOpen,
    ConfigError,
    ConnectionFailed,
    ContractBroken,
    DestinationError,
    JobDropped,
    JobFailed,
    RateLimited,
    TemporarilyDown,
)
from cdp_platform.faultpoints import faultpoint
from cdp_platform.syncs.answer_rules import complete
from cdp_platform.syncs.lease import Lease

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
MAX_TROUBLES_IN_A_ROW = 8
"""So many questions without an answer that can be believed end the run; about two minutes."""
_NAP_SECONDS = 1.0
"""How soon a run that is to end is noticed."""


@dataclass(kw_only=True)
class JobWatch:
    """Asks for jobs of one account. `longest_seconds` counts from the job's request; `wall` is POSIX seconds."""

    destination: Destination
    session: Session
    object_name: str
    longest_seconds: float
    wall: Callable[[], float]
    sleep: Callable[[float], None]
    lease: Lease
    stopping: threading.Event
    before_poll: Callable[[], None]

    def fill(self, match_field: str, rows: Batch, job: Job) -> CdpError | None:
        """Hand the rows to a job that begins empty; return what ended that early. A poll tells how far it came."""
        try:
            if isinstance(self.destination, FillsJobs):
                for request in self.destination.contents(self.object_name, match_field, job, rows):
                    self.lease.renew_if_due()
                    self.session.send(request)
                    faultpoint("job.filled")
        except (ConnectionFailed, DestinationError, ConfigError) as trouble:
            return trouble
        return None

    def outcomes(self, rows: Batch, job: Job, *, submitted_at: float) -> Mapping[int, RowOutcome]:
        """Wait for the outcomes of a job's rows, by ordinal; nothing by ordinal means that all were delivered.

        Raises Refused or JobDropped where the destination processed none of them, JobFailed where the job failed or did
        not end in time, AuthenticationFailed and other CdpErrors where it goes on and is to be asked for by the next
        run.
        """
        pause, troubles = FIRST_PAUSE_SECONDS, 0
        while True:
            self.before_poll()
            self.lease.renew_if_due()
            try:
                told = self._ask(rows, job)
                troubles = 0
            except (AuthenticationFailed, CircuitOpen, JobDropped):
                raise
            except (RateLimited, ConnectionFailed, TemporarilyDown, ContractBroken) as trouble:
                told, troubles = None, troubles + 1
                if troubles >= MAX_TROUBLES_IN_A_ROW:
                    raise self._left(job, f"cannot be asked for ({trouble.what})") from trouble
            if told is not None:
                return told
            if self.wall() - submitted_at > self.longest_seconds:
                raise JobFailed(
                    f"the job {job.id} of {self.destination.name} has not ended in {self.longest_seconds:g} seconds.",
                    remedy="What became of its rows is not known; look at the job at the destination.",
                )
            self._rest(job, pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _ask(self, rows: Batch, job: Job) -> Mapping[int, RowOutcome] | None:
        if not isinstance(self.destination, RunsJobs):
            raise JobFailed(
                f"{self.destination.name} answers with jobs and cannot be asked for them.",
                remedy="Report this to the author of the destination.",
            )
        told = self.destination.poll(self.session, self.object_name, job, rows)
        faultpoint("job.asked")
        return None if isinstance(told, StillRunning) else complete(rows, told)

    def _rest(self, job: Job, seconds: float) -> None:
        while seconds > 0:
            if self.stopping.is_set():
                raise self._left(job, "goes on while this run ends")
            self.sleep(min(seconds, _NAP_SECONDS))
            seconds -= _NAP_SECONDS

    def _left(self, job: Job, what: str) -> CdpError:
        return CdpError(
            f"the job {job.id} of {self.destination.name} {what}.",
            remedy="The next run asks for its outcome before it plans.",
        )
