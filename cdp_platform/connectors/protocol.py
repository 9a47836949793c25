"""What a destination is to the engine: it encodes a batch, reads an answer, and tells what it can do.

The engine owns the loop (pacing, retries, bisection, journal); a destination owns the vendor's words and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, Protocol, runtime_checkable

from cdp_platform.connectors.batch import Batch as Batch
from cdp_platform.connectors.batch import Json as Json
from cdp_platform.connectors.batch import OutgoingRow as OutgoingRow
from cdp_platform.domain.outcomes import RowOutcome
from cdp_platform.domain.syncs import FieldKind, Mode, Removal
from cdp_platform.domain.traffic import Traffic
from cdp_platform.errors import CdpError

Reads = Literal["json", "text"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request, relative to the connection's base URL."""

    method: str
    path: str
    body: Json = None
    """What JSON can say; or bytes that are in `media_type` already, of rows as the warehouse wrote them."""
    media_type: str = "application/json"
    """What `body` is sent as; of `application/x-www-form-urlencoded` it is the fields by name."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside those of the session, for what the vendor asks for; never a credential."""
    reads: Reads = "json"
    """What a 2xx body is: JSON, or text that `Answer.body` holds as it came."""
    is_repeatable: bool = True
    """Whether sending it twice does no harm."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A 2xx answer. `body` is parsed JSON, or text where the request reads text; None where none was sent."""

    status: int
    headers: Mapping[str, str]
    body: Json
    request_id: str | None = None


class AllDelivered:
    """What a destination says that answers per batch: all rows of the request were accepted."""


ALL_DELIVERED: Final = AllDelivered()


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a destination says that took a request as a job: the rows' outcomes are told later."""

    id: str
    """The vendor's name of the job; with it alone a later process asks on."""


class StillRunning:
    """What a destination says of a job that has not ended."""


STILL_RUNNING: Final = StillRunning()

Reading = Sequence[RowOutcome] | AllDelivered
"""What became of the rows of a request."""


@dataclass(frozen=True, kw_only=True)
class DestinationField:
    """A field of the destination's object, as the destination declares it."""

    name: str
    kind: FieldKind | None
    """None: a type of its own, which takes text."""
    is_writable: bool = True
    is_unique: bool = False
    options: tuple[str, ...] = ()
    """The allowed values of an enumeration; empty: any."""
    takes_several: bool = False
    """Whether a value may name several of the options."""
    longest_characters: int | None = None
    """How long a text may be; None: not told."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What one object of a destination can do, and how fast."""

    modes: frozenset[Mode]
    removals: frozenset[Removal] = frozenset({Removal.KEEP})
    """What it can do with a record that left the model."""
    batch_rows: int
    """Rows in one request at most."""
    writes_changed_fields_only: bool
    """Whether fields left out of a request keep their value."""
    changes_match_value: bool = False
    """Whether a known record can be given another match value: see `OutgoingRow.former_match_value`."""
    requests_per_second: float
    """Steady pace that the vendor allows one credential, from the vendor's page."""
    burst_requests: int
    """Requests that may go at once before the pace applies."""
    requests_per_day: int | None = None
    """Requests that the credential has in 24 hours, counted over runs; None: not limited, or told by the answers."""
    requests_at_once: int = 1
    """Requests under way at the same time; at least rate × latency, or the pace is not reached."""
    at_most_once: frozenset[Mode] = frozenset()
    """The modes in which sending a row twice does harm: an outcome that nobody knows is not tried again by itself."""
    idempotency_seconds: float = 0.0
    """How long the object remembers a row's idempotency key, from the vendor's page; 0: it takes none."""
    lookup_rows: int = 0
    """Rows whose records are looked up together before they are written, where no run has learned their ids (see
    FindsRecords); 0: the destination finds them itself."""
    needs_record: bool = False
    """Whether a row is rejected whose record does not exist: it links records and makes none."""
    key_is_match_value: bool = False
    """Whether the match value itself is that key: the vendor's own id of an event."""
    job_seconds: float = 3600.0
    """How long a job may take, from its request on; after that its rows count as unanswered."""
    is_membership: bool = False
    """Whether a row is added or removed: who withdrew is removed, and each row tells what was last delivered."""


class Session(Protocol):
    """An authenticated, paced way to one account.

    `send` answers 2xx only and raises otherwise, by the default readings in docs/explanation/answers.md:
    ConnectionFailed, AuthenticationFailed, RateLimited, TemporarilyDown, Refused, ContractBroken, and ConfigError for a
    redirect.
    """

    @property
    def traffic(self) -> Traffic:
        """What went over the wire in this session so far."""
        ...

    def send(self, request: Request) -> Answer: ...

    def close(self) -> None: ...


class Destination(Protocol):
    """One vendor. Stateless: everything it needs comes with the call."""

    name: ClassVar[str]
    default_base_url: ClassVar[str]

    def capabilities(self, object_name: str) -> Capabilities:
        """Tell what `object_name` can do; raise ConfigError for an object that the destination does not have."""
        ...

    def account_id(self, session: Session) -> str:
        """Ask the vendor which account the credential belongs to."""
        ...

    def describe(self, session: Session, object_name: str) -> Sequence[DestinationField]:
        """Ask the vendor which fields the object has."""
        ...

    def encode(self, object_name: str, match_field: str, rows: Batch) -> Request:
        """Turn a batch into one request."""
        ...

    def read(self, rows: Batch, answer: Answer) -> Reading | Job:
        """Say what became of each row, in any order, one outcome a row; raise ContractBroken for nonsense.

        ALL_DELIVERED is for destinations that accept a request as a whole and tell no ids. A Job is for those that
        RunsJobs describes.
        """
        ...


@runtime_checkable
class TakesOptions(Protocol):
    """A destination that has to be told more of its account than address and credential: `destination.options`."""

    def with_options(self, options: Mapping[str, str]) -> Destination:
        """Return the destination of one account; raise ConfigError, naming it, for an option it lacks or knows not."""
        ...


@runtime_checkable
class ReadsErrors(Protocol):
    """A destination that says in the body what its status does not: a limit as 400, a refusal as 300."""

    def error_of(self, status: int, headers: Mapping[str, str], body: Json) -> CdpError | None:
        """Read an answer that is no 2xx; None leaves it to the default reading. `body` is None where it is no JSON.

        It may only narrow that reading. No value of the body goes into the error.
        """
        ...


@runtime_checkable
class JudgesRows(Protocol):
    """A destination that knows of a row, before it is sent, that it would be refused."""

    def unfit(self, object_name: str, match_field: str, rows: Batch) -> Sequence[RowOutcome]:
        """List the rows that must not be sent, as rejected, each with its reason."""
        ...


@runtime_checkable
class ClearsIdentifiers(Protocol):
    """A destination of memberships that keeps the identifiers that a changed row no longer has."""

    def stale(self, object_name: str, match_field: str, rows: Batch) -> Batch:
        """Choose the rows that were last delivered with something that they no longer have."""
        ...

    def encode_clearing(self, object_name: str, match_field: str, rows: Batch) -> Request:
        """Turn such rows into one request that removes it; they are sent when that was acknowledged to its end."""
        ...


@runtime_checkable
class FindsRecords(Protocol):
    """A destination that removes records by its own id, and can look that up where no run has learned it."""

    def find(
        self, session: Session, object_name: str, match_field: str, match_values: Sequence[str]
    ) -> Mapping[str, str]:
        """Look up record ids by match value, at most `batch_rows` at once; what does not exist is left out."""
        ...


@runtime_checkable
class ErasesRecords(Protocol):
    """A destination that can erase a record for good, with what hangs on it, where removing only archives."""

    def erase(self, object_name: str, record_id: str) -> Request:
        """Turn the erasure of one record, archived or not, into a request; any 2xx is its acknowledgement."""
        ...


@runtime_checkable
class RunsJobs(Protocol):
    """A destination that takes requests as jobs, whose outcomes are asked for until they are told."""

    def poll(self, session: Session, object_name: str, job: Job, rows: Batch) -> Reading | StillRunning:
        """Ask for the outcome of a job's rows, which may be asked again without harm.

        Raises JobFailed for a job that ended without telling it, Refused for one that was refused before any row of it
        was processed, ContractBroken for nonsense.
        """
        ...
