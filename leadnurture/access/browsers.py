"""What a browser is given to show, signed by the secret: that somebody is signed in, and that he once was.

One idea to hold: when somebody was last seen stands in what his browser shows, not in a row. So reading a
page writes nothing, and whoever was away too long is signed out all the same.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from itsdangerous import BadSignature, Signer

IDLE: Final = timedelta(hours=2)
"""After so long without a page somebody is signed out."""
RENEWED_AFTER: Final = timedelta(minutes=1)
SEPARATOR: Final = "~"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a browser shows of a sign-in."""

    token: str
    seen_at: datetime

    def is_idle(self, machine_now: datetime) -> bool:
        """Whether nothing was seen of it for too long."""
        return machine_now - self.seen_at > IDLE

    def is_worn(self, machine_now: datetime) -> bool:
        """Whether it is time to give the browser a new one with today's time."""
        return machine_now - self.seen_at > RENEWED_AFTER


class Browsers:
    """Signs what browsers are given, and reads it back; whatever is malformed or forged reads as None."""

    def __init__(self, secret: str) -> None:
        self._sign_ins = Signer(secret, salt="leadnurture.sign-in")
        self._known = Signer(secret, salt="leadnurture.browser")

    def show(self, token: str, machine_now: datetime) -> str:
        """For a browser in which somebody is signed in."""
        return self._sign_ins.sign(f"{token}{SEPARATOR}{int(machine_now.timestamp())}").decode()

    def read(self, shown: str) -> Shown | None:
        """The sign-in that a browser shows."""
        try:
            token, _, seen = self._sign_ins.unsign(shown.encode()).decode().rpartition(SEPARATOR)
            return Shown(token, datetime.fromtimestamp(int(seen), UTC))
        except (BadSignature, UnicodeError, ValueError, OverflowError):
            return None

    def remember(self, name_key: str) -> str:
        """For a browser in which the owner of a name was signed in."""
        return self._known.sign(f"{secrets.token_urlsafe(12)}{SEPARATOR}{_short(name_key)}").decode()

    def known_to(self, shown: str, name_key: str) -> str | None:
        """The browser's own mark, if the owner of that name was signed in in it."""
        try:
            mark, _, name = self._known.unsign(shown.encode()).decode().partition(SEPARATOR)
        except (BadSignature, UnicodeError):
            return None
        return mark if name == _short(name_key) else None


def _short(name_key: str) -> str:
    """Names may have letters that a header may not."""
    return hashlib.sha256(name_key.encode()).hexdigest()[:32]
