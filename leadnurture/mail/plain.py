"""The plain text of a mail, from its MJML: texts, buttons and tables in order, without their frame.

From MJML rather than from its HTML: there a loop that stands between table rows would be moved in front of
the table, and every paragraph would be padded to the width of the layout. The preheader stays in the head and
never gets here.
"""

import re
from typing import Any, Final

import inscriptis
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.model.config import ParserConfig
from inscriptis.model.tag import CustomHtmlTagHandlerMapping

HEAD: Final = re.compile(r"<mj-head\b.*?</mj-head>", re.DOTALL)
LINKED: Final = re.compile(r"<(mj-button|mj-navbar-link|mj-social-element)\b([^>]*)>(.*?)</\1>", re.DOTALL)
PARAGRAPH: Final = re.compile(r"<(/?)mj-(?:text|accordion-title|accordion-text)\b[^>]*>")
TABLE: Final = re.compile(r"<(/?)mj-table\b[^>]*>")
FRAME: Final = re.compile(r"</?mj[a-z-]*\b[^>]*>")
HREF: Final = re.compile(r'\bhref="([^"]*)"')


def plain_text(source: str) -> str:
    """Paragraphs with an empty line between them; a link is `its words <its address>` (RFC 3986, C)."""
    page = LINKED.sub(_linked, HEAD.sub("", source))
    page = PARAGRAPH.sub(
        r"<\1figure>", page
    )  # a block with an empty line around it that may hold other blocks
    page = FRAME.sub("", TABLE.sub(r"<\1table>", page))
    text = inscriptis.get_text(f"<html><body>{page}</body></html>", _CONFIG)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip() for line in text.splitlines())).strip()


def _linked(found: re.Match[str]) -> str:
    href = HREF.search(found[2])
    return f'<p><a href="{href[1]}">{found[3]}</a></p>' if href else f"<p>{found[3]}</p>"


def _begin_link(state: Any, attributes: Any) -> None:  # noqa: ANN401 - inscriptis has no types
    state.link_target = attributes.get("href", "")


def _end_link(state: Any) -> None:  # noqa: ANN401 - inscriptis has no types
    if state.link_target:
        state.tags[-1].write(f" <{state.link_target}>")
    state.link_target = ""


_CONFIG: Final = ParserConfig(
    css=CSS_PROFILES["strict"].copy(),
    custom_html_tag_handler_mapping=CustomHtmlTagHandlerMapping({"a": _begin_link}, {"a": _end_link}),
)
