"""Commands that run the product: everything at once, one of its processes, or one piece of work by hand."""

import gc
import os
import socket
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from leadnurture.app import Project, find_project, open_project
from leadnurture.cli.access import open_to_people
from leadnurture.cli.logs import configure_logs
from leadnurture.cli.output import HERE, Format, OutputFormat, ProjectFolder, progress, show, told
from leadnurture.errors import NotFoundError, PortBusyError

if TYPE_CHECKING:
    from flows.nurture import WaveDone
    from flows.runs import Runs
    from leadnurture.engine import Looked
    from leadnurture.mail import Delivered

Result = TypeVar("Result")


def up(project: ProjectFolder = HERE) -> None:
    """Run everything on this machine until Ctrl-C.

    That is Prefect's server, the web server and the worker.
    """
    from flows.supervisor import Supervisor

    opened = open_project(project)
    opened.definitions()
    configure_logs(opened.settings)
    supervisor = Supervisor(opened)
    open_to_people(opened)
    with supervisor.stops_on_signals():
        supervisor.start()
        with progress("Starting", Format.text) as say:
            supervisor.wait_ready(say)
        told("\n".join(supervisor.addresses()))
        while not supervisor.is_stopping(1.0):
            supervisor.poll()


def web(project: ProjectFolder = HERE) -> None:
    """Run the web server.

    It answers public links, hooks, the API and the pages.
    """
    opened = open_project(project)
    settings = opened.settings
    configure_logs(settings)
    _refuse_busy(settings.host, settings.port)
    open_to_people(opened)
    import uvicorn

    from leadnurture.web import create_app

    app = create_app(opened)
    _settle_in()
    uvicorn.run(app, host=settings.host, port=settings.port, log_config=None, access_log=False)


def _refuse_busy(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortBusyError(
                f"Port {port} is taken ({error.strerror}); choose another with LEADNURTURE_PORT."
            ) from error


def worker(project: ProjectFolder = HERE) -> None:
    """Run the clock with everything that falls due.

    That is looks, waves, mails and handoffs. Any number of workers share the work.
    """
    opened = _open_for_flows(project)
    opened.definitions()
    from flows.worker import Worker

    _settle_in()
    Worker(opened).run()


def _settle_in() -> None:
    """What was imported stays: the collector need not go through it at every turn, a tenth of the work."""
    gc.freeze()


def wave(
    program: Annotated[str, typer.Argument(metavar="PROGRAM", help="Its name, as `status` lists it.")],
    project: ProjectFolder = HERE,
    form: OutputFormat = Format.text,
) -> None:
    """Run a wave of a program now, if anything is due in it."""
    opened = _open_for_flows(project)
    _refuse_unknown(opened, program)
    from flows.nurture import run_wave

    done = _with_runs(opened, lambda runs: run_wave(opened, program, f"command:{os.getpid()}", runs))
    show(done, form, lambda: _told_of(done) if done else "Nothing is due, or a worker is at it.")
    if done is not None and done.failed:
        raise typer.Exit(1)


def _refuse_unknown(project: Project, program: str) -> None:
    names = [each.name for each in project.definitions().programs]
    if program not in names:
        raise NotFoundError(f"There is no program {program}; there are {', '.join(names)}.")


def _told_of(done: "WaveDone") -> str:
    counts = f"{done.due:,} due, {done.moved:,} moved, {done.planned:,} mails planned, {done.ended:,} ended"
    failed = f"; failed: {', '.join(done.failed)}" if done.failed else ""
    return f"Wave {done.wave} of {done.program}: {counts}, {done.seconds:.1f} s{failed}"


def look(project: ProjectFolder = HERE, form: OutputFormat = Format.text) -> None:
    """Judge settled clicks and look at the leads that changed.

    That brings scores, enrollments, stages and handoffs up to date.
    """
    opened = _open_for_flows(project)
    from flows.handoff import run_look
    from leadnurture import engine
    from leadnurture.domain.vocabulary import TRACKS

    engine.judge(opened.database, opened.clock())
    done = _with_runs(opened, lambda runs: {track: run_look(opened, track, runs) for track in TRACKS})
    show(
        done,
        form,
        lambda: "\n".join(f"{track}: {_told_of_look(looked)}" for track, looked in done.items()),
    )


def _told_of_look(looked: "Looked | None") -> str:
    if looked is None:
        return "nothing has changed"
    return ", ".join(f"{count:,} {name}" for name, count in asdict(looked).items())


def deliver(project: ProjectFolder = HERE, form: OutputFormat = Format.text) -> None:
    """Send the mails that are due now."""
    opened = _open_for_flows(project)
    from flows.deliver import changed_anything, run_delivery

    done: list[Delivered] = []

    def everything(runs: "Runs") -> None:
        while changed_anything(run := run_delivery(opened, runs)) and run is not None:
            done.append(run)

    _with_runs(opened, everything)
    counts = {
        name: sum(getattr(run, name) for run in done)
        for name in ("sent", "failed", "unknown", "refused", "moved")
    }
    show(counts, form, lambda: ", ".join(f"{count:,} {name}" for name, count in counts.items()))
    if counts["failed"] or counts["unknown"]:
        raise typer.Exit(1)


def demo(
    project: ProjectFolder = HERE,
    seconds: Annotated[
        float | None, typer.Option(metavar="N", help="End by itself so long after the first wave.")
    ] = None,
) -> None:
    """Run the whole system on sample leads.

    An audience responds in time-lapse; a summary comes at the end. It leaves the project's own data alone.
    """
    raise typer.Exit(import_module("leadnurture.demo").run(find_project(project), seconds))


def bench(
    form: OutputFormat = Format.text,
    leads: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="How many; may be repeated. Else 1000, 10000 and 100000."),
    ] = None,
) -> None:
    """Print the benchmark table.

    It sets the engine beside the same work in hand-written bulk SQL.
    """
    raise typer.Exit(import_module("leadnurture.bench").run(form.value, leads))


def _open_for_flows(folder: Path) -> Project:
    """The project, with the environment that Prefect reads when it is imported."""
    from flows.environment import enter_prefect_environment

    opened = open_project(folder)
    configure_logs(opened.settings)
    enter_prefect_environment(opened.settings)
    return opened


def _with_runs(project: Project, work: "Callable[[Runs], Result]") -> Result:
    """Does a piece of work, shown in Prefect if that answers."""
    from flows.runs import Runs

    runs = Runs(project.settings.prefect_api)
    try:
        return work(runs)
    finally:
        runs.close(5.0)
