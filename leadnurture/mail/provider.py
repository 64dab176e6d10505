"""What a provider is asked and what it may answer.

To add one: a file beside `local.py`, a class with these, a line in `choice.py`.

One idea to hold: an answer says whether bytes may have left. `NotSent` is proof that none did, so the mail is
sent again; `Unknown` is everything that is not proof, so it never is. A provider repeats nothing and follows
no redirect by itself.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that travels with a mail. Name and kind are ours, in ASCII."""

    name: str
    kind: str
    """Its media type: `text/calendar`."""
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one person, complete. `key` names it for ever: the file of the outbox, the Message-ID."""

    key: str
    to: str
    sender_name: str
    sender: str
    subject: str
    html: str
    text: str
    to_name: str = ""
    reply_to: tuple[str, ...] = ()
    bounces_to: str = ""
    """Where servers report that they cannot deliver it; empty means the sender."""
    at: datetime | None = None
    """Its date, of the product's clock."""
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    message_id: int | None = None
    """The message of a program; events about the mail carry it. None for a notice to our own people."""

    def __post_init__(self) -> None:
        """A line break in a header would begin another header."""
        for value in (
            self.key,
            self.to,
            self.to_name,
            self.sender_name,
            self.sender,
            self.subject,
            *self.reply_to,
            self.bounces_to,
            *sum(self.headers, ()),
        ):
            if "\r" in value or "\n" in value:
                raise ValueError("a header of a mail must not contain a line break")

    @property
    def header_id(self) -> str:
        """The Message-ID: the same however often the mail is made."""
        return f"<{self.key}@{self.sender.rpartition('@')[2]}>"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has it."""

    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will never take it.

    `stops`: because of us, not of this mail; the next would fare the same. `is_gone`: no such mailbox.
    """

    text: str
    stops: bool = False
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """Not taken, welcome again at an instant of the machine's clock, if it is told: too many at once.

    `is_alone`: it is about this mail; others may fare better.
    """

    at: datetime | None = None
    text: str = "the provider wants fewer at once"
    is_alone: bool = False


@dataclass(frozen=True, slots=True)
class NotSent:
    """Proved: the connection did not stand, so no byte of the mail has left."""

    text: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been taken."""

    text: str


Answer = Accepted | Refused | Later | NotSent | Unknown


class Provider(Protocol):
    """Takes mails. `send` is called from several threads at once."""

    @property
    def threads(self) -> int | None:
        """How many threads gain anything here; None: as many as the settings allow."""

    def send(self, mail: Mail) -> Answer:
        """Hands one mail over, once."""
