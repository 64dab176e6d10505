"""A mail server on loopback: plays a script of answers, keeps what it took."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TIMEOUT = 1.0
"""Of the clients in tests; a `hangs` answer takes longer."""
USER, PASSWORD = "news", "the-password-of-the-tests"


@dataclass
class FakeServer:
    """`script` holds the answers to the next mails: `550 rcpt`, `451 data`, `hangs`, `reset after`."""

    script: list[str] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    sessions: set[int] = field(default_factory=set)
    port: int = 0
    _now: str = ""

    @property
    def mails(self) -> list[EmailMessage]:
        """What it took."""
        contents = [envelope.original_content or b"" for envelope in self.envelopes]
        return [message_from_bytes(content, EmailMessage, policy=policy.default) for content in contents]

    @contextmanager
    def running(self, ssl_context: ssl.SSLContext | None = None, **options: Any) -> Iterator["FakeServer"]:  # noqa: ANN401 - aiosmtpd's
        """Answers until the end, in a thread of its own."""
        loop = asyncio.new_event_loop()
        lines: list[SMTP] = []

        async def listen() -> asyncio.Server:
            def line() -> SMTP:
                lines.append(SMTP(_Handler(self), loop=loop, hostname="localhost", **options))
                return lines[-1]

            return await loop.create_server(line, "127.0.0.1", 0, ssl=ssl_context)

        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        server = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(_end(server, lines), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()

    def answer(self, place: str) -> str | None:
        """What to say at this place of the dialogue, if the script says anything."""
        said, _, where = self._now.partition(" ")
        return f"{said} 5.1.1 said {said} of <ann@example.org>" if where == place else None


class _Handler:
    def __init__(self, fake: FakeServer) -> None:
        self._fake = fake

    async def handle_MAIL(  # noqa: N802 - as aiosmtpd calls it
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fake = self._fake
        fake.sessions.add(id(session))
        fake._now = fake.script.pop(0) if fake.script else ""
        if said := fake.answer("mail"):
            return said
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - as aiosmtpd calls it
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if said := self._fake.answer("rcpt"):
            return said
        if self._fake._now == "reset before":
            _hang_up(server)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        fake = self._fake
        if said := fake.answer("data"):
            return said
        fake.envelopes.append(envelope)
        if fake._now == "hangs":
            await asyncio.sleep(TIMEOUT * 2)
        if fake._now == "reset after":
            _hang_up(server)
        return f"250 OK: queued as Q{len(fake.envelopes)}"


async def _end(server: asyncio.Server, lines: list[SMTP]) -> None:
    """Hangs up on everybody."""
    server.close()
    for line in lines:
        if isinstance(line.transport, asyncio.Transport):
            line.transport.abort()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _hang_up(server: SMTP) -> None:
    assert isinstance(server.transport, asyncio.Transport)
    server.transport.abort()


def authenticator(*told: Any) -> AuthResult:  # noqa: ANN401 - aiosmtpd's
    """Lets in whoever knows the password."""
    shown = told[-1]
    known = LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=isinstance(shown, LoginPassword) and shown == known, handled=False)


def certificates(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS of a server at 127.0.0.1, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begins = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file)
    client = ssl.create_default_context(cafile=file)
    return server, client
