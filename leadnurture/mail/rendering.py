"""Turns a compiled template and frozen values into a mail, in a sandbox that can only look up names.

One idea to hold: a template has no methods to call. Its values are plain dicts of short texts and numbers, a
dot is a look-up in such a dict and nothing else, and whatever could grow a text without bound (`*`, `**`,
`%`) is refused.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import StrictUndefined, Template, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from leadnurture.definitions.mails import FILTERS, TESTS
from leadnurture.mail.names import Path

TEMPLATES_KEPT: Final = 512
EMPTY_LINES: Final = re.compile(r"\n{3,}")
Values = Mapping[str, object]


class MailEnvironment(ImmutableSandboxedEnvironment):
    """Jinja without loaders, globals, methods and multiplication of texts."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(autoescape=autoescape, undefined=StrictUndefined, finalize=shown, cache_size=0)
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in FILTERS}
        self.tests = {name: self.tests[name] for name in TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 - Jinja's signature
        """A look-up in a dict; `loop.index` and its like besides."""
        if type(obj) is dict:
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=obj, name=attribute)
        if isinstance(obj, LoopContext):
            return super().getattr(obj, attribute)
        return self.undefined(f"a dot stands before {attribute!r} where there is nothing to look it up in")

    def getitem(self, obj: Any, argument: Any) -> Any:  # noqa: ANN401 - Jinja's signature
        """The same with brackets."""
        return (
            self.getattr(obj, argument)
            if isinstance(argument, str)
            else self.undefined("brackets need a name")
        )

    def is_safe_callable(self, obj: Any) -> bool:  # noqa: ANN401, ARG002 - Jinja's signature
        """Nothing is called."""
        return False

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401, ARG002 - Jinja's signature
        """`"a" * 10**9` takes a gigabyte."""
        raise SecurityError(f"{operator} is not available in templates")


def shown(value: Any) -> Any:  # noqa: ANN401 - whatever a template prints
    """What a value looks like in a mail: nothing for a missing one, 1200 for 1200.0."""
    if value is None:
        return ""
    if type(value) is float and value.is_integer():
        return int(value)
    return value


HTML: Final = MailEnvironment(autoescape=True)
PLAIN: Final = MailEnvironment(autoescape=False)


@dataclass(frozen=True, slots=True)
class Shown:
    """A mail as its reader sees it."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Rendering:
    """A template ready to render, and the names that it looks up: only these are frozen with a message."""

    subject: Template
    html: Template
    text: Template
    paths: tuple[Path, ...]
    """In a fixed order: the same mail is always frozen the same."""

    def render(self, values: Values) -> Shown:
        """The mail. Raises jinja2.TemplateError for values that do not fit."""
        return Shown(
            subject=" ".join(self.subject.render(values).split()),
            html=self.html.render(values),
            text=_tidy(self.text.render(values)),
        )

    def pieces(self, values: Values) -> Iterator[str]:
        """The mail piece by piece, so that whoever checks a template can stop it in time."""
        for template in (self.subject, self.html, self.text):
            yield from template.generate(values)


def _tidy(text: str) -> str:
    """Without blanks at the ends of lines and without more than one empty line, as conditions leave them."""
    lines = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    return EMPTY_LINES.sub("\n\n", lines).strip() + "\n"


@functools.lru_cache(maxsize=TEMPLATES_KEPT)
def rendering(subject: str, html: str, text: str) -> Rendering:
    """The compiled form of three Jinja sources, kept. Raises jinja2.TemplateSyntaxError."""
    line, page, plain = PLAIN.parse(subject), HTML.parse(html), PLAIN.parse(text)
    paths = {path for tree in (line, page, plain) for path, _ in paths_in(tree)}
    ordered = tuple(sorted(paths, key=str))
    return Rendering(PLAIN.from_string(line), HTML.from_string(page), PLAIN.from_string(plain), ordered)


def paths_in(tree: nodes.Template) -> Iterator[tuple[Path, int]]:
    """Every name that a template looks up from outside, with its line."""
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"} | {"loop", "super"}
    dotted: set[int] = set()
    for node in tree.find_all(nodes.Expr):
        if not isinstance(node, nodes.Getattr | nodes.Getitem):
            continue
        if isinstance(node.node, nodes.Name) and (attribute := attribute_of(node)) is not None:
            dotted.add(id(node.node))
            if node.node.name not in own:
                yield Path(node.node.name, attribute), node.lineno
    for name in tree.find_all(nodes.Name):
        if name.name not in own and id(name) not in dotted:
            yield Path(name.name, None), name.lineno


def attribute_of(node: nodes.Getattr | nodes.Getitem) -> str | None:
    """The name after the dot, or the one in brackets."""
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else None
