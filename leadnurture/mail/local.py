"""The provider without account and network: a folder of .eml files, one a mail, named by its key.

One idea to hold: a file is there whole or not at all, also after a power cut. It is written under another
name, forced to the disk and renamed; and writing the same mail again replaces it by itself.
"""

import base64
import binascii
import contextlib
import os
import re
from collections.abc import Sequence
from email.header import Header
from email.utils import format_datetime, formataddr
from pathlib import Path
from typing import Final

from leadnurture.mail.provider import Accepted, Answer, Attachment, Mail, NotSent

CALENDAR_METHOD: Final = re.compile(rb"^METHOD:([A-Z]+)\r?$", re.MULTILINE)


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
    ]
    head = "".join(f"{name}: {value}\n" for name, value in headers)
    kind, body = _multipart("alternative", boundary, [_part("plain", mail.text), _part("html", mail.html)])
    if mail.attachments:
        parts = [f"{kind}{body}", *map(_attached, mail.attachments)]
        kind, body = _multipart("mixed", f"=_mixed_{mail.key}", parts)
    return f"{head}{kind}{body}".replace("\n", "\r\n").encode()


def _multipart(kind: str, boundary: str, parts: Sequence[str]) -> tuple[str, str]:
    """The header of several parts, and the parts."""
    inner = "".join(f"\n--{boundary}\n{part}" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\n', f"{inner}\n--{boundary}--\n"


def _attached(file: Attachment) -> str:
    """A file in base64; a calendar says what it wants of its reader, as mail programs expect it."""
    method = CALENDAR_METHOD.search(file.content) if file.kind == "text/calendar" else None
    said = f"; charset=utf-8; method={method[1].decode()}" if method else ""
    return (
        f'Content-Type: {file.kind}{said}; name="{file.name}"\nContent-Transfer-Encoding: base64\n'
        f'Content-Disposition: attachment; filename="{file.name}"\n\n'
        f"{base64.encodebytes(file.content).decode()}"
    )


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
