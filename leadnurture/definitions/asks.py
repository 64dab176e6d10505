"""`ask: {interest: [scaling, migration], budget_on: date}` → `domain.asking`: what each question is about."""

from __future__ import annotations

from typing import Final

from leadnurture.definitions.names import DECLARE_LOCALE, DECLARE_TOPIC, Names
from leadnurture.definitions.nodes import Entry, Items, Node, Scalar, named
from leadnurture.definitions.problems import Report, meant
from leadnurture.definitions.reading import Fields
from leadnurture.definitions.values import text_of
from leadnurture.domain.asking import ANSWERABLE, LONGEST, Ask, Asked, Question, value_of
from leadnurture.domain.vocabulary import FACT_KINDS

MOST: Final = 12
"""Buttons of one question; more are no page that one likes to answer."""

TAKES_ANSWERS: Final = "takes a list of answers, as in {feedback: [interested, later, no]}"
TAKES_PURPOSE: Final = "takes the purpose that is consented to, as in {consent: marketing}"
ONLY_FACTS: Final = "a return asks for facts, which hold from then on; ask anything else by a task"
NOT_ASKED: Final = "comes with the address or from the CRM and cannot be asked for"


def read_ask(fields: Fields, names: Names, *, only_facts: bool = False) -> Ask | None:
    """The questions of the key `ask`; None where there is none."""
    if "ask" not in fields:
        return None
    questions = []
    for entry in fields.entries("ask"):
        question = _question(entry, names, fields.report)
        if question is not None and only_facts and question.about != "fact":
            fields.report.error(entry.key.place, ONLY_FACTS)
        if question is not None:
            questions.append(question)
    return Ask(tuple(questions))


def _question(entry: Entry, names: Names, report: Report) -> Question | None:
    name = entry.key.text
    if name == "interest":
        return _closed(entry, "interest", names.topics, ("topic", DECLARE_TOPIC), report)
    if name == "language":
        return _closed(entry, "language", names.locales, ("locale", DECLARE_LOCALE), report)
    if name == "consent":
        purpose = _purpose(entry, report)
        return Question(name, "consent", choices=(purpose,)) if purpose else None
    if name in names.facts:
        return _fact(entry, names, report)
    return _word(entry, names, report)


def _closed(
    entry: Entry, about: Asked, known: frozenset[str], named_as: tuple[str, str], report: Report
) -> Question:
    """A question whose answers are declared by the company."""
    what, remedy = named_as
    found = _answers(entry, report)
    for scalar in found:
        if scalar.text not in known and report.company_is_known:
            report.unknown(scalar.place, what, scalar.text, known, remedy)
    return Question(entry.key.text, about, choices=tuple(scalar.text for scalar in found))


def _purpose(entry: Entry, report: Report) -> str | None:
    if isinstance(entry.value, Scalar):
        return text_of(entry.value, '"consent"', report)
    report.error(entry.value.place, f'"consent" {TAKES_PURPOSE}')
    return None


def _fact(entry: Entry, names: Names, report: Report) -> Question | None:
    """A fact that is typed by its kind, or chosen."""
    name, value = entry.key.text, entry.value
    kind = names.facts[name]
    if name not in names.declared and name not in ANSWERABLE:
        report.error(entry.key.place, f'"{name}" {NOT_ASKED}')
        return None
    if isinstance(value, Scalar):
        if value.text != kind:
            sentence = f'"{name}" is a {kind}; write {{{name}: {kind}}}, or a list of answers'
            report.error(value.place, sentence)
        return Question(name, "fact", kind)
    found = _answers(entry, report)
    for scalar in found:
        if value_of(kind, scalar.text) is None:
            report.error(scalar.place, f'"{scalar.text}" is no {kind}, and "{name}" is one')
    return Question(name, "fact", kind, tuple(scalar.text for scalar in found))


def _word(entry: Entry, names: Names, report: Report) -> Question:
    """A word of the writer's own, whose answer is only recorded; nearly a fact is one that is misspelt."""
    name = entry.key.text
    known = {*names.declared, *ANSWERABLE, "interest", "consent", "language", "feedback"}
    if name != "feedback" and meant(name, known) and report.company_is_known:
        report.unknown(entry.key.place, "question", name, known)
    if isinstance(entry.value, Scalar) and name != "feedback":
        kind = next((kind for kind in FACT_KINDS if kind == entry.value.text), None)
        if kind is None:
            report.unknown(entry.value.place, "kind of answer", entry.value.text, FACT_KINDS)
        return Question(name, "word", kind or "text")
    about: Asked = "feedback" if name == "feedback" else "word"
    return Question(name, about, choices=tuple(scalar.text for scalar in _answers(entry, report)))


def _answers(entry: Entry, report: Report) -> tuple[Scalar, ...]:
    """The answers of a list, each once."""
    value: Node = entry.value
    if not isinstance(value, Items) or not value.items:
        report.error(value.place, f'"{entry.key.text}" {TAKES_ANSWERS}, not {named(value)}')
        return ()
    found: dict[str, Scalar] = {}
    for item in value.items:
        if not isinstance(item, Scalar) or not item.text.strip() or len(item.text) > LONGEST:
            report.error(item.place, f"an answer is a short text, not {named(item)}")
        elif item.text in found:
            report.error(item.place, f'the answer "{item.text}" stands here twice; remove one of them')
        else:
            found[item.text] = item
    if len(found) > MOST:
        report.error(value.place, f"more than {MOST} answers are no question that one likes; ask for less")
    return tuple(found.values())
