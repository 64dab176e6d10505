"""Lints the mail templates without rendering one: Jinja by its syntax tree against closed lists, MJML as XML.

A template may show values, choose and repeat; it may not call, import, define or compute what grows. So rendering one can neither
reach the machine nor eat its memory, and a variable that a mail does not know is found before the first mail leaves.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from jinja2 import Environment, TemplateSyntaxError
from jinja2 import nodes as jinja

from leadnurture.definitions.markup import check_markup
from leadnurture.definitions.problems import Place, listed, unknown
from leadnurture.domain.vocabulary import TRACKS, Track

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from leadnurture.definitions.problems import Report
    from leadnurture.domain.company import Company

LAYOUT: Final = "_layout.mjml"
LARGEST: Final = 256 * 1024
CONTEXT: Final = frozenset({
    "lead", "account", "content", "session", "link", "register_link", "decline_link", "unsubscribe_link", "company", "sender",
    "variant", "facts", "program", "recipient",
})  # fmt: skip
FILTERS: Final = frozenset({
    "escape", "e", "default", "d", "upper", "lower", "title", "capitalize", "length", "join", "first", "last", "round", "int",
})  # fmt: skip
TESTS: Final = frozenset({"defined", "undefined", "none", "string", "number", "in", "eq", "ne", "lt", "le", "gt", "ge"})
ALLOWED: Final = (
    jinja.Template, jinja.Output, jinja.TemplateData, jinja.Name, jinja.Getattr, jinja.Getitem, jinja.Const, jinja.Filter,
    jinja.Test, jinja.If, jinja.For, jinja.CondExpr, jinja.Compare, jinja.Operand, jinja.And, jinja.Or, jinja.Not, jinja.Block,
    jinja.Extends, jinja.Concat, jinja.Add, jinja.Sub, jinja.Neg, jinja.Tuple, jinja.List, jinja.Keyword,
)  # fmt: skip
WORDS: Final = {
    "Call": "a call", "Include": "include", "Import": "import", "FromImport": "import", "Macro": "macro", "CallBlock": "call",
    "Assign": "set", "AssignBlock": "set", "FilterBlock": "filter", "With": "with", "Mul": "*", "Pow": "**", "Mod": "%",
    "Div": "/", "FloorDiv": "//", "Slice": "a slice", "Dict": "a dictionary",
}  # fmt: skip
ENVIRONMENT: Final = Environment(autoescape=True)


def variants(templates: Iterable[str]) -> frozenset[tuple[str, Track]]:
    """(content, track) of every template that lies where it is looked for."""
    return frozenset((path.removesuffix(f"/{track}.mjml"), track) for path in templates for track in TRACKS if path.endswith(f"/{track}.mjml"))


def check_templates(templates: Mapping[str, str], contents: frozenset[str], company: Company, reports: Mapping[str, Report]) -> None:
    """Report everything that is wrong with templates: `path below templates/email` → text."""
    for path, report in reports.items():
        if sentence := _misplaced(path, contents, company.locales):
            report.error(Place(), sentence)
    layout = _blocks(_parse(templates.get(LAYOUT, ""), None))
    for path, text in templates.items():
        if not reports[path].problems:
            _check(path, text, layout, templates, company, reports[path])


def _misplaced(path: str, contents: frozenset[str], locales: tuple[str, ...]) -> str | None:
    """Why a file would never be read, or None."""
    if path == LAYOUT:
        return None
    folder, _, name = path.rpartition("/")
    if not path.endswith(".mjml"):
        return "only files that end with .mjml are read here; rename or remove it"
    track, _, locale = name.removesuffix(".mjml").partition(".")
    if folder not in contents:
        return unknown("content", folder or name, contents, "the folder bears the name of a file of config/content")
    if track not in TRACKS:
        return unknown("track", track, TRACKS, f"a template is called {listed(f'{track}.mjml' for track in TRACKS)}")
    if locale in locales[:1]:
        return f"the template of the first locale has no suffix; rename it to {track}.mjml"
    return "templates of a second locale are not available yet; remove it" if locale else None


def _check(path: str, text: str, layout: frozenset[str], templates: Mapping[str, str], company: Company, report: Report) -> None:  # noqa: PLR0913  # what a template is judged against
    if len(text) > LARGEST:
        report.error(Place(), f"the template is larger than {LARGEST // 1024} kB; mail programs cut it, shorten it")
        return
    tree = _parse(text, report)
    if tree is None:
        return
    _check_jinja(tree, text, report)
    extends = tree.find(jinja.Extends)
    if extends:
        _check_child(tree, extends, layout, LAYOUT in templates, report)
    check_markup(text, urlsplit(company.url).hostname or "", report, is_part=extends is not None)
    if path != LAYOUT:
        _check_duties(text + (templates.get(LAYOUT, "") if extends else ""), report)


def _parse(text: str, report: Report | None) -> jinja.Template | None:
    try:
        return ENVIRONMENT.parse(text)
    except TemplateSyntaxError as error:
        if report:
            report.error(Place(error.lineno), f"Jinja: {error.message}")
    except RecursionError:
        if report:
            report.error(Place(), "nested too deeply; make it simpler")
    return None


def _blocks(tree: jinja.Template | None) -> frozenset[str]:
    return frozenset(block.name for block in tree.find_all(jinja.Block)) if tree else frozenset()


def _check_jinja(tree: jinja.Template, text: str, report: Report) -> None:
    lines = text.splitlines()
    own = {name.name for name in tree.find_all(jinja.Name) if name.ctx == "store"} | {"loop"}
    for node in _all(tree):
        if sentence := _node_mistake(node, own):
            word = next((value for value in (getattr(node, "name", None), getattr(node, "attr", None)) if isinstance(value, str)), "")
            report.error(_place(lines, node.lineno, word), sentence)


def _all(tree: jinja.Node) -> Iterator[jinja.Node]:
    for node in tree.iter_child_nodes():
        yield node
        if isinstance(node, ALLOWED) or _is_super(node):
            yield from _all(node)


def _node_mistake(node: jinja.Node, own: set[str]) -> str | None:  # noqa: PLR0911  # one line a rule
    match node:
        case jinja.Call() if _is_super(node):
            return None
        case jinja.Name(name=name) if name not in CONTEXT | own | {"super"}:
            return unknown("variable", name, CONTEXT | own - {"loop"}, f"a template knows {', '.join(sorted(CONTEXT))}")
        case jinja.Getattr(attr=str() as name) | jinja.Getitem(arg=jinja.Const(value=str() as name)) if name.startswith("_"):
            return f'"{name}" is not a value for readers; names do not begin with _'
        case jinja.Filter(name=str() as name) if name not in FILTERS:
            return unknown("filter", name, FILTERS, f"there is {listed(sorted(FILTERS))}")
        case jinja.Test(name=name) if name not in TESTS:
            return unknown("test", name, TESTS, f"there is {listed(sorted(TESTS))}")
        case jinja.Extends(template=jinja.Const(value=value)) if value != LAYOUT:
            return f'a template extends "{LAYOUT}" and nothing else'
        case jinja.Extends(template=template) if not isinstance(template, jinja.Const):
            return f'a template extends "{LAYOUT}" and nothing else'
    if isinstance(node, ALLOWED):
        return None
    word = WORDS.get(type(node).__name__, type(node).__name__.lower())
    return f"{word} is not available in templates; there is {{{{ value }}}}, if, for and block"


def _is_super(node: jinja.Node) -> bool:
    return isinstance(node, jinja.Call) and isinstance(node.node, jinja.Name) and node.node.name == "super" and not node.args


def _place(lines: list[str], number: int, word: str) -> Place:
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    match = re.search(rf"\b{re.escape(word)}\b", line) if word else None
    return Place(number, match.start() + 1 if match else 1)


def _check_child(tree: jinja.Template, extends: jinja.Extends, layout: frozenset[str], has_layout: bool, report: Report) -> None:  # noqa: FBT001  # told apart by name at the call
    if not has_layout:
        report.error(Place(extends.lineno), f"there is no templates/email/{LAYOUT}; write it, or remove the extends")
        return
    for block in tree.find_all(jinja.Block):
        if block.name not in layout:
            report.error(Place(block.lineno), unknown("block", block.name, layout, f"{LAYOUT} would show it nowhere"))
    for node in tree.body:
        for data in node.nodes if isinstance(node, jinja.Output) else ():
            if not isinstance(data, jinja.TemplateData) or data.data.strip():
                report.error(Place(node.lineno), f"what stands outside of the blocks of {LAYOUT} is shown nowhere; move it into a block")
                return


def _check_duties(text: str, report: Report) -> None:
    if "<mj-title" not in text:
        report.error(Place(), "the mail has no subject; write <mj-title> into its <mj-head>")
    if "unsubscribe_link" not in text:
        report.error(Place(), 'the mail has no way out; show a link to {{ unsubscribe_link }}')


