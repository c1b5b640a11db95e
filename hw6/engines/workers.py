"""Calls of functions in local worker processes.

Each worker is a fresh Python process that reads jobs from its standard input and answers on a pipe. It ends when that
input ends or its parent is gone, so that no worker outlives its parent, however the parent died. Nothing is forked:
threads and locks of the parent do not matter, and a script without a ``__main__`` guard is not run again in a worker.
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
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import IO, Any

from hw6.engines.contract import WorkerDied

GRACE = 2.0  # seconds between asking a worker to end and killing it
LOOK_FOR_PARENT = 1.0  # seconds between a worker's looks whether its parent is still there


@dataclass(frozen=True)
class Call:
    """A call of an importable function; everything in it can be pickled."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


Task = tuple[Hashable, Callable[[], Call]]  # a name for the answer, and what makes the job when its turn comes


def run_calls(tasks: Iterable[Task], workers: int, finished: Callable[[Any, Any], Iterable[Task]]) -> None:
    """Run jobs in ``workers`` processes.

    Args:
        tasks: what to run, started in this order.
        workers: number of processes.
        finished: called in this thread with the name of each job that ended and its result or exception; returns
            what is to be run next because of it.

    Whatever happens (an exception in ``finished``, Ctrl-C), all workers have ended when this returns.
    """
    pool = _Pool()
    waiting = 0
    for task in tasks:
        pool.pending.put(task)
        waiting += 1
    try:
        for _ in range(min(workers, waiting)):
            threading.Thread(target=pool.feed, daemon=True).start()
        while waiting:
            name, result = pool.results.get()
            waiting -= 1
            for task in finished(name, result):
                pool.pending.put(task)
                waiting += 1
    finally:
        pool.stop()


@dataclass
class _Pool:
    """The queues and the living processes of one ``run_calls``."""

    pending: queue.SimpleQueue[Task | None] = field(default_factory=queue.SimpleQueue)
    results: queue.SimpleQueue[tuple[Hashable, Any]] = field(default_factory=queue.SimpleQueue)
    processes: set[subprocess.Popen[bytes]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopping: bool = False

    def feed(self) -> None:
        """One thread a worker: hand it a job, wait for the answer. A worker that dies is replaced."""
        if hasattr(signal, "pthread_sigmask"):  # for the worker, from its first instant on; the main thread has its own
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        process = self._start()
        while process is not None and (task := self.pending.get()) is not None:
            name, make = task
            try:
                data = pickle.dumps(make(), protocol=pickle.HIGHEST_PROTOCOL)
            except Exception as error:  # composing failed: that job's failure, not the thread's
                self.results.put((name, error))
                continue
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(data)
                process.stdin.flush()
                result = pickle.load(process.stdout)
            except Exception:  # a broken pipe or half an answer, in any form: the worker is of no use any more
                status = self._discard(process)
                process = self._start()
                result = WorkerDied(f"a worker process {_how(status)}")
            self.results.put((name, result))

    def _start(self) -> subprocess.Popen[bytes] | None:
        # -c instead of -m: the parent's search path is needed before anything of ours can be imported.
        code = f"import sys; sys.path[:] = {sys.path!r}; from hw6.engines.workers import serve; serve({os.getpid()})"
        with self.lock:
            if self.stopping:
                return None
            process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.processes.add(process)
            return process

    def _discard(self, process: subprocess.Popen[bytes]) -> int:
        with self.lock:
            self.processes.discard(process)
        process.kill()
        return _close(process)

    def stop(self) -> None:
        """End all processes and, with them, the threads that wait for them."""
        with self.lock:
            self.stopping = True
            processes = list(self.processes)
        for _ in processes:
            self.pending.put(None)
        for process in processes:
            process.terminate()
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
            process.kill()
            _close(process)


def _how(status: int) -> str:
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _close(process: subprocess.Popen[bytes]) -> int:
    status = process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # the other end is gone; there is nothing left to flush
                stream.close()
    return status


def serve(parent: int) -> None:
    """A worker of process ``parent``: run jobs from standard input until it ends; what they print goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
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
        answers.write(_packed(result))
        answers.flush()


def _packed(result: Any) -> bytes:
    try:
        data = pickle.dumps(result)
        pickle.loads(data)
    except Exception:  # what cannot travel, or not be read at the other end, is told by its text
        return pickle.dumps(RuntimeError(f"{type(result).__name__}: {result}"))
    return data


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_FOR_PARENT)
    os._exit(1)
