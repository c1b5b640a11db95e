"""How far a sweep is: a bar on a terminal, lines at sensible intervals elsewhere, and what is said at the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from hw6.engines.contract import Piece
from hw6.store import shards
from hw6.words import duration

WATCH_EVERY = 1.0  # seconds between looks at the directory, where the launcher tells nothing
FIRST_LINE, LINE_EVERY = 5.0, 30.0  # seconds, where there is no terminal


class Report(Protocol):
    """Called with the number of cells that have just been finished."""

    def __call__(self, cells: int, /) -> None: ...  # noqa: D102


@contextmanager
def progress(total: int, *, quiet: bool = False) -> Iterator[Report]:
    """Show the progress of ``total`` cells on standard error while the block runs."""
    if quiet or total == 0:
        yield lambda cells: None
    elif sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, unit=" cells", smoothing=0.1, dynamic_ncols=True, leave=False) as bar:
            yield bar.update
    else:
        yield _Lines(total)


class _Lines:
    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.started = time.monotonic()
        self.next = self.started + FIRST_LINE

    def __call__(self, cells: int, /) -> None:
        self.done += cells
        now = time.monotonic()
        if now >= self.next and self.done < self.total:
            self.next = now + LINE_EVERY
            rate = self.done / (now - self.started)
            left = (self.total - self.done) / rate if rate else float("inf")
            print(
                f"{self.done:,} of {self.total:,} cells, {rate:,.0f} cells/s, {duration(left)} left",
                file=sys.stderr,
                flush=True,
            )


@contextmanager
def watching(told: bool, folder: Path, pieces: Sequence[Piece], report: Callable[[int], Any]) -> Iterator[None]:
    """Tell the progress of an engine that does not tell of ends: a piece is done when its shard is there."""
    if told:
        yield
        return
    stop = threading.Event()

    def watch() -> None:
        left = {piece.number: len(piece.chunk) for piece in pieces}
        while left and not stop.wait(WATCH_EVERY):
            for number in [number for number in left if any(shards.shards_in(folder / str(number)))]:
                report(left.pop(number))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
