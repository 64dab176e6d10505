"""The provider without account and network: a folder of .eml files, one a mail, named by its key.

One idea to hold: a file is there whole or not at all, also after a power cut. It is written under another
name, forced to the disk and renamed; and writing the same mail again replaces it by itself.
"""

import binascii
import contextlib
import os
from email.header import Header
from email.utils import format_datetime, formataddr
from pathlib import Path

from leadnurture.mail.provider import Accepted, Answer, Mail, NotSent


class LocalOutbox:
    """Writes mails into a folder."""

    threads = 8  # a disk that forces several files at once is eight times as fast

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, mail: Mail) -> Answer:
        """Accepted once the file lies on the disk. Safe to repeat."""
        draft = self._folder / f".{mail.key}.{os.getpid()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write_durably(draft, as_eml(mail))
            draft.replace(self._folder / f"{mail.key}.eml")
        except OSError as error:
            # Sending it again would only replace the file, so this is as good as a proof.
            with contextlib.suppress(OSError):
                draft.unlink()
            return NotSent(
                f"the outbox {self._folder} cannot be written ({error.strerror}); "
                "make room or mend its rights"
            )
        return Accepted(mail.header_id)


def as_eml(mail: Mail) -> bytes:
    """The mail as RFC 5322 and MIME have it, text before HTML; the same bytes for the same mail.

    By hand: the library takes two milliseconds a mail, and breaks a long List-Unsubscribe into words that no
    reader undoes.
    """
    boundary = f"=_{mail.key}"  # quoted-printable writes every other "=" as "=3D"
    headers = [
        ("Message-ID", mail.header_id),
        ("From", formataddr((mail.sender_name, mail.sender))),
        ("To", formataddr((mail.to_name, mail.to))),
        *([("Reply-To", ", ".join(mail.reply_to))] if mail.reply_to else []),
        *([("Date", format_datetime(mail.at))] if mail.at else []),
        ("Subject", _encoded(mail.subject)),
        *mail.headers,
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/alternative; boundary="{boundary}"'),
    ]
    head = "".join(f"{name}: {value}\n" for name, value in headers)
    parts = "".join(
        f"\n--{boundary}\n{_part(kind, body)}" for kind, body in (("plain", mail.text), ("html", mail.html))
    )
    return f"{head}{parts}\n--{boundary}--\n".replace("\n", "\r\n").encode()


def _part(kind: str, body: str) -> str:
    encoded = binascii.b2a_qp(body.encode(), istext=True).decode()
    return (
        f"Content-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n{encoded}"
    )


def _encoded(value: str) -> str:
    return value if value.isascii() else Header(value, "utf-8").encode()


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
