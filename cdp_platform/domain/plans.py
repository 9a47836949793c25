"""A plan: the operations a run intends, computed, stored and judged before anything is sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cdp_platform.domain.costs import Cost
from cdp_platform.domain.value_rules import ValueRule


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one guard says of a plan. `code` is the guard's name in the catalogue of texts."""

    code: str
    passed: bool
    parameters: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LedgerIdentity:
    """What a ledger belongs to; another account is another ledger."""

    environment: str
    sync: str
    destination: str
    account_id: str
    """As the vendor reports it."""
    object: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The record of a stored plan; its operations lie in the Parquet file that `digest` names."""

    digest: str
    sync: str
    destination: str
    """The connection's name."""
    mapping_version: str
    ledger_id: str
    ledger_version: int
    """The version of the ledger that the plan was computed from; a send needs it unchanged."""
    partition: str | None
    """The partition that the plan is of; else the day the source model describes, where the sync knows one."""
    made_at: datetime
    run_id: str
    model_rows: int
    consent_rows: int
    """Consents of the sync's entity, channel and purpose; 0 where no consent is needed."""
    unchanged: int
    operations: Mapping[str, int]
    """Rows by operation, of those to be sent."""
    skipped: Mapping[str, int]
    """Rows left out, by reason code."""
    verdicts: tuple[Verdict, ...]
    is_partial: bool = False
    """Whether the plan was narrowed to chosen rows or to a partition."""
    is_of_partition: bool = False
    """Whether the plan reads one partition of the source model, and all of it."""
    outside_rows: int = 0
    """Rows of the source model whose value has no partition: no run sends them."""
    at_most_once: bool = False
    """Whether sending a row twice does harm at the destination."""
    idempotency_seconds: float = 0.0
    """How long the destination remembers a row's idempotency key; 0: it takes none."""
    reverts: str | None = None
    """The run whose changes the plan takes back; None for every other plan."""
    resend_reason: str | None = None
    """Why rows are sent again whose values did not change, `resend.…` in the catalogue; None: there are none."""
    moved_rows: int = 0
    """How many rows to be sent give a known record another match value, as after a merge of persons."""
    resent_rows: int = 0
    """How many rows to be sent are sent for that reason alone."""
    held_fields: Mapping[str, int] = field(default_factory=dict)
    """By field: rows in which its policy kept the model's value from being sent."""
    probe: str = ""
    """What the warehouse's hash made of a fixed value."""
    encoding: Mapping[str, str] = field(default_factory=dict)
    """By field: the column with its type in the warehouse, and the declared type."""
    has_forgotten: bool = False
    """Whether the ledger may lack records that the destination has: opt-outs are looked up before they are sent."""
    suppression_rows: int = 0
    """Suppressions of the sync's channel; 0 where there is no such list."""
    file_hash: str = ""
    """SHA-256 of the plan's file, in hexadecimal digits; empty before it is kept."""
    scanned_bytes: int | None = None
    """What one reading of what was compared scans, as foreseen; None where the warehouse cannot say."""
    cost: Cost | None = None
    """What computing it has cost in the warehouse; None where nobody pays by use."""
    value_rules: tuple[ValueRule, ...] = ()
    """What the destination said of the values that its fields take, when the plan was made."""

    @property
    def is_allowed(self) -> bool:
        """Whether every guard passed."""
        return all(verdict.passed for verdict in self.verdicts)

    @property
    def to_send(self) -> int:
        """Rows that the send will try."""
        return sum(self.operations.values())

    @property
    def planned(self) -> int:
        """Rows in the books: those to be sent and those left out with a reason."""
        return self.to_send + sum(self.skipped.values())
