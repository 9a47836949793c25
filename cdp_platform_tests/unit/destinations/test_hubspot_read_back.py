"""The read-back of contacts: whole, typed, or an error; never a part that looks whole."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from cdp_platform.connectors.protocol import Answer, Request
from cdp_platform.errors import (
    AuthenticationFailed,
    CdpError,
    ConfigError,
    ContractBroken,
    RateLimited,
    TemporarilyDown,
)
from cdp_platform.ingest.hubspot import PROPERTY_COLUMNS, SCHEMA, read_contacts

DAY = date(2017, 12, 25)
READ_AT = datetime(2017, 12, 26, 4, 0, tzinfo=UTC)
EVERY_PROPERTY = tuple(PROPERTY_COLUMNS)


class PagesSession:
    """Answers with pages by cursor ("" is the first); errors in `failures` come first."""

    def __init__(self, pages: Mapping[str, Any], failures: Sequence[CdpError] = ()) -> None:
        self.queries: list[Mapping[str, str]] = []
        self._pages = pages
        self._failures = list(failures)

    def send(self, request: Request) -> Answer:
        assert (request.method, request.path) == ("GET", "/crm/v3/objects/contacts")
        if self._failures:
            raise self._failures.pop(0)
        self.queries.append(request.query)
        return Answer(status=200, headers={}, body=self._pages[request.query.get("after", "")])

    def close(self) -> None:
        return None


def contact(contact_id: str, **properties: str | None) -> dict[str, Any]:
    times = {"createdAt": "2017-12-20T05:00:00.120Z", "updatedAt": "2017-12-25T05:00:00Z"}
    return {"id": contact_id, "properties": properties, "archived": False, **times}


def page(*contacts: Any, after: str | None = None) -> dict[str, Any]:
    return {"results": list(contacts)} | ({"paging": {"next": {"after": after, "link": "x"}}} if after else {})


def read(session: PagesSession, sleep: Callable[[float], None] = lambda seconds: None) -> pa.Table:
    return read_contacts(session, EVERY_PROPERTY, DAY, sleep=sleep, spread=lambda: 1.0, now=lambda: READ_AT)


def test_all_pages_become_one_typed_table_in_the_order_of_ids() -> None:
    full = contact(
        "2", cdp_person_id="p-2", email="ada@example.com", hs_email_optout="true", email_confirmed_on="2017-12-24",
        lapsed_loyalist="false",
    )  # fmt: skip
    session = PagesSession({"": page(full, after="c1"), "c1": page(contact("1", email="", hs_email_optout=None))})
    table = read(session)
    assert table.schema.equals(SCHEMA)
    assert [row["contact_id"] for row in table.to_pylist()] == ["1", "2"]
    assert table.to_pylist()[1] == {
        "feedback_day": DAY,
        "contact_id": "2",
        "cdp_person_id": "p-2",
        "email": "ada@example.com",
        "email_opt_out": True,
        "email_confirmed_on": date(2017, 12, 24),
        "lapsed_loyalist": False,
        "created_at": datetime(2017, 12, 20, 5, 0, 0, 120_000, tzinfo=UTC),
        "updated_at": datetime(2017, 12, 25, 5, 0, tzinfo=UTC),
        "read_at": READ_AT,
    }
    assert table.to_pylist()[0]["email"] is None
    assert [query.get("after") for query in session.queries] == [None, "c1"]
    assert session.queries[0]["properties"] == ",".join(EVERY_PROPERTY)


def test_an_account_without_contacts_is_an_empty_table_with_its_columns() -> None:
    table = read(PagesSession({"": page()}))
    assert (table.num_rows, table.schema.equals(SCHEMA)) == (0, True)


def test_columns_whose_property_is_not_asked_for_are_null() -> None:
    table = read_contacts(PagesSession({"": page(contact("1", email="a@example.com"))}), ["email"], DAY)
    assert table.to_pylist()[0]["email"] == "a@example.com"
    assert table.to_pylist()[0]["email_opt_out"] is None


def test_an_unknown_property_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="'shoe_size'"):
        read_contacts(PagesSession({}), ["email", "shoe_size"], DAY)


def test_a_contact_that_moves_between_pages_counts_once_as_seen_last() -> None:
    first = page(contact("1", email="old@example.com"), after="c1")
    second = page(contact("1", email="new@example.com"), contact("2"))
    table = read(PagesSession({"": first, "c1": second}))
    assert table.column("email").to_pylist() == ["new@example.com", None]


def test_trouble_that_passes_is_waited_out() -> None:
    waits: list[float] = []
    failures = [RateLimited("wait", retry_after_seconds=7.0), TemporarilyDown("down"), RateLimited("wait")]
    table = read(PagesSession({"": page(contact("1"))}, failures), waits.append)
    assert table.num_rows == 1
    assert waits == [7.0, 2.0, 4.0]


def test_trouble_that_stays_ends_the_reading() -> None:
    waits: list[float] = []
    with pytest.raises(TemporarilyDown):
        read(PagesSession({}, [TemporarilyDown("down")] * 6), waits.append)
    assert len(waits) == 5


@pytest.mark.parametrize("error", [RateLimited("wait", retry_after_seconds=900.0), AuthenticationFailed("no")])
def test_trouble_that_waiting_does_not_help_ends_it_at_once(error: CdpError) -> None:
    waits: list[float] = []
    with pytest.raises(type(error)):
        read(PagesSession({}, [error]), waits.append)
    assert waits == []


@pytest.mark.parametrize(
    "last",
    [
        None,
        {},
        {"results": None},
        {"results": ["x"]},
        page(contact("9"), after="c1"),
        page(after="c2"),
        page(contact("1"), after="c2"),
        page({"id": "9"}),
        page(contact("") | {"id": ""}),
        page(contact("9") | {"id": 9}),
        page(contact("9") | {"createdAt": "2017-12-20"}),
        page(contact("9") | {"updatedAt": None}),
        page(contact("9", hs_email_optout="maybe ada@example.com")),
        page(contact("9", email_confirmed_on="ada@example.com")),
        page(contact("9") | {"properties": {"email": ["ada@example.com"]}}),
        page(contact("9")) | {"paging": "x"},
        page(contact("9")) | {"paging": {"next": {"after": 5}}},
        page(contact("9")) | {"paging": {"next": {}}},
    ],
)
def test_a_page_that_cannot_be_believed_ends_the_reading_without_a_word_of_persons(last: Any) -> None:
    session = PagesSession({"": page(contact("1"), after="c1"), "c1": last})
    with pytest.raises(ContractBroken) as caught:
        read(session)
    assert len(session.queries) == 2, "the first page must have been read"
    assert "example.com" not in f"{caught.value} {caught.value.__cause__}"
