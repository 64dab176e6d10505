"""A small world behind the doors: the sample company, applied, and a few leads in the midst of it."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, insert, select, update

from leadnurture import access, engine
from leadnurture.access import passwords
from leadnurture.app import Examined, examine, machine_now
from leadnurture.cli.logs import QUIET
from leadnurture.definitions import dump_ask
from leadnurture.domain.asking import Ask
from leadnurture.domain.roles import Role
from leadnurture.domain.words import words_of, words_of_address
from leadnurture.links import Links
from leadnurture.mail.rendering import rendering
from leadnurture.settings import Settings
from leadnurture.store import Database
from leadnurture.store.tables import metadata
from leadnurture.web import create_app
from tests.web.client import Client

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 12, 9, 10, 40, tzinfo=UTC)
"""A Wednesday, 11:40 in the company's zone."""
APPLIED = NOW - timedelta(days=30)
KEY = "the-key-of-the-tests-which-is-long"
SECRET = "a secret of the tests"
PASSWORD = "a password of the tests"
COOKIE = "leadnurture-8080-sign-in"
HOSTILE = "<script>alert(1)</script>{{ 7*7 }}"


@dataclass
class Desk:
    """The project as the web sees it, with a clock that a test can set."""

    settings: Settings
    database: Database
    links: Links
    now: datetime = NOW

    def clock(self) -> datetime:
        return self.now


@dataclass
class World:
    """Ids of the rows that the tests speak of."""

    desk: Desk
    leads: dict[str, int] = field(default_factory=dict)
    message: int = 0
    asking: int = 0
    """A mail whose content asks something."""
    last_call: int = 0
    handoff: int = 0
    overdue: int = 0

    def tokens(self) -> dict[str, str]:
        """Every kind of public link, by the name of what it does; paths below the site."""
        links = self.desk.links
        urls = {
            "click": links.click(self.message, "link"),
            "unsubscribe": links.unsubscribe(self.leads["ingrid"], self.message),
            "preferences": links.preferences(self.leads["ingrid"], self.message),
            "register": links.register(self.message, "january"),
            "decline": links.decline(self.message, "january"),
            "download": links.download(self.message),
            "handoff": links.handoff(self.handoff, self.desk.now),
            "ask": links.ask(self.asking),
        }
        return {name: url.removeprefix("http://127.0.0.1") for name, url in urls.items()}

    def rows(self, table: str, **where: object) -> list[dict[str, Any]]:
        """The rows of a table, oldest first."""
        columns = metadata.tables[table].c
        question = select(*columns).where(*(columns[name] == value for name, value in where.items()))
        with self.desk.database.read() as connection:
            return [dict(row._mapping) for row in connection.execute(question.order_by(*columns))]

    def standing_of(self, lead: str) -> dict[str, Any]:
        """What a reaction that counts may change of a lead and of the programs that it is in."""
        (row,) = self.rows("lead", id=self.leads[lead])
        where = [(one["step"], one["status"]) for one in self.rows("enrollment", lead_id=self.leads[lead])]
        return {name: row[name] for name in ("track", "stage", "fit", "engagement", "score")} | {"in": where}

    def ask_one_of_us(self, lead: str, ask: Ask | None = None, person: str = "lena") -> int:
        """An open task of a person about a lead, for which a program waits; its id."""
        tables = metadata.tables
        with self.desk.database.write() as connection:
            version = connection.scalar(select(tables["program_version"].c.id).limit(1))
            mine = tables["enrollment"].c.lead_id == self.leads[lead]
            enrollment = connection.scalar(select(tables["enrollment"].c.id).where(mine)) or add(
                connection,
                "enrollment",
                lead_id=self.leads[lead],
                program="scaling-series",
                version_id=version,
                status="active",
                step="invite",
                arrived_at=NOW,
                acted=True,
                started_at=NOW,
            )
            return add(
                connection,
                "task",
                lead_id=self.leads[lead],
                enrollment_id=enrollment,
                program="scaling-series",
                step="call",
                visit=len(connection.execute(select(tables["task"])).all()) + 1,
                text=f"Ask {HOSTILE}",
                wanted=person,
                person=person,
                ask=None if ask is None else dump_ask(ask),
                status="open",
                opened_at=NOW,
            )

    def take_seats(self, session: str, *leads: str) -> None:
        """Leads who have a seat in a session of the scaling webinar, since long before."""
        told = [
            engine.NewReaction(
                "registered",
                f"{session}-{lead}",
                "web",
                lead_id=self.leads[lead],
                content="scaling-1",
                session=session,
            )
            for lead in leads
        ]
        assert engine.record_reactions(self.desk.database, told, APPLIED).recorded == len(leads)

    def only(self, seats: int) -> None:
        """The scaling webinar has so many seats."""
        content = metadata.tables["content"]
        with self.desk.database.write() as connection:
            its = update(content).where(content.c.name == "scaling-1")
            connection.execute(its.values(seats=seats))

    def write_back(self, lead: str, text: str) -> None:
        """A lead's answer, which nobody has sorted."""
        with self.desk.database.write() as connection:
            post = add(
                connection,
                "inbox",
                source="inbound",
                body=text.encode(),
                received_at=NOW,
                status="done",
                attempts=1,
            )
            add(
                connection,
                "reply",
                inbox_id=post,
                lead_id=self.leads[lead],
                message_id=self.message,
                matched_by="token",
                at=NOW,
                sender=f"{lead}@example.com",
                subject=f"Re: {HOSTILE}",
                text=text,
            )

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, to see that nothing has changed."""
        with self.desk.database.read() as connection:
            return {
                name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
                for name, table in metadata.tables.items()
            }


@pytest.fixture(scope="session")
def sample() -> Examined:
    """The sample company, read once."""
    return examine(ROOT, APPLIED)


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    """An opened project on a database without any row."""
    settings = Settings(project=tmp_path, api_key=SecretStr(KEY), secret=SecretStr(SECRET))
    desk = Desk(settings, database, Links(SECRET, "http://127.0.0.1"))
    access.take_up_key(database, KEY, "the tests", NOW)
    return desk


@pytest.fixture
def world(desk: Desk, sample: Examined) -> World:
    """The sample company, applied, with people who were mailed, reacted and were handed off."""
    assert sample.definitions is not None, sample.errors
    engine.apply_definitions(desk.database, sample.definitions, sample.templates, APPLIED)
    world = World(desk)
    with desk.database.write() as connection:
        _people(connection, world)
        _mails(connection, world)
        _handoffs(connection, world)
    return world


@pytest.fixture
def client(world: World) -> Client:
    """Speaks with the app as a program on the same machine would."""
    return Client(create_app(world.desk))


SignIn = Callable[..., Client]


@pytest.fixture(scope="session")
def hashed() -> str:
    """What is kept of the password of everybody in the tests."""
    return passwords.hashed(PASSWORD)


@pytest.fixture
def signed_in(desk: Desk, hashed: str) -> SignIn:
    """`signed_in("sales", "lena")` speaks as the browser in which Lena is signed in, with that role."""

    def sign_in(role: Role, name: str = "", **options: Any) -> Client:  # noqa: ANN401 - of the client
        client = Client(create_app(desk), **options)
        client.cookies[COOKIE] = cookie(desk, add_user(desk, name or f"a-{role}", role, hashed))
        client.headers["Sec-Fetch-Site"] = "same-origin"
        return client

    return sign_in


def add_user(desk: Desk, name: str, role: Role, hashed: str) -> int:
    """A user with the password of the tests, unless there is one; his id."""
    with desk.database.write() as connection:
        users = metadata.tables["tool_user"]
        known = connection.scalar(select(users.c.id).where(users.c.name_key == name))
        row = {"name": name, "name_key": name, "role": role, "password": hashed, "created_at": NOW}
        return known or add(connection, "tool_user", **row)


def cookie(desk: Desk, user_id: int) -> str:
    """What a browser shows in which that user has just signed in."""
    now = machine_now()
    return access.Browsers(SECRET).show(access.begin_again(desk.database, user_id, now), now)


SECRETS = re.compile(
    rf"{KEY}|{PASSWORD}|{SECRET}|[$]argon2|\bln_[\w-]{{40}}|[0-9]+~[\w.~%-]*[.][\w-]{{20}}|[\w-]{{43}}|@example[.]com"
)


@pytest.fixture(autouse=True)
def nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test of the web leaves a password, a key, a token or an address in a log, however much is logged."""
    caplog.set_level(logging.DEBUG)
    for name in QUIET:  # as the product has it at any level
        caplog.set_level(logging.WARNING, name)
    yield
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    told = [caplog.handler.format(record) for record in records]
    assert [line for line in told if SECRETS.search(line)] == []


def add(connection: Connection, table: str, **values: object) -> int:
    """Inserts a row; its id."""
    key = connection.execute(insert(metadata.tables[table]).values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0]) if isinstance(key[0], int) else 0


def _people(connection: Connection, world: World) -> None:
    account = add(
        connection,
        "account",
        name="Fjellheim Kraft",
        name_key="fjellheim kraft",
        domain="fjellheim.example",
        created_at=APPLIED,
    )
    add(connection, "account_fact", account_id=account, name="employees", number=1400)
    hostile = add(connection, "account", name=HOSTILE, name_key="hostile", created_at=APPLIED)
    people = [
        ("ingrid", "Ingrid", "Solheim", "Head of Platform", account, "prospects", "handed_off"),
        ("sverre", "Sverre", "Haugland", "Chief Financial Officer", account, "prospects", "engaged"),
        ("mallory", HOSTILE, '"><img src=x onerror=alert(1)>', "head", hostile, "prospects", "handed_off"),
        ("carla", "Carla", "Client", "head", hostile, "clients", "new"),
    ]
    for index, (name, first, last, role, company, track, stage) in enumerate(people):
        world.leads[name] = add(
            connection,
            "lead",
            email=f"{name}@example.com",
            email_key=f"{name}@example.com",
            first_name=first,
            last_name=last,
            account_id=company,
            track=track,
            stage=stage,
            stage_since=NOW - timedelta(hours=3),
            country="NO",
            language="en",
            role=role,
            source="Report download",
            zone="Europe/Oslo",
            zone_given="Europe/Oslo",
            luck=index,
            fit=55,
            engagement=73 - index,
            score=128 - index,
            created_at=APPLIED,
        )
        company_name = HOSTILE if company == hostile else "Fjellheim Kraft"
        for word in words_of(first, last, company_name) | words_of_address(f"{name}@example.com"):
            add(connection, "lead_word", lead_id=world.leads[name], word=word)
        add(
            connection,
            "consent",
            lead_id=world.leads[name],
            purpose="marketing",
            given_at=APPLIED,
            source="form",
            wording="Yes, write to me",
        )


def _mails(connection: Connection, world: World) -> None:
    version = connection.execute(
        select(metadata.tables["program_version"].c.id).where(
            metadata.tables["program_version"].c.program == "scaling-series"
        )
    ).scalar_one()
    ingrid = world.leads["ingrid"]
    enrollment = add(
        connection,
        "enrollment",
        lead_id=ingrid,
        program="scaling-series",
        version_id=version,
        status="paused",
        step="seat",
        visit=1,
        arrived_at=NOW - timedelta(days=8),
        seen_reaction_id=0,
        acted=True,
        wave=1,
        session_content="scaling-1",
        session="january",
        started_at=NOW - timedelta(days=20),
        paused_at=NOW - timedelta(hours=3),
        pause="handoff",
        deadline_at=NOW + timedelta(days=5),
        due_at=NOW + timedelta(days=5),
    )
    add(
        connection,
        "transition",
        enrollment_id=enrollment,
        lead_id=ingrid,
        at=NOW - timedelta(days=20),
        to_step="invite",
        visit=1,
        status="active",
        rule='enter stage < "qualified" and interest("scaling")',
    )
    add(
        connection,
        "transition",
        enrollment_id=enrollment,
        lead_id=ingrid,
        at=NOW - timedelta(days=8),
        from_step="invite",
        to_step="seat",
        visit=1,
        status="active",
        rule="on registered",
        saw=HOSTILE,
    )
    shared = {
        "enrollment_id": enrollment,
        "lead_id": ingrid,
        "program": "scaling-series",
        "visit": 1,
        "track": "prospects",
        "late": "next window",
        "planned_at": NOW - timedelta(days=15),
        "send_at": NOW - timedelta(days=15),
        "priority": 0,
        "needs_consent": True,
        "attempt": 1,
        "status": "delivered",
        "sent_at": NOW - timedelta(days=15),
    }
    world.message = add(
        connection,
        "message",
        step="invite",
        content="scaling-1",
        session_content="scaling-1",
        session="january",
        **shared,
        **_rendered(connection, "scaling-1"),
    )
    world.asking = add(
        connection,
        "message",
        **{**shared, "visit": 2},
        step="thanks",
        content="expo-thanks",
    )
    world.last_call = add(
        connection,
        "message",
        step="last-call",
        content="webinar-last-call",
        session_content="scaling-1",
        session="january",
        **shared,
    )


def _rendered(connection: Connection, content: str) -> dict[str, str]:
    """Template and frozen facts of a mail, as sending it leaves them; hostile wherever it can be."""
    sources, tracks = metadata.tables["source"], metadata.tables["content_track"]
    of_prospects = tracks.c.content == content, tracks.c.track == "prospects"
    source = connection.execute(
        select(sources).join(tracks, tracks.c.hash == sources.c.hash).where(*of_prospects)
    ).one()
    values: dict[str, Any] = {}
    for path in rendering(source.subject, source.html, source.text).paths:
        if path.attribute is None:
            values[path.root] = f"http://127.0.0.1/{path.root}"
        else:
            values.setdefault(path.root, {})[path.attribute] = f"{HOSTILE} {path.root}"
    return {"template": source.hash, "facts": json.dumps({"values": values})}


def _handoffs(connection: Connection, world: World) -> None:
    reactions = [
        ("attended", "scaling-1", None, 20),
        ("downloaded", "downtime-costs", None, 10),
        ("visited", None, "/pricing", 15),
    ]
    for name in ("ingrid", "mallory"):
        lead = world.leads[name]
        for days, (kind, content, argument, points) in enumerate(reactions, 1):
            at = NOW - timedelta(days=days)
            reaction = add(
                connection,
                "reaction",
                lead_id=lead,
                kind=kind,
                content=content,
                argument=argument,
                at=at,
                recorded_at=at,
                counts_at=at,
                source="api",
                key=f"{name}:{kind}",
                natural_key=f"{name}:{kind}",
            )
            add(
                connection,
                "point",
                lead_id=lead,
                track="prospects",
                rule=kind,
                subject=content or "2026-12-06",
                points=points,
                reaction_id=reaction,
                agreement="2026-12-01",
                begins_at=at,
                ends_at=at + timedelta(days=90),
            )
    shared = {
        "track": "prospects",
        "status": "open",
        "opened_at": NOW - timedelta(hours=3),
        "agreement": "2026-12-01",
        "fit": 55,
        "engagement": 73,
        "score": 128,
        "stage_before": "qualified",
        "reason": "fit >= 40 and engagement >= 30",
    }
    world.handoff = add(
        connection,
        "handoff",
        lead_id=world.leads["ingrid"],
        assigned_to="lena",
        due_at=NOW + timedelta(minutes=80),
        **shared,
    )
    world.overdue = add(
        connection,
        "handoff",
        lead_id=world.leads["mallory"],
        assigned_to="marc",
        due_at=NOW - timedelta(minutes=30),
        **shared,
    )
