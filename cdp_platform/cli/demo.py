"""`cdp demo`: a year of history, then seven days of the loop one by one, against the sandbox CRM.

Whatever a killed demo left behind is taken up: days that were read back are done, all others are run again.
"""

import fcntl
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cdp_platform.cli.day_table import day_table, read_day_rows
from cdp_platform.cli.runs import Runner, open_runner
from cdp_platform.cli.sandbox_process import running_sandbox
from cdp_platform.cli.sync_table import read_sync_rows, sync_table
from cdp_platform.components.clock import read_clock
from cdp_platform.components.days import each_day
from cdp_platform.domain.home import Home
from cdp_platform.errors import CdpError
from cdp_platform.reports import write_reports
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.warehouse.choice import open_warehouse, require_written

_RANGE_END: Final = "dagster/asset_partition_range_end"


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The days of the demo, as the loop's YAML declares them."""

    history_start: date
    start: date
    end: date
    feedback: dg.AssetKey

    @property
    def days(self) -> list[date]:
        """The days that are run one by one."""
        return list(each_day(self.start, self.end))

    @property
    def history(self) -> tuple[date, date]:
        """The days that are loaded as one range."""
        return self.history_start, self.start - timedelta(days=1)


def run_demo(home: Home, *, port: int, until: date | None, is_verbose: bool) -> None:
    """Run what is left of the demo and print what it did. Raises CdpError with the way out."""
    require_written(home, "the demo")
    with one_demo_at_a_time(home), quiet_output(is_verbose) as console:
        console.print("[bold]cdp demo[/] · the year 2017 of a real grocery retailer, replayed against a sandbox")
        with running_sandbox(home, port) as address, open_runner(home, is_verbose=is_verbose) as runner:
            replay = _replay(runner, until)
            if buried := runner.bury_dead_runs():
                console.print(f"{buried} run(s) of an earlier demo ended without a word; their work is done again.")
            for sync in _syncs(runner):
                switch(Journal(home), sync, is_enabled=True)
            _run_days(runner, home, replay, console)
            _plan_once_more(runner)
            _tell(home, replay, _syncs(runner), address, console)


@contextmanager
def one_demo_at_a_time(home: Home) -> Iterator[None]:
    """Hold the demo's lock; it ends with its process. Raises CdpError where another demo runs on this home."""
    home.root.mkdir(parents=True, exist_ok=True)
    with open(home.root / "demo.lock", "a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CdpError(
                f"another demo is running here (process {lock.read() or 'unknown'}).",
                remedy="Wait until it has ended, or set CDP_HOME to another folder.",
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def quiet_output(is_verbose: bool) -> Iterator[Console]:
    """Keep what dbt, dlt and Dagster print out of the terminal; the runs' log files have it. Yields the terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    shown, errors = os.dup(1), os.dup(2)
    with (
        open(shown, "w", encoding="utf-8", closefd=True) as terminal,
        open(os.devnull, "w", encoding="utf-8") as nowhere,
    ):
        if not is_verbose:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        try:
            width = None if os.isatty(shown) else 120
            yield Console(file=terminal, force_terminal=os.isatty(shown), width=width)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(shown, 1)
            os.dup2(errors, 2)
            os.close(errors)


def _replay(runner: Runner, until: date | None) -> Replay:
    told = {name: str(value.value) for name, value in runner.definitions.resolve_job_def("loop_day").metadata.items()}
    end = date.fromisoformat(told["replay_end"])
    return Replay(
        history_start=date.fromisoformat(told["history_start"]),
        start=date.fromisoformat(told["replay_start"]),
        end=min(end, until or end),
        feedback=dg.AssetKey.from_user_string(told["feedback"]),
    )


def _syncs(runner: Runner) -> list[str]:
    """Name the declared syncs: each has a plan."""
    keys = runner.definitions.resolve_asset_graph().get_all_asset_keys()
    return sorted(key.path[1] for key in keys if key.path[0] == "plans")


def _run_days(runner: Runner, home: Home, replay: Replay, console: Console) -> None:
    has_history = _has_history(runner, home, replay)
    done = runner.days_done(replay.feedback) if has_history else set()
    left = [day for day in replay.days if day not in done]
    if has_history and not left:
        console.print("All days were replayed before; nothing is run again.")
        return
    with _progress(console) as progress:
        bar = progress.add_task("", total=len(left) + (not has_history), step="")

        def show(step: str) -> None:
            progress.update(bar, step=step.replace("__", "/"))

        if not has_history:
            first, last = replay.history
            progress.update(bar, description=f"{first} to {last}, as one range")
            runner.run("history", days=replay.history, on_step=show)
            progress.advance(bar)
        for day in left:
            progress.update(bar, description=f"{day}, one day of the loop")
            runner.run("loop_day", days=(day, day), on_step=show)
            progress.advance(bar)
        progress.update(bar, description="replayed", step="")


def _plan_once_more(runner: Runner) -> None:
    """Plan to show that nothing is left to send, without covering the last day's plan in the UI."""
    with dg.DagsterInstance.ephemeral() as aside:
        Runner(instance=aside, definitions=runner.definitions, is_verbose=runner.is_verbose).run("plan_again")


def _has_history(runner: Runner, home: Home, replay: Replay) -> bool:
    """Whether a range up to the replay was loaded, and the warehouse still has it."""
    _, last = replay.history
    runs = runner.instance.get_runs(dg.RunsFilter(job_name="history", statuses=[dg.DagsterRunStatus.SUCCESS]))
    if not any(run.tags.get(_RANGE_END, "") >= last.isoformat() for run in runs):
        return False
    return read_clock(open_warehouse(home)) is not None


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[step]}"),
        console=console,
    )


def _tell(home: Home, replay: Replay, syncs: Sequence[str], address: str, console: Console) -> None:
    warehouse, journal = open_warehouse(home), Journal(home)
    console.print(day_table(read_day_rows(warehouse, replay.days)))
    console.print(sync_table(read_sync_rows(warehouse, syncs)))
    plans = [plan for plan in map(journal.plan, syncs) if plan is not None]
    console.print(
        f"Planned once more, {len(plans)} syncs: [bold]{sum(plan.to_send for plan in plans):,}[/] records to send, "
        f"{sum(plan.unchanged for plan in plans):,} unchanged, "
        f"{sum(sum(plan.skipped.values()) for plan in plans):,} left out with a reason."
    )
    pages = write_reports(warehouse, home.reports)
    console.print(
        "[yellow]2017 is being replayed: what people really bought is not the effect of our sync.[/]\n"
        "\nWhat to do next\n"
        f"  make ui        the lineage graph, the plans and the runs in Dagster, and the sandbox on {address}\n"
        f"  cdp report     a page a day for people without Dagster ({len(pages)} written to {home.reports})\n"
        "  cdp status     the state of every sync\n"
        "  cdp demo       again: it goes on where it was and sends nothing that has not changed"
    )
