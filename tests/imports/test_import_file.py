"""Spreadsheets of leads: what is put right, what comes back, and that twice is once."""

import csv
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from leadnurture.app import examine
from leadnurture.domain.definitions import Definitions
from leadnurture.engine import apply_definitions
from leadnurture.errors import InvalidInputError
from leadnurture.imports import ImportReport, import_file, read_emails
from leadnurture.store import Database, open_database
from leadnurture.store.tables import metadata

ROOT = Path(__file__).parent.parent.parent
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
Import = Callable[[str], ImportReport]


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    examined = examine(ROOT, NOW)
    assert examined.definitions is not None, examined.errors
    return examined.definitions


@pytest.fixture
def base(sqlite_url: str, definitions: Definitions) -> Iterator[Database]:
    opened = open_database(sqlite_url)
    apply_definitions(opened, definitions, examine(ROOT, NOW).templates, NOW)
    yield opened
    opened.dispose()


@pytest.fixture
def import_text(base: Database, definitions: Definitions, tmp_path: Path) -> Import:
    def run(text: str, encoding: str = "utf-8") -> ImportReport:
        path = tmp_path / "leads.csv"
        path.write_bytes(text.encode(encoding))
        return import_file(base, definitions, path, NOW)

    return run


def rejected(report: ImportReport) -> list[list[str]]:
    assert report.rejected_file is not None
    with Path(report.rejected_file).open(newline="") as stream:
        return list(csv.reader(stream))


def all_of(base: Database, table: str, *columns: str) -> list[tuple[object, ...]]:
    chosen = [metadata.tables[table].c[name] for name in columns]
    with base.read() as connection:
        return [tuple(row) for row in connection.execute(select(*chosen).order_by(*chosen))]


def test_columns_are_known_by_many_names_and_values_are_put_right(
    base: Database, import_text: Import
) -> None:
    report = import_text(
        "E-Mail; First Name;SURNAME;Company;Role;Country;Language;Time Zone;Employees;Shoe size\n"
        " ANN@Acme.example ;Ann;Lee;Acme GmbH; HEAD ;Germany;DE;europe/berlin;250;38\n"
    )
    assert (report.created, report.rejected, report.ignored_columns) == (1, 0, ("Shoe size",))
    columns = ("email_key", "first_name", "last_name", "role", "country", "language", "zone")
    assert all_of(base, "lead", *columns) == [
        ("ann@acme.example", "Ann", "Lee", "head", "DE", "de", "Europe/Berlin")
    ]
    assert ("employees", 250.0) in all_of(base, "account_fact", "name", "number")


def test_twice_gives_the_same_leads_once(base: Database, import_text: Import) -> None:
    text = "email,attended\nann@acme.example,expo-2026\nANN@acme.example,\nbob@acme.example,\n"
    first, second = import_text(text), import_text(text)
    assert (first.created, first.unchanged, first.reactions) == (2, 1, 1)
    assert (second.created, second.unchanged, second.reactions) == (0, 3, 0)
    assert len(all_of(base, "lead", "id")) == 2


TWICE_AND_WITHOUT_AN_ACCOUNT = """email,source,employees,account
ann@acme.example,fair,200,Acme
ben@acme.example,,300,Acme
ANN@acme.example,website,,Acme
eve@gmail.com,,40,
"""


def test_the_same_file_again_changes_nothing_whoever_contradicts_whom(
    base: Database, import_text: Import
) -> None:
    first = import_text(TWICE_AND_WITHOUT_AN_ACCOUNT)
    assert (first.created, first.updated) == (3, 0)
    again = import_text(TWICE_AND_WITHOUT_AN_ACCOUNT)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 4)
    assert all_of(base, "account_fact", "number") == [(300.0,)]


def test_where_a_lead_came_from_stays_what_was_told_first(base: Database, import_text: Import) -> None:
    import_text("email,source\nann@acme.example,fair\nANN@acme.example,website\nben@acme.example,\n")
    assert all_of(base, "lead", "email", "source") == [("ann@acme.example", "fair"), ("ben@acme.example", "")]
    import_text("email,source\nann@acme.example,referral\nben@acme.example,referral\n")
    assert all_of(base, "lead", "source") == [("fair",), ("referral",)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("ann(at)acme.example,,,,,", '"ann(at)acme.example" is no address'),
        (",Ann,,,,", "the address is missing"),
        ("ann@acme.example,,yesterday,,,", 'consent at: "yesterday" is no date like 2027-03-01'),
        ("ann@acme.example,,2099-01-01,,,", 'consent at: "2099-01-01" lies in the future'),
        ("ann@acme.example,,,03/04/2027,,", 'budget_on: "03/04/2027" is no date like 2027-03-01'),
        ('ann@acme.example,,,,"1,200",', 'account.employees: "1,200" may mean two numbers'),
        ("ann@acme.example,,,,many,", 'account.employees: "many" is no number'),
        ("ann@acme.example,,,,,perhaps", 'account.deal_won: "perhaps" is neither yes nor no'),
        ("ann@acme.example,,,,,,surplus", "the row has 7 cells, the first line 6"),
    ],
)
def test_a_row_that_cannot_be_used_comes_back_whole_with_the_reason(
    import_text: Import, row: str, reason: str
) -> None:
    report = import_text(
        f"email,first name,consent at,budget on,employees,deal won\n{row}\nbob@acme.example,,,,,\n"
    )
    assert (report.rows, report.created, report.rejected) == (2, 1, 1)
    header, came_back = rejected(report)
    assert header[-1] == "reason"
    assert came_back[:-1] == next(csv.reader([row]))
    assert came_back[-1].startswith(reason)


def test_mended_rows_can_be_imported_from_the_file_that_came_back(
    base: Database, definitions: Definitions, import_text: Import
) -> None:
    report = import_text("email,last name\nann(at)acme.example,=1+1\n")
    assert rejected(report)[1][1] == "'=1+1", "no formula for a spreadsheet"
    path = Path(str(report.rejected_file))
    path.write_text(path.read_text().replace("(at)", "@"))
    again = import_file(base, definitions, path, NOW)
    assert (again.created, again.ignored_columns) == (1, ())
    assert all_of(base, "lead", "last_name") == [("=1+1",)]


def test_an_unknown_zone_is_a_warning_and_the_companys_zone_holds(
    base: Database, import_text: Import
) -> None:
    report = import_text("email,time zone\nann@acme.example,Europe/Frankfurt\n")
    assert report.warnings == ['line 2: "Europe/Frankfurt" is no time zone, so Europe/Berlin holds']
    assert all_of(base, "lead", "zone", "zone_given") == [("Europe/Berlin", "")]


def test_free_mail_makes_no_account(base: Database, import_text: Import) -> None:
    import_text("email\nann@gmail.com\nbob@acme.example\n")
    assert [domain for (domain,) in all_of(base, "account", "domain")] == ["acme.example"]


@pytest.mark.parametrize(
    ("said", "purposes"),
    [("marketing", ["marketing"]), ("yes", ["marketing"]), ("no", []), ("", [])],
)
def test_consent_keeps_its_proof(base: Database, import_text: Import, said: str, purposes: list[str]) -> None:
    import_text(
        f"email,consent,consent at,consent source\nann@acme.example,{said},2026-01-31 14:30,webform\n"
    )
    given = datetime(2026, 1, 31, 13, 30, tzinfo=UTC)
    kept = all_of(base, "consent", "purpose", "given_at", "source")
    assert kept == [(purpose, given, "webform") for purpose in purposes]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_spreadsheets_write_in_several_encodings(
    base: Database, import_text: Callable[..., ImportReport], encoding: str
) -> None:
    import_text("email,last name\nann@acme.example,Böhm\n", encoding)
    assert all_of(base, "lead", "last_name") == [("Böhm",)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name\nAnn\n", "The first line has no column email; it has name"),
        ("email,E-Mail\na@b.example,c@d.example\n", 'Two columns mean the same as "E-Mail"'),
        ('email,name\nann@acme.example,"Ann\n', "Line 2 is no CSV"),
    ],
)
def test_a_file_that_is_no_list_of_leads_is_refused(import_text: Import, text: str, sentence: str) -> None:
    with pytest.raises(InvalidInputError, match=sentence):
        import_text(text)


def test_the_sample_leads_come_in_and_its_broken_rows_come_back(
    base: Database, definitions: Definitions, tmp_path: Path
) -> None:
    path = tmp_path / "leads.csv"
    path.write_bytes((ROOT / "samples/leads.csv").read_bytes())
    reports = [import_file(base, definitions, path, NOW) for _ in range(2)]
    assert [(each.rows, each.created, each.rejected) for each in reports] == [(1036, 1000, 16), (1036, 0, 16)]
    assert reports[0].ignored_columns == ()
    with base.read() as connection:
        lead = metadata.tables["lead"]
        assert connection.scalar(select(func.count()).select_from(lead)) == 1000


def test_a_list_of_addresses_may_have_one_nameless_column(tmp_path: Path) -> None:
    path = tmp_path / "attended.csv"
    path.write_text("ann@acme.example\n\n bob@acme.example \n")
    assert read_emails(path) == ("ann@acme.example", "bob@acme.example")
    path.write_text("name;email\nAnn;ann@acme.example\n")
    assert read_emails(path) == ("ann@acme.example",)
