"""Records become people: what joins, what is stopped, whose id stays, and what is written down."""

from datetime import timedelta
from pathlib import Path

import pytest

from cdp_platform.errors import ConfigError, GuardTripped, WarehouseError
from cdp_platform.identity.graph import connect_in_sql
from cdp_platform_tests.unit.identity.town import RULES, START, Town, record, rules_of, together

ANNE = [
    record("a1", email="Anne@Example.com "),
    record("a2", email="anne@example.com", phone="0912 345 678"),
    record("a3", phone="+886 912-345-678"),
]
BEN = [record("b1", email="ben@example.com"), record("b2", email="BEN@example.com")]


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def test_records_meet_over_any_identifier_however_it_is_written(town: Town) -> None:
    found = town.resolve([*ANNE, *BEN])
    assert town.people() == together("a1 a2 a3", "b1 b2")
    assert (found.record_count, found.person_count, found.minted_count) == (5, 2, 2)


def test_a_composite_rule_needs_all_of_its_fields(town: Town) -> None:
    town.resolve(
        [
            record("a", name="Wang Xiaoming", phone="0911000001"),
            record("b", name="WANG  XIAOMING", phone="0912000002"),
            record("c", name="Wang Xiaoming"),
        ]
    )
    assert town.people() == together("a b", "c")


def test_a_blocked_value_joins_nobody(town: Town) -> None:
    town.resolve([record("a", email=" None@Example.com"), record("b", email="none@example.com")])
    assert town.people() == together("a", "b")


def test_a_filler_of_one_character_joins_nobody(town: Town) -> None:
    town.resolve([record("a", phone="0000000000"), record("b", phone="0000000000")])
    assert town.people() == together("a", "b")


def test_a_typing_error_joins_and_a_record_is_counted_once_for_each_of_its_keys(tmp_path: Path) -> None:
    rules = rules_of(
        tmp_path, RULES.replace("phone: phone(TW)", "phone: [digits, one_typo]").replace("cap: 3", "cap: 2")
    )
    town = Town(tmp_path, rules)
    town.resolve([record("a", phone="0911222333"), record("b", phone="911222333"), record("c", phone="0955566677")])
    assert town.people() == together("a b", "c")
    keys = [(row["record_key"], row["value_hash"]) for row in town.table("edges") if row["identifier"] == "phone"]
    assert len(keys) == len(set(keys))
    assert [key for key, _ in keys].count("a") == 1 + 5


def test_a_value_above_its_cap_is_shared_and_joins_nobody(town: Town) -> None:
    found = town.resolve(record(f"r{number}", phone="0800000123") for number in range(4))
    assert len(town.people()) == 4
    assert found.shared_value_count == 1
    [stopped] = town.table("quarantine")
    assert (stopped["kind"], stopped["identifier"], stopped["record_count"]) == ("shared_value", "phone", 4)


def chained(number: int, count: int) -> list[dict[str, str]]:
    """People who hang together by turns over an e-mail address and a telephone number."""
    return [
        record(f"c{place}", email=f"{(place + 1) // 2 + number}@x.example", phone=f"09{place // 2 + number:08}")
        for place in range(count)
    ]


def test_a_cluster_that_is_too_large_is_cut_at_its_weakest_rule(town: Town) -> None:
    found = town.resolve(chained(100, 8))
    assert found.cut_cluster_count == 1
    assert found.quarantined_cluster_count == 0
    assert town.people() == together("c0", "c1 c2", "c3 c4", "c5 c6", "c7")
    assert {row["identifier"] for row in town.table("quarantine") if row["kind"] == "cut_cluster"} == {"phone"}


def test_a_cluster_that_stays_too_large_is_quarantined_whole_and_logged(tmp_path: Path) -> None:
    one_rule = (
        RULES.split("- {name: phone")[0] + "- {name: phone, match: {phone: digits}, cap: 9}\n    largest_cluster: 3\n"
    )
    town = Town(tmp_path, rules_of(tmp_path, one_rule.replace("cap: 4", "cap: 9")))
    found = town.resolve(record(f"r{number}", email="all@example.com") for number in range(5))
    assert found.quarantined_cluster_count == 1
    assert len(town.people()) == 5
    [stopped] = [row for row in town.table("quarantine") if row["kind"] == "large_cluster"]
    assert (stopped["cluster_key"], stopped["record_count"]) == ("r0", 5)


def test_who_was_one_person_stays_one_when_the_cluster_grows_too_large(tmp_path: Path) -> None:
    town = Town(tmp_path, rules_of(tmp_path, RULES.replace("cap: 4", "cap: 50")))
    town.resolve(record(f"r{number}", email="all@example.com") for number in range(5))
    [before] = set(town.person_of().values())
    town.resolve(record(f"r{number}", email="all@example.com") for number in range(9))
    assert town.people() == together("r0 r1 r2 r3 r4", "r5", "r6", "r7", "r8")
    assert town.person_of()["r0"] == before


def test_rules_that_would_merge_everybody_are_stopped_and_the_value_is_named(tmp_path: Path) -> None:
    town = Town(tmp_path, rules_of(tmp_path, RULES.replace("cap: 4", "cap: 1000")))
    town.resolve(BEN)
    before = town.person_of()
    rows = [record(f"r{number}", email="everybody@example.com") for number in range(150)]
    with pytest.raises(GuardTripped, match=r"'e•••@•••.com' of rule `email`, in 150 records") as stopped:
        town.resolve(rows)
    assert "everybody" not in str(stopped.value)
    assert town.person_of() == before


def test_the_same_records_resolved_again_change_nothing(town: Town) -> None:
    town.resolve([*ANNE, *BEN])
    before = town.person_of()
    found = town.resolve([*BEN, *reversed(ANNE)])
    assert town.person_of() == before
    assert (found.minted_count, found.merge_count, found.split_count) == (0, 0, 0)
    assert town.table("merges") == []


def test_a_person_who_takes_another_up_keeps_the_id_with_most_records(town: Town) -> None:
    town.resolve([*ANNE, *BEN])
    before = town.person_of()
    found = town.resolve([*ANNE, *BEN, record("z", email="anne@example.com"), record("y", email="ben@example.com")])
    assert found.minted_count == 0
    bridge = record("b1", email="ben@example.com", phone="0912345678")
    town.resolve([*ANNE, bridge, BEN[1]])
    assert set(town.person_of().values()) == {before["a1"]}
    [merge] = [row for row in town.table("merges") if row["kind"] == "merge"]
    assert (merge["former_person_id"], merge["person_id"], merge["record_count"]) == (before["b1"], before["a1"], 2)
    assert merge["resolved_at"] == START + timedelta(days=3)


def test_on_a_tie_the_oldest_id_stays(town: Town) -> None:
    town.resolve([record("z", email="z@example.com")])
    oldest = town.person_of()["z"]
    town.resolve([record("z", email="z@example.com"), record("a", email="a@example.com")])
    town.resolve([record("z", email="z@example.com"), record("a", email="z@example.com")])
    assert set(town.person_of().values()) == {oldest}


def test_of_a_person_who_splits_the_larger_part_keeps_the_id(town: Town) -> None:
    town.resolve(ANNE)
    [before] = set(town.person_of().values())
    town.resolve([ANNE[0], ANNE[1], record("a3", phone="0999888777")])
    after = town.person_of()
    assert after["a1"] == after["a2"] == before != after["a3"]
    [split] = town.table("merges")
    assert (split["kind"], split["former_person_id"], split["person_id"]) == ("split", before, after["a3"])


def test_a_new_id_is_never_one_that_is_in_use(town: Town) -> None:
    town.resolve([record("a", email="p@x.example"), record("b", email="p@x.example"), record("c", email="p@x.example")])
    [before] = set(town.person_of().values())
    town.resolve([record("a"), record("b", email="p@x.example"), record("c", email="p@x.example")])
    after = town.person_of()
    assert after["b"] == after["c"] == before
    assert after["a"] != before


def test_ids_follow_from_the_records_alone(tmp_path: Path) -> None:
    here, there = Town(tmp_path / "here"), Town(tmp_path / "there")
    here.resolve([*ANNE, *BEN])
    there.resolve([*reversed(BEN), *reversed(ANNE)])
    assert here.person_of() == there.person_of()


def test_an_edge_keeps_when_it_was_first_seen(town: Town) -> None:
    town.resolve(BEN)
    town.resolve(BEN)
    first, last = START + timedelta(days=1), START + timedelta(days=2)
    assert {(row["first_seen_at"], row["last_seen_at"]) for row in town.table("edges")} == {(first, last)}
    assert {row["source"] for row in town.table("edges")} == {"shop"}


def test_the_tables_hold_no_value_that_names_a_person(town: Town) -> None:
    town.resolve([*ANNE, *BEN])
    told = str([town.table(name) for name in ("edges", "clusters", "merges", "quarantine", "runs")])
    assert "anne" not in told.lower()
    assert "912345678" not in told


def test_a_days_records_join_those_that_they_reach_and_leave_the_others(town: Town) -> None:
    town.resolve([*ANNE, *BEN])
    before = {row["record_key"]: row for row in town.table("clusters")}
    found = town.add([record("n", email="anne@example.com")])
    assert town.people() == together("a1 a2 a3 n", "b1 b2")
    assert found.record_count == 4
    after = {row["record_key"]: row for row in town.table("clusters")}
    assert {key: after[key] for key in ("b1", "b2")} == {key: before[key] for key in ("b1", "b2")}


def test_a_changed_record_leaves_its_person_and_a_gone_one_everything(town: Town) -> None:
    town.resolve([*ANNE, *BEN])
    town.add([record("b2", email="else@example.com")], gone=["a2"])
    assert town.people() == together("a1", "a3", "b1", "b2")
    assert "a2" not in {row["record_key"] for row in town.table("edges")}


def test_a_value_that_becomes_shared_by_a_days_records_lets_go_of_those_it_joined(town: Town) -> None:
    same = [record(f"r{number}", phone="0800000123") for number in range(5)]
    town.resolve(same[:3])
    assert len(town.people()) == 1
    town.add(same[3:])
    assert len(town.people()) == 5
    town.add([], gone=["r3", "r4"])
    assert len(town.people()) == 1
    assert town.table("quarantine") == []


def test_changes_alone_are_refused_before_everything_was_resolved_or_under_other_rules(tmp_path: Path) -> None:
    town = Town(tmp_path)
    with pytest.raises(GuardTripped, match="nothing was resolved before"):
        town.add(BEN)
    town.resolve(BEN)
    town.rules = rules_of(tmp_path, RULES.replace("cap: 4", "cap: 5"))
    with pytest.raises(GuardTripped, match="rules are others"):
        town.add(ANNE)


def test_a_key_that_stands_twice_or_is_empty_stops_the_run(town: Town) -> None:
    with pytest.raises(GuardTripped, match=r"1 stand twice, 1 are empty") as stopped:
        town.resolve([*BEN, BEN[0], {"source": "shop"}])
    assert stopped.value.counts == {"doubled": 1, "blank": 1}


def test_a_run_that_fails_half_way_leaves_everything_as_it_was(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town.resolve([*ANNE, *BEN])
    before = town.table("clusters"), town.table("edges")
    reached = []

    def fail(*_: object, **__: object) -> None:
        reached.append(town)
        raise WarehouseError("the disk is full.")

    monkeypatch.setattr("cdp_platform.identity.tables.write_run", fail)
    with pytest.raises(WarehouseError):
        town.resolve(BEN)
    assert reached
    assert (town.table("clusters"), town.table("edges")) == before


def test_a_search_that_does_not_converge_writes_nothing(town: Town) -> None:
    town.connect = lambda session, links, table: connect_in_sql(session, links, table, most_passes=1)
    with pytest.raises(WarehouseError, match="not converged after 1 passes"):
        town.resolve(chained(200, 6))
    with town.warehouse.session("test") as session:
        assert session.columns("identity.identity_clusters") == {}


def test_a_rule_on_a_column_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    town = Town(tmp_path, rules_of(tmp_path, RULES.replace("phone: phone\n", "phone: phne\n")))
    with pytest.raises(ConfigError, match=r"rules\.yaml:\d+.*no column phne.*Did you mean `phone`"):
        town.resolve(BEN)


WITHIN_ONE = """
    records: {key: key, source: source}
    fields:
      email: email
      phone: phone
      name: name
    rules:
      - {name: email, match: {email: email}}
      - {name: phone, match: {phone: phone(TW)}, joins: false}
      - {name: name_of_one, match: {name: any_order}, within_one: email}
      - {name: initials_and_phone, match: {name: initials, phone: phone(TW)}}
"""


def test_a_name_joins_while_its_records_name_one_address(tmp_path: Path) -> None:
    town = Town(tmp_path, rules_of(tmp_path, WITHIN_ONE))
    mei = [record("a", name="Chen Mei", email="mei@x.example"), record("b", name="Mei Chen")]
    town.resolve(mei)
    assert town.people() == together("a b")
    town.add([record("c", name="CHEN, Mei", email="other@x.example")])
    assert town.people() == together("a", "b", "c")
    assert town.table("quarantine") == []
    town.add([], gone=["c"])
    assert town.people() == together("a b")


def test_a_rule_that_only_tells_apart_joins_nobody(tmp_path: Path) -> None:
    town = Town(tmp_path, rules_of(tmp_path, WITHIN_ONE))
    town.resolve([record("a", phone="0912345678"), record("b", phone="0912 345 678")])
    assert town.people() == together("a", "b")


def test_two_people_of_one_name_with_different_telephones_stay_two(tmp_path: Path) -> None:
    town = Town(tmp_path, rules_of(tmp_path, WITHIN_ONE))
    ming = [
        record("a", name="Wang Ming", phone="0912000001", email="a@x.example"),
        record("b", name="Wang Ming", phone="0912000002", email="b@x.example"),
    ]
    town.resolve(ming)
    assert town.people() == together("a", "b")
    town.resolve([ming[0], {**ming[1], "phone": "+886 912 000 001"}])
    assert town.people() == together("a b")


def test_names_and_telephones_meet_in_every_form_that_they_are_written_in(tmp_path: Path) -> None:
    rules = WITHIN_ONE + "      - {name: name_and_phone, match: {name: any_order, phone: phone(TW)}}\n"
    town = Town(tmp_path, rules_of(tmp_path, rules.replace("      - {name: name_of_one,", "      - {name: unused,")))
    town.resolve(
        record(key, name=name, phone=phone, email=f"{key}@x.example")
        for key, name, phone in [
            ("w1", "王 小明", "0912 000 001"),
            ("w2", "小明　王 先生", "+886-912-000-001"),
            ("w3", "王 小明", "０９１２０００００１"),
            ("s1", "さとう はなこ", "0912 000 002"),
            ("s2", "ハナコ サトウ", "886912000002"),
            ("s3", "ｻﾄｳ ﾊﾅｺ様", "(0912) 000-002"),
        ]
    )
    assert town.people() == together("w1 w2 w3", "s1 s2 s3")
