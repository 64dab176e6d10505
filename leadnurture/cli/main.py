"""The list of commands, and how an error leaves: a sentence and an exit code, never a traceback."""

import errno
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Final

import typer

from leadnurture.cli import access, files, incoming, leads, running
from leadnurture.cli.output import told
from leadnurture.errors import LeadNurtureError, StorageFullError

INTERRUPTED: Final = 130

app = typer.Typer(
    help="Nurture programs as files, moved as sets, explained row by row.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
import_app = typer.Typer(help="Bring in what other systems know.", no_args_is_help=True)
app.add_typer(import_app, name="import")
user_app = typer.Typer(help="The people who sign in.", no_args_is_help=True)
app.add_typer(user_app, name="user")
key_app = typer.Typer(help="The keys that other systems show.", no_args_is_help=True)
app.add_typer(key_app, name="key")


def _tell_version(is_asked: bool) -> None:  # noqa: FBT001 - as typer calls it
    if is_asked:
        typer.echo(f"leadnurture {version('leadnurture')}")
        raise typer.Exit


@app.callback()
def before_a_command(
    *,
    _: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version and end."),
    ] = False,
) -> None:
    """Takes the options that stand before a command."""


COMMANDS: Final[tuple[Callable[..., None], ...]] = (
    files.check, files.apply, files.schema, files.migrate, files.doctor,
    running.up, running.web, running.worker, running.look, running.wave, running.deliver,
    leads.status, leads.explain, leads.export, leads.rescore, leads.react, leads.close, leads.deal,
    leads.merge, leads.unmerge,
    incoming.replay, incoming.replies, incoming.sort, incoming.tasks, incoming.answer, incoming.judge,
    incoming.settle,
    running.demo, running.bench,
)  # fmt: skip
for command in COMMANDS:
    app.command()(command)
import_app.command("leads")(leads.import_leads)
user_app.command("add")(access.add_user)
user_app.command("list")(access.list_users)
user_app.command("password")(access.give_password)
user_app.command("role")(access.set_role)
user_app.command("remove")(access.remove_user)
key_app.command("add")(access.add_key)
key_app.command("list")(access.list_keys)
key_app.command("revoke")(access.revoke_key)


def main() -> None:
    """Runs the command of this process."""
    try:
        app()
    except LeadNurtureError as error:
        told(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has enough; the interpreter must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        told(str(StorageFullError()))
        sys.exit(StorageFullError.exit_code)
