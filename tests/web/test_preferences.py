"""The page on which a lead says what he wants, and the pages that speak his language."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from leadnurture import engine
from leadnurture.store.tables import metadata
from leadnurture.web import questions
from leadnurture.web.doors import OBSTACLES
from leadnurture.web.saying import GERMAN, said
from tests.web.client import Client
from tests.web.conftest import NOW, World

TOPICS = ["scaling", "migration", "security", "monitoring"]
AS_IT_IS = {"topic": TOPICS, "mails": "0", "pause": "0", "language": "en"}
TEMPLATES = Path(__file__).parents[2] / "templates" / "web"
SAYS = re.compile(r'\bsay\("([^"]+)"')
BUTTONS = {"Yes, write to {email}", "on which day", "and", "Yes", "No"}
"""What `questions.put_to_lead` says besides its titles and hints."""


def chosen(page: str) -> set[tuple[str, str]]:
    """The boxes and circles of a page that are chosen."""
    return set(re.findall(r'<input type="(?:radio|checkbox)" name="(\w+)" value="([^"]*)" checked>', page))


def speak(world: World, name: str, language: str) -> None:
    lead = metadata.tables["lead"]
    with world.desk.database.write() as connection:
        connection.execute(update(lead).where(lead.c.id == world.leads[name]).values(language=language))


def test_the_page_shows_what_holds(world: World, client: Client) -> None:
    page = client.get(world.tokens()["preferences"]).text
    topics = {("topic", topic) for topic in TOPICS}
    assert chosen(page) == {*topics, ("mails", "0"), ("pause", "0"), ("language", "en")}
    assert "ingrid@example.com" in page


def test_what_is_chosen_is_kept_and_shown(world: World, client: Client) -> None:
    path = world.tokens()["preferences"]
    form = {"topic": ["scaling"], "mails": "2", "pause": "3", "language": "en"}
    for page in (client.post(path, data=form).text, client.get(path).text):
        assert chosen(page) == {("topic", "scaling"), ("mails", "2"), ("pause", ""), ("language", "en")}
        assert "Until 9 March 2027, as now" in page
    assert {row["topic"] for row in world.rows("unwanted_topic")} == {"migration", "security", "monitoring"}
    (row,) = world.rows("preference")
    assert (row["mails"], row["lead_id"]) == (2, world.leads["ingrid"])
    (noted,) = world.rows("audit", act="chose preferences")
    assert noted["actor"] == "the lead, by the link in a mail"


def test_the_same_twice_is_the_same_once(world: World, client: Client) -> None:
    path = world.tokens()["preferences"]
    form = {"topic": ["scaling"], "mails": "2", "pause": "3", "language": "de"}
    client.post(path, data=form)
    before = world.everything()
    client.post(path, data=form | {"pause": ""})
    assert {table for table, rows in world.everything().items() if rows != before[table]} == {"audit"}


def test_a_pause_ends_by_itself_or_at_once(world: World, client: Client) -> None:
    path = world.tokens()["preferences"]
    client.post(path, data=AS_IT_IS | {"pause": "1"})
    world.desk.now = NOW + timedelta(days=40)
    assert ("pause", "0") in chosen(client.get(path).text)
    world.desk.now = NOW
    assert ("pause", "0") in chosen(client.post(path, data=AS_IT_IS).text)
    assert world.rows("preference")[0]["paused_until"] is None


def test_whoever_chooses_a_language_reads_it_at_once_and_everywhere(world: World, client: Client) -> None:
    tokens = world.tokens()
    page = client.post(tokens["preferences"], data=AS_IT_IS | {"language": "de"}).text
    assert '<html lang="de">' in page
    assert "Gespeichert" in page
    assert ("language", "de") in chosen(page)
    assert "Keine Mails mehr von uns?" in client.get(tokens["unsubscribe"]).text
    seat = client.get(tokens["register"]).text
    assert "Dienstag, 19. Januar 2027, 10:00 Uhr, Ortszeit Oslo" in seat
    assert "Anmelden, Platz freihalten" in seat
    assert "Sie bekommen keine Mails mehr von uns" in client.post(tokens["unsubscribe"]).text


@pytest.mark.parametrize(("language", "lang"), [("de-AT", "de"), ("fr", "en"), ("", "en")])
def test_pages_speak_the_language_of_the_lead(world: World, client: Client, language: str, lang: str) -> None:
    speak(world, "ingrid", language)
    for name in ("preferences", "unsubscribe", "register"):
        assert f'<html lang="{lang}">' in client.get(world.tokens()[name]).text


def test_an_empty_post_takes_nothing_from_anybody(world: World, client: Client) -> None:
    path = world.tokens()["preferences"]
    before = world.everything()
    for data in ({}, {"List-Unsubscribe": "One-Click"}, {"topic": "scaling"}, {"mails": "many"}):
        assert client.post(path, data=data).status_code == 404
    assert world.everything() == before


@pytest.mark.parametrize(
    "wrong", [{"topic": ["cats"]}, {"mails": "3"}, {"mails": "-1"}, {"pause": "600"}, {"language": "tlh"}]
)
def test_what_cannot_be_chosen_is_told_in_a_page(
    world: World, client: Client, wrong: dict[str, object]
) -> None:
    before = world.everything()
    answer = client.post(world.tokens()["preferences"], data=AS_IT_IS | wrong)
    assert answer.status_code == 422
    assert "open the page again from the mail" in answer.text
    assert world.everything() == before


def test_who_has_unsubscribed_is_not_asked_and_cannot_come_back_here(world: World, client: Client) -> None:
    tokens = world.tokens()
    client.post(tokens["unsubscribe"])
    before = world.everything()
    assert "You will get no more mail from us" in client.get(tokens["preferences"]).text
    assert "You will get no more mail from us" in client.post(tokens["preferences"], data=AS_IT_IS).text
    assert world.everything() == before


def test_the_way_out_stands_on_the_page(world: World, client: Client) -> None:
    page = client.get(world.tokens()["preferences"]).text
    (leave,) = re.findall(r'action="(/u/[^"]+)"', page)
    assert leave == world.tokens()["unsubscribe"]
    assert client.post(leave).status_code == 200
    assert world.rows("suppression")


def test_a_mail_of_the_sample_leads_to_the_page(world: World) -> None:
    for source in world.rows("source"):
        assert "preferences_link" in source["html"], source["path"]
        assert "preferences_link" in source["text"], source["path"]


# The words


def test_every_sentence_for_readers_is_there_in_german() -> None:
    sentences = {
        sentence for template in TEMPLATES.glob("*.html") for sentence in SAYS.findall(template.read_text())
    }
    assert len(sentences) > 20
    asked = {
        *questions.TITLES.values(),
        *questions.HINTS.values(),
        questions.PROMISE,
        questions.PROMISE_ABOUT,
        questions.WAY_OUT,
    }
    assert sentences | set(OBSTACLES.values()) | asked | BUTTONS == set(GERMAN)


def test_a_sentence_keeps_its_values_and_escapes_them() -> None:
    fields = re.compile(r"{(\w+)}")
    for english, german in GERMAN.items():
        assert set(fields.findall(english)) == set(fields.findall(german)), english
    assert said("de", "Done, for {email}", email="<b>") == "Erledigt, für &lt;b&gt;"
    assert said("en", "Done, for {email}", email="<b>") == "Done, for &lt;b&gt;"


def test_a_link_of_before_a_merge_is_that_of_the_one_lead(world: World, client: Client) -> None:
    path = world.tokens()["preferences"]
    engine.merge_leads(world.desk.database, world.leads["sverre"], world.leads["ingrid"], "dana", NOW)
    assert client.post(path, data=AS_IT_IS | {"mails": "1"}).status_code == 200
    assert [row["lead_id"] for row in world.rows("preference")] == [world.leads["sverre"]]
    assert "sverre@example.com" in client.get(path).text


def test_who_asks_for_a_topic_wants_mail_about_it_again_and_is_thanked_in_his_language(
    world: World, client: Client
) -> None:
    tokens = world.tokens()
    client.post(tokens["preferences"], data=AS_IT_IS | {"topic": ["migration"], "language": "de"})
    page = client.get(tokens["ask"]).text
    assert "Worüber sollen wir Ihnen schreiben?" in page
    (name,) = re.findall(r'name="name" value="(\w+)"', page)
    assert "Danke" in client.post(tokens["ask"], data={"name": name, "answer": "scaling"}).text
    assert {row["topic"] for row in world.rows("unwanted_topic")} == {"security", "monitoring"}
