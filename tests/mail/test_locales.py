"""Locales: everybody is written to in his language where there is a template in it, and shown it again so."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from leadnurture.domain.content import Content
from leadnurture.domain.language import duration_told, locale_of, name_of, place_told
from leadnurture.domain.timing import Duration, Unit
from leadnurture.mail import compile_templates, deliver, show
from tests.mail.providers import Kept
from tests.mail.scene import LINKS, MACHINE, NOW, TEMPLATES, Scene, definitions, template

LATER = datetime(2026, 12, 8, 10, 0, tzinfo=UTC)
GERMAN = {
    "_layout.de.mjml": '{% extends "_layout.mjml" %}{% block lang %}de{% endblock %}'
    "{% block leave %}Abmelden{% endblock %}",
    "guide/prospects.de.mjml": template(
        "Ein Leitfaden für {{ lead.first_name or 'Sie' }}", 'Guten Tag, <a href="{{ link }}">lesen</a>'
    ),
    "letter/prospects.de.mjml": template("Ein Brief", "{{ facts.budget_on }}, {{ content.title }}"),
    "talk/prospects.de.mjml": template(
        "{{ content.title }}",
        "{{ session.date }}, {{ session.time }}, {{ session.zone }}, {{ content.length }}",
    ),
}
LAYOUT = (
    TEMPLATES["_layout.mjml"]
    .replace("<mjml>", '<mjml lang="{% block lang %}en{% endblock %}">')
    .replace(">Unsubscribe<", ">{% block leave %}Unsubscribe{% endblock %}<")
)
GUIDE, LETTER, TALK = definitions().contents
TITLED = (
    replace(GUIDE, title=(("en", "The guide"), ("de", "Der Leitfaden"))),
    replace(LETTER, title=(("en", "A letter"), ("de", "Ein Brief"))),
    replace(TALK, title=(("en", "The talk"), ("de", "Der Vortrag"))),
)


def bilingual(*locales: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of Definitions
    """What makes the company one that writes in these locales."""
    templates = {**TEMPLATES, "_layout.mjml": LAYOUT, **(GERMAN if "de" in locales else {})}
    company = replace(definitions().company, locales=locales)
    return {"company": company, "contents": TITLED, "templates": tuple(templates.items()), **changes}


def sent(scene: Scene, now: datetime = NOW) -> Kept:
    """What a provider got that accepts everything."""
    provider = Kept()
    deliver(scene.database, provider, LINKS, now, machine_now=MACHINE)
    return provider


@pytest.mark.parametrize(
    ("language", "locales", "expected"),
    [
        ("de", ("en", "de"), "de"),
        ("DE", ("en", "de"), "de"),
        ("de-AT", ("en", "de"), "de"),
        ("de_AT", ("en", "de"), "de"),
        (" de ", ("en", "de"), "de"),
        ("", ("en", "de"), "en"),
        ("fr", ("en", "de"), "en"),
        ("deu", ("en", "de"), "en"),
        ("de", ("en", "de-CH"), "de-CH"),
        ("de-at", ("en", "de-CH", "de-AT"), "de-AT"),
        ("de-ch", ("de", "de-CH"), "de-CH"),
        ("de", ("de-CH", "de"), "de"),
        ("en-GB", ("de", "en"), "en"),
    ],
)
def test_a_language_reads_a_locale(
    scene: Scene, language: str, locales: tuple[str, ...], expected: str
) -> None:
    """In Python, for pages, and in the claim, for mails."""
    assert locale_of(language, locales) == expected
    translated = {
        f"guide/prospects.{locale}.mjml": template(f"In {locale}", "Text") for locale in locales[1:]
    }
    templates = {**TEMPLATES, **translated, "guide/prospects.mjml": template(f"In {locales[0]}", "Text")}
    company = replace(definitions().company, locales=locales)
    scene.apply(company=company, templates=tuple(templates.items()))
    scene.message(scene.lead(1, language=language))
    assert [mail.subject for mail in sent(scene).mails] == [f"In {expected}"]


def test_everybody_is_written_to_in_his_language(scene: Scene) -> None:
    scene.apply(**bilingual("en", "de"))
    english, german = (scene.message(scene.lead(n, language=each)) for n, each in ((1, "en"), (2, "de")))
    mails = {mail.message_id: mail for mail in sent(scene).mails}
    assert mails[english].subject == "A guide for Ann1"
    assert mails[german].subject == "Ein Leitfaden für Ann2"
    assert mails[english].sender_name == "Dana from Querfeld"
    assert mails[german].sender_name == "Dana von Querfeld"
    assert "Unsubscribe <https://" in mails[english].text
    assert "Abmelden <https://" in mails[german].text
    assert '<html lang="en"' in mails[english].html
    assert '<html lang="de"' in mails[german].html


def test_dates_hours_and_titles_are_told_in_the_language_of_the_template(scene: Scene) -> None:
    scene.apply(**bilingual("en", "de"))
    lead_id = scene.lead(1, language="de")
    scene.insert("lead_fact", lead_id=lead_id, name="budget_on", number=20_800)
    letter = scene.message(lead_id, content="letter", step="letter")
    talk = scene.message(
        scene.lead(2, language="de"), content="talk", session_content="talk", session="january"
    )
    mails = {mail.message_id: mail for mail in sent(scene).mails}
    assert mails[letter].text.startswith("13. Dezember 2026, Ein Brief\n")
    assert mails[talk].subject == "Der Vortrag"
    assert mails[talk].text.startswith(
        "Dienstag, 19. Januar 2027, 10:00 bis 10:45 Uhr, Ortszeit Berlin, 45 Minuten\n"
    )


def test_without_a_template_in_his_language_all_of_the_mail_is_in_the_first(scene: Scene) -> None:
    """Not its words in one language and its dates in another."""
    changes = bilingual("en", "de")
    there = tuple(pair for pair in changes["templates"] if pair[0] != "talk/prospects.de.mjml")
    scene.apply(**{**changes, "templates": there})
    message_id = scene.message(
        scene.lead(1, language="de"), content="talk", session_content="talk", session="january"
    )
    (mail,) = sent(scene).mails
    assert (mail.message_id, mail.subject) == (message_id, "The talk")
    assert mail.text.startswith("Tuesday 19 January 2027, 10:00 to 10:45, Berlin time")
    assert "Unsubscribe" in mail.text


def test_a_locale_that_is_added_serves_mails_that_were_planned_before(scene: Scene) -> None:
    scene.apply(**bilingual("en"))
    first, second = (scene.message(scene.lead(number, language="de")) for number in (1, 2))
    scene.change("message", second, send_at=LATER)
    assert [mail.subject for mail in sent(scene).mails] == ["A guide for Ann1"]
    scene.apply(**bilingual("en", "de"))
    with scene.database.write() as connection:  # an apply has every lead looked at first
        connection.execute(scene.tables["lead"].update().values(look_at=None))
        connection.execute(scene.tables["enrollment"].update().values(due_at=None))
    assert [mail.subject for mail in sent(scene, LATER).mails] == ["Ein Leitfaden für Ann2"]
    assert scene.row("message", first).status == "sent"


def test_a_mail_is_shown_again_in_the_language_in_which_it_was_sent(scene: Scene) -> None:
    scene.apply(**bilingual("en", "de"))
    lead_id = scene.lead(1, language="de")
    message_id = scene.message(lead_id, content="talk", session_content="talk", session="january")
    (mail,) = sent(scene).mails
    scene.change("lead", lead_id, language="en")
    scene.apply(**bilingual("en"))
    with scene.database.read() as connection:
        again = show(connection, message_id)
    assert (again.subject, again.text, again.html) == (mail.subject, mail.text, mail.html)


def test_a_layout_of_a_locale_may_stand_alone() -> None:
    changes = bilingual("en", "de")
    whole = LAYOUT.replace("lang %}en{%", "lang %}de-x{%")
    templates = {**dict(changes["templates"]), "_layout.de.mjml": whole}
    compiled, problems = compile_templates(
        replace(definitions(), **{**changes, "templates": tuple(templates.items())})
    )
    assert problems == ()
    langs = {(one.path, 'lang="de-x"' in one.html) for one in compiled if one.content == "guide"}
    assert langs == {
        ("guide/prospects.mjml", False), ("guide/prospects.de.mjml", True), ("guide/clients.mjml", False)
    }  # fmt: skip


def test_a_content_has_its_title_in_every_locale() -> None:
    content = Content("guide", "report", (("en", "The guide"), ("de", "Der Leitfaden")))
    assert [content.title_in(locale) for locale in ("en", "de", "fr")] == [
        "The guide", "Der Leitfaden", "The guide"
    ]  # fmt: skip


def test_words_of_both_languages() -> None:
    assert (place_told("Europe/Vienna", "en"), place_told("Europe/Vienna", "de")) == (
        "Vienna time", "Ortszeit Wien"
    )  # fmt: skip
    assert place_told("UTC", "de") == "UTC"
    assert [duration_told(Duration(amount, "hours"), "de") for amount in (1, 2)] == ["1 Stunde", "2 Stunden"]
    assert [str(Duration(2, unit)) for unit in get_args(Unit)] == [
        duration_told(Duration(2, unit), "en") for unit in get_args(Unit)
    ]
    assert [name_of(locale) for locale in ("en", "de-CH", "xx")] == ["English", "Deutsch (CH)", "xx"]
