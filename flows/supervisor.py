"""`leadnurture up`: Prefect's server, the web server and the worker as children of one process.

One idea to hold: only the supervisor hears Ctrl-C. Children live in sessions of their own, end by SIGTERM,
then by SIGKILL; one that dies is started again, later each time, and what dies at once again and again ends
everything. If the supervisor itself is killed, the kernel ends the children (`child.py`).
"""

import contextlib
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Final

import httpx

from flows.environment import prefect_environment
from leadnurture.app import Project, machine_now
from leadnurture.errors import LeadNurtureError, PortBusyError, SettingError

logger = logging.getLogger("leadnurture.flows")

READY_SECONDS: Final = 120.0
GRACE: Final = 15.0
"""Seconds between SIGTERM and SIGKILL: the mails of a run are sent by then."""
STEADY_SECONDS: Final = 60.0
"""A child that lived so long has earned a new start without delay."""
MOST_STARTS: Final = 6
FIRST_PAUSE: Final = 1.0
ANSWERS_WITHIN: Final = 2.0
LOG_BYTES: Final = 5_000_000
PORTS_TRIED: Final = 50
GLANCE: Final = 0.1
LOOPBACK: Final = "127.0.0.1"
# Without the working folder on the path: a project may have folders that are named like ours.
PYTHON: Final = (sys.executable, "-P", "-m")
# A wrong setting and a busy port do not mend themselves.
HOPELESS: Final = frozenset({SettingError.exit_code, PortBusyError.exit_code})


class ChildEndedError(LeadNurtureError):
    """A part of the system does not stay up; its log says why."""


@dataclass
class Child:
    """One of the processes: its command, how to see that it is ready, and how often it had to be started."""

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool]
    dies_by: signal.Signals
    """What it gets when the supervisor was killed."""
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    started: float = 0.0
    not_before: float = 0.0


class Supervisor:
    """Starts, watches and stops the processes of a project. Use it from one thread that outlives it.

    Ports are those of the settings unless given, and refused when taken; with `next_free` the next free ones
    are taken.
    """

    def __init__(
        self,
        project: Project,
        web_port: int | None = None,
        prefect_port: int | None = None,
        *,
        next_free: bool = False,
    ) -> None:
        settings = project.settings
        web = _port(web_port or settings.port, "LEADNURTURE_PORT", settings.host, next_free=next_free)
        prefect = prefect_port or settings.prefect_port
        if not settings.prefect_url:
            prefect = _port(prefect, "LEADNURTURE_PREFECT_PORT", LOOPBACK, next_free=next_free, but=web)
        self._settings = settings.model_copy(update={"port": web, "prefect_port": prefect})
        self._notes = _Notes()
        self._client = httpx.Client(timeout=ANSWERS_WITHIN)
        self._over = threading.Event()
        self._children = list(self._make_children())
        self._stale_before: datetime | None = machine_now()

    @property
    def web_url(self) -> str:
        """Where the web server answers."""
        return self._settings.local_url

    @property
    def prefect_url(self) -> str:
        """Where Prefect's pages are."""
        return self._settings.prefect_api.removesuffix("/api")

    def addresses(self) -> tuple[str, ...]:
        """What to open, line by line."""
        return (f"Pages    {self.web_url}", f"Prefect  {self.prefect_url}", f"Logs     {self._logs}")

    def start(self) -> None:
        """Starts every child."""
        for child in self._children:
            self._start(child)

    def wait_ready(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Returns when every child answers or somebody wants to stop; ChildEndedError when one stays down."""
        until = time.monotonic() + READY_SECONDS
        waiting = list(self._children)
        while waiting and not self.is_stopping(GLANCE):
            self.poll()
            for child in [child for child in waiting if child.is_ready()]:
                waiting.remove(child)
                say(f"{child.name} is ready")
            if waiting and time.monotonic() > until:
                raise self._ended(waiting[0], f"did not answer within {READY_SECONDS:.0f} seconds")

    def poll(self) -> None:
        """Starts again what has died; ChildEndedError when that is vain. Call it once a second."""
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._bury(child, child.process.returncode)
            if child.process is None and time.monotonic() >= child.not_before:
                self._start(child)
        if self._stale_before is not None and self._mark_crashed(self._stale_before):
            self._stale_before = None

    def stop(self) -> None:
        """Ends every child, the worker first, while the others still answer it. Safe to repeat."""
        for names in (("worker",), ("web", "prefect")):
            self._stop([child for child in self._children if child.name in names])
        self._notes.close()
        self._client.close()

    def is_stopping(self, seconds: float) -> bool:
        """Waits so long and says whether SIGINT or SIGTERM came while `stops_on_signals`."""
        return self._over.wait(seconds)

    @contextlib.contextmanager
    def stops_on_signals(self) -> Iterator[None]:
        """Hears SIGINT and SIGTERM, and stops the children at the end, however it comes."""
        before = {
            number: signal.signal(number, lambda *_: self._over.set())
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            self.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def _logs(self) -> Path:
        return self._settings.data / "logs"

    def _make_children(self) -> Iterator[Child]:
        settings, ours = self._settings, (*PYTHON, "leadnurture")
        project = ("--project", str(settings.project))
        if not settings.prefect_url:
            command = (
                *PYTHON,
                "flows.prefect_server",
                LOOPBACK,
                str(settings.prefect_port),
            )
            yield Child(
                "prefect", command, lambda: self._answers(f"{settings.prefect_api}/health"), signal.SIGKILL
            )
        yield Child(
            "web", (*ours, "web", *project), lambda: self._answers(f"{self.web_url}/healthz"), signal.SIGKILL
        )
        yield Child("worker", (*ours, "worker", *project), self._notes.is_ready, signal.SIGTERM)

    def _answers(self, url: str) -> bool:
        try:
            return self._client.get(url).is_success
        except httpx.HTTPError:
            return False

    def _start(self, child: Child) -> None:
        child.starts += 1
        child.started = time.monotonic()
        guard = (*PYTHON, "flows.child", str(os.getpid()), str(child.dies_by.value))
        with self._open_log(child) as log:
            child.process = subprocess.Popen(
                (*guard, *child.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(child),
                # A session of its own: the terminal's Ctrl-C reaches the supervisor alone.
                start_new_session=True,
            )

    def _environment(self, child: Child) -> dict[str, str]:
        settings = self._settings
        own = {
            "LEADNURTURE_PORT": str(settings.port),
            "LEADNURTURE_PREFECT_PORT": str(settings.prefect_port),
            "PYTHONUNBUFFERED": "1",
        }
        notify = {"NOTIFY_SOCKET": self._notes.address} if child.name == "worker" else {}
        return {**prefect_environment(settings), **os.environ, **own, **notify}

    def _open_log(self, child: Child) -> IO[bytes]:
        self._logs.mkdir(parents=True, exist_ok=True)
        path = self._log(child)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    def _log(self, child: Child) -> Path:
        return self._logs / f"{child.name}.log"

    def _bury(self, child: Child, code: int) -> None:
        """Decides whether a child that died is started again, and when."""
        child.process = None
        if child.name == "worker":
            self._notes.forget()
            self._stale_before = machine_now()
        if code in HOPELESS:
            raise self._ended(child, "cannot start")
        if time.monotonic() - child.started > STEADY_SECONDS:
            child.starts = 0
        if child.starts >= MOST_STARTS:
            raise self._ended(child, f"ended {child.starts} times")
        pause = FIRST_PAUSE * 2 ** max(child.starts - 1, 0)
        child.not_before = time.monotonic() + pause
        logger.warning("%s ended (%s) and starts again in %.0f seconds", child.name, code, pause)

    def _ended(self, child: Child, how: str) -> ChildEndedError:
        path = self._log(child)
        with contextlib.suppress(OSError):
            lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
            if lines:
                return ChildEndedError(f"{child.name} {how}: {lines[-1]} (more in {path})")
        return ChildEndedError(f"{child.name} {how}; see {path}")

    def _stop(self, children: Sequence[Child]) -> None:
        """SIGTERM for all, then SIGKILL for the sessions of those that do not listen."""
        running = [child.process for child in children if child.process is not None]
        for process in running:
            process.terminate()
        until = time.monotonic() + GRACE
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(until - time.monotonic(), 0))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for child in children:
            child.process = None

    def _mark_crashed(self, before: datetime) -> bool:
        """Marks the runs that a killed worker has left `Running`; whether Prefect answered."""
        api = self._settings.prefect_api
        if self._settings.prefect_url:
            return True
        question = {
            "flow_runs": {
                "state": {"type": {"any_": ["RUNNING", "PENDING"]}},
                "expected_start_time": {"before_": before.isoformat()},
            }
        }
        crashed = {
            "state": {"type": "CRASHED", "message": "The worker ended before the run did."},
            "force": True,
        }
        try:
            for run in self._client.post(f"{api}/flow_runs/filter", json=question).raise_for_status().json():
                self._client.post(f"{api}/flow_runs/{run['id']}/set_state", json=crashed).raise_for_status()
        except httpx.HTTPError:
            return False
        return True


class _Notes:
    """Hears from the worker when it is ready, in systemd's way: it need not know who has started it."""

    def __init__(self) -> None:
        self.address = f"@leadnurture-{secrets.token_hex(8)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.address[1:])
        self._socket.settimeout(0.0)
        self._heard = False

    def is_ready(self) -> bool:
        """Whether the worker has said so since it was last forgotten."""
        with contextlib.suppress(BlockingIOError):
            while b"STOPPING" not in (note := self._socket.recv(256)):
                self._heard = self._heard or b"READY=1" in note
        return self._heard

    def forget(self) -> None:
        """For a worker that died."""
        self.is_ready()
        self._heard = False

    def close(self) -> None:
        """Hears nothing more."""
        self._socket.close()


def _port(wanted: int, setting: str, host: str, *, next_free: bool, but: int | None = None) -> int:
    """The port, or with `next_free` the first free one from there on; PortBusyError when it is taken."""
    for port in range(wanted, min(wanted + PORTS_TRIED, 65_536) if next_free else wanted + 1):
        if port != but and is_free(host, port):
            return port
    raise PortBusyError(f"Port {wanted} is taken by another program; choose another one with {setting}.")


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
