"""Destinations by name, from entry points: one from another package is equal to ours."""

import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from cdp_platform.connectors.protocol import Destination, TakesOptions
from cdp_platform.domain.syncs import Connection
from cdp_platform.errors import ConfigError

GROUP: Final = "cdp_platform.destinations"
_METHODS: Final = ("capabilities", "account_id", "describe", "encode", "read")


def destination_names() -> tuple[str, ...]:
    """List the names that `find_destination` knows, in order."""
    return tuple(sorted({entry.name for entry in _entries()}))


def find_destination(name: str) -> Destination:
    """Make the destination registered as `name`.

    Raises ConfigError for an unknown name, naming the nearest valid one, for a name that two packages claim, and for an
    entry point that cannot be loaded or is no destination.
    """
    found = {entry.value: entry for entry in _entries() if entry.name == name}
    if not found:
        raise ConfigError(f"There is no destination {name!r}.", remedy=_advice(name), field="destination.name")
    if len(found) > 1:
        raise ConfigError(
            f"Destination {name!r} is registered more than once: {', '.join(sorted(found))}.",
            remedy="Uninstall one of the packages.",
            field="destination.name",
        )
    return _load(next(iter(found.values())))


def destination_of(connection: Connection) -> Destination:
    """Make the destination of a connection, with its options.

    Raises ConfigError as `find_destination` does, and for options that the destination does not take.
    """
    destination = find_destination(connection.vendor)
    if isinstance(destination, TakesOptions):
        return destination.with_options(connection.options)
    if connection.options:
        raise ConfigError(
            f"Destination {connection.vendor} takes no options.",
            remedy=f"Remove {', '.join(sorted(connection.options))}.",
            field="destination.options",
        )
    return destination


def _entries() -> tuple[EntryPoint, ...]:
    return _searched(entry_points, tuple(sys.path))


@lru_cache(maxsize=4)
def _searched(search: Callable[..., Iterable[EntryPoint]], path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Search the installed packages once for each `path`: each search reads the metadata of all of them."""
    return tuple(search(group=GROUP))


def _load(entry: EntryPoint) -> Destination:
    try:
        destination: Destination = entry.load()()
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"Destination {entry.name!r} ({entry.value}) cannot be loaded: {error}.",
            remedy="Install its package again, or correct its entry point.",
        ) from error
    missing = [method for method in _METHODS if not callable(getattr(destination, method, None))]
    if missing or getattr(destination, "name", None) != entry.name:
        lacks = f"lacks {', '.join(missing)}" if missing else "has another name"
        raise ConfigError(f"Destination {entry.name!r} ({entry.value}) is not a destination: it {lacks}.")
    return destination


def _advice(name: str) -> str:
    names = destination_names()
    if close := get_close_matches(name, names, n=1, cutoff=0.5):
        return f"Did you mean {close[0]!r}?"
    if not names:
        return "None is registered: install cdp-platform as a package."
    return f"There are: {', '.join(names)}."
