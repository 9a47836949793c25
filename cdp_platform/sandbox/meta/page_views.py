"""Meta's page: audiences with their sizes over time, the newest events, and what campaigns did."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any, Final

from cdp_platform.sandbox.frame import LANGUAGES, document
from cdp_platform.sandbox.meta.account import AdAccount
from cdp_platform.sandbox.meta.control import events_of
from cdp_platform.sandbox.meta.insights import WINDOW_DAYS, InsightsApi
from cdp_platform.sandbox.meta.texts import TEXTS
from cdp_platform.sandbox.tables import cards, panel, size_line, table
from cdp_platform.sandbox.wire import ApiRequest

_EVENTS: Final = 25


class MetaViews:
    """The one page of the account."""

    def __init__(self, account: AdAccount, insights: InsightsApi) -> None:
        self._account = account
        self._insights = insights

    def overview(self, request: ApiRequest) -> tuple[int, str]:
        """Return the page; `lang` chooses the language."""
        language = request.query.get("lang", "en")
        language = language if language in LANGUAGES else "en"
        texts = TEXTS[language]
        audiences = self._account.audiences()
        facts = [
            (texts["audiences"], str(len(audiences))),
            (texts["people"], f"{sum(found['size'] for found in audiences):,}"),
            (texts["events"], f"{self._account.file.execute('select count(*) from events')[0][0]:,}"),
            (texts["day"], self._account.day or texts["no_day"]),
        ]
        body = cards(facts) + self._audiences(audiences, texts) + self._events(texts) + self._campaigns(texts)
        title, notice = texts["title"], texts["notice"]
        return 200, document(body, title=title, notice=notice, language=language, path="/meta", query={})

    def _audiences(self, audiences: Sequence[Mapping[str, Any]], texts: Mapping[str, str]) -> str:
        rows = []
        for found in audiences:
            uploads = self._account.uploads(found["id"])
            # What one day did to an audience takes several uploads: some remove, some add.
            days = {_day(upload): upload["size"] for upload in uploads}
            line = size_line(list(days.values()))
            last = _uploaded(uploads, texts) if uploads else "–"
            rows.append([escape(found["name"]), f"{found['size']:,}", line, escape(last)])
        heads = [texts["name"], texts["size"], texts["change"], texts["last"]]
        return panel(texts["audiences"], table(heads, rows, empty=texts["no_audience"], numbers=(1,)))

    def _events(self, texts: Mapping[str, str]) -> str:
        rows = []
        for event in events_of(self._account, _EVENTS):
            at = datetime.fromtimestamp(event["event_time"], UTC)
            custom = json.loads(event["custom_data"])
            value = f"{custom['value']:,.2f} {custom.get('currency', '')}" if "value" in custom else "–"
            repeated = f" · {texts['sent'].format(count=event['sent_count'])}" if event["sent_count"] > 1 else ""
            known_by = ", ".join(texts.get(f"by_{name}", name) for name in json.loads(event["user_data"]))
            told = [f"{at:%Y-%m-%d %H:%M} UTC", event["event_name"], event["event_id"] + repeated, value, known_by]
            rows.append([escape(text) for text in told])
        heads = [texts["at"], texts["event"], texts["id"], texts["value"], texts["known_by"]]
        return panel(texts["events"], table(heads, rows, empty=texts["no_event"], numbers=(3,)))

    def _campaigns(self, texts: Mapping[str, str]) -> str:
        today = self._account.now().date() - timedelta(days=1)
        sums: dict[str, list[float]] = {}
        for row in self._insights.rows(today - timedelta(days=WINDOW_DAYS - 1), today) if self._account.day else ():
            known = sums.setdefault(row["campaign_name"], [0, 0, 0])
            sums[row["campaign_name"]] = [
                total + float(row[name]) for total, name in zip(known, ("impressions", "clicks", "spend"), strict=True)
            ]
        rows = [
            [escape(name), f"{impressions:,.0f}", f"{clicks:,.0f}", f"{spend:,.2f} USD"]
            for name, (impressions, clicks, spend) in sums.items()
        ]
        heads = [texts["campaign"], texts["impressions"], texts["clicks"], texts["spend"]]
        return panel(texts["insights"], table(heads, rows, empty=texts["no_insight"], numbers=(1, 2, 3)))


def _day(upload: Mapping[str, Any]) -> str:
    return str(upload["day"] or upload["at"][:10])


def _uploaded(uploads: Sequence[Mapping[str, Any]], texts: Mapping[str, str]) -> str:
    """Say what the last day's uploads did together."""
    day = _day(uploads[-1])
    received: Counter[str] = Counter()
    for upload in uploads:
        if _day(upload) == day:
            received.update({upload["operation"]: upload["received"], "invalid": upload["invalid"]})
    told = [f"{received[name]:,} {texts[name]}" for name in ("add", "remove", "replace") if received[name]]
    told += [texts["invalid"].format(count=received["invalid"])] if received["invalid"] else []
    return " · ".join([day, *told])
