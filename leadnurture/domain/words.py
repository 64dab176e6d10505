"""The words by which a lead is found: small letters without accents, so that `muller` finds Müller. Pure."""

import functools
import re
import unicodedata
from typing import Final

LONGEST: Final = 60
MOST: Final = 8
"""Words of a search that are looked for; nobody types more."""
_SIGNS_AROUND: Final = re.compile(r"^[\W_]+|[\W_]+$")
_PART: Final = re.compile(r"[^\W_]+")


def words_of(*texts: str) -> set[str]:
    """The words of names and ids: each as it is written, and its parts between signs."""
    return set().union(*map(_words_in, texts))


@functools.lru_cache(maxsize=50_000)
def _words_in(text: str) -> frozenset[str]:
    """Remembered, since many have the same first name, the same account."""
    found: set[str] = set()
    for written in _plain(text).split():
        found.add(_SIGNS_AROUND.sub("", written)[:LONGEST])
        found.update(part[:LONGEST] for part in _PART.findall(written))
    return frozenset(found - {""})


def words_of_address(email: str) -> set[str]:
    """Those of a mail address: the whole of it, its domain, its parts but for the last, which many share."""
    whole = _plain(email.strip())
    domain = whole.rpartition("@")[2]
    parts = _PART.findall(whole)[:-1] if "." in domain else _PART.findall(whole)
    return {part[:LONGEST] for part in (whole, domain, whole.rpartition("@")[0], *parts)} - {""}


def prefixes_of(search: str) -> tuple[str, ...]:
    """What somebody looks for: every word must begin a word of the lead. Empty where no letter is typed."""
    found = (_SIGNS_AROUND.sub("", written)[:LONGEST] for written in _plain(search).split())
    return tuple(dict.fromkeys(filter(None, found)))[:MOST]


def end_of(prefix: str) -> str:
    """The first text behind all that begin with it."""
    return prefix + "\U0010ffff"


def _plain(text: str) -> str:
    folded = text.casefold()
    if folded.isascii():
        return folded
    spread = unicodedata.normalize("NFKD", folded)
    return "".join(sign for sign in spread if not unicodedata.combining(sign))
