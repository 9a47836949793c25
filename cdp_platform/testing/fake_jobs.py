"""The fake destination as one that takes each request as a job, whose outcomes are asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cdp_platform.connectors.protocol import STILL_RUNNING, Answer, Job, OutgoingRow, Request, Session, StillRunning
from cdp_platform.domain.outcomes import RowOutcome
from cdp_platform.errors import ContractBroken, JobFailed
from cdp_platform.testing.fakes import JOBS, FakeDestination, read_results


class FakeJobs(FakeDestination):
    """Vendor `fake` as one that takes each request as a job."""

    def encode(self, object_name: str, match_field: str, rows: Sequence[OutgoingRow]) -> Request:
        return replace(super().encode(object_name, match_field, rows), path=JOBS)

    def read(self, rows: Sequence[OutgoingRow], answer: Answer) -> Job:
        job_id = answer.body.get("job") if isinstance(answer.body, Mapping) else None
        if not isinstance(job_id, str) or not job_id:
            raise ContractBroken("The fake destination's answer names no job.", status=answer.status)
        return Job(id=job_id)

    def poll(
        self, session: Session, object_name: str, job: Job, rows: Sequence[OutgoingRow]
    ) -> Sequence[RowOutcome] | StillRunning:
        answer = session.send(Request(method="GET", path=f"{JOBS}/{job.id}"))
        state = answer.body.get("state") if isinstance(answer.body, Mapping) else None
        if state == "running":
            return STILL_RUNNING
        if state in ("failed", "expired"):
            raise JobFailed(f"The fake destination's job {job.id} {state}.")
        if state != "done":
            raise ContractBroken("The fake destination's answer tells no state of the job.", status=answer.status)
        return read_results(rows, answer)
