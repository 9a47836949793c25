"""Counts a session's traffic, each thread for itself, so that no request waits for another's count."""

import threading
from bisect import bisect_left

from cdp_platform.domain.traffic import LATENCY_BOUNDS, Traffic


class Tally:
    """The counts of one thread."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.received_bytes = 0
        self.paced_seconds = 0.0
        self._unanswered_count = 0
        self._limited_count = 0
        self._by_class = [0] * 10
        self._latencies = [0] * (len(LATENCY_BOUNDS) + 1)

    def note(self, status: int | None, seconds: float) -> None:
        """Count one request by its answer's status; None where no whole answer came."""
        self._latencies[bisect_left(LATENCY_BOUNDS, seconds)] += 1
        if status is None:
            self._unanswered_count += 1
        elif status == 429:
            self._limited_count += 1
        else:
            self._by_class[status // 100 % 10] += 1

    @property
    def traffic(self) -> Traffic:
        by_class, limited, unanswered = tuple(self._by_class), self._limited_count, self._unanswered_count
        return Traffic(
            request_count=sum(by_class) + limited + unanswered,
            accepted_count=by_class[2],
            refused_count=sum(by_class) - by_class[2] - by_class[5],
            limited_count=limited,
            failed_count=by_class[5],
            unanswered_count=unanswered,
            sent_bytes=self.sent_bytes,
            received_bytes=self.received_bytes,
            paced_seconds=self.paced_seconds,
            latencies=tuple(self._latencies),
        )


class Tallies:
    """The counts of all threads that a session had."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._all: list[Tally] = []

    def of_this_thread(self) -> Tally:
        tally: Tally | None = getattr(self._own, "tally", None)
        if tally is None:
            tally = self._own.tally = Tally()
            self._all.append(tally)
        return tally

    @property
    def traffic(self) -> Traffic:
        """What all threads did so far."""
        return sum((tally.traffic for tally in list(self._all)), Traffic())
