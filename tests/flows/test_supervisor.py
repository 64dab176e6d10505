"""The supervisor with children that are a few lines of Python instead of servers."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.supervisor import Child, ChildEndedError, Supervisor
from leadnurture.app import Project
from leadnurture.errors import PortBusyError
from leadnurture.settings import load_settings
from leadnurture.store import open_database

SECONDS = 20.0
LIVES = "import time; print('here', flush=True); time.sleep(60)"
IS_DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {LIVES}"
DIES = "raise SystemExit('the reason')"
CANNOT = "import sys; print('the port is busy', flush=True); sys.exit(4)"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    settings = load_settings(tmp_path, port=free_port(), prefect_port=free_port())
    database = open_database(settings.database_url)
    yield Project(settings, database)
    database.dispose()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def with_child(project: Project, program: str) -> tuple[Supervisor, Child]:
    supervisor = Supervisor(project)
    log = supervisor._logs / "web.log"
    child = Child("web", (sys.executable, "-c", program), lambda: "here" in log.read_text(), signal.SIGKILL)
    supervisor._children = [child]
    supervisor._stale_before = None
    return supervisor, child


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_children_live_in_sessions_of_their_own_and_end_with_stop(project: Project) -> None:
    supervisor, child = with_child(project, LIVES)
    supervisor.start()
    supervisor.wait_ready()
    assert child.process is not None
    pid = child.process.pid
    assert os.getsid(pid) == pid
    supervisor.stop()
    supervisor.stop()
    assert not is_alive(pid)


def test_a_child_that_does_not_listen_is_killed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.supervisor.GRACE", 0.2)
    supervisor, child = with_child(project, IS_DEAF)
    supervisor.start()
    supervisor.wait_ready()
    assert child.process is not None
    pid = child.process.pid
    supervisor.stop()
    assert not is_alive(pid)


def test_a_child_that_dies_is_started_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.supervisor.FIRST_PAUSE", 0.0)
    supervisor, child = with_child(project, LIVES)
    supervisor.start()
    supervisor.wait_ready()
    assert child.process is not None
    first = child.process
    first.kill()
    first.wait()
    supervisor.poll()
    assert child.process not in {None, first}
    supervisor.stop()


def test_a_child_that_keeps_dying_ends_everything_with_its_last_words(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.supervisor.FIRST_PAUSE", 0.0)
    monkeypatch.setattr("flows.supervisor.MOST_STARTS", 2)
    supervisor, _ = with_child(project, DIES)
    supervisor.start()
    with pytest.raises(ChildEndedError, match="web ended 2 times: the reason"):
        supervisor.wait_ready()
    supervisor.stop()


def test_what_cannot_mend_itself_is_not_tried_again(project: Project) -> None:
    supervisor, child = with_child(project, CANNOT)
    supervisor.start()
    with pytest.raises(ChildEndedError, match="web cannot start: the port is busy"):
        supervisor.wait_ready()
    assert child.starts == 1
    supervisor.stop()


def test_a_busy_port_is_refused_before_anything_starts(project: Project) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", project.settings.port))
        other.listen()
        with pytest.raises(PortBusyError, match=f"Port {project.settings.port} is taken"):
            Supervisor(project)
        moved = Supervisor(project, next_free=True)
    assert moved.web_url != project.settings.local_url
    moved.stop()


PARENT = """
import os, signal, subprocess, sys
guard = [sys.executable, "-P", "-m", "flows.child", str(os.getpid()), str(int(signal.SIGKILL))]
command = [*guard, sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]
child = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word for it is Linux's")
def test_a_killed_supervisor_leaves_no_child_behind() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    wait_until(lambda: not is_alive(pid))
