"""A rolling window, as the vendors count requests."""

from collections import deque


class RollingWindow:
    """At most `most` requests within any `seconds`."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._times: deque[float] = deque()

    def remaining(self, now: float) -> int:
        """Return how many requests the window still takes at a time of the monotonic clock."""
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        return self._most - len(self._times)

    def take(self, now: float) -> None:
        """Count one request."""
        self._times.append(now)
