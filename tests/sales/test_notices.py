import shutil
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from leadnurture.sales import (
    NoticeLinks,
    NoticeMail,
    Sent,
    assign_handoffs,
    next_notice,
    notice_problems,
    send_notices,
    watch_sla,
)
from leadnurture.store import Database
from leadnurture.store.tables import metadata
from tests.profile.rows import HOUR, NOW, ROOT, add_handoff, add_ingrid, add_lead, apply

NOTICE = metadata.tables["notice"]
HANDOFF = metadata.tables["handoff"]
FOLDER = ROOT / "templates" / "notice"
MACHINE_NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LINKS = NoticeLinks(
    handoff=lambda handoff_id: f"https://news.example.com/h/token-{handoff_id}",
    task=lambda task_id: f"https://news.example.com/a/token-{task_id}",
    lead=lambda lead_id: f"https://news.example.com/leads/{lead_id}",
    replies="https://news.example.com/replies",
)


@dataclass
class Post:
    """A mail server that keeps what it takes, and refuses some people."""

    mails: list[NoticeMail] = field(default_factory=list)
    refused: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()

    def __call__(self, mail: NoticeMail) -> str | None:
        if mail.to in self.broken:
            raise ConnectionResetError("cut off")
        if mail.to in self.refused:
            return "the address does not exist"
        self.mails.append(mail)
        return None


def send(
    database: Database,
    post: Post,
    *,
    folder: Path = FOLDER,
    now: datetime = NOW,
    machine_now: datetime = MACHINE_NOW,
) -> Sent:
    return send_notices(database, folder, post, LINKS, now, machine_now=machine_now)


def hand_off_ingrid(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        add_handoff(connection, add_ingrid(connection), fit=65, engagement=70, score=135)
    assign_handoffs(database, NOW)


def hand_off_two(database: Database) -> None:
    """One to Lena, one to Marc."""
    apply(database)
    with database.write() as connection:
        add_handoff(connection, add_lead(connection, "Ann One"))
        add_handoff(connection, add_lead(connection, "Ben Two"))
    assign_handoffs(database, NOW)


def test_the_notice_says_who_and_why(database: Database) -> None:
    hand_off_ingrid(database)
    post = Post()
    assert send(database, post) == Sent(sent=1)
    (mail,) = post.mails
    assert (mail.to, mail.name) == ("lena@example.com", "Lena Ott")
    assert mail.subject == "135: Ingrid Solheim, Fjellheim Kraft, first contact until today, 13:00"
    for words in (
        "Head at Fjellheim Kraft, Norway, 1,400 people",
        "Score 135",
        "+40",
        "Answered “interested” to The migration checklist in 58 questions, yesterday",
        "employees 1,400",
        "industry energy",
        "Sverre Haugland (chief): Visited /pricing, Thu 3 Dec",
        "https://news.example.com/h/token-1",
        "Viktor Lang is told",
        "Agreement of 1 December 2026",
    ):
        assert words in mail.text
        assert words.split(" to ")[0] in mail.html
    assert mail.key == "notice-1"


def test_the_text_of_a_notice_reads_well(database: Database) -> None:
    hand_off_ingrid(database)
    post = Post()
    send(database, post)
    assert post.mails[0].text == (Path(__file__).with_name("handoff.txt")).read_text()


def test_a_notice_asks_no_other_host_for_anything(database: Database) -> None:
    hand_off_ingrid(database)
    post = Post()
    send(database, post)
    html = post.mails[0].html
    assert "<link" not in html
    assert "@import" not in html
    assert "src=" not in html


def test_every_section_of_a_notice_has_the_width_of_the_mail(database: Database) -> None:
    hand_off_ingrid(database)
    post = Post()
    send(database, post)
    sections = sum((FOLDER / name).read_text().count("<mj-section") for name in ("handoff.mjml", "_why.mjml"))
    assert sections == 4
    assert post.mails[0].html.count("margin:0px auto;max-width:600px") == sections


def test_a_lead_cannot_write_into_the_notice(database: Database) -> None:
    apply(database)
    with database.write() as connection:
        lead_id = add_lead(
            connection, first_name="<script>{{ 7 * 7 }}", last_name="x\r\nBcc: all@example.com"
        )
        add_handoff(connection, lead_id)
    assign_handoffs(database, NOW)
    post = Post()
    send(database, post)
    (mail,) = post.mails
    assert "<script>" not in mail.html
    assert "\n" not in mail.subject
    assert "49" not in mail.subject


def test_a_sent_notice_is_not_sent_again(database: Database) -> None:
    hand_off_ingrid(database)
    post = Post()
    send(database, post)
    assert send(database, post) == Sent()
    assert len(post.mails) == 1
    with database.read() as connection:
        assert next_notice(connection) is None
        assert connection.scalar(select(NOTICE.c.sent_at)) == NOW


LENA = frozenset({"lena@example.com"})


@pytest.mark.parametrize("post", [Post(refused=LENA), Post(broken=LENA)], ids=["refused", "broken"])
def test_a_person_who_cannot_be_reached_blocks_nobody(database: Database, post: Post) -> None:
    hand_off_two(database)
    post = replace(post, mails=[])
    sent = send(database, post)
    assert (sent.sent, len(sent.failures)) == (1, 1)
    assert [mail.to for mail in post.mails] == ["marc@example.com"]
    with database.read() as connection:
        trouble = connection.scalar(select(NOTICE.c.trouble).where(NOTICE.c.person == "lena"))
        assert trouble == sent.failures[0][1]
        assert next_notice(connection) == MACHINE_NOW + timedelta(minutes=1)


def test_what_failed_is_tried_again_later_and_later(database: Database) -> None:
    hand_off_ingrid(database)
    down, up = Post(refused=LENA), Post()
    assert send(database, down).failures == ((1, "the address does not exist"),)
    assert send(database, up, machine_now=MACHINE_NOW + timedelta(seconds=59)) == Sent()
    again = MACHINE_NOW + timedelta(minutes=1)
    assert len(send(database, down, machine_now=again).failures) == 1
    with database.read() as connection:
        assert next_notice(connection) == again + timedelta(minutes=2)
    assert send(database, up, machine_now=again + timedelta(minutes=2)).sent == 1


def test_a_broken_template_blocks_no_other_kind(database: Database, tmp_path: Path) -> None:
    hand_off_two(database)
    watch_sla(database, NOW + 2 * HOUR)
    folder = shutil.copytree(FOLDER, tmp_path / "notice")
    (folder / "handoff.mjml").write_text("<mjml><mj-body>{% if %}</mj-body></mjml>")
    post = Post()
    sent = send(database, post, folder=folder, now=NOW + 2 * HOUR)
    assert (sent.sent, len(sent.failures)) == (2, 2)
    assert all(mail.subject.startswith("2 h left") for mail in post.mails)
    assert "handoff.mjml" in sent.failures[0][1]


def test_a_crash_while_sending_costs_a_delay_and_no_notice(database: Database) -> None:
    hand_off_ingrid(database)

    def crash(_: NoticeMail) -> str | None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send_notices(database, FOLDER, crash, LINKS, NOW, machine_now=MACHINE_NOW)
    post = Post()
    assert send(database, post, machine_now=MACHINE_NOW + timedelta(minutes=1)).sent == 1


def test_what_is_decided_is_not_told_any_more(database: Database) -> None:
    hand_off_ingrid(database)
    with database.write() as connection:
        connection.execute(update(HANDOFF).values(status="accepted"))
    post = Post()
    assert send(database, post) == Sent(cancelled=1)
    assert post.mails == []


def test_whoever_was_told_is_told_that_the_offer_is_withdrawn(database: Database) -> None:
    hand_off_ingrid(database)
    post = Post()
    send(database, post)
    with database.write() as connection:
        connection.execute(update(HANDOFF).values(status="withdrawn"))
        about = {"handoff_id": 1, "lead_id": select(HANDOFF.c.lead_id).scalar_subquery()}
        told = {**about, "kind": "withdrawn", "person": "lena", "status": "planned", "attempts": 0}
        connection.execute(insert(NOTICE).values(planned_at=NOW, **told))
    send(database, post)
    assert [mail.subject for mail in post.mails[1:]] == ["Withdrawn: Ingrid Solheim, Fjellheim Kraft"]
    assert "https://news.example.com/leads/1" in post.mails[1].text
    assert "/h/" not in post.mails[1].text + post.mails[1].html


def test_reminder_and_escalation_say_how_late_it_is(database: Database) -> None:
    hand_off_ingrid(database)
    post = Post()
    for hours in (0, 2, 4):
        watch_sla(database, NOW + hours * HOUR)
        send(database, post, now=NOW + hours * HOUR)
    assert [(mail.to, mail.subject) for mail in post.mails[1:]] == [
        ("lena@example.com", "2 h left: Ingrid Solheim, Fjellheim Kraft"),
        (
            "viktor@example.com",
            "No first contact with Ingrid Solheim, Fjellheim Kraft: Lena Ott owed it until today, 13:00",
        ),
    ]


def test_whoever_left_the_company_is_replaced_by_the_sales_lead(database: Database) -> None:
    hand_off_ingrid(database)
    with database.write() as connection:
        connection.execute(update(NOTICE).values(person="somebody who left"))
    post = Post()
    send(database, post)
    assert [mail.to for mail in post.mails] == ["viktor@example.com"]


def test_the_sample_notices_have_no_problems() -> None:
    assert notice_problems(FOLDER) == ()


def test_problems_of_notices_name_their_file(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "notice")
    (folder / "reminder.txt").write_text("{% if lead.name %}Hello {{ lead.nmae }}{% endif %}")
    (folder / "escalation.mjml").unlink()
    reminder, escalation = notice_problems(folder)
    assert "reminder" in reminder
    assert "nmae" in reminder
    assert "escalation.mjml is missing" in escalation
