"""The clocks, the sleep and the chance that a send goes by."""

import random
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
