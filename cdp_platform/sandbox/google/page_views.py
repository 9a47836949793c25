"""Google's page: the user lists with their sizes over time, and the requests that changed them."""

from collections.abc import Mapping
from html import escape
from typing import Final

from cdp_platform.sandbox.frame import LANGUAGES, document
from cdp_platform.sandbox.google.account import USER_LISTS, DataManagerAccount
from cdp_platform.sandbox.tables import cards, panel, size_line, table
from cdp_platform.sandbox.wire import ApiRequest

_REQUESTS: Final = 25
TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "title": "Sandbox ads: Google",
        "notice": "A local stand-in for Google Data Manager. It knows people by hashes; nothing leaves this computer.",
        "lists": "User lists",
        "people": "People",
        "day": "Business day",
        "no_day": "not set",
        "name": "Name",
        "change": "Change over time",
        "requests": "Requests",
        "at": "Time",
        "operation": "Operation",
        "records": "Members",
        "status": "Status",
        "ingest": "add",
        "remove": "remove",
        "done": "processed",
        "waiting": "waiting to be asked for",
        "none": "No request has arrived yet. Run a sync to google_audiences first.",
    },
    "zh-Hant": {
        "title": "沙盒廣告：Google",
        "notice": "這是本機的 Google Data Manager 替身，只以雜湊值認人，資料不會離開這台電腦。",
        "lists": "使用者名單",
        "people": "人數",
        "day": "營業日",
        "no_day": "尚未設定",
        "name": "名稱",
        "change": "人數變化",
        "requests": "請求",
        "at": "時間",
        "operation": "動作",
        "records": "成員數",
        "status": "狀態",
        "ingest": "加入",
        "remove": "移除",
        "done": "已處理",
        "waiting": "等待查詢",
        "none": "還沒有收到任何請求。請先執行一次到 google_audiences 的同步。",
    },
}


class GoogleViews:
    """The one page of the account."""

    def __init__(self, account: DataManagerAccount) -> None:
        self._account = account

    def overview(self, request: ApiRequest) -> tuple[int, str]:
        """Return the page; `lang` chooses the language."""
        language = request.query.get("lang", "en")
        language = language if language in LANGUAGES else "en"
        texts = TEXTS[language]
        people = sum(self._account.size(list_id) for list_id in USER_LISTS)
        facts = [
            (texts["lists"], str(len(USER_LISTS))),
            (texts["people"], f"{people:,}"),
            (texts["day"], self._account.day or texts["no_day"]),
        ]
        body = cards(facts) + self._lists(texts) + self._requests(texts)
        title, notice = texts["title"], texts["notice"]
        return 200, document(body, title=title, notice=notice, language=language, path="/google", query={})

    def _lists(self, texts: Mapping[str, str]) -> str:
        rows = []
        for list_id, name in USER_LISTS.items():
            sizes = [one["size"] for one in self._account.requests(list_id) if one["size"] is not None]
            rows.append([escape(name), f"{self._account.size(list_id):,}", size_line(sizes)])
        heads = [texts["name"], texts["people"], texts["change"]]
        return panel(texts["lists"], table(heads, rows, empty="", numbers=(1,)))

    def _requests(self, texts: Mapping[str, str]) -> str:
        told = [(one, name) for list_id, name in USER_LISTS.items() for one in self._account.requests(list_id)]
        told.sort(key=lambda pair: pair[0]["at"], reverse=True)
        rows = [
            [
                escape(one["day"] or one["at"][:10]),
                escape(name),
                escape(texts[one["operation"]]),
                f"{one['records']:,}" if one["records"] is not None else "–",
                escape(texts["waiting" if one["records"] is None else "done"]),
            ]
            for one, name in told[:_REQUESTS]
        ]
        heads = [texts[key] for key in ("at", "name", "operation", "records", "status")]
        return panel(texts["requests"], table(heads, rows, empty=texts["none"], numbers=(3,)))
