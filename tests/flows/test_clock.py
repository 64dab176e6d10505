"""The clock against a product that is only a table of times; nothing is waited for but the work itself."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from flows.clock import GATHERING, Clock
from leadnurture.app import Upcoming, machine_now
from leadnurture.domain.vocabulary import Track

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = 30


@dataclass
class Product:
    """Does what is due and writes down what it did."""

    stepping: datetime | None = None
    waves: dict[str, datetime] = field(default_factory=dict)
    looks: dict[Track, datetime] = field(default_factory=dict)
    sending: datetime | None = None
    judging: datetime | None = None
    inbox: datetime | None = None
    done: list[str] = field(default_factory=list)
    happened: threading.Condition = field(default_factory=threading.Condition)
    trouble: Exception | None = None
    before_wave: Callable[[], None] = lambda: None
    rounds: int = 1
    """After how many rounds of sending nothing is due any more."""

    def now(self) -> tuple[datetime, bool]:
        return self.stepping or machine_now(), self.stepping is not None

    def upcoming(self, now: datetime) -> Upcoming:
        del now
        if self.trouble:
            raise self.trouble
        return Upcoming(dict(self.waves), dict(self.looks), self.sending, None, self.inbox, self.judging)

    def judge(self) -> bool:
        self.judging = None
        return self._did("judge", lambda: None)

    def wave(self, program: str) -> bool:
        self.before_wave()
        return self._did(f"wave {program}", lambda: self.waves.pop(program, None))

    def look(self, track: Track) -> bool:
        return self._did(f"look {track}", lambda: self.looks.pop(track, None))

    def deliver(self) -> bool:
        self.rounds -= 1
        self.sending = LONG_AGO if self.rounds > 0 else None
        return self._did("deliver", lambda: None)

    def sell(self) -> bool:
        return self._did("sell", lambda: None)

    def read_inbox(self) -> bool:
        return self._did("read inbox", lambda: setattr(self, "inbox", None))

    def _did(self, what: str, effect: Callable[[], object]) -> bool:
        with self.happened:
            effect()
            self.done.append(what)
            self.happened.notify_all()
        return True

    def wait_for(self, count: int) -> list[str]:
        with self.happened:
            assert self.happened.wait_for(lambda: len(self.done) >= count, SECONDS), self.done
            return list(self.done)


@pytest.fixture
def product() -> Product:
    return Product()


@pytest.fixture
def start() -> Iterator[Callable[[Product], Clock]]:
    clocks: list[Clock] = []

    def start(product: Product) -> Clock:
        # Polls come from the test and from finished work only.
        clock = Clock(product, poll_seconds=3600)
        clock.start()
        clocks.append(clock)
        return clock

    yield start
    for clock in clocks:
        clock.stop()


def armed(clock: Clock) -> dict[str, datetime]:
    return {job.id: job.next_run_time for job in clock._scheduler.get_jobs() if job.id != "poll"}


def test_what_is_due_runs_at_once(product: Product, start: Callable[[Product], Clock]) -> None:
    product.waves = {"scaling": LONG_AGO}
    product.sending = LONG_AGO
    start(product)
    assert sorted(product.wait_for(2)) == ["deliver", "wave scaling"]


def test_clicks_are_judged_when_they_have_settled(
    product: Product, start: Callable[[Product], Clock]
) -> None:
    product.judging = LONG_AGO
    clock = start(product)
    assert product.wait_for(1) == ["judge"]
    product.judging = machine_now() + timedelta(seconds=120)
    clock.poll()
    assert armed(clock) == {"judge": product.judging}


def test_what_is_due_later_is_armed_for_its_time(product: Product, start: Callable[[Product], Clock]) -> None:
    tomorrow = machine_now() + timedelta(days=1)
    product.waves = {"scaling": tomorrow}
    clock = start(product)
    clock.poll()
    assert armed(clock) == {"wave scaling": tomorrow}


def test_what_moves_forward_is_armed_anew(product: Product, start: Callable[[Product], Clock]) -> None:
    tomorrow = machine_now() + timedelta(days=1)
    product.waves = {"scaling": tomorrow}
    clock = start(product)
    clock.poll()
    product.waves = {"scaling": tomorrow - timedelta(hours=2)}
    clock.poll()
    assert armed(clock) == {"wave scaling": tomorrow - timedelta(hours=2)}


def test_reactions_are_gathered_and_later_ones_put_nothing_off(
    product: Product, start: Callable[[Product], Clock]
) -> None:
    clock = start(product)
    product.looks = {"prospects": LONG_AGO}
    before = machine_now()
    clock.poll()
    first = armed(clock)["look prospects"]
    clock.poll()
    assert before <= first - GATHERING <= machine_now()
    assert armed(clock) == {"look prospects": first}


def test_a_stepping_clock_arms_only_what_is_due(product: Product, start: Callable[[Product], Clock]) -> None:
    product.stepping = LONG_AGO
    product.waves = {"later": LONG_AGO + timedelta(hours=1), "now": LONG_AGO}
    product.looks = {"clients": LONG_AGO}
    clock = start(product)
    assert sorted(product.wait_for(2)) == ["look clients", "wave now"]
    assert armed(clock) == {}


def test_work_that_changed_something_is_followed_by_what_is_due_then(
    product: Product, start: Callable[[Product], Clock]
) -> None:
    def plan_mails() -> None:
        product.sending = LONG_AGO

    product.before_wave = plan_mails
    product.waves = {"scaling": LONG_AGO}
    start(product)
    assert product.wait_for(2) == ["wave scaling", "deliver"]


def test_work_that_is_due_again_at_its_end_runs_again(
    product: Product, start: Callable[[Product], Clock]
) -> None:
    product.rounds = 5
    clock = start(product)
    poll = clock.poll

    def poll_and_linger() -> None:
        poll()
        time.sleep(0.05)  # the work that has just armed itself has not ended yet when its alarm rings

    clock.poll = poll_and_linger  # type: ignore[method-assign] # the same clock, slower
    product.sending = LONG_AGO
    clock.poll()
    assert product.wait_for(5) == ["deliver"] * 5


def test_mails_are_sent_while_a_wave_runs(product: Product, start: Callable[[Product], Clock]) -> None:
    mails_are_out = threading.Event()
    product.before_wave = lambda: (None, mails_are_out.wait(SECONDS))[0]
    product.waves = {"scaling": LONG_AGO}
    clock = start(product)
    product.sending = LONG_AGO
    clock.poll()
    assert product.wait_for(1) == ["deliver"]
    mails_are_out.set()
    assert product.wait_for(2) == ["deliver", "wave scaling"]


def test_a_wave_that_runs_is_not_armed_again(product: Product, start: Callable[[Product], Clock]) -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        has_begun.set()
        may_end.wait(SECONDS)

    product.before_wave = hold
    product.waves = {"scaling": LONG_AGO}
    clock = start(product)
    assert has_begun.wait(SECONDS)
    clock.poll()
    assert armed(clock) == {}
    may_end.set()
    assert product.wait_for(1) == ["wave scaling"]


def test_work_that_fails_rests_and_the_rest_goes_on(
    product: Product, start: Callable[[Product], Clock], caplog: pytest.LogCaptureFixture
) -> None:
    has_failed = threading.Event()

    def fail() -> None:
        has_failed.set()
        raise RuntimeError("no such column")

    product.before_wave = fail
    product.waves = {"scaling": LONG_AGO}
    clock = start(product)
    assert has_failed.wait(SECONDS)
    product.looks = {"prospects": LONG_AGO}
    product.sending = LONG_AGO
    clock.poll()
    assert product.wait_for(1) == ["deliver"]
    clock.stop()
    assert "wave scaling failed, again in 2 seconds: no such column" in caplog.text


def test_a_database_that_does_not_answer_is_asked_again_and_told_once(
    product: Product, start: Callable[[Product], Clock], caplog: pytest.LogCaptureFixture
) -> None:
    clock = start(product)
    product.trouble = OSError("the database is down")
    clock.poll()
    clock.poll()
    product.trouble = None
    product.sending = LONG_AGO
    clock.poll()
    assert product.wait_for(1) == ["deliver"]
    assert caplog.text.count("the database is down") == 1


def test_what_came_in_is_read_in_a_lane_of_its_own(
    product: Product, start: Callable[[Product], Clock]
) -> None:
    read = threading.Event()

    def wait_for_the_inbox() -> None:
        assert read.wait(SECONDS)

    product.before_wave = wait_for_the_inbox
    product.waves = {"series": LONG_AGO}
    product.inbox = LONG_AGO
    start(product)
    assert product.wait_for(1) == ["read inbox"]
    read.set()
    assert "wave series" in product.wait_for(2)


def test_mails_wait_for_the_waves_of_an_instant_where_the_clock_steps(
    product: Product, start: Callable[[Product], Clock]
) -> None:
    product.stepping = LONG_AGO
    may_end = threading.Event()
    product.before_wave = lambda: (None, may_end.wait(SECONDS))[0]
    product.waves = {"scaling": LONG_AGO}
    product.sending = LONG_AGO
    clock = start(product)
    clock.poll()
    assert armed(clock).keys() <= {"wave scaling"}
    may_end.set()
    assert product.wait_for(2) == ["wave scaling", "deliver"]


def test_a_wave_that_fails_keeps_no_mail_waiting_where_the_clock_steps(
    product: Product, start: Callable[[Product], Clock]
) -> None:
    def fail() -> None:
        raise RuntimeError("no such column")

    product.stepping = LONG_AGO
    product.before_wave = fail
    product.waves = {"scaling": LONG_AGO}
    product.sending = LONG_AGO
    clock = start(product)
    while not clock._not_before or clock._ordered:  # it has failed, and has ended
        time.sleep(0.01)
    clock.poll()
    assert product.wait_for(1) == ["deliver"]


def test_while_the_clock_is_held_mails_leave_and_sales_is_reminded() -> None:
    due = Upcoming({"scaling": LONG_AGO}, {"prospects": LONG_AGO}, LONG_AGO, LONG_AGO)
    assert due.held() == Upcoming({}, {}, LONG_AGO, LONG_AGO)
