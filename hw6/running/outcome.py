"""What a command came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What a sweep, or a single cell, came to.

    Attributes:
        folder: its directory.
        cells: the cells of its plan.
        ran: those that ran now; the others were done before.
        failed: those of them that failed.
        lines: what failed, a line a cause.
        report: what is printed of a single cell, a line a column.
    """

    folder: Path
    cells: int
    ran: int
    failed: int
    lines: tuple[str, ...] = ()
    report: tuple[str, ...] = ()
