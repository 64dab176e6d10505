"""Joins a template with the frames that it extends into one flat source, before MJML sees it.

Only `extends`, `block` and `super()` are resolved; they are static, so that a mail needs no loader when it is
rendered.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from jinja2 import Environment, TemplateSyntaxError

DEEPEST: Final = 10
ENDS: Final = frozenset({"variable_end", "block_end", "comment_end", "raw_end"})
BEGINS: Final = frozenset({"variable_begin", "block_begin", "comment_begin", "raw_begin"})


@dataclass(frozen=True, slots=True)
class Tag:
    """A piece of a template: plain text, or one Jinja tag with its words."""

    text: str
    line: int
    words: tuple[str, ...] = ()
    """Without white space; empty for plain text."""

    @property
    def is_statement(self) -> bool:
        """Whether it stands in `{% %}`."""
        return bool(self.words) and self.text.startswith("{%")


@dataclass(slots=True)
class Block:
    """`{% block name %}` and what stands in it."""

    name: str
    parts: list["Tag | Block"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layer:
    """One file: what it extends, its parts in order, and its blocks by name."""

    extends: str | None
    parts: list[Tag | Block]
    blocks: Mapping[str, Block]


def tags_of(source: str, environment: Environment) -> Iterator[Tag]:
    """The pieces of a source; joined they are the source. Raises TemplateSyntaxError."""
    text, start = "", 1
    words: list[str] = []
    for line, kind, value in environment.lex(source):
        if kind == "data" and not text:
            yield Tag(value, line)
            continue
        if kind in BEGINS:
            text, words, start = "", [], line
        text += value
        if kind in ENDS:
            yield Tag(text, start, tuple(words) or ("",))
            text = ""
        elif kind != "whitespace" and kind not in BEGINS:
            words.append(value)


def read_layer(source: str, environment: Environment) -> Layer:
    """A file, parsed as far as blocks go. Raises TemplateSyntaxError."""
    extends: str | None = None
    root = Block("")
    open_blocks, blocks = [root], {}
    for tag in tags_of(source, environment):
        word = tag.words[0] if tag.is_statement else ""
        if tag.text.startswith("{#"):
            continue
        if word == "extends" and len(tag.words) > 1:
            extends = tag.words[1].strip("\"'")
        elif word == "block" and len(tag.words) > 1:
            block = blocks[tag.words[1]] = Block(tag.words[1])
            open_blocks[-1].parts.append(block)
            open_blocks.append(block)
        elif word == "endblock" and len(open_blocks) > 1:
            open_blocks.pop()
        else:
            open_blocks[-1].parts.append(tag)
    return Layer(extends, root.parts, blocks)


def flatten(name: str, load: Callable[[str], Layer]) -> Iterator[Tag]:
    """The pieces of a template with every block in its place.

    Raises TemplateSyntaxError for an endless chain.
    """
    layers = [load(name)]
    while (parent := layers[-1].extends) is not None:
        if len(layers) >= DEEPEST:
            raise TemplateSyntaxError("frames extend each other in a circle", 1)
        layers.append(load(parent))
    return _resolved(layers[-1].parts, layers)


def _resolved(
    parts: list[Tag | Block], layers: list[Layer], *, above: int = -1, name: str = ""
) -> Iterator[Tag]:
    for part in parts:
        if isinstance(part, Block):
            yield from _filled(part.name, 0, layers)
        elif part.words == ("super", "(", ")"):
            yield from _filled(name, above, layers)
        else:
            yield part


def _filled(name: str, first: int, layers: list[Layer]) -> Iterator[Tag]:
    """A block by the lowest layer from `first` on that has it."""
    for index in range(max(first, 0), len(layers)):
        if name in layers[index].blocks:
            yield from _resolved(layers[index].blocks[name].parts, layers, above=index + 1, name=name)
            return
