"""`cdp …`: the platform's operations for people who live in a terminal.

Each command imports what it needs itself, so that `cdp --help` does not wait for Dagster.
"""

import sys
from datetime import datetime
from typing import Annotated

import typer

from cdp_platform.cli.audience_commands import app as audience_commands
from cdp_platform.cli.doctor_command import app as doctor_command
from cdp_platform.cli.forget_commands import app as forget_commands
from cdp_platform.cli.identity_commands import app as identity_commands
from cdp_platform.cli.init_command import app as init_command
from cdp_platform.cli.move_command import app as move_command
from cdp_platform.cli.operate_commands import app as operate_commands
from cdp_platform.cli.review_commands import app as review_commands
from cdp_platform.cli.smoke_command import app as smoke_command
from cdp_platform.cli.sync_commands import app as sync_commands
from cdp_platform.cli.worker_command import app as worker_command
from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.errors import CdpError

app = typer.Typer(
    name="cdp",
    help="The open composable customer data platform: from the sources to the CRM and back in one lineage graph.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(init_command)
app.add_typer(doctor_command)
app.add_typer(sync_commands)
app.add_typer(review_commands)
app.add_typer(operate_commands)
app.add_typer(move_command)
app.add_typer(forget_commands)
app.add_typer(smoke_command)
app.add_typer(worker_command)
app.add_typer(audience_commands, name="audience")
app.add_typer(identity_commands, name="identity")

SandboxPort = Annotated[int, typer.Option(help="The sandbox CRM's port on 127.0.0.1.", min=1, max=65_535)]


@app.command()
def demo(
    sandbox_port: SandboxPort = 8790,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Replay no further than this day.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show what dbt, dlt and Dagster print.")] = False,
) -> None:
    """Replay the last week of 2017 against the sandbox CRM; again: go on where it was."""
    from cdp_platform.cli.demo import run_demo

    run_demo(cdp_home(), port=sandbox_port, until=until.date() if until else None, is_verbose=verbose)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="The Dagster UI's port on 127.0.0.1.", min=1, max=65_535)] = 3000,
    sandbox_port: SandboxPort = 8790,
) -> None:
    """Serve the Dagster UI, its daemon and the sandbox CRM until Ctrl-C."""
    from rich.console import Console

    from cdp_platform.cli.ui import run_ui

    run_ui(cdp_home(), port=port, sandbox_port=sandbox_port, console=Console())


@app.command()
def sandbox(
    port: SandboxPort = 8790,
    env: Annotated[
        bool, typer.Option("--env", help="Print the variables that lead other shells to it, and serve nothing.")
    ] = False,
) -> None:
    """Serve the sandbox CRM alone, until Ctrl-C.

    A shell that is to find it takes its variables: eval "$(cdp sandbox --env)".
    """
    from cdp_platform.cli.sandbox_process import exports, state_file, token_file
    from cdp_platform.sandbox.server import run_sandbox
    from cdp_platform.sandbox.settings import SandboxSettings, read_or_create_token

    home = cdp_home()
    try:
        token = read_or_create_token(token_file(home))
    except (ValueError, OSError) as error:
        raise CdpError(f"the sandbox's token cannot be used: {error}.") from error
    if env:
        print(exports(port, token))
        return
    run_sandbox(SandboxSettings(state_path=state_file(home), token=token, port=port))


@app.command()
def report() -> None:
    """Write one page a day and language for people who do not open Dagster."""
    from cdp_platform.reports import write_reports
    from cdp_platform.warehouse.choice import open_warehouse, require_written

    home = cdp_home()
    require_written(home, "cdp report")
    if not home.has_warehouse:
        raise CdpError(f"there is no warehouse in {home.root} yet.", remedy="Run `cdp demo` first.")
    pages = write_reports(open_warehouse(home), home.reports)
    print(f"{len(pages)} pages in {home.reports}")
    for page in pages:
        if page.name.startswith("index"):
            print(page.as_uri())


def main() -> None:
    """Run a command; an error of the platform is one message and exit code 1."""
    try:
        app(prog_name="cdp")
    except CdpError as error:
        sys.stderr.write(f"cdp: {error}\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        sys.stderr.write("cdp: stopped. The next run goes on from here.\n")
        raise SystemExit(130) from None
