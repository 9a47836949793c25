"""`cdp smoke` tries every destination of ours against the sandbox, and leaves nothing there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from typer.testing import CliRunner

from cdp_platform.cli import app, declared_syncs
from cdp_platform.components.sync_file import spec_of_file
from cdp_platform.destinations.hubspot import HubSpot
from cdp_platform.destinations.zoho_inventory import ZohoInventory
from cdp_platform.errors import CdpError, ConfigError, TemporarilyDown
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.sandbox.google.account import ACCOUNT_ID as GOOGLE_ACCOUNT
from cdp_platform.sandbox.google.account import USER_LISTS
from cdp_platform.sandbox.meta.account import ACCOUNT_ID, DATASET_ID

TOKEN = "secret"
OAUTH = (
    "{{token_url: {url}/oauth/v2/token, grant: refresh_token, client_id_env: CLIENT_ID,"
    " client_secret_env: CLIENT_SECRET, refresh_token_env: REFRESH_TOKEN}}"
)
FILE = """\
type: cdp_platform.components.SyncComponent
attributes:
  name: a_sync
  source_model: a_model
  primary_key: key
  destination: {{name: {vendor}, object: {object}, base_url: "{url}{path}", {access}, options: {options}}}
  mode: {mode}
  {removal}
  purpose: none
  mapping:
{mapping}
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """How a vendor is declared, and how what it holds of a trial is counted."""

    object: str
    fields: tuple[str, ...]
    """The first is the match key."""
    path: str = ""
    mode: str = "upsert"
    removal: str = ""
    options: str = "{}"
    is_by_oauth: bool = False
    results: tuple[str, ...] = ("done", "done", "done", "done")
    more: tuple[str, ...] = ()


GOOGLE = f'{{account_id: "{GOOGLE_ACCOUNT}", user_list_id: "{next(iter(USER_LISTS))}", customer_match_terms: accepted}}'
CASES = {
    "hubspot": Case(object="contacts", fields=("cdp_person_id", "email", "firstname", "lifetime_value")),
    "salesforce": Case(
        object="Contact", fields=("CDP_Person_Id__c", "LastName", "Email", "Lifetime_Value__c", "Last_Order_On__c")
    ),
    "zoho_inventory": Case(
        object="items",
        fields=("sku", "name", "rate", "description"),
        path="/inventory/v1",
        options='{organization_id: "ORGANISATION"}',
        is_by_oauth=True,
    ),
    "meta_audiences": Case(
        object="audience",
        fields=("EXTERN_ID", "EMAIL", "PHONE", "FN"),
        path="/v26.0",
        mode="mirror",
        removal="removal: delete",
        options=f'{{ad_account_id: "{ACCOUNT_ID}", audience: Smoke, phone_region: US}}',
        results=("done", "cannot", "cannot", "done"),
    ),
    "google_audiences": Case(
        object="audience",
        fields=("emailAddress", "phoneNumber"),
        mode="mirror",
        removal="removal: delete",
        options=GOOGLE,
        results=("done", "cannot", "cannot", "done"),
    ),
    "meta_conversions": Case(
        object="events",
        fields=("event_id", "event_name", "event_time", "action_source", "EMAIL", "value", "currency"),
        path="/v26.0",
        mode="append",
        options=f'{{dataset_id: "{DATASET_ID}"}}',
        results=("done", "cannot", "cannot", "cannot"),
        more=("--test-code", "TEST123"),
    ),
}


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("SMOKE_TOKEN", "CLIENT_SECRET", "REFRESH_TOKEN"):
        monkeypatch.setenv(name, TOKEN)
    monkeypatch.setenv("CLIENT_ID", "client")
    monkeypatch.setenv("CDP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    with serve_sandbox(SandboxSettings(state_path=tmp_path / "crm.sqlite", token=TOKEN, port=0)) as served:
        yield served


@pytest.fixture
def declared(address: str, tmp_path: Path) -> Callable[[str], Path]:
    """Write the `defs.yaml` of a vendor."""

    def write(vendor: str) -> Path:
        case = CASES[vendor]
        mapping = "\n".join(
            f"    - {{column: c{number}, field: {name}{', match_key: true' if number == 0 else ''}}}"
            for number, name in enumerate(case.fields)
        )
        access = f"oauth: {OAUTH.format(url=address)}" if case.is_by_oauth else "token_env: SMOKE_TOKEN"
        told = {"vendor": vendor, "url": address, "access": access, "mapping": mapping, "mode": case.mode}
        options = case.options
        if "ORGANISATION" in options:
            options = options.replace("ORGANISATION", organisation(address))
        path = tmp_path / "defs.yaml"
        text = FILE.format(**told, object=case.object, path=case.path, options=options, removal=case.removal or "")
        path.write_text(text)
        return path

    return write


def organisation(address: str) -> str:
    headers = {"Authorization": f"Zoho-oauthtoken {TOKEN}"}
    told = requests.get(f"{address}/inventory/v1/organizations", headers=headers, timeout=5).json()
    return str(told["organizations"][0]["organization_id"])


class Told:
    """What the command printed, and how it ended."""

    def __init__(self, *arguments: str, typed: str = "") -> None:
        result = CliRunner().invoke(app, ["smoke", *arguments], input=typed)
        self.text, self.code = result.stdout, result.exit_code
        self.error = None if isinstance(result.exception, SystemExit) else result.exception

    @property
    def stamp(self) -> str:
        return self.text.split("stamp ")[1][:12]

    def result(self, step: str) -> str:
        """The result of a step, as the table says it."""
        [line] = [line for line in self.text.splitlines() if line.startswith(("│", "|")) and f" {step} " in line]
        return line.replace("|", "│").split("│")[2].strip()


def marked(address: str, vendor: str) -> int:
    """How many marked records or members the vendor holds; archived and inactive ones do not count."""
    headers = {"Authorization": f"Bearer {TOKEN}"}

    def get(path: str, **params: str) -> Any:
        return requests.get(address + path, headers=headers, params=params, timeout=5).json()

    match vendor:
        case "hubspot":
            listed = get("/crm/v3/objects/contacts", properties="cdp_person_id", limit="100")["results"]
            return sum("cdp-smoke" in str(item["properties"].get("cdp_person_id")) for item in listed)
        case "salesforce":
            found = get("/services/data/v67.0/query", q="SELECT Id, CDP_Person_Id__c FROM Contact")["records"]
            return sum("cdp-smoke" in str(item["CDP_Person_Id__c"]) for item in found)
        case "zoho_inventory":
            headers["Authorization"] = f"Zoho-oauthtoken {TOKEN}"
            query = {"organization_id": organisation(address), "search_text": "cdp-smoke"}
            found = get("/inventory/v1/items", **query)["items"]
            return sum(item["status"] == "active" for item in found)
        case "meta_audiences":
            audiences = get("/sandbox/meta/state")["audiences"]
            return sum(len(one["members"]) for one in audiences)
        case "google_audiences":
            return sum(len(one["members"]) for one in get("/sandbox/google/state")["lists"])
    return len([one for one in get("/sandbox/meta/state")["events"] if "cdp-smoke" in one["event_id"]])


@pytest.mark.parametrize("vendor", CASES)
def test_each_vendor_is_tried_step_by_step_and_nothing_is_left(
    vendor: str, address: str, declared: Callable[[str], Path]
) -> None:
    before = marked(address, vendor)
    told = Told(str(declared(vendor)), "--yes", *CASES[vendor].more)
    assert told.error is None and told.code == 0, (told.error, told.text)
    steps = ("write", "find", "change", "remove")
    assert {step: told.result(step) for step in steps} == dict(zip(steps, CASES[vendor].results, strict=True))
    left = 10 if vendor == "meta_conversions" else 0
    assert marked(address, vendor) == before + left


def test_a_sync_is_tried_by_its_name_though_it_was_never_switched_on(
    address: str, declared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of_file(declared("salesforce"))
    monkeypatch.setattr(declared_syncs, "open_sync", lambda name: (None, replace(spec, name=name)))
    told = Told("members", "--yes")
    assert told.code == 0 and told.result("write") == "done"
    assert marked(address, "salesforce") == 0


def test_the_question_names_account_and_address_and_no_writes_nothing(
    address: str, declared: Callable[[str], Path]
) -> None:
    told = Told(str(declared("hubspot")), typed="n\n")
    assert told.code == 1
    assert f"at {address}" in told.text and "hubspot contacts, account " in told.text
    assert "Write 10 marked records" in told.text
    assert marked(address, "hubspot") == 0


@pytest.mark.parametrize("failure", [TemporarilyDown("down"), KeyboardInterrupt()])
def test_what_was_written_is_removed_after_an_error_and_after_ctrl_c(
    failure: BaseException, address: str, declared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def read(self: HubSpot, rows: Any, answer: Any) -> Any:
        if not seen:
            seen.append(marked(address, "hubspot"))
            raise failure
        return original(self, rows, answer)

    original = HubSpot.read
    monkeypatch.setattr(HubSpot, "read", read)
    told = Told(str(declared("hubspot")), "--yes")
    assert told.code != 0
    assert seen == [10], "they had been written"
    assert told.result("remove") == "done"
    assert marked(address, "hubspot") == 0


def test_what_could_not_be_removed_is_removed_later_by_its_stamp(
    address: str, declared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(declared("zoho_inventory"))
    with monkeypatch.context() as broken:
        broken.setattr(ZohoInventory, "find", lambda *_: (_ for _ in ()).throw(TemporarilyDown("down")))
        told = Told(path, "--yes")
    assert told.code == 1
    assert f"--clean {told.stamp}" in told.text
    assert marked(address, "zoho_inventory") == 10
    cleaned = Told(path, "--clean", told.stamp, "--yes")
    assert cleaned.code == 0 and cleaned.result("remove") == "done"
    assert marked(address, "zoho_inventory") == 0


def test_events_are_not_tried_without_a_code_because_nobody_takes_them_back(
    address: str, declared: Callable[[str], Path]
) -> None:
    told = Told(str(declared("meta_conversions")), "--yes")
    assert isinstance(told.error, CdpError) and "--test-code" in str(told.error)
    assert marked(address, "meta_conversions") == 0


def test_a_build_server_tries_nothing_but_its_own_machine(
    address: str, declared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    path = declared("hubspot")
    assert Told(str(path), "--yes").code == 0
    path.write_text(path.read_text().replace(address, "https://api.hubapi.com"))
    told = Told(str(path), "--yes")
    assert isinstance(told.error, CdpError) and "build server" in str(told.error)


@pytest.mark.parametrize(
    ("arguments", "message"), [(("--clean", "yesterday"), "no stamp"), (("--test-code", "T"), "test")]
)
def test_what_makes_no_sense_is_told_before_anything_is_sent(
    arguments: tuple[str, str], message: str, declared: Callable[[str], Path]
) -> None:
    told = Told(str(declared("hubspot")), *arguments)
    assert isinstance(told.error, CdpError) and message in str(told.error)


def test_a_file_that_declares_no_sync_is_named(address: str, tmp_path: Path) -> None:
    told = Told(str(tmp_path / "missing.yaml"))
    assert isinstance(told.error, ConfigError) and "missing.yaml" in str(told.error)
