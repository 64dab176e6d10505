"""A Prefect server of its own for the tests of flows, and a small project under a clock that stands still."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from flows.environment import prefect_environment
from leadnurture.app import Project, apply_project, open_project
from leadnurture.settings import Settings, load_settings

ROOT = Path(__file__).parent.parent.parent
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)  # a Tuesday, ten in Berlin: the hour of most mails
STARTS_WITHIN = 90.0


@pytest.fixture(scope="session")
def prefect_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings whose Prefect server runs; it ends with the tests."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = load_settings(tmp_path_factory.mktemp("prefect"), prefect_port=port)
    command = [sys.executable, "-m", "flows.prefect_server", "127.0.0.1", str(port)]
    environment = {**os.environ, **prefect_environment(settings)}
    log = (settings.data / "server.log").open("wb")
    with log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as server:
        _wait_for(f"{settings.prefect_api}/health", server)
        yield settings
        server.kill()


def _wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + STARTS_WITHIN
    with httpx.Client() as client:
        while time.monotonic() < until and server.poll() is None:
            try:
                if client.get(url, timeout=1.0).is_success:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
    pytest.fail("Prefect's server did not start")


@pytest.fixture(scope="session")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample company, applied and under a clock that stands still at NOW; to be copied only."""
    from sqlalchemy import insert

    from leadnurture.store.tables import metadata

    folder = tmp_path_factory.mktemp("applied") / "project"
    for part in ("config", "templates"):
        shutil.copytree(ROOT / part, folder / part)
    project = open_project(folder, load_settings(folder))
    with project.database.write() as connection:
        connection.execute(insert(metadata.tables["clock"]).values(id=1, now_at=NOW))
    apply_project(project, NOW)
    project.close()
    return folder


@pytest.fixture
def project(applied: Path, tmp_path: Path) -> Iterator[Project]:
    """A copy of the sample company with an empty outbox and no leads."""
    folder = tmp_path / "project"
    shutil.copytree(applied, folder)
    opened = open_project(folder, load_settings(folder))
    yield opened
    opened.close()
