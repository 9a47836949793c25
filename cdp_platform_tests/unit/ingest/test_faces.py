"""The demo's further sources: made once, the same bytes from the same seed, and true to the households."""

import csv
import json
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cdp_platform.errors import ConfigError
from cdp_platform.ingest.faces import Faces, make_faces
from cdp_platform.ingest.faces.people import derive_customer, read_name_parts
from cdp_platform.ingest.faces.shopping import Household, read_households
from cdp_platform.privacy.normalise import phone as normalised_phone
from cdp_platform_tests.small_sources import NAME_PARTS, REPLAY, SEED


@dataclass(frozen=True, kw_only=True)
class Made:
    """The files of all households, read without the platform's readers."""

    folder: Path
    faces: Faces
    events: list[dict[str, Any]]
    cards: list[dict[str, str]]
    tickets: list[dict[str, Any]]
    truth: dict[tuple[str, str], str | None]


@pytest.fixture(scope="module")
def households() -> list[Household]:
    return read_households()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, households: list[Household]) -> Made:
    folder = tmp_path_factory.mktemp("home") / "demo"
    faces = make(folder, households)
    with open(folder / "loyalty" / "cards.csv", encoding="utf-8", newline="") as file:
        cards = list(csv.DictReader(file))
    with closing(sqlite3.connect(folder / "support" / "tickets.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        tickets = [dict(row) for row in connection.execute("select * from tickets")]
    truth = {
        (row["source"], row["record_id"]): row["person_id"]
        for row in pq.read_table(folder / "truth.parquet").to_pylist()
    }
    events = [event for _, event in delivered(folder)]
    return Made(folder=folder, faces=faces, events=events, cards=cards, tickets=tickets, truth=truth)


def make(folder: Path, households: list[Household], seed: int = SEED) -> Faces:
    return make_faces(folder, NAME_PARTS, seed=seed, replay=REPLAY, read=lambda: households)


def delivered(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted((folder / "web").iterdir()):
        for line in file.read_text(encoding="utf-8").splitlines():
            yield file.stem.removeprefix("events-"), json.loads(line)


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes_in_another_process(tmp_path: Path, households: list[Household]) -> None:
    make(tmp_path / "here", households[:60])
    script = (
        "import sys; from pathlib import Path\n"
        "from cdp_platform_tests.unit.ingest.test_faces import make, read_households\n"
        "make(Path(sys.argv[1]), read_households()[:60])"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "there")], check=True, timeout=120)

    here = digest(tmp_path / "here")
    assert len(here) == 365 + 4
    assert here == digest(tmp_path / "there")


def test_another_seed_gives_another_web_and_the_same_customers(tmp_path: Path, households: list[Household]) -> None:
    make(tmp_path / "demo", households[:60])
    before = digest(tmp_path / "demo")
    again = make(tmp_path / "demo", households[:60], seed=SEED + 1)

    assert again.is_new
    changed = {name for name, value in digest(tmp_path / "demo").items() if value != before[name]}
    assert {"loyalty/cards.csv", "support/tickets.sqlite", "truth.parquet"} <= changed


def test_what_is_there_is_not_made_again(tmp_path: Path, households: list[Household]) -> None:
    first = make(tmp_path / "demo", households[:60])
    kept = (tmp_path / "demo" / "truth.parquet").stat()

    def never() -> list[Household]:
        raise AssertionError("the households were read again")

    again = make_faces(tmp_path / "demo", NAME_PARTS, seed=SEED, replay=REPLAY, read=never)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.counts == first.counts
    assert (tmp_path / "demo" / "truth.parquet").stat() == kept


def test_a_making_that_was_killed_leaves_nothing_that_is_taken_for_whole(
    tmp_path: Path, households: list[Household]
) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from cdp_platform.ingest.faces import making\n"
        "from cdp_platform_tests.unit.ingest.test_faces import make, read_households\n"
        "making._write_tickets = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        "make(Path(sys.argv[1]), read_households()[:60])"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "demo")], check=False, timeout=120)
    assert killed.returncode == -9
    assert (tmp_path / "demo.part" / "loyalty" / "cards.csv").exists()
    assert not (tmp_path / "demo").exists()

    assert make(tmp_path / "demo", households[:60]).is_new
    assert {path.name for path in tmp_path.iterdir()} == {"demo"}


def test_name_parts_that_are_not_there_are_named(tmp_path: Path, households: list[Household]) -> None:
    with pytest.raises(ConfigError, match=r"parts\.csv: FileNotFoundError"):
        make_faces(tmp_path / "demo", tmp_path / "parts.csv", seed=1, replay=REPLAY, read=lambda: households[:60])
    (tmp_path / "parts.csv").write_text("kind,position,value\nfirst_name,0,Ada\n")
    with pytest.raises(ConfigError, match="1 parts of the kind first_name instead of 60"):
        make_faces(tmp_path / "demo", tmp_path / "parts.csv", seed=1, replay=REPLAY, read=lambda: households[:60])


def test_a_year_has_the_volume_that_was_meant(made: Made) -> None:
    assert made.faces.counts["customers"] == 2_469
    assert 60_000 <= made.faces.counts["events"] <= 120_000
    assert made.faces.counts["events"] == len(made.events)
    assert len(made.cards) > 1_500
    assert len(made.tickets) > 700


def test_every_record_has_its_truth_and_no_other(made: Made, households: list[Household]) -> None:
    records = {("retail", str(one.household_id)) for one in households}
    records |= {("web", event["anonymous_id"]) for event in made.events}
    records |= {("loyalty", card["card_number"]) for card in made.cards}
    records |= {("support", ticket["ticket_id"]) for ticket in made.tickets}
    # A device whose only messages came after the year's end is true, and has no record.
    unseen = made.truth.keys() - records
    assert records <= made.truth.keys()
    assert {source for source, _ in unseen} <= {"web"}
    assert len(unseen) < 10


def test_only_kiosks_are_nobodys(made: Made) -> None:
    nobodys = [key for key, person in made.truth.items() if person is None]
    assert 0 < len(nobodys) <= 6
    users = defaultdict[str, set[str]](set)
    for event in made.events:
        if event["customer_number"]:
            users[event["anonymous_id"]].add(event["customer_number"])
    assert all(len(users[device]) > 15 for _, device in nobodys)
    others = [found for device, found in users.items() if ("web", device) not in nobodys]
    assert max(len(found) for found in others) == 2


def test_all_addresses_and_numbers_are_fictional(made: Made) -> None:
    rows = [*made.cards, *made.tickets]
    emails = {row["email"] for row in rows if row["email"]}
    phones = {normalised_phone(row["phone"], "US") for row in rows if row["phone"]}
    assert all(email.endswith("@example.com") for email in emails)
    assert all(phone.startswith("+1") and phone[5:10] == "55501" and len(phone) == 12 for phone in phones)


def test_a_customer_number_on_a_record_is_one_of_its_person_s(made: Made) -> None:
    customers = defaultdict[str | None, set[str]](set)
    for (source, record_id), person in made.truth.items():
        if source == "retail":
            customers[person].add(record_id)
    for card in made.cards:
        assert card["customer_number"] in {"", *customers[made.truth["loyalty", card["card_number"]]]}
    for ticket in made.tickets:
        mine = {None, *customers[made.truth["support", ticket["ticket_id"]]]}
        assert {ticket["customer_number"], ticket["other_customer_number"]} <= mine


def test_tickets_of_the_replay_prove_that_two_customers_are_one(made: Made) -> None:
    first, last = REPLAY
    proofs = [ticket for ticket in made.tickets if ticket["other_customer_number"]]
    in_replay = [ticket for ticket in proofs if first.isoformat() < ticket["opened_at"] < f"{last}T05"]
    assert len(in_replay) == 8
    assert len(proofs) > 20
    for ticket in proofs:
        one, other = ("retail", ticket["customer_number"]), ("retail", ticket["other_customer_number"])
        assert one != other
        assert made.truth[one] == made.truth[other]


def test_some_devices_log_in_for_the_first_time_in_the_replay(made: Made) -> None:
    first_login = dict[str, str]()
    first_seen = dict[str, str]()
    for event in sorted(made.events, key=lambda event: event["occurred_at"]):
        first_seen.setdefault(event["anonymous_id"], event["occurred_at"])
        if event["event_name"] == "logged_in":
            first_login.setdefault(event["anonymous_id"], event["occurred_at"])
    late = {device for device, at_time in first_login.items() if at_time >= REPLAY[0].isoformat()}
    assert len([device for device in late if first_seen[device] < REPLAY[0].isoformat()]) >= 15


def test_a_customer_number_stands_only_on_events_after_a_login(made: Made) -> None:
    logged_in_at = dict[tuple[str, str], str]()
    for event in made.events:
        if event["event_name"] == "logged_in":
            key = (event["anonymous_id"], event["customer_number"])
            logged_in_at[key] = min(logged_in_at.get(key, "9"), event["occurred_at"])
    known = [event for event in made.events if event["customer_number"]]
    assert 0.1 < len(known) / len(made.events) < 0.6
    assert all(logged_in_at[event["anonymous_id"], event["customer_number"]] <= event["occurred_at"] for event in known)


def test_some_messages_come_twice_and_differ_only_in_when_they_came(made: Made) -> None:
    copies = defaultdict[str, list[dict[str, Any]]](list)
    for event in made.events:
        copies[event["message_id"]].append(event)
    twice = [found for found in copies.values() if len(found) > 1]
    assert len(twice) > 500
    for first, second in twice:
        assert first["received_at"] < second["received_at"]
        assert {**first, "received_at": None} == {**second, "received_at": None}


def test_a_message_lies_in_the_file_of_the_day_on_which_it_came_also_when_it_is_late(made: Made) -> None:
    late = 0
    for day, event in delivered(made.folder):
        assert abs((date.fromisoformat(event["received_at"][:10]) - date.fromisoformat(day)).days) <= 1
        assert event["occurred_at"] < event["received_at"]
        late += event["occurred_at"] < day
    assert late > 500


def test_the_cards_have_the_mistakes_that_identity_is_tried_with(made: Made) -> None:
    people_of = defaultdict[str, set[str | None]](set)
    for card in made.cards:
        person = made.truth["loyalty", card["card_number"]]
        people_of[card["email"]].add(person)
        people_of[normalised_phone(card["phone"], "US")].add(person)
    del people_of[""]
    shared = Counter({value: len(people) for value, people in people_of.items() if len(people) > 1})
    [(busiest, busy), *_] = shared.most_common(1)
    assert busiest.startswith("store") and busy > 20
    assert len([value for value in shared if value.startswith("family.")]) > 40
    assert len([value for value in shared if value.startswith("+1")]) >= 20
    assert any(ord(letter) > 0xFF00 for card in made.cards for letter in card["phone"])


def test_customers_of_one_name_are_two_people_as_often_as_one(made: Made, households: list[Household]) -> None:
    parts = read_name_parts(NAME_PARTS)
    by_name = defaultdict[tuple[str, str], list[str]](list)
    for household in households:
        customer = derive_customer(household, parts)
        by_name[customer.first_name, customer.last_name].append(customer.number)
    namesakes = [group for group in by_name.values() if len(group) > 1]
    people = [{made.truth["retail", number] for number in group} for group in namesakes]
    assert len([1 for group, found in zip(namesakes, people, strict=True) if len(found) == len(group)]) > 100
    assert len([1 for group, found in zip(namesakes, people, strict=True) if len(found) < len(group)]) > 50
