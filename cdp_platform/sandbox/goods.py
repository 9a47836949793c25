"""The goods of the replay: a file beside the sandbox's state says which items there are, and what is being offered.

Whoever replays a shop puts `goods.json` there; without it the stand-ins have goods that they make up. The file holds
`items` (sku, name, department, price, stock: day → pieces at its end) and `offers` (sku, quantity, price, opened_on).
It may hold `campaigns` (name, code, starts_on, ends_on, budget) and `deals` (as offers, with closed_on, is_won).
"""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

FILE: Final = "goods.json"
Take = Callable[[Mapping[str, Any]], None]


class GoodsFile:
    """Hands the file to a stand-in once for each time that it was written."""

    def __init__(self, state_path: Path, take: Take, *, taken: str | None) -> None:
        """`taken` is the stamp that `take` was given last, as the stand-in kept it."""
        self._file = state_path.with_name(FILE)
        self._take = take
        self._taken = taken
        self._lock = threading.Lock()

    def look(self) -> None:
        """Take the file over where it is new. A file that cannot be read is passed over: it is being written."""
        with self._lock:
            try:
                stamp = str(self._file.stat().st_mtime_ns)
                if stamp == self._taken:
                    return
                told = json.loads(self._file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                return
            self._take({**told, "stamp": stamp})
            self._taken = stamp
