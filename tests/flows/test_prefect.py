"""What stands in Prefect after a wave, a delivery, a look: asked of a real server through its client."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
import pytest

from flows.deliver import run_delivery
from flows.handoff import run_look, run_sales
from flows.nurture import forward_edges, run_wave
from flows.runs import Runs
from flows.supervisor import Supervisor
from leadnurture import engine
from leadnurture.app import Project, machine_now
from leadnurture.engine import LeadInput, NewReaction, StepDone
from leadnurture.mail import Accepted, Answer, Mail, Refused
from leadnurture.settings import Settings

pytestmark = pytest.mark.slow

Found = TypeVar("Found")
Row = dict[str, Any]
SECONDS = 30.0
PEOPLE = 12


class Prefect:
    """What the pages of Prefect ask of its server."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._known = {run["id"] for run in self.runs()}

    def ask(self, path: str, **question: object) -> Any:  # noqa: ANN401 - JSON
        """Asks again while the server is busy, as its own client does: on SQLite it answers 503 at once."""
        until = time.monotonic() + SECONDS
        while True:
            answer = self._client.post(path, json=question)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > until:
                return answer.raise_for_status().json()
            time.sleep(0.1)

    def runs(self) -> list[Row]:
        return list(self.ask("flow_runs/filter", sort="START_TIME_DESC"))

    def new_runs(self) -> list[Row]:
        """The runs since the test began."""
        return [run for run in self.runs() if run["id"] not in self._known]

    def new_run(self) -> Row:
        (run,) = self.new_runs()
        return run

    def flow_of(self, run: Row) -> str:
        return str(self._client.get(f"flows/{run['flow_id']}").raise_for_status().json()["name"])

    def tasks_of(self, run: Row, count: int) -> list[Row]:
        """Its tasks, in the order in which they began; task runs are recorded a moment later."""
        wanted = {"id": {"any_": [run["id"]]}}

        def read() -> list[Row]:
            found = self.ask("task_runs/filter", flow_runs=wanted)
            is_complete = len(found) == count and all(task["end_time"] for task in found)
            return sorted(found, key=lambda task: task["start_time"]) if is_complete else []

        return eventually(read)

    def artifacts_of(self, run: Row) -> list[Row]:
        return list(self.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [run["id"]]}}))


def eventually(read: Callable[[], list[Found]]) -> list[Found]:
    until = time.monotonic() + SECONDS
    while not (found := read()):
        assert time.monotonic() < until
        time.sleep(0.1)
    return found


@pytest.fixture
def prefect(prefect_settings: Settings) -> Iterator[Prefect]:
    with httpx.Client(base_url=prefect_settings.prefect_api) as client:
        yield Prefect(client)


@pytest.fixture
def runs(prefect_settings: Settings) -> Iterator[Runs]:
    runs = Runs(prefect_settings.prefect_api, patience=SECONDS)
    yield runs
    runs.close(SECONDS)


class Refusing:
    """A provider that refuses the first mails."""

    threads = 1

    def __init__(self, count: int) -> None:
        self._left = count

    def send(self, mail: Mail) -> Answer:
        del mail
        self._left -= 1
        return Refused("the address does not exist") if self._left >= 0 else Accepted("id")


def import_people(project: Project, count: int = PEOPLE) -> None:
    """People who care for scaling, of companies that are too small to qualify."""
    leads = [
        LeadInput(
            email=f"ann{number}@acme{number}.example",
            account=f"Acme {number}",
            zone="Europe/Berlin",
            interests=("scaling",),
            consents=(("marketing", None, "test", ""),),
        )
        for number in range(count)
    ]
    engine.import_leads(project.database, leads, project.clock(), "test")


def test_a_wave_is_drawn_as_the_program_with_its_counts(
    project: Project, runs: Runs, prefect: Prefect
) -> None:
    import_people(project)
    run_look(project, "prospects", Runs(None))
    done = run_wave(project, "scaling-series", "test", runs)
    runs.close(SECONDS)
    assert done is not None
    assert (done.due, done.planned, done.failed) == (PEOPLE, PEOPLE, ())
    run = prefect.new_run()
    assert prefect.flow_of(run) == "scaling-series"
    assert (run["name"], run["state_type"]) == (f"wave 0001 ({PEOPLE} leads due)", "COMPLETED")
    program = project.definitions().program("scaling-series")
    tasks = prefect.tasks_of(run, len(program.steps))
    assert [task["name"] for task in tasks] == [
        f"{step.name} ({PEOPLE if step.name == 'invite' else 0} leads)" for step in program.steps
    ]
    assert [task["state_name"] for task in tasks] == ["Completed"] + ["Skipped"] * (len(program.steps) - 1)
    by_id = {task["id"]: task["name"].split()[0] for task in tasks}
    drawn = {
        by_id[task["id"]]: {by_id[each["id"]] for each in task["task_inputs"].get("wait_for", [])}
        for task in tasks
    }
    follows = forward_edges(program, [step.name for step in program.steps])
    assert drawn == {step: set(behind) for step, behind in follows.items()}
    (chart,) = prefect.artifacts_of(run)
    assert chart["type"] == "markdown"
    assert "flowchart TD" in chart["data"].split("```mermaid")[1]
    assert f"| invite | sends the next webinar about scaling | {PEOPLE} | {PEOPLE} |" in chart["data"]
    assert f"({project.url}/programs/scaling-series)" in chart["data"]


def test_nothing_due_makes_no_run(project: Project, runs: Runs, prefect: Prefect) -> None:
    assert run_wave(project, "scaling-series", "test", runs) is None
    assert run_look(project, "prospects", runs) is None
    assert run_delivery(project, runs) is None
    assert run_sales(project, runs) is None
    runs.close(SECONDS)
    assert prefect.new_runs() == []


def test_a_step_that_fails_is_seen_and_keeps_the_others_from_nothing(
    project: Project, runs: Runs, prefect: Prefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def run_step(_: object, program: str, step: str, *__: object, **___: object) -> StepDone:
        ran.append(step)
        if step == "invite":
            raise RuntimeError(f"{program} is broken")
        return StepDone(step)

    import_people(project)
    run_look(project, "prospects", Runs(None))
    monkeypatch.setattr("leadnurture.engine.run_step", run_step)
    done = run_wave(project, "scaling-series", "test", runs)
    runs.close(SECONDS)
    steps = [step.name for step in project.definitions().program("scaling-series").steps]
    assert done is not None
    assert done.failed == ("invite",)
    assert ran == steps
    run = prefect.new_run()
    assert run["state_name"] == "Failed"
    states = {task["name"].split()[0]: task["state_name"] for task in prefect.tasks_of(run, len(steps))}
    assert states == dict.fromkeys(steps, "Skipped") | {"invite": "Failed"}


def test_a_look_tells_how_many_leads_changed(project: Project, runs: Runs, prefect: Prefect) -> None:
    import_people(project)
    looked = run_look(project, "prospects", runs)
    runs.close(SECONDS)
    assert looked is not None
    assert (looked.leads, looked.enrolled) == (PEOPLE, PEOPLE)
    run = prefect.new_run()
    assert (prefect.flow_of(run), run["name"]) == ("look", f"prospects ({PEOPLE} leads changed)")


def test_one_is_no_plural(project: Project, runs: Runs, prefect: Prefect) -> None:
    import_people(project, count=1)
    run_look(project, "prospects", runs)
    run_wave(project, "scaling-series", "test", runs)
    run_delivery(project, runs)
    runs.close(SECONDS)
    assert {run["name"] for run in prefect.new_runs()} == {
        "prospects (1 lead changed)",
        "wave 0001 (1 lead due)",
        "deliver (1 mail)",
    }


def test_a_notice_that_fails_is_seen_in_the_list_of_runs(
    project: Project, runs: Runs, prefect: Prefect
) -> None:
    import_people(project)
    run_look(project, "prospects", Runs(None))
    run_wave(project, "scaling-series", "test", Runs(None))
    replies = [
        NewReaction(
            kind="replied", key=f"reply {number}", source="test", email=f"ann{number}@acme{number}.example"
        )
        for number in range(3)
    ]
    engine.record_reactions(project.database, replies, project.clock())
    run_look(project, "prospects", Runs(None))
    run_wave(project, "scaling-series", "test", Runs(None))
    project.__dict__["provider"] = Refusing(1)
    run_sales(project, runs)
    runs.close(SECONDS)
    run = prefect.new_run()
    assert (prefect.flow_of(run), run["name"]) == ("handoff", "handoffs (3 assigned, 2 told, 1 failed)")
    assert run["state_name"] == "PartlyFailed"
    tasks = [(task["name"], task["state_name"]) for task in prefect.tasks_of(run, 3)]
    assert tasks == [
        ("assign", "Completed"),
        ("watch the SLA", "Skipped"),
        ("send notices", "PartlyFailed"),
    ]
    (table,) = prefect.artifacts_of(run)
    assert json.loads(table["data"]) == [{"notice": 1, "why": "the address does not exist"}]


@pytest.mark.parametrize(
    ("refused", "state", "message"),
    [
        (0, "Completed", f"{PEOPLE} sent"),
        (3, "PartlyFailed", f"{PEOPLE - 3} sent, 3 failed"),
        (PEOPLE, "Failed", f"{PEOPLE} failed"),
    ],
)
def test_a_delivery_shows_what_failed(
    project: Project,
    runs: Runs,
    prefect: Prefect,
    refused: int,
    state: str,
    message: str,
) -> None:
    import_people(project)
    run_look(project, "prospects", Runs(None))
    run_wave(project, "scaling-series", "test", Runs(None))
    project.__dict__["provider"] = Refusing(refused)
    run_delivery(project, runs)
    runs.close(SECONDS)
    run = prefect.new_run()
    told = message if state == "PartlyFailed" else f"{PEOPLE} mails"
    assert (run["name"], run["state_name"]) == (f"deliver ({told})", state)
    assert run["state"]["message"] == message
    (task,) = prefect.tasks_of(run, 1)
    assert (task["name"], task["state_name"]) == (f"send ({PEOPLE} mails)", state)
    tables = prefect.artifacts_of(run)
    assert [table["task_run_id"] for table in tables] == [task["id"]] * bool(refused)
    for table in tables:
        rows = json.loads(table["data"])
        assert [row["why"] for row in rows] == ["the address does not exist"] * refused
        assert all(row["page"] == f"{project.url}/outbox/{row['mail']}" for row in rows)


def test_runs_of_a_killed_worker_are_marked_crashed(
    project: Project, prefect_settings: Settings, prefect: Prefect
) -> None:
    flow = prefect.ask("flows/", name="look")
    run = prefect.ask("flow_runs/", flow_id=flow["id"], state={"type": "RUNNING"})
    supervisor = Supervisor(project, next_free=True)
    supervisor._settings = prefect_settings
    assert supervisor._mark_crashed(machine_now())
    assert {each["id"]: each["state_name"] for each in prefect.new_runs()} == {run["id"]: "Crashed"}
    supervisor.stop()
