"""What a credential has used of the requests that its plan gives it for a day, counted over runs and processes.

The vendor's day may begin at any hour, so that any 24 hours in a row are held to the number, hour by hour.
"""

from dataclasses import dataclass
from typing import Final

from cdp_platform.connectors.state_server import Statements
from cdp_platform.errors import RateLimited

_HOUR_SECONDS: Final = 3600.0
_HOURS: Final = 24


@dataclass(frozen=True)
class Allowance:
    """The allowance of one bucket. `most` is requests in 24 hours."""

    bucket: str
    destination: str
    most: int

    def take(self, database: Statements, now: float) -> None:
        """Count one request at `now` (POSIX seconds), in a transaction that holds the file's lock.

        Raises RateLimited, with the seconds until an hour leaves the count, where nothing is left.
        """
        hour = int(now // _HOUR_SECONDS)
        # An hour that has not come yet was counted by a clock that was wrong then.
        database.execute(
            "delete from hours where bucket = ? and (hour <= ? or hour > ?)", (self.bucket, hour - _HOURS, hour)
        )
        used, oldest = database.execute(
            "select coalesce(sum(requests), 0), min(hour) from hours where bucket = ?", (self.bucket,)
        ).fetchone()
        if used >= self.most:
            raise RateLimited(
                f"The {self.most:,} requests that {self.destination} gives this connection for a day are used up.",
                remedy="What was not sent is pending and goes with a later run; a larger plan gives more.",
                status=None,
                retry_after_seconds=(oldest + _HOURS) * _HOUR_SECONDS - now,
            )
        database.execute(
            "insert into hours values (?, ?, 1) on conflict (bucket, hour) do update set requests = hours.requests + 1",
            (self.bucket, hour),
        )
