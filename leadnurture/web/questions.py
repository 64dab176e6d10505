"""A question in words: its title, its buttons or its field. For a lead, for a task, for a return."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from leadnurture.domain.asking import NO, YES, Question
from leadnurture.domain.company import Company
from leadnurture.domain.language import Language, name_of
from leadnurture.web.saying import told

TITLES: Final = {
    "interest": "What should we write to you about?",
    "language": "Which language do you prefer?",
    "consent": "Shall we write to you?",
    "feedback": "What do you say?",
    "first_name": "What is your first name?",
    "last_name": "What is your last name?",
    "role": "What is your role?",
    "country": "In which country do you work?",
    "account.name": "For which company do you work?",
}
HINTS: Final = {"interest": "One choice is enough.", "language": "All further mails come in it."}
ABOUT_HIM: Final = {
    "interest": "Interested in", "language": "Language", "consent": "Agrees to mail",
    "feedback": "What was said",
    "first_name": "First name", "last_name": "Last name", "role": "Role", "country": "Country",
    "account.name": "Company",
}  # fmt: skip
"""The same questions, put to one of our people about somebody else."""
PROMISE: Final = "With your yes, {company} writes to you from time to time."
PROMISE_ABOUT: Final = "With your yes, {company} writes to you from time to time about {topics}."
WAY_OUT: Final = "Each mail has a link to stop."
"""What a lead agrees to: the wording of his consent, in the language in which he read it."""
FIELDS: Final = {"date": "date", "number": "number", "text": "text"}


@dataclass(frozen=True, slots=True)
class Choice:
    """A button."""

    value: str
    text: str
    language: str = ""
    """In which the button is written, where that is not the page's."""


@dataclass(frozen=True, slots=True)
class Put:
    """A question as it is put."""

    name: str
    title: str
    hint: str = ""
    choices: tuple[Choice, ...] = ()
    field: str = ""
    """The type of the field, where the answer is typed."""

    @property
    def wording(self) -> str:
        """What stands beside a button, as the proof of a consent."""
        return " ".join(filter(None, (self.title, self.hint, *(choice.text for choice in self.choices))))


def put_to_lead(question: Question, company: Company, email: str, language: Language) -> Put:
    """A question on the page of a lead, in a language."""
    say = partial(told, language)
    if question.about == "consent":
        promise = PROMISE_ABOUT if company.topics else PROMISE
        yes = say(promise, company=company.name, topics=_listed(company.topics, say("and")))
        hint = f"{yes} {say(WAY_OUT)}"
        button = Choice(YES, say("Yes, write to {email}", email=email))
        return Put(question.name, say(TITLES["consent"]), hint, (button,))
    known = TITLES.get(question.name)
    title = say(known) if known else f"{_label(question, say('on which day'))}?"
    hint = say(HINTS[question.about]) if question.about in HINTS else ""
    choices = tuple(replace(each, text=say(each.text)) for each in _choices(question))
    return Put(question.name, title, hint, choices, _field(question))


def put_about(question: Question) -> Put:
    """A question to one of our people."""
    title = ABOUT_HIM.get(question.name) or _label(question)
    choices = (Choice(YES, "Yes"),) if question.about == "consent" else _choices(question)
    return Put(question.name, title, choices=choices, field=_field(question))


def _label(question: Question, on_which_day: str = "on which day") -> str:
    """`Budget: on which day` for `budget_on`, a date."""
    words = question.name.removeprefix("account.").replace("_", " ").replace("-", " ")
    if question.kind == "date":
        words = f"{words.removesuffix(' on')}: {on_which_day}"
    return words[:1].upper() + words[1:]


def _choices(question: Question) -> tuple[Choice, ...]:
    if question.kind == "flag":
        return (Choice(YES, "Yes"), Choice(NO, "No"))
    if question.about == "language":
        return tuple(Choice(each, name_of(each), each) for each in question.choices)
    return tuple(Choice(each, _word(each)) for each in question.choices)


def _word(answer: str) -> str:
    words = answer.replace("-", " ").replace("_", " ")
    return words[:1].upper() + words[1:]


def _field(question: Question) -> str:
    return "" if question.choices or question.kind == "flag" else FIELDS[question.kind]


def _listed(words: tuple[str, ...], last_word: str) -> str:
    return f" {last_word} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
