"""The sensor `alerts`: a source that stops gives one alert that names it and its owner, and one when it is back."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from cdp_platform.components.alerts import AlertsComponent, ChannelsBlock, message_of
from cdp_platform.components.resources import Platform
from cdp_platform.connectors.channels import Message
from cdp_platform.domain.alerts import AlertKind, Change, Condition
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.texts.catalogue import LANGUAGES

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Inbox:
    """A channel that keeps what it is told."""

    name = "inbox"

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.is_down = False

    def tell(self, message: Message) -> None:
        if self.is_down:
            raise CdpError("the inbox is down.")
        self.messages.append(message)


def orders(*, fails: bool = False) -> dg.Definitions:
    @dg.asset(
        key=["raw", "shop", "orders"],
        owners=["team:data"],
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=6)),
    )
    def load() -> None:
        if fails:
            raise ValueError("the source is gone")

    return dg.Definitions(assets=[load], jobs=[dg.define_asset_job("load_orders", ["raw/shop/orders"])])


def run(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    definitions.resolve_job_def("load_orders").execute_in_process(instance=instance, raise_on_error=False)


def look(
    inbox: Inbox,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    hours: float,
    kinds: Sequence[AlertKind] = (),
) -> int:
    """Look, with the clock so many hours after now."""
    component = AlertsComponent(
        channels=ChannelsBlock(slack_env="SLACK_URL"), kinds=list(kinds or AlertKind), rejected_share=0.05
    )
    context = dg.build_sensor_context(instance=instance, definitions=definitions)
    return component.look(context, Platform(), [inbox], now=datetime.now(UTC) + timedelta(hours=hours))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDP_HOME", str(tmp_path / "home"))


def test_a_source_that_stops_gives_one_alert_with_its_owner_and_one_when_it_is_back() -> None:
    inbox = Inbox()
    with dg.DagsterInstance.ephemeral() as instance:
        assert look(inbox, orders(), instance, 100) == 0, "what was never made is not stale"
        run(orders(), instance)
        assert [look(inbox, orders(), instance, hours) for hours in (5.9, 6.1, 7, 8)] == [0, 1, 0, 0]
        run(orders(), instance)
        assert look(inbox, orders(), instance, 1) == 1
    began, over = inbox.messages
    assert began.title == "cdp: raw/shop/orders needs a look"
    assert "raw/shop/orders is stale since" in began.body
    assert "Answers for it: team:data." in began.body
    assert "fresh again" in over.body
    assert (began.document["is_over"], over.document["is_over"]) == (False, True)


def test_a_job_that_fails_is_told_once_with_the_run_and_once_when_it_succeeds() -> None:
    inbox = Inbox()
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(3):
            run(orders(fails=True), instance)
            look(inbox, orders(), instance, 0)
        run(orders(), instance)
        look(inbox, orders(), instance, 0)
    assert [message.title for message in inbox.messages] == [
        "cdp: load_orders needs a look",
        "cdp: load_orders is well again",
    ]
    assert "Look at the run" in inbox.messages[0].body


def test_only_the_kinds_that_are_asked_for_are_told() -> None:
    inbox = Inbox()
    with dg.DagsterInstance.ephemeral() as instance:
        run(orders(fails=True), instance)
        assert look(inbox, orders(), instance, 0, [AlertKind.STALE]) == 0
        assert look(inbox, orders(), instance, 0) == 1


def test_a_channel_that_is_down_makes_the_look_fail_and_is_told_by_the_next() -> None:
    inbox = Inbox()
    inbox.is_down = True
    with dg.DagsterInstance.ephemeral() as instance:
        run(orders(fails=True), instance)
        with pytest.raises(CdpError, match="the inbox is down"):
            look(inbox, orders(), instance, 0)
        inbox.is_down = False
        assert look(inbox, orders(), instance, 0) == 1
    assert len(inbox.messages) == 1


def test_the_sensor_is_stopped_until_somebody_starts_it_and_says_when_there_is_no_news() -> None:
    component = AlertsComponent(channels=ChannelsBlock(slack_env="SLACK_URL"))
    definitions = dg.Definitions.merge(component.build_defs(dg.ComponentTree.for_test().load_context), orders())
    sensor = definitions.resolve_sensor_def("alerts")
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance, definitions=definitions, resources={"platform": Platform()}
        )
        told = sensor.evaluate_tick(context)
    assert told.skip_message == "Nothing has changed."


def test_alerts_without_a_channel_are_refused_at_load() -> None:
    with pytest.raises(ConfigError, match="nowhere to go"):
        AlertsComponent(channels=ChannelsBlock()).build_defs(dg.ComponentTree.for_test().load_context)


@pytest.mark.parametrize("kind", AlertKind)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_can_be_said_in_every_language(kind: AlertKind, language: str) -> None:
    details = {"guards": "approved", "digest": "ab", "run": "r", "hours": "6", "made_at": "now"}
    condition = Condition(kind=kind, subject="crm", since=NOW, count=3, details=details, owner="team:crm")
    for is_over in (False, True):
        told = message_of(Change(condition=condition, is_over=is_over, told=frozenset()), language)
        assert "crm" in told.title
        assert "{" not in told.body
