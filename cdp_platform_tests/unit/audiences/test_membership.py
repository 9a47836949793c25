"""Members as of a day: who entered, who left, kept apart by day, and the same when a day is run again."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from cdp_platform.audiences.compile import compile_audience
from cdp_platform.audiences.membership import compare, standings, stored_definition
from cdp_platform.errors import CdpError, WarehouseError
from cdp_platform_tests.unit.audiences.conftest import CATALOGUE, NEXT_DAY, Shop, spenders
from cdp_platform_tests.unit.audiences.market import AS_OF

HISTORY = (
    "select person_id, entered_on, left_on, entered_version, left_version from audiences.audience_membership_history"
)


def test_the_first_day_is_the_baseline_and_the_next_one_counts_who_came_and_went(shop: Shop) -> None:
    shop.spent(stays=20, leaves=20, enters=0)
    first = shop.run(spenders())
    shop.spent(stays=20, leaves=0, enters=20)
    second = shop.run(spenders(), NEXT_DAY)
    assert (first.sizes.members, first.entered, first.left) == (2, None, None)
    assert (second.sizes.members, second.entered, second.left) == (2, 1, 1)
    assert shop.members() == {"stays", "enters"}
    assert set(shop.rows(HISTORY)) == {
        ("stays", AS_OF, None, "at_least_10", None),
        ("leaves", AS_OF, NEXT_DAY, "at_least_10", "at_least_10"),
        ("enters", NEXT_DAY, None, "at_least_10", None),
    }
    assert second.history == ((AS_OF, 2), (NEXT_DAY, 2))


def test_a_day_that_is_run_again_gives_the_same_tables(shop: Shop) -> None:
    shop.spent(stays=20, leaves=20, enters=0)
    shop.run(spenders(holdout_share=0.5))
    shop.spent(stays=20, leaves=0, enters=20)
    first = shop.run(spenders(holdout_share=0.5), NEXT_DAY)
    once = shop.everything()
    again = shop.run(spenders(holdout_share=0.5), NEXT_DAY)
    assert shop.everything() == once
    assert (again.entered, again.left) == (first.entered, first.left) == (1, 1)


def test_a_day_that_is_run_again_on_corrected_data_undoes_what_it_wrote_first(shop: Shop) -> None:
    shop.spent(one=20, two=0)
    shop.run(spenders())
    shop.spent(one=0, two=20)
    shop.run(spenders(), NEXT_DAY)
    shop.spent(one=20, two=0)
    corrected = shop.run(spenders(), NEXT_DAY)
    assert (corrected.entered, corrected.left) == (0, 0)
    assert shop.rows(HISTORY) == [("one", AS_OF, None, "at_least_10", None)]


def test_who_comes_back_has_two_memberships(shop: Shop) -> None:
    for day, amount in enumerate((20, 0, 20)):
        shop.spent(one=amount)
        shop.run(spenders(), AS_OF + timedelta(days=day))
    spans = shop.rows("select entered_on, left_on from audiences.audience_membership_history order by entered_on")
    assert spans == [(AS_OF, NEXT_DAY), (AS_OF + timedelta(days=2), None)]


def test_an_older_day_than_the_newest_is_refused(shop: Shop) -> None:
    shop.spent(one=20)
    shop.run(spenders(), NEXT_DAY)
    before = shop.everything()
    with pytest.raises(CdpError, match=f"stands as of {NEXT_DAY} already"):
        shop.run(spenders(), AS_OF)
    assert shop.everything() == before


def test_an_empty_audience_is_kept_as_one_without_members(shop: Shop) -> None:
    shop.spent(one=20)
    shop.run(spenders())
    shop.spent(one=0)
    taken = shop.run(spenders(), NEXT_DAY)
    assert (taken.sizes.members, taken.left) == (0, 1)
    assert shop.members() == set()
    assert shop.rows("select member_count from audiences.audience_sizes order by as_of_on") == [(1,), (0,)]


def test_a_failure_while_writing_leaves_the_day_before_as_it_was(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.spent(one=20, two=0)
    shop.run(spenders())
    shop.spent(one=0, two=20)
    before = shop.everything()
    execute, seen = shop.session.execute, []

    def failing(sql: str, parameters: Any = ()) -> None:
        seen.append(sql)
        if "insert into audiences.audience_sizes" in sql:
            assert shop.rows("select person_id from audiences.audience_members") == [("two",)]
            raise WarehouseError("the disk is full")
        execute(sql, parameters)

    monkeypatch.setattr(shop.session, "execute", failing)
    with pytest.raises(WarehouseError):
        shop.run(spenders(), NEXT_DAY)
    assert any("insert into audiences.audience_membership_history" in sql for sql in seen)
    assert shop.everything() == before


def test_a_changed_definition_shows_what_it_alone_has_done(shop: Shop) -> None:
    shop.spent(low=12, middle=20, high=40)
    shop.run(spenders(10))
    shop.spent(low=0, middle=20, high=40)
    taken = shop.run(spenders(30), NEXT_DAY, before=spenders(10))
    assert taken.change is not None
    assert (taken.change.gained, taken.change.lost) == (0, 1)
    assert taken.left == 2
    left = shop.rows("select person_id, entered_version, left_version from audiences.audience_membership_history"
                     " where left_on is not null order by 1")  # fmt: skip
    assert left == [("low", "at_least_10", "at_least_30"), ("middle", "at_least_10", "at_least_30")]


def test_a_comparison_names_whom_another_definition_would_gain_and_lose_and_writes_nothing(shop: Shop) -> None:
    shop.spent(low=12, middle=20, high=40)
    shop.run(spenders(15))
    before = shop.everything()
    new = compile_audience(spenders(10), CATALOGUE, as_of=AS_OF)
    old = compile_audience(spenders(15), CATALOGUE, as_of=AS_OF, after=len(new.parameters))
    wider = compare(shop.session, new, old, examples=5)
    assert (wider.gained, wider.gained_keys, wider.lost, wider.lost_keys) == (1, ("low",), 0, ())
    assert compare(shop.session, new, old, examples=0).gained_keys == ()
    assert shop.everything() == before


def test_the_newest_definition_is_kept_with_its_size(shop: Shop) -> None:
    shop.spent(one=20)
    assert stored_definition(shop.session, "spenders") is None
    assert standings(shop.session) == {}
    shop.run(spenders(10))
    shop.run(replace(spenders(15), document='{"new": 1}'), NEXT_DAY)
    assert stored_definition(shop.session, "spenders") == ("at_least_15", '{"new": 1}')
    standing = standings(shop.session)["spenders"]
    assert (standing.as_of, standing.version, standing.members) == (NEXT_DAY, "at_least_15", 1)


def arms(shop: Shop) -> dict[str, str]:
    sql = "select person_id, arm from audiences.audience_assignments where ended_on is null"
    return dict(shop.rows(sql))


def test_about_the_declared_share_is_held_out_and_syncs_do_not_see_them(shop: Shop) -> None:
    shop.session.execute("create schema marts")
    shop.session.execute(
        "create table marts.people as select 'p' || i as person_id, 'us' as entity from range(4000) t(i)"
    )
    shop.session.execute("create table marts.traits as select person_id, 20 as spent from marts.people")
    taken = shop.run(spenders(holdout_share=0.1))
    assert 330 < taken.held_out < 470
    assert len(shop.members()) == 4000 - taken.held_out
    assert taken.sizes.members == 4000


def test_a_share_that_is_changed_on_the_way_keeps_the_arms_that_were_given(shop: Shop) -> None:
    shop.spent(**{f"p{number}": 20 for number in range(60)})
    shop.run(spenders(holdout_share=0.2))
    first = arms(shop)
    shop.spent(**{f"p{number}": 20 for number in range(120)})
    shop.run(spenders(holdout_share=0.8), NEXT_DAY)
    second = arms(shop)
    assert {person: second[person] for person in first} == first
    newcomers = [arm for person, arm in second.items() if person not in first]
    assert 0 < [*first.values()].count("held_out") < 25
    assert newcomers.count("held_out") > 35


def test_who_leaves_and_comes_back_keeps_the_arm(shop: Shop) -> None:
    people = {f"p{number}": 20 for number in range(20)}
    shop.spent(**people)
    shop.run(spenders(holdout_share=0.5))
    first = arms(shop)
    shop.spent(**dict.fromkeys(people, 0))
    shop.run(spenders(holdout_share=0.5), NEXT_DAY)
    shop.spent(**people)
    shop.run(spenders(holdout_share=0.01), NEXT_DAY + timedelta(days=1))
    assert {"held_out", "reached"} == set(first.values())
    assert arms(shop) == first


def test_a_holdout_that_is_given_up_ends_and_is_kept_in_the_log(shop: Shop) -> None:
    people = {f"p{number}": 20 for number in range(20)}
    shop.spent(**people)
    assert shop.run(spenders(holdout_share=0.5)).held_out > 0
    assert shop.run(spenders(), NEXT_DAY).held_out == 0
    assert shop.members() == set(people)
    assert shop.rows("select distinct ended_on from audiences.audience_assignments") == [(NEXT_DAY,)]


def test_two_audiences_draw_their_holdouts_apart(shop: Shop) -> None:
    shop.spent(**{f"p{number}": 20 for number in range(60)})
    shop.run(spenders(holdout_share=0.5))
    shop.run(spenders(name="others", holdout_share=0.5))
    held = "select person_id from audiences.audience_members where is_held_out and audience = "
    drawn = {audience: set(shop.rows(f"{held}'{audience}'")) for audience in ("spenders", "others")}
    assert drawn["spenders"] and drawn["spenders"] != drawn["others"]


def test_an_audience_that_comes_first_takes_its_members_and_overlaps_are_counted(shop: Shop) -> None:
    shop.spent(rich=100, fair=20)
    shop.run(spenders(50, name="rich_ones"))
    taken = shop.run(spenders(10, yields_to=("rich_ones",)))
    assert shop.members() == {"fair"}
    assert shop.run(spenders(10, name="all_of_them")).overlaps == {"rich_ones": 1, "spenders": 1}
    assert [(one.met, one.still, one.without) for one in taken.sizes.conditions][1:3] == [(2, 2, 1), (1, 1, 2)]


@pytest.mark.parametrize("day_of_the_other", [None, AS_OF - timedelta(days=1)])
def test_an_audience_whose_asked_one_was_not_computed_for_the_day_is_refused(
    shop: Shop, day_of_the_other: date | None
) -> None:
    """Without members it would look like one that nobody is in, and `not` of it like everybody."""
    shop.spent(one=20)
    if day_of_the_other:
        shop.run(spenders(name="first"), day_of_the_other)
    with pytest.raises(CdpError, match="Materialize audiences/first first"):
        shop.run(spenders(yields_to=("first",)))
    assert "spenders" not in standings(shop.session)


def test_keys_that_are_numbers_are_kept_as_text(shop: Shop) -> None:
    shop.session.execute("create schema marts")
    shop.session.execute("create table marts.people as select i as person_id, 'us' as entity from range(3) t(i)")
    shop.session.execute("create table marts.traits as select person_id, 20 as spent from marts.people")
    shop.run(spenders(name="first", holdout_share=0.5))
    shop.run(spenders(yields_to=("first",)))
    assert {row[0] for row in shop.rows("select person_id from audiences.audience_members")} == {"0", "1", "2"}
    assert shop.members() == set()
