"""What surrounds cells while they run: one thread of arithmetic, and a log for what they print."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from threadpoolctl import ThreadpoolController

from hw6.engines.contract import cores

# Libraries that are loaded while cells run (an import inside a function) read these when they are loaded.
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS, OpenMP and torch compute on one thread within, and as before afterwards.

    Cells are small, and parallel work is done by processes; a sum that is split over threads rounds differently. What
    is loaded within starts with one thread too, and has all processors afterwards.
    """
    before = {name: os.environ.get(name) for name in VARIABLES}
    os.environ.update(dict.fromkeys(VARIABLES, "1"))
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch is not None else 0
    there = ThreadpoolController()
    loaded = set(sys.modules)
    try:
        with there.limit(limits=1):
            if torch is not None:
                torch.set_num_threads(1)
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if torch is not None:
            torch.set_num_threads(threads)
        if any(_is_compiled(name) for name in sys.modules.keys() - loaded):
            _release_new(there, torch is None)


def _is_compiled(name: str) -> bool:
    return str(getattr(sys.modules.get(name), "__file__", None)).endswith((".so", ".pyd"))


def _release_new(there: ThreadpoolController, no_torch: bool) -> None:
    """Give libraries that were loaded on one thread the processors that they would have taken."""
    known = {library.filepath for library in there.lib_controllers}
    for library in ThreadpoolController().lib_controllers:
        if library.filepath not in known:
            library.set_num_threads(cores())
    torch = sys.modules.get("torch")
    if no_torch and torch is not None:
        torch.set_num_threads(cores())


@contextmanager
def in_place() -> Iterator[None]:
    """The working directory is as before afterwards."""
    try:
        before = os.getcwd()
    except FileNotFoundError:  # it was removed under us, and there is nothing to come back to
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.chdir(before)


@contextmanager
def printed_to_log(name: str, *, shown: bool = False) -> Iterator[None]:
    """What is printed within, and warned of, goes to the job's log; its lines are those of logger ``name``.

    Args:
        name: the experiment's name.
        shown: it goes where it would have gone as well.
    """
    log = logging.getLogger(name)
    out, err = _Lines(log, sys.stdout, shown), _Lines(log, sys.stderr, shown)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield
        finally:
            out.close()
            err.close()


class _Lines(io.TextIOBase):
    """A stream whose lines are messages of a log.

    Args:
        log: where they go.
        before: the stream that this one stands for. It has the last word where the log itself writes here.
        shown: that stream gets everything too.
    """

    def __init__(self, log: logging.Logger, before: TextIO, shown: bool) -> None:
        self.log, self.before, self.shown = log, before, shown
        self.rest, self.logging = "", False

    def writable(self) -> bool:
        """Yes."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream that this one stands for."""
        return self.before.encoding

    @property
    def buffer(self) -> io.RawIOBase:
        """Where bytes may be written; they are logged as text."""
        return _Bytes(self)

    def isatty(self) -> bool:
        """No: a log is no terminal."""
        return False

    def fileno(self) -> int:
        """The descriptor behind the stream that this one stands for."""
        return self.before.fileno()

    def write(self, text: str, /) -> int:
        """Log whole lines, keep the rest."""
        if self.logging:
            return self.before.write(text)
        if self.shown:
            self.before.write(text)
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)

    def _say(self, line: str) -> None:
        self.logging = True
        try:
            if line.strip():
                self.log.info("%s", line.rpartition("\r")[2] if "\r" in line else line)
        finally:
            self.logging = False

    def close(self) -> None:
        """Log what is left. It is no end: whoever kept the stream may go on writing."""
        if self.shown:
            self.before.flush()
        if self.rest:
            rest, self.rest = self.rest, ""
            self._say(rest)


class _Bytes(io.RawIOBase):
    """The bytes below a stream of lines."""

    def __init__(self, lines: _Lines) -> None:
        self.lines = lines

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any, /) -> int:
        """Log bytes as text; how many there were."""
        content = bytes(data)
        self.lines.write(content.decode("utf-8", "backslashreplace"))
        return len(content)
