"""Alerts as a component: one sensor that looks at the syncs, the assets and the jobs, and tells what changed.

It is stopped until somebody starts it. A channel that fails makes the tick fail, with the reason, and is tried again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy
from pydantic import Field

from cdp_platform.components.resources import PLATFORM, Platform
from cdp_platform.connectors.channels import Channel, EmailChannel, Message, SlackChannel, WebhookChannel
from cdp_platform.domain.alerts import AlertKind, Change, Condition
from cdp_platform.errors import CdpError, ConfigError
from cdp_platform.syncs.alerts import changes, note_told, sync_conditions
from cdp_platform.syncs.journal import Journal
from cdp_platform.texts.catalogue import LANGUAGES, text

_ENDED: Final = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)
_ASSET_JOB: Final = "__ASSET_JOB"


class EmailBlock(dg.Model, dg.Resolvable):
    """Who is written to, and by which server."""

    host: str = Field(description="The mail server; STARTTLS is used unless it is this machine.")
    port: int = Field(default=587, ge=1, le=65_535, description="Its port.")
    sender: str = Field(description="The address that alerts come from.")
    recipients: list[str] = Field(min_length=1, description="The addresses that alerts go to.")
    user_env: str | None = Field(default=None, description="Name of the variable with the user's name.")
    password_env: str | None = Field(default=None, description="Name of the variable with the password.")


class ChannelsBlock(dg.Model, dg.Resolvable):
    """Where alerts go; any of them, or all."""

    slack_env: str | None = Field(default=None, description="Name of the variable with a Slack webhook's address.")
    webhook_env: str | None = Field(default=None, description="Name of the variable with an address that takes JSON.")
    email: EmailBlock | None = Field(default=None, description="E-mail.")

    def channels(self) -> list[Channel]:
        """Every channel that is named; raise ConfigError where none is."""
        found: list[Channel] = []
        if self.slack_env:
            found.append(SlackChannel(url_env=self.slack_env))
        if self.webhook_env:
            found.append(WebhookChannel(url_env=self.webhook_env))
        if mail := self.email:
            told = mail.model_dump() | {"recipients": tuple(mail.recipients)}
            found.append(EmailChannel(**told))
        if not found:
            raise ConfigError(
                "alerts have nowhere to go.", remedy="Name `slack_env`, `webhook_env` or `email`.", field="channels"
            )
        return found


class AlertsComponent(dg.Component, dg.Model, dg.Resolvable):
    """Tell people when something begins to be wrong, and when it is over."""

    channels: ChannelsBlock = Field(description="Where alerts go.")
    kinds: list[AlertKind] = Field(
        default_factory=lambda: list(AlertKind), description="What is told: run_failed, stale, stopped, deferred, …"
    )
    rejected_share: float = Field(default=0.05, ge=0, le=1, description="Share of a run's rows that may be rejected.")
    every_seconds: int = Field(default=30, ge=5, description="Seconds between two looks.")
    language: str = Field(default="en", pattern="|".join(LANGUAGES), description="Language of the messages.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Make the sensor `alerts`; raise ConfigError where alerts have nowhere to go."""
        channels = self.channels.channels()

        @dg.sensor(
            name="alerts",
            minimum_interval_seconds=self.every_seconds,
            default_status=dg.DefaultSensorStatus.STOPPED,
            description="Tells what begins to be wrong, and what is over. Asks for no run.",
        )
        def alerts(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SkipReason:
            told = self.look(context, platform, channels, now=datetime.now(UTC))
            return dg.SkipReason(f"{told} changes were told." if told else "Nothing has changed.")

        return dg.Definitions(sensors=[alerts], resources={"platform": PLATFORM})

    def look(
        self, context: dg.SensorEvaluationContext, platform: Platform, channels: Sequence[Channel], *, now: datetime
    ) -> int:
        """Tell every channel what has changed, and return how many changes there were.

        Raises CdpError where a channel was not reached; the next look tells it.
        """
        names = frozenset(channel.name for channel in channels)
        journal = Journal(platform.home)
        found = [one for one in self._conditions(context, platform, journal, now) if one.kind in set(self.kinds)]
        news = changes(journal, found, channels=names)
        failures = [
            failure
            for change in news
            for channel in channels
            if channel.name not in change.told and (failure := self._tell(journal, change, channel, names))
        ]
        if failures:
            raise CdpError("; ".join(sorted(set(failures))))
        return len(news)

    def _tell(self, journal: Journal, change: Change, channel: Channel, names: frozenset[str]) -> str | None:
        """Tell one channel of a change and note it; the failure's text where it was not reached."""
        try:
            channel.tell(message_of(change, self.language))
        except CdpError as error:
            return str(error)
        note_told(journal, change, channel.name, channels=names)
        return None

    def _conditions(
        self, context: dg.SensorEvaluationContext, platform: Platform, journal: Journal, now: datetime
    ) -> Iterator[Condition]:
        repository = context.repository_def
        owners = _owners(repository.asset_graph) if repository else {}
        if platform.home.has_warehouse:
            yield from sync_conditions(journal, platform.warehouse, owners=owners, rejected_share=self.rejected_share)
        if repository:
            yield from _stale(context.instance, repository.asset_graph, now)
            yield from _failed(context.instance, repository.job_names)


def _owners(graph: Any) -> dict[str, str]:
    """Who answers for each sync: the owners of its plan."""
    keys = [key for key in graph.get_all_asset_keys() if key.path[0] == "plans"]
    return {key.path[-1]: ", ".join(graph.get(key).owners) for key in keys}


def _stale(instance: dg.DagsterInstance, graph: Any, now: datetime) -> Iterator[Condition]:
    """Assets that were materialized once, and longer ago than their freshness policy allows."""
    windows = {
        key: policy.fail_window.to_timedelta()
        for key in graph.get_all_asset_keys()
        if isinstance(policy := graph.get(key).freshness_policy, TimeWindowFreshnessPolicy)
    }
    for record in instance.get_asset_records(sorted(windows)) if windows else ():
        newest = record.asset_entry.last_materialization_record
        if newest is None:
            continue
        key = record.asset_entry.asset_key
        made_at = datetime.fromtimestamp(newest.timestamp, UTC)
        if now - made_at > windows[key]:
            yield Condition(
                kind=AlertKind.STALE,
                subject=key.to_user_string(),
                owner=", ".join(graph.get(key).owners),
                since=made_at + windows[key],
                details={"hours": f"{windows[key] / timedelta(hours=1):g}", "made_at": _minute(made_at)},
            )


def _failed(instance: dg.DagsterInstance, job_names: Sequence[str]) -> Iterator[Condition]:
    """Jobs whose newest run that ended has failed."""
    for name in job_names:
        filters = dg.RunsFilter(job_name=name, statuses=list(_ENDED))
        for record in instance.get_run_records(filters, limit=1):
            run = record.dagster_run
            if run.status is dg.DagsterRunStatus.FAILURE:
                subject = "assets" if name == _ASSET_JOB else name
                since = datetime.fromtimestamp(record.end_time or record.create_timestamp.timestamp(), UTC)
                yield Condition(kind=AlertKind.RUN_FAILED, subject=subject, since=since, details={"run": run.run_id})


def message_of(change: Change, language: str) -> Message:
    """Say a change in words: what, since when, how many, who answers for it, and what helps."""
    condition = change.condition
    given = {
        **condition.details,
        "subject": condition.subject,
        "count": condition.count,
        "since": _minute(condition.since),
    }
    state = "over" if change.is_over else "text"
    lines = [text(f"alert.{condition.kind}.{state}", language, **given)]
    if condition.owner:
        lines.append(text("alert.owner", language, owner=condition.owner))
    if not change.is_over:
        lines.append(text(f"alert.{condition.kind}.remedy", language, **given))
    document = {**asdict(condition), "since": condition.since.isoformat(), "is_over": change.is_over}
    title = text("alert.over" if change.is_over else "alert.begins", language, subject=condition.subject)
    return Message(title=title, body="\n".join(lines), document=document)


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
