"""`python -m cdp_platform.sandbox`: start the sandbox CRM."""

import argparse
import sys
from pathlib import Path

from cdp_platform.sandbox.server import run_sandbox
from cdp_platform.sandbox.settings import SandboxSettings, read_or_create_token


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and serve; settings that cannot be end with exit code 2 and a line on stderr."""
    options = _parser().parse_args(arguments)
    try:
        settings = SandboxSettings(
            state_path=options.state,
            token=read_or_create_token(options.token_file),
            port=options.port,
            seed=options.seed,
            requests_per_window=options.requests_per_window,
            latency_seconds=options.latency_seconds,
            search_lag_seconds=options.search_lag_seconds,
            token_seconds=options.token_seconds,
        )
    except (ValueError, OSError) as error:
        sys.stderr.write(f"sandbox CRM: {error}\n")
        raise SystemExit(2) from None
    run_sandbox(settings)


def _parser() -> argparse.ArgumentParser:
    defaults = SandboxSettings.__dataclass_fields__
    parser = argparse.ArgumentParser(prog="python -m cdp_platform.sandbox", description="The sandbox CRM.")
    parser.add_argument("--state", type=Path, required=True, help="SQLite file of the account; created when absent")
    parser.add_argument("--token-file", type=Path, required=True, help="access token; created when absent")
    parser.add_argument("--port", type=int, default=defaults["port"].default, help="port on 127.0.0.1")
    parser.add_argument("--seed", type=int, default=defaults["seed"].default, help="decides who acts on which day")
    parser.add_argument("--requests-per-window", type=int, default=defaults["requests_per_window"].default)
    parser.add_argument("--latency-seconds", type=float, default=defaults["latency_seconds"].default)
    parser.add_argument("--search-lag-seconds", type=float, default=defaults["search_lag_seconds"].default)
    parser.add_argument("--token-seconds", type=float, default=defaults["token_seconds"].default)
    return parser


if __name__ == "__main__":
    main()
