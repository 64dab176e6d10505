"""What every test stands on: fresh databases, a browser that cannot leave the machine, and no network."""

import os
import shutil
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from playwright.sync_api import BrowserContext
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests import browsers, databases
from tests.logs import listened

if TYPE_CHECKING:
    from leadnurture.store import Database

REQUIRED = frozenset(filter(None, os.environ.get("TESTS_REQUIRE", "").split(",")))
"""Marks of which a test must pass and none may be skipped: `TESTS_REQUIRE=postgres,browser`."""

PLAYED_ONCE = frozenset({"tests/demo/test_play.py", "tests/demo/test_parts.py"})
"""Files with a fixture that takes long and serves all of their tests."""

PROVED: set[str] = set()
"""Required marks of which a test has passed, in whichever process."""

hypothesis.settings.register_profile("leadnurture", deadline=None, print_blob=True)
hypothesis.settings.load_profile("leadnurture")


# The network


def _stay_on_this_machine(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(address := arguments[1], tuple):
        host = str(address[0])
        if not host.startswith("127.") and host not in {"::1", "localhost"}:
            message = f"a test opens a connection to {host}"
            raise RuntimeError(message)


sys.addaudithook(_stay_on_this_machine)


@pytest.fixture(autouse=True)
def _without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of whoever runs the tests are not theirs."""
    for name in [name for name in os.environ if name.startswith("LEADNURTURE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _without_secrets() -> Iterator[None]:
    """No test leaves an address, a token or a key in a log, however much is logged."""
    with listened() as listener:
        yield
    assert listener.told == []


# Databases


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[databases.Server]:
    """A PostgreSQL server on loopback; tests get their databases from the fixtures below."""
    try:
        with databases.postgres() as server:
            yield server
    except databases.PostgresMissingError as missing:
        pytest.skip(str(missing.__doc__))


@pytest.fixture(scope="session")
def postgres_template(postgres_server: databases.Server) -> Iterator[str]:
    """The URL of a migrated database, to be copied only."""
    with postgres_server.database() as url:
        databases.migrate(url)
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a migrated database, to be copied only."""
    path = tmp_path_factory.mktemp("template") / "leadnurture.db"
    databases.migrate(databases.sqlite_url(path))
    return path


@pytest.fixture
def postgres_url(postgres_server: databases.Server, postgres_template: str) -> Iterator[str]:
    """A fresh migrated PostgreSQL database: for races, which SQLite cannot show."""
    with postgres_server.database(postgres_template) as url:
        yield url


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh migrated SQLite database."""
    path = tmp_path / "leadnurture.db"
    shutil.copy(sqlite_template, path)
    return databases.sqlite_url(path)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh migrated database, one test on SQLite and one on PostgreSQL."""
    fixture = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def database(database_url: str) -> Iterator["Database"]:
    """The store on a fresh migrated database, once on SQLite and once on PostgreSQL."""
    from leadnurture.store import open_database

    opened = open_database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table, for the migrations: once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield databases.sqlite_url(tmp_path / "empty.db")
    else:
        with request.getfixturevalue("postgres_server").database() as url:
            yield url


# The browser


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's Chromium, which finds no host but this one."""
    chromium = browsers.chromium()
    if chromium is None:
        pytest.skip("no Chromium: install the Debian package `chromium`")
    return {**browser_type_launch_args, "executable_path": chromium, "args": list(browsers.FLAGS)}


@pytest.fixture
def new_context(new_context: Callable[..., BrowserContext]) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser contexts; the test fails if one of them asked for anything beyond 127.0.0.1."""
    refused: list[list[str]] = []

    def watched(**options: Any) -> BrowserContext:  # noqa: ANN401 - Playwright's options
        context = new_context(**options)
        refused.append(browsers.refuse_outside(context))
        return context

    yield watched
    assert [url for urls in refused for url in urls] == [], "requests that leave this machine"


# Marks


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark by what a test uses, so that nobody has to remember."""
    used = set(getattr(item, "fixturenames", ()))
    if used & {"postgres_server", "postgres_url"}:
        item.add_marker(pytest.mark.postgres)
    if used & {"browser", "page"}:
        item.add_marker(pytest.mark.browser)


class OneByOne(LoadScopeScheduling):  # type: ignore[misc] # xdist tells no types
    """Hands tests out one by one, but a file whose tests share a long play to one process."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file in PLAYED_ONCE else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneByOne:
    """Several processes; not by the mark `xdist_group`, which xdist 3.8 loses with pytest 9.2."""
    return OneByOne(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: from the first on, Playwright's event loop runs in this thread."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped test fails where its mark is required."""
    report = yield
    marks = REQUIRED & {mark.name for mark in item.iter_markers()}
    if marks and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but {', '.join(sorted(marks))} is required: {report.longrepr}"
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remembers what was proved; the process that waits for the others hears of all."""
    if report.when == "call" and report.passed:
        PROVED.update(REQUIRED & set(report.keywords))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The session fails where nothing passed that is required."""
    waits_for_others = not hasattr(session.config, "workerinput")
    if waits_for_others and _unproved() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says which required mark was not proved."""
    for mark in _unproved():
        terminalreporter.write_line(f"no test marked {mark} has passed, and it is required", red=True)


def _unproved() -> list[str]:
    return sorted(REQUIRED - PROVED)
