"""`python -m cdp_platform_tests.cli.sleeping_worker ADDRESS NAME`: a worker with steps of a second and one without end.

It signs and looks as `cdp worker` does, only oftener.
"""

import sys
import time
from typing import Any

from celery import Celery

from cdp_platform.cli import lost_steps


def sleeping_app(address: str) -> Any:
    app = Celery("sleeping", broker=address, backend=address)
    app.conf.update(worker_prefetch_multiplier=1, worker_disable_prefetch=True)

    @app.task(name="sleep", base=lost_steps.once_only())
    def sleep(seconds: float) -> str:
        with open("begun.txt", "a", encoding="ascii") as begun:
            begun.write(f"{seconds}\n")
        time.sleep(seconds)
        return "slept"

    return app


def main(address: str, name: str) -> None:
    app = sleeping_app(address)
    lost_steps.SIGN_SECONDS, lost_steps.SIGNED_SECONDS, lost_steps.MISSED_SECONDS = 0.5, 15, 5.0  # type: ignore[misc]
    lost_steps.watch_steps(app)
    app.worker_main(["worker", "--concurrency", "1", "--hostname", name, "--loglevel", "WARNING",
                     "--without-gossip", "--without-mingle"])  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
