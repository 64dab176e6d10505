from leadnurture.reports import leads, outbox
from leadnurture.store import Database
from tests.profile.rows import add_account, add_enrollment, add_lead, add_message, apply


def three_leads(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        account_id = add_account(connection)
        ann = add_lead(connection, "Ann One", account_id=account_id, stage="engaged")
        add_lead(connection, "Ben Two", account_id=account_id, track="clients")
        add_lead(connection, "Cyd O'Three_%")
        enrollment_id = add_enrollment(connection, ann, "scaling-series", "invite")
        add_message(connection, enrollment_id, ann, "invite", variant="plain")
        add_message(connection, enrollment_id, ann, "letter", status="planned", content="gone", sent_at=None)


def test_leads_are_found_by_words_in_name_address_and_account(database: Database) -> None:
    three_leads(database)
    with database.read() as connection:
        assert [row.name for row in leads(connection)] == ["Cyd O'Three_%", "Ben Two", "Ann One"]
        assert [row.name for row in leads(connection, search="FJELL one")] == ["Ann One"]
        assert [row.name for row in leads(connection, search="ben.two@")] == ["Ben Two"]
        assert [row.name for row in leads(connection, search="_%")] == ["Cyd O'Three_%"]
        assert leads(connection, search="nobody' OR 1=1") == ()


def test_filters_narrow_the_leads(database: Database) -> None:
    three_leads(database)
    with database.read() as connection:
        assert [row.name for row in leads(connection, track="clients")] == ["Ben Two"]
        assert [row.name for row in leads(connection, stage="engaged")] == ["Ann One"]
        (ann,) = leads(connection, program="scaling-series")
    assert (ann.name, ann.account, ann.programs) == ("Ann One", "Fjellheim Kraft", ("scaling-series",))


def test_a_page_begins_where_the_last_one_ended(database: Database) -> None:
    three_leads(database)
    with database.read() as connection:
        first = leads(connection, limit=2)
        second = leads(connection, limit=2, before=first[-1].id)
        mails = outbox(connection, limit=1, before=outbox(connection, limit=1)[0].id)
    assert [row.name for row in (*first, *second)] == ["Cyd O'Three_%", "Ben Two", "Ann One"]
    assert [mail.step for mail in mails] == ["invite"]


def test_the_outbox_shows_mails_newest_first(database: Database) -> None:
    three_leads(database)
    with database.read() as connection:
        planned, sent = outbox(connection)
        assert outbox(connection, status="sent") == (sent,)
        assert outbox(connection, program="quiet-client") == ()
    assert (sent.name, sent.title, sent.variant, sent.status) == (
        "Ann One",
        "Scaling without downtime",
        "plain",
        "sent",
    )
    assert (planned.title, planned.sent_at, planned.is_rendered) == ("gone", None, False)
