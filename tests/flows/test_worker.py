"""What a worker does by itself, without anything to show in Prefect."""

from flows.worker import Worker
from leadnurture.app import Project, find_lead, upcoming
from leadnurture.inbox import keep
from tests.flows.conftest import NOW


def test_a_worker_reads_what_came_in_and_is_woken_for_nothing_else(project: Project) -> None:
    worker = Worker(project)
    assert upcoming(project, NOW).inbox is None
    keep(project.database, "leads", b'{"email": "ann@example.com"}', NOW)
    due = upcoming(project, NOW)
    assert due.inbox is not None
    assert due.inbox <= NOW
    assert due.earliest == due.inbox
    assert worker.read_inbox()
    assert find_lead(project, "ann@example.com")
    assert not worker.read_inbox()
    assert upcoming(project, NOW).inbox is None
