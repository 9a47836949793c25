"""A long test by chance: `python -m cdp_platform_tests.faults.soak --minutes 10 --seed 7`.

People change, requests fail in every way that the gateway knows, processes are killed at random places and moments;
each round ends in peace and is judged by the independent checker. The seed is printed; with it, the order of the
troubles is the same again, though not their moments. Exit code 1 at the first thing that is wrong.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from cdp_platform.testing.fault_server import Fault, Reply
from cdp_platform_tests.faults.gateway import Trouble
from cdp_platform_tests.faults.scenario import Person, first_day, second_day, write_people
from cdp_platform_tests.faults.stage import Stage, end_of, staged
from cdp_platform_tests.faults.test_kills import CASES

_SEGMENTS = ("loyal", "lapsed", "champion", "new", None)
_REPLIES = (
    Reply(status=503),
    Reply(status=500),
    Reply(status=408),
    Reply(status=429, headers={"Retry-After": "1"}),
    Reply(status=401),
    Reply(status=413),
    Reply(body="<html>"),
    Reply(body=b""),
    Reply(fault=Fault.RESET_AFTER_READING),
    Reply(fault=Fault.CLOSE_AFTER_READING),
    Reply(body={"results": ["x" * 100]}, fault=Fault.CUT),
)
_PLACES = sorted(name for name, case in CASES.items() if not case.is_by_oauth)
_DEFINITE = (401, 413, 429)
"""Who answers so has not processed the request; one that had would be believed, and lie."""


def main() -> int:
    """Soak for the time that was asked for; 0 where nothing was wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.SystemRandom().randint(1, 1_000_000) if options.seed is None else options.seed
    print(f"soak: seed {seed}, {options.minutes:g} minutes", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="cdp-soak-"))
    with staged(folder) as stage:
        code = _soak(stage, random.Random(seed), time.monotonic() + 60 * options.minutes)
    if code:
        print(f"soak: what is left lies in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return code


def _soak(stage: Stage, chance: random.Random, until: float) -> int:
    seen: Counter[str] = Counter()
    people = first_day()
    while time.monotonic() < until:
        for _ in range(chance.randint(1, 4)):
            people = _changed(people, chance)
            write_people(stage.root, people)
            seen[_disturb(stage, chance)] += 1
        stage.gateway.trouble = lambda write, rows: None
        stage.pass_the_time()
        rested = stage.run()
        faults = [rested.error] if rested.code else stage.faults()
        seen["rounds"] += 1
        if faults:
            print(f"soak: WRONG in round {seen['rounds']}:", *faults[:20], sep="\n  ", file=sys.stderr)
            return 1
    told = ", ".join(f"{count} {name}" for name, count in sorted(seen.items()))
    print(
        f"soak: nothing wrong; {told};",
        f"{stage.gateway.write_count} requests, {stage.gateway.accepted_count} rows accepted",
    )
    return 0


def _disturb(stage: Stage, chance: random.Random) -> str:
    """Run one process into some trouble and say how it ended."""
    share, reply = chance.random(), chance.choice(_REPLIES)
    is_processed = reply.status not in _DEFINITE and chance.random() < 0.5
    draws = random.Random(chance.random())
    stage.gateway.trouble = lambda write, rows: (
        Trouble(reply=reply, is_processed=is_processed) if draws.random() < share else None
    )
    if chance.random() < 0.5:
        ended = stage.run(kill_at=f"{chance.choice(_PLACES)}:{chance.randint(1, 12)}")
    else:
        process = stage.start()
        # The moment is chance by itself: somewhere between the first import and the end of the run.
        time.sleep(chance.uniform(0.3, 2.5))
        if process.poll() is None:
            os.kill(process.pid, chance.choice([signal.SIGKILL, signal.SIGTERM]))
        ended = end_of(process)
    return {0: "ends in peace", 3: "ends by an error", 143: "terminations"}.get(ended.code, "kills")


def _changed(people: list[Person], chance: random.Random) -> list[Person]:
    """Some people change, some withdraw or come back, some are new, from both days of the scenario."""
    known = {person[0]: person for person in [*second_day(), *people]}
    share = chance.random() * 0.5
    for key, (_, email, permission, _, value, last_order) in known.items():
        if chance.random() < share:
            said = chance.choice(["granted", "granted", "granted", "withdrawn"]) if permission else None
            known[key] = (key, email, said, chance.choice(_SEGMENTS), value, last_order)
    return list(known.values())


if __name__ == "__main__":
    raise SystemExit(main())
