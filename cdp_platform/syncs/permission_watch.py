"""Consent last (G13): who may not be written to any more, read again while a plan is being sent.

One bulk read over a short connection holds for a minute. Where none succeeds the send pauses, and then ends with its
rows pending; a table of permissions that has shrunk on the way ends it at once.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cdp_platform.connectors.protocol import Batch
from cdp_platform.domain.plans import Plan
from cdp_platform.domain.syncs import Consent, SyncSpec
from cdp_platform.errors import GuardTripped, WarehouseError
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.lease import Lease
from cdp_platform.syncs.permissions import count_statements, create_permissions, during_send, permission_of
from cdp_platform.syncs.plan_files import plan_path
from cdp_platform.syncs.source import renew_consents
from cdp_platform.syncs.timing import Timing
from cdp_platform.warehouse.base import Session

PERMISSION_MAX_AGE_SECONDS = 60.0
"""How long a read of the permissions holds (G13)."""
PATIENCE_SECONDS = 120.0
"""How long the send pauses for a read before it ends as deferred."""
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 20.0


@dataclass(kw_only=True)
class PermissionWatch:
    """The rows of one plan whose permission has gone since it was made; shared by the threads of a send."""

    engine: Engine
    spec: SyncSpec
    plan: Plan
    lease: Lease
    timing: Timing
    _stopped: Mapping[int, str] = field(default_factory=dict)
    _read_at: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def left_out(self, rows: Batch) -> Sequence[tuple[str, Batch]]:
        """Those of the rows that may not be sent any more, by reason. Raises what `stopped` does."""
        stopped = self.stopped()
        reasons = sorted({stopped[ordinal] for ordinal in rows.ordinals if ordinal in stopped}) if stopped else []
        return [(code, Batch.of(row for row in rows if stopped.get(row.ordinal) == code)) for code in reasons]

    def stopped(self) -> Mapping[int, str]:
        """The rows that may not be sent any more, by ordinal, with the reason; never older than a minute.

        Raises WarehouseError where that could not be read in time, GuardTripped where the tables have shrunk.
        """
        consent = self.spec.consent
        if consent is None:
            return {}
        with self._lock:
            now = self.timing.clock()
            if self._read_at is None or not 0 <= now - self._read_at < PERMISSION_MAX_AGE_SECONDS:
                self._stopped, self._read_at = self._read_in_time(consent)
            return self._stopped

    def _read_in_time(self, consent: Consent) -> tuple[Mapping[int, str], float]:
        """Read until it succeeds; the time is that before the read, so that no answer is older than it says."""
        waited, pause = 0.0, _FIRST_PAUSE_SECONDS
        while True:
            began_at = self.timing.clock()
            try:
                with self.engine.warehouse.session(f"permission {self.spec.name}") as session:
                    return self._read(session, consent), began_at
            except WarehouseError as error:
                if waited >= PATIENCE_SECONDS:
                    raise WarehouseError(
                        f"the permissions could not be read for {waited:.0f} seconds while {self.spec.name} was"
                        f" sending, so nothing more was sent: {error}",
                        remedy="What was not sent is pending; run again once the warehouse answers.",
                    ) from error
            self.lease.renew_if_due()
            self.timing.sleep(pause)
            waited, pause = waited + pause, min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _read(self, session: Session, consent: Consent) -> Mapping[int, str]:
        dialect = self.engine.warehouse.dialect
        renew_consents(session, self.engine.warehouse, self.spec)
        self._require_size(session)
        planned = session.parquet(plan_path(self.engine.home, self.spec.name, self.plan.digest))
        only = f"said.identifier in (select consent_identifier from {planned})"
        create_permissions(session, dialect, consent, only)
        rows = session.rows(
            f"""select ordinal, permission from (
                select planned.ordinal, {permission_of(consent, "planned.consent_identifier")} as permission
                from {planned} as planned
                left join permissions on permissions.identifier = planned.consent_identifier
                where planned.operation in ('create', 'update')
            ) where permission <> 'granted'"""
        )
        return {row["ordinal"]: during_send(row["permission"]) for row in rows}

    def _require_size(self, session: Session) -> None:
        """Raise GuardTripped where far fewer consents or suppressions are there than when the plan was made."""
        kept = 1 - self.spec.limits.shrunk_share
        seen = count_statements(session, self.engine.warehouse.dialect, self.spec)
        planned = (self.plan.consent_rows, self.plan.suppression_rows)
        for name, rows, before in zip(("consents", "suppressions"), seen, planned, strict=True):
            if rows < before * kept or (before and not rows):
                raise GuardTripped(
                    f"of {before} {name} {rows} were left while {self.spec.name} was sending; nothing more was sent.",
                    remedy="Restore them, then run again: what was not sent is planned anew.",
                    counts={name: rows},
                )
