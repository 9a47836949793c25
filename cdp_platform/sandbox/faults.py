"""Faults on demand for every vendor: rules that stand before all doors, set and read at `/sandbox/faults`.

A rule names the beginning of a path and, where wanted, a method; it holds for so many requests and then is used up.
What it does: wait, answer in the vendor's place, or let the vendor do its work and then cut or break off the answer.
"""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cdp_platform.sandbox.guards import parse_json, read_body, require_local_browser
from cdp_platform.sandbox.wire import Refusal

PATH = "/sandbox/faults"
_LONGEST_DELAY_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One rule. Without `status` and `body` the vendor answers itself."""

    path: str
    """The beginning of the paths it holds for."""
    method: str | None = None
    count: int = 1
    """For so many requests; each use takes one away."""
    delay_seconds: float = 0.0
    status: int | None = None
    """Answered in place of the vendor, which never sees the request."""
    body: Any = None
    """JSON, or a text sent as it is."""
    headers: Mapping[str, str] = field(default_factory=dict)
    reset: bool = False
    """Whether the connection is broken off instead of an answer: after the vendor's work unless `status` is set."""
    cut_bytes: int | None = None
    """The vendor's answer ends after so many bytes of its body."""
    used: int = 0


class Faults:
    """The rules; shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []

    def set(self, rules: Sequence[Fault]) -> None:
        """Put rules behind those that are there; no rules take all away."""
        with self._lock:
            self._rules = [*self._rules, *rules] if rules else []

    def listed(self) -> list[dict[str, Any]]:
        """Return the rules with the number of their uses."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def take(self, method: str, path: str) -> Fault | None:
        """Use the first rule that fits and is not used up."""
        with self._lock:
            for place, rule in enumerate(self._rules):
                is_meant = path.startswith(rule.path) and rule.method in (None, method)
                if is_meant and rule.used < rule.count:
                    self._rules[place] = replace(rule, used=rule.used + 1)
                    return rule
        return None


class WithFaults:
    """An ASGI application with the rules before it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.faults = Faults()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == PATH:
            await (await self._own(Request(scope, receive)))(scope, receive, send)
            return
        is_own = scope["path"].startswith("/sandbox/")
        fault = None if is_own else self.faults.take(scope["method"], scope["path"])
        if fault is None:
            await self._app(scope, receive, send)
            return
        await asyncio.sleep(fault.delay_seconds)
        await self._act(fault, scope, receive, send)

    async def _act(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.status is not None and not fault.reset:
            await _response(fault)(scope, receive, send)
            return
        if fault.reset:
            if fault.status is None:
                await self._app(scope, receive, _nowhere)
            _break_off(send)
            return
        await self._app(scope, receive, send if fault.cut_bytes is None else _Cutter(send, fault.cut_bytes))

    async def _own(self, request: Request) -> Response:
        try:
            require_local_browser(request)
            if request.method == "DELETE":
                self.faults.set([])
            elif request.method == "POST":
                self.faults.set(_read_rules(parse_json(await read_body(request))))
            elif request.method != "GET":
                raise Refusal(405, "METHOD_NOT_ALLOWED", "GET, POST and DELETE only")
        except Refusal as refusal:
            return JSONResponse({"message": refusal.message}, status_code=refusal.status)
        return JSONResponse({"rules": self.faults.listed()})


class _Cutter:
    """Passes on an answer's head and the first bytes of its body, then breaks the connection off."""

    def __init__(self, send: Send, most: int) -> None:
        self._send = send
        self._left = most

    async def __call__(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        body = message.get("body", b"")[: self._left]
        self._left -= len(body)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        if not message.get("more_body"):
            await asyncio.sleep(0.01)
            _break_off(self._send)


async def _nowhere(message: Message) -> None:
    return None


def _break_off(send: Send) -> None:
    """Reset the connection; raises RuntimeError under a server that does not lend its transport."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("this server does not lend its transport, so no connection can be broken off")
    plain = transport.get_extra_info("socket")
    if plain is not None:
        # To close with time zero left is what makes a reset of it.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _response(fault: Fault) -> Response:
    headers, status = dict(fault.headers), fault.status or 200
    if fault.body is None or isinstance(fault.body, str):
        return Response(fault.body or "", status_code=status, headers=headers)
    return Response(json.dumps(fault.body), status_code=status, headers={"Content-Type": "application/json", **headers})


def _read_rules(body: Any) -> list[Fault]:
    told = body.get("rules") if isinstance(body, Mapping) else None
    if not isinstance(told, list) or not all(isinstance(rule, Mapping) for rule in told):
        raise Refusal(400, "VALIDATION_ERROR", "rules: a list of objects is needed")
    names = set(Fault.__dataclass_fields__) - {"used"}
    rules = []
    for rule in told:
        if strangers := sorted(set(rule) - names):
            raise Refusal(400, "VALIDATION_ERROR", f"{strangers[0]!r} is none of: {', '.join(sorted(names))}")
        if not _is_sound(rule):
            raise Refusal(400, "VALIDATION_ERROR", "path, status, count, delay_seconds or cut_bytes cannot be that")
        rules.append(Fault(**rule))
    return rules


def _is_sound(rule: Mapping[str, Any]) -> bool:
    status, cut = rule.get("status"), rule.get("cut_bytes")
    return (
        isinstance(rule.get("path"), str)
        and rule["path"].startswith("/")
        and (status is None or (isinstance(status, int) and 200 <= status <= 599))
        and isinstance(rule.get("count", 1), int)
        and isinstance(rule.get("delay_seconds", 0.0), int | float)
        and 0 <= rule.get("delay_seconds", 0.0) <= _LONGEST_DELAY_SECONDS
        and (cut is None or (isinstance(cut, int) and cut >= 0))
        and isinstance(rule.get("headers", {}), Mapping)
    )
