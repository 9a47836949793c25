"""An account of BigQuery's, as dbt's profile reads it: variables of the process in which dbt runs."""

from cdp_platform.domain.home import Secrets
from cdp_platform.warehouse.accounts import BigQueryAccount, ServiceAccount


def dbt_variables(account: BigQueryAccount, secrets: Secrets) -> dict[str, str]:
    """Say where the project is and how to log in: the path of the key file, never what is in it.

    Raises AuthenticationFailed where the key file's variable is not set.
    """
    limit = account.maximum_bytes_billed
    return {
        "CDP_BIGQUERY_PROJECT": account.project,
        "CDP_BIGQUERY_LOCATION": account.location,
        "CDP_BIGQUERY_DATASET": account.dataset,
        # dbt reads 0 as no limit.
        "CDP_BIGQUERY_MAXIMUM_BYTES": str(limit or 0),
        "CDP_BIGQUERY_API_ENDPOINT": account.api_endpoint or "",
        **_login(account, secrets),
    }


def _login(account: BigQueryAccount, secrets: Secrets) -> dict[str, str]:
    if account.api_endpoint is not None:
        # Another address than Google's is no place for Google's credentials.
        return {"CDP_BIGQUERY_METHOD": "oauth-secrets", "CDP_BIGQUERY_KEY_FILE": ""}
    if isinstance(account.authentication, ServiceAccount):
        path = secrets.text(account.authentication.key_file_env)
        return {"CDP_BIGQUERY_METHOD": "service-account", "CDP_BIGQUERY_KEY_FILE": path}
    return {"CDP_BIGQUERY_METHOD": "oauth", "CDP_BIGQUERY_KEY_FILE": ""}
