"""Hands mails to a mail server by SMTP (RFC 5321), step by step, so that it is known which step failed.

One idea to hold: the server has nothing of a mail before it asked for the content (354), and once it has
answered to the content, the answer counts. Only the silence in between is `Unknown`. No events will ever
settle that: delivery reports and replies do, where they come in; else a person, by the server's log.
"""

import contextlib
import re
import smtplib
import ssl
from dataclasses import dataclass
from typing import Final, Literal

from leadnurture.mail.local import as_eml
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

Encryption = Literal["starttls", "tls", "none"]
PATIENCE_SECONDS: Final = 120.0
"""For the answer to the content: a server may check it at length, and a silence costs more than our time."""
READY: Final = 354
CLOSING: Final = 421
TOO_LARGE: Final = 552
GOOD: Final = 2
NOT_NOW: Final = 4
# The mailbox or its domain is not there (RFC 3463); other reasons may pass.
GONE: Final = re.compile(r"5\.1\.[0-9]+\b|5\.2\.1\b")
ADDRESS: Final = re.compile(r"[^\s<>]+@[^\s<>]+")
LONGEST_SAID: Final = 500


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server, and how to be let in."""

    host: str
    port: int
    encryption: Encryption = "starttls"
    user: str = ""
    password: str = ""


class Smtp:
    """One mail server, with as many connections as mails are sent at once; each is kept for the next mail."""

    threads = None

    def __init__(
        self,
        server: Server,
        timeout: float = TIMEOUT_SECONDS,
        patience: float = PATIENCE_SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server = server
        self._timeout = timeout
        self._patience = patience
        self._tls = tls or ssl.create_default_context()
        self._idle: list[_Line] = []

    def send(self, mail: Mail) -> Answer:
        """The answer to one mail; never repeats what the server may have got."""
        try:
            line = self._idle.pop()
        except IndexError:
            line = _Line(self._server, self._timeout, self._patience, self._tls)
        try:
            return line.send(mail)
        finally:
            self._idle.append(line)

    def close(self) -> None:
        """Takes leave of the server."""
        while self._idle:
            self._idle.pop().close()


class _No(Exception):  # noqa: N818 - an answer, not an error
    """The server said no before it had anything of the mail."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


class _Line:
    """One connection to the server."""

    def __init__(self, server: Server, timeout: float, patience: float, tls: ssl.SSLContext) -> None:
        self._server = server
        self._timeout = timeout
        self._patience = patience
        self._tls = tls
        self._smtp: smtplib.SMTP | None = None

    def send(self, mail: Mail) -> Answer:
        """What the server says, or what its silence means."""
        try:
            content = as_eml(mail)
            smtp = self._ready()
            self._announce(smtp, mail, len(content))
        except _No as no:
            return no.answer
        except UnicodeError:
            return Refused("the address has letters that the server does not take")
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            return NotSent(_told(error))
        try:
            return self._hand_over(smtp, content)
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            return Unknown(_told(error))

    def _ready(self) -> smtplib.SMTP:
        """The connection, if it still stands; else a new one."""
        if self._smtp is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                if self._smtp.rset()[0] // 100 == GOOD:
                    return self._smtp
            self.close()
        self._smtp = self._connected()
        return self._smtp

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        if server.encryption == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=self._timeout, context=self._tls
            )
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=self._timeout)
        try:
            if server.encryption == "starttls":
                smtp.starttls(context=self._tls)
            if server.user:
                smtp.login(server.user, server.password)
            smtp.ehlo_or_helo_if_needed()
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _announce(self, smtp: smtplib.SMTP, mail: Mail, size: int) -> None:
        """From whom, to whom, and that the content comes now. Raises _No with the answer to anything else."""
        sized = [f"size={size}"] if smtp.has_extn("size") else []
        code, said = smtp.mail(mail.bounces_to or mail.sender, sized)
        if code // 100 != GOOD:
            raise _No(self._refused_sender(code, said))
        code, said = smtp.rcpt(mail.to)
        if code // 100 != GOOD:
            raise _No(self._refused(code, said))
        code, said = smtp.docmd("DATA")
        if code != READY:
            raise _No(self._refused(code, said))

    def _hand_over(self, smtp: smtplib.SMTP, content: bytes) -> Answer:
        assert smtp.sock is not None  # noqa: S101 - it has just answered
        # A dot alone ends the content, so one at the beginning of a line is doubled (RFC 5321, 4.5.2).
        smtp.send(re.sub(rb"(?m)^\.", b"..", content) + b".\r\n")
        smtp.sock.settimeout(self._patience)
        code, said = smtp.getreply()
        smtp.sock.settimeout(self._timeout)
        if code // 100 == GOOD:
            return Accepted(_plain(said)[:200])
        return self._refused(code, said)

    def _refused_sender(self, code: int, said: bytes) -> Answer:
        """A mail may be too large; whatever else is wrong is wrong with us: the next would fare the same."""
        if code == TOO_LARGE:
            return self._refused(code, said)
        if code == CLOSING:
            self.close()
        return NotSent(f"the server refuses our sender: {code} {_plain(said)}")

    def _refused(self, code: int, said: bytes) -> Answer:
        """A refusal is proof: the server has not taken this mail."""
        text = f"the server answered {code} {_plain(said)}"
        if code == CLOSING:
            self.close()
            return NotSent(text)
        if code // 100 == NOT_NOW:
            return Later(text=text, is_alone=True)
        return Refused(text, is_gone=GONE.search(_plain(said)) is not None)

    def close(self) -> None:
        """Hangs up."""
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None


def _plain(said: bytes) -> str:
    """What the server said, without the address that it repeats: it goes into a log."""
    words = " ".join(said.decode(errors="replace").replace("\0", "").split())
    return ADDRESS.sub("…", words)[:LONGEST_SAID]


def _told(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return (
            f"the server does not let us in ({error.smtp_code}); "
            "correct LEADNURTURE_SMTP_USER and LEADNURTURE_SMTP_PASSWORD"
        )
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return f"{error} See LEADNURTURE_SMTP_TLS."
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error if isinstance(error.smtp_error, bytes) else error.smtp_error.encode()
        return f"the server answered {error.smtp_code} {_plain(said)}"
    return ADDRESS.sub("…", f"{type(error).__name__}: {error}")[:LONGEST_SAID]
