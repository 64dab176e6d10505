"""What a command says: lines for people, one JSON document for machines, progress where it takes long.

Results go to the standard output, all else to the standard error, so that a pipe gets the result alone.
"""

import getpass
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Format(StrEnum):
    """Who reads the result."""

    text = "text"
    json = "json"


ProjectFolder = Annotated[
    Path, typer.Option("--project", help="The project's folder.", metavar="DIR", show_default=False)
]
OutputFormat = Annotated[Format, typer.Option("--format", help="text for people, json for machines.")]
HERE = Path()


def show(result: object, form: Format, text: Callable[[], str]) -> None:
    """Prints the result of a command."""
    if form is Format.text:
        typer.echo(text().rstrip("\n"))
    else:
        typer.echo(json.dumps(plain(result), ensure_ascii=False, indent=2))


def plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON knows
    """A value as JSON knows it: dataclasses as objects, instants and dates as ISO 8601."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def told(sentence: str) -> None:
    """Says something beside the result."""
    typer.echo(sentence, err=True)


def is_seen() -> bool:
    """Whether somebody reads what `told` says, now: a terminal or a pipe, not a file and not the journal."""
    try:
        kind = os.fstat(sys.stderr.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return sys.stderr.isatty() or stat.S_ISFIFO(kind)


@contextmanager
def progress(what: str, form: Format) -> Iterator[Callable[[str], None]]:
    """Says how far long work is: a live line on a terminal, else plain lines; nothing for machines."""
    if form is Format.json:
        yield lambda _: None
    elif sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status(what) as status:
            yield lambda done: status.update(f"{what}: {done}")
    else:
        yield lambda done: told(f"{what}: {done}")


def columns(rows: list[tuple[str, ...]]) -> str:
    """Rows as aligned columns."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def actor() -> str:
    """Who types, as the machine knows him."""
    try:
        return f"command of {getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name
        return "command"
