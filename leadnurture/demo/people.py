"""What people do with a mail when nobody tells them: drawn by a seed from who they are and which mail it is.

Pure: the same person answers the same mail in the same way in every demo.
"""

import random
from dataclasses import dataclass
from typing import Final

SEED: Final = "querfeld"


@dataclass(frozen=True, slots=True)
class Temper:
    """How likely somebody is to do what a mail suggests."""

    clicks: float = 0.0
    registers: float = 0.0
    declines: float = 0.0
    attends: float = 0.0
    downloads: float = 0.0
    replies: float = 0.0
    looks_at_prices: float = 0.0
    leaves: float = 0.0
    chooses: float = 0.0
    """On the page of his preferences."""


SILENT: Final = Temper(leaves=0.005)
GLANCING: Final = Temper(
    clicks=0.25, registers=0.1, declines=0.1, attends=0.5, downloads=0.1, leaves=0.02, chooses=0.03
)
READING: Final = Temper(clicks=0.5, registers=0.35, declines=0.1, attends=0.7, downloads=0.5, replies=0.01)
EAGER: Final = Temper(
    clicks=0.8, registers=0.7, attends=0.85, downloads=0.7, replies=0.06, looks_at_prices=0.08
)
WEARY: Final = Temper(clicks=0.05, declines=0.1, leaves=0.35, chooses=0.15)
# How many of a hundred are how.
MIX: Final = ((SILENT, 58), (GLANCING, 22), (READING, 12), (EAGER, 5), (WEARY, 3))


def temper_of(email: str) -> Temper:
    """Who somebody is."""
    draw = random.Random(f"{SEED}/{email}").randrange(100)
    for temper, share in MIX:
        draw -= share
        if draw < 0:
            return temper
    return SILENT


def likes_to(email: str, mail: str, kind: str) -> tuple[str, ...]:
    """What somebody does with a mail about a content of that kind, in the words of a role."""
    temper = temper_of(email)
    chance = random.Random(f"{SEED}/{email}/{mail}")
    late = f"+{chance.choice((0, 0, 2))} "
    said = "unsubscribe" if chance.random() < temper.leaves else _choice(temper, email, mail)
    if said is not None:
        return (late + said,)
    if chance.random() < temper.replies:
        return (late + "reply",)
    if chance.random() < temper.looks_at_prices:
        return (late + "click", late + "pricing")
    if kind in {"webinar", "event"}:
        return _about_a_seat(temper, chance, late)
    if chance.random() >= temper.clicks:
        return ()
    takes = kind == "report" and chance.random() < temper.downloads
    return (late + "click", late + "download") if takes else (late + "click",)


CHOICES: Final = (
    "pause=1",
    "pause=3",
    "mails=1",
    "mails=2",
    "-topic=security",
    "-topic=monitoring",
    "language=en",
)


def _choice(temper: Temper, email: str, mail: str) -> str | None:
    """What somebody changes about what he gets, if he does."""
    chance = random.Random(f"{SEED}/preferences/{email}/{mail}")
    return f"choose:{chance.choice(CHOICES)}" if chance.random() < temper.chooses else None


def _about_a_seat(temper: Temper, chance: random.Random, late: str) -> tuple[str, ...]:
    if chance.random() < temper.registers:
        return (late + "register", "attends" if chance.random() < temper.attends else "misses")
    if chance.random() < temper.declines:
        return (late + "decline",)
    return (late + "click",) if chance.random() < temper.clicks / 3 else ()
