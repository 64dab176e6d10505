"""Who clicks how: gateways and people, as the figures of real bursts tell them (`domain/clicks.py`).

A pattern is one mail, or the same mail to some leads, and the requests for its links. Times are seconds after
the sending.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

CHROME: Final = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36"
FIREFOX: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
PHONE: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 Version/19.1 Mobile"
)
IN_APP: Final = (
    "Mozilla/5.0 (Linux; Android 16; Pixel 9; wv) AppleWebKit/537.36 Version/4.0 Chrome/142.0 GmailApp"
)
OLD: Final = "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko"
UNLUCKY: Final = (
    "Mozilla/5.0 (Linux; Android 11; CUBOT X50) AppleWebKit/537.36 Chrome/142.0 Mobile Safari/537.36"
)
MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 24 * HOUR


@dataclass(frozen=True)
class Ask:
    """A request for a link of the mail."""

    after: float
    link: str = "link"
    method: Literal["GET", "HEAD"] = "GET"
    agent: str = CHROME
    network: str | None = "office"
    lead: int = 0
    by_person: bool = False


def me(after: float, link: str = "link", **about: object) -> Ask:
    """A request of a person."""
    return Ask(after, link, by_person=True, **about)  # type: ignore[arg-type] # fields of Ask


def burst(after: float, *links: str, gap: float = 0.1, **about: object) -> list[Ask]:
    """One after another."""
    return [
        Ask(after + gap * place, link, **about)  # type: ignore[arg-type] # as above
        for place, link in enumerate(links)
    ]


MACHINES: Final[dict[str, Sequence[Ask]]] = {
    "every link 43 s after the sending, as two thirds do": burst(43, "link", "hidden"),
    "every link after four minutes, as a quarter do": burst(240, "link", "more", "hidden"),
    "every link within ten seconds, as one of two hundred does": burst(7, "link", "more", "hidden"),
    "the links that are seen, at once": burst(31, "link", "more", gap=0.4),
    "each link from another network under another name": [
        Ask(52, "link", agent=CHROME, network="cloud-1"),
        Ask(52.6, "more", agent=FIREFOX, network="cloud-2"),
    ],
    "one link after another, three seconds apart": burst(40, "link", "more", "most", gap=3),
    "Proofpoint says its name": [Ask(35, agent="Mozilla/5.0 (compatible; Proofpoint URL Defense)")],
    "Mimecast asks for the head, then for the page": [Ask(22, method="HEAD"), Ask(24)],
    "Barracuda asks for heads, another machine of it for the page": [
        Ask(25, "more", "HEAD", network="b-1"),
        Ask(25.2, "link", "HEAD", network="b-1"),
        Ask(28, network="b-2"),
    ],
    "heads and nothing else": [Ask(60, method="HEAD"), Ask(61, "more", "HEAD")],
    "the hidden link five minutes before the other": [Ask(50, "hidden"), Ask(50 + 5 * MINUTE)],
    "the hidden link five minutes after the other": [Ask(50), Ask(50 + 5 * MINUTE, "hidden")],
    "one link of the mail to each of six colleagues": [Ask(44 + place, lead=place) for place in range(6)],
    "on arrival, before anybody could read": [Ask(1.5)],
    "a script": [Ask(5 * MINUTE, agent="python-requests/2.32")],
    "a browser that nobody looks at": [Ask(70, agent="Mozilla/5.0 HeadlessChrome/142.0")],
    "a crawler, days later": [Ask(2 * DAY, agent="Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com)")],
    "twice, after 43 s and after an hour": [*burst(43, "link", "hidden"), *burst(HOUR, "link", "hidden")],
}  # fmt: skip

PERSONS: Final[dict[str, Sequence[Ask]]] = {
    "a quarter of a minute after the sending": [me(15)],
    "three minutes after": [me(3 * MINUTE)],
    "three hours after": [me(3 * HOUR)],
    "three days after": [me(3 * DAY)],
    "a double click": [me(10 * MINUTE), me(10 * MINUTE + 0.3)],
    "two links, two seconds apart": [me(HOUR), me(HOUR + 2, "more")],
    "three links, read one after another": [me(HOUR), me(HOUR + 40, "more"), me(HOUR + 95, "most")],
    "the same link again two days later": [me(HOUR), me(2 * DAY)],
    "on the phone, then at the desk": [
        me(20 * MINUTE, agent=PHONE, network="mobile"), me(5 * HOUR, agent=FIREFOX, network="home"),
    ],
    "in the mail app": [me(90, agent=IN_APP, network="mobile")],
    "with a browser of long ago": [me(2 * HOUR, agent=OLD)],
    "on a phone whose maker has an unlucky name": [me(HOUR, agent=UNLUCKY, network="mobile")],
    "from a network that is not known": [me(11 * MINUTE, network=None)],
    "after the gateway, from elsewhere": [
        *burst(43, "link", "hidden", network="cloud"), me(2 * HOUR, network="home", agent=FIREFOX),
    ],
    "after the gateway, from the same network": [*burst(43, "link", "hidden"), me(9 * MINUTE, agent=FIREFOX)],
    "after the gateway, from the same network under the same name": [
        *burst(43, "link", "hidden"), me(2 * HOUR),
    ],
    "after a head that another one asked for": [
        Ask(30, method="HEAD", network="cloud"), me(4 * MINUTE, network="home"),
    ],
    "four colleagues at the same moment": [me(HOUR + place, lead=place) for place in range(4)],
    "nine colleagues within five minutes": [me(HOUR + 30 * place, lead=place) for place in range(9)],
    "whoever got it from a colleague": [me(HOUR), me(HOUR + 10 * MINUTE, agent=PHONE, network="mobile")],
    "twice while the page loads slowly": [me(25), me(33), me(41)],
    "at night from the sofa": [me(9 * HOUR, agent=PHONE), me(9 * HOUR + 30, "more", agent=PHONE)],
    "while a robot looks from elsewhere": [
        Ask(HOUR, agent="Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", network="cloud"),
        me(HOUR + 20, network="home"),
    ],
    "four seconds after, having waited for it": [me(4)],
}  # fmt: skip
"""The last is taken for undecided: the price of the others, within the twentieth that may be lost."""
