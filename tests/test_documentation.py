"""What the documents say, compared with what the product has; their examples are run.

Pages with a subject of their own are tested beside it: docs/language.md in tests/definitions, docs/api.md in
tests/web/test_api.py, docs/settings.md in tests/test_settings.py.
"""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from sqlalchemy import text
from typer.core import TyperGroup

from leadnurture import errors
from leadnurture.app import Project, open_project
from leadnurture.cli.main import INTERRUPTED, app
from leadnurture.definitions import check_project
from leadnurture.store import Database
from leadnurture.web import create_app
from tests.web.client import Client

ROOT = Path(__file__).parent.parent
FOLDERS = [path for path in sorted(ROOT.iterdir()) if path.is_dir() and not path.name.startswith(".")]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in sorted(folder.rglob("*.md")))]
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
}
README, COMMANDS, OPERATING = (PAGES[name] for name in ("README.md", "docs/commands.md", "docs/operating.md"))
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
INLINE = re.compile(r"`(leadnurture [^`]+)`")
OPTION = re.compile(r"--[a-z-]+")


def blocks(page: str, kind: str) -> list[str]:
    """The examples of a page in one language."""
    return [block for name, block in BLOCK.findall(page) if name == kind]


@pytest.fixture
def company(tmp_path: Path) -> Path:
    """A copy of the sample company."""
    for folder in ("config", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / "company" / folder)
    return tmp_path / "company"


@pytest.fixture
def project(company: Path) -> Iterator[Project]:
    opened = open_project(company)
    yield opened
    opened.close()


# Commands


def commands(group: TyperGroup, names: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    """Every command by its whole name, with its options."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, (*names, name))
        else:
            options = {option for parameter in command.params for option in parameter.opts}
            yield " ".join((*names, name)), {option for option in options if option.startswith("--")}


def all_commands() -> dict[str, set[str]]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return dict(commands(group))


@pytest.mark.parametrize("name", all_commands())
def test_every_command_and_option_is_documented(name: str) -> None:
    assert f"`leadnurture {name}" in COMMANDS
    assert {option for option in all_commands()[name] if option not in COMMANDS} == set()


def mentioned() -> Iterator[tuple[str, str]]:
    """Every command line of the documents, with its page."""
    for page, content in PAGES.items():
        for line in INLINE.findall(content):
            yield page, line
        for block in blocks(content, "sh"):
            for line in re.findall(r"(?:^|/bin/)(leadnurture .+)$", block, re.MULTILINE):
                yield page, line


@pytest.mark.parametrize(("where", "line"), sorted(set(mentioned())))
def test_every_command_line_is_one_that_there_is(where: str, line: str) -> None:
    words = line.removeprefix("leadnurture ").partition(" #")[0]
    known = {"--help": {"--help"}, "--version": {"--version"}, **all_commands()}
    name = next((name for name in known if words == name or words.startswith(f"{name} ")), None)
    assert name, f"{where}: {line}"
    assert set(OPTION.findall(words)) <= known[name], f"{where}: {line}"


def test_every_word_of_make_is_one_that_there_is() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = {
        word for page in PAGES.values() for word in re.findall(r"(?:^|`)make ([a-z]+)", page, re.MULTILINE)
    }
    assert {"demo", "test", "setup", "bench"} <= told <= targets


def test_every_exit_code_is_documented() -> None:
    ours = [each for each in vars(errors).values() if isinstance(each, type)]
    codes = {each.exit_code for each in ours if issubclass(each, errors.LeadNurtureError)}
    assert [code for code in (0, *codes, INTERRUPTED) if f"| {code} |" not in COMMANDS] == []


# The web


@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")  # GET and HEAD of one door
def test_every_address_is_documented(project: Project) -> None:
    paths = create_app(project).openapi()["paths"]
    assert len(paths) > 15
    assert [path for path in paths if f"`{path}`" not in OPERATING] == []


def test_every_number_of_the_metrics_is_documented(project: Project) -> None:
    told = Client(create_app(project)).get("/metrics").text
    names = re.findall(r"^# TYPE leadnurture_(\w+)", told, re.MULTILINE)
    assert len(names) > 5
    assert [name for name in names if f"`{name}`" not in OPERATING] == []


# The examples


(PROGRAM,) = blocks(README, "yaml")
PROGRAM_FILE = PROGRAM.partition("\n")[0].removeprefix("# ")
PROBLEM = re.compile(r'^(\S+):(\d+):(\d+): unknown step "(.+)", did you mean "(.+)"\?$', re.MULTILINE)


def test_the_program_of_the_readme_is_right(company: Path) -> None:
    (company / PROGRAM_FILE).write_text(PROGRAM)
    assert [str(problem) for problem in check_project(company).problems] == []


def test_the_problem_of_the_readme_is_what_check_says(company: Path) -> None:
    told = PROBLEM.search(README)
    assert told
    lines = PROGRAM.split("\n")
    lines[int(told[2]) - 1] = lines[int(told[2]) - 1].replace(told[5], told[4])
    (company / PROGRAM_FILE).write_text("\n".join(lines))
    assert [str(problem) for problem in check_project(company).problems] == [told[0]]


@pytest.mark.slow
def test_the_commands_of_the_readme_make_a_company(tmp_path: Path) -> None:
    here = tmp_path / "leadnurture"
    for folder in ("config", "templates", "samples"):
        shutil.copytree(ROOT / folder, here / folder)
    (script,) = [block for block in blocks(README, "sh") if "../acme" in block]
    lines = [line for line in script.splitlines() if line != "make setup" and " up " not in line]
    ours = shlex.join((sys.executable, "-m", "leadnurture"))
    commands = "\n".join(lines).replace(".venv/bin/leadnurture", ours)
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", commands], cwd=here, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stderr
    assert "Everything is right." in done.stdout
    assert "1,000 leads" in done.stdout
    assert "Götz Brandt" in done.stdout
    assert (here / "samples/leads.rejected.csv").exists()
    assert (tmp_path / "acme/.schema/program.json").exists()


def test_the_gap_after_a_restore_is_left(database: Database) -> None:
    dialect = "SQLite" if database.is_sqlite else "PostgreSQL"
    (statement,) = [block for block in blocks(OPERATING, "sql") if f"-- {dialect}\n" in block]
    account = text("INSERT INTO account (name, name_key, created_at) VALUES (:name, :name, 0) RETURNING id")
    with database.write() as connection:
        before = connection.execute(account, {"name": "before"}).scalar_one()
        connection.exec_driver_sql(statement.replace("%I", "%%I") if not database.is_sqlite else statement)
        after = connection.execute(account, {"name": "after"}).scalar_one()
    assert after > before + 999_999


# Links and names


def anchor(heading: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_link_leads_somewhere() -> None:
    lost = []
    for page, content in PAGES.items():
        for link in LINK.findall(content):
            path, _, part = link.partition("#")
            if "://" in link:
                continue
            target = (ROOT / page).parent / path if path else ROOT / page
            if not target.exists() or (part and part not in map(anchor, HEADING.findall(target.read_text()))):
                lost.append(f"{page}: {link}")
    assert lost == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, next_ones = set[Path](), {ROOT / "README.md"}
    while next_ones:
        page = next_ones.pop()
        seen.add(page)
        found = {(page.parent / link.partition("#")[0]).resolve() for link in LINK.findall(page.read_text())}
        inside = {below for path in found if path.is_dir() for below in path.glob("*.md")}
        next_ones |= {path for path in found | inside if path.suffix == ".md"} - seen
    assert {ROOT / page for page in PAGES if page.startswith(("docs/", "samples/"))} <= seen


def test_every_package_stands_in_the_layout() -> None:
    packages = [path.parent.name for path in (ROOT / "leadnurture").glob("*/__init__.py")]
    (layout,) = [block for block in blocks(README, "") if "the only code that knows Prefect" in block]
    assert [name for name in packages if f"{name}/" not in layout] == []


# Words


NEVER = {
    "contact": "lead",
    "campaign": "program",
    "workflow": "program",
    "asset": "content",
    "subscriber": "lead",
    "tenant": "account",
    "segment": "track",
    "blacklist": "suppression",
    "membership": "enrollment",
}
WORD = re.compile(rf"\b({'|'.join(NEVER)})s?\b", re.IGNORECASE)
# A first contact is what sales makes, and the CRM has contacts; readers of mails may contact us.
ALLOWED = re.compile(
    r"first contact|contact (?:is|was) (?:owed|made)|contacts? (?:in|of) the CRM|of the contact in the CRM|"
    r"no contact in the CRM",
    re.IGNORECASE,
)
SPEAKING = ("cli", "web", "reports", "profile", "sales", "definitions", "imports")


def texts() -> Iterator[tuple[str, str]]:
    """Everything that people read, with its file: documents, pages, notices, the sentences in the code."""
    yield from ((page, told) for page, told in PAGES.items() if not page.startswith("benchmarks/"))
    for folder in ("templates/web", "templates/notice"):
        for path in sorted((ROOT / folder).rglob("*.*")):
            yield path.relative_to(ROOT).as_posix(), path.read_text()
    modules = [path for name in SPEAKING for path in sorted((ROOT / "leadnurture" / name).rglob("*.py"))]
    for path in [*modules, ROOT / "leadnurture/errors.py", ROOT / "leadnurture/settings.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def test_one_thing_has_one_word() -> None:
    wrong = [
        f"{place}: {word}, say {NEVER[word.lower()]}"
        for place, said in texts()
        for word in WORD.findall(ALLOWED.sub("", said))
    ]
    assert wrong == []


# Nothing of the machine that it was written on


HOMES = re.compile(r"/(?:home|Users)/[a-z]\w+|/root/\w|file:///")


def machine_words() -> list[str]:
    """Names that are this machine's own: where the checkout lies, and where packages come from."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    hosts = re.findall(r"://(?:[^/@'\s]+@)?([^/'\s]+)", told)
    return [str(ROOT), *(host for host in hosts if not host.endswith(("pypi.org", "pythonhosted.org")))]


def kept() -> Iterator[tuple[str, str]]:
    """What git keeps and we wrote: every file's name and text."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and "vendor" not in path.parts and path != Path(__file__):
            yield name, path.read_bytes().decode(errors="replace")


def test_no_file_knows_the_machine_that_it_was_written_on() -> None:
    words = machine_words()
    found = [
        f"{name}: {word}"
        for name, content in kept()
        for word in [*words, *HOMES.findall(content)]
        if word in content
    ]
    assert found == []


def test_no_file_has_a_merge_left_open() -> None:
    assert [name for name, content in kept() if re.search(r"^(?:<{7}|>{7}) ", content, re.MULTILINE)] == []
