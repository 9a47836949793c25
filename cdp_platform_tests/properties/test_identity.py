"""Identity holds whatever the records are: order, repetition, one more edge, a blocked value, and a day at a time."""

import tempfile
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_platform.identity.graph import connect_in_sql
from cdp_platform_tests.unit.identity.town import RULES, Row, Town, record, rules_of

EMAILS = st.sampled_from(["", *(f"{letter}@x.example" for letter in "abcde")])
PHONES = st.sampled_from(["", *(f"0912 00{digit} 00{digit}" for digit in "12345")])
NAMES = st.sampled_from(["", "Wang Xiaoming", "Chen Mei"])
SLOW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
UNBOUNDED = (
    dedent(RULES).replace("cap: 4", "cap: 99").replace("cap: 3", "cap: 99").replace("cluster: 6", "cluster: 999")
)
WITHIN_ONE = dedent(RULES).replace(
    "largest_cluster", "  - {name: names, match: {name: name}, joins: false}\n"
    "  - {name: name_and_area, match: {phone: [digits, prefix(6)]}, within_one: names}\n"
    "  - {name: name_of_one, match: {name: name}, within_one: email}\nlargest_cluster"
)  # fmt: skip


def days(most: int) -> st.SearchStrategy[list[Row]]:
    values = st.tuples(st.integers(0, 15), EMAILS, PHONES, NAMES)
    return st.lists(values, max_size=most, unique_by=lambda one: one[0]).map(
        lambda rows: [record(f"r{key:02}", email=email, phone=phone, name=name) for key, email, phone, name in rows]
    )


def new_town(rules: str = RULES) -> Town:
    place = tempfile.TemporaryDirectory(prefix="identity-")
    folder = Path(place.name)
    town = Town(folder, rules_of(folder, rules))
    # The folder goes when the town does.
    town.place = place
    return town


def refines(finer: set[frozenset[str]], coarser: set[frozenset[str]]) -> bool:
    return all(any(one <= other for other in coarser) for one in finer)


@SLOW
@given(rows=days(16), seed=st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(rows: list[Row], seed: object) -> None:
    here, there = new_town(), new_town()
    here.resolve(rows)
    shuffled = list(rows)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    there.resolve(shuffled)
    assert here.person_of() == there.person_of()


@SLOW
@given(rows=days(16))
def test_the_way_in_sql_finds_the_same_people_with_the_same_ids(rows: list[Row]) -> None:
    here, there = new_town(), new_town()
    there.connect = connect_in_sql
    here.resolve(rows)
    there.resolve(rows)
    assert here.person_of() == there.person_of()


@SLOW
@given(rows=days(16))
def test_resolving_again_changes_nobody(rows: list[Row]) -> None:
    town = new_town()
    town.resolve(rows)
    before = town.person_of()
    town.resolve(rows)
    assert town.person_of() == before
    assert town.table("merges") == []


@SLOW
@given(rows=days(15), email=EMAILS, phone=PHONES)
def test_one_more_record_never_splits_within_the_bounds(rows: list[Row], email: str, phone: str) -> None:
    town = new_town(UNBOUNDED)
    town.resolve(rows)
    before = town.people()
    town.resolve([*rows, record("zz", email=email, phone=phone)])
    assert refines(before, town.people())


@SLOW
@given(rows=days(16))
def test_blocking_a_value_never_merges(rows: list[Row]) -> None:
    free, blocking = new_town(UNBOUNDED), new_town(UNBOUNDED.replace("[none@", "[a@x.example, none@"))
    free.resolve(rows)
    blocking.resolve(rows)
    assert refines(blocking.people(), free.people())


@pytest.mark.parametrize("rules", [RULES, WITHIN_ONE])
@SLOW
@given(first=days(12), second=days(6), gone=st.sets(st.integers(0, 15), max_size=3), third=days(4))
def test_a_day_at_a_time_gives_the_people_of_all_at_once(
    rules: str, first: list[Row], second: list[Row], gone: set[int], third: list[Row]
) -> None:
    daily, whole = new_town(rules), new_town(rules)
    current = {row["key"]: row for row in first}
    daily.resolve(first)
    whole.resolve(first)
    for changed, left in ((second, gone), (third, set[int]())):
        changes = {row["key"]: row for row in changed}
        away = {f"r{key:02}" for key in left} - changes.keys()
        current = {key: row for key, row in (current | changes).items() if key not in away}
        daily.add(changed, gone=sorted(away))
        whole.resolve(current.values())
        assert daily.person_of() == whole.person_of()
        stopped = [[{**row, "resolved_at": None} for row in town.table("quarantine")] for town in (daily, whole)]
        assert stopped[0] == stopped[1]
