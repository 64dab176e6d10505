"""The notices of a project as files: `templates/notice/<kind>.mjml` and `.txt`, with what both include.

MJML is compiled away once, Jinja stays; a template is read when it is first needed, so that a broken one
stops its own kind of notice and no other. `notice_problems` finds it before that.
"""

import functools
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

import jinja2
import mjml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.sales.decided import NoticeKind

TITLE: Final = re.compile(r"<mj-title>(.*?)</mj-title>", re.DOTALL)
INCLUDE: Final = re.compile(r'{% include "([a-z_]+\.txt)" %}')
# Included by ourselves: MJML leaves sections that it includes without the width of the body.
MJML_INCLUDE: Final = re.compile(r'<mj-include\s+path="([\w.-]+)"\s*/>')
EMPTY_LINES: Final = re.compile(r"\n{3,}")

HTML: Final = ImmutableSandboxedEnvironment(autoescape=True, undefined=jinja2.StrictUndefined)
TEXT: Final = ImmutableSandboxedEnvironment(
    autoescape=False, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
)

Values = Mapping[str, object]
# Everything that a notice may speak of, for `notice_problems`.
SAMPLE: Final[Values] = {
    "company": {"name": "Querfeld"},
    "person": {"name": "Lena Ott", "first_name": "Lena"},
    "lead": {
        "name": "Ingrid Solheim", "email": "ingrid@example.com", "who": "head at Fjellheim Kraft",
        "account": "Fjellheim Kraft", "language": "en", "score": 128, "fit": 55, "engagement": 73,
    },
    "reasons": [{"points": "+20", "text": "Attended a webinar", "when": "yesterday"}],
    "more": 5,
    "fit": [{"points": "+25", "saw": "role head"}],
    "read": [{"title": "A report", "kind": "report", "when": "yesterday"}],
    "colleagues": [{"name": "Sverre Haugland", "role": "chief", "did": "Visited /", "when": "yesterday"}],
    "handoff": {
        "reason": "fit >= 40", "agreement": "1 December 2026", "assigned_to": "Lena Ott",
        "within": "4 business hours", "due": "today, 13:00", "left": "4 h", "over": "",
        "due_at": "at 13:00", "remind_at": "at 11:00", "escalate": "Viktor Lang",
    },
    "said": "Ask what they use today",
    "program": "Monitoring for clients",
    "decision_link": "https://news.example.com/h/1",
    "answer_link": "https://news.example.com/a/1",
    "reply": {"subject": "Re: A webinar", "text": "Could you call me next week?"},
    "sort_link": "https://news.example.com/replies",
    "lead_link": "https://news.example.com/leads/1",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rendered:
    """A notice as it is read."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class NoticeTemplate:
    """One kind of notice, ready to be filled."""

    subject: jinja2.Template
    html: jinja2.Template
    text: jinja2.Template

    def render(self, values: Values) -> Rendered:
        """The mail. Raises jinja2.TemplateError for a name that is not there."""
        text = EMPTY_LINES.sub("\n\n", self.text.render(values)).strip() + "\n"
        return Rendered(" ".join(self.subject.render(values).split()), self.html.render(values), text)


@functools.lru_cache(maxsize=16)
def notice_template(folder: Path, kind: NoticeKind) -> NoticeTemplate:
    """A compiled notice, kept for the life of the process. Raises a LeadNurtureError that names the file."""
    path = folder / f"{kind}.mjml"
    source = MJML_INCLUDE.sub(lambda found: _read(folder / found[1]), _read(path))
    title = TITLE.search(source)
    try:
        compiled = mjml.mjml2html(source, disable_comments=True)
    except ValueError as error:
        raise InvalidInputError(f"{path}: {error}") from error
    text_path = folder / f"{kind}.txt"
    text = INCLUDE.sub(lambda found: _read(folder / found[1]), _read(text_path))
    return NoticeTemplate(
        subject=_parsed(TEXT, html.unescape(title[1]) if title else "", path),
        html=_parsed(HTML, compiled, path),
        text=_parsed(TEXT, text, text_path),
    )


def notice_problems(folder: Path) -> tuple[str, ...]:
    """What is wrong with the notices of a project, a sentence each; empty when all can be sent."""
    return tuple(problem for kind in get_args(NoticeKind) if (problem := _problem(folder, kind)))


def _problem(folder: Path, kind: NoticeKind) -> str | None:
    try:
        notice_template(folder, kind).render(SAMPLE)
    except (NotFoundError, InvalidInputError) as error:
        return str(error)
    except jinja2.TemplateError as error:
        return f"{folder / kind}.mjml or .txt: {error}"
    return None


def _parsed(environment: jinja2.Environment, source: str, path: Path) -> jinja2.Template:
    try:
        return environment.from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise InvalidInputError(f"{path}: {error.message}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(
            f"{path} is missing; copy it from the sample company's templates/notice."
        ) from None
