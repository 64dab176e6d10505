"""A small company with mails that are due: what the tests of sending stand on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update

from leadnurture.domain.agreement import Agreement
from leadnurture.domain.company import Company, Person
from leadnurture.domain.condition import Condition, Has
from leadnurture.domain.content import Content, Session
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.program import Program, Send, Step
from leadnurture.domain.timing import Duration, Hour, Wait
from leadnurture.domain.vocabulary import Track
from leadnurture.engine import apply_definitions
from leadnurture.links import Links
from leadnurture.mail import compile_templates
from leadnurture.store import Database
from leadnurture.store.tables import metadata

# A Tuesday in winter, 10:00 in Berlin.
NOW = datetime(2026, 12, 8, 9, 0, tzinfo=UTC)
MACHINE = datetime(2031, 1, 1, 12, 0, tzinfo=UTC)
LINKS = Links("a secret of the tests", "https://news.example.com")

LAYOUT = """<mjml><mj-head><mj-title>{% block subject %}{% endblock %}</mj-title>
<mj-preview>{% block preview %}{% endblock %}</mj-preview></mj-head>
<mj-body>{% block body %}{% endblock %}
<mj-section><mj-column><mj-text><a href="{{ unsubscribe_link }}">Unsubscribe</a><br />
{{ company.postal_address }}</mj-text></mj-column></mj-section></mj-body></mjml>
"""


def template(subject: str, body: str) -> str:
    """A template in the layout."""
    return (
        '{% extends "_layout.mjml" %}{% block subject %}'
        + subject
        + "{% endblock %}{% block preview %}Preheader{% endblock %}"
        "{% block body %}<mj-section><mj-column><mj-text>"
        + body
        + "</mj-text></mj-column></mj-section>{% endblock %}"
    )


TEMPLATES = {
    "_layout.mjml": LAYOUT,
    "guide/prospects.mjml": template(
        "A guide for {{ lead.first_name or 'you' }}",
        'Hello {{ lead.first_name }}, <a href="{{ link }}">read</a>',
    ),
    "guide/clients.mjml": template("Your guide", "Dear {{ lead.name }}, yours {{ sender.name }}"),
    "letter/prospects.mjml": template(
        "A letter",
        "{% if variant == 'b' %}B{% else %}A{% endif %} {{ facts.budget_on }} {{ account.employees }}",
    ),
    "talk/prospects.mjml": template(
        "{{ content.title }}",
        "{{ session.date }}, {{ session.time }}, {{ session.zone }} <a href='{{ register_link }}'>Seat</a>",
    ),
}


def definitions(**changes: Any) -> Definitions:  # noqa: ANN401 - columns of any table
    """The files of the company as values."""
    both: tuple[Track, ...] = ("prospects", "clients")
    company = Company(
        name="Querfeld",
        postal_address="Querfeld GmbH, Musterstr. 1, 60311 Frankfurt",
        sender_name="Dana from Querfeld",
        sender_translations=(("de", "Dana von Querfeld"),),
        sender_address="news@example.com",
        url="https://www.example.com",
        zone="Europe/Berlin",
        client=Condition('tag("client")', Has("tag", "client")),
        facts=(("budget_on", "date"), ("account.employees", "number")),
        people=(Person("nora", "Nora Blum", "nora@example.com", "account manager"),),
    )
    tuesday = Step("invite", send=Send("guide"), at=Hour(1, 600), after=Wait(Duration(1, "weeks")), line=1)
    whole = Definitions(
        company=company,
        agreements=tuple(
            Agreement(
                track,
                date(2026, 12, 1),
                (),
                consent="marketing",
                pace=(2, 7),
                sender="account manager" if track == "clients" else "company",
            )
            for track in both
        ),
        contents=(
            Content(
                "guide", "report", (("en", "The guide"),), link="https://www.example.com/guide", tracks=both
            ),
            Content("letter", "email", (("en", "A letter"),), tracks=("prospects",)),
            Content(
                "talk",
                "webinar",
                (("en", "The talk"),),
                sessions=(Session("january", datetime(2027, 1, 19, 10)),),  # noqa: DTZ001 - local
                length=Duration(45, "minutes"),
                link="https://www.example.com/talk",
                tracks=("prospects",),
            ),
        ),
        programs=(
            Program(
                "series",
                "prospects",
                "A series",
                "dana",
                (tuesday, Step("letter", send=Send("letter"), line=2)),
            ),
            Program("care", "clients", "Care", "dana", (replace(tuesday, name="note"),)),
        ),
        templates=tuple(TEMPLATES.items()),
    )
    return replace(whole, **changes)


@dataclass
class Scene:
    """An applied company and hands to put rows into its database."""

    database: Database

    @property
    def tables(self) -> Mapping[str, Any]:
        """Every table by its name."""
        return metadata.tables

    def apply(self, **changes: Any) -> None:  # noqa: ANN401 - columns of any table
        """Stores the company."""
        whole = definitions(**changes)
        templates, problems = compile_templates(whole)
        assert problems == ()
        apply_definitions(self.database, whole, templates, NOW)

    def insert(self, table: str, **values: Any) -> Any:  # noqa: ANN401 - columns of any table
        """A row; the result is its id, if it has one."""
        with self.database.write() as connection:
            return connection.execute(insert(self.tables[table]).values(**values)).inserted_primary_key[0]  # type: ignore[index] # one row

    def change(self, table: str, row_id: int, **values: Any) -> None:  # noqa: ANN401 - columns of any table
        """Changes a row by its id."""
        with self.database.write() as connection:
            rows = self.tables[table]
            connection.execute(update(rows).where(rows.c.id == row_id).values(**values))

    def lead(self, number: int, *, consent: bool = True, **values: Any) -> int:  # noqa: ANN401 - columns of any table
        """A lead who may be mailed; nothing is due at him."""
        row = {
            "email": f"Lead{number}@example.org",
            "email_key": f"lead{number}@example.org",
            "first_name": f"Ann{number}",
            "last_name": "Ott",
            "track": "prospects",
            "stage": "new",
            "stage_since": NOW,
            "zone": "Europe/Berlin",
            "zone_given": "",
            "luck": number,
            "country": "",
            "language": "",
            "role": "",
            "source": "",
            "fit": 0,
            "engagement": 0,
            "score": 0,
            "created_at": NOW,
        }
        lead_id: int = self.insert("lead", **row | values)
        if consent:
            self.insert(
                "consent",
                lead_id=lead_id,
                purpose="marketing",
                given_at=NOW - timedelta(days=30),
                source="form",
                wording="yes",
            )
        return lead_id

    def message(self, lead_id: int, *, program: str = "series", step: str = "invite", **values: Any) -> int:  # noqa: ANN401 - columns of any table
        """A mail that is planned for now, and the enrollment that waits for it."""
        with self.database.read() as connection:
            versions = self.tables["program_version"]
            version = connection.execute(
                select(versions.c.id).where(versions.c.program == program, versions.c.is_current)
            ).scalar_one()
        enrollment = {
            "lead_id": lead_id,
            "program": program,
            "version_id": version,
            "status": "active",
            "step": step,
            "visit": 1,
            "arrived_at": NOW,
            "seen_reaction_id": 0,
            "acted": True,
            "wave": 0,
            "started_at": NOW,
        }
        with self.database.write() as connection:
            rows = self.tables["enrollment"]
            enrollment_id = connection.execute(insert(rows).values(**enrollment)).inserted_primary_key[0]  # type: ignore[index] # one row
            row = {
                "enrollment_id": enrollment_id,
                "lead_id": lead_id,
                "program": program,
                "step": step,
                "visit": 1,
                "track": "clients" if program == "care" else "prospects",
                "content": "guide",
                "status": "planned",
                "priority": 0,
                "needs_consent": True,
                "planned_at": NOW,
                "send_at": NOW,
                "late_at": NOW + timedelta(hours=7),
                "late": "next window",
                "wait_until": NOW + timedelta(days=7),
                "attempt": 0,
            }
            message_id: int = connection.execute(
                insert(self.tables["message"]).values(**row | values)
            ).inserted_primary_key[0]  # type: ignore[index] # one row
            connection.execute(update(rows).where(rows.c.id == enrollment_id).values(message_id=message_id))
        return message_id

    def row(self, table: str, row_id: int) -> Any:  # noqa: ANN401 - columns of any table
        """A row by its id."""
        with self.database.read() as connection:
            rows = self.tables[table]
            return connection.execute(select(rows).where(rows.c.id == row_id)).one()

    def rows(self, table: str) -> list[Any]:
        """Every row of a table."""
        with self.database.read() as connection:
            return list(connection.execute(select(self.tables[table])))

    def outcome(self, message_id: int) -> tuple[str, str | None, str | None]:
        """(status, trouble, the enrollment's trouble)."""
        message = self.row("message", message_id)
        return message.status, message.trouble, self.enrollment_of(message_id).trouble

    def enrollment_of(self, message_id: int) -> Any:  # noqa: ANN401 - columns of any table
        """The enrollment that waits for a message."""
        return self.row("enrollment", self.row("message", message_id).enrollment_id)
