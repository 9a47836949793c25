"""Named places where a run may be killed by a test. In production each costs one comparison and does nothing."""

from collections.abc import Callable

hook: Callable[[str], None] | None = None
"""Called with the name of each place that is passed; None but in the processes that a fault test starts."""


def faultpoint(name: str) -> None:
    """Pass a named place; each name stands once in the code and has a case in the fault tests."""
    if hook is not None:
        hook(name)
