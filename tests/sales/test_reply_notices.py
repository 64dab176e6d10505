"""Who is told that a lead wrote back: nobody's mail rests because nobody knows of it."""

import re
from datetime import timedelta

import pytest

from leadnurture import engine
from leadnurture.sales import assign_tasks
from leadnurture.store import Database
from tests.profile.rows import NOW, add, add_account, add_enrollment, add_lead, add_message, apply
from tests.sales.test_notices import Post, send
from tests.sales.test_tasks import rows

LETTER = "Could you call me next week?\n\nIngrid"


def write_back(
    database: Database, text: str = LETTER, *, track: str = "prospects", to_a_mail: bool = True
) -> int:
    """A lead writes; the number of the reply."""
    with database.write() as connection:
        count = len(rows(database, "lead"))
        account = add_account(connection, f"Account {count}", owner="paul")
        lead = add_lead(connection, f"Lead Number{count}", account_id=account, track=track)
        program = "scaling-series" if track == "prospects" else "expansion-monitoring"
        enrollment = add_enrollment(connection, lead, program, "invite", due_at=None)
        message = add_message(connection, enrollment, lead, "invite", track=track) if to_a_mail else None
        post = add(
            connection,
            "inbox",
            source="inbound",
            key=f"{count}",
            body=b"",
            about="{}",
            received_at=NOW,
            status="new",
            attempts=0,
        )
        reply = engine.NewReply(post, lead, message, "token", NOW, "x@example.com", "Re: Scaling", text)
        engine.lock_leads(connection, [lead])
        for _ in range(2):  # a post is read again whenever its reader was stopped
            engine.keep_reply(connection, reply, NOW)
    return int(str(rows(database, "reply")[-1]["id"]))


def told(database: Database) -> Post:
    assign_tasks(database, NOW)
    post = Post()
    sent = send(database, post)
    assert not sent.failures
    return post


@pytest.mark.parametrize(
    ("track", "to", "address"),
    [
        ("prospects", "a mail", "dana@example.com"),  # whose program it is
        ("clients", "a mail", "paul@example.com"),  # his account manager, from whom the mail came
        ("prospects", "nothing", "dana@example.com"),  # marketing's
    ],
)
def test_whoever_the_mail_came_from_is_told_once(
    database: Database, track: str, to: str, address: str
) -> None:
    apply(database)
    write_back(database, track=track, to_a_mail=to == "a mail")
    post = told(database)
    assert [mail.to for mail in post.mails] == [address]
    (mail,) = post.mails
    assert mail.subject == "Lead Number0, Account 0, wrote back: Re: Scaling"
    for words in ("Could you call me next week?", "https://news.example.com/replies", "/leads/1"):
        assert words in mail.text
        assert words in mail.html
    assert told(database).mails == []


def test_nobody_is_told_of_what_is_sorted_already(database: Database) -> None:
    apply(database)
    engine.sort_reply(database, write_back(database), "resume", "dana", NOW + timedelta(minutes=1))
    assign_tasks(database, NOW)
    post = Post()
    assert send(database, post).cancelled == 1
    assert post.mails == []


def test_a_long_letter_is_told_by_its_beginning(database: Database) -> None:
    apply(database)
    write_back(database, "We would like to know more. " * 100 + "The end")
    (mail,) = told(database).mails
    assert re.search(r"We would like[\w .]* …\n", mail.text)
    assert "The end" not in mail.text


def test_what_he_wrote_runs_nothing_in_the_mail(database: Database) -> None:
    apply(database)
    write_back(database, "<script>alert(1)</script> {{ 7 * 7 }}")
    (mail,) = told(database).mails
    assert "<script>" not in mail.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ 7 * 7 }}" in mail.html
