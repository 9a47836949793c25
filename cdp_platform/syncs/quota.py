"""The vendor's allowance for a day, as its answers tell of it: a run ends in good time, and others can still work."""

from collections.abc import Mapping
from dataclasses import dataclass

from cdp_platform.connectors.abilities import WatchesQuota
from cdp_platform.connectors.protocol import Destination
from cdp_platform.errors import RateLimited


@dataclass(kw_only=True)
class Quota:
    """What one run has heard of the allowance."""

    is_used_up: bool = False
    """Whether an answer told that nothing more should be begun."""

    def heed(self, destination: Destination, headers: Mapping[str, str]) -> None:
        """Take in what an answer tells."""
        if isinstance(destination, WatchesQuota) and destination.is_used_up(headers):
            self.is_used_up = True

    def require(self, destination: Destination) -> None:
        """Raise RateLimited once nothing more should be begun; the run ends as deferred."""
        if self.is_used_up:
            raise RateLimited(
                f"The allowance that {destination.name} gives for a day is nearly used up.",
                remedy="What was not sent is pending; a run goes on with it once the vendor counts anew.",
            )
