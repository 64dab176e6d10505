"""What our people note about a lead, and what he told them: an answer to a person counts as much as a click (D8)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from sqlalchemy import Connection, insert, select

from leadnurture.domain.condition import Condition, Reacted, leaves
from leadnurture.domain.definitions import Definitions
from leadnurture.engine.identity import lock_lead
from leadnurture.engine.reactions import NewReaction, record_in
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.store import Database
from leadnurture.store import note as audit
from leadnurture.store.tables import LeadNote, Message, Reaction

Channel = Literal["on the phone", "by mail", "in person"]
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)
USUAL: Final = ("interested", "later", "no")
"""Answers that every company knows; those of the agreement and of the programs come before them."""
SOURCE: Final = "person"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a lead answered to one of our people."""

    answer: str
    channel: Channel
    key: str
    """Of the form: sent twice, it counts once."""
    message_id: int | None = None
    """The mail that it is about, so that the step which sent it hears of it."""
    note: str = ""


def add_note(
    database: Database, lead_id: int, text: str, by: str, now: datetime, *, actor: str | None = None
) -> None:
    """Keeps a note. NotFoundError for an unknown lead, InvalidInputError for an empty note.

    `actor` is who did it as the audit keeps it.
    """
    if not text:
        raise InvalidInputError("The note is empty; go back and write something.")

    def write(connection: Connection) -> None:
        his_id = lock_lead(connection, lead_id)
        note = LeadNote.__table__
        connection.execute(insert(note).values(lead_id=his_id, at=now, by=by, text=text, channel=""))
        audit(connection, actor or by, "noted something", f"lead {his_id}", now)

    database.run(write)


def record_feedback(
    database: Database, lead_id: int, feedback: Feedback, by: str, now: datetime, *, actor: str | None = None
) -> bool:
    """Records what he answered to a person, as the reaction `feedback`, with that person's note; once per key.

    False where it was recorded before. NotFoundError for an unknown lead or a mail that is not his.
    """
    if not feedback.answer:
        raise InvalidInputError("Choose what he answered; go back and press again.")

    def write(connection: Connection) -> bool:
        his_id = lock_lead(connection, lead_id)
        _refuse_other(connection, his_id, feedback.message_id)
        told = NewReaction(
            "feedback", feedback.key, SOURCE, lead_id=his_id, message_id=feedback.message_id,
            argument=feedback.answer,
        )  # fmt: skip
        if not record_in(connection, [told], now).recorded:
            return False
        reaction, note = Reaction.__table__, LeadNote.__table__
        its_id = select(reaction.c.id).where(reaction.c.key == f"{SOURCE}:{feedback.key}")
        connection.execute(
            insert(note).values(
                lead_id=his_id, at=now, by=by, text=feedback.note, channel=feedback.channel,
                reaction_id=its_id.scalar_subquery(),
            )
        )  # fmt: skip
        audit(connection, actor or by, "told what a lead said", f"lead {his_id}", now, detail=feedback.answer)
        return True

    return database.run(write)


def _refuse_other(connection: Connection, lead_id: int, message_id: int | None) -> None:
    message = Message.__table__
    his = select(message.c.id).where(message.c.id == message_id, message.c.lead_id == lead_id)
    if message_id is not None and connection.scalar(his) is None:
        raise NotFoundError(f"Mail {message_id} did not go to this lead; choose one of the list.")


def feedback_answers(definitions: Definitions, track: str) -> tuple[str, ...]:
    """The answers for which the agreement or a program of the track does something, and the usual ones."""
    agreements = [one for one in definitions.agreements if one.track == track]
    programs = [one for one in definitions.programs if one.track == track]
    asked = [rule.reacted for one in agreements for rule in one.engagement]
    asked += [leaf for one in programs for condition in one.conditions() for leaf in _reacted(condition)]
    told = [one.argument for one in asked if one.kind == "feedback" and one.argument]
    return tuple(dict.fromkeys([*told, *USUAL]))


def _reacted(condition: Condition) -> Iterable[Reacted]:
    return (leaf for leaf in leaves(condition.node) if isinstance(leaf, Reacted))
