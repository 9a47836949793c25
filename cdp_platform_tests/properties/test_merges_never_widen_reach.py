"""A merge of profiles never widens who may be reached: permission is of the address, not of the person (G13).

People with up to four addresses answer several brands; then records that stood alone turn out to be one person, by
identity's own resolution. The addresses that an audience and a plan let through are those that were let through before,
or fewer.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from cdp_platform.audiences import definition as tree
from cdp_platform.audiences.catalogue import Catalogue, People, Relation
from cdp_platform.audiences.compile import compile_audience
from cdp_platform.domain.permission import ConsentPolicy, ConsentRule
from cdp_platform.domain.syncs import Connection, Consent, FieldMapping, Mode, SyncSpec
from cdp_platform.syncs.records import create_desired, encoded_fields
from cdp_platform_tests.unit.audiences.market import AS_OF
from cdp_platform_tests.unit.identity.town import RULES, Row, Town, record, rules_of

TOWNS = 1_000
BRANDS = ("shop", "cafe")
POLICY = ConsentPolicy(rules={"shop": {"email": ConsentRule.DOUBLE_OPT_IN}, "cafe": {"email": ConsentRule.OPT_IN}})
UNBOUNDED = RULES.replace("cap: 4", "cap: 9").replace("cap: 3", "cap: 9").replace("cluster: 6", "cluster: 99")
CATALOGUE = Catalogue(
    people=People(
        relation=Relation(schema="town", name="profiles"),
        person_key="profile_id",
        entity="entity",
        channels={"email": "email"},
    ),
    consents=Relation(schema="town", name="consents"),
    suppressions=Relation(schema="town", name="suppressions"),
    traits={},
    events={},
    policy=POLICY,
)


@dataclass(frozen=True, kw_only=True)
class Small:
    """One of the thousand: its records before and after two of them were found to be one person."""

    before: tuple[Row, ...]
    after: tuple[Row, ...]
    answers: tuple[tuple[str, str, str], ...]
    """Address, brand, answer."""
    suppressed: tuple[tuple[str, str | None], ...]


def small(number: int, chance: random.Random) -> Small:
    """Records with addresses and brands; the second version gives two of them one telephone number."""
    addresses = [f"a{place}@t{number}.example" for place in range(4)]
    records = [
        record(f"t{number}-r{place}", email=chance.choice(addresses), phone="", name=chance.choice(BRANDS))
        for place in range(chance.randint(2, 5))
    ]
    merged = [dict(one) for one in records]
    for one in chance.sample(merged, 2):
        one["phone"] = f"+8869{number:08}"
    answers = tuple(
        (address, brand, chance.choice(["granted", "confirmed", "withdrawn"]))
        for address in addresses
        for brand in BRANDS
        if chance.random() < 0.6
    )
    listed = tuple((one, chance.choice([None, *BRANDS])) for one in addresses if chance.random() < 0.15)
    return Small(before=tuple(records), after=tuple(merged), answers=answers, suppressed=listed)


def told(town: Town, smalls: list[Small]) -> None:
    """Write what was said, in whatever case people wrote it."""
    said = [(address.upper(), *rest) for one in smalls for address, *rest in one.answers]
    listed = [(f" {address}", brand) for one in smalls for address, brand in one.suppressed]
    with town.warehouse.session("test") as session:
        session.register("said", pa.table(dict(zip("iea", map(list, zip(*said, strict=True)), strict=True))))
        session.register("listed", pa.table(dict(zip("ie", map(list, zip(*listed, strict=True)), strict=True))))
        session.execute("create schema if not exists town")
        session.execute(
            "create or replace table town.consents as select i as identifier, e as entity, 'email' as channel,"
            " 'news' as purpose, a as status from said"
        )
        session.execute(
            "create or replace table town.suppressions as select i as identifier, 'email' as channel, e as entity from"
            " listed"
        )


def profiles(town: Town, records: list[Row], which: str) -> int:
    """One profile for each person and brand, addressed by one of all the person's addresses; the number of people.

    `which` says by the smallest or the largest of them. The brand of a record stands in its column `name`.
    """
    town.resolve([{**one, "name": ""} for one in records])
    brands = {one["key"]: one["name"] for one in records}
    with town.warehouse.session("test") as session:
        session.register("branded", pa.table({"key": list(brands), "entity": list(brands.values())}))
        session.execute(
            f"""create or replace table town.profiles as
            with linked as (
                select c.person_id, r.email from identity.identity_clusters as c
                join town.records as r on r.key = c.record_key
            ),
            addressed as (select person_id, {which}(email) as email from linked group by person_id)
            select distinct a.person_id || '/' || b.entity as profile_id, a.person_id, b.entity, a.email
            from addressed as a
            join identity.identity_clusters as c on c.person_id = a.person_id
            join branded as b on b.key = c.record_key"""
        )
        [found] = session.rows("select count(distinct person_id) as people from town.profiles")
    return int(found["people"])


def reached_by_audience(town: Town) -> set[tuple[str, str]]:
    """(brand, address) of everybody whom the consent of an audience lets through."""
    asked = tree.ConsentCondition(purpose="news", channel="email")
    compiled = compile_audience(tree.Definition(name="x", members=asked, version="1"), CATALOGUE, as_of=AS_OF)
    with town.warehouse.session("test") as session:
        rows = session.rows(
            f"select entity, email from town.profiles where profile_id in (select person_id from ({compiled.sql}) as"
            " judged where is_member)",
            dict(compiled.parameters),
        )
    return {(row["entity"], row["email"]) for row in rows}


def reached_by_plan(town: Town) -> set[tuple[str, str]]:
    """(brand, address) of everybody whom the plans of the brands' syncs let through."""
    found = set()
    dialect = town.warehouse.dialect
    for brand in BRANDS:
        with town.warehouse.session("test") as session:
            session.execute(
                f"create or replace table town.model as select * from town.profiles where entity = '{brand}'"
            )
            create_desired(session, dialect, spec_of(brand), encoded_fields(session, dialect, spec_of(brand)))
            rows = session.rows(
                "select m.email from desired join town.model as m on m.profile_id = desired.key"
                " where permission = 'granted'"
            )
        found |= {(brand, row["email"]) for row in rows}
    return found


def spec_of(brand: str) -> SyncSpec:
    return SyncSpec(
        name="x",
        source_model="model",
        relation="town.model",
        primary_key="profile_id",
        connection=Connection(name="fake", vendor="fake", entity=brand),
        object="contacts",
        mode=Mode.UPSERT,
        mapping=(FieldMapping(column="profile_id", field="id", match_key=True),),
        consent=Consent(
            entity=brand,
            purpose="news",
            channel="email",
            identifier_column="email",
            relation="town.consents",
            suppressions="town.suppressions",
            rule=POLICY.rule(brand, "email"),
        ),
    )


def permitted(smalls: list[Small]) -> set[tuple[str, str]]:
    """(brand, address) that may be reached at all, told by the answers alone: whatever is one person."""
    return set(_permitted(smalls))


def _permitted(smalls: list[Small]) -> Iterator[tuple[str, str]]:
    enough: Mapping[str, set[str]] = {"shop": {"confirmed"}, "cafe": {"granted", "confirmed"}}
    for one in smalls:
        listed = {(brand, address) for address, name in one.suppressed for brand in ([name] if name else BRANDS)}
        for address, brand, answer in one.answers:
            if answer in enough[brand] and (brand, address) not in listed:
                yield brand, address


@pytest.mark.parametrize("which", ["min", "max"])
def test_after_a_thousand_merges_nobody_is_reached_who_was_not_permitted_before(tmp_path: Path, which: str) -> None:
    chance = random.Random(20_171_225)
    smalls = [small(number, chance) for number in range(TOWNS)]
    town = Town(tmp_path, rules_of(tmp_path, UNBOUNDED))
    told(town, smalls)
    allowed = permitted(smalls)

    people_before = profiles(town, [row for one in smalls for row in one.before], which)
    before = reached_by_audience(town)
    assert before == reached_by_plan(town)

    people_after = profiles(town, [row for one in smalls for row in one.after], which)
    after = reached_by_audience(town)
    assert after == reached_by_plan(town)

    assert people_before - people_after > TOWNS / 2, "the merges must have happened"
    assert len(before) > TOWNS / 5 and len(after) > TOWNS / 5, "somebody must be reached, or nothing is shown"
    assert before <= allowed and after <= allowed
