"""The look at leads that changed, and what goes to sales, as Prefect flows. No run without work."""

import functools
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from prefect import State, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run, task_run
from prefect.states import Completed, Failed
from sqlalchemy import func, select

from flows.artifacts import show_failures
from flows.projects import project_at
from flows.runs import PARTLY_FAILED, Runs, rename_run, same_as
from flows.work import Work, once
from leadnurture import engine, sales
from leadnurture.app import Project, send_notices, upcoming
from leadnurture.domain.vocabulary import Track
from leadnurture.engine import Looked
from leadnurture.profile.telling import counted
from leadnurture.store.tables import metadata

logger = logging.getLogger("leadnurture.flows")

LOOK: Final = "look"
ASSIGN: Final = "assign"
WATCH: Final = "watch the SLA"
TELL: Final = "send notices"
# Deciding comes before telling, so that a notice that is decided now leaves in this run.
STEPS: Final = (ASSIGN, WATCH, TELL)
DONE: Final = {ASSIGN: "assigned", WATCH: "reminded or escalated", TELL: "told"}
SKIPPED: Final = "Skipped"
NOTHING: Final = "nothing was to be done"


def run_look(project: Project, track: Track, runs: Runs) -> Looked | None:
    """Looks at the leads of a track that changed; None when none did."""
    now = project.clock()
    due = upcoming(project, now).looks.get(track)
    if due is None or due > now:
        return None
    leads = _count_changed(project, track, now)
    work = Work([LOOK], lambda _: engine.look(project.database, track, now))
    if leads:
        runs.carry_out(work, functools.partial(_show_look, project, track, leads, now))
    return work.do(LOOK)


def _count_changed(project: Project, track: Track, now: datetime) -> int:
    """Zero when only accounts are to be looked at, which is worth no run."""
    lead = metadata.tables["lead"]
    with project.database.read() as connection:
        changed = select(func.count()).where(lead.c.track == track, lead.c.look_at <= now)
        return connection.execute(changed).scalar_one()


def _show_look(project: Project, track: Track, leads: int, now: datetime, key: str) -> object:
    return look(project=str(project.root), track=track, leads=leads, now=now, key=key, return_state=True)


def _name_of_look() -> str:
    given = flow_run.parameters
    return f"{given['track']} ({counted(given['leads'], 'lead')} changed)"


def _name_of_look_task() -> str:
    given = task_run.parameters
    return f"{given['track']} ({counted(given['leads'], 'lead')})"


@flow(flow_run_name=_name_of_look, persist_result=False)
def look(project: str, track: Track, leads: int, now: datetime, key: str) -> State[Any]:
    """Scores, enrolls, ends and qualifies the leads of a track about whom something changed."""
    return same_as(look_at(project, track, leads, now, key, return_state=True))


@task(name=LOOK, task_run_name=_name_of_look_task, persist_result=False, cache_policy=NO_CACHE)
def look_at(project: str, track: Track, leads: int, now: datetime, key: str) -> State[Any]:  # noqa: ARG001 - the name's
    """One look; safe to repeat."""
    done = once(key, LOOK, lambda: engine.look(project_at(project).database, track, now))
    counts = ("leads", "enrolled", "ended", "qualified", "switched")
    return Completed(message=", ".join(f"{getattr(done, name):,} {name}" for name in counts))


@dataclass(frozen=True)
class Sold:
    """What one of the three came to."""

    count: int
    failures: tuple[tuple[int, str], ...] = ()
    """(notice, why); they are tried again."""


def run_sales(project: Project, runs: Runs) -> dict[str, Sold] | None:
    """Assigns handoffs and tasks, watches the SLA, sends notices; None when there is nothing of it to do."""
    now = project.clock()
    due = upcoming(project, now).sales
    if due is None or due > now:
        return None
    with project.database.read() as connection:
        leads = sales.count_owed(connection, now)
    work = Work(STEPS, functools.partial(_sell, project, now))
    runs.carry_out(work, functools.partial(_show_sales, project, leads, now))
    done = {step: work.do(step) for step in STEPS}
    for notice_id, why in done[TELL].failures:
        logger.warning("Notice %d was not sent and is tried again: %s", notice_id, why)
    return done


def _sell(project: Project, now: datetime, step: str) -> Sold:
    if step == ASSIGN:
        assigned = sales.assign_handoffs(project.database, now)
        return Sold(assigned + sales.assign_tasks(project.database, now))
    if step == WATCH:
        return Sold(sales.watch_sla(project.database, now))
    sent = send_notices(project, now)
    return Sold(sent.sent, sent.failures)


def _show_sales(project: Project, leads: int, now: datetime, key: str) -> object:
    return handoff(project=str(project.root), leads=leads, now=now, key=key, return_state=True)


def _name_of_sales() -> str:
    return f"handoffs ({counted(flow_run.parameters['leads'], 'lead')})"


@flow(flow_run_name=_name_of_sales, persist_result=False)
def handoff(project: str, leads: int, now: datetime, key: str) -> State[Any]:  # noqa: ARG001 - the count stands in the name
    """Gives open handoffs and tasks to people, watches what sales owes, and tells them."""
    states = [sales_task(project, step, now, key, return_state=True) for step in STEPS]
    failed = next((state for state in states if not state.is_completed()), None)
    if failed is not None:
        return same_as(failed)
    told = ", ".join(str(state.message) for state in states if state.name != SKIPPED) or NOTHING
    if any(state.name == PARTLY_FAILED for state in states):
        rename_run(f"handoffs ({told})")
        return Completed(name=PARTLY_FAILED, message=told)
    return Completed(message=told)


@task(task_run_name="{step}", persist_result=False, cache_policy=NO_CACHE)
def sales_task(project: str, step: str, now: datetime, key: str) -> State[Any]:
    """One of the three; safe to repeat."""
    done = once(key, step, lambda: _sell(project_at(project), now, step))
    if done.failures:
        show_failures("notices", [{"notice": notice_id, "why": why} for notice_id, why in done.failures])
        told = f"{done.count} {DONE[step]}, {len(done.failures)} failed"
        return Completed(name=PARTLY_FAILED, message=told) if done.count else Failed(message=told)
    if not done.count:
        return Completed(name=SKIPPED, message=NOTHING)
    return Completed(message=f"{done.count} {DONE[step]}")
