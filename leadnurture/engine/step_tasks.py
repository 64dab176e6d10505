"""What a step asks of our own people or tells them: tasks and notices, as rows of a chunk's enrollments.

Who a role means is looked up by `sales`. The keys of the rows forbid a second.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, String, cast, false, func, insert, literal, not_, null, select
from sqlalchemy.sql import Executable

from leadnurture.definitions import dump_ask
from leadnurture.domain.program import Program, Step, Task, Tell
from leadnurture.engine.conditions import NOW
from leadnurture.engine.sql import some
from leadnurture.store.tables import Enrollment, Notice
from leadnurture.store.tables import Task as TaskRow
from leadnurture.store.work import work_step

Expression = ColumnElement[Any]
e: Final = Enrollment.__table__
notice: Final = Notice.__table__
task: Final = TaskRow.__table__
w: Final = work_step


def tasks_and_notices(
    program: Program,
    step: Step,
    tells: Sequence[Tell | None],
    by_way: Callable[[Sequence[Any]], Expression],
) -> Iterator[Executable]:
    """The statements of a step, none where it says nothing; `tells` has what each of its ways out tells."""
    arrived = (w.c.is_new, not_(func.coalesce(w.c.is_beyond, false())))
    if step.task is not None:
        yield _task(program, step.task, *arrived, w.c.arm < 0, w.c.trouble.is_(None))
    if step.tell is not None:
        wanted = literal(_receiver(program, step.tell))
        yield _notice(literal("step"), literal(step.tell.text), wanted, *arrived)
    telling = [index for index, tell in enumerate(tells) if tell is not None]
    if telling:
        yield _notice(
            cast(w.c.arm, String),
            by_way([tell.text if tell else null() for tell in tells]),
            by_way([_receiver(program, tell) if tell else null() for tell in tells]),
            w.c.arm.in_(telling),
        )


def _receiver(program: Program, said: Tell | Task) -> str:
    return said.to or program.owner


def _task(program: Program, wanted: Task, *criteria: Expression) -> Executable:
    known = some(
        task.c.enrollment_id == e.c.id, task.c.step == e.c.step, task.c.visit == e.c.visit, of=[task]
    )
    values = {
        "lead_id": e.c.lead_id, "enrollment_id": e.c.id, "program": literal(program.name), "step": e.c.step,
        "visit": e.c.visit, "text": literal(wanted.text), "wanted": literal(_receiver(program, wanted)),
        "ask": null() if wanted.ask is None else literal(dump_ask(wanted.ask)), "status": literal("open"), "opened_at": NOW,
    }  # fmt: skip
    return insert(task).from_select(list(values), _rows(values, *criteria, not_(known)))


def _notice(way: Expression, text: Expression, wanted: Expression, *criteria: Expression) -> Executable:
    slash = literal("/")
    key = cast(e.c.id, String) + slash + e.c.step + slash + cast(e.c.visit, String) + slash + way
    known = some(notice.c.key == key, of=[notice])
    values = {
        "lead_id": e.c.lead_id, "key": key, "kind": literal("tell"), "text": text, "wanted": wanted,
        "status": literal("planned"), "planned_at": NOW, "attempts": literal(0),
    }  # fmt: skip
    return insert(notice).from_select(list(values), _rows(values, *criteria, not_(known)))


def _rows(values: dict[str, Any], *criteria: Expression) -> Any:  # noqa: ANN401 - a Select
    return select(*values.values()).join_from(w, e, e.c.id == w.c.enrollment_id).where(*criteria)
