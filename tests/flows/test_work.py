import threading

import pytest

from flows.work import Work, once, result_so_far

SECONDS = 5.0


def test_a_piece_is_carried_out_once_whoever_asks() -> None:
    asked: list[str] = []

    def carry_out(name: str) -> str:
        asked.append(name)
        return name.upper()

    work = Work(["a", "b"], carry_out)
    assert once(work.key, "a", lambda: "elsewhere") == "A"
    work.do_rest()
    assert asked == ["a", "b"]
    assert work.results == {"a": "A", "b": "B"}
    assert work.is_finished


def test_who_asks_meanwhile_gets_the_same_result() -> None:
    has_begun, may_end = threading.Event(), threading.Event()
    count = iter(range(10))

    def carry_out(_: str) -> int:
        has_begun.set()
        may_end.wait(SECONDS)
        return next(count)

    work = Work(["a"], carry_out)
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(work.do("a"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert has_begun.wait(SECONDS)
    assert work.idle_seconds == 0
    may_end.set()
    for thread in threads:
        thread.join(SECONDS)
    assert got == [0, 0, 0]


def test_a_piece_that_fails_fails_for_everybody_and_keeps_the_others_from_nothing() -> None:
    def carry_out(name: str) -> str:
        if name == "a":
            raise ValueError("broken")
        return name

    work = Work(["a", "b"], carry_out)
    work.do_rest()
    with pytest.raises(ValueError, match="broken"):
        work.do("a")
    assert list(work.errors) == ["a"]
    assert work.results == {"b": "b"}


def test_a_process_that_did_not_order_the_work_does_it_by_itself() -> None:
    assert once("of another process", "a", lambda: "elsewhere") == "elsewhere"
    assert result_so_far("of another process", "a") is None
