"""`cdp worker`: one of the processes that do the steps of runs in the environment `cluster`."""

import socket
from typing import Annotated, Any

import typer

from cdp_platform.cli.lost_steps import once_only, watch_steps
from cdp_platform.errors import ConfigError

app = typer.Typer()


@app.command()
def worker(
    name: Annotated[
        str | None, typer.Option(help="The worker's name in Dagster's events; left out: the host's.")
    ] = None,
    at_once: Annotated[int, typer.Option(help="How many steps it does at once, in a process each.", min=1)] = 1,
) -> None:
    """Do steps that runs of the environment `cluster` hand out through CDP_BROKER, until SIGTERM.

    A step that is under way is finished first. Workers end the runs whose steps were lost with another worker.
    """
    options = ["--concurrency", str(at_once), "--hostname", name or socket.gethostname(), "--loglevel", "WARNING"]
    celery_app().worker_main(["worker", "--without-gossip", "--without-mingle", *options])


def celery_app() -> Any:
    """Make Celery's application with Dagster's tasks. Raises ConfigError without the extra, or without CDP_BROKER."""
    from cdp_platform.components.environment import BROKER, CELERY_SETTINGS, executor_of
    from cdp_platform.components.resources import variable

    executor_of("cluster")
    from dagster_celery.make_app import make_app
    from dagster_celery.tasks import create_task

    place = variable(BROKER)
    if place is None:
        raise ConfigError(f"{BROKER} is not set.", remedy="Write the address of the Redis: redis://host:6379/0.")
    made = make_app({"broker": place, "backend": place})
    made.conf.update(CELERY_SETTINGS)
    create_task(made, base=once_only())
    watch_steps(made)
    return made
