"""A worker that is killed anywhere sends nothing twice; events settle what it left in doubt (I1, I7)."""

import json
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from leadnurture.engine import judge
from leadnurture.inbox import posts as inbox
from leadnurture.mail import deliver, receive_sendgrid_events, recover
from leadnurture.mail.delivery import LEASE
from leadnurture.mail.sendgrid import SendGrid
from tests.fakes.sendgrid import KEY, FakeSendGrid
from tests.mail.answering import POINTS as READING_POINTS
from tests.mail.dying import PARALLEL, POINTS
from tests.mail.scene import LINKS, MACHINE, NOW, Scene
from tests.mail.test_sendgrid_events import PUBLIC, event, read_all, signed

ROOT = Path(__file__).parents[2]
MAILS = 20


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_worker_sends_nothing_twice(
    scene: Scene, database_url: str, tmp_path: Path, point: str
) -> None:
    nth = 1 if point == "after reserve" else 3
    ids = [scene.message(scene.lead(number)) for number in range(MAILS)]
    with FakeSendGrid(tmp_path / "ledger").running() as fake:
        command = [sys.executable, "-m", "tests.mail.dying", database_url, fake.url, point, str(nth)]
        died = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        assert died.returncode == -signal.SIGKILL, died.stderr

        # Before the lease ends nobody touches what the dead worker holds.
        in_doubt = [row.id for row in scene.rows("message") if row.status == "sending"]
        assert len(in_doubt) <= PARALLEL
        provider = SendGrid(KEY, fake.url)
        deliver(
            scene.database,
            provider,
            LINKS,
            NOW,
            machine_now=MACHINE + timedelta(seconds=1),
            parallel=PARALLEL,
        )
        assert {row.id for row in scene.rows("message") if row.status == "sending"} == set(in_doubt)

        # Afterwards what was under way is unknown, and everything else leaves.
        later = MACHINE + LEASE + timedelta(minutes=1)
        recover(scene.database, NOW, later)
        deliver(scene.database, provider, LINKS, NOW, machine_now=later, parallel=PARALLEL)
        status = {row.id: row.status for row in scene.rows("message")}
        assert {one for one in ids if status[one] == "unknown"} == set(in_doubt)
        assert {one for one in ids if status[one] == "sent"} == set(ids) - set(in_doubt)

        # What is in doubt is told by the provider, once it tells: who is in the ledger has it.
        assert fake.problems == []
        assert max(fake.sent.values(), default=0) <= 1
        told = [event("processed", one) for one in fake.sent]
        _post(scene, told)
        status = {str(row.id): row.status for row in scene.rows("message")}
        assert all(status[one] == "sent" for one in fake.sent)
        assert all(status[str(one)] == "unknown" for one in in_doubt if str(one) not in fake.sent)
        deliver(scene.database, provider, LINKS, NOW, machine_now=later + LEASE)
        assert max(fake.sent.values()) == 1
    waits = {scene.enrollment_of(one).deadline_at for one in ids}
    assert waits == {NOW + timedelta(days=7)}


@pytest.mark.slow
@pytest.mark.parametrize("point", READING_POINTS)
def test_every_event_that_was_answered_is_recorded_whenever_the_process_dies(
    scene: Scene, database_url: str, point: str
) -> None:
    mails = [scene.message(scene.lead(number), status="sent", attempt=1) for number in range(MAILS)]
    events = [
        event(kind, one, number, url="https://x/1")
        for number, one in enumerate(mails)
        for kind in ("delivered", "click")
    ]
    lines = []
    for items in (events[:MAILS], events[MAILS:]):
        body = json.dumps(items)
        lines.append(json.dumps({"body": body, "headers": signed(body.encode())}) + "\n")
    command = [sys.executable, "-m", "tests.mail.answering", database_url, point, PUBLIC]
    died = subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, input="".join(lines)
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert died.stdout.split() == ["200", "200"]

    read_all(scene, MACHINE + inbox.LEASE)
    assert {row.status for row in scene.rows("inbox")} == {"done"}
    judge(scene.database, NOW + timedelta(hours=1))
    kinds = Counter(row.kind for row in scene.rows("reaction"))
    assert kinds == {"delivered": MAILS, "clicked": MAILS}
    assert [row.outcome for row in scene.rows("inbox_item")] == ["recorded"] * 2 * MAILS
    assert {row.status for row in scene.rows("message")} == {"delivered"}


def _post(scene: Scene, items: list[dict[str, object]]) -> None:
    body = json.dumps(items).encode()
    receive_sendgrid_events(scene.database, body, signed(body), PUBLIC, NOW)
    assert read_all(scene).items == len(items)
