"""HubSpot's other objects hold the contract, and do at the sandbox what they promise: companies, pairs, lists."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests

from cdp_platform.connectors.http import open_session
from cdp_platform.connectors.protocol import Batch
from cdp_platform.destinations.hubspot import HubSpot
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import Connection, FieldMapping, Grant, Limits, Mode, OAuth, Removal, SyncSpec
from cdp_platform.errors import AuthenticationFailed, ConfigError, ContractBroken, RateLimited
from cdp_platform.sandbox import SandboxSettings, serve_sandbox
from cdp_platform.syncs.account import Engine
from cdp_platform.syncs.controls import switch
from cdp_platform.syncs.journal import Journal
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.send import send_plan
from cdp_platform.testing.destination_contract import DestinationCase, DestinationContract, load_case
from cdp_platform_tests.unit.syncs.conftest import Shop

FIXTURES = Path(__file__).parent / "fixtures"


class TestCompanies(DestinationContract):
    @pytest.fixture
    def case(self) -> DestinationCase:
        return load_case(HubSpot(), FIXTURES / "hubspot_companies")


class TestPairs(DestinationContract):
    @pytest.fixture
    def case(self) -> DestinationCase:
        return load_case(HubSpot(), FIXTURES / "hubspot_pairs")

    def test_encoding_a_full_batch_names_every_row(self, case: DestinationCase) -> None:
        body = case.destination.encode(case.object, case.match_field, case.rows).body
        sent = [(item["from"]["id"], item["to"]["id"]) for item in body["inputs"]]
        assert [":".join(pair) for pair in sent] == list(case.rows.record_ids)


class TestLists(DestinationContract):
    @pytest.fixture
    def case(self) -> DestinationCase:
        return load_case(HubSpot(), FIXTURES / "hubspot_list")

    def test_encoding_a_full_batch_names_every_row(self, case: DestinationCase) -> None:
        body = case.destination.encode(case.object, case.match_field, case.rows).body
        assert body == {"recordIdsToAdd": list(case.rows.record_ids), "recordIdsToRemove": []}

    def test_a_broken_answer_is_never_read_as_delivered(self, case: DestinationCase) -> None:
        """A list tells of no member that was one before, so that a shorter list of ids is no fault."""
        good = case.accepted.answer
        for body in (None, [], {}, {**good.body, "recordIdsMissing": None}, {**good.body, "recordIdsRemoved": ["x"]}):
            with pytest.raises(ContractBroken):
                case.destination.read(case.rows, type(good)(status=200, headers={}, body=body))


@pytest.mark.parametrize(
    "name", ["contacts_to_shops", "list_", "2-", "p_x", "deals_to_", "contacts_to_companies_type_3", "lists"]
)
def test_a_name_that_is_nearly_an_object_is_none(name: str) -> None:
    with pytest.raises(ConfigError, match="no object"):
        HubSpot().capabilities(name)


@pytest.mark.parametrize(("name", "value"), [("plan", "x"), ("requests_per_10_seconds", "0")])
def test_an_option_that_cannot_be_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        HubSpot().with_options({name: value})


def test_an_app_with_oauth_can_be_given_its_own_pace() -> None:
    told = HubSpot().with_options({"requests_per_10_seconds": "110"}).capabilities("companies")
    assert told.burst_requests == 110
    assert 0.98 * 11.0 <= told.requests_per_second <= 11.0


class Crm:
    """An account at the sandbox, and syncs from a small shop into it."""

    def __init__(self, root: Path, address: str) -> None:
        self.shop = Shop(root)
        self.address = address
        self.runs = 0

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": "Bearer secret"}
        answer = requests.request(method, self.address + path, json=body, headers=headers, timeout=10)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def fault(self, **rule: Any) -> None:
        assert requests.post(f"{self.address}/sandbox/faults", json={"rules": [rule]}, timeout=5).ok

    def fault_ends(self) -> None:
        assert requests.post(f"{self.address}/sandbox/faults", json={"rules": []}, timeout=5).ok

    def upsert(self, kind: str, key: str, *values: str) -> list[str]:
        ids = []
        for start in range(0, len(values), 100):
            inputs = [{"id": value, "idProperty": key, "properties": {}} for value in values[start : start + 100]]
            answer = self.call("POST", f"/crm/v3/objects/{kind}/batch/upsert", {"inputs": inputs})
            ids += [item["id"] for item in answer["results"]]
        return ids

    def sync(self, kind: str, rows: list[dict[str, Any]], mapping: dict[str, str], **more: Any) -> Counts:
        """Deliver rows; the first column is primary and match key."""
        name = f"to_{kind.replace('-', '_')}"
        columns = list(mapping)
        with self.shop.warehouse.session("model") as session:
            session.execute("create schema if not exists activation")
            session.register("given", pa.Table.from_pylist(rows))
            session.execute(f"create or replace table activation.{name} as select * from given")
        options = more.pop("options", {})
        access = {"oauth": more.pop("oauth")} if "oauth" in more else {"token_env": "SANDBOX_TOKEN"}
        spec = SyncSpec(
            name=name,
            source_model=name,
            relation=f"activation.{name}",
            primary_key=columns[0],
            connection=Connection(name="hubspot", vendor="hubspot", base_url=self.address, options=options, **access),
            object=kind,
            mapping=tuple(
                FieldMapping(column=column, field=field, match_key=column == columns[0])
                for column, field in mapping.items()
            ),
            limits=Limits(shrunk_share=1.0),
            **{"mode": Mode.UPSERT, **more},
        )
        self.engine = Engine(
            home=self.shop.home,
            warehouse=self.shop.warehouse,
            journal=Journal(self.shop.home),
            destination=HubSpot().with_options(options),
            open_session=open_session,
        )
        switch(self.engine.journal, name, is_enabled=True)
        self.runs += 1
        plan = make_plan(self.engine, spec, run_id=f"run-{self.runs}")
        assert plan.is_allowed, plan.verdicts
        return send_plan(self.engine, spec, plan, run_id=plan.run_id).counts


Open = Callable[..., Crm]


@pytest.fixture
def open_crm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    for name in ("SANDBOX_TOKEN", "CLIENT_SECRET", "REFRESH_TOKEN"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("CLIENT_ID", "client")
    with ExitStack() as stack:

        def open_one(**settings: Any) -> Crm:
            told = SandboxSettings(state_path=tmp_path / "crm.sqlite", token="secret", port=0, **settings)
            return Crm(tmp_path / "home", stack.enter_context(serve_sandbox(told)))

        yield open_one


@pytest.fixture
def crm(open_crm: Open) -> Crm:
    return open_crm()


def company(number: int, **fields: Any) -> dict[str, Any]:
    return {"company_id": f"shop-{number}", "name": f"Shop {number}", "industry": "RETAIL", **fields}


COMPANY = {"company_id": "cdp_company_id", "name": "name", "industry": "industry"}


def test_companies_are_made_changed_and_archived(crm: Crm) -> None:
    mirror = {"mode": Mode.MIRROR, "removal": Removal.ARCHIVE}
    assert crm.sync("companies", [company(1), company(2)], COMPANY, **mirror) == Counts(planned=2, delivered=2)
    assert crm.sync("companies", [company(1, name="New name")], COMPANY, **mirror) == Counts(planned=2, delivered=2)
    listed = crm.call("GET", "/crm/v3/objects/companies?properties=name,cdp_company_id")["results"]
    assert [item["properties"]["name"] for item in listed] == ["New name"]
    assert crm.sync("companies", [company(1, name="New name")], COMPANY, **mirror) == Counts()


def test_deals_with_a_stage_that_does_not_exist_are_rejected_and_never_sent(crm: Crm) -> None:
    rows = [
        {"deal_id": f"d-{number}", "stage": stage, "amount": 10 * number}
        for number, stage in enumerate(("closedwon", "perhaps", "closedlost"), start=1)
    ]
    counts = crm.sync("deals", rows, {"deal_id": "cdp_deal_id", "stage": "dealstage", "amount": "amount"})
    assert counts == Counts(planned=3, delivered=2, rejected=1)
    [kept] = crm.shop.sql("select primary_key, code, parameters from cdp.rejected_rows")
    assert (kept["primary_key"], kept["code"]) == ("d-2", "value_not_listed")
    told = json.loads(kept["parameters"])
    assert told["field"] == "dealstage" and told["nearest"] != "perhaps"
    listed = crm.call("GET", "/crm/v3/objects/deals?properties=cdp_deal_id")["results"]
    assert [deal["properties"]["cdp_deal_id"] for deal in listed] == ["d-1", "d-3"]


def test_a_custom_object_takes_rows_by_its_own_name(crm: Crm) -> None:
    schema = crm.call(
        "POST",
        "/crm/v3/schemas",
        {
            "name": "loyalty_card",
            "labels": {"singular": "Card", "plural": "Cards"},
            "primaryDisplayProperty": "number",
            "properties": [
                {"name": "number", "label": "Number", "type": "string", "hasUniqueValue": True},
                {"name": "points", "label": "Points", "type": "number"},
            ],
        },
    )
    rows = [{"number": "c-1", "points": 40}, {"number": "c-2", "points": 50}]
    for name in (schema["fullyQualifiedName"], schema["objectTypeId"]):
        assert crm.sync(name, rows, {"number": "number", "points": "points"}) == Counts(planned=2, delivered=2)
    listed = crm.call("GET", f"/crm/v3/objects/{schema['objectTypeId']}?properties=points")["results"]
    assert sorted(item["properties"]["points"] for item in listed) == ["40", "50"]


def test_pairs_are_linked_by_match_values_and_separated_when_they_leave_the_model(crm: Crm) -> None:
    people = crm.upsert("contacts", "cdp_person_id", "p-1", "p-2")
    crm.upsert("companies", "cdp_company_id", "shop-1", "shop-2")
    told = {
        "mode": Mode.MIRROR,
        "removal": Removal.DELETE,
        "options": {"from_property": "cdp_person_id", "to_property": "cdp_company_id"},
    }
    pairs = [{"pair": "p-1|shop-1"}, {"pair": "p-2|shop-2"}, {"pair": "p-2|nowhere"}, {"pair": "p-1"}]
    counts = crm.sync("contacts_to_companies", pairs, {"pair": "pair"}, **told)
    assert counts == Counts(planned=4, delivered=2, rejected=2)
    linked = crm.call("GET", f"/crm/v4/objects/contacts/{people[1]}/associations/companies")["results"]
    assert [each["associationTypes"][0]["label"] for each in linked] == [None]
    crm.sync("contacts_to_companies", pairs[:1], {"pair": "pair"}, **told)
    assert crm.call("GET", f"/crm/v4/objects/contacts/{people[1]}/associations/companies")["results"] == []
    assert crm.call("GET", f"/crm/v4/objects/contacts/{people[0]}/associations/companies")["results"]


def test_a_label_is_put_on_and_taken_off_without_separating_the_pair(crm: Crm) -> None:
    [person] = crm.upsert("contacts", "cdp_person_id", "p-1")
    [shop] = crm.upsert("companies", "cdp_company_id", "shop-1")
    made = crm.call("POST", "/crm/v4/associations/contacts/companies/labels", {"label": "Buyer", "name": "buyer"})
    name = f"contacts_to_companies_user_type_{made['results'][0]['typeId']}"
    told = {"mode": Mode.MIRROR, "removal": Removal.DELETE}
    assert crm.sync(name, [{"pair": f"{person}|{shop}"}], {"pair": "pair"}, **told).delivered == 1
    assert labels_of(crm, person) == [None, "Buyer"]
    assert crm.sync(name, [{"pair": "1|2"}], {"pair": "pair"}, **told) == Counts(planned=2, delivered=1, rejected=1)
    assert labels_of(crm, person) == [None]


def labels_of(crm: Crm, person: str) -> list[str | None]:
    linked = crm.call("GET", f"/crm/v4/objects/contacts/{person}/associations/companies")["results"]
    return [each["label"] for item in linked for each in item["associationTypes"]]


def test_a_label_that_is_not_there_stops_the_plan(crm: Crm) -> None:
    with pytest.raises(ConfigError, match="association type 999"):
        crm.sync("contacts_to_companies_user_type_999", [{"pair": "1|2"}], {"pair": "pair"})


def members_of(crm: Crm, list_id: str) -> list[str]:
    return [item["recordId"] for item in crm.call("GET", f"/crm/v3/lists/{list_id}/memberships")["results"]]


def make_list(crm: Crm, way: str) -> str:
    body = {"name": f"{way} list", "objectTypeId": "0-1", "processingType": way}
    return str(crm.call("POST", "/crm/v3/lists", body)["list"]["listId"])


def test_a_list_has_whom_the_model_has(crm: Crm) -> None:
    ids = crm.upsert("contacts", "cdp_person_id", *(f"p-{number}" for number in range(250)))
    list_id = make_list(crm, "MANUAL")
    told = {"mode": Mode.MIRROR, "removal": Removal.DELETE}
    rows = [{"person_id": f"p-{number}"} for number in range(251)]
    counts = crm.sync(f"list_{list_id}", rows, {"person_id": "cdp_person_id"}, **told)
    assert counts == Counts(planned=251, delivered=250, rejected=1)
    assert crm.sync(f"list_{list_id}", rows[:249], {"person_id": "cdp_person_id"}, **told).delivered == 1
    assert members_of(crm, list_id) == sorted(ids)[:249]


def test_a_list_that_fills_itself_stops_the_plan(crm: Crm) -> None:
    with pytest.raises(ConfigError, match="fills itself"):
        crm.sync(f"list_{make_list(crm, 'DYNAMIC')}", [{"person_id": "p-1"}], {"person_id": "cdp_person_id"})


def test_a_lookup_that_is_refused_for_now_is_asked_again(crm: Crm) -> None:
    crm.upsert("contacts", "cdp_person_id", "p-1")
    list_id = make_list(crm, "SNAPSHOT")
    fault = {"path": "/crm/v3/objects/0-1/batch/read", "status": 503, "count": 1}
    assert requests.post(f"{crm.address}/sandbox/faults", json={"rules": [fault]}, timeout=5).ok
    assert crm.sync(f"list_{list_id}", [{"person_id": "p-1"}], {"person_id": "cdp_person_id"}).delivered == 1
    [rule] = requests.get(f"{crm.address}/sandbox/faults", timeout=5).json()["rules"]
    assert rule["used"] == 1, "the fault was not met"


def test_who_withdrew_is_removed_from_the_list() -> None:
    case = load_case(HubSpot(), FIXTURES / "hubspot_list")
    rows = Batch.of([case.rows[0], *case.rows[1:].as_operation(case.rows[0].operation.WITHDRAW)])
    body = HubSpot().encode(case.object, case.match_field, rows).body
    assert body == {"recordIdsToAdd": ["90001"], "recordIdsToRemove": ["90002", "90003"]}


def test_a_token_that_ends_is_renewed_on_the_way(open_crm: Open) -> None:
    crm = open_crm(token_seconds=1.0)
    oauth = OAuth(
        token_url=f"{crm.address}/oauth/v1/token",
        grant=Grant.REFRESH_TOKEN,
        client_id_env="CLIENT_ID",
        client_secret_env="CLIENT_SECRET",
        refresh_token_env="REFRESH_TOKEN",
    )
    assert crm.sync("companies", [company(1)], COMPANY, oauth=oauth).delivered == 1
    time.sleep(1.1)
    assert crm.sync("companies", [company(1), company(2)], COMPANY, oauth=oauth).delivered == 1
    assert "secret" not in json.dumps(crm.call("GET", "/crm/v3/objects/companies"))


@pytest.mark.parametrize(
    ("status", "category", "what_to_do"),
    [(401, "INVALID_AUTHENTICATION", "renew it"), (403, "MISSING_SCOPES", "grant it at the vendor")],
)
def test_a_revoked_token_and_a_missing_scope_stop_the_run_and_put_no_row_at_fault(
    crm: Crm, status: int, category: str, what_to_do: str
) -> None:
    crm.sync("companies", [company(1)], COMPANY)
    path, body = "/crm/v3/objects/companies/batch/upsert", {"status": "error", "category": category}
    crm.fault(path=path, method="POST", status=status, body=body, count=1_000)
    with pytest.raises(AuthenticationFailed, match=f"{category}.*{what_to_do}"):
        crm.sync("companies", [company(1), company(2)], COMPANY)
    assert crm.shop.sql("select * from cdp.rejected_rows") == []
    crm.fault_ends()
    assert crm.sync("companies", [company(1), company(2)], COMPANY) == Counts(planned=1, delivered=1)


def test_a_day_that_is_used_up_ends_the_run_at_once_and_the_next_day_goes_on(open_crm: Open) -> None:
    crm = open_crm(daily_limit=8)
    with pytest.raises(RateLimited, match="DAILY"):
        crm.sync("companies", [company(number) for number in range(1_000)], COMPANY)
    [run] = crm.shop.sql("select status, delivered, pending, rejected from cdp.sync_runs")
    assert run["delivered"] > 0 and run["pending"] == 1_000 - run["delivered"]
    assert (run["status"], run["rejected"]) == ("deferred", 0)
    next_day = open_crm(daily_limit=1_000)
    rows = [company(number) for number in range(1_000)]
    assert next_day.sync("companies", rows, COMPANY) == Counts(planned=run["pending"], delivered=run["pending"])
