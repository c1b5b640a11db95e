"""Jobs in worker processes: every job is answered, whatever happens to it, and nobody is left behind."""

from __future__ import annotations

import math
import operator
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from contract.faults import wait_for
from recipes import raise_two_words, say

from hw6.engines.contract import WorkerDied
from hw6.engines.workers import Call, Task, run_calls

PATIENCE = 20.0  # seconds until a test says that something hangs


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Every process that is started, all of which must have ended when the test is over."""
    processes: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def recorded(*args: Any, **kwargs: Any) -> Any:
        processes.append(popen(*args, **kwargs))
        return processes[-1]

    monkeypatch.setattr("hw6.engines.workers.subprocess.Popen", recorded)
    yield processes
    assert all(process.poll() is not None for process in processes), "a worker outlived its sweep"
    pipes = [pipe for process in processes for pipe in (process.stdin, process.stdout)]
    assert all(pipe is None or pipe.closed for pipe in pipes), "a pipe was left open"


def tasks(jobs: Sequence[Call]) -> list[Task]:
    return [(index, partial(jobs.__getitem__, index)) for index in range(len(jobs))]


def run(jobs: list[Call], workers: int) -> list[Any]:
    """The results in the order of the jobs; fails instead of hanging."""
    results: dict[int, Any] = {}
    problems: list[BaseException] = []

    def keep(index: int, result: Any) -> Sequence[Task]:
        assert index not in results, "a job was answered twice"
        results[index] = result
        return ()

    def work() -> None:
        try:
            run_calls(tasks(jobs), workers, keep)
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), f"only {sorted(results)} of {len(jobs)} jobs were answered"
    if problems:
        raise problems[0]
    return [results[index] for index in range(len(jobs))]


@pytest.mark.usefixtures("started")
def test_every_job_is_answered_once() -> None:
    assert run([Call(operator.mul, (n, n)) for n in range(7)], 2) == [n * n for n in range(7)]


def test_no_more_workers_than_jobs(started: list[subprocess.Popen[bytes]]) -> None:
    assert run([Call(math.sqrt, (4.0,))], 5) == [2.0]
    assert len(started) == 1


@pytest.mark.usefixtures("started")
def test_an_exception_is_the_answer_of_its_job_alone() -> None:
    low, bad, high = run([Call(math.sqrt, (x,)) for x in (1.0, -1.0, 9.0)], 1)
    assert (low, high) == (1.0, 3.0)
    assert isinstance(bad, ValueError)


def test_a_worker_that_dies_is_replaced(started: list[subprocess.Popen[bytes]]) -> None:
    results = run([Call(math.sqrt, (1.0,)), Call(os._exit, (7,)), Call(math.sqrt, (9.0,))], 1)
    assert results[0] == 1.0
    assert results[2] == 3.0
    assert isinstance(results[1], WorkerDied)
    assert "7" in str(results[1])
    assert len(started) == 2


@pytest.mark.usefixtures("started")
def test_a_worker_that_ends_in_order_has_not_answered_either() -> None:
    bad, good = run([Call(os._exit, (0,)), Call(math.sqrt, (9.0,))], 1)
    assert isinstance(bad, WorkerDied)
    assert str(bad) == "a worker process ended with status 0"
    assert good == 3.0


def test_a_worker_that_died_before_its_job_came_is_replaced(started: list[subprocess.Popen[bytes]]) -> None:
    """The job is written into a pipe that nobody reads any more."""

    def after_the_death() -> Call:
        started[0].wait(PATIENCE)
        return Call(len, ("x" * 10_000_000,))

    jobs = [Call(exec, ("import os, threading; threading.Timer(0.1, os._exit, (7,)).start()", {})), Call(abs, (-3,))]
    results: dict[Any, Any] = {}

    def keep(name: Any, result: Any) -> Sequence[Task]:
        results[name] = result
        return ()

    run_calls([(0, lambda: jobs[0]), (1, after_the_death), (2, lambda: jobs[1])], 1, keep)
    assert isinstance(results[1], WorkerDied)
    assert (results[0], results[2], len(started)) == (None, 3, 2)


def test_a_worker_that_answers_nonsense_is_ended_and_replaced(started: list[subprocess.Popen[bytes]]) -> None:
    nonsense = """
import fcntl, os, time
for number in range(3, 64):  # the pipe of the answers, whatever its number is
    try:
        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
            os.write(number, b"nonsense")
    except OSError:
        pass
time.sleep(300)
"""
    bad, good = run([Call(exec, (nonsense, {})), Call(math.sqrt, (9.0,))], 1)
    assert isinstance(bad, WorkerDied)
    assert "SIGKILL" in str(bad)
    assert (good, len(started)) == (3.0, 2)


ENDING = """
import os, pathlib, signal, time
def end(number, frame):
    time.sleep(0.2)
    pathlib.Path({end!r}).write_text("tidied up")
    os._exit(0)
signal.signal(signal.SIGTERM, {handler})
pathlib.Path({begun!r}).touch()
time.sleep(300)
"""


def stop_in_the_middle(tmp_path: Path, handler: str) -> Path:
    """Stop two workers, one of which is in the middle of a job with this handler of SIGTERM; where it tidies up."""
    begun, end = tmp_path / "begun", tmp_path / "end"

    def when_begun() -> Call:
        deadline = time.monotonic() + PATIENCE
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        return Call(abs, (-1,))

    def stop(name: Any, result: Any) -> Sequence[Task]:
        raise KeyboardInterrupt

    job = Call(exec, (ENDING.format(begun=str(begun), end=str(end), handler=handler), {}))
    with pytest.raises(KeyboardInterrupt):
        run_calls([(0, lambda: job), (1, when_begun)], 2, stop)
    return end


@pytest.mark.usefixtures("started")
def test_a_worker_is_asked_to_end_and_may_tidy_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw6.engines.workers.GRACE", PATIENCE)
    assert stop_in_the_middle(tmp_path, "end").read_text() == "tidied up"


@pytest.mark.usefixtures("started")
def test_a_worker_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hw6.engines.workers.GRACE", 0.1)
    began = time.monotonic()
    assert not stop_in_the_middle(tmp_path, "signal.SIG_IGN").exists()
    assert time.monotonic() - began < 2 * PATIENCE


@pytest.mark.usefixtures("started")
def test_no_thread_outlives_its_sweep() -> None:
    before = set(threading.enumerate())
    assert run([Call(abs, (n,)) for n in range(6)], 3) == list(range(6))
    wait_for(lambda: not set(threading.enumerate()) - before, PATIENCE)


@pytest.mark.usefixtures("started")
def test_what_cannot_be_sent_is_the_failure_of_its_job() -> None:
    bad, good = run([Call(math.sqrt, (threading.Lock(),)), Call(math.sqrt, (4.0,))], 1)
    assert isinstance(bad, Exception)
    assert good == 2.0


@pytest.mark.usefixtures("started")
def test_a_result_that_cannot_be_sent_is_the_failure_of_its_job() -> None:
    bad, good = run([Call(threading.Lock, ()), Call(math.sqrt, (4.0,))], 1)
    assert isinstance(bad, Exception)
    assert good == 2.0


@pytest.mark.usefixtures("started")
def test_an_exception_that_cannot_be_read_back_is_still_an_answer() -> None:
    bad, good = run([Call(raise_two_words, ()), Call(math.sqrt, (4.0,))], 1)
    assert isinstance(bad, Exception)
    assert "cannot travel" in str(bad)
    assert good == 2.0


def test_what_jobs_print_does_not_disturb_the_answers(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([Call(say, ("hello",)), Call(say, ("again",))], 1) == ["hello", "again"]
    out, err = capfd.readouterr()
    assert out == ""
    assert err.split() == ["hello", "hello", "again", "again"]


@pytest.mark.usefixtures("started")
def test_an_exception_in_the_parent_ends_all_workers() -> None:
    def stop(index: int, result: Any) -> Sequence[Task]:
        raise KeyboardInterrupt

    jobs = [Call(math.sqrt, (1.0,)), Call(time.sleep, (300.0,)), Call(time.sleep, (300.0,))]
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_calls(tasks(jobs), 2, stop)
    assert time.monotonic() - began < PATIENCE


def test_ctrl_c_is_the_parents_to_hear_from_a_workers_first_instant_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is only starting when it comes says nothing of it, and does its job."""
    popen = subprocess.Popen

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        process = popen(*args, **kwargs)
        process.send_signal(signal.SIGINT)
        return process

    monkeypatch.setattr("hw6.engines.workers.subprocess.Popen", interrupted)
    assert run([Call(math.sqrt, (9.0,)), Call(signal.pthread_sigmask, (signal.SIG_BLOCK, ()))], 1) == [3.0, set()]


@pytest.mark.usefixtures("started")
def test_a_worker_sees_the_search_path_of_its_parent(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here.py").write_text("def double(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    from only_here import double  # type: ignore[import-not-found]

    assert run([Call(double, (21,))], 1) == [42]


@pytest.mark.usefixtures("started")
def test_an_answer_may_ask_for_more_work() -> None:
    seen: list[tuple[str, Any]] = []

    def finished(name: str, result: Any) -> Sequence[Task]:
        seen.append((name, result))
        return [("second", lambda: Call(math.sqrt, (result,)))] if name == "first" else ()

    run_calls([("first", lambda: Call(math.sqrt, (81.0,)))], 2, finished)
    assert seen == [("first", 9.0), ("second", 3.0)]


@pytest.mark.slow
def test_a_worker_ends_with_its_parent(tmp_path: Any) -> None:
    """Also when the parent is killed in the middle of a long job."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import time\nfrom hw6.engines.workers import Call, run_calls\n"
        "run_calls([(0, lambda: Call(time.sleep, (300.0,)))], 1, lambda name, result: ())\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    try:
        children: list[int] = []
        deadline = time.monotonic() + PATIENCE
        while not children and time.monotonic() < deadline:
            time.sleep(0.1)
            lists = Path(f"/proc/{parent.pid}/task").glob("*/children")  # of each thread
            children = [int(pid) for path in lists for pid in path.read_text().split()]
        assert children
        time.sleep(1.0)  # the worker is at its job by now
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: not any(_runs(child) for child in children), PATIENCE)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
