"""Work that is done once, whoever asks first: a task of Prefect's, or we when Prefect does not come.

So a flow may be shown while the work is done, afterwards, or not at all, and nothing is done twice or waits
for it.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar
from uuid import uuid4
from weakref import WeakValueDictionary

Done = TypeVar("Done")
# What this process has ordered and still holds.
_ordered: "WeakValueDictionary[str, Work[Any]]" = WeakValueDictionary()


class _Piece(Generic[Done]):
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.is_finished = False
        self.result: Done | None = None
        self.error: Exception | None = None


def once(key: str, name: str, otherwise: Callable[[], Done]) -> Done:
    """The result of a piece of the work of that key; in a process that did not order it, `otherwise`."""
    work = _ordered.get(key)
    return otherwise() if work is None else work.do(name)


def result_so_far(key: str, name: str) -> Any:  # noqa: ANN401 - as the work has it
    """The result of a piece if somebody has carried it out already."""
    work = _ordered.get(key)
    return None if work is None else work.results.get(name)


class Work(Generic[Done]):
    """Named pieces of work, in order. Its key is a plain value by which tasks find it."""

    def __init__(self, pieces: Sequence[str], carry_out: Callable[[str], Done]) -> None:
        self.key = uuid4().hex
        _ordered[self.key] = self
        self._carry_out = carry_out
        self._pieces: dict[str, _Piece[Done]] = {name: _Piece() for name in pieces}
        self._running = 0
        self._touched = time.monotonic()
        self._counting = threading.Lock()
        self.refused = threading.Event()
        """Set by whoever was to show it and will not: nobody need wait for him."""

    def do(self, name: str) -> Done:
        """The result of a piece: carried out now, or by whoever was first. His exception is everybody's."""
        piece = self._pieces[name]
        self._count(1)
        try:
            with piece.lock:
                if not piece.is_finished:
                    self._finish(piece, name)
        finally:
            self._count(-1)
        if piece.error is not None:
            raise piece.error
        return piece.result  # type: ignore[return-value] # there is one where there is no error

    def do_rest(self) -> None:
        """Carries out what is left, in order. A piece that fails keeps the others from nothing."""
        for name in self._pieces:
            try:
                self.do(name)
            except Exception:  # noqa: BLE001, S112 - `errors` has it; whoever ordered the work tells it
                continue

    @property
    def is_finished(self) -> bool:
        """Whether every piece was carried out, well or not."""
        return all(piece.is_finished for piece in self._pieces.values())

    @property
    def idle_seconds(self) -> float:
        """How long nobody has been at work."""
        with self._counting:
            return 0.0 if self._running else time.monotonic() - self._touched

    @property
    def results(self) -> Mapping[str, Done]:
        """The results so far."""
        return {name: piece.result for name, piece in self._pieces.items() if piece.result is not None}

    @property
    def errors(self) -> Mapping[str, Exception]:
        """What went wrong so far."""
        return {name: piece.error for name, piece in self._pieces.items() if piece.error is not None}

    def _finish(self, piece: _Piece[Done], name: str) -> None:
        try:
            piece.result = self._carry_out(name)
        except Exception as error:  # noqa: BLE001 - kept for everybody who asks
            piece.error = error
        piece.is_finished = True

    def _count(self, change: int) -> None:
        with self._counting:
            self._running += change
            self._touched = time.monotonic()
