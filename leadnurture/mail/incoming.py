"""A mail that came in, as a value: from whole MIME, or from the form into which SendGrid takes it apart.

One idea to hold: nothing here refuses a mail. Whatever is odd in it (unknown charset, cut header, broken
MIME) is read as well as it can be; the bytes themselves lie in the inbox.
"""

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.errors import HeaderParseError
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.utils import getaddresses, parsedate_to_datetime
from typing import Final

import inscriptis
from python_multipart.multipart import MultipartParser, parse_options_header

from leadnurture.errors import InvalidInputError

LONGEST_TEXT: Final = 20_000
LONGEST_HTML: Final = 300_000
"""So much of an HTML part is made text of; the part itself may be as long as it likes."""
LONGEST_WORD: Final = 500
# Parts of a form that say something of the mail; what was attached to it says nothing to us.
STATUS: Final = "message/delivery-status"
REPORTING: Final = frozenset({STATUS, "message/rfc822", "text/rfc822-headers"})
# Where a mail says for whom it is, the surest first.
ADDRESSED: Final = ("x-original-to", "delivered-to", "envelope-to", "x-forwarded-to", "to", "cc")
HEADER_ID: Final = re.compile(r"<([^<>\s]+)>")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A mail that came in."""

    headers: Mapping[str, tuple[str, ...]]
    """By their names in small letters, in the order of the mail."""
    sender: str
    """The address in From, in small letters; empty where there is none."""
    recipients: tuple[str, ...]
    envelope_from: str | None
    """Empty for what must not be answered; None where nobody told."""
    subject: str
    header_id: str
    """Its Message-ID without brackets, or empty."""
    references: tuple[str, ...]
    """What it answers, the nearest first."""
    at: datetime | None
    text: str
    """What a person would read of it, as far as 20,000 characters."""
    kind: str
    """`text/plain`, `multipart/report`, …"""
    report: bytes | None = None
    """The machine's part of a delivery report (RFC 3464)."""
    reported: tuple[str, ...] = ()
    """The ids of the mails that a report is about."""

    def header(self, name: str) -> str:
        """The first header of that name; empty where there is none."""
        return next(iter(self.headers.get(name, ())), "")


def incoming_of(body: bytes, content_type: str) -> Incoming:
    """The mail in a post: of Inbound Parse, raw or taken apart, or of a mail server, the mail alone.

    InvalidInputError for what is neither.
    """
    if content_type.partition(";")[0].strip().lower() == "message/rfc822":
        message = _parsed(body)
        return _incoming(message, {}, text=_text_of(message), parts=list(message.walk()))
    form = _form(body, content_type)
    if "email" in form:
        message = _parsed(form["email"].content)
        return _incoming(message, form, text=_text_of(message), parts=list(message.walk()))
    if "headers" not in form:
        raise InvalidInputError("The form has neither a mail nor its headers.")
    message = _parsed(form["headers"].content)
    charsets = _object(form.get("charsets"))
    text = _decoded(form["text"].content, charsets.get("text")) if "text" in form else ""
    if not text.strip() and "html" in form:
        text = _readable(_decoded(form["html"].content, charsets.get("html")))
    parts = [_parsed(part.head + part.content) for part in form.values() if part.kind in REPORTING]
    return _incoming(message, form, text=text, parts=parts)


def _incoming(message: Message, form: Mapping[str, "_Part"], *, text: str, parts: list[Message]) -> Incoming:
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in _headers(message):
        headers[name.lower()] = (*headers.get(name.lower(), ()), value)
    envelope = _object(form.get("envelope"))
    sender = envelope.get("from")
    to = envelope.get("to")
    told = [address for address in to if isinstance(address, str)] if isinstance(to, list) else []
    senders = getaddresses(list(headers.get("from", ())))
    return Incoming(
        headers=headers,
        sender=senders[0][1].lower()[:LONGEST_WORD] if senders else "",
        recipients=(*told, *_addresses(headers)),
        envelope_from=sender if isinstance(sender, str) else None,
        subject=next(iter(headers.get("subject", ())), "")[:LONGEST_WORD],
        header_id=_id_of(next(iter(headers.get("message-id", ())), "")),
        references=_references(headers),
        at=_date(next(iter(headers.get("date", ())), "")),
        text=text[:LONGEST_TEXT],
        kind=message.get_content_type(),
        report=next(
            (_bytes(part) for part in parts if part.get_content_type() == "message/delivery-status"), None
        ),
        reported=tuple(_reported(parts)),
    )


# --- the form ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Part:
    """A part of the form; of attachments only the head is kept."""

    head: bytes = b""
    kind: str = ""
    name: str = ""
    content: bytes = b""


def _form(body: bytes, content_type: str) -> dict[str, _Part]:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidInputError("The post is no form; it should be multipart/form-data.")
    reader = _FormReader()
    parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type] # of the names that it knows
    try:
        parser.write(body)
        parser.finalize()
    except ValueError as error:
        raise InvalidInputError(f"The form is broken ({error}).") from error
    return reader.parts


class _FormReader:
    """Takes a form apart without keeping what nobody reads."""

    def __init__(self) -> None:
        self.parts: dict[str, _Part] = {}
        self._part = _Part()
        self._name = b""
        self._value = b""
        self._content = bytearray()

    def callbacks(self) -> dict[str, object]:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._read_name(data[start:end]),
            "on_header_value": lambda data, start, end: self._read_value(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._read(data[start:end]),
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._part, self._content = _Part(), bytearray()

    def _read_name(self, some: bytes) -> None:
        self._name += some

    def _read_value(self, some: bytes) -> None:
        self._value += some

    def _end_header(self) -> None:
        name = self._name.lower()
        if name == b"content-disposition":
            self._part.name = parse_options_header(self._value)[1].get(b"name", b"").decode(errors="replace")
        else:
            self._part.head += self._name + b": " + self._value + b"\r\n"
        if name == b"content-type":
            self._part.kind = parse_options_header(self._value)[0].decode(errors="replace").lower()
        self._name = self._value = b""

    def _read(self, some: bytes) -> None:
        if not self._part.name.startswith("attachment") or self._part.kind in REPORTING:
            self._content += some

    def _end(self) -> None:
        self._part.content = bytes(self._content)
        self._part.head += b"\r\n"
        self.parts[self._part.name] = self._part


def _object(part: _Part | None) -> dict[str, object]:
    try:
        told = json.loads(part.content) if part else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


# --- the mail ------------------------------------------------------------------------------------------


def _parsed(content: bytes) -> Message:
    return BytesParser(EmailMessage, policy=policy.default).parsebytes(content)


def _headers(message: Message) -> Iterator[tuple[str, str]]:
    """Name and value of each; one that the library cannot read, as it stands."""
    for name, raw in message.raw_items():
        try:
            value = str(message.policy.header_fetch_parse(name, raw))
        except (HeaderParseError, ValueError, IndexError, AttributeError, TypeError):
            value = str(raw)
        yield name, _clean(" ".join(value.split()))


def _clean(text: str) -> str:
    """What both databases keep: no NUL, no half characters."""
    return text.replace("\0", "").encode(errors="replace").decode()


def _addresses(headers: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for name in ADDRESSED:
        for _, address in getaddresses(list(headers.get(name, ()))):
            if address:
                yield address


def _id_of(value: str) -> str:
    found = HEADER_ID.search(value)
    return (found[1] if found else value.strip())[:LONGEST_WORD]


def _references(headers: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """What it answers, then what that answered, back to the beginning."""
    direct = [one for value in headers.get("in-reply-to", ()) for one in HEADER_ID.findall(value)]
    thread = [one for value in headers.get("references", ()) for one in HEADER_ID.findall(value)]
    return tuple(dict.fromkeys([*direct, *reversed(thread)]))[:50]


def _date(value: str) -> datetime | None:
    try:
        told = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    try:
        return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _text_of(message: Message) -> str:
    """The first part that is meant to be read: plain text before HTML."""
    parts = [part for part in message.walk() if part.get_content_disposition() != "attachment"]
    for kind in ("text/plain", "text/html"):
        for part in parts:
            if part.get_content_type() == kind:
                text = _decoded(_bytes(part), part.get_content_charset())
                if text.strip():
                    return text if kind == "text/plain" else _readable(text)
    return ""


def _bytes(part: Message) -> bytes:
    if part.get_content_type() == STATUS and part.is_multipart():
        # The library takes its groups of fields for mails of their own.
        groups = part.get_payload()
        return b"\n".join(bytes(group) for group in groups if isinstance(group, Message))
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _decoded(content: bytes, charset: object) -> str:
    """In the charset that is told if that can be, else as UTF-8, else as Windows would."""
    for name in (charset, "utf-8"):
        try:
            text = content.decode(codecs.lookup(name).name if isinstance(name, str) else "ascii")
        except (LookupError, ValueError):
            continue
        return _clean(text)
    return _clean(content.decode("cp1252", errors="replace"))


def _readable(html: str) -> str:
    try:
        return str(inscriptis.get_text(html[:LONGEST_HTML])).strip()
    except (ValueError, TypeError, AttributeError, RecursionError):  # whatever lxml says of what is no HTML
        return re.sub(r"<[^>]*>", " ", html[:LONGEST_HTML]).strip()


def _reported(parts: list[Message]) -> Iterator[str]:
    """The Message-IDs of the mails that lie in a report, whole or as their headers."""
    for part in parts:
        if part.get_content_type() not in {"message/rfc822", "text/rfc822-headers"}:
            continue
        inner = part.get_payload()
        found = inner[0] if isinstance(inner, list) and inner else _parsed(_bytes(part))
        if isinstance(found, Message) and (header_id := _id_of(str(found.get("Message-ID", "")))):
            yield header_id
