"""simple-salesforce, which nobody here wrote, works with the sandbox as with the vendor, to the same end as ours."""

import datetime
import ipaddress
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cdp_platform.connectors.protocol import Job
from cdp_platform.destinations.salesforce import Salesforce
from cdp_platform.destinations.salesforce_bulk import SalesforceBulk
from cdp_platform.sandbox.app import create_app
from cdp_platform.sandbox.settings import SandboxSettings
from cdp_platform_tests.contracts.salesforce_stage import TOKEN, Members, Organization, batch, member_of, row, serving

simple_salesforce = pytest.importorskip("simple_salesforce")

RECORDS = [
    {
        "CDP_Person_Id__c": f"p-{number:06}",
        "LastName": f'Okafor "{number}", Ada',
        "Email": f"member{number}@example.com",
    }
    for number in range(30)
]
FIELDS = "CDP_Person_Id__c, LastName, Email, RFM_Segment__c"


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that it has signed itself, and its key."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return paths


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def theirs(tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Their client on an organization of its own, over TLS, which it insists on."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    settings = SandboxSettings(state_path=tmp_path / "theirs" / "crm.sqlite", token=TOKEN, port=0)
    config = uvicorn.Config(
        create_app(settings),
        host="127.0.0.1",
        port=0,
        log_level="warning",
        ssl_certfile=str(certificate[0]),
        ssl_keyfile=str(certificate[1]),
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield simple_salesforce.Salesforce(instance=f"127.0.0.1:{port}", session_id=TOKEN, version="67.0")
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Organization]:
    monkeypatch.setenv("SALESFORCE_TOKEN", TOKEN)
    with serving(tmp_path / "ours") as served:
        yield served


def state_of(client: Any) -> set[tuple[Any, ...]]:
    """What an organization holds of the members, by their client."""
    records = client.query_all(f"SELECT {FIELDS} FROM Contact WHERE CDP_Person_Id__c != null")["records"]
    return {tuple(record[name] for name in FIELDS.split(", ")) for record in records}


def state_by_us(organization: Organization) -> set[tuple[Any, ...]]:
    records = organization.query(f"SELECT {FIELDS} FROM Contact WHERE CDP_Person_Id__c != null")
    return {tuple(record[name] for name in FIELDS.split(", ")) for record in records}


def their_collection(client: Any, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    body = {"allOrNone": False, "records": [{"attributes": {"type": "Contact"}, **record} for record in records]}
    answer: list[dict[str, Any]] = client.restful(
        "composite/sobjects/Contact/CDP_Person_Id__c", method="PATCH", json=body
    )
    return answer


def run_ours(organization: Organization, home: Path, bulk_from_rows: int, *models: list[dict[str, Any]]) -> None:
    members = Members(home, organization.url, bulk_from_rows=bulk_from_rows)
    for model in models:
        members.write([member_of(0, lifetime_value=None) | renamed(record) for record in model])
        members.run()


def renamed(record: dict[str, Any]) -> dict[str, Any]:
    names = {
        "CDP_Person_Id__c": "person_id",
        "LastName": "last_name",
        "Email": "email",
        "RFM_Segment__c": "segment",
    }
    return {column: record.get(field) for field, column in names.items()}


def test_describe_and_the_organization_are_understood(theirs: Any) -> None:
    fields = {field["name"]: field for field in theirs.Contact.describe()["fields"]}
    assert fields["CDP_Person_Id__c"]["externalId"] and fields["Email"]["type"] == "email"
    assert theirs.query("SELECT Id FROM Organization")["totalSize"] == 1
    assert theirs.limits()["DailyApiRequests"]["Max"] > 0


def test_single_upserts_make_change_and_find_nothing(theirs: Any) -> None:
    name = "CDP_Person_Id__c/p-1"
    assert theirs.Contact.upsert(name, {"LastName": "Wei"}) == 201
    assert theirs.Contact.upsert(name, {"LastName": "Wei", "Email": "wei@example.com"}) == 200
    for _ in range(2):
        theirs.Account.create({"Name": "Alder Foods", "Legacy_Id__c": "7"})
    with pytest.raises(simple_salesforce.exceptions.SalesforceMoreThanOneRecord):
        theirs.Account.upsert("Legacy_Id__c/7", {"Name": "Alder Foods"})
    with pytest.raises(simple_salesforce.exceptions.SalesforceResourceNotFound):
        theirs.restful("sobjects/Contact/CDP_Person_Id__c/p-9?updateOnly=true", method="PATCH", json={"LastName": "W"})
    with pytest.raises(simple_salesforce.exceptions.SalesforceMalformedRequest):
        theirs.Contact.create({"FirstName": "Nobody"})


def test_collections_end_in_the_same_state_by_their_client_and_by_ours(
    theirs: Any, ours: Organization, tmp_path: Path
) -> None:
    changed = [{**record, "RFM_Segment__c": "loyal"} for record in RECORDS[:10]]
    told = their_collection(theirs, RECORDS)
    assert all(item["success"] and item["created"] for item in told)
    their_collection(theirs, changed)
    run_ours(ours, tmp_path / "home", 10_000, RECORDS, changed)
    assert state_of(theirs) == state_by_us(ours)
    assert len(state_of(theirs)) == 30


def test_a_whole_cycle_of_bulk_jobs_ends_in_the_same_state_by_their_client_and_by_ours(
    theirs: Any, ours: Organization, tmp_path: Path
) -> None:
    bad = [*RECORDS[:9], {**RECORDS[9], "Email": "nowhere"}, *RECORDS[10:]]
    (told,) = theirs.bulk2.Contact.upsert(records=bad, external_id_field="CDP_Person_Id__c", wait=0.1)
    assert (told["numberRecordsProcessed"], told["numberRecordsFailed"]) == (30, 1)
    failed = theirs.bulk2.Contact.get_failed_records(told["job_id"])
    assert "INVALID_EMAIL_ADDRESS" in failed and "sf__Error" in failed
    assert theirs.bulk2.Contact.get_successful_records(told["job_id"]).count("\n") == 30
    assert theirs.bulk2.Contact.get_unprocessed_records(told["job_id"]).count("\n") == 1
    run_ours(ours, tmp_path / "home", 1, bad)
    assert state_of(theirs) == state_by_us(ours)
    assert len(state_of(theirs)) == 29


def test_bulk_deletes_by_id(theirs: Any) -> None:
    ids = [item["id"] for item in their_collection(theirs, RECORDS)]
    (told,) = theirs.bulk2.Contact.delete(records=[{"Id": each} for each in ids[:20]], wait=0.1)
    assert told["numberRecordsFailed"] == 0
    assert len(state_of(theirs)) == 10


def test_their_client_sends_what_ours_puts_on_the_wire(theirs: Any, tmp_path: Path) -> None:
    rows = batch(*(row(place, one["CDP_Person_Id__c"], LastName="Wei, \n王") for place, one in enumerate(RECORDS)))
    request = Salesforce().encode("Contact", "CDP_Person_Id__c", rows)
    path = request.path.partition("/v67.0/")[2]
    assert all(item["success"] for item in theirs.restful(path, method=request.method, json=request.body))
    upload = next(SalesforceBulk().contents("Contact", "CDP_Person_Id__c", Job(id="750"), rows))
    assert isinstance(upload.body, bytes)
    (tmp_path / "ours.csv").write_bytes(upload.body)
    told = theirs.bulk2.Contact.upsert(str(tmp_path / "ours.csv"), external_id_field="CDP_Person_Id__c", wait=0.1)
    assert [(one["numberRecordsProcessed"], one["numberRecordsFailed"]) for one in told] == [(30, 0)]
    assert {last_name for _, last_name, *_ in state_of(theirs)} == {"Wei, \n王"}
