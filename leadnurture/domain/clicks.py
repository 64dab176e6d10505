"""How a click of a person is told from one of a machine: the rules as data, and the words for their reasons.

The figures: of 836 bursts of gateways the median came 43 s after the sending, 66 % after 20 to 60 s, 28 %
after 1 to 5 minutes, 0.5 % within 10 s; and a burst follows every link of a mail at once. So time alone tells
little, company tells much: what else was followed, by whom, and when.
"""

from datetime import timedelta
from typing import Final, Literal

Judgement = Literal["person", "machine", "undecided"]

SETTLE: Final = timedelta(seconds=120)
"""How long a click rests before it is judged: most machines have shown themselves by then."""
HIDDEN_LINK: Final = "hidden"
"""The link of a mail that no person and no screen reader meets."""

Rule = Literal[
    "head", "hidden", "agent", "burst", "with hidden", "after head", "sweep", "crowd", "at once", "early",
    "nameless", "none",
]  # fmt: skip
VERDICTS: Final[dict[Rule, tuple[Judgement, str]]] = {
    "head": ("machine", "it asked for the head of the page alone"),
    "hidden": ("machine", "it followed a link that nobody can see"),
    "agent": ("machine", "it calls itself a program that no person browses with"),
    "burst": ("machine", "several links of the mail were followed within a second"),
    "with hidden": ("machine", "the same visitor followed a link that nobody can see"),
    "after head": ("machine", "the same visitor had asked for the head of the page before"),
    "sweep": ("machine", "three links of the mail or more were followed within ten seconds"),
    "crowd": ("machine", "the mails of five leads or more were followed from one network within ten seconds"),
    "at once": ("machine", "it came within three seconds of the sending"),
    "early": ("undecided", "it came within ten seconds of the sending"),
    "nameless": ("undecided", "the program that followed the link has no name"),
    "none": ("person", "nothing speaks for a machine"),
}
"""What each rule says. They are asked in this order, and the first that is true holds."""
SETTLING: Final = "it is not judged yet"
TAKEN_BACK: Final = "taken back: a machine clicked"
"""Why somebody stands again where he stood before the click."""
WITHDRAWN: Final = "withdrawn: a machine clicked"
"""Why he is offered to sales no more."""

BURST: Final = timedelta(seconds=1)
SWEEP: Final = timedelta(seconds=10)
SWEPT_LINKS: Final = 3
CROWD: Final = timedelta(seconds=5)
"""To either side: ten seconds in all."""
CROWDED_LEADS: Final = 5
HIDDEN_BY_VISITOR: Final = timedelta(hours=1)
HIDDEN_BY_ANYBODY: Final = timedelta(seconds=10)
HEAD_BY_VISITOR: Final = timedelta(seconds=60)
HEAD_OF_LINK: Final = timedelta(seconds=5)
AT_ONCE: Final = timedelta(seconds=3)
EARLY: Final = timedelta(seconds=10)

AGENTS: Final = (
    # gateways that look at links before their readers do
    "barracuda", "bitdefender", "fireeye", "forcepoint", "ironport", "mailscanner", "messagelabs", "mimecast",
    "proofpoint", "safelinks", "sophos", "symantec", "trendmicro", "trustwave", "urlscan", "zscaler",
    "google-safety", "googleimageproxy", "ms-office", "microsoft office", "skypeuripreview", "yahoomailproxy",
    # programs and crawlers
    "bot/", "bot;", "-bot", "bot-", "bot)", "crawler", "spider", "slurp", "whatsapp/",
    "facebookexternalhit", "headlesschrome", "phantomjs", "selenium", "puppeteer", "playwright",
    "curl/", "wget/", "libwww", "python-", "aiohttp", "httpx/", "go-http-client", "java/", "okhttp/",
    "apache-httpclient", "node-fetch", "axios/", "ruby", "perl", "php/", "winhttp", "powershell",
)  # fmt: skip
"""Words, in small letters, by which programs that no person browses with name themselves."""
