"""Jobs in local processes.

Each worker is a fresh Python process that reads jobs from its standard input and answers on a pipe. It ends when that
input ends, so that no worker outlives its parent, however the parent died. Nothing is forked: threads and locks of the
parent do not matter, and a script without a ``__main__`` guard is not run again in the workers.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

GRACE = 2.0  # seconds between asking a worker to end and killing it


class WorkerDied(RuntimeError):
    """A worker process ended in the middle of a job (killed, out of memory)."""


@dataclass(frozen=True)
class Job:
    """A call of an importable function; everything in it can be pickled."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def run_jobs(job_of: Callable[[int], Job], count: int, workers: int, finished: Callable[[int, Any], None]) -> None:
    """Run jobs in ``workers`` processes.

    Args:
        job_of: makes the job of an index when its turn comes.
        count: the number of jobs; started in order.
        workers: number of processes.
        finished: called in this thread with the index of each job that ended and its result or exception.

    Whatever happens (an exception in ``finished``, Ctrl-C), all workers have ended when this returns.
    """
    pending: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    results: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
    for index in range(count):
        pending.put(index)
    processes = [_start() for _ in range(min(workers, count))]
    stopping = threading.Event()
    for slot in range(len(processes)):
        pending.put(None)
        threading.Thread(target=_feed, args=(processes, slot, stopping, job_of, pending, results), daemon=True).start()
    try:
        for _ in range(count):
            index, result = results.get()
            finished(index, result)
    finally:
        stopping.set()
        _stop(processes)


def _start() -> subprocess.Popen[bytes]:
    # -c instead of -m: the parent's search path is needed before anything of ours can be imported.
    code = f"import sys; sys.path[:] = {sys.path!r}; from hw6.sweep.workers import serve; serve()"
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _feed(
    processes: list[subprocess.Popen[bytes]],
    slot: int,
    stopping: threading.Event,
    job_of: Callable[[int], Job],
    pending: queue.SimpleQueue[int | None],
    results: queue.SimpleQueue[tuple[int, Any]],
) -> None:
    """One thread a worker: hand it a job, wait for the answer. A worker that dies is replaced."""
    while (index := pending.get()) is not None:
        process = processes[slot]
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            job = pickle.dumps(job_of(index), protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # composing failed: that job's failure, not the thread's
            results.put((index, error))
            continue
        try:
            process.stdin.write(job)
            process.stdin.flush()
            result = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            status = process.wait()
            if stopping.is_set():
                return
            processes[slot] = _start()
            results.put((index, WorkerDied(f"a worker process ended with status {status}")))
            continue
        results.put((index, result))


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # the other end is gone; there is nothing left to flush
                    stream.close()


def serve() -> None:
    """A worker: run jobs from standard input until it ends; what they print goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    answers: IO[bytes] = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            job = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            result = job.function(*job.arguments)
        except Exception as error:  # the parent is told, and decides
            result = error
        try:
            data = pickle.dumps(result)
            pickle.loads(data)
        except Exception:  # what cannot travel, or not be read at the other end, is told by its text
            data = pickle.dumps(RuntimeError(f"{type(result).__name__}: {result}"))
        answers.write(data)
        answers.flush()
