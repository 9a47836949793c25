"""The way into BigQuery: credentials, the client, and the datasets that the platform needs."""

from collections.abc import Mapping
from contextlib import suppress

from google.api_core.exceptions import Conflict, NotFound
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from google.oauth2 import service_account

from cdp_platform.domain.home import Secrets
from cdp_platform.errors import ConfigError
from cdp_platform.warehouse.accounts import BigQueryAccount, ServiceAccount
from cdp_platform.warehouse.bigquery_jobs import labels_of

_TEMPORARY_MILLISECONDS = 86_400_000
"""A day: then a table of a session that was killed is gone."""


def connected(account: BigQueryAccount, secrets: Secrets) -> bigquery.Client:
    """Open a client. Raises ConfigError for a key file that cannot be read, AuthenticationFailed where its variable is
    not set, GoogleAuthError where there are no credentials.
    """
    return bigquery.Client(
        project=account.project,
        credentials=_credentials(account, secrets),
        location=account.location,
        client_options={"api_endpoint": account.api_endpoint} if account.api_endpoint else None,
    )


def tool_client(account: BigQueryAccount, secrets: Secrets, purpose: str, work: Mapping[str, str]) -> bigquery.Client:
    """A client for a tool that makes its own jobs: they are labelled and limited as the platform's. Raises as above."""
    client, labels = connected(account, secrets), labels_of(purpose, work)
    queries = bigquery.QueryJobConfig(labels=labels)
    if account.maximum_bytes_billed is not None:
        queries.maximum_bytes_billed = account.maximum_bytes_billed
    client.default_query_job_config = queries
    client.default_load_job_config = bigquery.LoadJobConfig(labels=labels)
    return client


def provide(client: bigquery.Client, account: BigQueryAccount, name: str, retry: Retry) -> None:
    """Make a dataset where it is missing; tables of the temporary one expire. Raises what the client raises."""
    dataset = bigquery.Dataset(f"{account.project}.{name}")
    dataset.location = account.location
    if name == account.temporary_dataset:
        dataset.default_table_expiration_ms = _TEMPORARY_MILLISECONDS
    try:
        client.get_dataset(dataset.reference, retry=retry)
    except NotFound:
        with suppress(Conflict):
            client.create_dataset(dataset, retry=retry)


def _credentials(account: BigQueryAccount, secrets: Secrets) -> Credentials | None:
    if account.api_endpoint is not None:
        # Another address than Google's is no place for Google's credentials.
        return AnonymousCredentials()
    if not isinstance(account.authentication, ServiceAccount):
        return None
    path = secrets.text(account.authentication.key_file_env)
    try:
        credentials: Credentials = service_account.Credentials.from_service_account_file(path)
    except (OSError, ValueError, GoogleAuthError) as error:
        raise ConfigError(
            f"the key file of the BigQuery warehouse cannot be read ({type(error).__name__}).",
            remedy=f"Let {account.authentication.key_file_env} name a service account's key file.",
        ) from error
    return credentials
