"""A program as a Prefect flow: one task per step, wired as the program branches. A run is a wave.

Every step is drawn in every wave, in the order of the file, whether or not anybody is due at it: so all runs
of a program look alike, and the number behind each step's name is what to look at.
"""

import functools
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from prefect import Flow, State, Task, allow_failure, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run, task_run
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from sqlalchemy import func, select

from flows.artifacts import show_chart
from flows.projects import project_at
from flows.runs import Runs
from flows.work import Work, once, result_so_far
from leadnurture import engine
from leadnurture.app import Project, machine_now
from leadnurture.domain.program import Program
from leadnurture.engine import StepDone, WaveBegun
from leadnurture.profile.telling import counted
from leadnurture.store.tables import metadata

logger = logging.getLogger("leadnurture.flows")

WAVE_SECONDS: Final = 20.0
"""After so long a wave ends and the program is due again, woken leads first."""


@dataclass(frozen=True)
class WaveDone:
    """What a wave came to."""

    program: str
    wave: int
    due: int
    moved: int
    planned: int
    ended: int
    failed: tuple[str, ...]
    """The steps that failed; nothing of theirs is lost, they are due again."""
    seconds: float


def run_wave(project: Project, program: str, owner: str, runs: Runs) -> WaveDone | None:
    """Runs all that is due in a program; None when nothing is, or when another worker is at it."""
    now = project.clock()
    begun = engine.begin_wave(project.database, program, owner, now, machine_now())
    if begun is None:
        return None
    started = time.monotonic()
    until = started + WAVE_SECONDS
    work = Work([name for name, _ in begun.steps], functools.partial(_run_step, project, begun, now, until))
    try:
        runs.carry_out(work, functools.partial(_show, project, begun, now))
    finally:
        seconds = time.monotonic() - started
        engine.finish_wave(project.database, begun, list(work.results.values()), owner, seconds)
    return _told(begun, work, seconds)


def _run_step(project: Project, begun: WaveBegun, now: datetime, until: float, step: str) -> StepDone:
    return engine.run_step(project.database, begun.program, step, begun.number, now, until=until)


def _told(begun: WaveBegun, work: Work[StepDone], seconds: float) -> WaveDone:
    """The sum of the steps; what failed is logged here, whether or not Prefect shows it."""
    for step, error in work.errors.items():
        logger.error("Step %s of %s failed in wave %d", step, begun.program, begun.number, exc_info=error)
    done = work.results.values()
    moved, planned, ended = (
        sum(getattr(each, name) for each in done) for name in ("moved", "planned", "ended")
    )
    return WaveDone(
        begun.program, begun.number, begun.due, moved, planned, ended, tuple(work.errors), seconds
    )


def _show(project: Project, begun: WaveBegun, now: datetime, key: str) -> object:
    """Makes the flow run of a wave."""
    program = project.definitions().program(begun.program)
    steps = [name for name, _ in begun.steps]
    return wave_flow(program.name, program.title)(
        project=str(project.root),
        program=program.name,
        wave=begun.number,
        due=begun.due,
        now=now,
        steps=steps,
        follows=forward_edges(program, steps),
        key=key,
        return_state=True,
    )


def forward_edges(program: Program, steps: Sequence[str]) -> dict[str, list[str]]:
    """The steps behind which each step is drawn: those before it in the file that lead to it.

    Loops are drawn forwards only. What only the program's own `on` leads to hangs on the first step.
    """
    place = {name: index for index, name in enumerate(steps)}
    behind: dict[str, list[str]] = {name: [] for name in steps}
    for step in program.steps:
        for _, go in program.ways(step):
            if go.step in behind and place[step.name] < place[go.step] and step.name not in behind[go.step]:
                behind[go.step].append(step.name)
    first = steps[0]
    for arm in program.on:
        if arm.go.step in behind and arm.go.step != first and not behind[arm.go.step]:
            behind[arm.go.step].append(first)
    return behind


@functools.cache
def wave_flow(program: str, title: str) -> Flow[..., Any]:
    """The flow of a program; one of its runs is a wave."""
    runner: TaskRunner[Any] = ThreadPoolTaskRunner[Any](max_workers=1)
    return flow(
        name=program,
        description=title,
        flow_run_name=_name_with_number,
        task_runner=runner,
        persist_result=False,
    )(wave_of_program)


def _name_with_number() -> str:
    given = flow_run.parameters
    return f"wave {given['wave']:04d} ({counted(given['due'], 'lead')} due)"


def wave_of_program(  # noqa: PLR0913 - a flow takes plain values
    *,
    project: str,
    program: str,
    wave: int,
    due: int,
    now: datetime,
    steps: list[str],
    follows: dict[str, list[str]],
    key: str,
) -> State[Any]:
    """Runs every step in the order of the file; a step that fails keeps the others from nothing."""
    drawn: dict[str, Any] = {}
    for step in steps:
        drawn[step] = step_task(step).submit(
            project,
            program,
            step,
            wave,
            now,
            key,
            wait_for=[allow_failure(drawn[name]) for name in follows[step]],
        )
    states = {step: future.wait() or future.state for step, future in drawn.items()}
    show_chart(project_at(project), program, now)
    failed = [step for step, state in states.items() if state.is_failed()]
    if failed:
        return Failed(message=f"{', '.join(failed)} failed; who is due there is due again")
    return Completed(message=f"{counted(due, 'lead')} due")


@functools.cache
def step_task(step: str) -> Task[..., Any]:
    """The task of a step."""
    return task(name=step, task_run_name=_name_with_leads, persist_result=False, cache_policy=NO_CACHE)(
        step_of_wave
    )


def step_of_wave(project: str, program: str, step: str, wave: int, now: datetime, key: str) -> State[Any]:
    """Moves everybody who is due at a step; safe to repeat."""
    done = once(key, step, lambda: engine.run_step(project_at(project).database, program, step, wave, now))
    if not done.due:
        return Completed(name="Skipped", message="nobody was due")
    told = f"{done.due:,} due, {done.moved:,} moved, {done.planned:,} mails planned, {done.ended:,} ended"
    return Completed(message=told)


def _name_with_leads() -> str:
    """`webinar-invite (240 leads)`: how many it takes on now, those included who came to it in this wave."""
    given: Mapping[str, Any] = task_run.parameters
    done = result_so_far(given["key"], given["step"])
    leads = (
        done.due
        if done
        else _due_at(project_at(given["project"]), given["program"], given["step"], given["now"])
    )
    return f"{given['step']} ({counted(leads, 'lead')})"


def _due_at(project: Project, program: str, step: str, now: datetime) -> int:
    enrollment, lead = metadata.tables["enrollment"], metadata.tables["lead"]
    due = (
        select(func.count())
        .select_from(enrollment.join(lead, lead.c.id == enrollment.c.lead_id))
        .where(enrollment.c.status == "active", enrollment.c.program == program, enrollment.c.step == step)
        .where(enrollment.c.due_at <= now, lead.c.look_at.is_(None) | (lead.c.look_at > now))
    )
    with project.database.read() as connection:
        return connection.execute(due).scalar_one()
