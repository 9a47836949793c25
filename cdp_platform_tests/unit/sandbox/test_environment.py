"""One process and one token serve every vendor, under the names that a `defs.yaml` asks for."""

from collections.abc import Iterator

import pytest
import requests

from cdp_platform.sandbox import SandboxSettings, environment_of, serve_sandbox
from cdp_platform.sandbox.frame import PAGES

TOKEN = "canary-sandbox-token"
WAYS_IN = {
    "HUBSPOT": "/account-info/v3/details",
    "SALESFORCE": "/services/data/v67.0/query?q=SELECT Id FROM Organization",
    "META": "/me",
    "GOOGLE": "/v1/accountTypes/GOOGLE_ADS/accounts/1017201701/userLists/9017201702",
    "ZOHO": "/organizations",
}


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    state = tmp_path_factory.mktemp("sandbox") / "crm.sqlite"
    with serve_sandbox(SandboxSettings(state_path=state, token=TOKEN, port=0)) as address:
        yield environment_of(address, TOKEN)


@pytest.mark.parametrize("vendor", WAYS_IN)
def test_each_vendor_answers_at_its_address_with_its_token(variables: dict[str, str], vendor: str) -> None:
    scheme = "Zoho-oauthtoken" if vendor == "ZOHO" else "Bearer"
    for token, status in ((variables[f"{vendor}_TOKEN"], 200), ("another", 401)):
        answer = requests.get(
            variables[f"{vendor}_BASE_URL"] + WAYS_IN[vendor], headers={"Authorization": f"{scheme} {token}"}, timeout=5
        )
        assert answer.status_code == status, answer.text


def test_every_vendor_has_variables_and_a_page(variables: dict[str, str]) -> None:
    assert {name.removesuffix("_TOKEN") for name in variables if name.endswith("_TOKEN")} >= set(WAYS_IN)
    assert len(PAGES) == len(WAYS_IN)


@pytest.mark.parametrize("path", PAGES)
def test_every_vendors_page_leads_to_all_the_others(variables: dict[str, str], path: str) -> None:
    for language in ("en", "zh-Hant"):
        shown = requests.get(variables["CDP_SANDBOX_URL"] + path, params={"lang": language}, timeout=5)
        assert shown.status_code == 200
        assert all(f'href="{other}' in shown.text for other in PAGES)
