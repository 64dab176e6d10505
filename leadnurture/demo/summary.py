"""What the demo came to: figures from the rows, checked against the files of the outbox."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, and_, exists, func, literal, or_, select

from leadnurture.app import Project
from leadnurture.demo.branches import ProgramTold, programs_told
from leadnurture.domain.definitions import Definitions
from leadnurture.store.tables import metadata

Tables: Final = metadata.tables


@dataclass(frozen=True, slots=True)
class Summary:
    """All figures; `problems` are what must not be."""

    since: datetime
    until: datetime
    leads: int
    programs: tuple[ProgramTold, ...]
    mails: int
    reactions: Counter[str]
    clicks: Counter[str]
    """By judgement."""
    taken_back: int
    """Clicks that were judged a person's first."""
    handoffs: Counter[tuple[str, str]]
    """By track and outcome; a returned one by its reason."""
    recycled: int
    became_clients: int
    left: int
    mails_after_leaving: int
    chose: int
    """Leads who said on the page of their preferences what they want."""
    mails_against_choice: int
    asked: int
    """Leads without a consent who got a mail that asks for one."""
    confirmed: int
    """Leads who gave it on the page of that mail."""
    locales: Counter[str]
    """Mails by the locale of their template."""
    seats: Counter[str]
    """Mails about seats: confirmation, reminder, moved, cancelled."""
    duplicates: int
    files: int
    only_rows: tuple[int, ...]
    only_files: tuple[int, ...]
    to_others: tuple[int, ...]
    waves: int
    waves_shown: int | None

    @property
    def branches(self) -> int:
        """How many branches the programs have."""
        return sum(program.size for program in self.programs)

    @property
    def untaken(self) -> tuple[str, ...]:
        """The branches that nobody has taken so far."""
        return tuple(name for program in self.programs for name in program.untaken)

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each thing that must not be."""
        wrong = {
            "mails left after their reader had unsubscribed": self.mails_after_leaving,
            "mails left against what their reader had chosen": self.mails_against_choice,
            "mails were sent twice": self.duplicates,
            "mails are sent by the rows and lie in no file": len(self.only_rows),
            "files lie in the outbox and belong to no sent mail": len(self.only_files),
            "files are addressed to somebody else": len(self.to_others),
        }
        return tuple(f"{count:,} {what}." for what, count in wrong.items() if count)


def summarize(project: Project, since: datetime, until: datetime, waves_shown: int | None) -> Summary:
    """Reads everything once; some twenty statements, and the heads of the files."""
    definitions = project.definitions()
    with project.database.read() as connection:
        sent = _sent(connection)
        files = dict(_addressees(project.settings.outbox))
        return Summary(
            since=since,
            until=until,
            leads=_count(connection, "lead"),
            programs=programs_told(connection, definitions),
            mails=len(sent),
            reactions=_reactions(connection),
            clicks=_clicks(connection),
            taken_back=_taken_back(connection),
            handoffs=_handoffs(connection),
            recycled=_recycled(connection, definitions),
            became_clients=_became_clients(connection),
            left=_left(connection),
            mails_after_leaving=_mails_after_leaving(connection),
            chose=_count(connection, "preference"),
            mails_against_choice=_mails_against_choice(connection),
            asked=_asked(connection, definitions),
            confirmed=_confirmed(connection),
            locales=_locales(connection, definitions),
            seats=_seats(connection),
            duplicates=_duplicates(connection),
            files=len(files),
            only_rows=tuple(sorted(sent.keys() - files.keys())),
            only_files=tuple(sorted(files.keys() - sent.keys())),
            to_others=tuple(sorted(key for key, to in files.items() if key in sent and sent[key] != to)),
            waves=_count(connection, "wave"),
            waves_shown=waves_shown,
        )


# --- figures ----------------------------------------------------------------------------------------------


def _count(connection: Connection, table: str) -> int:
    return connection.execute(select(func.count()).select_from(Tables[table])).scalar_one()


def _sent(connection: Connection) -> dict[int, str]:
    """Every mail that left, by its number, with its addressee."""
    message, lead = Tables["message"], Tables["lead"]
    question = (
        select(message.c.id, lead.c.email)
        .join(lead, lead.c.id == message.c.lead_id)
        .where(message.c.sent_at.is_not(None), message.c.status != "unknown")
    )
    return {row.id: row.email for row in connection.execute(question)}


def _addressees(outbox: Path) -> Iterator[tuple[int, str]]:
    """The number and the addressee of every mail of a program in the outbox; notices are left out."""
    for path in outbox.glob("*.eml"):
        if path.stem.isdecimal():
            with path.open(encoding="utf-8", errors="replace") as file:
                line = next((line for line in file if line.startswith("To: ")), "")
            yield int(path.stem), line.removeprefix("To: ").strip().rpartition("<")[2].removesuffix(">")


def _reactions(connection: Connection) -> Counter[str]:
    reaction = Tables["reaction"]
    counting = reaction.c.counts_at.is_not(None)
    question = select(reaction.c.kind, func.count().label("times")).where(counting).group_by(reaction.c.kind)
    return Counter({row.kind: row.times for row in connection.execute(question)})


def _clicks(connection: Connection) -> Counter[str]:
    click = Tables["click"]
    question = select(click.c.judgement, func.count().label("times")).group_by(click.c.judgement)
    return Counter({row.judgement: row.times for row in connection.execute(question)})


def _taken_back(connection: Connection) -> int:
    revision = Tables["click_revision"]
    lost = select(func.count(revision.c.click_id.distinct())).where(
        revision.c.was == "person", revision.c.judgement == "machine"
    )
    return connection.execute(lost).scalar_one()


def _handoffs(connection: Connection) -> Counter[tuple[str, str]]:
    handoff = Tables["handoff"]
    columns = (handoff.c.track, handoff.c.status, handoff.c.return_reason)
    found: Counter[tuple[str, str]] = Counter()
    for row in connection.execute(select(*columns, func.count().label("leads")).group_by(*columns)):
        outcome = f"returned ({row.return_reason})" if row.return_reason else row.status
        found[row.track, outcome] += row.leads
    return found


def _recycled(connection: Connection, definitions: Definitions) -> int:
    """Leads who went on after sales had returned them."""
    handoff = Tables["handoff"]
    again = {
        known.reason
        for agreement in definitions.agreements
        for known in agreement.returns
        if known.program or known.go == "resume"
    }
    leads = select(func.count(handoff.c.lead_id.distinct())).where(handoff.c.return_reason.in_(again))
    return connection.execute(leads).scalar_one()


def _became_clients(connection: Connection) -> int:
    change, deal = Tables["stage_change"], Tables["deal"]
    won = select(deal.c.lead_id).where(deal.c.status == "won")
    leads = select(func.count(change.c.lead_id.distinct())).where(
        change.c.track == "clients", change.c.rule == "became a client", change.c.lead_id.in_(won)
    )
    return connection.execute(leads).scalar_one()


def _left(connection: Connection) -> int:
    suppression = Tables["suppression"]
    left = select(func.count()).where(suppression.c.reason == "unsubscribed")
    return connection.execute(left).scalar_one()


def _mails_after_leaving(connection: Connection) -> int:
    message, lead, suppression = Tables["message"], Tables["lead"], Tables["suppression"]
    late = (
        select(func.count())
        .select_from(message)
        .join(lead, lead.c.id == message.c.lead_id)
        .join(
            suppression,
            and_(suppression.c.email_key == lead.c.email_key, suppression.c.at < message.c.attempt_at),
        )
        .where(message.c.is_service.is_(False))
    )
    return connection.execute(late).scalar_one()


def _mails_against_choice(connection: Connection) -> int:
    """Mails that left after their reader's choice: while he paused, or about nothing but unwanted topics."""
    message, preference = Tables["message"], Tables["preference"]
    unwanted, about = Tables["unwanted_topic"], Tables["content_topic"]
    is_about = about.c.content.in_([message.c.content, message.c.session_content])
    said = unwanted.c.lead_id == message.c.lead_id, unwanted.c.topic == about.c.topic
    topics = select(literal(1)).select_from(about).where(is_about)
    wanted = topics.where(~exists().where(*said).correlate(about, message))
    wrong = or_(
        message.c.attempt_at < preference.c.paused_until,
        and_(exists(topics.correlate(message)), ~exists(wanted.correlate(message))),
    )
    question = (
        select(func.count())
        .select_from(message)
        .join(preference, preference.c.lead_id == message.c.lead_id)
        .where(message.c.attempt_at > preference.c.chosen_at, ~message.c.is_service, wrong)
    )
    return connection.execute(question).scalar_one()


def _asked(connection: Connection, definitions: Definitions) -> int:
    message = Tables["message"]
    contents = [
        content.name
        for content in definitions.contents
        if content.ask is not None and any(each.about == "consent" for each in content.ask.questions)
    ]
    asked = message.c.content.in_(contents), message.c.sent_at.is_not(None)
    return connection.execute(select(func.count(message.c.lead_id.distinct())).where(*asked)).scalar_one()


def _confirmed(connection: Connection) -> int:
    answer = Tables["answer"]
    himself = answer.c.name == "consent", answer.c.told_by.is_(None)
    return connection.execute(select(func.count(answer.c.lead_id.distinct())).where(*himself)).scalar_one()


def _locales(connection: Connection, definitions: Definitions) -> Counter[str]:
    message, source = Tables["message"], Tables["source"]
    question = (
        select(source.c.path, func.count().label("mails"))
        .join(message, message.c.template == source.c.hash)
        .where(message.c.sent_at.is_not(None))
        .group_by(source.c.path)
    )
    first = definitions.company.locales[0]
    found: Counter[str] = Counter()
    for row in connection.execute(question):
        name = row.path.rpartition("/")[2].removesuffix(".mjml")
        found[name.partition(".")[2] or first] += row.mails
    return found


def _seats(connection: Connection) -> Counter[str]:
    message = Tables["message"]
    left = message.c.occasion.is_not(None), message.c.sent_at.is_not(None)
    question = select(message.c.content, func.count().label("mails")).where(*left).group_by(message.c.content)
    return Counter({row.content.removeprefix("seat-"): row.mails for row in connection.execute(question)})


def _duplicates(connection: Connection) -> int:
    """Mails beyond the first about the same content and session to one lead on one track."""
    message = Tables["message"]
    about = (message.c.lead_id, message.c.track, message.c.content, func.coalesce(message.c.session, ""))
    one = (*about, func.coalesce(message.c.seat_id, 0), func.coalesce(message.c.occasion, ""))
    groups = (
        select((func.count() - 1).label("more"))
        .where(message.c.sent_at.is_not(None))
        .group_by(*one)
        .subquery()
    )
    return int(connection.execute(select(func.coalesce(func.sum(groups.c.more), 0))).scalar_one())
