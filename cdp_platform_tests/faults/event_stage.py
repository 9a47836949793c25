"""The stage of a fault test of events: a home, the vendor's log, and processes to be killed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdp_platform_tests.faults.event_checker import check_events, unknown_events
from cdp_platform_tests.faults.event_log import EventLog
from cdp_platform_tests.faults.event_scenario import write_events
from cdp_platform_tests.faults.stage import Ended, end_of


class EventStage:
    """One home, one vendor, and one object of it."""

    def __init__(self, root: Path, log: EventLog, object_name: str) -> None:
        self.root = root
        self.log = log
        self.object_name = object_name

    def start(self, *options: str, kill_at: str = "") -> subprocess.Popen[str]:
        """Start a process that runs the sync until it is quiet."""
        runner = [sys.executable, "-m", "cdp_platform_tests.faults.runner", str(self.root), self.log.url]
        return subprocess.Popen(
            [*runner, "--events", self.object_name, *options],
            env=os.environ | {"CDP_KILL_AT": kill_at},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).absolute().parents[2],
        )

    def run(self, *options: str, kill_at: str = "") -> Ended:
        """Run one process to its end."""
        return end_of(self.start(*options, kill_at=kill_at))

    def faults(self) -> list[str]:
        """What the independent checker finds wrong."""
        return check_events(self.root, self.log.processed)

    def unknown(self) -> set[str]:
        """The events of which the platform says that nobody knows."""
        return unknown_events(self.root)


@contextmanager
def event_stage(folder: Path, object_name: str) -> Iterator[EventStage]:
    """Set the stage in `folder`, with the events of the scenario waiting."""
    write_events(folder / "home")
    with EventLog() as log:
        yield EventStage(folder / "home", log, object_name)
