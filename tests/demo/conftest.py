"""The demo without processes: the engine, mails and handoffs driven in a loop, the doors asked directly."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import pytest
from sqlalchemy import event

from leadnurture import app, engine, mail, sales
from leadnurture.app import Project, Upcoming, machine_now, upcoming
from leadnurture.demo.audience import Audience
from leadnurture.demo.director import BEGINS, Director, Happening
from leadnurture.demo.roles import CALLED_OFF, MOVED
from leadnurture.demo.stage import change_sessions, set_up
from leadnurture.demo.visits import Visitor
from leadnurture.web import create_app
from tests.plans import Plans
from tests.web.client import Client


@dataclass
class Play:
    """A demo whose time is let pass by the test."""

    project: Project
    audience: Audience
    director: Director
    plans: Plans

    def until(self, instant: datetime) -> None:
        """Lets time pass until an instant."""
        while self.director.now < instant:
            assert self.director.step()


def due_at(project: Project, now: datetime) -> Upcoming:
    """What the worker sees, by whom a held clock is respected."""
    due = upcoming(project, now)
    return due.held() if project.is_held() else due


def do_all_that_is_due(project: Project, now: datetime) -> bool:
    """What the worker does, by the same calls, without Prefect."""
    database = project.database
    while True:
        due = due_at(project, now)
        if due.earliest is None or due.earliest > now:
            return True
        engine.judge(database, now)
        for track, at in due.looks.items():
            if at <= now:
                engine.look(database, track, now)
        for program in due_at(project, now).waves:
            begun = engine.begin_wave(database, program, "the test", now, machine_now())
            if begun is not None:
                done = [
                    engine.run_step(database, program, step, begun.number, now) for step, _ in begun.steps
                ]
                engine.finish_wave(database, begun, done, "the test", 0.0)
        due = due_at(project, now)
        if due.sending is not None and due.sending <= now:
            mail.deliver(database, project.provider, project.links, now, machine_now=machine_now())
        if due.sales is not None and due.sales <= now:
            sales.assign_handoffs(database, now)
            sales.assign_tasks(database, now)
            sales.watch_sla(database, now)
            app.send_notices(project, now)


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """The first morning: everything is applied and imported, nothing is done."""
    state = random.getstate()
    project, report = set_up(tmp_path_factory.mktemp("demo"))
    random.setstate(state)
    assert report.created == 1_000
    event.listen(
        project.database.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF")
    )
    project.database.engine.pool.dispose()
    key = project.settings.api_key.get_secret_value()
    visitor = Visitor(Client(create_app(project)), key)
    audience = Audience(project.database, project.definitions(), project.settings.outbox, visitor, BEGINS)

    def call_off(sessions: tuple[tuple[str, str], ...]) -> None:
        change_sessions(project, sessions)
        audience.call_off(sessions)

    def move(session: tuple[str, str], starts_at: datetime) -> None:
        change_sessions(project, [session], starts_at)
        audience.move(session, starts_at)

    happenings = [
        *(Happening(at, partial(call_off, sessions)) for at, sessions in CALLED_OFF),
        *(Happening(at, partial(move, session, starts_at)) for at, session, starts_at in MOVED),
    ]
    plans = Plans()

    def work(now: datetime) -> bool:
        with plans.watched(project.database.engine):
            return do_all_that_is_due(project, now)

    yield Play(project, audience, Director(project, audience, work, happenings), plans)
    project.close()
