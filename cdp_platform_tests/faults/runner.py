"""One process of the platform, made to be killed: `python -m cdp_platform_tests.faults.runner HOME BASE_URL`.

Plans and sends the sync of the scenario, or with `--events OBJECT` that of events, with `--vendor NAME` that of a
vendor, until a plan has nothing to send.
The environment's CDP_KILL_AT, `place:hit`, names the faultpoint and the pass at which the process kills itself;
CDP_FULL_AT, `place:hit:bytes`, the one from which on no file may grow beyond what the journal has now and these bytes.
An undisturbed process prints a line of JSON: how often it passed each place, and how many runs it made.
"""

import argparse
import json
import os
import resource
import signal
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from cdp_platform import faultpoints
from cdp_platform.domain.syncs import SyncSpec
from cdp_platform.errors import CdpError
from cdp_platform.syncs import job_watch, lease
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.exchange import Timing
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.send import send_plan
from cdp_platform_tests.faults import event_scenario, vendor_scenario
from cdp_platform_tests.faults.scenario import engine_of, spec_of

MOST_RUNS = 6


def main() -> int:
    """Run the sync; 0 at the end, 3 with the error on stderr where the platform stopped by itself."""
    options = _parser().parse_args()
    hits: Counter[str] = Counter()
    faultpoints.hook = _killer(hits, os.environ.get("CDP_KILL_AT", ""), _disk(options.home))
    signal.signal(signal.SIGTERM, _interrupt)
    if options.lease_seconds:
        lease.LEASE_SECONDS = options.lease_seconds
    try:
        runs = _run_until_quiet(*_scenario(options), most=options.most_runs)
    except CdpError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 3
    sys.stdout.write(json.dumps({"hits": hits, "runs": runs}) + "\n")
    return 0


def _scenario(options: argparse.Namespace) -> tuple[Engine, SyncSpec]:
    if options.events:
        job_watch.FIRST_PAUSE_SECONDS = 0.05
        return event_scenario.engine_of(options.home), event_scenario.spec_of(options.base_url, options.events)
    if options.vendor:
        job_watch.FIRST_PAUSE_SECONDS = 0.05
        return vendor_scenario.engine_of(options.home, options.vendor, options.base_url)
    return engine_of(options.home), spec_of(options.base_url, options.token_url)


def _run_until_quiet(engine: Engine, spec: SyncSpec, *, most: int) -> int:
    for number in range(most):
        run_id = f"run-{uuid.uuid4().hex[:12]}"
        plan = make_plan(engine, spec, run_id=run_id)
        if not plan.to_send:
            return number
        send_plan(engine, spec, plan, run_id=run_id, timing=Timing(jitter=lambda: 0.0))
    return most


def _killer(hits: Counter[str], kill_at: str, fill_disk: Callable[[str, int], None]) -> Callable[[str], None]:
    place, _, hit = kill_at.partition(":")

    def pass_by(name: str) -> None:
        hits[name] += 1
        fill_disk(name, hits[name])
        if name == place and hits[name] == int(hit):
            os.kill(os.getpid(), signal.SIGKILL)

    return pass_by


def _disk(root: Path) -> Callable[[str, int], None]:
    """Let every file be full from a pass of a place on: writing beyond the limit fails as on a full disk."""
    place, _, rest = os.environ.get("CDP_FULL_AT", "").partition(":")
    hit, _, room = rest.partition(":")

    def fill(name: str, passed: int) -> None:
        if name == place and passed == int(hit):
            size = max(path.stat().st_size for path in root.glob("journal.sqlite*")) if int(room) else 0
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + int(room), resource.RLIM_INFINITY))

    return fill


def _interrupt(*_: object) -> None:
    """Dagster turns a termination into an exception in the main thread; so do we."""
    raise SystemExit(143)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("base_url")
    parser.add_argument("--events", choices=event_scenario.OBJECTS, default=None)
    parser.add_argument("--vendor", choices=vendor_scenario.VENDORS, default=None)
    parser.add_argument("--token-url", default="")
    parser.add_argument("--lease-seconds", type=float, default=None)
    parser.add_argument("--most-runs", type=int, default=MOST_RUNS)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
