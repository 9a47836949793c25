"""What every asset works with: the home folder, the warehouse, Dagster's instance. Reads the environment for them.

`PLATFORM` is bound by each component itself, so that one `defs.yaml` of ours works in anybody's Dagster project.
"""

import os
from typing import Any, Final

import dagster as dg

from cdp_platform.components.at_work import at_work
from cdp_platform.components.dlt_destination import dlt_destination
from cdp_platform.connectors.credentials import cdp_home
from cdp_platform.domain.home import Home
from cdp_platform.warehouse.base import Warehouse
from cdp_platform.warehouse.choice import engine_of, is_only_read, open_warehouse, require_written

_DAGSTER_YAML = """\
# Written by cdp. Runs, events and schedules lie beside this file.
telemetry:
  enabled: false
nux:
  enabled: false
freshness:
  enabled: true
run_storage:
  module: dagster._core.storage.runs
  class: SqliteRunStorage
  config:
    base_dir: {base_dir}/history
event_log_storage:
  module: cdp_platform.components.event_storage
  class: KeptEngineEventLogStorage
  config:
    base_dir: {base_dir}/history/runs
schedule_storage:
  module: dagster._core.storage.schedules
  class: SqliteScheduleStorage
  config:
    base_dir: {base_dir}/schedules
local_artifact_storage:
  module: dagster._core.storage.root
  class: LocalArtifactStorage
  config:
    base_dir: {base_dir}
compute_logs:
  module: dagster._core.storage.local_compute_log_manager
  class: LocalComputeLogManager
  config:
    base_dir: {base_dir}/logs
concurrency:
  runs:
    max_concurrent_runs: 1
"""


class Platform(dg.ConfigurableResource[Any]):
    """The platform's state. Nothing is opened or created by binding it."""

    @property
    def home(self) -> Home:
        """Where the state is kept: `CDP_HOME`, read anew each time."""
        return cdp_home()

    @property
    def engine(self) -> str:
        """What the warehouse is, as the graph shows it: duckdb or another."""
        return engine_of(self.home)

    @property
    def is_only_read(self) -> bool:
        """Whether nothing may be written into the warehouse. Raises ConfigError for a wrong account."""
        return is_only_read(self.home)

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse that is set. Raises ConfigError for a setting that cannot work."""
        return open_warehouse(self.home, at_work)

    def written(self, what: str) -> Warehouse:
        """The warehouse, for what writes into it. Raises ConfigError, naming `what`, where it is only read."""
        require_written(self.home, what)
        return self.warehouse

    def dlt_destination(self) -> Any:
        """Name the warehouse to dlt; load only inside `warehouse.exclusive`."""
        return dlt_destination(self.home, os.environ)


PLATFORM: Final = Platform()


def variable(name: str | None) -> str | None:
    """Read an environment variable; None where it has no name, is unset or blank."""
    value = os.environ.get(name, "").strip() if name else ""
    return value or None


def export(**values: str) -> None:
    """Set environment variables for this process and those it starts."""
    os.environ.update(values)


def child_environment(**values: str) -> dict[str, str]:
    """Take this process's environment with `values` set, for a process to be started."""
    return {**os.environ, **values}


def dagster_home(home: Home) -> str:
    """Make DAGSTER_HOME with its `dagster.yaml`, and export both for processes to come."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    text = _DAGSTER_YAML.format(base_dir=home.dagster)
    file = home.dagster / "dagster.yaml"
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
    export(DAGSTER_HOME=str(home.dagster), CDP_HOME=str(home.root))
    return str(home.dagster)
