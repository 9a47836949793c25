"""Where the platform keeps its state: one folder, `CDP_HOME`, holds everything."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class Secrets(Protocol):
    """How secrets are read, at the moment they are needed, by the names of environment variables."""

    def text(self, env_name: str) -> str:
        """Read a password or a token. Raises AuthenticationFailed where it is not set."""
        ...

    def private_key(self, env_name: str) -> str:
        """Read a private key as PEM. Raises AuthenticationFailed where there is none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Home:
    """The paths under `CDP_HOME`. Nothing is created by asking for one."""

    root: Path
    plans_url: str | None = None
    """Where plan files are shared, as an fsspec URL; None: they lie in `plans` only."""

    warehouse_file: Path | None = None
    """The DuckDB file that the project's own dbt builds into; None: one of the platform's, under `root`."""

    warehouse_kind: str = "duckdb"
    """The engine of the warehouse, `duckdb` or `postgres`, or the name of an account in `warehouse_accounts`."""
    warehouse_address: str | None = field(default=None, repr=False)
    """Where a server's warehouse is, as its driver reads it; may hold a password."""
    warehouse_accounts: Path | None = None
    """The file with the accounts of server warehouses, whether it is there or not."""
    duckdb_memory: str | None = None
    """What a session of a DuckDB file may hold before it goes on on disk, as `512MB`; None: `1GB`."""
    secrets: Secrets | None = field(default=None, repr=False, compare=False)
    """Where the accounts' secrets are read; None: nowhere."""

    journal_address: str | None = field(default=None, repr=False)
    """The PostgreSQL database in which hosts share journal, paces and tokens; None: they lie in files under `root`."""

    @property
    def has_warehouse(self) -> bool:
        """Whether there is a warehouse to be asked: a server's is taken to be there."""
        return self.warehouse_kind != "duckdb" or self.warehouse.is_file()

    @property
    def warehouse(self) -> Path:
        """The embedded warehouse's DuckDB file."""
        return self.warehouse_file or self.root / "warehouse.duckdb"

    @property
    def state(self) -> Path:
        """The DuckDB file of what the platform knows, where the warehouse's account says `state: local`."""
        return self.root / "state.duckdb"

    @property
    def journal(self) -> Path:
        """The journal's SQLite file."""
        return self.root / "journal.sqlite"

    @property
    def plans(self) -> Path:
        """Plan files, a folder per sync, files named by digest."""
        return self.root / "plans"

    @property
    def rate_limits(self) -> Path:
        """The SQLite file of the buckets and circuit breakers that processes share."""
        return self.root / "rate_limits.sqlite"

    @property
    def tokens(self) -> Path:
        """Access tokens that are still good, a file each, named by a hash; readable by their owner only."""
        return self.root / "tokens"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME."""
        return self.root / "dagster"

    @property
    def dlt(self) -> Path:
        """dlt's working folder."""
        return self.root / "dlt"

    @property
    def dbt_target(self) -> Path:
        """dbt's target folder, with the manifest; one an engine, whose SQL it holds."""
        return self.root / ("dbt" if self.warehouse_kind == "duckdb" else f"dbt_{self.warehouse_kind}")

    @property
    def sandbox(self) -> Path:
        """The sandbox CRM's state and token."""
        return self.root / "sandbox"

    @property
    def demo_sources(self) -> Path:
        """The files and the database that stand for the demo's other systems, with the truth beside them."""
        return self.root / "demo"

    @property
    def erasures(self) -> Path:
        """What is left to do of erasures that have not ended; holds personal values until they have."""
        return self.root / "erasures"

    @property
    def forgotten_key(self) -> Path:
        """The key of the hashes by which who was forgotten is known again; keep it as long as the warehouse."""
        return self.root / "forgotten.key"

    @property
    def reports(self) -> Path:
        """The pages of `cdp report`."""
        return self.root / "reports"
