"""The words by which a lead is found: small letters without accents, so that `muller` finds Müller. Pure."""

import unicodedata
from collections.abc import Iterator
from typing import Final

LONGEST: Final = 60
MOST: Final = 8
"""Words of a search that are looked for; nobody types more."""


def words_of(*texts: str) -> set[str]:
    """The words of names and addresses: each as it is written, and its parts between signs."""
    return {word[:LONGEST] for text in texts for written in text.split() for word in _parts(written)}


def words_of_address(email: str) -> set[str]:
    """Those of a mail address: the whole of it, its domain, its parts but for the last, which many share."""
    local, _, domain = _plain(email.strip()).rpartition("@")
    return {_plain(email.strip())[:LONGEST], domain[:LONGEST]} | words_of(local, *domain.split(".")[:-1])


def prefixes_of(search: str) -> tuple[str, ...]:
    """What somebody looks for: every word must begin a word of the lead. Empty where no letter is typed."""
    found = (_bare(_plain(written))[:LONGEST] for written in search.split())
    return tuple(dict.fromkeys(filter(None, found)))[:MOST]


def end_of(prefix: str) -> str:
    """The first text behind all that begin with it."""
    return prefix + "\U0010ffff"


def _parts(written: str) -> Iterator[str]:
    whole = _bare(_plain(written))
    if whole:
        yield whole
        yield from "".join(sign if sign.isalnum() else " " for sign in whole).split()


def _plain(text: str) -> str:
    spread = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in spread if not unicodedata.combining(sign))


def _bare(word: str) -> str:
    """Without the signs around it."""
    inside = [place for place, sign in enumerate(word) if sign.isalnum()]
    return word[inside[0] : inside[-1] + 1] if inside else ""
