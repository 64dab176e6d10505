"""The commands as a shell sees them: output, exit code, and one sentence where something is wrong."""

import errno
import http.server
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leadnurture.app import open_project
from leadnurture.cli import main
from leadnurture.definitions import dump_ask
from leadnurture.domain.asking import Ask, Question
from leadnurture.inbox import keep
from tests.profile.rows import NOW, add, add_lead

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Result:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("config", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / "project" / folder)
    return tmp_path / "project"


@pytest.fixture
def run(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process, which is quicker by two seconds."""

    def run(*arguments: str, **environment: str) -> Result:
        with monkeypatch.context() as patched:
            patched.setattr("sys.argv", ["leadnurture", *arguments, "--project", str(project)])
            for name, value in environment.items():
                patched.setenv(name, value)
            code = 0
            try:
                main()
            except SystemExit as end:
                code = int(end.code or 0)
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return run


@pytest.fixture
def shell(project: Path) -> Run:
    """Runs a command as a process of its own."""

    def run(*arguments: str, **environment: str) -> Result:
        command = [sys.executable, "-m", "leadnurture", *arguments, "--project", str(project)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


def sentence_of(result: Result) -> str:
    """What it said, which must be one line and no traceback."""
    said = result.stderr.strip()
    assert "\n" not in said, said
    return said


def test_a_replay_reads_what_lies_in_the_inbox(run: Run, project: Path) -> None:
    assert run("apply").returncode == 0
    opened = open_project(project)
    keep(opened.database, "leads", b'{"email": "ann@example.com"}', datetime(2026, 12, 8, 9, tzinfo=UTC))
    opened.close()
    for arguments, read in (((), 1), (("--source", "sendgrid"), 0), (("--since", "2026-12-08"), 1)):
        told = run("replay", *arguments, "--format", "json")
        assert json.loads(told.stdout) == {"read": read, "failed": 0}
    assert run("replay", "--since", "2026-12-09").stdout == "0 posts read, 0 failed.\n"
    assert json.loads(run("status", "--format", "json").stdout)["leads"] == 1
    assert "sendgrid, inbound, webinar, leads, reactions" in run("replay", "--source", "sendgird").stderr


def test_a_mail_whose_outcome_is_known_is_not_settled_by_hand(run: Run) -> None:
    assert run("apply").returncode == 0
    missing = run("settle", "12", "sent")
    assert (missing.returncode, sentence_of(missing)) == (
        5,
        "There is no mail 12; look for it in the outbox.",
    )


def test_replies_are_listed_and_a_missing_one_cannot_be_sorted(run: Run) -> None:
    assert run("apply").returncode == 0
    assert run("replies").stdout == "No reply waits to be sorted.\n"
    assert json.loads(run("replies", "--format", "json").stdout) == []
    missing = run("sort", "7", "resume")
    assert missing.returncode == 5
    assert "leadnurture replies" in sentence_of(missing)


def test_tasks_are_listed_and_answered_once(run: Run, project: Path) -> None:
    assert run("apply").returncode == 0
    assert run("tasks").stdout == "No task waits for an answer.\n"
    missing = run("answer", "7", "done")
    assert (missing.returncode, "open the page again" in sentence_of(missing)) == (5, True)
    opened = open_project(project)
    with opened.database.write() as connection:
        lead = add_lead(connection, "Eve Five", role="")
        add(connection, "almost_qualified", lead_id=lead, missing="role", since_at=NOW, is_told=True)
        ask = dump_ask(Ask((Question("role", "fact"),)))
        told = {"text": "Find out what is missing: role", "person": "dana", "opened_at": NOW}
        add(connection, "task", lead_id=lead, status="open", ask=ask, **told)
    opened.close()
    assert "Dana Weber\n    Find out what is missing: role\n    role: a text" in run("tasks").stdout
    (row,) = json.loads(run("tasks", "--format", "json").stdout)["rows"]
    assert (row["person"], row["question"]["name"]) == ("dana", "role")
    assert run("answer", "1", "Head", "--by", "dana").stderr == "Noted.\n"
    assert run("answer", "1", "Chief").stderr == "Answered before.\n"
    assert run("tasks").stdout == "No task waits for an answer.\n"


def test_check_says_that_the_sample_company_is_right(run: Run) -> None:
    result = run("check")
    assert (result.returncode, result.stdout) == (0, "Everything is right.\n")


def test_the_list_of_commands_says_what_each_does_in_a_whole_sentence() -> None:
    command = [sys.executable, "-m", "leadnurture", "--help"]
    listed = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"}
    )
    lines = listed.stdout.partition("Commands:\n")[2].splitlines()
    assert len(lines) > 10
    assert [line for line in lines if line.endswith("...") or not line.endswith(".")] == []


def test_check_lists_what_is_wrong_with_its_place(run: Run, project: Path) -> None:
    program = project / "config/prospects/programs/scaling-series.yaml"
    program.write_text(program.read_text().replace("registered: seat", "registered: seet", 1))
    result = run("check", "--format", "json")
    assert result.returncode == 1
    (error,) = json.loads(result.stdout)["errors"]
    assert error.startswith("config/prospects/programs/scaling-series.yaml:")
    assert 'did you mean "seat"?' in error


def test_check_imports_neither_prefect_nor_the_database(project: Path) -> None:
    program = (
        "import sys\n"
        "sys.argv = ['leadnurture', 'check', '--project', sys.argv[1]]\n"
        "from leadnurture.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'prefect', 'apscheduler', 'sqlmodel', 'sqlalchemy', 'fastapi', 'sendgrid'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(project)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_apply_import_and_status_tell_a_machine_the_same_numbers(run: Run, tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text(
        "email,company,time zone\nann@acme.example,Acme,Europe/Berlin\nbob(at)acme.example,Acme,\n"
    )
    applied = json.loads(run("apply", "--format", "json").stdout)
    imported = json.loads(run("import", "leads", str(leads), "--format", "json").stdout)
    status = json.loads(run("status", "--format", "json").stdout)
    assert len(applied["programs"]) == 9
    assert (imported["created"], imported["rejected"]) == (1, 1)
    assert {"leads", "enrollments", "due", "messages", "reactions", "handoffs"} <= set(status)
    assert status["leads"] == 1


def test_apply_and_look_tell_a_person_what_they_did(run: Run, tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text("email\nann@acme.example\n")
    first, second = run("apply").stdout, run("apply").stdout
    assert first.startswith("Version 1 holds from now on.\nPrograms that are new or changed: getting-")
    assert second == "Version 1 holds; no program and no session has changed.\n"
    run("import", "leads", str(leads))
    told = run("look", LEADNURTURE_PREFECT_PORT="1").stdout
    assert told.startswith("prospects: 1 leads, ")
    assert told.endswith("clients: nothing has changed\n")


def test_the_data_folder_is_private(run: Run, project: Path) -> None:
    run("apply")
    assert (project / ".leadnurture").stat().st_mode & 0o777 == 0o700


def test_nothing_is_applied_when_a_file_is_wrong(run: Run, project: Path) -> None:
    (project / "config/content/first-letter.yaml").write_text("kind: letter\n")
    result = run("apply")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "config/content/first-letter.yaml:1:" in result.stderr
    assert run("explain", "ann@acme.example").returncode == 5


def test_a_fact_can_be_told_and_counts_once(run: Run, tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text("email\nann@acme.example\n")
    run("apply")
    run("import", "leads", str(leads))
    told = [run("react", "Ann@acme.example", "replied", "--key", "crm-1").stdout for _ in range(2)]
    assert told == ["Recorded.\n", "Known already.\n"]


def test_what_is_told_is_about_what_there_is(run: Run, tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text("email\nann@acme.example\n")
    run("apply")
    run("import", "leads", str(leads))
    about = ("react", "ann@acme.example", "registered", "--content")
    for told, said in (
        (("scalin-1",), 'unknown content "scalin-1"; did you mean "scaling-1"?'),
        (("scaling-1", "--session", "nope"), '"scaling-1" has no session "nope"'),
        (("scaling-1",), '"scaling-1" has several sessions; say which: '),
    ):
        assert said in sentence_of(run(*about, *told))
    assert "registered" not in run("explain", "ann@acme.example").stdout


def test_a_person_may_say_who_clicked(run: Run, tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text("email\nann@acme.example\n")
    run("apply")
    run("import", "leads", str(leads))
    run("react", "ann@acme.example", "clicked", "--content", "downtime-costs")
    assert "rests until" in run("explain", "ann@acme.example").stdout
    told = run("judge", "1", "machine", "--reason", "our own gateway").stdout
    assert told == "It does not count, and did not before.\n"
    assert "click 1 judged a machine’s: our own gateway" in run("explain", "ann@acme.example").stdout
    assert run("judge", "1", "person").stdout.startswith("It counts: ")
    assert run("judge", "1", "person").stdout.startswith("Nothing changes")
    assert run("judge", "1", "machine").stdout.startswith("It does not count any more")
    missing = run("judge", "7", "person")
    assert (missing.returncode, sentence_of(missing)[:21]) == (5, "There is no click 7; ")


def test_a_copy_of_all_that_is_held_says_who_took_it(run: Run, tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text("email\nann@acme.example\n")
    run("apply")
    run("import", "leads", str(leads))
    first, again = (json.loads(run("export", "ann@acme.example").stdout) for _ in range(2))
    assert [row["act"] for row in again["audit"]] == ["exported all that is held"] * 2
    assert again["audit"][0] == first["audit"][0]
    assert first["audit"][0]["actor"].startswith("command")
    assert run("export", "nobody@acme.example").returncode == 5


def test_a_deal_can_be_won(run: Run, tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text("email,company\nann@acme.example,Acme\n")
    run("apply")
    run("import", "leads", str(leads))
    assert run("deal", "ann@acme.example", "won", "--value", "1000").returncode == 0


def test_a_changed_agreement_is_planned_before_it_holds(run: Run, project: Path, tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_text("email,role\nann@acme.example,head\n")
    run("apply")
    run("import", "leads", str(leads))
    run("look")
    assert "0 of 1 leads would have another score" in run("rescore", "--plan").stdout
    track = project / "config" / "prospects" / "track.yaml"
    track.write_text(track.read_text().replace("fit:\n", 'fit:\n  role in ["head"]: 200\n', 1))
    told = run("rescore", "--plan", "--format", "json")
    assert json.loads(told.stdout)[0]["changed"] == 1
    assert run("rescore").stdout.startswith("Nothing has changed")


def test_users_come_and_go_by_commands(run: Run) -> None:
    made = run("user", "add", "lena@example.com", "--role", "sales")
    assert (
        made.stderr == "lena@example.com has the role sales. This is the password; it is shown this once.\n"
    )
    again = run("user", "password", "Lena@example.com")
    assert len({made.stdout, again.stdout}) == 2
    assert run("user", "role", "lena@example.com", "admin").returncode == 0
    (user,) = json.loads(run("user", "list", "--format", "json").stdout)
    assert (user["name"], user["role"], user["sign_ins"]) == ("lena@example.com", "admin", 0)
    assert run("user", "list").stdout.splitlines()[1].split() == ["lena@example.com", "admin", "-"]
    assert "is the last admin" in sentence_of(run("user", "remove", "lena@example.com"))
    run("user", "add", "ann", "--role", "admin")
    assert run("user", "remove", "lena@example.com").returncode == 0
    assert run("user", "remove", "lena@example.com").returncode == 5


def test_keys_come_and_go_by_commands(run: Run) -> None:
    made = run("key", "add", "crm", "--scope", "leads", "--scope", "read")
    assert made.stdout.startswith("ln_")
    assert run("key", "revoke", "crm").returncode == 0
    (key,) = json.loads(run("key", "list", "--format", "json").stdout)
    assert key["scopes"] == ["leads", "read"]
    assert made.stdout.strip() not in json.dumps(key)
    assert run("key", "revoke", "crm").returncode == 5
    assert "one or more of leads, reactions, read" in sentence_of(run("key", "add", "b", "--scope", "all"))


def test_the_web_server_makes_the_first_user_once_and_tells_no_log(run: Run, project: Path) -> None:
    run("apply")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        environment = {**os.environ, "LEADNURTURE_PORT": str(probe.getsockname()[1])}
    command = [sys.executable, "-m", "leadnurture", "web", "--project", str(project)]
    log = project / "web.log"
    told = {}
    for where in ("log", "pipe", "pipe again"):
        with log.open("a") as file:
            stderr = file if where == "log" else subprocess.PIPE
            with subprocess.Popen(command, stderr=stderr, text=True, env=environment) as web:
                if where == "log":
                    while "Uvicorn running" not in log.read_text():
                        time.sleep(0.05)
                else:
                    assert web.stderr is not None
                    lines = iter(web.stderr.readline, "")
                    told[where] = "".join(
                        itertools.takewhile(lambda line: "Uvicorn running" not in line, lines)
                    )
                web.terminate()
    assert "user add NAME --role admin" in log.read_text()
    assert "password" not in log.read_text()
    assert "Sign in as admin with the password" in told["pipe"]
    assert "password" not in told["pipe again"]


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "sentence"),
    [
        (
            ("status",),
            {"LEADNURTURE_PROVIDER": "sendgrid"},
            2,
            "LEADNURTURE_SENDGRID_KEY is missing: set it to",
        ),
        (("status",), {"LEADNURTURE_PORTT": "1"}, 2, "LEADNURTURE_PORTT is no setting; did you mean"),
        (("status",), {"LEADNURTURE_DATABASE_URL": "mysql://x/y"}, 2, "LEADNURTURE_DATABASE_URL names mysql"),
        (
            ("migrate",),
            {"LEADNURTURE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
            3,
            "The database does not answer",
        ),
        (
            ("status",),
            {"LEADNURTURE_DATABASE_URL": "sqlite:////dev/null/x.db"},
            3,
            "/dev/null cannot be written",
        ),
        (("import", "leads", "missing.csv"), {}, 5, "Nothing is applied yet; run `leadnurture apply`"),
    ],
)
def test_what_a_person_can_mend_is_one_sentence(
    run: Run, arguments: tuple[str, ...], environment: dict[str, str], code: int, sentence: str
) -> None:
    result = run(*arguments, **environment)
    assert result.returncode == code, result.stderr
    assert sentence_of(result).startswith(sentence)


def test_a_folder_that_is_no_project_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "leadnurture", "status", "--project", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 5
    assert "is no project: config/leadnurture.yaml is missing" in result.stderr


def test_a_busy_port_ends_up_before_anything_starts(run: Run, shell: Run, project: Path) -> None:
    run("apply")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        for command in ("web", "up"):
            result = shell(command, LEADNURTURE_PORT=port)
            assert result.returncode == 4
            assert "LEADNURTURE_PORT" in sentence_of(result)
    assert not (project / ".leadnurture" / "logs").exists()


def test_a_full_disk_is_told_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("leadnurture.cli.files.examine", full)
    result = run("check")
    assert result.returncode == 3
    assert "The disk is full; make room" in sentence_of(result)


def test_a_program_that_nobody_wrote_is_named(run: Run, shell: Run) -> None:
    run("apply")
    result = shell("wave", "scaling", LEADNURTURE_PREFECT_PORT="1")
    assert result.returncode == 5
    assert "scaling" in sentence_of(result)


@pytest.mark.slow
def test_check_takes_below_two_seconds(shell: Run) -> None:
    """Of the processor, since the machine may be busy with other tests; the best of three."""

    def spent() -> float:
        began = os.times()
        shell("check")
        ended = os.times()
        return ended.children_user + ended.children_system - began.children_user - began.children_system

    assert min(spent() for _ in range(3)) < 2.0


def test_a_sentence_is_said_where_nobody_listens_any_more(project: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "leadnurture", "check", "--project", str(project)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def test_the_worker_ends_in_good_order_when_it_is_told_to(run: Run, project: Path) -> None:
    run("apply")
    command = [sys.executable, "-m", "leadnurture", "worker", "--project", str(project)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "LEADNURTURE_PREFECT_PORT": "1"}
    ) as worker:
        try:
            assert worker.stderr is not None
            for line in worker.stderr:
                if "The worker is at work" in line:
                    break
            began = time.monotonic()
            worker.terminate()
            said = worker.stderr.read()
        except BaseException:
            worker.kill()  # else leaving would wait for it
            raise
    assert worker.returncode == 0
    assert "The worker has ended" in said
    assert time.monotonic() - began < 15


def test_the_version_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["leadnurture", "--version"])
    with pytest.raises(SystemExit) as end:
        main()
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (end.value.code, capsys.readouterr().out) == (0, f"leadnurture {told}\n")


class Foreign(http.server.BaseHTTPRequestHandler):
    """Something that answers everything, and is not ours."""

    said = b"Welcome"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


class Ours(Foreign):
    said = b'{"status":"ok","server":"leadnurture"}'


@pytest.mark.parametrize(
    ("server", "code", "says"),
    [
        (Foreign, 1, "something else listens on port {port}; end it, or choose another by LEADNURTURE_PORT"),
        (Ours, 0, "web: port {port} answers"),
    ],
)
def test_the_doctor_knows_whose_server_listens(run: Run, server: type[Foreign], code: int, says: str) -> None:
    run("apply")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), server) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        result = run("doctor", LEADNURTURE_PORT=str(listening.server_port))
        listening.shutdown()
        thread.join()
    assert result.returncode == code
    assert says.format(port=listening.server_port) in result.stdout + result.stderr
