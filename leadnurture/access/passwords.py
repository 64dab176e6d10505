"""Passwords: how they are kept, and which are good enough.

Argon2id with the measures that OWASP names (19 MiB, two passes): some 30 ms a look, a few at a time, so that
a flood of attempts takes neither the memory nor the whole machine.
"""

import secrets
import threading
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from leadnurture.errors import InvalidInputError

LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that look alike: twenty of them are 99 bits."""
SHORTEST: Final = 12
LONGEST: Final = 200
HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# The hash of something that nobody knows any more: a name that is nobody's costs the same look as any other.
OF_NOBODY: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$NUySjxfgCy4AeJmkI52dKQ$ZbkKJldBpJgLv5flLHYzZ91wdxuoCyLjHa9QX+2QKaw"
)
_TURNS: Final = threading.BoundedSemaphore(4)


def hashed(password: str) -> str:
    """What is kept of a password."""
    with _TURNS:
        return HASHER.hash(_same(password))


def fits(password: str, kept: str | None) -> bool:
    """Whether it is the password of which `kept` was kept; None is nobody's, and takes as long."""
    with _TURNS:
        try:
            HASHER.verify(kept or OF_NOBODY, _same(password))
        except (VerificationError, InvalidHashError):
            return False
    return kept is not None


def is_outdated(kept: str) -> bool:
    """Whether the hash was made by weaker measures than today's."""
    return HASHER.check_needs_rehash(kept)


def made_up() -> str:
    """A password that nobody guesses, to be written down once."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(4))


def refuse_weak(password: str, name: str) -> None:
    """InvalidInputError unless it is long enough and more than the name."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidInputError(
            f"A password has {SHORTEST} to {LONGEST} characters; take a sentence that only you say."
        )
    if name.casefold() in password.casefold() and len(password) < len(name) + SHORTEST:
        raise InvalidInputError("The password is hardly more than the name; take another.")
    if len(set(password)) < SHORTEST // 2:
        raise InvalidInputError("The password repeats a few characters; take another.")


def _same(password: str) -> str:
    """One form for what looks the same, whatever keyboard it was typed on."""
    return unicodedata.normalize("NFKC", password)
