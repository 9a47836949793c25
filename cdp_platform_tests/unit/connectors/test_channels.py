"""Alerts arrive at a webhook, at Slack and at a mail server; where one does not, that is said without its address."""

import socketserver
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from cdp_platform.connectors.channels import EmailChannel, Message, SlackChannel, WebhookChannel
from cdp_platform.errors import AuthenticationFailed, CdpError, ConfigError, ConnectionFailed
from cdp_platform.testing.fault_server import FaultServer, Reply

MESSAGE = Message(title="cdp: orders needs a look", body="orders is stale.", document={"kind": "stale", "count": 0})


class MailServer(socketserver.BaseRequestHandler):
    """Takes every letter; what was written after DATA is kept."""

    letters: ClassVar[list[str]] = []
    refuses = False

    def handle(self) -> None:
        stream = self.request.makefile("rwb")

        def say(line: bytes) -> None:
            stream.write(line + b"\r\n")
            stream.flush()

        say(b"220 here")
        while line := stream.readline().strip():
            word = line[:4].upper()
            if word == b"DATA":
                say(b"354 go on")
                lines = iter(stream.readline, b".\r\n")
                self.letters.append(b"".join(lines).decode())
                say(b"250 kept")
            elif word == b"RCPT" and type(self).refuses:
                say(b"550 nobody of that name")
            elif word == b"QUIT":
                say(b"221 bye")
                return
            else:
                say(b"250 well")


@pytest.fixture
def mail_port() -> Iterator[int]:
    MailServer.letters.clear()
    MailServer.refuses = False
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), MailServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_slack_gets_a_text_and_a_webhook_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([Reply(body="ok"), Reply(status=204)]) as server:
        monkeypatch.setenv("ALERTS_URL", f"{server.url}/services/T0/B0/x?y=1")
        SlackChannel(url_env="ALERTS_URL").tell(MESSAGE)
        WebhookChannel(url_env="ALERTS_URL").tell(MESSAGE)
    first, second = server.requests
    assert (first.method, first.path) == ("POST", "/services/T0/B0/x?y=1")
    assert first.json == {"text": "*cdp: orders needs a look*\norders is stale."}
    assert second.json == {"kind": "stale", "count": 0}


def test_an_answer_that_is_no_yes_is_an_error_that_does_not_tell_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([Reply(status=404, body="no_service")]) as server:
        monkeypatch.setenv("ALERTS_URL", f"{server.url}/canary-secret")
        with pytest.raises(CdpError, match="Slack answered 404") as caught:
            SlackChannel(url_env="ALERTS_URL").tell(MESSAGE)
    assert "canary-secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://alerts.example.com/canary-secret", "canary-secret", "ftp://127.0.0.1/x"])
def test_an_address_in_the_clear_or_none_is_refused_by_the_variables_name(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("ALERTS_URL", url)
    with pytest.raises(ConfigError, match="ALERTS_URL") as caught:
        WebhookChannel(url_env="ALERTS_URL").tell(MESSAGE)
    assert "canary-secret" not in str(caught.value)


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALERTS_URL", raising=False)
    with pytest.raises(AuthenticationFailed, match="ALERTS_URL"):
        SlackChannel(url_env="ALERTS_URL").tell(MESSAGE)


def email(port: int, **more: Any) -> EmailChannel:
    usual: dict[str, Any] = {"host": "127.0.0.1", "sender": "cdp@example.com", "recipients": ("ada@example.com",)}
    return EmailChannel(port=port, **usual | more)


def test_a_letter_arrives_with_its_subject(mail_port: int) -> None:
    email(mail_port).tell(MESSAGE)
    [letter] = MailServer.letters
    assert "Subject: cdp: orders needs a look" in letter
    assert "To: ada@example.com" in letter
    assert "orders is stale." in letter


def test_a_mail_server_that_refuses_is_told_without_the_recipients(mail_port: int) -> None:
    MailServer.refuses = True
    with pytest.raises(ConnectionFailed, match="SMTPRecipientsRefused") as caught:
        email(mail_port).tell(MESSAGE)
    assert "ada@" not in str(caught.value)


def test_a_mail_server_that_is_not_there_is_told(mail_port: int) -> None:
    with pytest.raises(ConnectionFailed, match="did not take the alert"):
        email(1).tell(MESSAGE)
