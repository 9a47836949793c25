"""What a destination may be able to do beside what every one does: its class has the methods, and the engine asks."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Protocol, runtime_checkable

from cdp_platform.connectors.protocol import Batch, Destination, Job, Request
from cdp_platform.domain.syncs import Mode


@runtime_checkable
class NamesItsScheme(Protocol):
    """A destination whose token is not announced as `Bearer` (Zoho: `Zoho-oauthtoken`)."""

    auth_scheme: ClassVar[str]


@runtime_checkable
class DescribesValues(Protocol):
    """A destination whose fields tell which values they take: what they rule out it refuses, so it is not sent."""

    option_separator: ClassVar[str]
    """What stands between the options of a field that takes several."""


@runtime_checkable
class MarksTests(Protocol):
    """A destination of events that takes none back, and shows those that are marked as a test apart from the others."""

    def as_test(self, code: str) -> Destination:
        """Return the destination that marks what it sends by the vendor's code of a test."""
        ...


@runtime_checkable
class TellsItsUsage(Protocol):
    """A destination whose answers tell how much of its limit is used up."""

    def rest_seconds(self, headers: Mapping[str, str]) -> float:
        """Say for how long nobody should ask on, 0 for not at all; `headers` by name in lower case."""
        ...


@runtime_checkable
class FillsJobs(Protocol):
    """A destination whose jobs begin empty: the rows are handed over once the job's name is durable.

    Nothing of them is processed until the last of the requests was answered. A poll that finds a job left before that
    ends it, and raises JobDropped.
    """

    def contents(self, object_name: str, match_field: str, job: Job, rows: Batch) -> Iterator[Request]:
        """Give the requests that fill the job and let it begin, in order; each once."""
        ...


@runtime_checkable
class ChoosesWay(Protocol):
    """A destination that has another way for many rows of the same object, with capabilities of its own."""

    def way_for(self, object_name: str, row_count: int) -> Destination:
        """Return the destination as it takes a plan of `row_count` rows; the same answer for the same number.

        Both ways share name, account, fields and the harm of sending a row twice.
        """
        ...


@runtime_checkable
class SendsByMode(Protocol):
    """A destination whose requests differ by mode, where the rows' operations do not tell it.

    A new row of an upsert may have a record; one of an insert must not change it, one of an update must not make it.
    """

    def in_mode(self, mode: Mode) -> Destination:
        """Return the destination as it takes the rows of a sync in `mode`, one of those that its object has."""
        ...


@runtime_checkable
class WatchesQuota(Protocol):
    """A destination whose answers tell how much is left of an allowance that is longer than a run can wait."""

    def is_used_up(self, headers: Mapping[str, str]) -> bool:
        """Whether the run should begin nothing more, so that others can still work; the rest is pending."""
        ...
