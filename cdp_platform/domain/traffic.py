"""What a session did on the wire: requests, answers by class, latencies, bytes, waiting."""

from dataclasses import dataclass
from typing import Final

_SMALLEST_SECONDS: Final = 0.0005
_GROWTH: Final = 1.2
LATENCY_BOUNDS: Final = tuple(_SMALLEST_SECONDS * _GROWTH**step for step in range(72))
"""Upper ends of the latency histogram's steps in seconds, from half a millisecond to 209 s, each 1.2 times the last."""


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """The requests of one session, or of several added up. Bytes are of the bodies, as they went over the wire."""

    request_count: int = 0
    """Requests that were tried, answered or not."""
    accepted_count: int = 0
    """Answers 2xx."""
    refused_count: int = 0
    """Answers 3xx and 4xx, without 429."""
    limited_count: int = 0
    """Answers 429."""
    failed_count: int = 0
    """Answers 5xx."""
    unanswered_count: int = 0
    """Requests that ended without a whole answer: no connection, reset, timeout."""
    sent_bytes: int = 0
    received_bytes: int = 0
    paced_seconds: float = 0.0
    """Time that requests waited for their slot, added up over the threads."""
    latencies: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS) + 1)
    """Requests by latency, from the first byte sent to the last one read: one count for each of LATENCY_BOUNDS and one
    for what was slower."""

    @property
    def share_429(self) -> float:
        """Answers 429 among all requests; 0 where there was no request."""
        return self.limited_count / self.request_count if self.request_count else 0.0

    def requests_per_second(self, seconds: float) -> float:
        """Requests over a time; 0 where no time has passed."""
        return self.request_count / seconds if seconds > 0 else 0.0

    def percentile(self, share: float) -> float | None:
        """The latency in seconds that `share` (0 to 1) of the requests did not exceed; None without a request.

        At most a tenth off: the geometric middle of the histogram's step; for what was slower than the last, its end.
        """
        if not 0 <= share <= 1:
            raise ValueError("a share is 0 to 1")
        wanted, seen = share * sum(self.latencies), 0
        for step, count in enumerate(self.latencies):
            seen += count
            if count and seen >= wanted:
                return LATENCY_BOUNDS[-1] if step == len(LATENCY_BOUNDS) else LATENCY_BOUNDS[step] / _GROWTH**0.5
        return None

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(
            request_count=self.request_count + other.request_count,
            accepted_count=self.accepted_count + other.accepted_count,
            refused_count=self.refused_count + other.refused_count,
            limited_count=self.limited_count + other.limited_count,
            failed_count=self.failed_count + other.failed_count,
            unanswered_count=self.unanswered_count + other.unanswered_count,
            sent_bytes=self.sent_bytes + other.sent_bytes,
            received_bytes=self.received_bytes + other.received_bytes,
            paced_seconds=self.paced_seconds + other.paced_seconds,
            latencies=tuple(mine + yours for mine, yours in zip(self.latencies, other.latencies, strict=True)),
        )
