"""One identifier leads to one person along records, clusters and merges, and never to somebody else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cdp_platform.erasure.closure import Unfound, find_person
from cdp_platform.erasure.holdings import links_of, present_holdings
from cdp_platform.erasure.identifiers import Closure
from cdp_platform.errors import CdpError
from cdp_platform.warehouse.base import Session
from cdp_platform.warehouse.duckdb import DuckDbWarehouse

RECORDS = {
    "record_key": "record_key", "customer_number": "customer_number", "card_number": "card_number",
    "anonymous_id": "anonymous_id", "email": "email", "phone": "phone",
}  # fmt: skip
DECLARED = {"intermediate.int_identity_records": RECORDS}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with DuckDbWarehouse(tmp_path / "w.duckdb").session("test") as session:
        for schema in ("intermediate", "identity"):
            session.execute(f"create schema {schema}")
        session.execute(
            """create table intermediate.int_identity_records (record_key varchar, customer_number varchar,
                card_number varchar, anonymous_id varchar, email varchar, phone varchar)"""
        )
        session.execute("create table identity.identity_clusters (record_key varchar, person_id varchar)")
        session.execute(
            "create table identity.identity_merges (resolved_at timestamptz, former_person_id varchar,"
            " person_id varchar, kind varchar)"
        )
        yield session


def record(session: Session, key: str, person: str, **values: str) -> None:
    """Add a record and whose it is; values by column."""
    columns = ", ".join(["record_key", *values])
    marks = ", ".join("?" * (len(values) + 1))
    session.execute(
        f"insert into intermediate.int_identity_records ({columns}) values ({marks})", [key, *values.values()]
    )
    session.execute("insert into identity.identity_clusters values (?, ?)", [key, person])


def find(session: Session, identifier: str) -> Closure:
    return find_person(session, links_of(present_holdings(session, DECLARED)), identifier)


@pytest.mark.parametrize(
    "identifier", ["12", "p_a", "card_number:c-1", "ada@example.com", "ADA@Work.example.com", "b-1"]
)
def test_every_record_of_the_person_is_found_from_any_of_its_identifiers(session: Session, identifier: str) -> None:
    record(session, "retail:12", "p_a", customer_number="12", email="ada@example.com")
    record(session, "loyalty:c-1", "p_a", card_number="c-1", email="ada@work.example.com")
    record(session, "web:b-1", "p_a", anonymous_id="b-1", customer_number="12")
    record(session, "retail:13", "p_b", customer_number="13", email="bob@example.com")
    found = find(session, identifier).values
    assert found["record_key"] == {"retail:12", "loyalty:c-1", "web:b-1"}
    assert found["email"] == {"ada@example.com", "ada@work.example.com"}
    assert (found["person_id"], found["customer_number"]) == ({"p_a"}, {"12"})


def test_ids_that_went_up_in_the_persons_id_belong_to_it(session: Session) -> None:
    record(session, "retail:12", "p_b", customer_number="12")
    session.execute("insert into identity.identity_merges values (now(), 'p_a', 'p_b', 'merge')")
    assert find(session, "12").person_ids == {"p_a", "p_b"}


def test_who_has_split_off_again_is_another_person(session: Session) -> None:
    record(session, "retail:12", "p_a", customer_number="12")
    record(session, "retail:13", "p_b", customer_number="13")
    session.execute("insert into identity.identity_merges values (now(), 'p_a', 'p_b', 'merge')")
    session.execute("insert into identity.identity_merges values (now(), 'p_b', 'p_a', 'split')")
    assert find(session, "12").person_ids == {"p_a"}
    assert find(session, "13").person_ids == {"p_b"}


def test_a_shared_address_is_left_out_and_counted(session: Session) -> None:
    record(session, "retail:12", "p_a", customer_number="12", email="family@example.com", phone="212 555 0101")
    record(session, "retail:13", "p_b", customer_number="13", email="Family@example.com ")
    found = find(session, "12")
    assert "email" not in found.values
    assert found.values["phone"] == {"125550101"}
    assert (found.shared, found.texts) == ({"email": 1}, {"212 555 0101"})
    with pytest.raises(CdpError, match="2 people"):
        find(session, "family@example.com")


def test_a_number_that_is_somebodys_customer_and_anothers_card_is_refused_until_its_kind_is_said(
    session: Session,
) -> None:
    record(session, "retail:7", "p_a", customer_number="7")
    record(session, "loyalty:7", "p_b", card_number="7")
    with pytest.raises(CdpError, match=r"person_id:p_[ab], person_id:p_[ab]"):
        find(session, "7")
    assert find(session, "card_number:7").person_ids == {"p_b"}


def test_nobody_is_found_by_a_piece_of_a_value(session: Session) -> None:
    record(session, "retail:12", "p_a", customer_number="12", email="ada@example.com")
    for identifier in ("ada", "1", "", "%", "email:12"):
        with pytest.raises(Unfound):
            find(session, identifier)
