"""The clocks, the sleep and the chance that a send goes by."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Clocks, sleep and chance, so that tests need not wait. Seconds; `wall` is POSIX time, `jitter` is 0 to 1."""

    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def rest(self, seconds: float, stopping: threading.Event, failure: Exception | None = None) -> None:
        """Sleep, but no longer than until the run is to end; raise `failure`, where there is one, if it is."""
        if self.sleep is time.sleep:
            stopping.wait(seconds)
        else:
            self.sleep(seconds)
        if failure and stopping.is_set():
            raise failure
