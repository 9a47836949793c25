"""The vendor's request limits: a rolling window, a day, one second for search; and the headers that report them."""

import threading
import time
from collections.abc import Callable
from uuid import uuid4

from cdp_platform.sandbox.hubspot.answers import RequestError
from cdp_platform.sandbox.hubspot.contacts import ContactStore
from cdp_platform.sandbox.settings import SandboxSettings
from cdp_platform.sandbox.window import RollingWindow


class Limits:
    """Lets requests in or refuses them. A refused request uses nothing up; the day's count is kept in the state."""

    def __init__(
        self, settings: SandboxSettings, store: ContactStore, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._window = RollingWindow(settings.requests_per_window, settings.window_seconds)
        self._searches = RollingWindow(settings.searches_per_second, 1.0)

    def admit(self, *, is_search: bool) -> None:
        """Count one request. Raises RequestError 429, naming the policy, when a limit is reached."""
        with self._lock:
            now, day = self._clock(), self._day()
            policy = self._exceeded(now, day, is_search=is_search)
            self._store.count_request(day=day, is_accepted=policy is None)
            if policy is not None:
                raise _too_many(policy)
            self._window.take(now)
            if is_search:
                self._searches.take(now)

    def _exceeded(self, now: float, day: str, *, is_search: bool) -> str | None:
        if self._store.accepted_requests(day) >= self._settings.daily_limit:
            return "DAILY"
        if self._window.remaining(now) < 1:
            return "TEN_SECONDLY_ROLLING"
        if is_search and self._searches.remaining(now) < 1:
            return "SECONDLY"
        return None

    def headers(self) -> dict[str, str]:
        """Return the headers that tell a client what is left."""
        with self._lock:
            left_today = self._settings.daily_limit - self._store.accepted_requests(self._day())
            return {
                "X-HubSpot-RateLimit-Daily": str(self._settings.daily_limit),
                "X-HubSpot-RateLimit-Daily-Remaining": str(max(0, left_today)),
                "X-HubSpot-RateLimit-Interval-Milliseconds": str(round(self._settings.window_seconds * 1000)),
                "X-HubSpot-RateLimit-Max": str(self._settings.requests_per_window),
                "X-HubSpot-RateLimit-Remaining": str(max(0, self._window.remaining(self._clock()))),
            }

    def _day(self) -> str:
        return self._store.timestamp()[:10]


def _too_many(policy: str) -> RequestError:
    error = RequestError(429, "RATE_LIMITS", f"You have reached your {policy.lower()} limit.")
    error.body |= {"errorType": "RATE_LIMIT", "policyName": policy, "requestId": uuid4().hex}
    return error
