"""Tasks and notices of programs find their person; missing facts are asked for; what is not wanted ends."""

from datetime import timedelta
from threading import Barrier, Thread

from sqlalchemy import delete, select, update

from leadnurture import engine
from leadnurture.definitions import dump_ask
from leadnurture.domain.asking import Ask, Question
from leadnurture.reports import open_tasks, render_tasks
from leadnurture.sales import assign_tasks, count_owed, next_notice, next_sla
from leadnurture.store import Database, open_database
from leadnurture.store.tables import metadata
from tests.profile.rows import (
    HOUR,
    NOW,
    add,
    add_account,
    add_enrollment,
    add_lead,
    apply,
    count_statements,
)
from tests.sales.test_notices import Post, send

TASK = metadata.tables["task"]
NOTICE = metadata.tables["notice"]
ENROLLMENT = metadata.tables["enrollment"]
ALMOST = metadata.tables["almost_qualified"]
FEEDBACK = Ask((Question("feedback", "feedback", choices=("interested", "later", "no")),))


def give(
    database: Database, wanted: str = "lena", *, owner: str | None = None, track: str = "prospects"
) -> int:
    """A task that a program has just made about a new lead; its id."""
    with database.write() as connection:
        count = len(connection.execute(select(metadata.tables["lead"].c.id)).all())
        account = add_account(connection, f"Account {count}", owner=owner)
        lead = add_lead(connection, f"Lead Number{count}", account_id=account, track=track)
        enrollment = add_enrollment(connection, lead, "scaling-series", "invite", due_at=None)
        return add(
            connection, "task", lead_id=lead, enrollment_id=enrollment, program="scaling-series",
            step="invite", visit=1, text="Ask what they use today", wanted=wanted, ask=dump_ask(FEEDBACK),
            status="open", opened_at=NOW,
        )  # fmt: skip


def tell(database: Database, wanted: str, key: str = "1/call/1/step") -> None:
    with database.write() as connection:
        lead = add_lead(connection, "Ann One", email=f"{key}@example.com")
        add(
            connection, "notice", lead_id=lead, key=key, kind="tell", text="He asked for a call",
            wanted=wanted, status="planned", planned_at=NOW, attempts=0,
        )  # fmt: skip


def almost(database: Database, name: str, **lead: object) -> int:
    with database.write() as connection:
        lead_id = add_lead(connection, name, role="", **lead)
        add(connection, "almost_qualified", lead_id=lead_id, missing="account.name, role", since_at=NOW)
        return lead_id


def rows(database: Database, table: str) -> list[dict[str, object]]:
    with database.read() as connection:
        found = connection.execute(select(metadata.tables[table]).order_by(metadata.tables[table].c.id))
        return [dict(row) for row in found.mappings()]


def people(database: Database) -> list[object]:
    return [row["person"] for row in rows(database, "task")]


def test_a_task_goes_to_the_person_or_role_that_is_wanted(database: Database) -> None:
    apply(database)
    give(database, "lena")
    give(database, "account manager", owner="paul")
    give(database, "marketer")
    assert assign_tasks(database, NOW) == 3
    assert people(database) == ["lena", "paul", "dana"]


def test_whoever_is_away_is_passed_over_and_nothing_stays_with_nobody(database: Database) -> None:
    apply(database)
    give(database, "marc")  # away over Christmas, Lena stands in
    give(database, "account manager")  # the account has none
    assert assign_tasks(database, NOW + timedelta(days=21)) == 2
    assert people(database) == ["lena", "viktor"]


def test_a_task_is_told_once_by_a_mail_with_its_link(database: Database) -> None:
    apply(database)
    task = give(database)
    assert assign_tasks(database, NOW) == 1
    assert assign_tasks(database, NOW) == 0
    post = Post()
    assert send(database, post).sent == 1
    (mail,) = post.mails
    assert mail.to == "lena@example.com"
    assert mail.subject == "Ask what they use today: Lead Number0, Account 0"
    for words in (f"https://news.example.com/a/token-{task}", "Scaling in practice", "Lead Number0"):
        assert words in mail.text
        assert words in mail.html
    assert send(database, post).sent == 0


def test_what_was_answered_before_the_mail_left_is_not_told(database: Database) -> None:
    apply(database)
    task = give(database)
    assign_tasks(database, NOW)
    engine.answer(database, engine.Given("feedback", "no", "lena"), NOW, task_id=task)
    post = Post()
    assert send(database, post).cancelled == 1
    assert post.mails == []


def test_a_tell_reaches_whom_the_role_means(database: Database) -> None:
    apply(database)
    tell(database, "sales lead")
    with database.read() as connection:
        assert next_notice(connection) is None
        assert next_sla(connection) == NOW
        assert count_owed(connection, NOW) == 1
    assert assign_tasks(database, NOW) == 1
    post = Post()
    assert send(database, post).sent == 1
    (mail,) = post.mails
    assert (mail.to, mail.subject) == ("viktor@example.com", "He asked for a call: Ann One")
    assert "Nothing waits for an answer" in mail.text


def test_who_misses_a_fact_is_a_task_for_the_owner_of_the_stage(database: Database) -> None:
    apply(database)
    lead = almost(database, "Eve Five")
    with database.read() as connection:
        assert next_sla(connection) == NOW
    assert assign_tasks(database, NOW) == 1
    assert assign_tasks(database, NOW) == 0
    (row,) = rows(database, "task")
    assert (row["lead_id"], row["person"]) == (lead, "dana")
    assert row["text"] == "Find out what is missing: account.name, role"
    with database.read() as connection:
        (shown,) = open_tasks(connection, NOW).rows
        assert shown.question is not None
        assert shown.question.name == "account.name"
        assert next_sla(connection) is None
    post = Post()
    assert send(database, post).sent == 1
    assert "sales can have this lead" in post.mails[0].html


def test_an_answer_to_it_is_no_act_of_the_lead(database: Database) -> None:
    apply(database)
    lead = almost(database, "Eve Five")
    assign_tasks(database, NOW)
    (task,) = rows(database, "task")
    for name, words in (("account.name", "Fives & Co"), ("role", "Head")):
        engine.answer(database, engine.Given(name, words, "dana"), NOW, task_id=int(str(task["id"])))
    assert rows(database, "reaction") == []
    (known,) = [row for row in rows(database, "lead") if row["id"] == lead]
    assert known["role"] == "head"
    assert [row["name"] for row in rows(database, "account")] == ["Fives & Co"]
    assert [row["status"] for row in rows(database, "task")] == ["done"]


def test_once_the_fact_has_come_otherwise_the_task_is_wanted_no_more(database: Database) -> None:
    apply(database)
    lead = almost(database, "Eve Five")
    assign_tasks(database, NOW)
    with database.write() as connection:
        connection.execute(delete(ALMOST).where(ALMOST.c.lead_id == lead))
    with database.read() as connection:
        assert open_tasks(connection, NOW).total == 0
    post = Post()
    assert send(database, post).cancelled == 1
    give(database)
    assign_tasks(database, NOW)
    assert [row["status"] for row in rows(database, "task")] == ["withdrawn", "open"]


def test_it_is_asked_again_when_it_happens_again(database: Database) -> None:
    apply(database)
    lead = almost(database, "Eve Five")
    assign_tasks(database, NOW)
    with database.write() as connection:
        connection.execute(update(TASK).values(status="refused"))
    assert assign_tasks(database, NOW) == 0
    with database.write() as connection:
        connection.execute(delete(ALMOST))
        add(connection, "almost_qualified", lead_id=lead, missing="role", since_at=NOW + HOUR)
    assert assign_tasks(database, NOW + HOUR) == 1


def test_a_task_of_a_program_that_has_ended_is_wanted_no_more(database: Database) -> None:
    apply(database)
    give(database)
    assign_tasks(database, NOW)
    with database.write() as connection:
        connection.execute(update(ENROLLMENT).values(status="exited"))
    with database.read() as connection:
        assert open_tasks(connection, NOW).rows == ()
    assert send(database, Post()).cancelled == 1


def test_own_tasks_come_first_then_the_oldest(database: Database) -> None:
    apply(database)
    for wanted in ("dana", "lena", "dana"):
        give(database, wanted)
    assign_tasks(database, NOW)
    with database.read() as connection:
        shown = open_tasks(connection, NOW, track="prospects", me="lena")
        assert [(row.id, row.is_own) for row in shown.rows] == [(2, True), (1, False), (3, False)]
        assert open_tasks(connection, NOW, track="clients").total == 0
        told = render_tasks(shown)
    assert "Ask what they use today" in told
    assert "feedback: interested, later, no" in told


def test_many_tasks_cost_as_many_statements_as_few(database: Database) -> None:
    apply(database)

    def cost(size: int) -> int:
        for _ in range(size):
            give(database)
            tell(database, "lena", f"{len(rows(database, 'notice'))}/call/1/step")
        return count_statements(database, lambda: assign_tasks(database, NOW))

    cost(1)
    assert cost(2) == cost(60)

    def look(database: Database) -> int:
        def ask() -> None:
            with database.read() as connection:
                open_tasks(connection, NOW)

        return count_statements(database, ask)

    assert look(database) < 40


def test_two_workers_assign_each_task_once(postgres_url: str) -> None:
    first, second = open_database(postgres_url), open_database(postgres_url)
    apply(first)
    for _ in range(20):
        give(first)
    almost(first, "Eve Five")
    barrier = Barrier(2)

    def work(database: Database) -> None:
        barrier.wait()
        assign_tasks(database, NOW)

    workers = [Thread(target=work, args=(database,)) for database in (first, second)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(rows(first, "notice")) == 21
    assert None not in people(first)
    first.dispose()
    second.dispose()
