"""What the jobs build, and what the sensors ask for."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

TRANSACTIONS = dg.AssetKey(["raw", "retail", "transactions"])
SENDING = ("hubspot/", "salesforce/", "meta_audiences/", "meta_conversions/")
FEEDBACK = dg.AssetKey(["feedback", "hubspot", "contacts"])


def test_history_builds_people_and_sends_nothing(definitions: dg.Definitions) -> None:
    keys = built_by(definitions, "history")
    assert {"raw/retail/products", "raw/loop/clock", "marts/orders", "marts/profiles"} <= keys
    assert not [key for key in keys if key.startswith(("plans/", *SENDING))]


def test_a_day_of_the_loop_goes_from_raw_rows_to_feedback_and_leaves_static_tables_alone(
    definitions: dg.Definitions,
) -> None:
    keys = built_by(definitions, "loop_day")
    assert {
        "raw/retail/transactions",
        "raw/web/events",
        "raw/support/tickets",
        "traits/web_interest",
        "plans/crm_contacts",
        "hubspot/crm_contacts",
        "salesforce/sales_accounts",
        "meta_audiences/lapsed_loyalists_ads",
        "meta_conversions/redemptions_ads",
        "feedback/hubspot/contacts",
    } <= keys
    assert not {"raw/retail/products", "raw/demo/faces"} & keys


def test_refresh_plans_and_sends_nothing(definitions: dg.Definitions) -> None:
    keys = built_by(definitions, "refresh")
    assert "plans/crm_contacts" in keys
    assert not [key for key in keys if key.startswith((*SENDING, "feedback/", "raw/"))]


def test_nothing_happens_by_itself_in_a_fresh_clone(definitions: dg.Definitions) -> None:
    sensors = definitions.sensors or []
    assert {sensor.name for sensor in sensors} == {"new_raw_data", "next_day", "unfinished_sends", "approved_plans"}
    assert {sensor.default_status for sensor in sensors} == {dg.DefaultSensorStatus.STOPPED}


def test_a_day_read_back_asks_for_the_next_one(definitions: dg.Definitions) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        report(instance, FEEDBACK, "2017-12-25")
        [request] = requests_of(definitions, "next_day", instance)
    assert request.partition_key == "2017-12-26"
    assert request.run_key == "loop-2017-12-26"


def test_the_last_day_of_the_replay_asks_for_nothing(definitions: dg.Definitions) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        report(instance, FEEDBACK, "2017-12-31")
        assert requests_of(definitions, "next_day", instance) == []


def test_raw_days_loaded_alone_ask_for_models_and_plans_over_these_days(definitions: dg.Definitions) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for day in ("2017-11-02", "2017-11-01"):
            load_alone(instance, day)
        [request] = requests_of(definitions, "new_raw_data", instance)
    assert request.tags["dagster/asset_partition_range_start"] == "2017-11-01"
    assert request.tags["dagster/asset_partition_range_end"] == "2017-11-02"


def test_raw_days_of_a_run_that_builds_the_models_ask_for_nothing(definitions: dg.Definitions) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = instance.create_run_for_job(definitions.resolve_job_def("loop_day")).run_id
        report(instance, TRANSACTIONS, "2017-12-25", run_id=run_id)
        assert requests_of(definitions, "new_raw_data", instance) == []


def test_raw_days_are_asked_for_once(definitions: dg.Definitions) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        load_alone(instance, "2017-11-01")
        context = dg.build_sensor_context(instance=instance, definitions=definitions)
        cursor = sensor_of(definitions, "new_raw_data").evaluate_tick(context).cursor
        assert requests_of(definitions, "new_raw_data", instance, cursor=cursor) == []


@pytest.mark.parametrize("job_name", ["history", "loop_day"])
def test_the_days_of_a_job_are_the_ones_of_its_source(definitions: dg.Definitions, job_name: str) -> None:
    partitions = definitions.resolve_job_def(job_name).partitions_def
    assert partitions is not None
    assert partitions.get_first_partition_key() == date(2017, 1, 1).isoformat()
    assert partitions.get_last_partition_key() == date(2017, 12, 31).isoformat()


def built_by(definitions: dg.Definitions, job_name: str) -> set[str]:
    return {key.to_user_string() for key in definitions.resolve_job_def(job_name).asset_layer.executable_asset_keys}


def sensor_of(definitions: dg.Definitions, name: str) -> dg.SensorDefinition:
    return next(sensor for sensor in definitions.sensors or [] if sensor.name == name)


def requests_of(
    definitions: dg.Definitions, name: str, instance: dg.DagsterInstance, cursor: str | None = None
) -> list[dg.RunRequest]:
    context = dg.build_sensor_context(instance=instance, definitions=definitions, cursor=cursor)
    return list(sensor_of(definitions, name).evaluate_tick(context).run_requests or [])


def report(instance: dg.DagsterInstance, key: dg.AssetKey, day: str, run_id: str | None = None) -> None:
    materialization = dg.AssetMaterialization(key, partition=day)
    if run_id is None:
        instance.report_runless_asset_event(materialization)
        return
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
        job_name="loop_day",
        event_specific_data=dg._core.events.StepMaterializationData(materialization=materialization),
    )
    instance.report_dagster_event(event, run_id=run_id)


def load_alone(instance: dg.DagsterInstance, day: str) -> None:
    @dg.asset(key=TRANSACTIONS, partitions_def=dg.DailyPartitionsDefinition("2017-01-01"))
    def transactions() -> None:
        """Stands for the loader."""

    dg.materialize([transactions], instance=instance, partition_key=day)


def test_the_home_is_left_as_it_was(parsed_home: Path, definitions: dg.Definitions) -> None:
    assert {path.name for path in parsed_home.iterdir()} <= {"dbt"}
