"""MJML as XML: unclosed tags, unknown components, what no mail program shows, hosts that would see who reads.

The renderer accepts nearly everything in silence, so that only readers would see a slip of the pen. Jinja is
blanked out first, sign by sign, so that all places stay true.
"""

from __future__ import annotations

import re
from html.entities import html5
from typing import Final
from urllib.parse import urlsplit
from xml.parsers import expat

from leadnurture.definitions.problems import Place, Report, unknown

COMPONENTS: Final = frozenset({
    "mjml", "mj-head", "mj-body", "mj-attributes", "mj-all", "mj-class", "mj-breakpoint", "mj-font",
    "mj-html-attributes", "mj-selector", "mj-html-attribute", "mj-preview", "mj-style", "mj-title",
    "mj-accordion", "mj-accordion-element", "mj-accordion-title", "mj-accordion-text", "mj-button",
    "mj-carousel", "mj-carousel-image", "mj-column", "mj-divider", "mj-group", "mj-hero", "mj-image",
    "mj-navbar", "mj-navbar-link", "mj-raw", "mj-section", "mj-social", "mj-social-element", "mj-spacer",
    "mj-table", "mj-text", "mj-wrapper",
})  # fmt: skip
# Their inside is HTML.
ENDING: Final = frozenset({
    "mj-accordion-title", "mj-accordion-text", "mj-button", "mj-navbar-link", "mj-raw", "mj-social-element",
    "mj-table", "mj-text", "mj-preview", "mj-title", "mj-style",
})  # fmt: skip
HTML: Final = frozenset({
    "a", "abbr", "b", "blockquote", "br", "center", "code", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "i", "img", "li", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup", "table",
    "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
})  # fmt: skip
EXTENDS: Final = re.compile(r"\{%[-+]?\s*extends\b")
JINJA: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
ENTITY: Final = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
XML_ENTITIES: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})
IMPORT: Final = re.compile(r"@import\b|url\(\s*['\"]?\s*(https?:)?//", re.IGNORECASE)
ROOT: Final = "part"
FOREIGN: Final = "what is loaded from elsewhere tells its host who reads; use fonts that readers have"


def check_markup(text: str, own_host: str, report: Report) -> None:
    """Report what is wrong with the markup; what extends a layout has no root of its own."""
    markup, is_part = _without_jinja(text), EXTENDS.search(text) is not None
    _Markup(own_host, report, is_part=is_part).read(markup)
    for number, line in enumerate(markup.splitlines(), 1):
        if match := IMPORT.search(line):
            report.error(Place(number, match.start() + 1), FOREIGN)


def _without_jinja(text: str) -> str:
    text = JINJA.sub(
        lambda match: re.sub(r"[^\n]", "x" if match[0].startswith("{{") else " ", match[0]), text
    )
    return ENTITY.sub(
        lambda match: (
            match[0] if match[1] in XML_ENTITIES or f"{match[1]};" not in html5 else "x" * len(match[0])
        ),
        text,
    )


class _Markup:
    """One reading of one template by expat; places are those of the template."""

    def __init__(self, own_host: str, report: Report, *, is_part: bool) -> None:
        self.own_host = own_host
        self.report = report
        self.is_part = is_part
        self.open: list[tuple[str, Place]] = []
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._doctype

    def read(self, text: str) -> None:
        whole = f"<{ROOT}>{text}</{ROOT}>" if self.is_part else text
        try:
            self.parser.Parse(whole.encode(), True)  # noqa: FBT003  # expat's own signature
        except expat.ExpatError as error:
            self.report.error(*self._mistake(error))

    def _place(self, line: int, column: int) -> Place:
        shift = len(ROOT) + 2 if self.is_part and line == 1 else 0
        return Place(line, max(1, column + 1 - shift))

    def _mistake(self, error: expat.ExpatError) -> tuple[Place, str]:
        inner = [(tag, place) for tag, place in self.open if tag != ROOT]
        if error.code == expat.errors.codes[expat.errors.XML_ERROR_TAG_MISMATCH] and inner:
            tag, place = inner[-1]
            return place, f"<{tag}> is never closed; write </{tag}>, or <{tag} /> where nothing is inside"
        place = self._place(error.lineno, error.offset)
        if error.code == expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]:
            return (
                place,
                "a sign that does not fit here; write &amp; for & and &lt; for <, and attributes in quotes",
            )
        return place, f"the markup is broken: {expat.errors.messages[error.code]}"

    def _doctype(self, *_: object) -> None:
        place = self._place(self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber)
        self.report.error(place, "a document type has no place in a template; remove it")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        place = self._place(self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber)
        if sentence := self._tag_mistake(tag):
            self.report.error(place, sentence)
        if tag == "mj-font" and urlsplit(attributes.get("href", "")).hostname not in {None, self.own_host}:
            self.report.error(place, FOREIGN)
        self.open.append((tag, place))

    def _end(self, _: str) -> None:
        self.open.pop()

    def _is_where_the_layout_says(self) -> bool:
        """Whether only the layout knows what stands around: a block may well be inside of a text there."""
        return self.is_part and not any(outer in COMPONENTS for outer, _ in self.open)

    def _tag_mistake(self, tag: str) -> str | None:
        is_inside_html = any(outer in ENDING for outer, _ in self.open) or self._is_where_the_layout_says()
        if tag == ROOT or tag in COMPONENTS:
            return None
        if tag == "mj-include":
            return 'mj-include is not available; write {% extends "_layout.mjml" %}'
        if tag.startswith("mj"):
            return unknown("component", tag, COMPONENTS)
        if tag not in HTML:
            return unknown("tag", tag, HTML, "mail programs do not show it; remove it")
        return None if is_inside_html else f"<{tag}> stands outside of a text; put it into <mj-text>"
