"""What is kept of an exception: its type, its message, its traceback as text; never its frames and what they hold."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from hw6.errors import BadInput, BadInputs, described, written

LONGEST_TRACE = 20_000  # characters
_PACKAGE = Path(__file__).parent.parent
_OWN = (str(_PACKAGE / "contract"), str(_PACKAGE / "running"))  # whose frames tell an author nothing


@dataclass(frozen=True)
class Failure:
    """Why a cell has no result.

    Attributes:
        kind, message: the exception's type, and the first line of what it says.
        trace: its traceback; empty where it tells no more than the message does.
        refused: the experiment refused the cell (``BadInput``).
    """

    kind: str
    message: str
    trace: str = ""
    refused: bool = False


@dataclass
class Failures:
    """Exceptions as failures. Formatting a traceback takes a millisecond: one for each place at which cells fail."""

    traces: dict[tuple[object, ...], str] = field(default_factory=dict)

    def of(self, error: BaseException) -> Failure:
        """What is kept of an exception that was caught."""
        place = _below(error.__traceback__)
        lines = []
        frame = place
        while frame is not None:
            lines.append((frame.tb_frame.f_code.co_filename, frame.tb_lineno))
            frame = frame.tb_next
        where = (type(error), *lines)
        if where not in self.traces:
            self.traces[where] = _text(error, place) if lines else ""
        return Failure(*described(error), self.traces[where], isinstance(error, (BadInput, BadInputs)))


def _below(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from the first frame on that is not our own."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN):
        trace = trace.tb_next
    return trace


def _text(error: BaseException, trace: TracebackType | None) -> str:
    try:
        text = "".join(traceback.TracebackException(type(error), error, trace).format())
    except KeyboardInterrupt:
        raise
    except BaseException:  # an exception whose own parts raise when they are asked
        return ""
    half = LONGEST_TRACE // 2
    short = text if len(text) <= LONGEST_TRACE else f"{text[:half]}\n  ...\n{text[-half:]}"
    return written(short).rstrip("\n")
