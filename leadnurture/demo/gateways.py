"""Companies whose mail gateway follows the links of a mail before its reader does, as such gateways do.

Most look at every link at once, less than a minute after the mail came. Some look at the one that is seen
first, and come for the hidden one when that click has been judged: what it brought must be taken back.
"""

from datetime import datetime, timedelta
from typing import Final

from leadnurture.demo.hours import ROUNDS

AT_ONCE: Final = frozenset({"falkensoft.example", "rheinwind-power.example"})
IN_TURN: Final = frozenset({"alpen-stadtwerke.example"})
AFTER: Final = timedelta(seconds=43)
"""The median of real ones."""
BEFORE_ROUND: Final = timedelta(minutes=30)
AFTER_ROUND: Final = timedelta(minutes=20)
READS: Final = timedelta(hours=3)
AGENT: Final = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36"
"""They say that they are a browser."""


def looks(email: str, now: datetime) -> tuple[tuple[datetime, str], ...]:
    """When the gateway of somebody's company looks at a mail that came now, and at which of its links."""
    company = email.rpartition("@")[2]
    if company in AT_ONCE:
        return ((now + AFTER, "every link"),)
    if company in IN_TURN:
        judged = ROUNDS.first_from(now + READS)
        return ((judged - BEFORE_ROUND, "visible link"), (judged + AFTER_ROUND, "hidden link"))
    return ()
