"""Sending as a Prefect flow: planned messages go to the provider. No run without mails."""

import functools
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
from flows.work import Work, once, result_so_far
from leadnurture import mail
from leadnurture.app import Project, machine_now
from leadnurture.mail import Delivered
from leadnurture.profile.telling import counted
from leadnurture.store.tables import metadata

BATCH: Final = 2_000
"""Mails a run at most, so that new mail that is due sooner never waits long."""
FAILURES_SHOWN: Final = 200
SEND: Final = "send"
COUNTS: Final = ("sent", "failed", "unknown", "again", "refused", "moved")


def run_delivery(project: Project, runs: Runs) -> Delivered | None:
    """Sends what is due; None when nothing is."""
    now = project.clock()
    mails = min(_count_due(project, now), BATCH)
    if not mails:
        return None
    work = Work([SEND], lambda _: _deliver(project, now))
    runs.carry_out(work, functools.partial(_show, project, mails, now))
    return work.do(SEND)


def changed_anything(done: Delivered | None) -> bool:
    """Whether there may be more to send at once."""
    return done is not None and any(getattr(done, name) for name in COUNTS if name != "again")


def _deliver(project: Project, now: datetime) -> Delivered:
    return mail.deliver(
        project.database,
        project.provider,
        project.links,
        now,
        machine_now=machine_now(),
        parallel=project.settings.mail_parallel,
        limit=BATCH,
    )


def _show(project: Project, mails: int, now: datetime, key: str) -> object:
    done = result_so_far(key, SEND)
    mails = sum(getattr(done, name) for name in COUNTS) if done else mails
    return deliver(project=str(project.root), mails=mails, now=now, key=key, return_state=True)


def _name_of_run() -> str:
    return f"deliver ({counted(flow_run.parameters['mails'], 'mail')})"


def _name_of_task() -> str:
    return f"send ({counted(task_run.parameters['mails'], 'mail')})"


@flow(flow_run_name=_name_of_run, persist_result=False)
def deliver(project: str, mails: int, now: datetime, key: str) -> State[Any]:
    """Hands the mails that are due to the provider."""
    state = send(project, mails, now, key, return_state=True)
    if state.name == PARTLY_FAILED:
        rename_run(f"deliver ({state.message})")
    return same_as(state)


@task(name=SEND, task_run_name=_name_of_task, persist_result=False, cache_policy=NO_CACHE)
def send(project: str, mails: int, now: datetime, key: str) -> State[Any]:  # noqa: ARG001 - the count stands in the name
    """Sends once, whoever asks; failures become a badge on the task."""
    done = once(key, SEND, lambda: _deliver(project_at(project), now))
    if done.failures:
        outbox = f"{project_at(project).url}/outbox"
        rows = [
            {"mail": message_id, "why": why, "page": f"{outbox}/{message_id}"}
            for message_id, why in done.failures[:FAILURES_SHOWN]
        ]
        show_failures("failures", rows)
    return state_of(done)


def state_of(done: Delivered) -> State[Any]:
    """How a delivery went, as Prefect shows it: some failed is still completed, all failed is not."""
    failed = done.failed + done.unknown
    counts = [f"{getattr(done, name):,} {name}" for name in COUNTS if getattr(done, name)]
    told = ", ".join(counts) or "nothing was to be sent"
    if not failed:
        return Completed(message=told)
    return Completed(name=PARTLY_FAILED, message=told) if done.sent else Failed(message=told)


def _count_due(project: Project, now: datetime) -> int:
    message = metadata.tables["message"]
    due = select(func.count()).where(message.c.status == "planned", message.c.send_at <= now)
    with project.database.read() as connection:
        return connection.execute(due).scalar_one()
