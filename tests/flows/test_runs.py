"""Work never waits for Prefect: it is down, it hangs, it fails, it is busy with another run."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import prefect
import pytest

from flows.runs import Runs, ask_again_soon
from flows.work import Work, once

PATIENCE = 0.2
SECONDS = 5.0


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        version = json.dumps(prefect.__version__).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(version)))
        self.end_headers()
        self.wfile.write(version)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()
        thread.join()


@pytest.fixture
def opened() -> Iterator[Callable[..., Runs]]:
    made: list[Runs] = []

    def make(api: str, patience: float = PATIENCE) -> Runs:
        made.append(Runs(api, patience=patience))
        return made[-1]

    yield make
    for runs in made:
        runs.close(SECONDS)


def of_letters(done: list[tuple[str, str]]) -> Work[str]:
    def carry_out(name: str) -> str:
        done.append((name, threading.current_thread().name))
        return name

    return Work(["a", "b"], carry_out)


def test_the_run_does_the_work_when_it_comes(api: str, opened: Callable[..., Runs]) -> None:
    done: list[tuple[str, str]] = []
    work = of_letters(done)

    def show(key: str) -> None:
        for name in ("a", "b"):
            once(key, name, lambda: pytest.fail("not found"))

    opened(api, patience=SECONDS).carry_out(work, show)
    assert done == [("a", "runs"), ("b", "runs")]


@pytest.mark.parametrize("answer", ["refused", "nothing"])
def test_prefect_that_does_not_answer_is_told_once_and_left_alone(
    answer: str, opened: Callable[..., Runs], caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if answer == "nothing":
            listener.listen()
        runs = opened(f"http://127.0.0.1:{listener.getsockname()[1]}/api")
        done: list[tuple[str, str]] = []
        for _ in range(3):
            runs.carry_out(of_letters(done), lambda _: pytest.fail("nobody is to be shown anything"))
        runs.close(SECONDS)
    assert [name for name, _ in done] == ["a", "b"] * 3
    assert caplog.text.count("the work goes on without being shown there") == 1


def test_a_run_that_hangs_delays_the_work_by_its_patience_only(api: str, opened: Callable[..., Runs]) -> None:
    may_end = threading.Event()
    done: list[tuple[str, str]] = []
    began = time.monotonic()
    runs = opened(api)
    runs.carry_out(of_letters(done), lambda _: may_end.wait(SECONDS))
    assert PATIENCE <= time.monotonic() - began < SECONDS
    assert done == [("a", "MainThread"), ("b", "MainThread")]
    may_end.set()


def test_a_run_that_stops_half_way_is_carried_on_without_doing_anything_twice(
    api: str, opened: Callable[..., Runs], caplog: pytest.LogCaptureFixture
) -> None:
    done: list[tuple[str, str]] = []

    def show(key: str) -> None:
        once(key, "a", lambda: "")
        raise ConnectionError("503")

    opened(api, patience=SECONDS).carry_out(of_letters(done), show)
    assert done == [("a", "runs"), ("b", "MainThread")]
    assert "ConnectionError" in caplog.text


def test_work_that_did_not_wait_is_shown_afterwards_with_its_results(
    api: str, opened: Callable[..., Runs]
) -> None:
    may_end = threading.Event()
    shown: list[str] = []
    done: list[tuple[str, str]] = []
    runs = opened(api)
    runs.carry_out(of_letters(done), lambda _: may_end.wait(SECONDS))
    runs.carry_out(of_letters(done), lambda key: shown.append(once(key, "b", lambda: "lost")))
    assert len(done) == 4
    may_end.set()
    runs.close(SECONDS)
    assert shown == ["b"]


def test_without_prefect_the_work_is_simply_done() -> None:
    done: list[tuple[str, str]] = []
    Runs(None).carry_out(of_letters(done), lambda _: pytest.fail("there is nobody to show it to"))
    assert [name for name, _ in done] == ["a", "b"]


def test_all_runs_share_one_client(api: str, opened: Callable[..., Runs]) -> None:
    clients: list[object] = []
    runs = opened(api, patience=SECONDS)
    for _ in range(2):
        work = of_letters([])
        runs.carry_out(work, lambda _: clients.append(prefect.get_client(sync_client=True)))
        assert work.refused.wait(SECONDS)
    assert clients[0] is clients[1]


def test_prefect_that_is_busy_is_asked_again_at_once_then_more_patiently() -> None:
    request = httpx.Request("POST", "http://prefect/api/flow_runs/")
    pauses = []
    for _ in range(3):
        answer = httpx.Response(503, request=request)
        ask_again_soon(answer)
        pauses.append(float(answer.headers["Retry-After"]))
    assert pauses == pytest.approx([0.1, 0.3, 0.9])


def test_prefect_that_says_itself_when_to_ask_again_is_obeyed() -> None:
    request = httpx.Request("POST", "http://prefect/api/flow_runs/")
    answer = httpx.Response(503, request=request, headers={"Retry-After": "20"})
    ask_again_soon(answer)
    assert answer.headers["Retry-After"] == "20"
    answered = httpx.Response(201, request=request)
    ask_again_soon(answered)
    assert "Retry-After" not in answered.headers
