"""What a person's browser and another company's systems do: they follow links, press buttons, call the API.

Nothing here knows a table. Links are those of the mails; one connection is kept alive for all of it.
"""

import email
import itertools
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from leadnurture.errors import LeadNurtureError

# Links in the text of a mail: <http://127.0.0.1:8080/c/…>, or on a line of their own.
LINK: Final = re.compile(rb"https?://[^\s<>\"]+/([acduwhp])/[^\s<>\"]+")
BATCH: Final = 1_000
FAILED: Final = 400


BROWSER: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


class RefusedError(LeadNurtureError):
    """A page or the API of the running system has refused what the audience did."""


class Browser(Protocol):
    """What is asked of an HTTP client; httpx's has it."""

    def get(self, url: str, /, *, headers: Any = ...) -> Any:  # noqa: ANN401 - httpx's own
        """The answer to a GET."""

    def head(self, url: str, /, *, headers: Any = ...) -> Any:  # noqa: ANN401 - as above
        """The answer to a HEAD."""

    def post(self, url: str, /, *, data: Any = ..., json: Any = ..., headers: Any = ...) -> Any:  # noqa: ANN401 - as above
        """The answer to a POST."""


def links_in(letter: Path) -> Mapping[str, str]:
    """The first link of each kind in a mail's text.

    `c` click, `d` file, `w` seat, `u` unsubscribe, `p` preferences, `h` handoff, `a` answer.
    """
    found: dict[str, str] = {}
    for part in email.message_from_bytes(letter.read_bytes()).walk():
        text = part.get_payload(decode=True) if part.get_content_type() == "text/plain" else None
        for link in LINK.finditer(text if isinstance(text, bytes) else b""):
            found.setdefault(link[1].decode(), urlsplit(link[0].decode()).path)
    return found


def all_links_in(letter: Path) -> tuple[str, ...]:
    """Every link of ours in a mail's HTML, in its order; the hidden one is the last click."""
    paths: list[str] = []
    for part in email.message_from_bytes(letter.read_bytes()).walk():
        html = part.get_payload(decode=True) if part.get_content_type() == "text/html" else None
        found = LINK.finditer(html if isinstance(html, bytes) else b"")
        paths += [urlsplit(link[0].decode()).path for link in found]
    return tuple(dict.fromkeys(paths))


class Visitor:
    """Acts in the world, through the doors of one running system."""

    def __init__(self, browser: Browser, key: str) -> None:
        self._browser = browser
        self._headers = {"Authorization": f"Bearer {key}"}
        self._ids = itertools.count(1)

    def click(self, path: str, agent: str = BROWSER) -> None:
        """Follows a link to its content, which lies elsewhere and is not fetched."""
        self._checked(self._browser.get(path, headers={"User-Agent": agent}))

    def scan(self, path: str, agent: str) -> None:
        """Looks where a link leads, as a gateway does: first at the head, then at the page."""
        self._checked(self._browser.head(path, headers={"User-Agent": agent}))
        self._checked(self._browser.get(path, headers={"User-Agent": agent}))

    def press(self, path: str, **form: str) -> None:
        """Opens a page and presses a button on it."""
        self._checked(self._browser.get(path, headers={"User-Agent": BROWSER}))
        self._checked(self._browser.post(path, data=form))

    def choose(self, path: str, name: str, value: str, *, adds: bool) -> None:
        """Opens a form, changes one choice of it and posts it; the others stay as they are."""
        form = Form()
        form.feed(self._checked(self._browser.get(path)).text)
        if not form.kinds:  # he has unsubscribed meanwhile
            return
        chosen = [each for each in form.chosen if each != (name, value)]
        if adds:
            is_one_of = form.kinds.get(name) == "radio"
            chosen = [each for each in chosen if not (is_one_of and each[0] == name)] + [(name, value)]
        data: dict[str, list[str]] = {}
        for key, each in chosen:
            data.setdefault(key, []).append(each)
        self._checked(self._browser.post(path, data=data))

    def tell_reactions(self, told: Sequence[Mapping[str, object]]) -> None:
        """Posts what other systems have seen."""
        self._tell("/api/reactions", told)

    def tell_leads(self, told: Sequence[Mapping[str, object]]) -> None:
        """Posts what other systems know of leads."""
        self._tell("/api/leads", told)

    def _tell(self, path: str, told: Sequence[Mapping[str, object]]) -> None:
        items = [{"id": f"demo-{next(self._ids)}", **item} for item in told]
        for start in range(0, len(items), BATCH):
            self._checked(self._browser.post(path, json=items[start : start + BATCH], headers=self._headers))

    @staticmethod
    def _checked(answer: Any) -> Any:  # noqa: ANN401 - httpx's own
        if answer.status_code >= FAILED or answer.status_code == 207:  # noqa: PLR2004 - some of it was refused
            request = answer.request
            path = request.url.path if len(request.url.path) < 20 else f"{request.url.path[:3]}…"  # noqa: PLR2004 - tokens are long
            raise RefusedError(
                f"{request.method} {path} was answered with {answer.status_code}: {answer.text[:300]}"
            )
        return answer


class Form(HTMLParser):
    """The boxes and circles of a page, and which of them are chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.chosen: list[tuple[str, str]] = []
        self.kinds: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Takes note of an input."""
        told = dict(attrs)
        kind, name = told.get("type"), told.get("name")
        if tag != "input" or name is None or kind not in {"radio", "checkbox"}:
            return
        self.kinds[name] = kind
        if "checked" in told:
            self.chosen.append((name, told.get("value") or ""))
