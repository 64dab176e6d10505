"""Signs the links of mails and reads them back: ids only, one salt per action, so none does another's work.

One idea to hold: reading never raises. Whatever is malformed, forged or too old reads as None, and the door
shows its page for "no such link". Ages are product time: they are passed, never read from a clock.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from itsdangerous import BadSignature, Signer
from itsdangerous.signer import HMACAlgorithm

PREFIX: Final = {4: 24, 6: 48}
"""How many bits of an address tell its network: a person is not found again by them."""
HANDOFF_LIVES: Final = timedelta(days=14)
TASK_LIVES: Final = timedelta(days=30)
# Unreserved in a URL, never quoted, and not the separator of the signature.
SEPARATOR: Final = "~"
SHAPE: Final = re.compile(r"[0-9]+~[A-Za-z0-9_.~%-]*\.[A-Za-z0-9_-]+")
ANSWER: Final = re.compile(r"[^@+]+\+([0-9]{1,18})-([a-z2-7]{16})@[^@]+")
"""An address at which a mail of ours is answered."""


class Click(NamedTuple):
    """A click on a link of a message.

    `target` names the link; its address is looked up, never taken from the token.
    """

    message_id: int
    target: str


class Leaving(NamedTuple):
    """Somebody wants no more mail; the message is the one in which he said so, where it is known."""

    lead_id: int
    message_id: int | None


class Choosing(NamedTuple):
    """Somebody says what he wants from us; the message is the one that led him there, where it is known."""

    lead_id: int
    message_id: int | None


class Seat(NamedTuple):
    """A yes or a no to a session that a message was about."""

    message_id: int
    session: str


class _Hmac(HMACAlgorithm):
    """The same signatures in a sixth of the time: a mail has several links."""

    def __init__(self) -> None:
        super().__init__(hashlib.sha1)

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return hmac.digest(key, value, "sha1")


def _signer(secrets: Iterable[str], action: str) -> Signer:
    """One whose keys are derived once and not for each link."""
    salt = f"leadnurture.{action}"
    derived = [Signer(secret, salt=salt).derive_key() for secret in secrets]
    return Signer(derived, salt=salt, key_derivation="none", algorithm=_Hmac())


class Links:
    """Makes and reads the public links below one address."""

    def __init__(self, secret: str | Iterable[str], url: str, inbound: str = "") -> None:
        """Several secrets are a rotation: the last one signs, all of them are read.

        `inbound` is the address at which answers arrive, if any.
        """
        self._url = url.rstrip("/")
        self.inbound = inbound
        secrets = [secret] if isinstance(secret, str) else list(secret)
        self._newest = secrets[-1].encode()
        self._signers = {
            action: _signer(secrets, action)
            for action in (
                "click",
                "unsubscribe",
                "preferences",
                "register",
                "decline",
                "download",
                "handoff",
                "ask",
                "task",
                "reply",
            )
        }

    def click(self, message_id: int, target: str) -> str:
        """Leads to a link's target and tells us so."""
        return f"{self._url}/c/{self._sign('click', message_id, target)}"

    def unsubscribe(self, lead_id: int, message_id: int | None = None) -> str:
        """Ends all mail; never expires."""
        return f"{self._url}/u/{self._sign('unsubscribe', lead_id, message_id or 0)}"

    def preferences(self, lead_id: int, message_id: int | None = None) -> str:
        """The page on which a lead says what he wants from us; never expires."""
        return f"{self._url}/p/{self._sign('preferences', lead_id, message_id or 0)}"

    def register(self, message_id: int, session: str) -> str:
        """The page on which a seat is taken."""
        return f"{self._url}/w/{self._sign('register', message_id, session)}"

    def decline(self, message_id: int, session: str) -> str:
        """The page on which a session, or content without one, is declined."""
        return f"{self._url}/w/{self._sign('decline', message_id, session)}"

    def download(self, message_id: int) -> str:
        """The page on which the file of a mail's content is fetched."""
        return f"{self._url}/d/{self._sign('download', message_id, 0)}"

    def handoff(self, handoff_id: int, now: datetime) -> str:
        """The page on which sales accepts or returns; lives 14 days."""
        return f"{self._url}/h/{self._sign('handoff', handoff_id, int(now.timestamp()))}"

    def ask(self, message_id: int) -> str:
        """The page on which the reader of a mail answers what it asks; the page knows how old the mail is."""
        return f"{self._url}/a/{self._sign('ask', message_id, '')}"

    def task(self, task_id: int, now: datetime) -> str:
        """The page on which one of our people answers a task; lives 30 days."""
        return f"{self._url}/a/{self._sign('task', task_id, int(now.timestamp()))}"

    def network(self, address: str | None) -> str | None:
        """A mark of the network of an address, the same for all in it, from which nobody reads the address.

        None where it is unknown or private: of a machine of ours, or of a proxy that hides who asks.
        """
        try:
            known = ip_address(address or "")
        except ValueError:
            return None
        if isinstance(known, IPv6Address) and known.ipv4_mapped is not None:
            known = known.ipv4_mapped
        if not known.is_global:
            return None
        network = ip_network((known, PREFIX[known.version]), strict=False)
        return hmac.digest(self._newest, f"network {network}".encode(), "sha256").hex()[:16]

    def answer_address(self, message_id: int) -> str | None:
        """Where an answer to this message goes: `reply+12-k4f…@in.example.com`. None where none can arrive.

        On its way an address may lose its capitals, so there are none.
        """
        if not self.inbound:
            return None
        name, _, domain = self.inbound.rpartition("@")
        signer = self._signers["reply"]
        return f"{name}+{message_id}-{_short(signer, signer.secret_keys[-1], message_id)}@{domain}"

    def read_answer_address(self, address: str) -> int | None:
        """The message that is answered at this address; None for any address that is not ours."""
        found = ANSWER.fullmatch(address.strip().lower())
        if found is None:
            return None
        message_id = int(found[1])
        signer = self._signers["reply"]
        signed = (_short(signer, secret, message_id) for secret in signer.secret_keys)
        return message_id if any(hmac.compare_digest(found[2], each) for each in signed) else None

    def read_click(self, token: str) -> Click | None:
        """What was clicked."""
        parts = self._read("click", token)
        return None if parts is None else Click(*parts)

    def read_unsubscribe(self, token: str) -> Leaving | None:
        """Who leaves, and because of which message."""
        parts = self._read("unsubscribe", token)
        return None if parts is None else Leaving(parts[0], int(parts[1]) or None)

    def read_preferences(self, token: str) -> Choosing | None:
        """Who says what he wants, and which message led him there."""
        parts = self._read("preferences", token)
        return None if parts is None else Choosing(parts[0], int(parts[1]) or None)

    def read_register(self, token: str) -> Seat | None:
        """Who takes a seat in which session."""
        parts = self._read("register", token)
        return None if parts is None else Seat(*parts)

    def read_decline(self, token: str) -> Seat | None:
        """Who declines which session; shares its path with `read_register`, never its tokens."""
        parts = self._read("decline", token)
        return None if parts is None else Seat(*parts)

    def read_download(self, token: str) -> int | None:
        """The message whose file is fetched."""
        parts = self._read("download", token)
        return None if parts is None else parts[0]

    def read_handoff(self, token: str, now: datetime) -> int | None:
        """The handoff that may be decided; None once the link is older than 14 days."""
        return self._read_living("handoff", token, now, HANDOFF_LIVES)

    def read_ask(self, token: str) -> int | None:
        """The message whose questions are answered."""
        parts = self._read("ask", token)
        return None if parts is None else parts[0]

    def read_task(self, token: str, now: datetime) -> int | None:
        """The task that may be answered; None once the link is older than 30 days.

        Shares its path with `read_ask`, never its tokens.
        """
        return self._read_living("task", token, now, TASK_LIVES)

    def _sign(self, action: str, number: int, rest: str | int) -> str:
        return self._signers[action].sign(f"{number}{SEPARATOR}{quote(str(rest), safe='')}").decode()

    def _read_living(self, action: str, token: str, now: datetime, lives: timedelta) -> int | None:
        parts = self._read(action, token)
        if parts is None or now - datetime.fromtimestamp(int(parts[1]), UTC) > lives:
            return None
        return parts[0]

    def _read(self, action: str, token: str) -> tuple[int, str] | None:
        """What we signed.

        Base64 would overlook signs that are none of its own, so the shape is asked first.
        """
        if SHAPE.fullmatch(token) is None:
            return None
        try:
            number, _, rest = self._signers[action].unsign(token.encode()).decode().partition(SEPARATOR)
        except (BadSignature, UnicodeError):
            return None
        return int(number), unquote(rest)


def _short(signer: Signer, secret: bytes, message_id: int) -> str:
    """Eighty bits of the signature in letters and digits without case."""
    signature = signer.algorithm.get_signature(signer.derive_key(secret), str(message_id).encode())
    return base64.b32encode(signature[:10]).decode().lower()
