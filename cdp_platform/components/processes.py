"""Processes that must not outlive the one that started them, even where that one is killed."""

import ctypes
import signal
import sys
from typing import Final

_PARENT_DEATH_SIGNAL: Final = 1
# Loaded here, since nothing may be imported between fork and exec.
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent() -> None:
    """Ask the kernel to end this process when its parent dies; pass it as `preexec_fn`. Does nothing off Linux.

    An orphan of a killed run would go on holding the warehouse's file, or a port.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
