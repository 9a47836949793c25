"""What may become of a planned row, and the books that must balance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cdp_platform.domain.traffic import Traffic


class Operation(StrEnum):
    """What a plan intends for one row."""

    CREATE = "create"
    UPDATE = "update"
    WITHDRAW = "withdraw"
    """An update that carries the opt-out and what follows from it, and no marketing field."""
    REMOVE = "remove"


class Outcome(StrEnum):
    """The five outcomes of a planned row."""

    DELIVERED = "delivered"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    PENDING = "pending"


@dataclass(frozen=True, kw_only=True)
class RowOutcome:
    """What the destination said of one row of a request."""

    ordinal: int
    """The row's place in the plan."""
    outcome: Outcome
    record_id: str | None = None
    """The destination's own id of the record, where it told."""
    code: str | None = None
    """The reason's code in the catalogue of texts; None for delivered rows."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the reason's text needs: names of fields, never values of persons."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The books of one run. All are rows."""

    planned: int = 0
    delivered: int = 0
    rejected: int = 0
    unknown: int = 0
    skipped: int = 0
    pending: int = 0

    @property
    def is_balanced(self) -> bool:
        """Whether every planned row stands in exactly one outcome (G14)."""
        return self.planned == self.delivered + self.rejected + self.unknown + self.skipped + self.pending


class RunStatus(StrEnum):
    """How a sync run ended."""

    DONE = "done"
    DEFERRED = "deferred"
    """Stopped by the destination or the network; the rest is pending and not at fault."""
    RECOVERED = "recovered"
    """Broken off, and settled from the journal by the next run."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One sync run, as it stands in `cdp.sync_runs`."""

    run_id: str
    sync: str
    destination: str
    ledger_id: str
    partition: str | None
    digest: str
    counts: Counts
    unchanged: int
    model_rows: int
    operations: Mapping[str, int]
    """Planned rows by operation."""
    skipped_reasons: Mapping[str, int]
    status: RunStatus
    started_at: datetime
    ended_at: datetime
    traffic: Traffic = field(default_factory=Traffic)
    """What the run did on the wire; not kept in the table, and empty for a run that was recovered."""
