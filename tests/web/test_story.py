"""One person's story from his first mail to his last, told in a browser; then a marketer reads why.

Files are applied, the engine runs, mails are written into the outbox and opened from there, links lead to a
real server. Only time is made: it steps from one thing that is due to the next.
"""

import email.policy
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Final

import httpx
import pytest
from icalendar import Calendar
from playwright.sync_api import BrowserContext, Page, expect
from pydantic import SecretStr

from leadnurture import access
from leadnurture.app import Project, apply_project, open_project, open_to_people, upcoming
from leadnurture.demo.director import set_clock
from leadnurture.demo.visits import BROWSER
from leadnurture.settings import load_settings
from leadnurture.web import create_app
from tests.demo.conftest import do_all_that_is_due
from tests.mail.letters import KEY, credentials, letter, raw
from tests.web.conftest import ROOT
from tests.web.test_browser import running, served, violations

pytestmark = pytest.mark.browser
INGRID, SVERRE = "ingrid@example.com", "sverre@example.com"
INVITE: Final = "What breaks first when you double?"
REPORT: Final = "What does an hour of downtime cost you?"
BENCHMARKS: Final = "Scaling benchmarks 2026: where do you stand?"
WHY: Final = {
    "Sent Please confirm": "Step please of opt-in. Show the mail",
    "Consented to marketing": "page of mail 1",
    "Completed Double opt-in, at please": 'on consent("marketing"), in opt-in',
    "Entered Scaling in practice, at invite": 'enter consent("marketing"), in series',
    "Clicked Scaling without downtime, session december": (
        "+5 engagement, until 1 Mar; makes scaling an interest; click 1 judged a person’s"
    ),
    "new → engaged": "engaged when engagement > 0 (engagement 5). Agreement of 1 December 2026.",
    "Registered for Scaling without downtime, session december": "+5 engagement, until 1 Mar",
    "Moved from invite to report": "on registered, in series",
    "Paused at report of Scaling in practice": "replied, in series",
    "Went on at report of Scaling in practice": "reply sorted by dana, in series",
    "Moved from audit to article": "time is up: wants no mail about its topics, in series",
    "Sent Fewer alarms and better nights": (
        "Step article of series. Planned for Thu 10 Dec 2026, 10:00, moved by working hours, pace or a hold. "
        "Show the mail"
    ),
    "Not sent: Scaling benchmarks 2026": "Step benchmarks of series. Suppressed. Show the mail",
    "Mail no longer arrives: left Scaling in practice, at benchmarks": "address unsubscribed, in series",
    "No mail, ever": "The address is suppressed since 5 Jan: unsubscribed.",
}
"""What the page of Ingrid says in the end, and why."""
NewContext = Callable[..., BrowserContext]
WEBSITE: Final = "<!doctype html><html lang=en><title>Scaling without downtime</title><h1>The webinar</h1>"
CONFIRM: Final = """
kind: email
title: Please confirm
service: true
ask: {consent: marketing}
"""
CONFIRM_MAIL: Final = """
{% extends "_layout.mjml" %}
{% block subject %}Please confirm{% endblock %}
{% block preview %}One press{% endblock %}
{% block body %}
<mj-section><mj-column><mj-button href="{{ ask_link }}">Confirm</mj-button></mj-column></mj-section>
{% endblock %}
"""
OPT_IN: Final = """
title: Double opt-in
owner: dana
consent: none
enter: not consent("marketing")
steps:
  please:
    send: confirm-address
    on:
      consent("marketing"): {go: end}
    after: 2 weeks
"""
SERIES: Final = """
title: Scaling in practice
owner: dana
enter: consent("marketing")
steps:
  invite:
    send: scaling-1
    at: tuesday 10:00
    on:
      registered: report
    after: 5 business days
  report:
    send: downtime-costs
    at: thursday 10:00
    after: 1 week
  audit:
    send: audit-ready
    at: thursday 10:00
    after: 1 week
  article:
    send: alert-fatigue
    at: thursday 10:00
    after: 1 week
  benchmarks:
    send: scaling-benchmarks
    at: thursday 10:00
    after: 1 week
"""


def on(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    """An instant from November 2026 on; an hour later in Oslo and Frankfurt."""
    return datetime(2026 if month > 10 else 2027, month, day, hour, minute, tzinfo=UTC)


@dataclass
class Town:
    """The company, its running server, and the time."""

    project: Project
    url: str

    def until(self, instant: datetime) -> None:
        """Lets time pass, and all be done that falls due."""
        while (at := upcoming(self.project, self.project.clock()).earliest) is not None and at <= instant:
            now = max(at, self.project.clock())
            set_clock(self.project, now)
            do_all_that_is_due(self.project, now)
        set_clock(self.project, instant)

    def tell(self, **lead: object) -> None:
        """Another system tells of a lead."""
        shown = {"Authorization": f"Bearer {self.project.settings.api_key.get_secret_value()}"}
        told = httpx.post(f"{self.url}/api/leads", json=[lead], headers=shown)
        assert told.status_code == 200, told.text

    def post_reply(self, mail: EmailMessage, text: str) -> None:
        """The provider hands over what somebody has answered to a mail."""
        to, now = str(mail["Reply-To"]), format_datetime(self.project.clock())
        head = {"from": f"Ingrid <{INGRID}>", "to": to, "subject": f"Re: {mail['Subject']}", "date": now}
        written = letter(text, **head)
        post = raw(written, envelope_from=INGRID, to=to)
        told = httpx.post(f"{self.url}/hooks/sendgrid/inbound", content=post, headers=credentials())
        assert told.status_code == 200, told.text

    def last_to(self, address: str) -> EmailMessage:
        return self.mails_to(address)[-1]

    def subjects_to(self, address: str) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails_to(address)]

    def mails_to(self, address: str) -> list[EmailMessage]:
        """What lies in the outbox for somebody, oldest first."""
        files = [path for path in self.project.settings.outbox.glob("*.eml") if path.stem.isdecimal()]
        mails = [
            email.message_from_bytes(path.read_bytes(), EmailMessage, policy=email.policy.default)
            for path in files
        ]
        mine = [mail for mail in mails if address in str(mail["To"])]
        return sorted(mine, key=lambda mail: parsedate_to_datetime(mail["Date"]))


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """The sample company with two programs of its own and a website, open to whoever is on this machine."""
    for name in ("config", "templates"):
        shutil.copytree(ROOT / name, tmp_path / name)
    programs = tmp_path / "config/prospects/programs"
    for path in [*programs.glob("*.yaml"), *tmp_path.glob("config/clients/programs/*.yaml")]:
        path.unlink()
    (programs / "opt-in.yaml").write_text(OPT_IN)
    (programs / "series.yaml").write_text(SERIES)
    (programs / "recycle-no-budget.yaml").write_text(
        "title: Rest\nowner: dana\nsteps: {rest: {after: 1 week}}\n"
    )
    (tmp_path / "config/content/confirm-address.yaml").write_text(CONFIRM)
    template = tmp_path / "templates/email/confirm-address/prospects.mjml"
    template.parent.mkdir()
    template.write_text(CONFIRM_MAIL)
    with served(WEBSITE) as website, socket.create_server(("127.0.0.1", 0)) as listening:
        webinar = tmp_path / "config/content/scaling-1.yaml"
        webinar.write_text(webinar.read_text().replace("https://webinar.example.com/", website))
        settings = load_settings(
            tmp_path,
            port=listening.getsockname()[1],
            inbound_address="reply@in.example.com",
            inbound_key=SecretStr(KEY),
        )
        project = open_project(tmp_path, settings)
        set_clock(project, on(11, 30, 8))
        apply_project(project, on(11, 30, 8))
        open_to_people(project, is_seen=False)
        with running(create_app(project), listening):
            yield Town(project, project.url)
        project.close()


@dataclass
class Reader:
    """Somebody before a browser; with script, axe looks at every page of ours that he comes to."""

    page: Page
    has_script: bool

    def look(self) -> None:
        assert not self.has_script or violations(self.page) == [], self.page.url.partition("?")[0][:30]

    def open(self, address: str) -> None:
        self.page.goto(address)
        self.look()

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=button).click()
        self.look()

    def follow(self, mail: EmailMessage, link: str, *, is_ours: bool = True) -> None:
        """Opens a mail, and a link of it in the browser."""
        self.page.goto("about:blank")
        self.page.set_content(html_of(mail))
        address = self.page.get_by_role("link", name=link).first.get_attribute("href")
        assert address
        self.page.goto(address)
        if is_ours:
            self.look()

    def reads(self, heading: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(heading)

    def told(self) -> dict[str, str]:
        """What the page of a lead tells, by its words, with its reasons."""
        lines = self.page.locator(".journey li").filter(has=self.page.locator("p"))
        texts = [[part.inner_text() for part in line.locator("p").all()] for line in lines.all()]
        return {first: " ".join(why) for first, *why in texts}


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def calendar_of(mail: EmailMessage) -> Calendar:
    (file,) = mail.iter_attachments()
    assert file.get_content_type() == "text/calendar"
    return Calendar.from_ical(str(file.get_content()))


@pytest.mark.parametrize("has_script", [True, False], ids=["axe", "no-script"])
def test_one_person_from_the_first_mail_to_the_last_and_why(
    town: Town, new_context: NewContext, *, has_script: bool
) -> None:
    phone = new_context(
        java_script_enabled=has_script,
        user_agent=BROWSER,
        viewport={"width": 390, "height": 844},
        color_scheme="dark",
    )
    ingrid = Reader(phone.new_page(), has_script)
    dana = Reader(new_context(java_script_enabled=has_script).new_page(), has_script)
    town.tell(
        email=INGRID, first_name="Ingrid", last_name="Solheim", account="Fjellheim", source="Newsletter"
    )
    town.tell(email=SVERRE, first_name="Sverre", consents=[{"purpose": "marketing"}])
    confirms_that_there_may_be_mail(town, ingrid)
    takes_a_seat(town, ingrid)
    replies_and_waits_for_dana(town, dana)
    chooses_what_comes(town, ingrid)
    leaves(town, ingrid)
    finds_the_lead_and_reads_why(town, dana)


def confirms_that_there_may_be_mail(town: Town, ingrid: Reader) -> None:
    """Without a consent there is one mail: whether there may be more. Sverre has said so before."""
    town.until(on(12, 1, 8))
    assert (town.subjects_to(INGRID), town.subjects_to(SVERRE)) == (["Please confirm"], [])
    ingrid.follow(town.last_to(INGRID), "Confirm")
    ingrid.reads("Shall we write to you?")
    ingrid.press(f"Yes, write to {INGRID}")
    ingrid.reads("Thank you")


def takes_a_seat(town: Town, ingrid: Reader) -> None:
    """The invite of the same day leads to the website, then to a seat with an entry for the calendar."""
    town.until(on(12, 1, 11))
    invite = town.last_to(INGRID)
    assert invite["Subject"] == INVITE
    ingrid.follow(invite, "Scaling without downtime", is_ours=False)
    ingrid.reads("The webinar")
    town.until(on(12, 1, 12))
    ingrid.follow(invite, "Take a seat")
    ingrid.press("Register, keep a seat for me")
    expect(ingrid.page.locator("main")).to_contain_text("You have a seat")
    town.until(on(12, 1, 12, 5))
    seat = town.last_to(INGRID)
    assert seat["Subject"] == "You have a seat: Scaling without downtime"
    calendar = calendar_of(seat)
    (event,) = calendar.walk("VEVENT")
    assert (calendar["METHOD"], event["SEQUENCE"], event.decoded("DTSTART")) == ("REQUEST", 0, on(12, 8, 14))
    assert str(event["ATTENDEE"]) == f"mailto:{INGRID}"


def replies_and_waits_for_dana(town: Town, dana: Reader) -> None:
    """The report of Thursday morning leaves when his reply is sorted, in the afternoon."""
    town.until(on(12, 2, 9))
    town.post_reply(town.mails_to(INGRID)[1], "Is it in English?")
    before = town.subjects_to(INGRID)
    town.until(on(12, 3, 14))
    assert town.subjects_to(INGRID) == before
    password = access.add_user(town.project.database, "dana", "marketer", "the tests", town.project.clock())
    dana.open(f"{town.url}/replies")
    dana.page.get_by_label("Name or address").fill("dana")
    dana.page.get_by_label("Password").fill(password)
    dana.press("Sign in")
    expect(dana.page.locator("main")).to_contain_text("Is it in English?")
    dana.press("Answered, programs go on: Ingrid Solheim")
    town.until(on(12, 3, 15))
    assert town.subjects_to(INGRID) == [*before, REPORT]


def chooses_what_comes(town: Town, ingrid: Reader) -> None:
    """Nothing about security, in German, and one mail a month; only what his seat needs comes meanwhile."""
    before = town.subjects_to(INGRID)
    ingrid.follow(town.last_to(INGRID), "Choose what you get")
    ingrid.page.get_by_label("Security").uncheck()
    ingrid.page.get_by_label("At most one mail a month").check()
    ingrid.page.get_by_label("Deutsch").check()
    ingrid.press("Save")
    expect(ingrid.page.get_by_role("status")).to_have_text("Gespeichert")
    town.until(on(12, 31, 12))
    reminder = "Dienstag, 8. Dezember 2026, 15:00 bis 15:45 Uhr: Skalieren ohne Ausfall"
    assert town.subjects_to(INGRID) == [*before, reminder, reminder]
    town.until(on(1, 5, 12))
    assert town.subjects_to(INGRID) == [*before, reminder, reminder, "Von 400 Alarmen in der Woche auf 11"]


def leaves(town: Town, ingrid: Reader) -> None:
    """The last mail was planned already, and does not come. Whoever stays gets it."""
    before = town.subjects_to(INGRID)
    ingrid.follow(town.last_to(INGRID), "melden Sie sich ab")
    ingrid.press("Alles abbestellen")
    ingrid.reads("Sie bekommen keine Mails mehr von uns")
    town.until(on(5, 31, 12))
    assert town.subjects_to(INGRID) == before
    assert town.subjects_to(SVERRE) == [
        INVITE, REPORT, "Ten weeks until the auditor comes", "From 400 alarms a week to 11", BENCHMARKS,
    ]  # fmt: skip


def finds_the_lead_and_reads_why(town: Town, dana: Reader) -> None:
    """By a part of the name; every line has its reason."""
    dana.open(f"{town.url}/leads")
    dana.page.get_by_label("Name, address or account").fill("solh")
    dana.page.get_by_label("Name, address or account").press("Enter")
    dana.look()
    dana.page.get_by_role("link", name="Ingrid Solheim").click()
    dana.look()
    dana.reads("Ingrid Solheim")
    told = dana.told()
    assert {words: told.get(words) for words in WHY} == WHY
