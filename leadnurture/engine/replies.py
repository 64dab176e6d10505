"""A reply pauses a lead's mail until somebody has sorted it: a person wrote, a person answers.

One idea to hold: while a reply of his is unsorted, no mail to a lead is claimed, whoever planned it. What he is
enrolled in pauses as well, so that his silence does not count meanwhile, but for programs that say themselves
what a reply leads to.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from sqlalchemy import Connection, select

from leadnurture.domain.condition import Reacted, leaves
from leadnurture.domain.program import Program
from leadnurture.engine.current import current_definitions, program_versions
from leadnurture.engine.moves import end_all, pause_enrollments, resume_enrollments
from leadnurture.engine.reactions import NewReaction, record_in
from leadnurture.engine.sql import lock_lead_of, run, sql, wake_leads
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.store import Database, note
from leadnurture.store.instants import to_micros
from leadnurture.store.tables import Enrollment, Reply

Sorting = Literal["resume", "end", "unsubscribe"]
SORTINGS: Final[tuple[Sorting, ...]] = get_args(Sorting)
PAUSE: Final = "reply"
replies = Reply.__table__
enrollments = Enrollment.__table__


@dataclass(frozen=True, slots=True)
class NewReply:
    """What a lead wrote back."""

    inbox_id: int
    lead_id: int
    message_id: int | None
    matched_by: Literal["token", "reference", "address"]
    at: datetime
    """When it came in."""
    sender: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Sorted:
    """What a reply was sorted as; `was_open` is False when somebody had done so before."""

    decision: str
    was_open: bool
    by: str | None


def keep_reply(connection: Connection, reply: NewReply, now: datetime) -> None:
    """Keeps a reply and pauses his mail. The caller holds the lead's lock. Safe to repeat."""
    run(
        connection,
        """
        INSERT INTO reply (inbox_id, lead_id, message_id, matched_by, at, sender, subject, text)
        VALUES (:inbox_id, :lead_id, :message_id, :matched_by, :at, :sender, :subject, :text)
            ON CONFLICT DO NOTHING""",
        **asdict(reply) | {"at": to_micros(reply.at)},
    )
    unsorted = sql("SELECT id FROM reply WHERE inbox_id = :inbox AND sorted_at IS NULL")
    reply_id = connection.execute(unsorted, {"inbox": reply.inbox_id}).scalar()
    if reply_id is not None:
        _tell(connection, reply, reply_id, now)
        spared = list(listening(connection, reply.lead_id))
        pause_enrollments(connection, f"SELECT {reply.lead_id}", now, PAUSE, "replied", spared=spared)


def _tell(connection: Connection, reply: NewReply, reply_id: int, now: datetime) -> None:
    """One notice to whom the mail came from: the account manager, else the owner of the program; whoever wrote
    to us out of the blue is marketing's.
    """
    row = connection.execute(
        sql(
            "SELECT l.track, m.program FROM lead l LEFT JOIN message m ON m.id = :message WHERE l.id = :lead"
        ),
        {"message": reply.message_id, "lead": reply.lead_id},
    ).one()
    definitions = current_definitions(connection)
    agreement = definitions.agreement(row.track)
    owners = {program.name: program.owner for program in definitions.programs}
    marketing = dict(agreement.agreed).get("marketing")
    is_managed = agreement.sender == "account manager"
    run(
        connection,
        """
        INSERT INTO notice (lead_id, reply_id, kind, wanted, status, planned_at, attempts)
        VALUES (:lead, :reply, 'reply', :wanted, 'planned', :now, 0)
            ON CONFLICT DO NOTHING""",
        lead=reply.lead_id,
        reply=reply_id,
        wanted="account manager" if is_managed else owners.get(row.program, marketing),
        now=now,
    )


def listening(connection: Connection, lead_id: int) -> Iterator[int]:
    """The enrollments whose step or program says what a reply leads to."""
    active = enrollments.c.lead_id == lead_id, enrollments.c.status == "active"
    for row in connection.execute(select(enrollments).where(*active)).all():
        program = program_versions(connection, row.program)[row.version_id]
        if listens(program, row.step):
            yield row.id


def listens(program: Program, step: str) -> bool:
    """Whether a reply steers whoever stands at a step of a program."""
    conditions = (arm.when for arm in (*program.step(step).on, *program.on))
    asked = (leaf for when in conditions if when is not None for leaf in leaves(when.node))
    return any(isinstance(leaf, Reacted) and leaf.kind == "replied" for leaf in asked)


def sort_reply(database: Database, reply_id: int, decision: Sorting, by: str, now: datetime) -> Sorted:
    """Sorts a reply, and with it all that its lead wrote: his programs go on, end, or he wants no more mail.

    The first decision wins; safe to repeat. Raises NotFoundError for an unknown reply, InvalidInputError for a
    decision that there is not.
    """
    if decision not in SORTINGS:
        raise InvalidInputError(f'A reply is sorted as {", ".join(SORTINGS)}, not as "{decision}".')

    def sort(connection: Connection) -> Sorted:
        lead_id = lock_lead_of(connection, replies, reply_id)
        if lead_id is None:
            raise NotFoundError(f"There is no reply {reply_id}; `leadnurture replies` lists them.")
        row = connection.execute(select(replies).where(replies.c.id == reply_id)).one()
        if row.sorted_at is not None:
            return Sorted(row.decision, was_open=False, by=row.sorted_by)
        run(
            connection,
            """
            UPDATE reply SET sorted_at = :now, sorted_by = :by, decision = :decision
             WHERE lead_id = :lead AND sorted_at IS NULL""",
            now=now,
            by=by,
            decision=decision,
            lead=lead_id,
        )
        _carry_out(connection, reply_id, lead_id, decision, by, now)
        wake_leads(connection, [lead_id], now)
        note(connection, by, "sorted a reply", f"lead {lead_id}", now, detail=decision)
        return Sorted(decision, was_open=True, by=by)

    return database.run(sort)


def _carry_out(
    connection: Connection, reply_id: int, lead_id: int, decision: Sorting, by: str, now: datetime
) -> None:
    said = f"reply sorted by {by}"
    if decision == "resume":
        _resume(connection, lead_id, said, now)
    elif decision == "end":
        end_all(connection, lead_id, said, now)
    else:
        reaction = NewReaction("unsubscribed", f"reply {reply_id}", "person", lead_id=lead_id)
        record_in(connection, [reaction], now)


def _resume(connection: Connection, lead_id: int, rule: str, now: datetime) -> None:
    """Back where he stood; while a handoff of his is open, its decision says how he goes on."""
    run(
        connection,
        """
        UPDATE enrollment SET pause = 'handoff'
         WHERE lead_id = :lead AND status = 'paused' AND pause = :pause
           AND EXISTS (SELECT 1 FROM handoff h WHERE h.lead_id = :lead AND h.status = 'open')""",
        lead=lead_id,
        pause=PAUSE,
    )
    resume_enrollments(connection, f"SELECT {lead_id}", now, PAUSE, rule)
