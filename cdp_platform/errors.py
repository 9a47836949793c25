"""Every error of the platform, grouped by who must act.

    CdpError
    ├── ConfigError            the person who wrote the YAML, at load
    ├── ConnectionFailed       credentials or network; nothing was sent
    │   ├── AuthenticationFailed
    │   ├── CircuitOpen        failed too often in a row: nobody asks until a while has passed
    │   └── JobDropped         a job that was ended before any of its rows was processed
    ├── DestinationError       the destination answered, or should have
    │   ├── RateLimited        wait, then go on
    │   ├── TemporarilyDown    wait, then go on; the outcome of the request is not known
    │   ├── Refused            a whole request was refused without saying which row is at fault
    │   ├── ContractBroken     an answer that cannot be believed
    │   └── JobFailed          a job that ended without telling what became of its rows
    ├── GuardTripped           we stopped ourselves; carries counts
    ├── LeaseLost              another run holds this account's object
    ├── SourceUnreadable       who delivers the files or keeps the database that a source reads
    └── WarehouseError
        └── WarehouseLocked    another process holds the embedded warehouse's file

Trouble with one row is a value (`domain.outcomes.RowOutcome`), never an exception.
"""

from collections.abc import Mapping
from datetime import datetime


class CdpError(Exception):
    """What went wrong and where; `remedy` says what to do about it."""

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(f"{what} {remedy}".strip())
        self.what = what
        self.remedy = remedy


class ConfigError(CdpError):
    """A definition that cannot work. `place` is `file:line`, `field` the dotted path inside it."""

    def __init__(self, what: str, *, remedy: str = "", place: str = "", field: str = "") -> None:
        where = ", ".join(part for part in (place, f"field `{field}`" if field else "") if part)
        super().__init__(f"{where}: {what}" if where else what, remedy=remedy)
        self.place = place
        self.field = field


class ConnectionFailed(CdpError):
    """The destination could not be reached; nothing of this request was processed."""


class AuthenticationFailed(ConnectionFailed):
    """The credential is missing or was not accepted; rows are not at fault. `status` is None without an answer."""

    def __init__(self, what: str, *, remedy: str = "", status: int | None = None) -> None:
        super().__init__(what, remedy=remedy)
        self.status = status


class CircuitOpen(ConnectionFailed):
    """The destination failed so often in a row that it is left alone; `until` is aware, in UTC."""

    def __init__(self, what: str, *, until: datetime, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.until = until


class JobDropped(ConnectionFailed):
    """A job was ended before it began; its rows were not processed and may be sent again."""


class DestinationError(CdpError):
    """The destination answered with trouble. `status` is the HTTP status, None where there was no answer."""

    def __init__(self, what: str, *, remedy: str = "", status: int | None = None) -> None:
        super().__init__(what, remedy=remedy)
        self.status = status


class RateLimited(DestinationError):
    """Asked to wait. `retry_after_seconds` is None where the destination did not say how long."""

    def __init__(
        self, what: str, *, remedy: str = "", status: int | None = 429, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(what, remedy=remedy, status=status)
        self.retry_after_seconds = retry_after_seconds


class TemporarilyDown(DestinationError):
    """Timeout, reset, 408 or 5xx: the request may or may not have been processed."""


class Refused(DestinationError):
    """A whole request was refused without row detail. `code` is the destination's own word for the reason.

    `is_partial`: some of its rows may have been processed, and which is not known.
    """

    def __init__(
        self,
        what: str,
        *,
        remedy: str = "",
        status: int | None = None,
        code: str = "refused",
        is_partial: bool = False,
    ) -> None:
        super().__init__(what, remedy=remedy, status=status)
        self.code = code
        self.is_partial = is_partial


class ContractBroken(DestinationError):
    """A 2xx that cannot be read, or whose results do not match the rows. Never an acknowledgement."""


class JobFailed(DestinationError):
    """A job failed, expired, or did not end in time; its rows may or may not have been processed."""


class GuardTripped(CdpError):
    """A guard stopped the run before anything was sent. `counts` are the numbers behind the verdict."""

    def __init__(self, what: str, *, remedy: str = "", counts: Mapping[str, int] | None = None) -> None:
        super().__init__(what, remedy=remedy)
        self.counts = dict(counts or {})


class LeaseLost(CdpError):
    """Another run holds the lease on this account's object, or took it over."""


class SourceUnreadable(CdpError):
    """A source's file or database is missing, locked, or not what was declared; nothing of it was loaded."""


class WarehouseError(CdpError):
    """The warehouse could not answer."""


class WarehouseLocked(WarehouseError):
    """The embedded warehouse's file is held by another process. `holder` names it as far as it is known."""

    def __init__(self, what: str, *, remedy: str = "", holder: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.holder = holder
