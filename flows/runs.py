"""Shows work as flow runs of Prefect while it is done, and keeps it from ever waiting for Prefect.

One idea to hold: a single thread talks with Prefect, one flow run at a time (its server on SQLite answers 503
to the second). The work is done by that run's tasks if it comes about; if it does not within `PATIENCE`,
whoever ordered the work does it himself, and the run shows it afterwards.
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx
from prefect import State, get_client
from prefect.context import SyncClientContext
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from flows.work import Work

logger = logging.getLogger("leadnurture.flows")

PATIENCE: Final = 0.7
"""Seconds for which work waits for its run to begin or to go on."""
GLANCE: Final = 0.02
PAUSE: Final = 30.0
"""Seconds after a failure in which Prefect is left alone."""
WAITING: Final = 20
"""Runs that may wait to be shown; more are not shown."""
ANSWERS_WITHIN: Final = 1.0
BUSY_PAUSE: Final = 0.1
ASKED: Final = "leadnurture.asked"
PARTLY_FAILED: Final = "PartlyFailed"
"""The state of what failed in part: completed, by a name that says so."""


def rename_run(name: str) -> None:
    """Says in the list of runs what came of the current one; a completed state alone is green in it."""
    try:
        with get_client(sync_client=True) as client:
            client.set_flow_run_name(flow_run.id, name)
    except Exception as error:  # noqa: BLE001 - the state and the artifact say it as well
        logger.warning("A run could not be renamed to %r (%s)", name, type(error).__name__)


def _is_drained(service: type[EventsWorker] | type[APILogWorker], seconds: float) -> bool:
    """Whether Prefect's own threads have told what they know; at exit they would wait for ever."""
    rest = service.drain_all(timeout=seconds)
    return not isinstance(rest, tuple) or not rest[1]


def same_as(state: State[Any]) -> State[Any]:
    """A flow's state that says what the state of its only task says."""
    return State(type=state.type, name=state.name, message=state.message)


def _one_client() -> SyncClientContext:
    """A client for all runs: each would load the certificates of the world for its own."""
    context = SyncClientContext()
    context.client = get_client(
        httpx_settings={"event_hooks": {"response": [ask_again_soon]}}, sync_client=True
    )
    return context


def ask_again_soon(answer: httpx.Response) -> None:
    """Tells Prefect's client when to ask again after a 503: it would wait two seconds, then four.

    Prefect's SQLite answers so when two write within milliseconds.
    """
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        asked = answer.request.extensions.get(ASKED, 0)
        answer.request.extensions[ASKED] = asked + 1
        answer.headers.setdefault("Retry-After", str(BUSY_PAUSE * 3**asked))


@dataclass(frozen=True)
class _Order:
    work: Work[Any]
    show: Callable[[str], object]


class Runs:
    """Carries out work inside flow runs. `api` is Prefect's; None shows nothing."""

    def __init__(self, api: str | None, *, patience: float = PATIENCE) -> None:
        self._api = api
        self._patience = patience
        self._orders: queue.Queue[_Order | None] = queue.Queue(WAITING)
        self._silent_until = 0.0
        self._is_silent = False
        self._has_shown = False
        self._thread = threading.Thread(target=self._show_orders, name="runs", daemon=True)
        if api is not None:
            self._client = httpx.Client(timeout=ANSWERS_WITHIN)
            self._thread.start()

    def carry_out(self, work: Work[Any], show: Callable[[str], object]) -> None:
        """Returns when all of the work is done, inside the flow run that `show(key)` makes if it comes."""
        if self._api is not None and time.monotonic() >= self._silent_until and self._order(work, show):
            while not (work.is_finished or work.refused.is_set() or work.idle_seconds > self._patience):
                time.sleep(GLANCE)
        work.do_rest()

    def close(self, seconds: float) -> bool:
        """Waits for what is still to be shown, each part at most so many seconds; whether all of it was."""
        if not self._thread.is_alive():
            return True
        with contextlib.suppress(queue.Full):
            self._orders.put(None, timeout=seconds)
        self._thread.join(seconds)
        if self._thread.is_alive():
            return False
        self._client.close()
        return not self._has_shown or all(
            _is_drained(service, seconds) for service in (EventsWorker, APILogWorker)
        )

    def _order(self, work: Work[Any], show: Callable[[str], object]) -> bool:
        try:
            self._orders.put_nowait(_Order(work, show))
        except queue.Full:
            self._fall_silent("does not keep up")
            return False
        return True

    def _show_orders(self) -> None:
        # The heartbeat's thread would be joined for a second at the end of every run.
        settings = {PREFECT_API_URL: self._api, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        with temporary_settings(settings), contextlib.ExitStack() as kept:
            while (order := self._orders.get()) is not None:
                try:
                    self._show(order, kept)
                except Exception as error:  # noqa: BLE001 - whatever Prefect raises, the work is ours
                    self._fall_silent(f"failed ({type(error).__name__}: {str(error)[:200]!r})")
                finally:
                    order.work.refused.set()

    def _show(self, order: _Order, kept: contextlib.ExitStack) -> None:
        if time.monotonic() < self._silent_until or not self._answers():
            return
        if not self._has_shown:
            kept.enter_context(_one_client())
            self._has_shown = True
        order.show(order.work.key)
        if self._is_silent:
            self._is_silent = False
            logger.info("Prefect answers again")

    def _answers(self) -> bool:
        try:
            self._client.get(f"{self._api}/health").raise_for_status()
        except httpx.HTTPError as error:
            self._fall_silent(f"does not answer ({type(error).__name__})")
            return False
        return True

    def _fall_silent(self, why: str) -> None:
        """Leaves Prefect alone for a while; says so once."""
        self._silent_until = time.monotonic() + PAUSE
        if not self._is_silent:
            self._is_silent = True
            logger.warning("Prefect at %s %s; the work goes on without being shown there", self._api, why)
