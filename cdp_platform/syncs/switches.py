"""Switching a sync on and off: a new sync is off, plans without asking the destination, and sends nothing."""

from cdp_platform.domain.home import Home
from cdp_platform.syncs.journal import Journal


def is_enabled(home: Home, sync: str) -> bool:
    """Whether the sync was switched on in this `CDP_HOME`."""
    return Journal(home).is_enabled(sync)


def enable(home: Home, sync: str) -> None:
    """Switch the sync on; it holds until it is switched off, restarts included."""
    Journal(home).switch(sync, is_enabled=True)


def disable(home: Home, sync: str) -> None:
    """Switch the sync off; a send that is under way is not stopped."""
    Journal(home).switch(sync, is_enabled=False)
