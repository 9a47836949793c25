"""Meta's limit on audiences: calls in a rolling hour, told in percent by a header, and an error once it is reached."""

import json
import threading
import time
from collections.abc import Callable
from typing import Final

from cdp_platform.sandbox.meta.account import ACCOUNT_ID
from cdp_platform.sandbox.meta.answers import GraphError
from cdp_platform.sandbox.window import RollingWindow

CALLS_PER_HOUR: Final = 190_000
HOUR_SECONDS: Final = 3600.0
_REGAIN_MINUTES: Final = 1


class Usage:
    """Counts calls. A refused one uses nothing up."""

    def __init__(
        self, calls: int = CALLS_PER_HOUR, seconds: float = HOUR_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self.limit(calls, seconds)

    def limit(self, calls: int, seconds: float) -> None:
        """Begin to count anew, with another limit."""
        with self._lock:
            self._calls = calls
            self._window = RollingWindow(calls, seconds)
            self.refused_count = 0

    def admit(self) -> None:
        """Count one call. Raises GraphError 80003 where the limit is reached."""
        with self._lock:
            if self._window.remaining(self._clock()) < 1:
                self.refused_count += 1
                message = "There have been too many calls to this ad-account. Wait a bit and try again."
                raise GraphError(400, 80003, message, subcode=2446079, headers=self._headers(100, _REGAIN_MINUTES))
            self._window.take(self._clock())

    def headers(self) -> dict[str, str]:
        """Return the header that tells how much is used up."""
        with self._lock:
            used = self._calls - self._window.remaining(self._clock())
            return self._headers(used * 100 // self._calls, 0)

    def _headers(self, percent: int, regain_minutes: int) -> dict[str, str]:
        usage = {
            "type": "custom_audience",
            "call_count": percent,
            "total_cputime": percent // 3,
            "total_time": percent // 2,
            "estimated_time_to_regain_access": regain_minutes,
            "ads_api_access_tier": "standard_access",
        }
        return {"X-Business-Use-Case-Usage": json.dumps({ACCOUNT_ID: [usage]})}
