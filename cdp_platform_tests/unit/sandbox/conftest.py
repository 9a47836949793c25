"""One sandbox account per test, served on a free port, and a small client that reads like the API's documents."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from cdp_platform.sandbox import SandboxSettings, serve_sandbox

CONTACTS = "/crm/v3/objects/contacts"
TOKEN = "test-token"


class Account:
    """A client of one served account."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = TOKEN, **more: Any
    ) -> requests.Response:
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **more.pop("headers", {})}
        if body is not None:
            more["json"] = body
        return self._session.request(method, self.url + path, headers=headers, timeout=10, **more)

    def upsert(self, *rows: dict[str, Any]) -> requests.Response:
        return self.call("POST", f"{CONTACTS}/batch/upsert", {"inputs": list(rows)})

    def contact(self, person_id: str) -> dict[str, Any]:
        names = "email,hs_email_optout,email_confirmed_on,firstname,lifetime_value,cdp_person_id"
        path = f"{CONTACTS}/{person_id}?idProperty=cdp_person_id&properties={names}"
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def search(self, **body: Any) -> requests.Response:
        return self.call("POST", f"{CONTACTS}/search", body)

    def writes(self, after: int = 0) -> list[dict[str, Any]]:
        return list(self.call("GET", f"/sandbox/writes?after={after}", token=None).json()["results"])

    def stats(self) -> dict[str, Any]:
        return dict(self.call("GET", "/sandbox/stats", token=None).json())

    def turn_clock(self, day: str) -> str:
        return str(self.call("PUT", "/sandbox/clock", {"day": day}, token=None).json()["day"])


def person(number: int, **properties: Any) -> dict[str, Any]:
    """Return one upsert input, keyed by person id and traced."""
    person_id = f"p{number}"
    values = {"email": f"{person_id}@example.com", "firstname": f"Person {number}", **properties}
    return {"id": person_id, "idProperty": "cdp_person_id", "objectWriteTraceId": f"row-{number}", "properties": values}


Open = Callable[..., Account]


@pytest.fixture
def open_account(tmp_path: Path) -> Iterator[Open]:
    """Return a function that serves an account with other settings than the default ones."""
    with ExitStack() as stack:

        def open_one(**settings: Any) -> Account:
            defaults = {"state_path": tmp_path / "state.db", "token": TOKEN, "port": 0, "searches_per_second": 1000}
            return Account(stack.enter_context(serve_sandbox(SandboxSettings(**{**defaults, **settings}))))

        yield open_one


@pytest.fixture(scope="module")
def shared_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account that the tests of a module share: for what is refused or only read."""
    settings = SandboxSettings(
        state_path=tmp_path_factory.mktemp("shared") / "state.db",
        token=TOKEN,
        port=0,
        requests_per_window=100_000,
        searches_per_second=1000,
    )
    with serve_sandbox(settings) as url:
        yield Account(url)


@pytest.fixture
def account(open_account: Open) -> Account:
    return open_account()
