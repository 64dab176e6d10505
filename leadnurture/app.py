"""Wires a project together: its files, settings, database, links and provider. No rule lives here.

Imports happen where they are needed, so that a command loads only what it uses: `check` knows no database.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from leadnurture.domain.vocabulary import TRACKS, Track
from leadnurture.errors import (
    DatabaseUnavailableError,
    NotFoundError,
    ProjectProblemsError,
    SchemaOutdatedError,
)

if TYPE_CHECKING:
    from leadnurture.domain.definitions import Definitions
    from leadnurture.engine import Applied, Comparison, CompiledTemplate
    from leadnurture.inbox import Reader, WorkedOff
    from leadnurture.links import Links
    from leadnurture.mail import Provider
    from leadnurture.sales import NoticeMail, Sent
    from leadnurture.settings import Settings
    from leadnurture.store import Database

COMPANY_FILE: Final = Path("config/leadnurture.yaml")
NOTICES: Final = Path("templates/notice")
FIRST_RUN: Final = "first run"
"""Who did what nobody did."""


@dataclass(frozen=True)
class Project:
    """An opened project: all that a door needs."""

    settings: "Settings"
    database: "Database"

    @property
    def root(self) -> Path:
        """The folder with `config/` and `templates/`."""
        return self.settings.project

    @cached_property
    def url(self) -> str:
        """The address with which the links in mails begin."""
        if self.settings.url:
            return self.settings.url
        return (
            self.settings.local_url if self.settings.provider == "local" else self.definitions().company.url
        )

    @cached_property
    def links(self) -> "Links":
        """Makes and reads the links in mails."""
        from leadnurture.links import Links

        return Links(self.settings.secret.get_secret_value(), self.url, self.settings.inbound_address)

    @cached_property
    def provider(self) -> "Provider":
        """Who sends the mails."""
        from leadnurture.mail import make_provider

        return make_provider(self.settings)

    def definitions(self) -> "Definitions":
        """The newest applied definitions; NotFoundError while nothing is applied."""
        from leadnurture.engine import current_definitions

        with self.database.read() as connection:
            return current_definitions(connection)

    def stepping(self) -> datetime | None:
        """Where the stepping clock of demo and tests stands; None where there is none."""
        from sqlalchemy import select

        from leadnurture.store.tables import metadata

        with self.database.read() as connection:
            return connection.execute(select(metadata.tables["clock"].c.now_at)).scalar()

    def is_held(self) -> bool:
        """Whether the stepping clock is held, so that looks and waves wait until all is told for them."""
        from sqlalchemy import select

        from leadnurture.store.tables import metadata

        with self.database.read() as connection:
            return bool(connection.execute(select(metadata.tables["clock"].c.is_held)).scalar())

    def clock(self) -> datetime:
        """The product's now."""
        return self.stepping() or machine_now()

    def close(self) -> None:
        """Closes the database's connections."""
        self.database.dispose()


def machine_now() -> datetime:
    """The machine's now: for leases and time-outs, and the product's where no clock is stepping."""
    return datetime.now(UTC)


def find_project(root: Path) -> Path:
    """The folder of the project; NotFoundError where no company's file lies."""
    root = root.resolve()
    if not (root / COMPANY_FILE).is_file():
        raise NotFoundError(
            f"{root} is no project: {COMPANY_FILE} is missing; name the folder with --project."
        )
    return root


def open_project(root: Path, settings: "Settings | None" = None) -> Project:
    """Opens the project in a folder. Makes a new SQLite database; any other schema must be the newest."""
    from leadnurture.settings import load_settings
    from leadnurture.store import is_migrated, migrate

    settings = settings or load_settings(find_project(root))
    database = _open_database(settings)
    if not is_migrated(database):
        if not (database.is_sqlite and _is_new(database)):
            raise SchemaOutdatedError
        migrate(database)
    return Project(settings, database)


def _open_database(settings: "Settings") -> "Database":
    from leadnurture.store import open_database

    try:
        return open_database(settings.database_url)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        said = f"The database cannot lie at {error.filename}: {error.strerror}; see LEADNURTURE_DATABASE_URL."
        raise DatabaseUnavailableError(said) from error


def _is_new(database: "Database") -> bool:
    from sqlalchemy import inspect

    with database.read() as connection:
        return not inspect(connection).get_table_names()


def migrate_project(root: Path) -> bool:
    """Brings the project's database to the newest schema; whether there was anything to do."""
    from leadnurture.settings import load_settings
    from leadnurture.store import is_migrated, migrate

    database = _open_database(load_settings(find_project(root)))
    try:
        was_old = not is_migrated(database)
        migrate(database)
    finally:
        database.dispose()
    return was_old


def send_notices(project: Project, now: datetime) -> "Sent":
    """Sends the planned notices to our own people, through the project's provider."""
    from leadnurture import sales
    from leadnurture.mail import Accepted, Later, Mail

    company = project.definitions().company

    def send(notice: "NoticeMail") -> str | None:
        mail = Mail(
            key=notice.key,
            to=notice.to,
            to_name=notice.name,
            sender_name=company.sender_name,
            sender=company.sender_address,
            subject=notice.subject,
            html=notice.html,
            text=notice.text,
            at=now,
        )
        answer = project.provider.send(mail)
        if isinstance(answer, Accepted):
            return None
        return "the mail server takes no more for now" if isinstance(answer, Later) else answer.text

    links = sales.NoticeLinks(
        handoff=lambda handoff_id: project.links.handoff(handoff_id, now),
        task=lambda task_id: project.links.task(task_id, now),
        lead=lambda lead_id: f"{project.url}/leads/{lead_id}",
        replies=f"{project.url}/replies",
    )
    folder = project.root / NOTICES
    return sales.send_notices(project.database, folder, send, links, now, machine_now=machine_now())


def readers(links: "Links") -> "Mapping[str, Reader]":
    """Who reads the posts of the inbox, by where they came from."""
    from leadnurture import imports, mail

    return {
        "sendgrid": mail.read_sendgrid_events,
        "inbound": mail.inbound_reader(links),
        "leads": lambda database, post, now, _: imports.read_leads(database, post, now).read(),
        "webinar": imports.read_platform_events,
        "reactions": lambda database, post, now, _: imports.read_reactions(database, post, now).read(),
    }


def read_inbox(project: Project, now: datetime) -> "WorkedOff":
    """Reads what came in, for a few seconds at most. Safe to repeat, and to run in many places at once."""
    from leadnurture.inbox import work_off

    return work_off(project.database, readers(project.links), now, machine_now)


def open_to_people(project: Project, *, is_seen: bool) -> tuple[str, str] | None:
    """Takes up the key of the settings. Where nobody can sign in yet, makes an admin: his name and password.

    Only if somebody sees what is printed, since a password belongs into no log. Safe to repeat.
    """
    from leadnurture import access

    now = project.clock()
    access.take_up_key(project.database, project.settings.api_key.get_secret_value(), FIRST_RUN, now)
    return access.add_first_user(project.database, FIRST_RUN, now) if is_seen else None


def is_open_to_people(project: Project) -> bool:
    """Whether anybody can sign in."""
    from leadnurture import access

    with project.database.read() as connection:
        return access.has_users(connection)


def find_lead(project: Project, name: str) -> int:
    """The id of a lead by an address or by number, also those of before a merge. Raises NotFoundError."""
    from leadnurture import engine

    with project.database.read() as connection:
        return engine.lead_id_of(connection, name)


@dataclass(frozen=True)
class Examined:
    """A project's files as `check` saw them: what `apply` stores, or None with everything that is wrong."""

    definitions: "Definitions | None"
    templates: "Sequence[CompiledTemplate]"
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def examine(root: Path, now: datetime) -> Examined:
    """Reads every file of the project. Writes nothing, opens no database."""
    from leadnurture.definitions import check_project
    from leadnurture.mail import compile_templates

    checked = check_project(root, today=now.date())
    problems = list(checked.problems)
    templates: Sequence[CompiledTemplate] = ()
    if checked.definitions is not None:
        templates, in_templates = compile_templates(checked.definitions)
        problems.extend(in_templates)
    errors = tuple(str(problem) for problem in problems if not problem.is_warning)
    warnings = tuple(str(problem) for problem in problems if problem.is_warning)
    return Examined(None if errors else checked.definitions, templates, errors, warnings)


def apply_project(project: Project, now: datetime) -> "Applied":
    """Stores the project's files as the definitions that hold from now on; all or nothing. Safe to repeat."""
    from leadnurture.engine import apply_definitions

    examined = examine(project.root, now)
    if examined.definitions is None:
        raise ProjectProblemsError("\n".join((*examined.errors, str(ProjectProblemsError()))))
    return apply_definitions(project.database, examined.definitions, examined.templates, now)


def compare_with_files(project: Project, now: datetime) -> "tuple[Comparison, ...]":
    """What the agreements of the project's files would make of the scores, beside those in force."""
    from leadnurture.engine import compare_agreements

    examined = examine(project.root, now)
    if examined.definitions is None:
        raise ProjectProblemsError("\n".join((*examined.errors, str(ProjectProblemsError()))))
    with project.database.read() as connection:
        return compare_agreements(connection, examined.definitions, now)


@dataclass(frozen=True)
class Upcoming:
    """When each kind of work falls due next, if at all. The clock arms by it, the demo jumps by it."""

    waves: Mapping[str, datetime]
    looks: Mapping[Track, datetime]
    sending: datetime | None
    sales: datetime | None
    inbox: datetime | None = None
    judging: datetime | None = None

    @property
    def earliest(self) -> datetime | None:
        """The next instant at which anything is to be done."""
        times = [
            *self.waves.values(), *self.looks.values(), self.sending, self.sales, self.inbox, self.judging,
        ]  # fmt: skip
        return min((time for time in times if time is not None), default=None)

    def held(self) -> "Upcoming":
        """What goes on while the stepping clock is held."""
        return Upcoming({}, {}, self.sending, self.sales, self.inbox)


def upcoming(project: Project, now: datetime) -> Upcoming:
    """What is to be done next, from the rows. A fraction of a millisecond a program; writes nothing."""
    from sqlalchemy import select

    from leadnurture import engine, inbox, mail, sales
    from leadnurture.store.tables import metadata

    program = metadata.tables["program"]
    with project.database.read() as connection:
        names = connection.scalars(select(program.c.name).order_by(program.c.name)).all()
        waves = {name: engine.next_due(connection, name) for name in names}
        looks = {track: engine.next_look(connection, track) for track in TRACKS}
        machine = machine_now()
        sending = mail.next_sending(connection, now, machine)
        owed = sales.next_sla(connection) if names else None
        notice = sales.next_notice(connection)
        reading = inbox.next_reading(connection)
        judging = engine.next_judging(connection)
    return Upcoming(
        {name: at for name, at in waves.items() if at is not None},
        {track: at for track, at in looks.items() if at is not None},
        sending,
        min((at for at in (owed, _in_product_time(notice, now, machine)) if at is not None), default=None),
        _in_product_time(reading, now, machine),
        judging,
    )


def _in_product_time(at: datetime | None, now: datetime, machine: datetime) -> datetime | None:
    """An instant of the machine's clock on the product's, as both stand now."""
    return None if at is None else now + (at - machine)
