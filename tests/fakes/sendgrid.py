"""SendGrid on loopback: checks each request against the official schema, keeps a ledger, plays a script.

The ledger is a file, so that it survives whoever is killed while sending to it.
"""

import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DATA = Path(__file__).parents[1] / "data" / "sendgrid"
KEY = "SG.the-key-of-the-tests"
TIMEOUT = 0.4
"""Of the clients in tests; a `hangs` answer takes longer."""


def _validator() -> Draft202012Validator:
    document = json.loads((DATA / "tsg_mail_v3.patched.json").read_text())
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    schema = {"$ref": "urn:mail#/components/requestBodies/PostMailSend/content/application~1json/schema"}
    return Draft202012Validator(schema, registry=Registry().with_resource("urn:mail", resource))


VALIDATOR = _validator()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # every thread of a delivery knocks at once


class FakeSendGrid:
    """A running fake. `script` holds the next answers by name; when it is empty, 202."""

    def __init__(self, ledger: Path) -> None:
        self.ledger = ledger
        self.script: list[str] = []
        self.problems: list[str] = []
        self.reset = "1925000000"
        self.most_at_once = 0
        self.elsewhere = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator["FakeSendGrid"]:
        """Answers until the end."""
        thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    @property
    def mails(self) -> list[dict[str, Any]]:
        """Every body that was accepted, in order."""
        if not self.ledger.exists():
            return []
        return [json.loads(line) for line in self.ledger.read_text().splitlines()]

    @property
    def sent(self) -> Counter[str]:
        """How often each message was accepted."""
        return Counter(
            mail["personalizations"][0]["custom_args"]["leadnurture_message"] for mail in self.mails
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Quiet."""

            def do_POST(self) -> None:
                with fake._lock:
                    fake._at_once += 1
                    fake.most_at_once = max(fake.most_at_once, fake._at_once)
                    answer = fake.script.pop(0) if fake.script else "202"
                try:
                    body = self.rfile.read(int(self.headers["Content-Length"]))
                    fake._take(self, body, answer)
                finally:
                    with fake._lock:
                        fake._at_once -= 1

            def do_GET(self) -> None:
                fake.elsewhere += 1
                self.send_response(200)
                self.end_headers()

        return Handler

    def _take(self, request: BaseHTTPRequestHandler, body: bytes, answer: str) -> None:
        self._check(request, body)
        if answer in {"202", "slow", "hangs", "cut", "reset after", "500 after"}:
            self._enter(body)
        if answer == "slow":
            time.sleep(0.05)
        if answer == "hangs":
            time.sleep(TIMEOUT * 2)
        elif answer in {"reset", "reset after"}:
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.connection.close()
        elif answer == "cut":
            request.wfile.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 50\r\n\r\nhalf")
        else:
            self._answer(request, answer)
        request.close_connection = True

    def _answer(self, request: BaseHTTPRequestHandler, answer: str) -> None:
        status = 202 if answer == "slow" else int(answer.split(maxsplit=1)[0])
        request.send_response(status)
        if status == 202:
            request.send_header("X-Message-Id", f"sg-{time.monotonic_ns()}")
        if status == 429:
            request.send_header("X-RateLimit-Reset", self.reset)
        if status in {301, 302, 303, 307, 308}:
            request.send_header("Location", f"{self.url}/elsewhere")
        said = b"" if status == 202 else json.dumps({"errors": [{"message": f"said {status}"}]}).encode()
        request.send_header("Content-Length", str(len(said)))
        request.end_headers()
        request.wfile.write(said)

    def _check(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        if request.path != "/v3/mail/send" or request.headers["Authorization"] != f"Bearer {KEY}":
            self.problems.append(f"{request.path} with {request.headers['Authorization']}")
        mail = json.loads(body)
        self.problems += [error.message for error in VALIDATOR.iter_errors(mail)]

    def _enter(self, body: bytes) -> None:
        with self._lock, self.ledger.open("a") as file:
            file.write(json.dumps(json.loads(body)) + "\n")
