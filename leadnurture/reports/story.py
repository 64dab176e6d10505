"""The told story of a lead: every row as an entry with its moment, its words and its reason, in order."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, select

from leadnurture.domain.clicks import TAKEN_BACK
from leadnurture.domain.company import Company
from leadnurture.profile.telling import agreement_told, date_told, local, moment_told, told
from leadnurture.reports.ways import MOVED_ON, mail_trouble, rule_told
from leadnurture.store.instants import from_micros
from leadnurture.store.tables import metadata

ENROLLMENT: Final = metadata.tables["enrollment"]
TRANSITION: Final = metadata.tables["transition"]
MESSAGE: Final = metadata.tables["message"]
REACTION: Final = metadata.tables["reaction"]
CLICK: Final = metadata.tables["click"]
REVISION: Final = metadata.tables["click_revision"]
POINT: Final = metadata.tables["point"]
INTEREST: Final = metadata.tables["interest"]
STAGE_CHANGE: Final = metadata.tables["stage_change"]
HANDOFF: Final = metadata.tables["handoff"]
CONSENT: Final = metadata.tables["consent"]
DEAL: Final = metadata.tables["deal"]
TASK: Final = metadata.tables["task"]
NOTICE: Final = metadata.tables["notice"]
NOTE: Final = metadata.tables["lead_note"]
MERGE: Final = metadata.tables["lead_merge"]
AUDIT: Final = metadata.tables["audit"]

EntryKind = Literal[
    "came",
    "consent",
    "reaction",
    "click",
    "points",
    "stage",
    "handoff",
    "moved",
    "mail",
    "task",
    "deal",
    "preferences",
    "note",
]
Place = EntryKind | Literal["answered", "decided", "not sent", "followed"]
# What happened at one instant is told in the order of cause and effect.
ORDER: Final[tuple[Place, ...]] = (
    "came", "consent", "preferences", "answered", "reaction", "click", "points", "deal", "decided",
    "not sent", "moved", "stage", "handoff", "followed", "mail", "task", "note",
)  # fmt: skip
# A move under one of these rules follows from a handoff; every other one may bring one about.
OF_A_HANDOFF: Final = ("handed off", "accepted by", "returned by")
CHOSE: Final = "chose preferences"
# The provider's answers are told under their mail.
OF_THE_MAIL: Final = frozenset({"delivered", "opened"})
NOT_GONE: Final = frozenset({"failed", "cancelled"})
MAIL_STATUS: Final = {
    "unknown": "Whether it was accepted is not known yet.",
    "deferred": "The receiving server deferred it.",
    "delivered": "Delivered.",
    "bounced": "It bounced.",
    "complained": "It was reported as spam.",
}
TOLD: Final = {"tell": "", "reply": "a reply waits to be sorted"}
"""Notices that are part of the story, and what they say when they have no words of their own."""
SWITCHES: Final = frozenset({"became a client", "is no client any more"})
"""Changes of the track, in which the stages begin anew."""
BY: Final = re.compile(r"^(accepted|returned) by ([\w.-]+)")
CLOSED: Final = {"done": "Done", "refused": "Could not be done", "withdrawn": "No longer wanted"}
"""What became of a task."""
ENDED: Final = {
    "completed": "Completed",
    "reached": "Reached the goal of",
    "exited": "Left",
    "undeliverable": "Mail no longer arrives: left",
    "moved": "Went on to another program from",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    at: datetime
    kind: EntryKind
    text: str
    why: str = ""
    program: str | None = None
    step: str | None = None
    content: str | None = None
    message_id: int | None = None
    handoff_id: int | None = None
    click_id: int | None = None
    """A click of which a person may say who made it."""
    judgement: str | None = None
    """What is said of it now."""
    place: Place | None = None
    """Where it stands among what happened at the same instant, if not where its kind does."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the words of a story need to know."""

    company: Company
    titles: Mapping[str, str]
    """Of programs and contents, by their names."""
    zone: str
    now: datetime

    def title(self, name: str | None) -> str:
        """The title of a program or content."""
        return self.titles.get(name or "", name or "")

    def person(self, person_id: str | None) -> str:
        """The name of one of our people; a system's name stays what it is."""
        return next(
            (each.name for each in self.company.people if each.id == person_id), person_id or "somebody"
        )

    def moment(self, instant: datetime) -> str:
        """An instant on the clock of the lead."""
        return moment_told(instant, self.zone, self.now)

    def date(self, instant: datetime) -> str:
        """A date on the calendar of the lead."""
        return date_told(local(instant, self.zone).date(), local(self.now, self.zone).date())


def story(connection: Connection, lead: Row[Any], setting: Setting) -> tuple[Entry, ...]:
    """Everything so far, oldest first. Sixteen statements."""
    notes = _of(connection, NOTE, lead.id)
    clicks = _of(connection, CLICK, lead.id)
    reactions = _of(connection, REACTION, lead.id)
    points, interests = _of(connection, POINT, lead.id), _of(connection, INTEREST, lead.id)
    entries: list[Entry] = [
        Entry(lead.created_at, "came", "Came to us", f"source: {lead.source}" if lead.source else "")
    ]
    entries += _consents(_of(connection, CONSENT, lead.id))
    said = {row.reaction_id: row for row in notes if row.reaction_id is not None}
    entries += _reactions(reactions, clicks, points, interests, setting, said)
    entries += [_note(row, setting) for row in notes if row.reaction_id is None]
    entries += _merges(connection, lead.id, setting)
    entries += _clicks(clicks, setting)
    entries += _revisions(_of(connection, REVISION, lead.id), clicks, setting)
    entries += _points(points, setting)
    entries += _mails(_of(connection, MESSAGE, lead.id), reactions, setting)
    entries += _stages(_of(connection, STAGE_CHANGE, lead.id), setting)
    entries += _handoffs(_of(connection, HANDOFF, lead.id), setting)
    entries += _moves(connection, lead.id, setting)
    entries += _tasks(_of(connection, TASK, lead.id), setting)
    entries += _tells(_of(connection, NOTICE, lead.id), setting)
    entries += [_deal(row) for row in _of(connection, DEAL, lead.id)]
    entries += _choices(connection, lead.id)
    return tuple(sorted(entries, key=lambda entry: (entry.at, ORDER.index(entry.place or entry.kind))))


def _of(connection: Connection, table: Any, lead_id: int) -> Sequence[Row[Any]]:  # noqa: ANN401 - any table about leads
    order = table.c.id if "id" in table.c else table.c.given_at
    return connection.execute(select(table).where(table.c.lead_id == lead_id).order_by(order)).all()


def _consents(rows: Iterable[Row[Any]]) -> Iterator[Entry]:
    for row in rows:
        yield Entry(row.given_at, "consent", f"Consented to {row.purpose}", row.source)
        if row.withdrawn_at:
            yield Entry(row.withdrawn_at, "consent", f"Withdrew the consent to {row.purpose}")


def _choices(connection: Connection, lead_id: int) -> Iterator[Entry]:
    """What the lead chose on the page of his preferences."""
    chose = AUDIT.c.subject == f"lead {lead_id}", AUDIT.c.act == CHOSE
    for row in connection.execute(select(AUDIT).where(*chose).order_by(AUDIT.c.id)):
        yield Entry(row.at, "preferences", f"Chose what to get: {row.detail}")


def _reactions(
    rows: Iterable[Row[Any]],
    clicks: Iterable[Row[Any]],
    points: Iterable[Row[Any]],
    interests: Iterable[Row[Any]],
    setting: Setting,
    notes: Mapping[int, Row[Any]],
) -> Iterator[Entry]:
    click_of = {click.reaction_id: click for click in clicks}
    earned: dict[int, list[str]] = defaultdict(list)
    for row in points:
        earned[row.reaction_id].append(_earned(row, setting))
    for row in interests:
        earned[row.reaction_id].append(f"makes {row.topic} an interest")
    for row in rows:
        if row.kind in OF_THE_MAIL:
            continue
        about = setting.title(row.content) if row.content else None
        text = told(row.kind, about, row.argument) + (f", session {row.session}" if row.session else "")
        click = click_of.get(row.id)
        why = [*earned[row.id], *_told_by(row, setting), *([] if click is None else [_judged(click)])]
        if row.id in notes:
            why.append(_said(notes[row.id], setting))
        yield Entry(
            row.recorded_at,
            "click" if row.counts_at is None else "reaction",
            text,
            "; ".join(why),
            content=row.content,
            message_id=row.message_id,
            click_id=None if click is None else click.id,
            judgement=None if click is None else click.judgement,
        )


def _said(note: Row[Any], setting: Setting) -> str:
    """To whom he gave an answer, and in which words."""
    words = f": “{note.text}”" if note.text else ""
    return f"told to {setting.person(note.by)} {note.channel}{words}"


def _note(row: Row[Any], setting: Setting) -> Entry:
    return Entry(row.at, "note", f"{setting.person(row.by)} noted", row.text)


def _merges(connection: Connection, lead_id: int, setting: Setting) -> Iterator[Entry]:
    """That two became one, with the consents of the other that gave way to his own."""
    question = select(MERGE).where(MERGE.c.kept_id == lead_id).order_by(MERGE.c.id)
    for row in connection.execute(question):
        gone = _gone(row.body, row.gone_id)
        who = ", ".join([f"lead {row.gone_id}", *(his["email"] for his in gone.get("lead", ()))])
        yield Entry(row.at, "note", f"{setting.person(row.by)} made one with {who}", f"Merge {row.id}.")
        if row.undone_at:
            yield Entry(row.undone_at, "note", f"{setting.person(row.undone_by)} undid merge {row.id}", who)
            continue
        for lost in gone.get("consent", ()):
            about, so = f"to {lost['purpose']}", f"as {who}"
            given, withdrawn = from_micros(lost["given_at"]), lost["withdrawn_at"]
            yield Entry(given, "consent", f"Consented {about}", f"{lost['source']}, {so}".removeprefix(", "))
            if withdrawn:
                yield Entry(from_micros(withdrawn), "consent", f"Withdrew the consent {about}", so)


def _gone(body: str, lead_id: int) -> Mapping[str, list[Mapping[str, Any]]]:
    """The rows of the other for which there was no place beside those of the one who was kept, by table."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for change in json.loads(body)["changes"]:
        if change["is"] is None and lead_id in {change["was"].get("lead_id"), change["was"].get("id")}:
            found[change["table"]].append(change["was"])
    return found


def _told_by(row: Row[Any], setting: Setting) -> Iterator[str]:
    if abs((row.recorded_at - row.at).total_seconds()) >= 60:  # noqa: PLR2004 - a minute
        yield f"happened {setting.moment(row.at)}"


JUDGED: Final = {"person": "a person’s", "machine": "a machine’s", "undecided": "undecided"}


def _judged(click: Row[Any]) -> str:
    """What is said of a click, and why; with its number, by which a person may say otherwise."""
    told = f"click {click.id} judged {JUDGED[click.judgement]}"
    return told if click.judgement == "person" and click.judged_by is None else f"{told}: {click.reason}"


def _clicks(rows: Iterable[Row[Any]], setting: Setting) -> Iterator[Entry]:
    """Those that are no reactions: told together where a machine followed many links at a time."""
    groups: dict[tuple[object, ...], list[Row[Any]]] = defaultdict(list)
    for row in rows:
        if row.reaction_id is None:
            minute = row.recorded_at.replace(second=0, microsecond=0)
            groups[row.message_id, row.content, row.judgement, row.reason, minute].append(row)
    for group in groups.values():
        yield _click(group, setting)


def _click(group: Sequence[Row[Any]], setting: Setting) -> Entry:
    first = group[0]
    about = setting.title(first.content) if first.content else "a mail"
    links = len({row.link for row in group})
    machine = f"A machine followed {links} links of {about}" if links > 1 else f"A machine clicked {about}"
    text = machine if first.judgement == "machine" else told("clicked", about)
    if first.judged_at is None:
        why = f"rests until {setting.moment(first.judge_at)}, in case a machine clicked"
    else:
        why = f"counts for nothing; {_judged(first)}"
    return Entry(
        first.recorded_at,
        "click",
        text,
        why,
        content=first.content,
        message_id=first.message_id,
        click_id=first.id,
        judgement=first.judgement,
    )


def _revisions(rows: Iterable[Row[Any]], clicks: Iterable[Row[Any]], setting: Setting) -> Iterator[Entry]:
    known = {click.id: click for click in clicks}
    for row in rows:
        click = known[row.click_id]
        about = f" on {setting.title(click.content)}" if click.content else ""
        by = f"{_begun(setting.person(row.by))} judged" if row.by else "Judged"
        text = f"{by} {JUDGED[row.judgement]}: the click of {setting.moment(click.recorded_at)}{about}"
        taken = f"; {row.points} engagement taken back" if row.points else ""
        yield Entry(
            row.at, "click", text, f"{row.reason}; before: {JUDGED[row.was]}{taken}", content=click.content
        )


def _begun(words: str) -> str:
    return words[:1].upper() + words[1:]


def _earned(row: Row[Any], setting: Setting) -> str:
    until = f", until {setting.date(row.ends_at)}" if row.ends_at else ""
    return f"{row.points:+} engagement{until}"


def _points(rows: Iterable[Row[Any]], setting: Setting) -> Iterator[Entry]:
    """Only those that no reaction explains."""
    for row in rows:
        if row.reaction_id is None:
            yield Entry(
                row.begins_at, "points", f"{row.points:+} engagement for {row.rule}", _earned(row, setting)
            )


def _mails(rows: Iterable[Row[Any]], reactions: Iterable[Row[Any]], setting: Setting) -> Iterator[Entry]:
    opened = {row.message_id: row.recorded_at for row in reactions if row.kind == "opened"}
    for row in rows:
        if row.status == "planned":
            continue
        title = setting.title(row.content)
        variant = f", variant {row.variant}" if row.variant else ""
        gone = row.status not in NOT_GONE
        at = row.sent_at or row.attempt_at or row.settled_at or row.planned_at
        if not gone:
            at = row.settled_at or at
        yield Entry(
            at=at,
            kind="mail",
            text=f"{'Sent' if gone else 'Not sent:'} {title}{variant}",
            why=" ".join(_mail_reasons(row, opened.get(row.id), setting)),
            program=row.program or None,
            step=row.step or None,
            content=row.session_content if row.occasion else row.content,
            message_id=row.id,
            place=None if gone or row.trouble == MOVED_ON else "not sent",
        )


def _mail_reasons(row: Row[Any], opened: datetime | None, setting: Setting) -> Iterator[str]:
    if row.occasion is None:
        yield f"Step {row.step} of {row.program}."
    else:
        yield f"For the seat in {setting.title(row.session_content)}, session {row.session}."
    if row.status in MAIL_STATUS:
        yield MAIL_STATUS[row.status]
    if opened is not None:
        yield f"Opened {setting.moment(opened)}."
    if row.send_at != row.planned_at:
        yield f"Planned for {setting.moment(row.planned_at)}, moved by working hours, pace or a hold."
    if row.trouble:
        yield mail_trouble(row.trouble)


def _stages(rows: Iterable[Row[Any]], setting: Setting) -> Iterator[Entry]:
    for row in rows:
        agreement = f"Agreement of {agreement_told(row.agreement)}." if row.agreement else ""
        saw = f" ({row.saw})" if row.saw else ""
        words = f"{row.from_stage} → {row.to_stage}".replace("_", " ")
        why = f"{_with_names(row.rule, setting)}{saw}"
        if row.rule in SWITCHES:
            again = "The stages begin anew" if row.from_stage == row.to_stage else words
            words, why = _begun(row.rule), again
        yield Entry(row.at, "stage", words, f"{why}. {agreement}".strip())


def _with_names(rule: str, setting: Setting) -> str:
    """`returned by lena: no budget` with her whole name."""
    return BY.sub(lambda found: f"{found[1]} by {setting.person(found[2])}", rule)


def _handoffs(rows: Iterable[Row[Any]], setting: Setting) -> Iterator[Entry]:
    for row in rows:
        to = setting.person(row.assigned_to) if row.assigned_to else "sales"
        why = f"{row.reason}. Score {row.score}: fit {row.fit}, engagement {row.engagement}."
        yield Entry(row.opened_at, "handoff", f"Offered to {to}", why, handoff_id=row.id)
        if row.decided_at:
            told, note = _decision(row, setting), row.note or ""
            yield Entry(row.decided_at, "handoff", told, note, handoff_id=row.id, place="decided")


def _tasks(rows: Iterable[Row[Any]], setting: Setting) -> Iterator[Entry]:
    for row in rows:
        for_what = f"Step {row.step} of {row.program}." if row.program else "A stage needs it."
        to = setting.person(row.person) if row.person else "one of us"
        yield Entry(row.opened_at, "task", f"A task for {to}: {row.text}", for_what, row.program, row.step)
        if row.closed_at is None:
            continue
        by = f" by {setting.person(row.closed_by)}" if row.closed_by else ""
        text = f"{CLOSED.get(row.status, row.status)}{by}: {row.text}"
        yield Entry(row.closed_at, "task", text, row.note or "", place="answered")


def _tells(rows: Iterable[Row[Any]], setting: Setting) -> Iterator[Entry]:
    for row in rows:
        if row.kind in TOLD and row.sent_at is not None:
            what = row.text or TOLD[row.kind]
            yield Entry(row.sent_at, "task", f"Told {setting.person(row.person)}: {what}")


def _decision(row: Row[Any], setting: Setting) -> str:
    by = f" by {setting.person(row.decided_by)}" if row.decided_by else ""
    reason = f": {row.return_reason}" if row.return_reason else ""
    return f"{row.status.capitalize()}{by}{reason}"


def _moves(connection: Connection, lead_id: int, setting: Setting) -> Iterator[Entry]:
    question = (
        select(TRANSITION, ENROLLMENT.c.program)
        .join(ENROLLMENT, ENROLLMENT.c.id == TRANSITION.c.enrollment_id)
        .where(TRANSITION.c.lead_id == lead_id)
        .order_by(TRANSITION.c.id)
    )
    followed_at: datetime | None = None
    for row in connection.execute(question):
        saw = f" ({row.saw})" if row.saw else ""
        step = row.to_step or row.from_step
        why = f"{_with_names(rule_told(row.rule), setting)}{saw}"
        if row.status == "reached" or row.rule.startswith(OF_A_HANDOFF):
            followed_at = row.at  # and so does all that moved after it
        place: Place | None = "followed" if row.at == followed_at else None
        yield Entry(row.at, "moved", _move(row, setting), why, program=row.program, step=step, place=place)


def _move(row: Row[Any], setting: Setting) -> str:
    title = setting.title(row.program)
    if row.from_step is None:
        return f"Entered {title}, at {row.to_step}"
    if row.to_step is None:
        return f"{ENDED.get(row.status, 'Left')} {title}, at {row.from_step}"
    if row.rule == TAKEN_BACK:
        return f"Went back from {row.from_step} to {row.to_step} of {title}"
    if row.from_step == row.to_step:
        return f"{'Paused' if row.status == 'paused' else 'Went on'} at {row.to_step} of {title}"
    again = f", for the {_ordinal(row.visit)} time" if row.visit > 1 else ""
    return f"Moved from {row.from_step} to {row.to_step}{again}"


def _ordinal(number: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number % 100 in {11, 12, 13} else endings.get(number % 10, 'th')}"


def _deal(row: Row[Any]) -> Entry:
    worth = f", worth {row.value:,.0f}" if row.value is not None else ""
    return Entry(row.at, "deal", f"Deal {row.status}{worth}")
