"""A vendor with a token endpoint and an API that takes the tokens which that has given, on 127.0.0.1."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs

CLIENT_ID = "canary-client-id-71aa"
CLIENT_SECRET = "canary-client-secret-5f3a9c"
REFRESH_TOKEN = "canary-refresh-token-0c2e"
CANARIES = (CLIENT_SECRET, "canary-refresh", "canary-access")


@dataclass(kw_only=True)
class Vendor:
    """What the vendor knows, what it is told to do, and what it was asked. A new access token ends the one before."""

    url: str = ""
    lifetime_seconds: Any = 1800
    does_rotate: bool = False
    accepts_tokens: bool = True
    delay_seconds: float = 0.0
    replies: list[tuple[int, Any]] = field(default_factory=list)
    """What the token endpoint answers first, in place of a token."""
    client_secret: str = CLIENT_SECRET
    refresh_token: str = REFRESH_TOKEN
    access_token: str = "none-yet"
    forms: list[dict[str, str]] = field(default_factory=list)
    """What the token endpoint was asked."""
    statuses: list[int] = field(default_factory=list)
    """How the API answered."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def revoke(self) -> None:
        """End the access token that is good now."""
        self.access_token = "revoked"

    def grant(self, form: dict[str, str]) -> tuple[int, Any]:
        with self.lock:
            self.forms.append(form)
            if self.replies:
                return self.replies.pop(0)
            if form.get("client_secret") != self.client_secret:
                return 401, {"error": "invalid_client"}
            if form["grant_type"] == "refresh_token" and form.get("refresh_token") != self.refresh_token:
                return 400, {"error": "invalid_grant", "error_description": f"{form.get('refresh_token')} is not good"}
            self.access_token = f"canary-access-{len(self.forms)}"
            told = {"access_token": self.access_token, "token_type": "Bearer", "expires_in": self.lifetime_seconds}
            if self.lifetime_seconds is None:
                del told["expires_in"]
            if self.does_rotate:
                self.refresh_token = f"canary-refresh-{len(self.forms)}"
                told["refresh_token"] = self.refresh_token
            return 200, told

    def call(self, authorization: str) -> tuple[int, Any]:
        with self.lock:
            is_good = self.accepts_tokens and authorization == f"Bearer {self.access_token}"
            self.statuses.append(200 if is_good else 401)
            return self.statuses[-1], {"results": []}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        vendor: Vendor = cast(Any, self.server).vendor
        content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path.endswith("/token"):
            status, body = vendor.grant({name: values[0] for name, values in parse_qs(content.decode()).items()})
            threading.Event().wait(vendor.delay_seconds)
        else:
            status, body = vendor.call(self.headers.get("Authorization", ""))
        told = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *arguments: Any) -> None:
        return None


@contextmanager
def serve(vendor: Vendor) -> Iterator[Vendor]:
    """Serve on a free port while used as a context."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    cast(Any, server).vendor = vendor
    vendor.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
