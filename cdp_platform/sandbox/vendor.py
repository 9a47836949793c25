"""What one vendor's stand-in brings into the sandbox's process: its routes, and how it is closed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.routing import BaseRoute

from cdp_platform.sandbox.settings import SandboxSettings

Day = Callable[[], str | None]
"""The business day that is being replayed (yyyy-mm-dd), None before it was first set."""


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """A stand-in that has been opened; its state lies in a SQLite file of its own."""

    routes: Sequence[BaseRoute]
    close: Callable[[], None]


Open = Callable[[SandboxSettings, Day], Vendor]
"""Opens a vendor's stand-in; its state file is `<vendor>.sqlite` beside the CRM's."""
