"""A company on a stepping clock: looks, waves and mails until nothing is due, then on to the next instant.

What a test sees is what the engine does; only the mail is simple: what is due and may leave is sent at once.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, text

from leadnurture.definitions import check_project
from leadnurture.domain.definitions import Definitions
from leadnurture.domain.vocabulary import SEAT_MAILS, TRACKS, MessageStatus, ReactionKind, Why
from leadnurture.engine import (
    Applied,
    CompiledTemplate,
    Decided,
    LeadInput,
    NewReaction,
    Recorded,
    Settled,
    apply_definitions,
    begin_wave,
    close_session,
    decide_handoff,
    finish_wave,
    import_leads,
    judge,
    lock_leads,
    look,
    next_due,
    next_judging,
    next_look,
    record_reactions,
    run_step,
    set_deal,
    settle_messages,
)
from leadnurture.store import Database
from leadnurture.store.instants import from_micros, to_micros

MACHINE: Final = datetime(2031, 1, 1, tzinfo=UTC)
"""Of the leases; nothing here waits for it."""
ROUNDS: Final = 40
"""More rounds at one instant mean that something is due forever."""

COMPANY: Final = """
name: Querfeld
postal address: Musterstr. 1, 60311 Frankfurt
sender: {name: Dana, address: news@example.com}
url: https://news.example.com
zone: Europe/Berlin
topics: [scaling, security]
client: account.deal_won and not account.churned
facts: {budget_on: date, plan: text, account.employees: number, account.churned: flag}
people:
  dana: {name: Dana Weber, email: dana@example.com, role: marketer}
  lena: {name: Lena Ott, email: lena@example.com, role: sales}
"""
AGREEMENT: Final = """
version: 2026-12-01
agreed: {marketing: dana, sales: lena}
consent: marketing
routing: [{to: [lena]}]
"""
LAYOUT: Final = """
<mjml><mj-head><mj-title>{% block subject %}{% endblock %}</mj-title></mj-head>
<mj-body><mj-section><mj-column><mj-text>{% block body %}{% endblock %}
<a href="{{ unsubscribe_link }}">Unsubscribe</a> {{ company.postal_address }}
</mj-text></mj-column></mj-section></mj-body></mjml>
"""
TEMPLATE: Final = """{% extends "_layout.mjml" %}
{% block subject %}A mail{% endblock %}
{% block body %}Hello{% endblock %}
"""
ASKING: Final = TEMPLATE.replace("Hello", '<a href="{{ ask_link }}">Tell us</a>')


def define(root: Path, files: Mapping[str, str], *, warned: bool = True) -> Definitions:
    """The definitions of files by their paths below `config`, without `.yaml`; contents get templates."""
    told = {"leadnurture": COMPANY, "prospects/track": AGREEMENT, **files}
    written = {f"config/{path}.yaml": content for path, content in told.items()}
    written["templates/email/_layout.mjml"] = LAYOUT
    for path, text_ in told.items():
        folder, _, name = path.partition("/")
        if folder == "content":
            tracks = [track for track in TRACKS if f"{track}/track" in told]
            template = ASKING if "ask:" in text_ else TEMPLATE
            written |= {f"templates/email/{name}/{track}.mjml": template for track in tracks}
    seats = {f"templates/email/{mail}/{track}.mjml" for mail in SEAT_MAILS for track in TRACKS}
    written |= dict.fromkeys(seats, TEMPLATE)
    for path, content in written.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    checked = check_project(root)
    assert warned or not checked.problems, "\n".join(map(str, checked.problems))
    assert checked.definitions is not None, "\n".join(map(str, checked.problems))
    return checked.definitions


@dataclass
class Company:
    """An applied company at an instant of its product clock."""

    database: Database
    definitions: Definitions
    now: datetime
    told: int = 0
    """Counts reactions, so that each has a key of its own."""
    machine: datetime = MACHINE
    """Moves on with every wave by more than a lease, so that a wave that died does not block the next."""

    def __post_init__(self) -> None:
        self.apply(self.definitions)

    # What people do

    def apply(self, definitions: Definitions) -> Applied:
        """Puts files to work."""
        self.definitions = definitions
        templates = [
            CompiledTemplate(content.name, track, f"{content.name}/{track}", "p", "s", "h", "t")
            for content in definitions.contents
            for track in content.tracks
        ]
        return apply_definitions(self.database, definitions, templates, self.now)

    def lead(self, name: str, **told: Any) -> int:  # noqa: ANN401 - fields of LeadInput
        """Tells of one lead, who has consented; the result is his id. His address is `ann@ann.example`."""
        known = {"email": f"{name}@{name}.example", "consents": [("marketing", None, "form", "")]}
        return self.leads(LeadInput(**{**known, **told}))[0]

    def leads(self, *leads: LeadInput) -> tuple[int, ...]:
        """Imports leads; the result are their ids."""
        return import_leads(self.database, leads, self.now, "test").lead_ids

    def react(self, lead: int, kind: ReactionKind, *, mail: str | None = None, **about: Any) -> Recorded:  # noqa: ANN401 - fields of NewReaction
        """Records a reaction of a lead; `mail="invite"`: to what that step last sent him."""
        self.told += 1
        told = {"key": f"told-{self.told}", "source": "test", "at": self.now, "lead_id": lead, **about}
        if mail is not None:
            told["message_id"] = self.mail(lead, mail)
        return record_reactions(self.database, [NewReaction(kind, **told)], self.now)

    def close(self, content: str, session: str, *attended: str) -> Recorded:
        """Closes the attendance list of a session; `attended` are addresses."""
        return close_session(self.database, content, session, attended, self.now, "test")

    def accept(self, lead: int) -> Decided:
        """Sales accepts the lead's newest handoff."""
        return decide_handoff(self.database, self.handoff(lead), "accepted", "lena", self.now)

    def give_back(self, lead: int, reason: str) -> Decided:
        """Sales returns the lead's newest handoff."""
        return decide_handoff(self.database, self.handoff(lead), "returned", "lena", self.now, reason=reason)

    def win(self, lead: int) -> None:
        """A deal is won with a lead."""
        self.told += 1
        set_deal(self.database, lead, "won", None, f"deal-{self.told}", self.now)

    # Time

    def advance(self, to: datetime | None = None, **by: float) -> None:
        """Lives until an instant, or for a time (`days=3`), doing at every instant what is due then."""
        until = to if to is not None else self.now + timedelta(**by)
        self.settle()
        while (following := self.next_instant()) is not None and following <= until:
            self.now = max(following, self.now)
            self.settle()
        self.now = until
        self.settle()

    def sleep(self, to: datetime | None = None, **by: float) -> None:
        """Lets time pass in which nothing runs."""
        self.now = to if to is not None else self.now + timedelta(**by)

    def settle(self) -> None:
        """Judges, looks, waves and sends until nothing is due now."""
        for _ in range(ROUNDS):
            if not (self.judge() + self.look() + self.wave() + len(self.send())):
                return
        due = self.rows("SELECT * FROM enrollment WHERE due_at <= :now")
        raise AssertionError(f"at {self.now} something stays due: {due}")

    def judge(self) -> int:
        """Judges clicks; the result is how many."""
        return judge(self.database, self.now).clicks

    def look(self) -> int:
        """Looks at the leads of both tracks; the result is how many."""
        tracks = [agreement.track for agreement in self.definitions.agreements]
        return sum(look(self.database, track, self.now).leads for track in tracks)

    def wave(self, *programs: str, chunk: int = 5_000) -> int:
        """A wave of each program, or of these; the result is how many enrollments were due."""
        done = 0
        for program in programs or [program.name for program in self.definitions.programs]:
            self.machine += timedelta(minutes=5)
            begun = begin_wave(self.database, program, "test", self.now, self.machine)
            if begun is not None:
                steps = [
                    run_step(self.database, program, step, begun.number, self.now, chunk=chunk)
                    for step, _ in begun.steps
                ]
                finish_wave(self.database, begun, steps, "test", 0)
                done += sum(step.due for step in steps)
        return done

    def next_instant(self) -> datetime | None:
        """When something is due next, after now."""
        with self.database.read() as connection:
            found = [next_look(connection, agreement.track) for agreement in self.definitions.agreements]
            found += [next_due(connection, program.name) for program in self.definitions.programs]
            found.append(next_judging(connection))
            sending = connection.execute(
                text("""SELECT min(m.send_at) FROM message m JOIN enrollment e ON e.id = m.enrollment_id
                         WHERE m.status = 'planned' AND e.status = 'active' AND m.send_at > :now"""),
                {"now": to_micros(self.now)},
            ).scalar()
        found.append(None if sending is None else from_micros(sending))
        return min((instant for instant in found if instant is not None and instant > self.now), default=None)

    # Mails

    def send(self) -> list[int]:
        """Claims what is due and may leave, and settles it; the result are the ids of what was settled."""

        def claim(connection: Connection) -> list[int]:
            due = connection.execute(text(_DUE), {"now": to_micros(self.now)}).all()
            lock_leads(connection, [row.lead_id for row in due])
            outcomes = [outcome for row in due if (outcome := self._outcome(row)) is not None]
            sending = [outcome.message_id for outcome in outcomes if outcome.status == "sent"]
            connection.execute(
                text("UPDATE message SET status = 'sending', attempt_at = :now WHERE id = :id"),
                [{"now": to_micros(self.now), "id": each} for each in sending] or [{"now": 0, "id": 0}],
            )
            settle_messages(connection, outcomes, self.now)
            return [outcome.message_id for outcome in outcomes]

        return self.database.run(claim)

    def _outcome(self, row: Any) -> Settled | None:  # noqa: ANN401 - a row
        """What becomes of a due mail: the checks of a claim. None while a look or a wave comes first."""
        now = to_micros(self.now)
        if row.e_status == "paused" or any(at is not None and at <= now for at in (row.due_at, row.look_at)):
            return None
        checks: Sequence[tuple[bool, Why]] = (
            (row.e_status != "active", "cancelled"),
            (row.track != row.lead_track, "cancelled"),
            (row.is_suppressed, "refused"),
            (row.needs_consent and not row.has_consent, "refused"),
            (row.session is not None and row.starts_at is None, "cancelled"),
            (row.kind in {"webinar", "event"} and row.starts_at is not None and row.starts_at <= now, "late"),
            (row.late_at is not None and row.late_at < now and row.late != "next window", "late"),
        )
        for holds, why in checks:
            if holds:
                return Settled(row.id, "cancelled", why, why)
        return Settled(row.id, "sent")

    def settle_mail(self, message_id: int, status: MessageStatus, why: Why | None = None) -> int:
        """An outcome of one mail, as a provider tells it."""
        outcome = Settled(message_id, status, why)
        return self.database.run(lambda connection: settle_messages(connection, [outcome], self.now))

    # What came of it

    def rows(self, statement: str, **values: str | int) -> list[dict[str, Any]]:
        """The rows of a query; it may use `:now`."""
        if ":now" in statement:
            values["now"] = to_micros(self.now)
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(text(statement), values).mappings()]

    def enrollment(self, lead: int, program: str | None = None) -> dict[str, Any]:
        """The newest enrollment of a lead."""
        found = self.rows("SELECT * FROM enrollment WHERE lead_id = :lead ORDER BY id DESC", lead=lead)
        return next(row for row in found if program in {None, row["program"]})

    def messages(self, lead: int) -> list[dict[str, Any]]:
        """The mails of a lead in the order of planning."""
        return self.rows("SELECT * FROM message WHERE lead_id = :lead ORDER BY id", lead=lead)

    def mail(self, lead: int, step: str) -> int:
        """The id of the mail that a step last sent to a lead."""
        return max(int(row["id"]) for row in self.messages(lead) if row["step"] == step)

    def handoff(self, lead: int) -> int:
        """The id of a lead's newest handoff."""
        return int(self.rows("SELECT max(id) AS id FROM handoff WHERE lead_id = :lead", lead=lead)[0]["id"])

    def journey(self, lead: int) -> list[str]:
        """The lead's moves in their order: `invite → seat: on registered`."""
        moves = self.rows("SELECT * FROM transition WHERE lead_id = :lead ORDER BY id", lead=lead)
        return [
            f"{move['from_step'] or 'in'} → {move['to_step'] or move['status']}: {move['rule']}"
            for move in moves
        ]

    def dump(self) -> str:
        """All that the engine wrote, to compare two ways to the same end; without ids, which differ."""
        tables = {
            "enrollment": "lead_id, program, status, step, visit, acted, trouble, deadline_at, ended_at",
            "message": "lead_id, step, visit, content, session, status, planned_at, send_at, wait_until",
            "reaction": "lead_id, kind, content, session, argument, at",
            "standing": "lead_id, content, session, kind",
            "point": "lead_id, rule, subject, points, begins_at, ends_at",
            "suppression": "email_key, reason",
            "handoff": "lead_id, status, reason",
            "lead": "id, track, stage, fit, engagement, score",
        }
        found = {}
        for name, columns in tables.items():
            rows = self.rows(f"SELECT {columns} FROM {name}")  # noqa: S608 - our own words
            found[name] = sorted(str(tuple(row.values())) for row in rows)
        return json.dumps(found, indent=1)


_DUE: Final = """
    SELECT m.id, m.lead_id, m.track, m.session, m.needs_consent, m.late, m.late_at, c.kind, n.starts_at,
           e.status AS e_status, e.due_at, l.look_at, l.track AS lead_track,
           EXISTS (SELECT 1 FROM suppression s WHERE s.email_key = l.email_key) AS is_suppressed,
           EXISTS (SELECT 1 FROM consent k WHERE k.lead_id = l.id AND k.withdrawn_at IS NULL) AS has_consent
      FROM message m JOIN enrollment e ON e.id = m.enrollment_id JOIN lead l ON l.id = m.lead_id
      JOIN content c ON c.name = m.content
      LEFT JOIN content_session n ON n.content = m.session_content AND n.name = m.session
     WHERE m.status = 'planned' AND m.send_at <= :now ORDER BY m.id"""
