"""What is asked of a lead, or of one of our people about him: questions in order, each with its answers."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from math import isfinite
from typing import Final, Literal

from leadnurture.domain.condition import Value
from leadnurture.domain.vocabulary import FactKind

Asked = Literal["fact", "interest", "consent", "language", "feedback", "word"]
ANSWERABLE: Final[dict[str, FactKind]] = {
    "first_name": "text", "last_name": "text", "role": "text", "country": "text", "account.name": "text",
}  # fmt: skip
"""What is known of everybody and may be asked for; the rest comes with the address or from the CRM."""
YES: Final = "yes"
NO: Final = "no"
DONE: Final = "done"
"""What a task without a question is answered with."""
REFUSED: Final = "refused"
LONGEST: Final = 200
FARTHEST: Final = (1900, 2200)


@dataclass(frozen=True, slots=True)
class Question:
    """One line of an `ask`."""

    name: str
    """A fact, `interest`, `consent`, `language`, `feedback`, or a word whose answer is only recorded."""
    about: Asked
    kind: FactKind = "text"
    choices: tuple[str, ...] = ()
    """Buttons; without them the answer is typed. Of a consent the purpose."""

    @property
    def purpose(self) -> str:
        """What a consent is for."""
        return self.choices[0]


@dataclass(frozen=True, slots=True)
class Ask:
    """`ask: {interest: [scaling, migration], budget_on: date}`: one question at a time, in this order."""

    questions: tuple[Question, ...]

    def question(self, name: str) -> Question | None:
        """The question of that name."""
        return next((question for question in self.questions if question.name == name), None)


def ask_for(facts: Iterable[str], declared: Iterable[tuple[str, FactKind]]) -> Ask | None:
    """Questions for facts, as far as they can be asked for; None where none of them can."""
    kinds = {**dict(declared), **ANSWERABLE}
    questions = tuple(Question(name, "fact", kinds[name]) for name in facts if name in kinds)
    return Ask(questions) if questions else None


def unanswered(
    ask: Ask, *, said: Collection[str], facts: Collection[str], consents: Collection[str], has_left: bool
) -> tuple[Question, ...]:
    """What is still to be asked: whatever was not `said` here, and of facts and consents, what is not known.

    Whoever has unsubscribed is asked for no consent.
    """

    def is_known(question: Question) -> bool:
        if question.about == "consent":
            return has_left or question.purpose in consents
        return question.about == "fact" and question.name in facts

    return tuple(each for each in ask.questions if each.name not in said and not is_known(each))


def answer_of(question: Question, text: str) -> Value | None:
    """What an answer means as a value; None where it is none of this question."""
    said = plain(text)
    if not said or len(said) > LONGEST:
        return None
    if question.about == "consent":
        return said if said == YES else None
    if question.choices and said not in question.choices:
        return None
    return value_of(question.kind, said)


def plain(text: str) -> str:
    """A text in one line, without what nobody types."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def value_of(kind: FactKind, text: str) -> Value | None:
    """A text as a fact of that kind; None where it is none."""
    if kind == "flag":
        return {YES: True, NO: False}.get(text)
    try:
        if kind == "date":
            day = date.fromisoformat(text)
            return day if FARTHEST[0] <= day.year < FARTHEST[1] else None
        if kind == "number":
            number = float(text)
            return number if isfinite(number) else None
    except ValueError:
        return None
    return text
