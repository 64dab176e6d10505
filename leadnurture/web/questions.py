"""A question in words: its title, its buttons or its field. For a lead, for a task, for a return."""

from dataclasses import dataclass
from typing import Final

from leadnurture.domain.asking import NO, YES, Question
from leadnurture.domain.company import Company

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
LANGUAGES: Final = {
    "cs": "Čeština", "da": "Dansk", "de": "Deutsch", "en": "English", "es": "Español", "fi": "Suomi",
    "fr": "Français", "it": "Italiano", "nb": "Norsk", "nl": "Nederlands", "no": "Norsk", "pl": "Polski",
    "pt": "Português", "sv": "Svenska",
}  # fmt: skip
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


def put_to_lead(question: Question, company: Company, email: str) -> Put:
    """A question on the page of a lead."""
    if question.about == "consent":
        topics = f" about {_listed(company.topics)}" if company.topics else ""
        yes = f"With your yes, {company.name} writes to you from time to time{topics}."
        hint = f"{yes} Each mail has a link to stop."
        return Put(question.name, TITLES["consent"], hint, (Choice(YES, f"Yes, write to {email}"),))
    title = TITLES.get(question.name) or f"{_label(question)}?"
    return Put(question.name, title, HINTS.get(question.about, ""), _choices(question), _field(question))


def put_about(question: Question) -> Put:
    """A question to one of our people."""
    title = ABOUT_HIM.get(question.name) or _label(question)
    choices = (Choice(YES, "Yes"),) if question.about == "consent" else _choices(question)
    return Put(question.name, title, choices=choices, field=_field(question))


def _label(question: Question) -> str:
    """`Budget: on which day` for `budget_on`, a date."""
    words = question.name.removeprefix("account.").replace("_", " ").replace("-", " ")
    if question.kind == "date":
        words = f"{words.removesuffix(' on')}: on which day"
    return words[:1].upper() + words[1:]


def _choices(question: Question) -> tuple[Choice, ...]:
    if question.kind == "flag":
        return (Choice(YES, "Yes"), Choice(NO, "No"))
    if question.about == "language":
        return tuple(
            Choice(each, LANGUAGES.get(each.partition("-")[0], each), each) for each in question.choices
        )
    return tuple(Choice(each, _word(each)) for each in question.choices)


def _word(answer: str) -> str:
    words = answer.replace("-", " ").replace("_", " ")
    return words[:1].upper() + words[1:]


def _field(question: Question) -> str:
    return "" if question.choices or question.kind == "flag" else FIELDS[question.kind]


def _listed(words: tuple[str, ...]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
