"""How much memory a session of DuckDB's may hold, how many threads share it, and what to do when it is short."""

import re
from typing import Final

from cdp_platform.errors import ConfigError

MEMORY: Final = "1GB"
FREED: Final = "16MB"
"""What a statement has given back goes back to the system above this; DuckDB would keep 128 MB of it."""
VARIABLE: Final = "CDP_DUCKDB_MEMORY"
_THREAD_BYTES = 96_000_000
"""What a thread needs for joins and aggregations of any size; measured: two threads fail at 64 MB each."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT])(I?)B")
_SHORT = re.compile("Out of Memory|OutOfMemory|failed to (pin|allocate)|could not allocate")
_POWERS = "KMGT"


def bytes_of(size: str) -> int:
    """Read a size as DuckDB writes it, `953.6 MiB` or `1GB`. Raises ConfigError for what is none."""
    found = _SIZE.fullmatch(size.strip().upper())
    if found is None:
        raise ConfigError(
            f"{size!r} is no size of memory for DuckDB.",
            remedy=f"Write {VARIABLE} as 512MB or 2GB; unset it is {MEMORY}.",
        )
    number, unit, is_binary = found.groups()
    return int(float(number) * (1024 if is_binary else 1000) ** (_POWERS.index(unit) + 1))


def threads_within(memory_bytes: int, available: int) -> int:
    """So many threads that each has its share of the memory; at least one, at most those that are available."""
    return max(1, min(available, memory_bytes // _THREAD_BYTES))


def remedy_of(error: Exception) -> str:
    """What to do about an error, if it is one of too little memory; else empty."""
    if _SHORT.search(str(error)) is None:
        return ""
    return f"Give DuckDB more memory than its bound, as {VARIABLE}=2GB (unset: {MEMORY}), and run this again."
