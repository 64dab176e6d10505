"""Lints the mail templates without rendering one: Jinja by its tree, against closed lists; MJML in `markup`.

A template may show values, choose and repeat; it may not call, import, define or compute what grows. So
rendering can neither reach the machine nor eat its memory, and a name that no mail knows is found in time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from jinja2 import Environment, TemplateSyntaxError, nodes

from leadnurture.definitions.mails import FILTERS, SINGLE, TESTS, mail_names
from leadnurture.definitions.markup import EXTENDS, check_markup
from leadnurture.definitions.names import DECLARE_FACT, DECLARE_LOCALE
from leadnurture.definitions.problems import Place, Report, listed, unknown
from leadnurture.domain.company import Company
from leadnurture.domain.vocabulary import SEAT_MAILS, TRACKS, Track

LAYOUT: Final = "_layout.mjml"
LARGEST: Final = 256 * 1024
ALLOWED: Final = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const,
    nodes.Filter, nodes.Test, nodes.If, nodes.For, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And,
    nodes.Or, nodes.Not, nodes.Block, nodes.Extends, nodes.Concat, nodes.Add, nodes.Sub, nodes.Neg,
    nodes.Tuple, nodes.List, nodes.Keyword,
)  # fmt: skip
# How a writer knows what is refused; the rest by the name of its class.
WORDS: Final = {
    "Call": "a call", "FromImport": "import", "CallBlock": "call", "Assign": "set", "AssignBlock": "set",
    "FilterBlock": "filter", "Mul": "*", "Pow": "**", "Mod": "%", "Div": "/", "FloorDiv": "//",
}  # fmt: skip
ENVIRONMENT: Final = Environment(autoescape=True)

NO_SUBJECT: Final = "the mail has no subject; write <mj-title> into its <mj-head>"
NO_WAY_OUT: Final = "the mail has no way out; show a link to {{ unsubscribe_link }}"
NO_LAYOUT: Final = f"there is no templates/email/{LAYOUT}; write it, or remove the extends"
ONLY_LAYOUT: Final = f'a template extends "{LAYOUT}" and nothing else'
OUTSIDE: Final = f"what stands outside of the blocks of {LAYOUT} is shown nowhere; move it into a block"
TOO_LARGE: Final = f"the template is larger than {LARGEST // 1024} kB; shorten it"
CONTENT_FOLDER: Final = "the folder bears the name of a file of config/content"
NOT_MJML: Final = "only files that end with .mjml are read here; rename or remove it"


def layout_of(locale: str) -> str:
    """The file that stands for the layout in the mails of a locale, if it is there."""
    return f"_layout.{locale}.mjml"


def variants(templates: Iterable[str]) -> frozenset[tuple[str, Track]]:
    """(content, track) of every template that lies where it is looked for."""
    places = ((path, track) for path in templates for track in TRACKS if path.endswith(f"/{track}.mjml"))
    return frozenset((path.removesuffix(f"/{track}.mjml"), track) for path, track in places)


def translations(templates: Iterable[str]) -> frozenset[tuple[str, str]]:
    """(content, locale) of every template with the suffix of a locale."""
    places = (path.removesuffix(".mjml").rpartition("/") for path in templates)
    return frozenset((folder, name.partition(".")[2]) for folder, _, name in places if "." in name)


def check_templates(
    templates: Mapping[str, str], contents: frozenset[str], company: Company, reports: Mapping[str, Report]
) -> None:
    """Report everything that is wrong with templates: `path below templates/email` → text."""
    for path, report in reports.items():
        if sentence := _misplaced(path, contents, company.locales) or _without_default(path, templates):
            report.error(Place(), sentence)
        elif path in templates and not report.problems:
            _check(_Template(templates[path], report, mail_names(company)), path, templates, company)


def _misplaced(path: str, contents: frozenset[str], locales: tuple[str, ...]) -> str:
    """Why a file would never be read; empty where it is."""
    if not path.endswith(".mjml"):
        return NOT_MJML
    folder, _, name = path.rpartition("/")
    stem, _, locale = name.removesuffix(".mjml").partition(".")
    is_layout = not folder and stem == "_layout"
    if not is_layout and folder not in {*contents, *SEAT_MAILS}:
        return unknown("content", folder or name, contents, CONTENT_FOLDER)
    if not is_layout and stem not in TRACKS:
        return unknown("track", stem, TRACKS)
    if locale and locale == locales[0]:
        return f"the template of the first locale has no suffix; rename it to {stem}.mjml"
    return unknown("locale", locale, locales, DECLARE_LOCALE) if locale and locale not in locales else ""


def _without_default(path: str, templates: Mapping[str, str]) -> str:
    """A translation serves those who read its locale; empty where there is a template for all others."""
    default = _default(path)
    return "" if default in templates else f"there is no {default} for all other readers; write it"


def _default(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}.mjml"


def _layouts(path: str, templates: Mapping[str, str]) -> list[str] | None:
    """What a template extends: the layout of its locale, and the one that this extends; None without any."""
    locale = path.rpartition("/")[2].removesuffix(".mjml").partition(".")[2]
    own = templates.get(layout_of(locale)) if locale and "/" in path else None
    layout = templates.get(LAYOUT)
    if own is not None and not EXTENDS.search(own):
        return [own]
    found = [text for text in (own, layout) if text is not None]
    return found or None


def _check(template: _Template, path: str, templates: Mapping[str, str], company: Company) -> None:
    if not template.report.problems:
        template.check(_layouts(path, templates), is_layout="/" not in path)
        check_markup(template.text, urlsplit(company.url).hostname or "", template.report)


class _Template:
    """One file, parsed by Jinja and judged by itself and against the layout that it extends."""

    def __init__(self, text: str, report: Report, names: Mapping[str, frozenset[str]]) -> None:
        self.text = text
        self.report = report
        self.names = names
        self.tree = _parse(text, report)
        stored = (name.name for name in self.tree.find_all(nodes.Name) if name.ctx == "store")
        self.own = {*stored, "loop", "super"}

    def check(self, layouts: list[str] | None, *, is_layout: bool) -> None:
        """Report everything that Jinja's tree tells."""
        for node in _inside(self.tree):
            if sentence := self._mistake(node):
                self.report.error(self._place(node), sentence)
        extends = self.tree.find(nodes.Extends)
        if extends and layouts is None:
            self.report.error(Place(extends.lineno), NO_LAYOUT)
        elif extends and layouts is not None:
            trees = [_parse(layout, Report(LAYOUT)) for layout in layouts]
            self._check_blocks(frozenset[str]().union(*map(_blocks, trees)))
            self._check_duties("".join([*layouts, self.text]))
        elif not is_layout:
            self._check_duties(self.text)

    def _mistake(self, node: nodes.Node) -> str:  # noqa: PLR0911 - one line a rule
        match node:
            case nodes.Call() if _is_super(node):
                return ""
            case nodes.Name(name=name) if name not in self.own and name not in {*self.names, *SINGLE}:
                return unknown(
                    "variable", name, {*self.names, *SINGLE}, f"there is {listed(sorted(self.names))}"
                )
            case nodes.Getattr() | nodes.Getitem():
                return self._attribute_mistake(node)
            case nodes.Filter(name=str() as name) if name not in FILTERS:
                return unknown("filter", name, FILTERS, f"there is {listed(sorted(FILTERS))}")
            case nodes.Test(name=name) if name not in TESTS:
                return unknown("test", name, TESTS, f"there is {listed(sorted(TESTS))}")
            case nodes.Extends(template=template) if getattr(template, "value", None) != LAYOUT:
                return ONLY_LAYOUT
        if isinstance(node, ALLOWED):
            return ""
        word = WORDS.get(type(node).__name__, type(node).__name__.lower())
        return f"{word} is not available in templates; there is {{{{ value }}}}, if, for and block"

    def _attribute_mistake(self, node: nodes.Getattr | nodes.Getitem) -> str:
        name, root = _attribute(node), node.node
        if name.startswith("_"):
            return f'"{name}" is not a value for readers; names do not begin with _'
        if not isinstance(root, nodes.Name) or root.name not in self.names or root.name in self.own:
            return ""
        if name in self.names[root.name]:
            return ""
        known = self.names[root.name]
        remedy = DECLARE_FACT if root.name in {"facts", "account"} else f"there is {listed(sorted(known))}"
        return unknown(f"name behind {root.name}.", name, known, remedy)

    def _place(self, node: nodes.Node) -> Place:
        """Jinja knows lines only; the column is that of the word in question."""
        word = getattr(node, "name", None) or getattr(node, "attr", None)
        line = [*self.text.split("\n"), ""][node.lineno - 1]
        match = re.search(rf"\b{re.escape(word)}\b", line) if isinstance(word, str) else None
        return Place(node.lineno, match.start() + 1 if match else 1)

    def _check_blocks(self, known: frozenset[str]) -> None:
        """What the layout does not show is lost without a word."""
        for block in self.tree.find_all(nodes.Block):
            if block.name not in known:
                sentence = unknown("block", block.name, known, f"{LAYOUT} would show it nowhere")
                self.report.error(Place(block.lineno), sentence)
        outputs = (node for node in self.tree.body if isinstance(node, nodes.Output))
        for data in (data for output in outputs for data in output.nodes):
            if not isinstance(data, nodes.TemplateData) or data.data.strip():
                self.report.error(Place(data.lineno), OUTSIDE)

    def _check_duties(self, whole: str) -> None:
        if "<mj-title" not in whole:
            self.report.error(Place(), NO_SUBJECT)
        if "unsubscribe_link" not in whole:
            self.report.error(Place(), NO_WAY_OUT)


def _parse(text: str, report: Report) -> nodes.Template:
    """Jinja's tree; an empty one after a report."""
    if len(text) > LARGEST:
        report.error(Place(), TOO_LARGE)
        return ENVIRONMENT.parse("")
    try:
        return ENVIRONMENT.parse(text)
    except TemplateSyntaxError as error:
        report.error(Place(error.lineno), f"Jinja: {error.message}")
    except (RecursionError, ValueError):
        report.error(Place(), "Jinja cannot read this; make it simpler")
    return ENVIRONMENT.parse("")


def _blocks(tree: nodes.Template) -> frozenset[str]:
    return frozenset(block.name for block in tree.find_all(nodes.Block))


def _inside(tree: nodes.Node) -> Iterator[nodes.Node]:
    """Every node, but nothing inside of one that is refused."""
    for node in tree.iter_child_nodes():
        yield node
        if isinstance(node, ALLOWED) or _is_super(node):
            yield from _inside(node)


def _is_super(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "super"


def _attribute(node: nodes.Getattr | nodes.Getitem) -> str:
    """The name behind a dot or in brackets; empty where it is computed."""
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else ""
