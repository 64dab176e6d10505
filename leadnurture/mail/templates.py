"""Compiles the templates of a project: frames joined, MJML compiled away, Jinja kept, text derived.

One idea to hold: while MJML and the text converter work, every Jinja tag is a plain word that they cannot
touch. So quotes, spaces and `<` in an expression survive, and whatever word is missing afterwards was dropped
and is a problem.
"""

import hashlib
import html
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import mjml
from jinja2 import TemplateError, TemplateSyntaxError, nodes

from leadnurture.definitions import Problem
from leadnurture.definitions.mails import LINKS, mail_names
from leadnurture.definitions.templates import LAYOUT, layout_of
from leadnurture.domain.content import CompiledTemplate
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import SEAT_MAILS, TRACKS, Track
from leadnurture.mail.layers import Layer, Tag, flatten, read_layer
from leadnurture.mail.names import Path, objection
from leadnurture.mail.plain import plain_text
from leadnurture.mail.rendering import HTML, Rendering, Values, paths_in, rendering

FOLDER: Final = "templates/email"
LONGEST: Final = 500_000
CLIPPED: Final = 102_000
SECONDS: Final = 1.0
MOST_LOOPS: Final = 2
WORD: Final = re.compile(r"zq(\d+)qz")
SUBJECT: Final = re.compile(r"<mj-title\b[^>]*>(.*?)</mj-title>", re.DOTALL)
BRACE: Final = re.compile(r"\{(?=[{%#])")
# Every commercial mail carries both (RFC 8058, CAN-SPAM, UWG).
OWED: Final = {
    Path("unsubscribe_link", None): "a link to {{ unsubscribe_link }}",
    Path("company", "postal_address"): "{{ company.postal_address }}",
}


def compile_templates(definitions: Definitions) -> tuple[tuple[CompiledTemplate, ...], tuple[Problem, ...]]:
    """The compiled templates of every content and track, and everything that is wrong with them.

    Writes nothing.
    """
    sources = dict(definitions.templates)
    names = mail_names(definitions.company)
    problems: dict[Problem, None] = {}
    layers: dict[str, Layer] = {}
    for path, source in sources.items():
        found = list(_objections(path, source, names))
        problems.update(dict.fromkeys(found))
        if not found:
            layers[path] = read_layer(source, HTML)
    templates: list[CompiledTemplate] = []
    for place in _places(definitions):
        compiled = _compiled(place, _loader(place, layers, sources))
        if isinstance(compiled, Problem):
            problems[compiled] = None
        elif compiled is not None:
            templates.append(compiled)
            problems.update(dict.fromkeys(_trial(compiled, sample_values(names))))
    return tuple(templates), tuple(problems)


class _Place(NamedTuple):
    """Of which content, for whom and in which locale a template is; no locale is the first one."""

    content: str
    track: str
    locale: str

    @property
    def path(self) -> str:
        """Below the folder of the mails."""
        return f"{self.content}/{'.'.join(filter(None, (self.track, self.locale)))}.mjml"


def _places(definitions: Definitions) -> Iterator[_Place]:
    """Every template that there must be, and every translation that there is."""
    there = {path for path, _ in definitions.templates}
    for content, track in _mails(definitions):
        yield _Place(content, track, "")
        translated = (_Place(content, track, locale) for locale in definitions.company.locales[1:])
        yield from (place for place in translated if place.path in there)


def _mails(definitions: Definitions) -> Iterator[tuple[str, Track]]:
    """(content, track) of every template, those of the seats last."""
    yield from ((content.name, track) for content in definitions.contents for track in content.tracks)
    written = {path for path, _ in definitions.templates}
    yield from ((mail, track) for mail in SEAT_MAILS for track in TRACKS if f"{mail}/{track}.mjml" in written)


def sample_values(names: Mapping[str, frozenset[str]]) -> Values:
    """Values with which every template must render."""
    values: dict[str, object] = {
        root: {name: f"{root} {name}" for name in sorted(inner)} for root, inner in names.items()
    }
    return values | {name: f"https://example.com/{name}" for name in LINKS} | {"variant": ""}


# --- what may stand in a file (the rest is told by `definitions` before a template is compiled) --------


def _objections(path: str, source: str, names: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    """Names that no mail knows, and loops that could run for ever, in one file by itself."""
    lines = source.splitlines() or [""]

    def problem(line: int, near: str, sentence: str) -> Problem:
        column = lines[min(line, len(lines)) - 1].find(near) + 1
        return Problem(f"{FOLDER}/{path}", line, max(column, 1), sentence)

    try:
        tree = HTML.parse(source)
    except TemplateSyntaxError as error:
        yield problem(error.lineno, "", f"Jinja: {error.message}")
        return
    for name, line in paths_in(tree):
        sentence = objection(name, names)
        if sentence is not None:
            yield problem(line, str(name), sentence)
    for loop in tree.find_all(nodes.For):
        if len(list(loop.find_all(nodes.For))) >= MOST_LOOPS:
            yield problem(loop.lineno, "{%", f"loops stand in each other at most {MOST_LOOPS} deep")


def _loader(place: _Place, layers: Mapping[str, Layer], sources: Mapping[str, str]) -> Callable[[str], Layer]:
    """Finds the files of a template; what extends the layout extends that of its locale, if there is one."""
    own = layout_of(place.locale)

    def load(name: str) -> Layer:
        if name in layers:
            layer = layers[name]
            is_ours = name == place.path and layer.extends == LAYOUT and own in sources
            return replace(layer, extends=own) if is_ours else layer
        if name in sources:
            raise _BrokenElsewhereError
        missing = f"there is no {FOLDER}/{name}; write it"
        raise TemplateSyntaxError(missing if name == place.path else f'there is no "{name}" to extend', 1)

    return load


class _BrokenElsewhereError(Exception):
    """The file has problems that are told already."""


# --- compiling -----------------------------------------------------------------------------------------


def _compiled(place: _Place, load: Callable[[str], Layer]) -> CompiledTemplate | Problem | None:
    """One template, or what keeps it from being one; None when that is told already."""
    path = place.path
    try:
        words = _Words(list(flatten(path, load)))
        page = mjml.mjml2html(words.source)
        if lost := words.lost(page):
            return Problem(
                f"{FOLDER}/{path}",
                1,
                1,
                f"MJML leaves out {lost[0]}; between columns and sections it needs <mj-raw> around it",
            )
        subject = SUBJECT.search(words.source)
        sources = (
            words.restored(html.unescape(subject[1]) if subject else ""),
            words.restored(page),
            words.restored(plain_text(words.source)),
        )
        return CompiledTemplate(
            place.content, place.track, _hash(sources), path, *sources, locale=place.locale
        )
    except _BrokenElsewhereError:
        return None
    except TemplateSyntaxError as error:
        return Problem(f"{FOLDER}/{path}", error.lineno, 1, str(error.message))
    except ValueError as error:
        return Problem(f"{FOLDER}/{path}", 1, 1, f"MJML: {words.near(str(error))}")


class _Words:
    """A source whose Jinja tags are words of no language, and the way back."""

    def __init__(self, tags: Sequence[Tag]) -> None:
        self._tags = [tag.text for tag in tags if tag.words]
        numbers = iter(range(len(self._tags)))
        self.source = "".join(f"zq{next(numbers)}qz" if tag.words else tag.text for tag in tags)

    def restored(self, text: str) -> str:
        """With the tags in their places. Braces that are no tag stay braces."""
        return WORD.sub(lambda found: self._tags[int(found[1])], BRACE.sub("{{ '{' }}", text))

    def lost(self, text: str) -> list[str]:
        """The tags that are not in a text."""
        there = {int(number) for number in WORD.findall(text)}
        return [tag for number, tag in enumerate(self._tags) if number not in there]

    def near(self, message: str) -> str:
        """An error of the compiler, with the source around its position instead of an offset."""
        position = re.search(r" at position (\d+):\d+", message)
        if position is None:
            return message
        excerpt = " ".join(self.restored(self.source[int(position[1]) :][:60]).split())
        return f"{message[: position.start()]} near `{excerpt}`"


def _hash(sources: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()


# --- trying --------------------------------------------------------------------------------------------


def _trial(template: CompiledTemplate, values: Values) -> Iterator[Problem]:
    """What a compiled template shows when it is rendered, within a second and half a megabyte."""

    def problem(sentence: str, *, is_warning: bool = False) -> Problem:
        return Problem(f"{FOLDER}/{template.path}", 1, 1, sentence, is_warning)

    try:
        prepared = rendering(template.subject, template.html, template.text)
        size = _rendered_size(prepared, values)
    except TemplateError as error:
        yield problem(f"the mail cannot be rendered: {error.message}")
        return
    if size is None:
        yield problem(
            f"the mail takes more than {SECONDS:.0f} second or {LONGEST // 1000} kB to render; shorten it"
        )
        return
    if not prepared.subject.render(values).strip():
        yield problem("the mail has no subject; fill {% block subject %} or <mj-title>")
    named = {
        part: {path for path, _ in paths_in(HTML.parse(source))}
        for part, source in (("HTML", template.html), ("text", template.text))
    }
    for path in OWED:
        for part, paths in named.items():
            if path not in paths:
                yield problem(f"the {part} lacks {OWED[path]}; every mail needs it")
    if len(template.html) > CLIPPED:
        yield problem("the mail is longer than 102 kB, Gmail will cut it off", is_warning=True)


def _rendered_size(prepared: Rendering, values: Values) -> int | None:
    """Characters of the rendered mail; None when it takes too long or grows too large."""
    size, ends = 0, time.monotonic() + SECONDS
    for piece in prepared.pieces(values):
        size += len(piece)
        if size > LONGEST or time.monotonic() > ends:
            return None
    return size
