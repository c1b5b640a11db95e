"""The ways in which hw6 refuses or fails, and their exit statuses; rooms have their own (Busy, StoreFailed) below.

    Hw6Error                     1   anything that hw6 itself reports in one line
    |-- BadInput                 2   one value that a user typed and that is not allowed
    |-- BadInputs                2   several of them, a line each: all mistakes are reported at once
    |-- NoResults                2   a path that does not exist or holds no rows
    |-- MissingPackage           2   an optional package is asked for and not installed
    |-- FailedCells              1   a sweep ended and some of its cells failed
    `-- Interrupted            130   the user stopped a sweep

A message is for the person at the keyboard: the key, the value, what is allowed, what to do.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

FULL_ERROR = "HYDRA_FULL_ERROR"  # the environment's switch for tracebacks, Hydra's and ours


class Hw6Error(Exception):
    """The base of all errors that are shown as lines without a traceback."""

    exit_status = 1

    @property
    def lines(self) -> list[str]:
        """What is printed, a line a mistake."""
        return str(self).splitlines()

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors travel between processes whatever their constructors take."""
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[Hw6Error], arguments: tuple[Any, ...], state: dict[str, Any]) -> Hw6Error:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(state)
    return error


class BadInput(Hw6Error):
    """One refused value: the key, what was given, what is allowed and, where it helps, what to type."""

    exit_status = 2

    def __init__(self, key: str, value: object, allowed: str, hint: str = "") -> None:
        self.key, self.value, self.allowed, self.hint = key, value, allowed, hint
        shown = f"{key}={show(value)}" if value is not None else key
        super().__init__(f"{shown}: {allowed}" + (f" ({hint})" if hint else ""))


class BadInputs(Hw6Error):
    """Several refused values, reported together."""

    exit_status = 2

    def __init__(self, mistakes: Sequence[BadInput]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.lines))

    @property
    def lines(self) -> list[str]:
        """A line a mistake, each of them once."""
        return list(dict.fromkeys(str(mistake) for mistake in self.mistakes))


class NoResults(Hw6Error):
    """A path that does not exist or below which there are no rows."""

    exit_status = 2


class MissingPackage(Hw6Error):
    """An optional package is needed for what was asked."""

    exit_status = 2

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package}: pip install 'hw6[{extra}]'")


class FailedCells(Hw6Error):
    """A sweep came to its end, but some of its cells have no result."""


class Interrupted(Hw6Error):
    """A sweep was stopped by the user; what was finished is stored."""

    exit_status = 130


def exit_status(action: Callable[[], int]) -> int:
    """What a command ends with: its own status, or that of the error it ended in, which is told in lines.

    2: refused, 1: something failed, 130: Ctrl-C, 141: nobody reads the output any more. HYDRA_FULL_ERROR=1 in the
    environment lets errors through.
    """
    try:
        status = action()
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Hw6Error as error:
        if os.environ.get(FULL_ERROR) == "1":
            raise
        tell(error)
        return error.exit_status
    except KeyboardInterrupt:
        print("hw6: interrupted", file=sys.stderr)
        return Interrupted.exit_status


def tell(error: Hw6Error) -> None:
    """Print an error for the person at the keyboard, a line a mistake."""
    for line in error.lines:
        print(f"hw6: {line}", file=sys.stderr)


LONGEST = 1000  # characters of what is said of an exception


def described(error: BaseException) -> tuple[str, str]:
    """What is said of any exception: its type, and the first line of its message, as text that can be written."""
    try:
        kind = " ".join(str.__str__(type(error).__name__).split())
    except Exception:  # a class whose own name raises
        kind = ""
    try:
        text = str.__str__(str(error)).strip()
    except KeyboardInterrupt:
        raise
    except BaseException:  # an exception whose own text raises, SystemExit even
        text = ""
    line = next(iter(text.splitlines()), "") or "no message"
    return written(shortened(kind or "Exception")), written(shortened(line))


def shortened(text: str) -> str:
    """A text of at most ``LONGEST`` characters."""
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def written(text: str) -> str:
    """A text as it can be encoded: lone surrogates become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def show(value: object) -> str:
    """A value as a person would have typed it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(show(entry) for entry in value) + "]"
    return str(value)


def refuse(mistakes: Sequence[BadInput]) -> None:
    """Raise all mistakes at once; do nothing if there are none."""
    if len(mistakes) == 1:
        raise mistakes[0]
    if mistakes:
        raise BadInputs(mistakes)


def nearest(word: str, known: Iterable[str]) -> str:
    """The hint "did you mean ...?" for a mistyped word, or nothing where no known word is near."""
    import difflib

    names = list(known)
    if alike := [name for name in names if name.lower() == word.lower() and name != word]:
        return f"did you mean {alike[0]}?"
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if not close:  # a long dotted name is also recognised by its last part
        last = {name.rpartition(".")[2]: name for name in names}
        close = [last[match] for match in difflib.get_close_matches(word.rpartition(".")[2], last, n=1, cutoff=0.75)]
    return f"did you mean {close[0]}?" if close else ""
