"""Every table of the product. Rows are facts: no behaviour, no relationship navigation; joins are written
where they happen.

The schema itself comes from the migrations; a test compares both. Instants are UTC microseconds (`instants.py`),
dates are day numbers. Time and values are arguments: a server default has only what whoever inserts a lead
need not know of.
This module must not use `from __future__ import annotations`: SQLModel reads the annotations.
It is over 500 lines because it is one list that is read as one.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlmodel import Field, SQLModel

from leadnurture.domain.vocabulary import ENGAGED_STAGES
from leadnurture.store.instants import Instant, MachineInstant

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING)
# Ids stand in tokens and in history: SQLite must not hand out the id of a deleted row again.
KEPT_IDS: Final = {"sqlite_autoincrement": True}
ID: Final = BigInteger().with_variant(Integer, "sqlite")


class Row(SQLModel):
    """What all tables share: one metadata with named constraints."""

    metadata: ClassVar[MetaData] = metadata
    if TYPE_CHECKING:  # SQLAlchemy sets it, SQLModel does not say so
        __table__: ClassVar[Table]


def instant(*, nullable: bool = True) -> Any:  # noqa: ANN401 - what SQLModel's Field returns
    """A column of product time."""
    return Field(default=None, sa_type=Instant, nullable=nullable)


def machine_instant(*, nullable: bool = True) -> Any:  # noqa: ANN401 - what SQLModel's Field returns
    """A column of machine time."""
    return Field(default=None, sa_type=MachineInstant, nullable=nullable)


def row_id() -> Any:  # noqa: ANN401 - what SQLModel's Field returns
    """A generated primary key."""
    return Field(default=None, sa_column=Column("id", ID, primary_key=True, autoincrement=True))


def reference(target: str, *, nullable: bool = False, index: bool = False) -> Any:  # noqa: ANN401 - what SQLModel's Field returns
    """A foreign key to another table's id."""
    return Field(default=None, sa_column=Column(ID, ForeignKey(target), nullable=nullable, index=index))


def part_of_key(target: str) -> Any:  # noqa: ANN401 - what SQLModel's Field returns
    """A foreign key that is the primary key, or the first part of it."""
    return Field(default=None, sa_column=Column(ID, ForeignKey(target), primary_key=True))


BYTEWISE: Final = String().with_variant(String(collation="C"), "postgresql")
"""Text of which a beginning is looked for: by its bytes, whatever the language of the server."""


def long_text(*, nullable: bool = False) -> Any:  # noqa: ANN401 - what SQLModel's Field returns
    """Text without a length: sources, JSON, notes."""
    return Field(default=None if nullable else "", sa_type=Text, nullable=nullable)


# --- who ---------------------------------------------------------------------------------------------------


class Account(Row, table=True):
    """The company a lead belongs to."""

    __tablename__ = "account"
    __table_args__ = (KEPT_IDS,)
    id: int | None = row_id()
    name: str
    name_key: str = Field(unique=True)
    """Case-folded name without legal form; accounts match by domain, then by this."""
    domain: str | None = Field(default=None, unique=True)
    owner: str | None = None
    """The id of a person of the company (an account manager)."""
    created_at: datetime = instant(nullable=False)


class AccountFact(Row, table=True):
    """One fact of an account. Numbers, flags (0/1) and dates (day numbers) lie in `number`."""

    __tablename__ = "account_fact"
    account_id: int = part_of_key("account.id")
    name: str = Field(primary_key=True)
    text: str | None = None
    number: float | None = None


class Product(Row, table=True):
    """A product that an account owns."""

    __tablename__ = "product"
    account_id: int = part_of_key("account.id")
    name: str = Field(primary_key=True)


_ENGAGED: Final = ", ".join(f"'{stage}'" for stage in ENGAGED_STAGES)
UNTOLD: Final = f"account_id IS NOT NULL AND told_engaged <> (stage IN ({_ENGAGED}))"
"""Leads who became engaged, or are not any more, and whose colleagues were not told yet."""


class Lead(Row, table=True):
    """A person we nurture. The row is the lock of everything about him: whoever writes about leads locks them
    first, by id.
    """

    __tablename__ = "lead"
    __table_args__ = (
        Index(
            "ix_lead_look",
            "track",
            "look_at",
            sqlite_where=text("look_at IS NOT NULL"),
            postgresql_where=text("look_at IS NOT NULL"),
        ),
        Index("ix_lead_untold", "stage_since", sqlite_where=text(UNTOLD), postgresql_where=text(UNTOLD)),
        Index("ix_lead_list", "track", "stage", "score", "id"),
        Index("ix_lead_account_id", "account_id", "id"),
        {**KEPT_IDS, "postgresql_with": {"fillfactor": 85}},
    )
    id: int | None = row_id()
    email: str
    """As it is mailed."""
    email_key: str = Field(unique=True)
    """Case-folded, for matching."""
    first_name: str = ""
    last_name: str = ""
    account_id: int | None = reference("account.id", nullable=True)
    track: str
    stage: str
    stage_since: datetime = instant(nullable=False)
    country: str = ""
    language: str = ""
    role: str = ""
    source: str = ""
    zone: str
    """Always a valid zone: the given one, else the company's."""
    zone_given: str = ""
    luck: int
    """Uniform below 2³¹, drawn once; splits derive from it."""
    fit: int = 0
    engagement: int = 0
    score: int = 0
    """The three are as of the last look; whoever reads them skips leads whose look is due."""
    track_reaction_id: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    """His newest reaction when he came to this track: points of the track count from the next one on."""
    told_engaged: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Whether his colleagues were told that he is engaged; asked only where a condition counts them."""
    hold_until: datetime | None = instant()
    look_at: datetime | None = instant()
    crm_id: str | None = Field(default=None, unique=True)
    created_at: datetime = instant(nullable=False)


class LeadKey(Row, table=True):
    """By what else a lead is known: further addresses, ids on platforms and in the CRM, the number it had before it
    became one with this one. What stands in the lead's own row is not repeated.
    """

    __tablename__ = "lead_key"
    system: str = Field(primary_key=True)
    """email, crm, lead (a former number), else the name of a platform."""
    key: str = Field(primary_key=True)
    lead_id: int = reference("lead.id", index=True)


class LeadMerge(Row, table=True):
    """That two leads became one, and all that has to be put back to make them two again."""

    __tablename__ = "lead_merge"
    __table_args__ = (Index("ix_lead_merge_kept", "kept_id"), KEPT_IDS)
    id: int | None = row_id()
    kept_id: int = Field(sa_type=BigInteger)
    gone_id: int = Field(sa_type=BigInteger)
    """No foreign keys: the one has no row any more, and the other may become one with a third."""
    at: datetime = instant(nullable=False)
    by: str
    body: str = long_text()
    """JSON: the rows that differ, as they were and as they became."""
    undone_at: datetime | None = instant()
    undone_by: str | None = None


class LeadWord(Row, table=True):
    """A word by which a lead is found: of his names and addresses, also of former ones."""

    __tablename__ = "lead_word"
    __table_args__ = (Index("ix_lead_word", "word", "lead_id"), {"sqlite_with_rowid": False})
    lead_id: int = part_of_key("lead.id")
    word: str = Field(sa_column=Column("word", BYTEWISE, primary_key=True))


class AccountWord(Row, table=True):
    """A word by which the people of an account are found."""

    __tablename__ = "account_word"
    __table_args__ = (Index("ix_account_word", "word", "account_id"), {"sqlite_with_rowid": False})
    account_id: int = part_of_key("account.id")
    word: str = Field(sa_column=Column("word", BYTEWISE, primary_key=True))


class LeadFact(Row, table=True):
    """One declared fact of a lead; see `AccountFact`."""

    __tablename__ = "lead_fact"
    lead_id: int = part_of_key("lead.id")
    name: str = Field(primary_key=True)
    text: str | None = None
    number: float | None = None


class LeadTag(Row, table=True):
    """A tag of a lead."""

    __tablename__ = "lead_tag"
    lead_id: int = part_of_key("lead.id")
    tag: str = Field(primary_key=True)


class Interest(Row, table=True):
    """A topic that a reaction (or an import) showed interest in; lives as long as engagement points do."""

    __tablename__ = "interest"
    __table_args__ = (UniqueConstraint("lead_id", "topic", "subject"),)
    id: int | None = row_id()
    lead_id: int = reference("lead.id")
    topic: str
    subject: str
    """The content that showed it, or the source of an import."""
    reaction_id: int | None = reference("reaction.id", nullable=True)
    begins_at: datetime = instant(nullable=False)
    ends_at: datetime | None = instant()


class Consent(Row, table=True):
    """That a lead may be mailed for a purpose, with its proof; a withdrawn one keeps its row."""

    __tablename__ = "consent"
    lead_id: int = part_of_key("lead.id")
    purpose: str = Field(primary_key=True)
    given_at: datetime = instant(nullable=False)
    withdrawn_at: datetime | None = instant()
    source: str = ""
    wording: str = long_text()


class Suppression(Row, table=True):
    """Never mail this address."""

    __tablename__ = "suppression"
    email_key: str = Field(primary_key=True)
    reason: str
    """unsubscribed, bounced, complained, imported."""
    at: datetime = instant(nullable=False)


class Preference(Row, table=True):
    """What a lead has chosen on the page of his preferences; without a row he has chosen nothing."""

    __tablename__ = "preference"
    lead_id: int = part_of_key("lead.id")
    mails: int | None = None
    """The most in any thirty days; None leaves it to the agreement."""
    paused_until: datetime | None = instant()
    chosen_at: datetime = instant(nullable=False)


class UnwantedTopic(Row, table=True):
    """A topic about which a lead wants no mail."""

    __tablename__ = "unwanted_topic"
    lead_id: int = part_of_key("lead.id")
    topic: str = Field(primary_key=True)


# --- what apply stored -------------------------------------------------------------------------------------


class ProjectVersion(Row, table=True):
    """All definitions as of one `apply`, as JSON. The engine reads the newest, never YAML."""

    __tablename__ = "project_version"
    id: int | None = row_id()
    body: str = long_text()
    applied_at: datetime = instant(nullable=False)


class Program(Row, table=True):
    """A program and its wave lease: one wave per program at a time, whoever runs it."""

    __tablename__ = "program"
    name: str = Field(primary_key=True)
    track: str
    title: str = ""
    priority: int = 0
    is_live: bool = True
    """False once its file is gone."""
    wave: int = 0
    """Number of the last wave."""
    lease_owner: str | None = None
    lease_until: datetime | None = machine_instant()


class ProgramVersion(Row, table=True):
    """One applied version of a program, with its source; enrollments are pinned to one."""

    __tablename__ = "program_version"
    __table_args__ = (UniqueConstraint("program", "number"),)
    id: int | None = row_id()
    program: str = Field(sa_column=Column(String, ForeignKey("program.name"), nullable=False))
    number: int
    source: str = long_text()
    body: str = long_text()
    """The parsed program as JSON."""
    is_current: bool
    applied_at: datetime = instant(nullable=False)


class ProgramStep(Row, table=True):
    """The steps of every version that is current or holds leads, in the order of the file; the clock probes
    due work by them.
    """

    __tablename__ = "program_step"
    version_id: int = part_of_key("program_version.id")
    name: str = Field(primary_key=True)
    program: str = Field(index=True)
    position: int


class Content(Row, table=True):
    """A thing worth sending, live."""

    __tablename__ = "content"
    name: str = Field(primary_key=True)
    kind: str
    title: str
    link: str | None = None
    seats: int | None = None
    published_day: int
    """As written, else the day it was first applied."""
    until_at: datetime | None = instant()
    is_live: bool = True


class ContentTopic(Row, table=True):
    """A topic of a content."""

    __tablename__ = "content_topic"
    content: str = Field(sa_column=Column(String, ForeignKey("content.name"), primary_key=True))
    topic: str = Field(primary_key=True)


class ContentTrack(Row, table=True):
    """A template of a content: for which track, in which locale; `hash` names what it is compiled to."""

    __tablename__ = "content_track"
    content: str = Field(sa_column=Column(String, ForeignKey("content.name"), primary_key=True))
    track: str = Field(primary_key=True)
    locale: str = Field(default="", primary_key=True)
    """Empty for the company's first, which serves whoever reads none of the others."""
    hash: str


class ContentSession(Row, table=True):
    """One date of a webinar or event."""

    __tablename__ = "content_session"
    content: str = Field(sa_column=Column(String, ForeignKey("content.name"), primary_key=True))
    name: str = Field(primary_key=True)
    starts_at: datetime | None = instant()
    """None when cancelled."""
    before_at: datetime | None = instant()
    """Its date before the last change; none before the first."""
    sequence: int = 0
    """Counts its changes, for calendar invites."""
    closed_at: datetime | None = instant()
    """When its attendance list was closed."""


class Source(Row, table=True):
    """A compiled template by the hash of its text: what was sent can be shown again exactly."""

    __tablename__ = "source"
    hash: str = Field(primary_key=True)
    path: str
    subject: str = long_text()
    html: str = long_text()
    text: str = long_text()


class CalendarDay(Row, table=True):
    """One local day of one zone: when it begins, when work opens and closes, and its number among the
    business days.

    The local minute m of the day is the instant `begins_at + m minutes`, less `shift` from the minute `shift_from` on:
    a day on which the clock is changed has a shift of an hour, all others of nothing.
    """

    __tablename__ = "calendar_day"
    __table_args__ = (
        Index("ix_calendar_day_begins", "zone", "begins_at"),
        Index(
            "ix_calendar_day_closes",
            "zone",
            "closes_at",
            sqlite_where=text("closes_at IS NOT NULL"),
            postgresql_where=text("closes_at IS NOT NULL"),
        ),
        Index("ix_calendar_day_business", "zone", "business_number", "day"),
    )
    zone: str = Field(primary_key=True)
    day: int = Field(primary_key=True)
    begins_at: datetime = instant(nullable=False)
    ends_at: datetime = instant(nullable=False)
    opens_at: datetime | None = instant()
    """Working hours; null on weekends and holidays."""
    closes_at: datetime | None = instant()
    weekday: int
    """0 is Monday."""
    business_number: int
    """How many business days there are up to and with this day."""
    shift_from: int = 0
    """Minute of the local day."""
    shift: int = Field(default=0, sa_type=BigInteger)
    """Microseconds."""


# --- where leads stand -------------------------------------------------------------------------------------


class Enrollment(Row, table=True):
    """One lead in one program version. `due_at` is its next look, `deadline_at` the end of its wait."""

    __tablename__ = "enrollment"
    __table_args__ = (
        Index("uq_enrollment_live", "program", "lead_id", unique=True,
              sqlite_where=text("status IN ('active','paused')"), postgresql_where=text("status IN ('active','paused')")),
        Index("ix_enrollment_due", "program", "step", "due_at",
              sqlite_where=text("status = 'active'"), postgresql_where=text("status = 'active'")),
        Index("ix_enrollment_lead", "lead_id", "program"),
        {"postgresql_with": {"fillfactor": 85}},
    )  # fmt: skip
    id: int | None = row_id()
    lead_id: int = reference("lead.id")
    program: str = Field(sa_column=Column(String, ForeignKey("program.name"), nullable=False))
    version_id: int = reference("program_version.id")
    status: str
    step: str
    visit: int = 1
    arrived_at: datetime = instant(nullable=False)
    seen_reaction_id: int = Field(default=0, sa_type=BigInteger)
    """The lead's newest reaction when he came to the step: moments count from the next one on."""
    acted: bool = False
    """Whether the step has done what it does; false on arrival."""
    trouble: str | None = None
    """Why the step could not do what it says; leads to `otherwise`."""
    why: str | None = None
    """The trouble by which he left the step before; readable in conditions."""
    message_id: int | None = Field(default=None, sa_type=BigInteger)
    """The mail that bare reactions are about: this step's, else that of the step before."""
    content: str | None = None
    """What that mail was about."""
    session_content: str | None = None
    session: str | None = None
    """The content and session that bare standing reactions are about."""
    deadline_at: datetime | None = instant()
    due_at: datetime | None = instant()
    wave: int = 0
    """The wave in which he last went backwards: he goes on in the next, so that he enters a step at most once
    a wave.
    """
    started_at: datetime = instant(nullable=False)
    ended_at: datetime | None = instant()
    goal_at: datetime | None = instant()
    paused_at: datetime | None = instant()
    pause: str | None = None
    """handoff, agreement or reply; null when not paused."""


class Transition(Row, table=True):
    """An enrollment's move, with its reason."""

    __tablename__ = "transition"
    __table_args__ = (
        Index("ix_transition_enrollment", "enrollment_id", "to_step"),
        Index("ix_transition_lead", "lead_id"),
    )
    id: int | None = row_id()
    enrollment_id: int = reference("enrollment.id")
    lead_id: int = reference("lead.id")
    at: datetime = instant(nullable=False)
    from_step: str | None = None
    to_step: str | None = None
    """None when the enrollment ended or only its status changed."""
    visit: int = 0
    status: str
    """Of the enrollment, after the move."""
    rule: str
    """Which rule fired, as the program writes it: `on registered`, `then`, `otherwise late`, `exit
    tag("competitor")`.
    """
    saw: str | None = None
    """The values that it saw: `engagement 32, fit 45`."""
    reaction_id: int | None = Field(default=None, sa_type=BigInteger)


class MoveCount(Row, table=True):
    """How often a move was made on a UTC day: charts read these, so that they cost the same whatever has moved."""

    __tablename__ = "move_count"
    program: str = Field(sa_column=Column(String, ForeignKey("program.name"), primary_key=True))
    day: int = Field(primary_key=True)
    from_step: str = Field(primary_key=True)
    """Empty for an enrollment's beginning."""
    to_step: str = Field(primary_key=True)
    """Empty for its end."""
    rule: str = Field(primary_key=True)
    moves: int


class Message(Row, table=True):
    """One mail to one lead: from one step of one visit, or on an occasion of his seat in a session."""

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("enrollment_id", "step", "visit"),
        Index(
            "uq_message_seat",
            "seat_id",
            "occasion",
            unique=True,
            sqlite_where=text("occasion IS NOT NULL"),
            postgresql_where=text("occasion IS NOT NULL"),
        ),
        Index(
            "ix_message_planned",
            "send_at",
            "id",
            sqlite_where=text("status = 'planned'"),
            postgresql_where=text("status = 'planned'"),
        ),
        Index(
            "ix_message_sending",
            "lease_until",
            sqlite_where=text("status = 'sending'"),
            postgresql_where=text("status = 'sending'"),
        ),
        Index("ix_message_lead", "lead_id", "content"),
        {**KEPT_IDS, "postgresql_with": {"fillfactor": 85}},
    )
    id: int | None = row_id()
    enrollment_id: int | None = reference("enrollment.id", nullable=True)
    """None for a mail about a seat: then program and step are empty."""
    lead_id: int = reference("lead.id")
    program: str
    step: str
    visit: int
    track: str
    content: str
    """Of a mail about a seat the name of its templates, `seat-reminder`."""
    session_content: str | None = None
    """The webinar or event that it is about: the content itself, or the one that its step is anchored on."""
    session: str | None = None
    variant: str | None = None
    priority: int = 0
    needs_consent: bool = True
    is_service: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """It answers something he asked for: no hours, pace, hold or consent, and it earns no points."""
    occasion: str | None = None
    """Of a mail about a seat: `confirmation`, `reminder/1 day/0`, `moved/1`, `cancelled/2`, with the session's
    sequence. Once per seat.
    """
    seat_id: int | None = Field(default=None, sa_type=BigInteger)
    """The seat that it is about, see `Standing`."""
    status: str
    planned_at: datetime = instant(nullable=False)
    """The nominal date of the sending: `after` counts from it."""
    send_at: datetime = instant(nullable=False)
    """When it may leave: moved by working hours, holidays, pace and holds."""
    late_at: datetime | None = instant()
    """When its window closes; a claim after it is late."""
    late: str
    """`skip`, `within` or `next window`: what then becomes of it."""
    wait_until: datetime | None = instant()
    """The deadline that its sending starts; null without `after`."""
    lease_owner: str | None = None
    lease_until: datetime | None = machine_instant()
    attempt: int = 0
    attempt_at: datetime | None = instant()
    sent_at: datetime | None = instant()
    settled_at: datetime | None = instant()
    provider_id: str | None = None
    template: str | None = None
    """Hash of the compiled template, frozen at the claim."""
    facts: str | None = long_text(nullable=True)
    """JSON of what it was rendered from, frozen at the claim."""
    trouble: str | None = long_text(nullable=True)
    """What the provider or the claim said, for people."""


class Reaction(Row, table=True):
    """Something a lead did, normalised.

    Ids of one lead rise in the order of recording, since his row is locked meanwhile.
    """

    __tablename__ = "reaction"
    __table_args__ = (
        UniqueConstraint("key"),
        UniqueConstraint("natural_key"),
        Index("ix_reaction_lead", "lead_id", "kind", "id"),
        Index("ix_reaction_message", "message_id"),
        KEPT_IDS,
    )
    id: int | None = row_id()
    lead_id: int = reference("lead.id")
    kind: str
    content: str | None = None
    session: str | None = None
    message_id: int | None = Field(default=None, sa_type=BigInteger)
    argument: str | None = None
    """The path of a visit, the answer of a form or of feedback."""
    at: datetime = instant(nullable=False)
    """When it happened, by the clock of whoever told us; steers nothing."""
    recorded_at: datetime = instant(nullable=False)
    counts_at: datetime | None = instant()
    """When it began to steer: a click once it was judged, all others at once. Null for a click that was judged
    a machine's afterwards: it never counts.
    """
    source: str
    """sendgrid, web, api, import, person …"""
    key: str
    """The teller's own id of it."""
    natural_key: str
    """Who, what, about what and when: equal when the same thing is told under a new id."""


class Click(Row, table=True):
    """A click as it came in, with its judgement: only a person's becomes a reaction. The raw facts never change."""

    __tablename__ = "click"
    __table_args__ = (
        UniqueConstraint("key"),
        UniqueConstraint("natural_key"),
        Index("ix_click_due", "judge_at",
              sqlite_where=text("judge_at IS NOT NULL"), postgresql_where=text("judge_at IS NOT NULL")),
        Index("ix_click_lead", "lead_id", "recorded_at"),
        Index("ix_click_message", "message_id", "at"),
        Index("ix_click_network", "network", "at",
              sqlite_where=text("network IS NOT NULL"), postgresql_where=text("network IS NOT NULL")),
        Index("ix_click_machine", "program", "recorded_at",
              sqlite_where=text("judgement = 'machine'"), postgresql_where=text("judgement = 'machine'")),
        {**KEPT_IDS, "postgresql_with": {"fillfactor": 85}},
    )  # fmt: skip
    id: int | None = row_id()
    lead_id: int = reference("lead.id")
    message_id: int | None = Field(default=None, sa_type=BigInteger)
    program: str | None = None
    step: str | None = None
    """The step that sent the mail."""
    content: str | None = None
    session: str | None = None
    link: str | None = None
    """Which link of the mail: the name of ours, or an address as others tell it."""
    method: str | None = None
    """GET or HEAD, as our own door saw it; null when others tell of it."""
    agent: str | None = long_text(nullable=True)
    """How the program that followed the link calls itself."""
    network: str | None = None
    """A keyed hash of the address without its last part; null where it is unknown or private."""
    at: datetime = instant(nullable=False)
    recorded_at: datetime = instant(nullable=False)
    source: str
    key: str
    natural_key: str | None = None
    """See `Reaction`; null where our own door saw it: there every request is a fact of its own."""
    judgement: str
    """person, machine, undecided."""
    reason: str
    judge_at: datetime | None = instant()
    """When it is to be judged, or judged again; null when nothing is to be done."""
    judged_at: datetime | None = instant()
    judged_by: str | None = None
    """The person who judged; null for the rules, which never judge again what a person has."""
    reaction_id: int | None = Field(default=None, sa_type=BigInteger)


class ClickRevision(Row, table=True):
    """That a click was judged anew: by whom, when and why, and what was said of it before."""

    __tablename__ = "click_revision"
    id: int | None = row_id()
    click_id: int = reference("click.id", index=True)
    lead_id: int = reference("lead.id", index=True)
    at: datetime = instant(nullable=False)
    was: str
    was_reason: str
    judgement: str
    reason: str
    by: str | None = None
    """A person; null for the rules."""
    points: int = 0
    """How many points it took back."""


class WayBack(Row, table=True):
    """Where an enrollment stood when a click moved it: it goes back there if a machine did it."""

    __tablename__ = "way_back"
    __table_args__ = (Index("ix_way_back_enrollment", "enrollment_id"), Index("ix_way_back_lead", "lead_id"))
    id: int | None = row_id()
    enrollment_id: int = reference("enrollment.id")
    lead_id: int = reference("lead.id")
    reaction_id: int | None = Field(default=None, sa_type=BigInteger)
    """The click that fired; null where a condition asked for more than one thing."""
    left_at: datetime = instant(nullable=False)
    step: str
    visit: int
    arrived_at: datetime = instant(nullable=False)
    seen_reaction_id: int = Field(sa_type=BigInteger)
    acted: bool
    why: str | None = None
    message_id: int | None = Field(default=None, sa_type=BigInteger)
    content: str | None = None
    session_content: str | None = None
    session: str | None = None
    deadline_at: datetime | None = instant()


class Standing(Row, table=True):
    """What holds now between a lead and a session (or a content without one: session is empty)."""

    __tablename__ = "standing"
    __table_args__ = (Index("ix_standing_session", "content", "session", "kind"),)
    lead_id: int = part_of_key("lead.id")
    content: str = Field(primary_key=True)
    session: str = Field(primary_key=True)
    kind: str
    reaction_id: int = Field(sa_type=BigInteger)
    seat_id: int | None = Field(default=None, sa_type=BigInteger)
    """The reaction with which he took the seat that he has; whoever gives it back and takes one again has
    another.
    """


class Point(Row, table=True):
    """Engagement points with their origin and their life. Engagement is the sum of the living rows."""

    __tablename__ = "point"
    __table_args__ = (UniqueConstraint("lead_id", "track", "rule", "subject"), KEPT_IDS)
    id: int | None = row_id()
    lead_id: int = reference("lead.id")
    track: str
    rule: str
    subject: str
    """The content, for visits the day: a rule counts once per subject."""
    points: int
    reaction_id: int | None = Field(default=None, sa_type=BigInteger)
    agreement: str
    begins_at: datetime = instant(nullable=False)
    ends_at: datetime | None = instant()


class StageChange(Row, table=True):
    """A lead's move from stage to stage, with its reason."""

    __tablename__ = "stage_change"
    id: int | None = row_id()
    lead_id: int = reference("lead.id", index=True)
    track: str
    from_stage: str
    to_stage: str
    at: datetime = instant(nullable=False)
    rule: str
    saw: str | None = None
    agreement: str


class LeadNote(Row, table=True):
    """What one of our people noted about a lead, on its own or beside what the lead said."""

    __tablename__ = "lead_note"
    id: int | None = row_id()
    lead_id: int = reference("lead.id", index=True)
    at: datetime = instant(nullable=False)
    by: str
    """The person's id, else the name under which he is signed in."""
    text: str = long_text()
    channel: str = ""
    """Where the lead said it: on the phone, by mail, in person."""
    reaction_id: int | None = reference("reaction.id", nullable=True)
    """The feedback that it is about."""


class AlmostQualified(Row, table=True):
    """A lead over the threshold of whom a needed fact is missing; nurture goes on until it arrives."""

    __tablename__ = "almost_qualified"
    __table_args__ = (
        Index(
            "ix_almost_qualified_untold",
            "since_at",
            sqlite_where=text("NOT is_told"),
            postgresql_where=text("NOT is_told"),
        ),
    )
    lead_id: int = part_of_key("lead.id")
    missing: str
    """Names of the missing facts, comma-separated."""
    since_at: datetime = instant(nullable=False)
    is_told: bool = False
    """Whether somebody was asked to find them out."""


# --- what goes to sales ------------------------------------------------------------------------------------


class Handoff(Row, table=True):
    """The offer of a lead to sales; at most one is open per lead."""

    __tablename__ = "handoff"
    __table_args__ = (
        Index(
            "uq_handoff_open",
            "lead_id",
            unique=True,
            sqlite_where=text("status = 'open'"),
            postgresql_where=text("status = 'open'"),
        ),
        Index("ix_handoff_lead", "lead_id"),
        Index(
            "ix_handoff_untold",
            "lead_id",
            sqlite_where=text("NOT is_told"),
            postgresql_where=text("NOT is_told"),
        ),
        KEPT_IDS,
    )
    id: int | None = row_id()
    lead_id: int = reference("lead.id")
    track: str
    status: str
    opened_at: datetime = instant(nullable=False)
    reason: str
    """The threshold as it was crossed, or the text of the program's handoff step."""
    wanted: str | None = None
    """The person or role that the program asked for."""
    enrollment_id: int | None = Field(default=None, sa_type=BigInteger)
    """The enrollment whose step offers; null for the threshold."""
    agreement: str
    fit: int
    engagement: int
    score: int
    stage_before: str
    assigned_to: str | None = None
    due_at: datetime | None = instant()
    """Until when sales owes an answer."""
    remind_at: datetime | None = instant()
    decided_at: datetime | None = instant()
    decided_by: str | None = None
    decided_reaction_id: int | None = Field(default=None, sa_type=BigInteger)
    """The lead's newest reaction at the decision: after a return, points count from the next one on."""
    return_reason: str | None = None
    note: str | None = long_text(nullable=True)
    is_told: bool = False
    """Whether the lead's colleagues were woken since it was opened or decided: their conditions may ask for
    it.
    """


class Task(Row, table=True):
    """Something for one of our people to do about a lead: a step of a program waits for it, or a fact is missing."""

    __tablename__ = "task"
    __table_args__ = (
        UniqueConstraint("enrollment_id", "step", "visit"),
        Index(
            "uq_task_missing",
            "lead_id",
            unique=True,
            sqlite_where=text("status = 'open' AND enrollment_id IS NULL"),
            postgresql_where=text("status = 'open' AND enrollment_id IS NULL"),
        ),
        Index(
            "ix_task_open",
            "opened_at",
            sqlite_where=text("status = 'open'"),
            postgresql_where=text("status = 'open'"),
        ),
        Index(
            "ix_task_unassigned",
            "opened_at",
            sqlite_where=text("status = 'open' AND person IS NULL"),
            postgresql_where=text("status = 'open' AND person IS NULL"),
        ),
        KEPT_IDS,
    )
    id: int | None = row_id()
    lead_id: int = reference("lead.id", index=True)
    enrollment_id: int | None = reference("enrollment.id", nullable=True)
    """Of the step; none where facts are missing that a stage needs."""
    program: str | None = None
    step: str | None = None
    visit: int | None = None
    text: str = long_text()
    wanted: str | None = None
    """The person or role that is to do it."""
    person: str | None = None
    """Who got it."""
    ask: str | None = long_text(nullable=True)
    """JSON of its questions, as the program asked them then."""
    status: str
    """open, done, refused: it cannot be done; withdrawn: nothing waits for it any more."""
    opened_at: datetime = instant(nullable=False)
    closed_at: datetime | None = instant()
    closed_by: str | None = None
    note: str | None = long_text(nullable=True)


class Answer(Row, table=True):
    """What was answered to a question of a mail's page or of a task; the newest of a question holds."""

    __tablename__ = "answer"
    __table_args__ = (Index("ix_answer_message", "message_id"), Index("ix_answer_task", "task_id"), KEPT_IDS)
    id: int | None = row_id()
    lead_id: int = reference("lead.id", index=True)
    message_id: int | None = reference("message.id", nullable=True)
    task_id: int | None = reference("task.id", nullable=True)
    name: str
    """Of the question: a fact, `interest`, `consent`, `language`, `feedback`, or a word."""
    answer: str
    told_by: str | None = None
    """Who of our people; None: the lead himself."""
    at: datetime = instant(nullable=False)


class Notice(Row, table=True):
    """A mail to one of our people; decided once, sent at least once."""

    __tablename__ = "notice"
    __table_args__ = (
        UniqueConstraint("handoff_id", "kind"),
        UniqueConstraint("task_id"),
        UniqueConstraint("reply_id"),
        UniqueConstraint("key"),
        Index("ix_notice_lead", "lead_id"),
        Index(
            "ix_notice_unassigned",
            "planned_at",
            sqlite_where=text("status = 'planned' AND person IS NULL"),
            postgresql_where=text("status = 'planned' AND person IS NULL"),
        ),
        Index(
            "ix_notice_planned",
            "planned_at",
            sqlite_where=text("status = 'planned'"),
            postgresql_where=text("status = 'planned'"),
        ),
        CheckConstraint(
            "kind IN ('handoff','reminder','escalation','withdrawn','task','tell','reply')", name="kind"
        ),
    )
    id: int | None = row_id()
    lead_id: int = reference("lead.id")
    handoff_id: int | None = reference("handoff.id", nullable=True)
    task_id: int | None = reference("task.id", nullable=True)
    reply_id: int | None = Field(default=None, sa_type=BigInteger)
    key: str | None = None
    """Of a `tell`: the enrollment, step, visit and way that says it, so that it is said once."""
    kind: str
    text: str | None = long_text(nullable=True)
    """What a `tell` says."""
    wanted: str | None = None
    """The person or role that a `tell` or a reply is for."""
    person: str | None = None
    """None while nobody has looked whom the role means."""
    status: str
    """planned, sent, cancelled: its handoff was decided, its task was done, or its reply sorted, before it left."""
    planned_at: datetime = instant(nullable=False)
    sent_at: datetime | None = instant()
    attempts: int = 0
    retry_at: datetime | None = machine_instant()
    trouble: str | None = long_text(nullable=True)


class Deal(Row, table=True):
    """What came of it in the end."""

    __tablename__ = "deal"
    __table_args__ = (UniqueConstraint("key"),)
    id: int | None = row_id()
    lead_id: int = reference("lead.id", index=True)
    account_id: int | None = reference("account.id", nullable=True)
    status: str
    """won or lost."""
    value: float | None = None
    at: datetime = instant(nullable=False)
    key: str


# --- what comes in, and what runs --------------------------------------------------------------------------


class Inbox(Row, table=True):
    """A post as it came in: its bytes, whoever sent it and whether or not we understand it."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("source", "key"),
        Index(
            "ix_inbox_open",
            "id",
            sqlite_where=text("status <> 'done'"),
            postgresql_where=text("status <> 'done'"),
        ),
        KEPT_IDS,
    )
    id: int | None = row_id()
    source: str
    """sendgrid, inbound, webinar, leads, reactions: who reads it."""
    key: str | None = None
    """A hash of the bytes, where the same bytes say the same again."""
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    about: str = long_text()
    """JSON of what the bytes alone do not say: their content type."""
    received_at: datetime = instant(nullable=False)
    status: str
    """new, waiting: items of it are about mails that we do not know yet; done, unusable."""
    attempts: int = 0
    retry_at: datetime | None = machine_instant()
    """Nobody reads it before: somebody is reading it, or it waits."""
    trouble: str | None = long_text(nullable=True)


class InboxItem(Row, table=True):
    """One thing that a post says, and what became of it. What it says lies in the post, at its position."""

    __tablename__ = "inbox_item"
    __table_args__ = (
        UniqueConstraint("source", "key"),
        Index(
            "ix_inbox_item_odd",
            "outcome",
            sqlite_where=text("outcome <> 'recorded'"),
            postgresql_where=text("outcome <> 'recorded'"),
        ),
    )
    inbox_id: int = part_of_key("inbox.id")
    position: int = Field(primary_key=True)
    source: str
    key: str
    """The teller's own id of it."""
    kind: str
    """The teller's own word."""
    message_id: int | None = Field(default=None, sa_type=BigInteger)
    outcome: str
    """recorded, duplicate, kept, waiting, not ours, unknown kind, automatic, report."""


class Reply(Row, table=True):
    """What a lead wrote back. Until somebody has sorted it, no mail goes to him."""

    __tablename__ = "reply"
    __table_args__ = (
        UniqueConstraint("inbox_id"),
        Index(
            "ix_reply_unsorted",
            "lead_id",
            sqlite_where=text("sorted_at IS NULL"),
            postgresql_where=text("sorted_at IS NULL"),
        ),
        KEPT_IDS,
    )
    id: int | None = row_id()
    inbox_id: int = reference("inbox.id")
    lead_id: int = reference("lead.id", index=True)
    message_id: int | None = Field(default=None, sa_type=BigInteger)
    matched_by: str
    """token, reference, address."""
    at: datetime = instant(nullable=False)
    sender: str
    subject: str
    text: str = long_text()
    sorted_at: datetime | None = instant()
    sorted_by: str | None = None
    decision: str | None = None
    """resume, end, unsubscribe."""


class Wave(Row, table=True):
    """One pass over all that was due in a program."""

    __tablename__ = "wave"
    program: str = Field(sa_column=Column(String, ForeignKey("program.name"), primary_key=True))
    number: int = Field(primary_key=True)
    started_at: datetime = instant(nullable=False)
    due: int = 0
    moved: int = 0
    planned: int = 0
    seconds: float | None = None
    """Of the machine; null while it runs."""


class Clock(Row, table=True):
    """The stepping clock of demo and tests: where the row exists, doors read it instead of the machine's
    clock.
    """

    __tablename__ = "clock"
    id: int = Field(default=1, primary_key=True, sa_type=Integer)
    now_at: datetime = instant(nullable=False)
    is_held: bool | None = None
    """While it is, workers begin nothing: much happens at one instant, and they are to see all of it."""


class Audit(Row, table=True):
    """Who did what, through which door."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_subject", "subject"),)
    id: int | None = row_id()
    at: datetime = instant(nullable=False)
    actor: str
    act: str
    subject: str
    detail: str | None = long_text(nullable=True)


# --- who may see what --------------------------------------------------------------------------------------


class User(Row, table=True):
    """Somebody who signs in. One whose name is the id or the address of a person of the company acts as that person."""

    __tablename__ = "tool_user"
    __table_args__ = (KEPT_IDS,)
    id: int | None = row_id()
    name: str
    """With which he signs in: a word or an address."""
    name_key: str = Field(unique=True)
    """Case-folded."""
    role: str
    password: str
    """Its argon2 hash."""
    created_at: datetime = instant(nullable=False)


class SignIn(Row, table=True):
    """A browser in which somebody is signed in; its end ends with the row. In machine time: no stepping clock ends it."""

    __tablename__ = "sign_in"
    id: int | None = row_id()
    user_id: int = reference("tool_user.id", index=True)
    token_hash: str = Field(unique=True)
    """Of what the browser shows."""
    begun_at: datetime = machine_instant(nullable=False)
    ends_at: datetime = machine_instant(nullable=False)


class SignInAttempt(Row, table=True):
    """Passwords that did not fit, by where they came from."""

    __tablename__ = "sign_in_attempt"
    bucket: str = Field(primary_key=True)
    """Hash of the browser, or of the network and the name."""
    failures: int
    free_at: datetime = machine_instant(nullable=False)
    """When the next attempt is looked at."""
    last_at: datetime = machine_instant(nullable=False)


class ApiKey(Row, table=True):
    """A key that another system shows; a revoked one keeps its row."""

    __tablename__ = "api_key"
    __table_args__ = (
        UniqueConstraint("hash"),
        Index(
            "uq_api_key_living",
            "name",
            unique=True,
            sqlite_where=text("revoked_at IS NULL"),
            postgresql_where=text("revoked_at IS NULL"),
        ),
    )
    id: int | None = row_id()
    name: str
    hash: str
    start: str
    """Its first signs, by which people know it again."""
    scopes: str
    """Separated by blanks."""
    created_at: datetime = instant(nullable=False)
    revoked_at: datetime | None = instant()
