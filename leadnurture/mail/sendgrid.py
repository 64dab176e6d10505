"""Hands mails to SendGrid's v3 API through its package, with the package's surprises taken out.

It would wait for ever, follow a redirect to another host with the key and report success, obey proxy
variables, and log key and addresses at DEBUG. What is left is one question: had the connection stood when it
failed? Before that nothing can have left; after that, only an answer is proof of anything.
"""

import base64
import http.client
import logging
import ssl
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any, Final

from python_http_client.client import Client
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from leadnurture.mail.provider import (
    TIMEOUT_SECONDS,
    Accepted,
    Answer,
    Later,
    Mail,
    NotSent,
    Refused,
    Unknown,
)

# The package writes key and addresses into its debug log.
logging.getLogger("python_http_client").setLevel(logging.WARNING)

MESSAGE_KEY: Final = "leadnurture_message"
"""The custom argument that comes back with every event; ids only, SendGrid keeps it for long."""
REFUSED: Final = frozenset({400, 401, 403, 413})
OUR_FAULT: Final = frozenset({401, 403})
TOO_MANY: Final = 429
LONGEST_SAID: Final = 500


class SendGrid:
    """One account of SendGrid. Every thread has its own client, since the package's is not safe to share."""

    threads = None

    def __init__(self, key: str, url: str, timeout: float = TIMEOUT_SECONDS) -> None:
        self._key = key
        self._url = url
        self._timeout = timeout
        self._own = threading.local()

    def send(self, mail: Mail) -> Answer:
        """The answer to one request; never repeats it."""
        line: _Line = getattr(self._own, "line", None) or _Line(self._key, self._url, self._timeout)
        self._own.line = line
        return line.send(mail)


def payload(mail: Mail) -> dict[str, Any]:
    """The body of `/v3/mail/send`.

    SendGrid's own tracking is off: our links are the tracking, and they are signed.
    """
    person: dict[str, Any] = {"to": [{"email": mail.to} | ({"name": mail.to_name} if mail.to_name else {})]}
    if mail.message_id is not None:
        person["custom_args"] = {MESSAGE_KEY: str(mail.message_id)}
    body = {
        "personalizations": [person],
        "from": {"email": mail.sender, "name": mail.sender_name},
        "subject": mail.subject,
        "content": [{"type": "text/plain", "value": mail.text}, {"type": "text/html", "value": mail.html}],
        "headers": {"Message-ID": mail.header_id, **dict(mail.headers)},
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
            "subscription_tracking": {"enable": False},
            "ganalytics": {"enable": False},
        },
    }
    return body | _reply_to(mail) | _attachments(mail)


def _attachments(mail: Mail) -> dict[str, Any]:
    """The files of a mail; SendGrid refuses an empty list."""
    files = [
        {
            "content": base64.b64encode(file.content).decode(),
            "type": file.kind,
            "filename": file.name,
            "disposition": "attachment",
        }
        for file in mail.attachments
    ]
    return {"attachments": files} if files else {}


def _reply_to(mail: Mail) -> dict[str, Any]:
    """SendGrid takes one answer address or several, under two names."""
    answers = [{"email": one} for one in mail.reply_to]
    if len(answers) > 1:
        return {"reply_to_list": answers}
    return {"reply_to": answers[0]} if answers else {}


class _Line:
    """One thread's way to SendGrid."""

    def __init__(self, key: str, url: str, timeout: float) -> None:
        self._stood = threading.Event()
        opener = urllib.request.OpenerDirector()
        for handler in (
            _Connecting(self._stood),
            _ConnectingSafely(self._stood),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
        ):
            opener.add_handler(handler)
        self._account = SendGridAPIClient(key, host=url)
        plain = self._account.client
        self._account.client = _DirectClient(opener, plain.host, plain.request_headers, 3, timeout=timeout)

    def send(self, mail: Mail) -> Answer:
        """What SendGrid says, or what its silence means."""
        self._stood.clear()
        try:
            answer = self._account.send(payload(mail))
        except HTTPError as error:
            return _said_no(error)
        except (OSError, http.client.HTTPException) as error:
            said = f"{type(error).__name__}: {error}"[:LONGEST_SAID]
            return Unknown(said) if self._stood.is_set() else NotSent(said)
        if 200 <= answer.status_code < 300:  # noqa: PLR2004 - the class of success
            return Accepted(answer.headers.get("X-Message-Id"))
        return Unknown(f"SendGrid answered {answer.status_code}")


def _said_no(error: HTTPError) -> Answer:
    """A refusal is one only where SendGrid promises so; a redirect or a 5xx may come from anybody."""
    status = int(error.status_code)
    said = f"SendGrid answered {status}: {error.body.decode(errors='replace')}"[:LONGEST_SAID]
    if status == TOO_MANY:
        return Later(_reset(error.headers.get("X-RateLimit-Reset")))
    if status in REFUSED:
        return Refused(said, stops=status in OUR_FAULT)
    return Unknown(said)


def _reset(seconds: str | None) -> datetime | None:
    """`X-RateLimit-Reset` in seconds since 1970; None where it makes no sense."""
    try:
        return datetime.fromtimestamp(int(seconds or ""), UTC)
    except (ValueError, OverflowError, OSError):
        return None


class _DirectClient(Client):  # type: ignore[misc] # the package has no types
    """The package's client with our opener: no proxy, no redirect, and a time-out in every part of it."""

    def __init__(self, opener: urllib.request.OpenerDirector, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - the package's
        super().__init__(*arguments, **options)
        self._opener = opener

    def _build_client(self, name: str | None = None) -> "_DirectClient":
        path = [*self._url_path, name] if name else self._url_path
        return _DirectClient(
            self._opener, self.host, self.request_headers, self._version, path, timeout=self.timeout
        )

    def _make_request(self, _: object, request: object, timeout: float | None = None) -> object:
        return super()._make_request(self._opener, request, timeout)


class _Connecting(urllib.request.HTTPHandler):
    """Notes when the connection stands."""

    def __init__(self, stood: threading.Event) -> None:
        super().__init__()
        self._stood = stood

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        stood = self._stood

        class Connection(http.client.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                stood.set()

        return self.do_open(Connection, request)


class _ConnectingSafely(urllib.request.HTTPSHandler):
    """The same with TLS: it stands once the handshake is over."""

    def __init__(self, stood: threading.Event) -> None:
        self._tls = ssl.create_default_context()
        super().__init__(context=self._tls)
        self._stood = stood

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        stood = self._stood

        class Connection(http.client.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                stood.set()

        return self.do_open(Connection, request, context=self._tls)
