"""Emulators of the vendors' warehouses: where they are installed, how they are started, and what each cannot do.

They stand in environments of their own, made by `make emulators`, or named by a variable: CDP_FAKESNOW is the Python of
one with fakesnow, CDP_CRUCIBLE of one with crucible-emulator. Neither proves the real thing.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from cdp_platform.domain.home import Home
from cdp_platform.testing.warehouse_values import LONG
from cdp_platform.warehouse.accounts import Password, SnowflakeAccount

FOLDER: Final = Path(__file__).parents[2] / ".emulators"
_START_SECONDS = 60.0

FAKESNOW_FILLED: Final = {
    "functions in JavaScript": "DuckDB's functions of the same meaning are called instead",
    "arrays in answers": "told as the JSON that Snowflake tells",
    "query tags": "taken without a word",
    "several statements in one command": "run one by one",
    "PUT and COPY of a stage in quotes, options with commas, REMOVE": "understood; what is removed stays",
    "COPY of JSON into the columns of its names": "as of Parquet",
    "temporary tables in a schema that is named": "tables that last until they are dropped",
    "TO_NUMBER of hexadecimal digits": "a cast",
    "sums of decimals": "as decimals, not as doubles",
    "names of columns that differ by case alone": "told as the statement says them",
    "AT (TIMESTAMP => …)": "what is there now",
    "long statements": "parsed with a larger stack",
}
"""What fakesnow lacks, and how `fakesnow_server` fills it."""

_ENCODED = "test_values_are_encoded_by_their_declared_type"
_MISFIT = "test_a_value_that_its_type_cannot_hold_is_a_misfit_and_no_error"
_SENT = "test_a_number_keeps_its_38_digits"
_LEFT_OUT = "test_a_value_that_its_type_cannot_hold_leaves_out_its_row_alone"


def _of_long_numbers(engine: str) -> list[str]:
    """The names of the tests of each long number: of the adapter's, then of the engine's on the adapter."""
    ids = ["-".join(map(str, one)) for one in LONG]
    return [*(f"{_ENCODED}[{one}]" for one in ids), *(f"{_SENT}[{engine}-file-{one}]" for one in ids)]


FAKESNOW_LACKS: Final = {
    "test_a_session_lost_between_two_batches_never_looks_like_the_end": "an answer comes in one piece",
    **dict.fromkeys(_of_long_numbers("snowflake"), "whole numbers have 64 bits"),
}
"""Tests of the suites that fakesnow cannot pass, by name, and why."""

CRUCIBLE_FILLED: Final = {
    "UPDATE, DELETE": "translated as the emulator translates a MERGE",
    "scripts with a transaction, temporary tables in them": "run in a transaction of the DuckDB below",
    "load jobs of Parquet": "read by pyarrow",
    "dry runs": "eight bytes for each value of the tables that are read",
    "NORMALIZE, FARM_FINGERPRINT": "DuckDB's, and another hash",
    "TO_JSON of null": "a null of JSON's",
    "COUNTIF of no row": "0",
    "FOR SYSTEM_TIME AS OF": "what is there now",
    "NUMERIC(p,s)": "told with its digits",
    "calls within calls, deeper than Python goes": "a greater depth",
    "values of a query's places": "written into it as literals",
    "INFORMATION_SCHEMA.COLUMNS of a dataset": "told from the emulator's own catalogue",
    "TRUNCATE TABLE": "a DELETE of all rows",
    "INSERT of SELECT *": "its columns are not counted beforehand",
    "descriptions of columns, isCaseInsensitive: false": "taken without a word",
}
"""What crucible lacks, and how `crucible_server` fills it."""

CRUCIBLE_LACKS: Final = {
    f"{_MISFIT}['infinity'-double-decimal(12,2)]": "the text 'infinity' as a number",
    f"{_MISFIT}['-infinity'-double-integer]": "the text 'infinity' as a number",
    **{
        f"{_LEFT_OUT}[bigquery-file-{value}]": "BigQuery itself has no such value"
        for value in (
            "'infinity'-date-None",
            "'10000-01-01'-date-date",
            "'0044-03-15 (BC)'-date-None",
            "'infinity'-timestamp-None",
        )
    },
    "test_a_column_of_another_type_is_the_reason_where_the_text_changes_with_it": "a CAST does not round to the digits"
    " of a NUMERIC",
    **dict.fromkeys(_of_long_numbers("bigquery"), "BIGNUMERIC; and of BigQuery's own whole numbers none has 38 digits"),
}
"""Tests of the suites that crucible cannot pass, by name, and why."""


def python_of(emulator: str) -> Path | None:
    """The Python of an emulator's environment; None where it is not installed."""
    named = os.environ.get(f"CDP_{emulator.upper()}", "").strip()
    python = Path(named) if named else FOLDER / emulator / "bin" / "python"
    return python if python.exists() else None


@dataclass(frozen=True, kw_only=True)
class Fakesnow:
    """A running emulator. Databases are cheap: every test takes one of its own."""

    port: int
    numbers: Iterator[int] = field(default_factory=count)

    def new_account(self) -> SnowflakeAccount:
        """An account with an empty database; what `NoSecrets` tells opens it."""
        return SnowflakeAccount(
            type="snowflake",
            account="fakesnow",
            user="cdp",
            warehouse="cdp_wh",
            database=f"SHOP_{next(self.numbers)}",
            authentication=Password(method="password", password_env="SNOWFLAKE_PASSWORD"),
            api_endpoint=f"http://127.0.0.1:{self.port}",
        )


def home_on(account: SnowflakeAccount, root: Path) -> Home:
    """A home whose file of accounts names this one `snow`."""
    root.mkdir(parents=True, exist_ok=True)
    file = root / "warehouses.yaml"
    file.write_text(json.dumps({"snow": account.model_dump(mode="json", exclude_none=True)}), encoding="utf-8")
    return Home(root=root, warehouse_kind="snow", warehouse_accounts=file, secrets=NoSecrets())


class NoSecrets:
    """Secrets for an emulator, which looks at none."""

    def text(self, env_name: str) -> str:
        return "not looked at"

    def private_key(self, env_name: str) -> str:
        raise LookupError(env_name)


@contextmanager
def running_fakesnow() -> Iterator[Fakesnow]:
    """Start the emulator and stop it at the end. Raises LookupError where it is not installed."""
    with serving("fakesnow") as port:
        yield Fakesnow(port=port)


@contextmanager
def serving(emulator: str) -> Iterator[int]:
    """Run an emulator's server on a free port and stop it at the end. Raises LookupError where it is not installed."""
    python = python_of(emulator)
    if python is None:
        raise LookupError(f"{emulator} is not installed")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name(f"{emulator}_server.py")
    # Without the variables of this environment, which is another Python's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = subprocess.Popen(
        [python, script, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with closing(socket.socket()) as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the emulator did not start")
