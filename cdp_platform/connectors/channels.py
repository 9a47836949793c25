"""Where alerts go: a Slack webhook, any webhook, or e-mail. Addresses of webhooks are secrets and stand in variables.

To Slack a message is a POST of JSON with `text`, and the URL is the credential (read at third parties on 2026-11-22,
not in Slack's own pages).
"""

import json
import smtplib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from cdp_platform.connectors.credentials import read_secret
from cdp_platform.connectors.transport import Transport, check_base_url
from cdp_platform.errors import CdpError, ConfigError, ConnectionFailed

_DEADLINE_SECONDS: Final = 10.0
_HEADERS: Final = {"Accept": "*/*", "Content-Type": "application/json", "User-Agent": "cdp-platform"}


@dataclass(frozen=True, kw_only=True)
class Message:
    """One alert in words, and as a program reads it."""

    title: str
    """One line."""
    body: str
    """Lines of plain text."""
    document: Mapping[str, Any]
    """What a webhook gets: JSON."""


class Channel(Protocol):
    """One place that alerts go to."""

    @property
    def name(self) -> str:
        """What it is called in the book of what was told; the same from run to run."""
        ...

    def tell(self, message: Message) -> None:
        """Deliver a message; raise CdpError where it did not arrive for sure."""
        ...


@dataclass(frozen=True, kw_only=True)
class SlackChannel:
    """A Slack incoming webhook."""

    url_env: str

    @property
    def name(self) -> str:
        return f"slack:{self.url_env}"

    def tell(self, message: Message) -> None:
        _post(self.url_env, {"text": f"*{message.title}*\n{message.body}"}, "Slack")


@dataclass(frozen=True, kw_only=True)
class WebhookChannel:
    """Any address that takes JSON."""

    url_env: str

    @property
    def name(self) -> str:
        return f"webhook:{self.url_env}"

    def tell(self, message: Message) -> None:
        _post(self.url_env, dict(message.document), "the webhook")


@dataclass(frozen=True, kw_only=True)
class EmailChannel:
    """E-mail by SMTP, with STARTTLS unless the server is this machine."""

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    user_env: str | None = None
    password_env: str | None = None

    @property
    def name(self) -> str:
        return f"email:{self.host}"

    def tell(self, message: Message) -> None:
        letter = EmailMessage()
        letter["Subject"], letter["From"], letter["To"] = message.title, self.sender, ", ".join(self.recipients)
        letter.set_content(f"{message.body}\n")
        try:
            with smtplib.SMTP(self.host, self.port, timeout=_DEADLINE_SECONDS) as server:
                if self.host not in ("127.0.0.1", "localhost"):
                    server.starttls()
                if self.user_env and self.password_env:
                    server.login(read_secret(self.user_env).reveal(), read_secret(self.password_env).reveal())
                server.send_message(letter)
        except (smtplib.SMTPException, OSError) as error:
            # Its own text can quote the recipients.
            raise ConnectionFailed(
                f"The mail server {self.host} did not take the alert ({type(error).__name__}).",
                remedy="Check host, port and credentials; the alert is tried again.",
            ) from None


def _post(url_env: str, document: Mapping[str, Any], who: str) -> None:
    """Send JSON to the address in a variable; no error tells the address, which is a credential."""
    parts = urlsplit(read_secret(url_env).reveal())
    try:
        base_url = check_base_url(f"{parts.scheme}://{parts.netloc}", "url")
    except ConfigError:
        raise ConfigError(
            f"{url_env} holds no address that alerts may go to.",
            remedy="Set it to an https:// address, or to http:// on this machine.",
        ) from None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    body = json.dumps(document).encode()
    with closing(Transport(base_url, vendor=who, deadline_seconds=_DEADLINE_SECONDS)) as transport:
        answer = transport.exchange("POST", target, body, _HEADERS)
    if not 200 <= answer.status < 300:
        raise CdpError(f"{who} answered {answer.status} to an alert.", remedy=f"Check the address in {url_env}.")
