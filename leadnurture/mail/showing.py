"""Shows a mail again exactly as it was sent, from what was frozen at its claim."""

from sqlalchemy import Connection, text

from leadnurture.errors import NotFoundError
from leadnurture.mail import invites
from leadnurture.mail.freeze import thawed
from leadnurture.mail.rendering import Shown, rendering


def invite_of(connection: Connection, message_id: int) -> str | None:
    """The calendar entry of a message's seat, as it was sent; None without one, or before the claim."""
    facts = connection.execute(text("SELECT facts FROM message WHERE id = :id"), {"id": message_id}).scalar()
    seats = thawed(facts).get("invites") if facts else None
    return invites.invite(invites.thawed(seats[0])) if seats else None


def show(connection: Connection, message_id: int) -> Shown:
    """Subject, HTML and text of a message.

    Raises NotFoundError before it is claimed: until then nothing is fixed. Writes nothing.
    """
    row = connection.execute(
        text(
            "SELECT m.facts, s.subject, s.html, s.text"
            " FROM message m JOIN source s ON s.hash = m.template WHERE m.id = :id"
        ),
        {"id": message_id},
    ).first()
    if row is None:
        raise NotFoundError(f"Message {message_id} has not been sent yet, or is not there.")
    return rendering(row.subject, row.html, row.text).render(thawed(row.facts)["values"])
