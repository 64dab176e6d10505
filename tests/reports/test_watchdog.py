from sqlalchemy import update

from leadnurture.reports import asleep
from leadnurture.store import Database
from leadnurture.store.tables import metadata
from tests.profile.rows import add_enrollment, add_lead, add_message, apply


def test_nobody_is_asleep_who_is_due_or_waits_for_a_mail(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        ann, ben = (add_lead(connection, name) for name in ("Ann One", "Ben Two"))
        add_enrollment(connection, ann, "scaling-series", "seat")
        waits = add_enrollment(connection, ben, "scaling-series", "invite", due_at=None, deadline_at=None)
        mail = add_message(connection, waits, ben, "invite", status="planned", sent_at=None)
        enrollment = metadata.tables["enrollment"]
        connection.execute(update(enrollment).where(enrollment.c.id == waits).values(message_id=mail))
    with database.read() as connection:
        assert asleep(connection) == ()


def test_who_is_never_due_and_waits_for_nothing_is_found(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        ann = add_lead(connection, "Ann One")
        lost = add_enrollment(connection, ann, "scaling-series", "seat", due_at=None)
    with database.read() as connection:
        (found,) = asleep(connection)
    assert (found.enrollment_id, found.program, found.step) == (lost, "scaling-series", "seat")
