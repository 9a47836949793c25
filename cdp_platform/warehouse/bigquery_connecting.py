"""Where a BigQuery warehouse is, and the way in."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from google.api_core.exceptions import Conflict, NotFound
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from google.oauth2 import service_account

from cdp_platform.errors import ConfigError

_TEMPORARY_MILLISECONDS = 86_400_000
"""A day: then a table of a session that was killed is gone."""


@dataclass(frozen=True, kw_only=True)
class BigQueryProject:
    """Where the warehouse is. `key_file` is a service account's; None: application default credentials."""

    project: str
    location: str
    dataset: str = "cdp"
    """The dataset of names that name none."""
    temporary_dataset: str = "cdp_temp"
    """The dataset of the sessions' tables, which are gone after a day at the latest."""
    key_file: Path | None = None
    api_endpoint: str | None = None
    """The address of an emulator, which gets no credentials; None: Google's."""
    maximum_bytes_billed: int | None = None
    """The most that one statement may be billed for, in bytes; BigQuery refuses one that would read more."""


def connected(place: BigQueryProject, retry: Retry) -> bigquery.Client:
    """Open a client, and make the datasets that the platform needs where they are missing.

    Raises ConfigError for a key file that cannot be read, and what the client raises.
    """
    client = _client(place)
    for name in (place.dataset, place.temporary_dataset):
        dataset = bigquery.Dataset(f"{place.project}.{name}")
        dataset.location = place.location
        if name == place.temporary_dataset:
            dataset.default_table_expiration_ms = _TEMPORARY_MILLISECONDS
        try:
            client.get_dataset(dataset.reference, retry=retry)
        except NotFound:
            with suppress(Conflict):
                client.create_dataset(dataset, retry=retry)
    return client


def _client(place: BigQueryProject) -> bigquery.Client:
    options = {"api_endpoint": place.api_endpoint} if place.api_endpoint else None
    return bigquery.Client(
        project=place.project, credentials=_credentials(place), location=place.location, client_options=options
    )


def _credentials(place: BigQueryProject) -> Credentials | None:
    if place.api_endpoint is not None:
        return AnonymousCredentials()
    if place.key_file is None:
        return None
    try:
        credentials: Credentials = service_account.Credentials.from_service_account_file(str(place.key_file))
    except (OSError, ValueError, GoogleAuthError) as error:
        raise ConfigError(
            f"the key file of the BigQuery warehouse cannot be read ({type(error).__name__}).",
            remedy="Name a service account's key file, as the administrator's console writes it.",
        ) from error
    return credentials
