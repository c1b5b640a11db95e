"""What becomes of a piece whose process died: once more, then its halves, then a row that says so. For every engine."""

from __future__ import annotations

from collections.abc import Iterator

from hw6.engines.contract import Piece, WorkerDied
from hw6.plan.plan import Chunk


def instead(piece: Piece, death: WorkerDied, numbers: Iterator[int]) -> list[Piece]:
    """The pieces to run in place of one that killed its process; none where nothing is left to try.

    Args:
        piece: what ran.
        death: how it ended.
        numbers: the sweep's next job numbers.
    """
    if piece.failure is not None:
        return []  # not even writing the failed row goes well
    if piece.deaths == 0:
        return [Piece(next(numbers), piece.chunk, 1)]
    positions, deaths = piece.chunk.positions, piece.deaths + 1
    if len(positions) == 1:
        return [Piece(next(numbers), piece.chunk, deaths, str(death))]
    middle = len(positions) // 2
    halves = (positions[:middle], positions[middle:])
    return [Piece(next(numbers), Chunk(piece.chunk.block, half), deaths) for half in halves]
