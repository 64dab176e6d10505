"""Users and their passwords, on both databases."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from leadnurture import access
from leadnurture.access import passwords
from leadnurture.app import Project, is_open_to_people, open_to_people
from leadnurture.domain.roles import Role
from leadnurture.errors import InvalidInputError, NotFoundError
from leadnurture.settings import load_settings
from leadnurture.store import Database, noted
from leadnurture.store.tables import metadata

NOW = datetime(2026, 12, 9, 10, 40, tzinfo=UTC)
HERE = access.Visitor("192.0.2.1")


def add(database: Database, name: str, role: Role = "viewer") -> int:
    access.add_user(database, name, role, "the tests", NOW)
    with database.read() as connection:
        return access.user_named(connection, name)


def names(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        return [(user.name, user.role) for user in access.users(connection, NOW)]


def acts(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as connection:
        return [(row.actor, row.act, row.subject) for row in reversed(noted(connection, limit=50))]


def test_names_are_compared_without_case(database: Database) -> None:
    password = access.add_user(database, " Lena@Example.com", "sales", "the tests", NOW)
    with pytest.raises(InvalidInputError, match=r"a user lena@example\.COM already"):
        access.add_user(database, "lena@example.COM", "viewer", "the tests", NOW)
    assert names(database) == [("Lena@Example.com", "sales")]
    assert isinstance(access.sign_in(database, "LENA@example.com ", password, HERE, NOW, NOW), str)


@pytest.mark.parametrize("name", ["", "  ", "two words", "a\x00b", "a\nb", "x" * 101])
def test_a_name_is_a_word(database: Database, name: str) -> None:
    with pytest.raises(InvalidInputError):
        access.add_user(database, name, "viewer", "the tests", NOW)
    assert names(database) == []


def test_passwords_that_are_made_up_are_good_enough_and_differ() -> None:
    made = {passwords.made_up() for _ in range(100)}
    assert len(made) == 100
    for password in made:
        passwords.refuse_weak(password, "admin")


def test_the_hash_of_nobody_has_todays_measures() -> None:
    assert not passwords.is_outdated(passwords.OF_NOBODY)
    assert not passwords.fits("anything", None)


def test_a_hash_of_weaker_measures_is_made_anew_by_the_next_sign_in(database: Database) -> None:
    from argon2 import PasswordHasher

    users = metadata.tables["tool_user"]
    user = add(database, "lena")
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("a sentence of mine")
    with database.write() as connection:
        connection.execute(users.update().values(password=weak))
    assert access.sign_in(database, "lena", "a sentence of mine", HERE, NOW, NOW)
    with database.read() as connection:
        kept = connection.scalar(select(users.c.password).where(users.c.id == user))
    assert kept is not None
    assert not passwords.is_outdated(kept)
    assert passwords.fits("a sentence of mine", kept)


def test_the_last_admin_stays(database: Database) -> None:
    first, second = add(database, "ann", "admin"), add(database, "bob", "admin")
    access.remove_user(database, second, "ann", NOW)
    with pytest.raises(InvalidInputError, match="ann is the last admin"):
        access.remove_user(database, first, "ann", NOW)
    with pytest.raises(InvalidInputError, match="ann is the last admin"):
        access.set_role(database, first, "viewer", "ann", NOW)
    access.set_role(database, first, "admin", "ann", NOW)
    with pytest.raises(NotFoundError):
        access.remove_user(database, second, "ann", NOW)
    assert names(database) == [("ann", "admin")]


def test_two_admins_cannot_take_away_each_others_role_at_once(database: Database) -> None:
    ids = [add(database, name, "admin") for name in ("ann", "bob")]
    together = threading.Barrier(2)

    def demote(user: int) -> bool:
        together.wait()
        try:
            access.set_role(database, user, "viewer", "the tests", NOW)
        except InvalidInputError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(demote, ids)) == [False, True]
    assert sorted(role for _, role in names(database)) == ["admin", "viewer"]


def test_who_is_removed_or_gets_a_new_password_is_signed_out(database: Database) -> None:
    for change in ("password", "remove"):
        password = access.add_user(database, change, "viewer", "the tests", NOW)
        token = access.sign_in(database, change, password, HERE, NOW, NOW)
        assert isinstance(token, str)
        with database.read() as connection:
            who = access.signed_in(connection, token, NOW + timedelta(hours=11))
        assert who is not None
        if change == "remove":
            access.remove_user(database, who.user_id, "ann", NOW)
        else:
            access.give_password(database, who.user_id, "ann", NOW)
        with database.read() as connection:
            assert access.signed_in(connection, token, NOW) is None
        assert access.sign_in(database, change, password, HERE, NOW, NOW) is None


def test_a_password_that_is_changed_meanwhile_lets_nobody_in(database: Database) -> None:
    """Between the look at the password and the writing of the sign-in."""
    password = access.add_user(database, "lena", "sales", "the tests", NOW)
    with database.read() as connection:
        user = access.user_named(connection, "lena")
    fits = passwords.fits

    def fits_and_is_changed(given: str, kept: str | None) -> bool:
        access.give_password(database, user, "ann", NOW)
        return fits(given, kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "fits", fits_and_is_changed)
        assert access.sign_in(database, "lena", password, HERE, NOW, NOW) is None


def test_every_act_is_kept_with_who_did_it(database: Database) -> None:
    user = add(database, "lena")
    access.set_role(database, user, "sales", "ann", NOW)
    access.give_password(database, user, "ann", NOW)
    access.remove_user(database, user, "ann", NOW)
    assert acts(database) == [
        ("the tests", "user added", "lena"),
        ("ann", "role changed", "lena"),
        ("ann", "new password given", "lena"),
        ("ann", "user removed", "lena"),
    ]
    with database.read() as connection:
        newest, older, *_ = noted(connection, limit=2)
        assert noted(connection, limit=1, before=newest.id) == (older,)
    assert older.detail is None


def test_attempts_at_once_are_counted_one_by_one(database: Database) -> None:
    add(database, "lena")
    together = threading.Barrier(12)

    def attempt(_: int) -> object:
        together.wait()
        return access.sign_in(database, "lena", "wrong", HERE, NOW, NOW)

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(attempt, range(12)))
    assert answers.count(None) == 5
    assert sum(isinstance(answer, access.TryLater) for answer in answers) == 7


# The first run


@pytest.fixture
def project(database: Database, tmp_path: Path) -> Project:
    return Project(load_settings(tmp_path), database)


def test_the_first_run_makes_an_admin_once(project: Project) -> None:
    assert not is_open_to_people(project)
    first = open_to_people(project, is_seen=True)
    assert first is not None
    assert first[0] == "admin"
    assert names(project.database) == [("admin", "admin")]
    now = datetime.now(UTC)  # noqa: TID251 - the machine's
    assert isinstance(access.sign_in(project.database, *first, HERE, now, now), str)
    assert open_to_people(project, is_seen=True) is None


def test_the_first_run_makes_nobody_whose_password_nobody_sees(project: Project) -> None:
    assert open_to_people(project, is_seen=False) is None
    assert not is_open_to_people(project)


def test_two_first_runs_at_once_make_one_admin(project: Project) -> None:
    together = threading.Barrier(2)

    def run(_: int) -> bool:
        together.wait()
        return open_to_people(project, is_seen=True) is not None

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(run, range(2))) == [False, True]
    with project.database.read() as connection:
        assert [key.name for key in access.keys(connection)] == ["settings"]


FIRST_RUN = """
import sys
from pathlib import Path
from leadnurture.app import open_project
from leadnurture.cli.access import open_to_people
from leadnurture.cli.logs import configure_logs
project = open_project(Path(sys.argv[1]))
configure_logs(project.settings)
open_to_people(project)
"""


@pytest.mark.parametrize("is_file", [False, True])
def test_a_password_is_told_to_somebody_and_to_no_file(tmp_path: Path, *, is_file: bool) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/leadnurture.yaml").write_text("name: Nobody\n")
    log = tmp_path / "log"
    with log.open("w") as file:
        where = file if is_file else subprocess.PIPE
        command = [sys.executable, "-c", FIRST_RUN, str(tmp_path)]
        done = subprocess.run(command, stderr=where, text=True, check=True, cwd=Path(__file__).parents[2])
    told = log.read_text() if is_file else done.stderr
    assert ("with the password" in told) is not is_file
    assert ("leadnurture user add NAME --role admin" in told) is is_file
