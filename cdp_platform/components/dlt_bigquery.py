"""BigQuery as dlt loads into it, by clients that the account opens: dlt itself is told of no credential.

Rows go in by load jobs of Parquet files from this machine; nothing is streamed, and no bucket is needed.
"""

import warnings
from collections.abc import Callable
from typing import Any

from dlt.common.configuration.specs import GcpServiceAccountCredentials
from dlt.destinations.impl.bigquery.bigquery import BigQueryClient
from dlt.destinations.impl.bigquery.factory import bigquery
from dlt.destinations.impl.bigquery.sql_client import BigQuerySqlClient

Opened = Callable[[], Any]

# dlt reads counts; of the quicker interface for many rows nobody needs to be told that it is not there.
warnings.filterwarnings("ignore", message="Cannot create BigQuery Storage client")


class _SqlClient(BigQuerySqlClient):
    opened: Opened

    def open_connection(self) -> Any:
        self._client = self.opened()
        return self._client

    def truncate_tables_if_exist(self, *tables: str) -> None:
        # dlt asks for no table, too, and would run a script of nothing.
        if tables:
            super().truncate_tables_if_exist(*tables)


class _Client(BigQueryClient):
    opened: Opened

    def __init__(self, schema: Any, config: Any, capabilities: Any) -> None:
        super().__init__(schema, config, capabilities)
        given = self.sql_client
        self.sql_client = _SqlClient(
            given.dataset_name,
            given.staging_dataset_name,
            config.credentials,
            capabilities,
            config.get_location(),
            config.project_id,
            config.http_timeout,
            config.retry_deadline,
        )
        self.sql_client.opened = self.opened


class BigQueryOfAccount(bigquery):
    """A destination of dlt's; `opened` opens a client of Google's library."""

    def __init__(self, *, project: str, location: str, opened: Opened) -> None:
        # dlt wants some, and would look for others on the machine; these open nothing and are never used.
        unused = GcpServiceAccountCredentials()
        unused.update({"project_id": project, "private_key": "none", "client_email": "none"})
        super().__init__(
            credentials=unused,
            location=location,
            project_id=project,
            has_case_sensitive_identifiers=True,
            enable_atomic_replace=False,
            destination_name="bigquery",
        )
        self._opened = opened

    def _raw_capabilities(self) -> Any:
        capabilities = super()._raw_capabilities()
        # dlt's own book of what it has loaded goes the same way as rows.
        capabilities.preferred_loader_file_format = "parquet"
        return capabilities

    @property
    def client_class(self) -> type[BigQueryClient]:
        return type("Client", (_Client,), {"opened": staticmethod(self._opened)})
