"""What public pages say to a lead, in the languages that the product speaks.

The templates say it in English, `{{ say("You have a seat") }}`; what stands here under the same words is said
instead to who reads another language. A test holds both together.
"""

from collections.abc import Mapping
from typing import Final

from markupsafe import Markup

from leadnurture.domain.language import Language

GERMAN: Final[Mapping[str, str]] = {
    # No more mail
    "No more mail": "Keine Mails mehr",
    "No more mail from us?": "Keine Mails mehr von uns?",
    "We stop everything to {email} at once. There is nothing to log in to and nothing to explain.": (
        "Wir schreiben {email} sofort nicht mehr. Sie müssen sich dafür nicht anmelden und nichts erklären."
    ),
    "Unsubscribe from everything": "Alles abbestellen",
    "You are unsubscribed": "Sie sind abgemeldet",
    "Done, for {email}": "Erledigt, für {email}",
    "You will get no more mail from us": "Sie bekommen keine Mails mehr von uns",
    "A mail that had already left may still arrive today. Nothing else will.": (
        "Eine Mail, die schon unterwegs war, kann heute noch ankommen. Sonst kommt nichts mehr."
    ),
    # What you get from us
    "What you get from us": "Was Sie von uns bekommen",
    "For {email}. What you choose here holds from the next mail on.": (
        "Für {email}. Was Sie hier wählen, gilt ab der nächsten Mail."
    ),
    "Saved": "Gespeichert",
    "Paused until {date}": "Pause bis {date}",
    "What may we write to you about?": "Worüber dürfen wir Ihnen schreiben?",
    "How often?": "Wie oft?",
    "As it fits": "Wie es passt",
    "At most {number} mails a month": "Höchstens {number} Mails im Monat",
    "At most one mail a month": "Höchstens eine Mail im Monat",
    "A pause?": "Eine Pause?",
    "No pause": "Keine Pause",
    "Until {date}, as now": "Bis {date}, wie bisher",
    "No mail for a month": "Einen Monat keine Mail",
    "No mail for {number} months": "{number} Monate keine Mail",
    "Which language do you prefer?": "Welche Sprache ist Ihnen lieber?",
    "Save": "Speichern",
    # A question
    "Thank you": "Danke",
    "{email} gets no more mail from us, and your yes does not change that.": (
        "{email} bekommt keine Mails mehr von uns, und Ihr Ja ändert daran nichts."
    ),
    "If you want our mails again, write to us.": "Wenn Sie wieder welche möchten, schreiben Sie uns.",
    "If you did not ask for this, close the page. Without a yes nothing changes.": (
        "Wenn Sie nicht darum gebeten haben, schließen Sie die Seite. Ohne ein Ja ändert sich nichts."
    ),
    "That is all we wanted to know.": "Mehr wollten wir nicht wissen.",
    "Everything is answered already.": "Es ist schon alles beantwortet.",
    "What you told us": "Was Sie uns gesagt haben",
    "Change": "Ändern",
    "Change the answer: {title}": "Antwort ändern: {title}",
    "Your answer": "Ihre Antwort",
    "What should we write to you about?": "Worüber sollen wir Ihnen schreiben?",
    "Shall we write to you?": "Dürfen wir Ihnen schreiben?",
    "What do you say?": "Was meinen Sie?",
    "What is your first name?": "Wie ist Ihr Vorname?",
    "What is your last name?": "Wie ist Ihr Nachname?",
    "What is your role?": "Welche Aufgabe haben Sie?",
    "In which country do you work?": "In welchem Land arbeiten Sie?",
    "For which company do you work?": "Für welche Firma arbeiten Sie?",
    "One choice is enough.": "Eine Wahl genügt.",
    "All further mails come in it.": "Alle weiteren Mails kommen in dieser Sprache.",
    "With your yes, {company} writes to you from time to time.": (
        "Mit Ihrem Ja schreibt {company} Ihnen von Zeit zu Zeit."
    ),
    "With your yes, {company} writes to you from time to time about {topics}.": (
        "Mit Ihrem Ja schreibt {company} Ihnen von Zeit zu Zeit über {topics}."
    ),
    "Each mail has a link to stop.": "Jede Mail hat einen Link, um aufzuhören.",
    "Yes, write to {email}": "Ja, schreiben Sie an {email}",
    "on which day": "an welchem Tag",
    "and": "und",
    "Yes": "Ja",
    "No": "Nein",
    # A file
    "It is yours. There is no form to fill in.": "Es gehört Ihnen. Sie müssen kein Formular ausfüllen.",
    "Open the article": "Artikel öffnen",
    "Open the report": "Bericht öffnen",
    "Open the page": "Seite öffnen",
    # A seat
    "You have a seat": "Sie haben einen Platz",
    "{when}. We look forward to you.": "{when}. Wir freuen uns auf Sie.",
    "Noted": "Notiert",
    "We will not invite you to it again": "Wir laden Sie nicht noch einmal dazu ein",
    "We will not send it again": "Wir schicken es nicht noch einmal",
    "This is about “{title}” alone. Whatever else you agreed to stays as it is.": (
        "Das gilt nur für „{title}“. Alles andere bleibt, wie Sie es vereinbart haben."
    ),
    "That was a mistake, register me": "Das war ein Versehen, bitte anmelden",
    "Cancelled": "Abgesagt",
    "Already over": "Schon vorbei",
    "No seat is left": "Kein Platz mehr frei",
    "Sorry, somebody else took the last seat before you. You are not registered.": (
        "Leider war beim letzten Platz jemand schneller. Sie sind nicht angemeldet."
    ),
    "If there is another date, we will write to you about it.": (
        "Wenn es einen weiteren Termin gibt, schreiben wir Ihnen."
    ),
    "Not for you? Say so, and we will not send it again.": (
        "Nichts für Sie? Sagen Sie es, und wir schicken es nicht noch einmal."
    ),
    "No, thank you": "Nein, danke",
    "Give my seat back": "Meinen Platz zurückgeben",
    "Register, keep a seat for me": "Anmelden, Platz freihalten",
}
SAID: Final[Mapping[Language, Mapping[str, str]]] = {"en": {}, "de": GERMAN}


def told(language: Language, sentence: str, /, **values: object) -> str:
    """The same as plain text, not as HTML: what the company wrote itself stays as it is."""
    words = SAID[language].get(sentence, sentence)
    return words.format(**values) if values else words


def said(language: Language, sentence: str, /, **values: object) -> Markup:
    """A sentence of a page in a language; its values are escaped."""
    told = SAID[language].get(sentence, sentence)
    return Markup(told).format(**values)  # noqa: S704 - our own words, and `format` of Markup escapes
