"""What dbt is told of an account of BigQuery's: where it is and how to log in, and nothing that is secret."""

import json
from typing import Any

from cdp_platform.warehouse.accounts import BigQueryAccount
from cdp_platform.warehouse.bigquery_dbt import dbt_variables

KEY_FILE = {"method": "service_account", "key_file_env": "SHOP_KEY"}


class Variables:
    """Secrets of which one is set: the path of a key file."""

    def text(self, env_name: str) -> str:
        return {"SHOP_KEY": "/run/secrets/shop.json"}[env_name]

    def private_key(self, env_name: str) -> str:
        raise LookupError(env_name)


def told(**fields: Any) -> dict[str, str]:
    given = {"type": "bigquery", "project": "acme-crm", "location": "EU", "authentication": KEY_FILE, **fields}
    return dbt_variables(BigQueryAccount.model_validate_json(json.dumps(given)), Variables())


def test_dbt_is_told_of_the_project_its_location_and_the_limit_of_what_a_statement_may_cost() -> None:
    assert told(maximum_bytes_billed=5_000_000_000) == {
        "CDP_BIGQUERY_PROJECT": "acme-crm",
        "CDP_BIGQUERY_LOCATION": "EU",
        "CDP_BIGQUERY_DATASET": "cdp",
        "CDP_BIGQUERY_MAXIMUM_BYTES": "5000000000",
        "CDP_BIGQUERY_API_ENDPOINT": "",
        "CDP_BIGQUERY_METHOD": "service-account",
        "CDP_BIGQUERY_KEY_FILE": "/run/secrets/shop.json",
    }


def test_without_a_limit_dbt_is_told_of_none() -> None:
    assert told()["CDP_BIGQUERY_MAXIMUM_BYTES"] == "0"


def test_whoever_is_logged_in_on_the_machine_may_be_who_dbt_is() -> None:
    variables = told(authentication={"method": "application_default"})
    assert (variables["CDP_BIGQUERY_METHOD"], variables["CDP_BIGQUERY_KEY_FILE"]) == ("oauth", "")


def test_another_address_than_googles_gets_no_credentials_of_google() -> None:
    variables = told(api_endpoint="http://127.0.0.1:9050")
    assert variables["CDP_BIGQUERY_API_ENDPOINT"] == "http://127.0.0.1:9050"
    assert (variables["CDP_BIGQUERY_METHOD"], variables["CDP_BIGQUERY_KEY_FILE"]) == ("oauth-secrets", "")
