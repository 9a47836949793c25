"""One moment for all that a transaction reads: BigQuery reads each query from a moment of its own, and knows the past.

Time travel is for tables. A view is read as it is when it is read, and so is what it reads: a model that others may
build anew while a plan is made had better be a table.
"""

from dataclasses import dataclass, field
from datetime import datetime

from google.api_core.exceptions import NotFound
from sqlglot import exp

from cdp_platform.warehouse.bigquery_errors import translated
from cdp_platform.warehouse.bigquery_jobs import Jobs

_TABLE = "TABLE"
_NOW = "SELECT CURRENT_TIMESTAMP() AS `now`"


@dataclass
class Moments:
    """What a session knows of tables, and the moment of its transaction."""

    jobs: Jobs
    temporary_dataset: str
    """Its tables are the session's own, and have no past."""
    now: datetime | None = None
    _kinds: dict[str, str] = field(default_factory=dict)

    def begin(self) -> None:
        """Let the moment be that of the next query."""
        self.now = None

    def fix(self, tree: exp.Expr, reads: frozenset[str]) -> None:
        """Let a query read the tables among `reads` (project.dataset.table) as they were at the moment."""
        fixed = {name for name in reads if self._has_past(name)}
        if not fixed:
            return
        for table in tree.find_all(exp.Table):
            if f"{table.catalog}.{table.db}.{table.name}" in fixed:
                when = exp.cast(exp.Literal.string(self._moment().isoformat(" ")), "timestamptz")
                table.set("version", exp.Version(this="TIMESTAMP", kind="AS OF", expression=when))

    def _moment(self) -> datetime:
        if self.now is None:
            [row] = list(self.jobs.run(_NOW))
            self.now = row["now"]
        return self.now

    def _has_past(self, name: str) -> bool:
        if name.rsplit(".", 2)[-2] == self.temporary_dataset:
            return False
        if name not in self._kinds:
            with translated(self.jobs.purpose):
                try:
                    self._kinds[name] = str(self.jobs.client.get_table(name, retry=self.jobs.retry).table_type)
                except NotFound:
                    return False
        return self._kinds[name] == _TABLE
