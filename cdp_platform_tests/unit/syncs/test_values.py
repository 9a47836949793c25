"""What becomes of odd values: each type has a rule, and a value that breaks it leaves out its row, never the run."""

import json
from dataclasses import replace

import pytest

from cdp_platform.connectors.protocol import DestinationField, Request
from cdp_platform.domain.outcomes import Counts
from cdp_platform.domain.syncs import FieldKind, FieldMapping, FieldType, FirstRun
from cdp_platform.errors import ConfigError, Refused
from cdp_platform.testing.warehouse_values import ENCODED, LONG, MISFITS
from cdp_platform_tests.unit.syncs.conftest import Shop, person_of

OWN = {"varchar": "text", "bigint": "integer", "date": "date", "timestamp": "timestamp", "timestamptz": "timestamp"}
"""What a column without a declared type is sent as."""
BEYOND = [("'infinity'", "date", None), ("'0044-03-15 (BC)'", "date", None), ("'infinity'", "timestamp", None)]
"""Times that no destination has, as MISFITS of columns without a declared type."""


def give_value(shop: Shop, sql: str, *, column: str, declared: str | None) -> None:
    """Two people: the first with this value, the second without one; the field `lifetime_value` is mapped to it."""
    shop.people([person_of(1), person_of(2)])
    shop.sql(f"alter table activation.sync_contacts__crm add column odd {column}")
    shop.sql(f"update activation.sync_contacts__crm set odd = {sql} where person_id = 'p-001'")
    odd = FieldMapping(
        column="odd", field="lifetime_value", type=FieldType.parse(declared) if declared else None, personal=False
    )
    shop.spec = replace(shop.spec, mapping=(*shop.spec.mapping[:4], odd))


@pytest.mark.parametrize(("sql", "column", "declared"), [*MISFITS, *BEYOND])
def test_a_value_that_its_type_cannot_hold_leaves_out_its_row_alone(
    shop: Shop, sql: str, column: str, declared: str | None
) -> None:
    give_value(shop, sql, column=column, declared=declared)
    record = shop.run()
    assert record.counts == Counts(planned=2, delivered=1, skipped=1)
    assert record.skipped_reasons == {"invalid_value": 1}
    assert list(shop.account.records) == ["p-002"]


@pytest.mark.duckdb_only
@pytest.mark.parametrize(
    ("sql", "column", "counts"),
    [
        ("'before' || chr(0) || 'after'", "varchar", Counts(planned=2, delivered=1, skipped=1)),
        ("170141183460469231731687303715884105727", "hugeint", Counts(planned=2, delivered=2)),
    ],
)
def test_what_only_duckdb_holds_is_left_out_or_sent_like_the_rest(
    shop: Shop, sql: str, column: str, counts: Counts
) -> None:
    give_value(shop, sql, column=column, declared=None)
    assert shop.run().counts == counts


def test_each_value_is_sent_as_the_rule_of_its_type_says(shop: Shop) -> None:
    shop.people([person_of(1)])
    told = ", ".join(f"cast({sql} as {column}) as odd_{place}" for place, (sql, column, *_) in enumerate(ENCODED))
    shop.sql("create table activation.persons as select * from activation.sync_contacts__crm")
    shop.sql("drop table activation.sync_contacts__crm")
    shop.sql(f"create table activation.sync_contacts__crm as select *, {told} from activation.persons")
    odd = [
        FieldMapping(column=f"odd_{place}", field=f"odd_{place}", type=type_of(column, declared), personal=False)
        for place, (_, column, declared, _) in enumerate(ENCODED)
    ]
    shop.account.fields += tuple(DestinationField(name=entry.field, kind=FieldKind.TEXT) for entry in odd)
    shop.spec = replace(shop.spec, mapping=(*shop.spec.mapping, *odd))
    assert shop.run().counts == Counts(planned=1, delivered=1)
    sent = [shop.records(entry.field)["p-001"] for entry in odd]
    assert list(zip(ENCODED, sent, strict=True)) == [(given, given[-1]) for given in ENCODED]


def type_of(column: str, declared: str) -> FieldType | None:
    """The declared type; none where it is the column's own."""
    return None if OWN.get(column) == declared else FieldType.parse(declared)


@pytest.mark.parametrize(("sql", "column", "declared", "sent"), LONG)
def test_a_number_keeps_its_38_digits(shop: Shop, sql: str, column: str, declared: str, sent: object) -> None:
    give_value(shop, sql, column=column, declared=declared)
    assert shop.run().counts == Counts(planned=2, delivered=2)
    assert shop.records("lifetime_value")["p-001"] == sent


def test_two_spellings_of_one_text_are_one_value(shop: Shop) -> None:
    shop.people([person_of(1, segment="caf" + "e\u0301")])
    shop.run()
    shop.people([person_of(1, segment="caf\u00e9")])
    assert shop.run().counts == Counts()


def test_a_value_that_broke_after_its_record_was_written_is_told_of_and_the_record_stays(shop: Shop) -> None:
    give_value(shop, "1.0", column="double", declared="decimal(12,2)")
    shop.run()
    shop.sql("update activation.sync_contacts__crm set odd = 'nan' where person_id = 'p-001'")
    assert shop.run().skipped_reasons == {"invalid_value": 1}
    assert shop.records("lifetime_value")["p-001"] == "1.00"


def test_a_broken_value_where_there_was_none_is_not_taken_for_none(shop: Shop) -> None:
    give_value(shop, "null", column="double", declared="decimal(12,2)")
    shop.run()
    shop.sql("update activation.sync_contacts__crm set odd = 'nan' where person_id = 'p-001'")
    assert shop.run().skipped_reasons == {"invalid_value": 1}


def test_a_mended_value_is_delivered_by_the_next_run(shop: Shop) -> None:
    give_value(shop, "'nan'", column="double", declared="decimal(12,2)")
    shop.run()
    shop.sql("update activation.sync_contacts__crm set odd = 3 where person_id = 'p-001'")
    assert shop.run().counts == Counts(planned=1, delivered=1)


def test_a_withdrawal_is_written_whatever_the_marketing_fields_hold(shop: Shop) -> None:
    give_value(shop, "1", column="double", declared="decimal(12,2)")
    shop.run()
    shop.sql(
        "update activation.sync_contacts__crm set odd = 'nan', email_permission = 'withdrawn' where person_id = 'p-001'"
    )
    shop.sql("update marts.consents set status = 'withdrawn' where identifier = 'person1@example.com'")
    assert shop.run().operations == {"withdraw": 1}
    assert shop.records("email_permission")["p-001"] == "withdrawn"


def test_a_baseline_does_not_take_a_row_that_could_not_have_been_sent(shop: Shop) -> None:
    give_value(shop, "'nan'", column="double", declared="decimal(12,2)")
    shop.spec = replace(shop.spec, first_run=FirstRun.BASELINE)
    plan = shop.plan()
    assert plan.skipped == {"invalid_value": 1}
    assert [row["key"] for row in shop.sql(f"select * from cdp.ledger_{plan.ledger_id}")] == ["p-002"]


@pytest.mark.parametrize("column", ["integer[]", "double"])
def test_a_nested_or_inexact_column_needs_a_declared_type(shop: Shop, column: str) -> None:
    give_value(shop, "null", column=column, declared=None)
    with pytest.raises(ConfigError, match="no exact text"):
        shop.plan()


@pytest.mark.duckdb_only
def test_a_struct_needs_a_declared_type(shop: Shop) -> None:
    give_value(shop, "null", column="struct(a integer)", declared=None)
    with pytest.raises(ConfigError, match="no exact text"):
        shop.plan()


def test_a_row_too_large_for_one_request_is_rejected_alone(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(10)])
    shop.sql("update activation.sync_contacts__crm set segment = repeat('x', 5000) where person_id = 'p-003'")

    def refuse_large(request: Request) -> None:
        if len(json.dumps(request.body)) > 4000:
            raise Refused("too large", status=413, code="row_too_large")

    shop.session.before_send = refuse_large
    assert shop.run().counts == Counts(planned=10, delivered=9, rejected=1)
    (row,) = shop.sql("select * from cdp.rejected_rows")
    assert (row["primary_key"], row["code"]) == ("p-003", "row_too_large")


def test_a_destination_that_takes_fewer_rows_than_it_said_is_believed_for_the_rest_of_the_run(shop: Shop) -> None:
    shop.people([person_of(number) for number in range(50)])
    shop.session.limit_rows(5)
    assert shop.run().counts == Counts(planned=50, delivered=50)
    assert [len(request.body["rows"]) for request in shop.session.writes] == [10] + [5] * 10
