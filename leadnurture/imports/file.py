"""A CSV file from beginning to end: rows in chunks of sets, unusable ones into a file of their own."""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from leadnurture.domain.definitions import Definitions
from leadnurture.engine import NewReaction, import_leads, record_reactions
from leadnurture.errors import InvalidInputError
from leadnurture.imports.cells import UnusableCellError
from leadnurture.imports.table import REASON, ImportedLead, LeadTable
from leadnurture.store import Database

CHUNK: Final = 5_000
WARNINGS_KEPT: Final = 20
LONGEST_CELL: Final = 100_000
# A spreadsheet runs a cell that begins with one of these.
FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass
class ImportReport:
    """What became of a file, row by row: every row is created, updated, unchanged or rejected."""

    file: str
    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    reactions: int = 0
    """What was recorded of the column `attended`."""
    rejected_file: str | None = None
    ignored_columns: tuple[str, ...] = ()
    warned: int = 0
    warnings: list[str] = field(default_factory=list)
    """The first few of them."""

    def warn(self, sentence: str) -> None:
        """Counts a warning and keeps it while there are few."""
        self.warned += 1
        if len(self.warnings) < WARNINGS_KEPT:
            self.warnings.append(sentence)


def import_file(
    database: Database,
    definitions: Definitions,
    path: Path,
    now: datetime,
    *,
    progress: Callable[[ImportReport], None] = lambda _: None,
) -> ImportReport:
    """Imports a CSV file; rows that cannot be used go to `<file>.rejected.csv`. Safe to repeat."""
    report = ImportReport(path.name)
    with _rows_of(path) as rows:
        header = next(rows, [])
        table = LeadTable(header, definitions, report.warn)
        report.ignored_columns = table.ignored
        rejected = _RejectedFile(path, header)
        usable = _usable(rows, table, rejected, report, now)
        while chunk := list(islice(usable, CHUNK)):
            _store(database, chunk, report, now)
            progress(report)
    report.rejected_file = rejected.write()
    return report


def read_emails(path: Path) -> tuple[str, ...]:
    """The addresses of a list, say of attendance: its column email, or its only column."""
    with _rows_of(path) as rows:
        first = next(rows, [])
        titles = [title.strip().casefold() for title in first]
        if "email" not in titles and len(first) != 1:
            raise InvalidInputError(f"{path.name} has no column email.")
        index = titles.index("email") if "email" in titles else 0
        found = [row[index].strip() for row in rows if len(row) > index]
        return tuple(cell for cell in ([] if "email" in titles else [first[0].strip()]) + found if cell)


def _usable(
    rows: "_Rows", table: LeadTable, rejected: "_RejectedFile", report: ImportReport, now: datetime
) -> Iterator[ImportedLead]:
    """The leads of the usable rows; the others are written to the side."""
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        report.rows += 1
        try:
            yield table.read(rows.line, row, now)
        except UnusableCellError as error:
            report.rejected += 1
            rejected.add(row, str(error))


def _store(database: Database, chunk: Sequence[ImportedLead], report: ImportReport, now: datetime) -> None:
    """One chunk: the leads, then what they attended, told under a key that is the same the next time."""
    imported = import_leads(database, [row.lead for row in chunk], now, source=report.file)
    report.created += imported.created
    report.updated += imported.updated
    report.unchanged += len(chunk) - imported.created - imported.updated
    for lead_id, other in imported.doubles:
        report.warn(f"leads {lead_id} and {other} may be one person: both bear the same address or id")
    attended = [
        NewReaction(
            "attended", f"import:{lead_id}:attended:{content}", "import", lead_id=lead_id, content=content
        )
        for lead_id, row in zip(imported.lead_ids, chunk, strict=True)
        for content in row.attended
    ]
    if attended:
        report.reactions += record_reactions(database, attended, now).recorded


class _Rows(Iterator[list[str]]):
    """The rows of a stream, and the line of the file at which the last one ended."""

    def __init__(self, stream: TextIO) -> None:
        csv.field_size_limit(LONGEST_CELL)
        head = stream.readline()
        delimiter = max(",;\t", key=head.count)
        stream.seek(0)
        self._reader = csv.reader(stream, delimiter=delimiter, strict=True)

    def __next__(self) -> list[str]:
        try:
            return [_unquoted(cell) for cell in next(self._reader)]
        except csv.Error as error:
            raise InvalidInputError(f"Line {self.line} is no CSV: {error}.") from error

    @property
    def line(self) -> int:
        """The line of the file, the header being the first."""
        return self._reader.line_num


@contextmanager
def _rows_of(path: Path) -> Iterator[_Rows]:
    try:
        with path.open(encoding=_encoding(path), newline="") as stream:
            yield _Rows(stream)
    except IsADirectoryError as error:
        raise InvalidInputError(f"{path} is a folder, not a CSV file.") from error
    except FileNotFoundError as error:
        raise InvalidInputError(f"There is no file {path}.") from error
    except PermissionError as error:
        raise InvalidInputError(f"{path} may not be read by this user.") from error


def _encoding(path: Path) -> str:
    """UTF-8 with or without its mark, else what Windows writes."""
    with path.open("rb") as stream:
        try:
            for block in iter(stream.readline, b""):
                block.decode("utf-8")
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"


class _RejectedFile:
    """The rows that could not be used, beside the file they came from; complete, or not there at all."""

    def __init__(self, source: Path, header: Sequence[str]) -> None:
        self._header = header
        self._path = source.with_suffix(".rejected.csv")
        self._rows: list[list[str]] = []

    def add(self, row: Sequence[str], reason: str) -> None:
        """Keeps a row with its reason."""
        padding = [""] * (len(self._header) - len(row))
        self._rows.append([*row, *padding, reason])

    def write(self) -> str | None:
        """Where the rows lie now, no cell of them a formula to a spreadsheet; None when there are none."""
        if not self._rows:
            return None
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            with draft.open("w", encoding="utf-8", newline="") as stream:
                csv.writer(stream).writerows(map(_quoted, [[*self._header, REASON], *self._rows]))
            draft.replace(self._path)
        finally:
            draft.unlink(missing_ok=True)
        return str(self._path)


def _quoted(row: Sequence[str]) -> list[str]:
    return [f"'{cell}" if cell.startswith(FORMULA_SIGNS) else cell for cell in row]


def _unquoted(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA_SIGNS) else cell
