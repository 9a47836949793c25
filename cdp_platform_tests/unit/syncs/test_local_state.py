"""`state: local`: the warehouse is PostgreSQL, and the platform's role may do nothing there but select."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cdp_platform.domain.costs import Cost
from cdp_platform.domain.home import Home
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.partitions import Partition, Partitioning
from cdp_platform.domain.syncs import FieldMapping, FieldType, MemberView, Mode, ReadBack, Removal
from cdp_platform.errors import ConfigError, WarehouseError
from cdp_platform.syncs.checkup import State, examine_warehouse
from cdp_platform.syncs.controls import approve
from cdp_platform.syncs.explain import explain
from cdp_platform.syncs.plan import make_plan
from cdp_platform.syncs.plan_files import plan_path
from cdp_platform.syncs.rejected import read_rejected
from cdp_platform.syncs.reset import adopt
from cdp_platform.syncs.revert import make_revert
from cdp_platform.syncs.status import read_status
from cdp_platform.warehouse.base import Dialect, Parameters, Reading, Row, Source, Warehouse, reading_of
from cdp_platform.warehouse.duckdb import DuckDbWarehouse
from cdp_platform.warehouse.local_state import LocalStateWarehouse
from cdp_platform_tests.unit.syncs.conftest import Person, Shop, on_crucible, on_fakesnow, person_of, spec_of

_ROLE = (
    """do $$ begin
        if not exists (select 1 from pg_roles where rolname = 'reader') then create role reader login; end if;
    end $$""",
    "alter role reader set default_transaction_read_only = on",
)
_GRANTS = (
    "revoke temporary on database shop from public",
    "revoke create on schema public from public",
    "grant usage on schema activation, marts to reader",
    "grant select on all tables in schema activation, marts to reader",
    "alter default privileges for role cdp in schema activation, marts grant select on tables to reader",
)


@dataclass
class Listening:
    """A source that counts what crosses, and that may be lost after some rows."""

    inner: Source
    rows: int = 0
    bytes: int = 0
    lost_after: int | None = None
    """Of the queries read in Arrow: how many are answered before the connection is gone."""
    queries: list[str] = field(default_factory=list)

    @property
    def dialect(self) -> Dialect:
        return self.inner.dialect

    @contextmanager
    def reading(self, purpose: str) -> Iterator[Reading]:
        with self.inner.reading(purpose) as reading:
            yield _ListeningReading(reading, self)

    def heard(self) -> tuple[int, int]:
        """Rows and bytes since it was asked last."""
        told, self.rows, self.bytes = (self.rows, self.bytes), 0, 0
        return told


@dataclass
class _ListeningReading:
    inner: Reading
    source: Listening

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        return self.inner.rows(sql, parameters)

    def columns(self, relation: str) -> dict[str, str]:
        return self.inner.columns(relation)

    def cost(self) -> Cost:
        return Cost(statements=len(self.source.queries))

    def batches(self, sql: str, parameters: Parameters = ()) -> Iterator[pa.RecordBatch]:
        self.source.queries.append(sql)
        for batch in self.inner.batches(sql, parameters):
            self.source.rows += batch.num_rows
            self.source.bytes += batch.nbytes
            yield batch
            if self.source.lost_after is not None and len(self.source.queries) > self.source.lost_after:
                raise WarehouseError("the warehouse refused a statement: connection lost")


class LocalShop(Shop):
    """A shop whose models are made by somebody else, in a database that the platform may only read."""

    def __init__(
        self, root: Path, owner: Warehouse, source: Source, run_there: Callable[[Sequence[str]], None]
    ) -> None:
        self.source = Listening(source)
        super().__init__(root, LocalStateWarehouse(state=DuckDbWarehouse(root / "state.duckdb"), source=self.source))
        self._owner = owner
        self._run_there = run_there
        self._is_granted = False

    def people(self, people: Sequence[Person]) -> None:
        ours, self.warehouse = self.warehouse, self._owner
        try:
            super().people(people)
        finally:
            self.warehouse = ours
        if not self._is_granted:
            self.owned(*_GRANTS)
        self._is_granted = True

    def owned(self, *statements: str) -> None:
        """Run statements of PostgreSQL's own SQL as the warehouse's owner."""
        self._run_there(statements)

    def there(self, sql: str) -> list[Row]:
        """Run a statement as the warehouse's owner."""
        with self._owner.session("owner") as session:
            return session.rows(sql)


@pytest.fixture
def shop(tmp_path: Path, postgres: Any) -> Iterator[LocalShop]:
    from cdp_platform.warehouse.postgres import PostgresWarehouse

    owned = postgres.emptied()
    for statement in _ROLE:
        postgres.run(statement)
    with (
        closing(PostgresWarehouse(owned, wait_seconds=5)) as owner,
        closing(PostgresWarehouse(owned.replace("user=cdp", "user=reader"), wait_seconds=5)) as reader,
    ):
        yield LocalShop(tmp_path / "home", owner, reader, postgres.run_in_shop)


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow) for name in ("snowflake", "bigquery")])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalShop]:
    """A shop on an emulator, where nobody holds the platform's user back."""
    for warehouse in on_fakesnow(request) if request.param == "snowflake" else on_crucible(request):
        assert isinstance(warehouse, Source)
        yield LocalShop(tmp_path / "home", warehouse, warehouse, lambda statements: None)


def test_the_warehouses_of_the_vendors_can_be_only_read_too(elsewhere: LocalShop) -> None:
    shop = elsewhere
    shop.people([person_of(1), person_of(2), person_of(3, permission=None)])
    assert shop.run().counts == Counts(planned=3, delivered=2, skipped=1)
    assert shop.records("lifetime_value") == {"p-001": "10.00", "p-002": "10.00"}
    shop.source.queries.clear()
    assert shop.run().counts == Counts(planned=1, skipped=1)
    assert len(shop.source.queries) == 1
    shop.people([person_of(1, segment="lapsed"), person_of(2, permission="withdrawn"), person_of(4)])
    assert shop.run().counts == Counts(planned=3, delivered=3)
    assert shop.records("segment")["p-001"] == "lapsed"


def test_rows_are_delivered_from_a_database_in_which_nothing_may_be_written(shop: LocalShop) -> None:
    shop.people([person_of(1), person_of(2), person_of(3, permission=None)])
    schemas = shop.there("select nspname as name from pg_namespace order by nspname")
    assert shop.run().counts == Counts(planned=3, delivered=2, skipped=1)
    assert shop.records("lifetime_value") == {"p-001": "10.00", "p-002": "10.00"}
    assert shop.there("select nspname as name from pg_namespace order by nspname") == schemas


def test_the_role_of_these_tests_may_make_nothing(shop: LocalShop) -> None:
    shop.people([person_of(1)])
    with shop.source.inner.reading("test") as reading:
        assert len(reading.rows("select * from activation.sync_contacts__crm")) == 1
    for statement in ("create temporary table t (n integer)", "delete from activation.sync_contacts__crm"):
        with pytest.raises(WarehouseError, match=r"permission|read-only"), shop.source.inner.reading("test") as reading:
            reading.rows(statement)


def test_a_second_plan_changes_nothing_and_asks_for_no_value(shop: LocalShop) -> None:
    shop.people([person_of(1), person_of(2, lifetime_value="7.5"), person_of(3, permission=None)])
    shop.run()
    shop.source.queries.clear()
    plan = shop.plan()
    assert shop.send(plan).counts == Counts(planned=1, skipped=1)
    # Each row's key and hash; of the consents and suppressions only their number and the sum of their hashes.
    assert len(shop.source.queries) == 1
    assert plan.cost == Cost(statements=1)


def test_changed_new_and_withdrawn_rows_are_told(shop: LocalShop) -> None:
    shop.people([person_of(1), person_of(2), person_of(3), person_of(4)])
    shop.run()
    shop.people(
        [
            person_of(1, segment="lapsed"),
            person_of(2, permission="withdrawn"),
            person_of(3),
            person_of(5),
        ]
    )
    plan = shop.plan()
    assert plan.operations == {"update": 1, "create": 1, "withdraw": 1}
    assert shop.send(plan).counts == Counts(planned=3, delivered=3)
    assert shop.records("segment")["p-001"] == "lapsed"
    assert shop.records("email_permission")["p-002"] == "withdrawn"


def test_a_mirror_removes_who_left_the_model_or_lost_the_permission(shop: LocalShop) -> None:
    shop.spec = spec_of(mode=Mode.MIRROR, removal=Removal.DELETE)
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(1)])
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert set(shop.account.records) == {"p-001"}


def test_an_event_is_sent_once(shop: LocalShop) -> None:
    shop.spec = spec_of(mode=Mode.APPEND)
    shop.people([person_of(1)])
    assert shop.run().counts.delivered == 1
    shop.people([person_of(1, segment="lapsed"), person_of(2)])
    assert shop.run().counts == Counts(planned=1, delivered=1)


def test_a_value_that_does_not_fit_is_left_out_and_sent_once_it_does(shop: LocalShop) -> None:
    shop.people([person_of(1, lifetime_value="9999999999.00"), person_of(2)])
    shop.there("alter table activation.sync_contacts__crm alter column lifetime_value type numeric(20,4)")
    shop.there("update activation.sync_contacts__crm set lifetime_value = 99999999999 where person_id = 'p-001'")
    plan = shop.plan()
    assert plan.skipped == {"invalid_value": 1}
    assert shop.send(plan).counts.delivered == 1
    shop.people([person_of(1), person_of(2)])
    assert shop.run().counts.delivered == 1


def test_who_may_not_be_written_to_leaves_no_value_in_the_file(shop: LocalShop) -> None:
    shop.people([person_of(1), person_of(2, permission=None)])
    shop.run()
    rows = shop.sql("select person_id, segment from activation.sync_contacts__crm order by all")
    assert rows == [{"person_id": "p-001", "segment": "loyal"}, {"person_id": "p-002", "segment": None}]
    shop.people([person_of(1), person_of(2)])
    assert shop.run().counts == Counts(planned=1, delivered=1)
    assert shop.records("segment")["p-002"] == "loyal"


@pytest.mark.parametrize(("permitted", "others"), [(3, 1), (1, 3)])
def test_where_all_rows_cross_at_once_only_the_values_of_who_may_be_written_to_stay(
    shop: LocalShop, monkeypatch: pytest.MonkeyPatch, permitted: int, others: int
) -> None:
    monkeypatch.setattr("cdp_platform.syncs.bringing._KEYS_AT_ONCE", 0)
    people = [person_of(number) for number in range(1, permitted + 1)]
    shop.people(
        people + [person_of(number, permission=None) for number in range(permitted + 1, permitted + others + 1)]
    )
    assert shop.run().counts.delivered == permitted
    assert not any(" in (" in query for query in shop.source.queries)
    rows = shop.sql("select segment from activation.sync_contacts__crm order by person_id")
    assert [row["segment"] for row in rows] == ["loyal"] * permitted + [None] * others


@pytest.mark.parametrize("lost", ["delete from {0} where {1}", "update {0} set status = 'withdrawn' where {1}"])
def test_who_loses_the_permission_has_the_values_taken_out_by_the_next_plan(shop: LocalShop, lost: str) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.there(lost.format("marts.consents", "identifier = 'person2@example.com'"))
    shop.plan()
    rows = shop.sql("select person_id, segment, lifetime_value from activation.sync_contacts__crm order by all")
    assert [(row["person_id"], row["segment"]) for row in rows] == [("p-001", "loyal"), ("p-002", None)]
    assert rows[0]["lifetime_value"] is not None and rows[1]["lifetime_value"] is None
    shop.source.heard()
    shop.plan()
    assert shop.source.heard()[0] == 2, "a row without its values is not asked for again and again"
    shop.people([person_of(1), person_of(2)])
    shop.plan()
    [again] = shop.sql("select segment from activation.sync_contacts__crm where person_id = 'p-002'")
    assert again == {"segment": "loyal"}


def test_a_permission_that_was_withdrawn_since_the_plan_is_read_before_the_request(shop: LocalShop) -> None:
    shop.people([person_of(1), person_of(2)])
    plan = shop.plan()
    shop.there("update marts.consents set status = 'withdrawn' where identifier = 'person2@example.com'")
    assert shop.send(plan).counts == Counts(planned=2, delivered=1, skipped=1)
    assert set(shop.account.records) == {"p-001"}


def test_a_suppression_counts_that_was_made_since_the_plan(shop: LocalShop) -> None:
    shop.people([person_of(1), person_of(2)])
    plan = shop.plan()
    shop.there("insert into marts.suppressions values ('PERSON2@example.com ', 'email', null)")
    assert shop.send(plan).counts == Counts(planned=2, delivered=1, skipped=1)


def test_what_crosses_is_a_key_and_a_hash_a_row_and_the_values_of_what_changed(shop: LocalShop) -> None:
    shop.spec = spec_of(consent=None)
    shop.people([])
    shop.there(
        "insert into activation.sync_contacts__crm select 'p-' || n, 'Person' || n || '@example.com', 'granted',"
        " repeat('segment ', 50), 1.5 from generate_series(1, 3000) as numbers(n)"
    )
    assert shop.plan().to_send == 3000
    first_rows, first_bytes = shop.source.heard()
    assert first_rows == 2 * 3000
    assert shop.plan().to_send == 3000
    rows, size = shop.source.heard()
    assert rows == 3000
    assert size < 40 * 3000 < first_bytes / 10
    shop.there("update activation.sync_contacts__crm set lifetime_value = 2 where person_id in ('p-7', 'p-8')")
    shop.plan()
    again_rows, again_size = shop.source.heard()
    assert again_rows == 3002
    assert again_size < size + 2 * 1_000


def test_many_changes_are_read_by_key_in_chunks_of_bounded_size(
    shop: LocalShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdp_platform.syncs.bringing._KEYS_AT_ONCE", 2)
    shop.people([person_of(number) for number in range(1, 31)])
    shop.run()
    shop.source.queries.clear()
    shop.people([person_of(number, segment="new" if number <= 3 else "loyal") for number in range(1, 31)])
    assert shop.run().counts == Counts(planned=3, delivered=3)
    assert [query.count("?") for query in shop.source.queries if " in (" in query] == [2, 1]


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_a_source_that_is_lost_while_it_is_read_leaves_nothing_half_planned(shop: LocalShop, answered: int) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.there("insert into marts.suppressions values ('nobody@example.com', 'email', null)")
    shop.run()
    shop.people([person_of(1, segment="lapsed"), person_of(3)])
    shop.source.queries.clear()
    shop.source.lost_after = answered
    with pytest.raises(WarehouseError, match="lost"):
        shop.plan()
    # Something crossed before the fault, and the copy is still that of the plan before.
    assert len(shop.source.queries) == answered + 1
    assert shop.source.rows > 0
    assert shop.sql("select segment from activation.sync_contacts__crm where person_id = 'p-001'") == [
        {"segment": "loyal"}
    ]
    shop.source.lost_after = None
    assert shop.run().counts == Counts(planned=2, delivered=2)


_TYPES: Mapping[str, tuple[str, str, object]] = {
    "whole": ("bigint", "9007199254740993", 9007199254740993),
    "number": ("numeric", "12.345", "12.35"),
    "double": ("double precision", "0.1", "0.10"),
    "day": ("date", "'2017-12-25'", "2017-12-25"),
    "moment": ("timestamptz", "'2017-12-25 08:00:00.123456+08'", "2017-12-25T00:00:00.123456Z"),
    "local": ("timestamp", "'2017-12-25 08:00:00'", "2017-12-25T08:00:00.000000Z"),
    "yes": ("boolean", "true", True),
    "padded": ("char(5)", "'ab'", "ab"),
    "named": ("uuid", "'6f1c1c2e-0000-4000-8000-000000000001'", "6f1c1c2e-0000-4000-8000-000000000001"),
    "document": ("jsonb", """'{"a": [1]}'""", '{"a": [1]}'),
    "said": ("text", "E'e\\u0301 \\\\ 王'", "é \\ 王"),
    "nothing": ("text", "null", None),
}
"""By column: its type in PostgreSQL, a value in its SQL, and what is sent."""
_DECLARED = {"number": "decimal(12,2)", "double": "decimal(12,2)", "document": "text"}


def test_each_type_of_a_column_is_sent_as_from_an_embedded_warehouse(shop: LocalShop) -> None:
    shop.people([])
    columns = ", ".join(f"{name} {kind}" for name, (kind, _, _) in _TYPES.items())
    values = ", ".join(value for _, value, _ in _TYPES.values())
    shop.owned(
        f"create table activation.typed (id uuid, {columns})",
        f"insert into activation.typed values ('6f1c1c2e-0000-4000-8000-000000000002', {values})",
        "grant select on activation.typed to reader",
    )
    types = {name: FieldType.parse(declared) for name, declared in _DECLARED.items()}
    mapping = [FieldMapping(column=name, field=name, type=types.get(name)) for name in _TYPES]
    key = FieldMapping(column="id", field="cdp_person_id", match_key=True)
    shop.spec = spec_of(relation="activation.typed", primary_key="id", consent=None, mapping=(key, *mapping))
    plan = shop.plan()
    [row] = pq.read_table(plan_path(shop.home, plan.sync, plan.digest)).to_pylist()
    sent = json.loads(row["payload"])
    assert {name: sent[name] for name in _TYPES} == {name: told for name, (_, _, told) in _TYPES.items()}
    shop.source.queries.clear()
    assert (shop.plan().to_send, len(shop.source.queries)) == (1, 1)


def test_times_without_an_end_and_numbers_that_are_none_are_left_out(shop: LocalShop) -> None:
    shop.people([])
    shop.owned(
        "create table activation.typed (id text, day date, moment timestamptz, number double precision)",
        "insert into activation.typed values ('a', 'infinity', null, null), ('b', null, '-infinity', null),"
        " ('c', null, null, 'NaN'), ('d', '0044-03-15 BC', null, null), ('e', '2017-12-25', null, 1.5)",
    )
    mapping = [FieldMapping(column=name, field=name) for name in ("day", "moment")]
    mapping.append(FieldMapping(column="number", field="number", type=FieldType.parse("decimal(12,2)")))
    key = FieldMapping(column="id", field="cdp_person_id", match_key=True)
    shop.spec = spec_of(relation="activation.typed", primary_key="id", consent=None, mapping=(key, *mapping))
    plan = shop.plan()
    assert (plan.skipped, plan.to_send) == ({"invalid_value": 4}, 1)


def test_a_number_without_digits_needs_a_declared_type(shop: LocalShop) -> None:
    shop.people([person_of(1)])
    shop.owned("alter table activation.sync_contacts__crm alter column lifetime_value type numeric")
    shop.spec = spec_of(mapping=(shop.spec.match_key, FieldMapping(column="lifetime_value", field="lifetime_value")))
    with pytest.raises(ConfigError, match="no exact text"):
        shop.plan()


def test_keys_that_are_doubled_or_missing_stop_the_plan(shop: LocalShop) -> None:
    shop.people([person_of(1), person_of(1, email="Other@example.com", permission=None), person_of(2)])
    shop.there("insert into activation.sync_contacts__crm values (null, 'Nobody@example.com', 'granted', 'x', 1)")
    for _ in range(2):
        failed = {verdict.code for verdict in shop.plan().verdicts if not verdict.passed}
        assert {"keys_unique", "keys_present"} <= failed
    assert shop.sql("select count(*) as n from activation.sync_contacts__crm") == [{"n": 4}]


def test_a_sync_that_maps_another_column_reads_it_of_every_row(shop: LocalShop) -> None:
    shop.people([person_of(1), person_of(2)])
    whole = shop.spec
    shop.spec = replace(whole, mapping=tuple(entry for entry in whole.mapping if entry.field != "segment"))
    shop.run()
    assert "segment" not in shop.sql("select * from activation.sync_contacts__crm limit 1")[0]
    shop.spec = whole
    assert shop.run().counts == Counts(planned=2, delivered=2)
    assert shop.records("segment") == {"p-001": "loyal", "p-002": "loyal"}


def test_two_syncs_of_one_model_keep_each_what_it_sends(shop: LocalShop) -> None:
    shop.people([person_of(1)])
    shop.run()
    one, other = shop.spec, spec_of(name="crm_mail", mapping=shop.spec.mapping[:2])
    shop.spec = other
    shop.plan()
    shop.spec = one
    shop.people([person_of(1, segment="lapsed")])
    assert shop.run().counts == Counts(planned=1, delivered=1)


def test_a_rejected_row_is_kept_and_explained(shop: LocalShop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.session.reject("p-001")
    assert shop.run().counts == Counts(planned=2, delivered=1, rejected=1)
    [rejected] = read_rejected(shop.warehouse, shop.spec)
    assert (rejected.key, explain(shop.warehouse, shop.spec, "p-001").reason) == ("p-001", "rejected")
    assert explain(shop.warehouse, shop.spec, "p-002").is_content_known
    [status] = read_status(shop.engine.journal, shop.warehouse)
    assert (status.delivered, status.rejected) == (1, 1)


def test_the_present_rows_may_be_taken_as_delivered(shop: LocalShop) -> None:
    shop.people([person_of(1), person_of(2)])
    assert adopt(shop.engine, shop.spec) == 2
    assert shop.run().counts == Counts()


def test_a_run_can_be_taken_back(shop: LocalShop) -> None:
    shop.people([person_of(1), person_of(2)])
    shop.run()
    shop.people([person_of(1, segment="lapsed"), person_of(2)])
    shop.run()
    plan = make_revert(shop.engine, shop.spec, "run-2", run_id="run-3")
    approve(shop.engine.journal, plan.sync, plan.digest, approved_by="olive")
    assert shop.send(plan).counts == Counts(planned=1, delivered=1)
    assert shop.records("segment") == {"p-001": "loyal", "p-002": "loyal"}


def test_the_columns_that_cut_a_model_are_read_of_every_row(shop: LocalShop) -> None:
    shop.people([person_of(1), person_of(2, segment="new"), person_of(3, segment="odd", permission=None)])
    cut = Partitioning(split_column="segment", split_values=("loyal", "new"))
    shop.spec = spec_of(partitioning=cut, mapping=shop.spec.mapping[:3])
    plan = make_plan(shop.engine, shop.spec, run_id="run-1", partition=Partition(value="new"))
    assert (plan.to_send, plan.model_rows, plan.outside_rows) == (1, 1, 1)


def test_whoever_watches_a_model_sees_it_as_it_is_there(shop: LocalShop) -> None:
    shop.people([person_of(1)])
    shop.plan()
    shop.people([person_of(1), person_of(2)])
    with reading_of(shop.warehouse, "watching a table") as reading:
        assert len(reading.rows("select * from activation.sync_contacts__crm")) == 2


def test_the_doctor_names_what_cannot_be_read(shop: LocalShop) -> None:
    shop.people([person_of(1)])
    relations = [shop.spec.relation, "marts.consents"]
    look = partial(examine_warehouse, Home(root=shop.home.root, warehouse_kind="theirs"), shop.warehouse)
    assert [(found.subject, found.state) for found in look(relations)] == [
        ("source", State.FINE),
        ("warehouse", State.FINE),
    ]
    shop.owned("revoke select on marts.consents from reader")
    [source, _] = look(relations)
    assert (source.state, "consents" in source.told) == (State.WRONG, True)
    [source, _] = look(["marts.nothing"])
    assert (source.state, "marts.nothing" in source.told) == (State.WRONG, True)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"view": MemberView(members="audiences.loyal", tables=())}, "an audience"),
        ({"read_back": ReadBack(relation="raw.contacts", key="id")}, "policies of fields"),
        ({"key_moves": "identity.identity_merges"}, "keys that move"),
    ],
)
def test_what_cannot_work_this_way_is_named_before_anything_is_read(
    shop: LocalShop, changes: dict[str, Any], told: str
) -> None:
    shop.people([person_of(1)])
    shop.spec = spec_of(**changes)
    with pytest.raises(ConfigError, match=told):
        shop.plan()
    assert shop.source.queries == []


def test_a_model_or_column_that_is_not_there_is_named(shop: LocalShop) -> None:
    with pytest.raises(ConfigError, match="not in the warehouse"):
        shop.plan()
    shop.people([person_of(1)])
    consent = shop.spec.consent
    assert consent is not None
    shop.spec = spec_of(consent=replace(consent, identifier_column="mail"))
    with pytest.raises(ConfigError, match="no column `mail`"):
        shop.plan()
