"""Cells that failed: by cause for the closing lines, by place for the sweep's folder, with ways to run one alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from hw6.command.line import MULTIRUN, split
from hw6.contract.failure import Failure
from hw6.errors import Hw6Error, show
from hw6.plan.plan import Block
from hw6.running.cells import Rows
from hw6.store.failures import MOST_CELLS, FailedCells, write
from hw6.store.record import CHOICE, Command
from hw6.words import quoted

WORDS = {"null", "true", "false", "nan", "inf"}  # that Hydra reads as values, in capitals too
# (exception type, message) -> number of cells, and the arguments that run one of them alone.
Causes = Mapping[tuple[str, str], tuple[int, Sequence[str]]]


class Refused(Hw6Error):
    """The one cell of a command raised a BadInput: nothing is written."""

    exit_status = 2


def kept(ran: Rows, block: Block, positions: np.ndarray, folder: Path, command: Command) -> Causes:
    """Write what is known of the failed cells of a batch into its job's directory; their causes.

    Args:
        ran: the batch.
        block, positions: its cells.
        folder: the job's directory.
        command: what was typed.

    Raises:
        OSError: it cannot be written.
    """
    if not ran.failures:
        return {}
    cells = {place: int(positions[place]) for place in ran.failures}
    ids = dict(zip(cells, block.ids(np.array(list(cells.values()))).astype(str).tolist(), strict=True))
    places: dict[tuple[str, str], list[int]] = {}
    for place, failure in ran.failures.items():
        places.setdefault((failure.kind, failure.trace or failure.message), []).append(place)
    write(
        folder,
        [
            FailedCells(
                ran.failures[some[0]],
                len(some),
                {ids[place]: command.with_files(alone(command, block, cells[place])) for place in some[:MOST_CELLS]},
            )
            for some in places.values()
        ],
    )
    return _causes([(failure, cells[place]) for place, failure in ran.failures.items()], block, command)


def stored_causes(rows: Mapping[str, pa.Array], block: Block, positions: np.ndarray, command: Command) -> Causes:
    """The causes of the failed cells among stored rows; ``positions`` are those of the cells, and maybe of others."""
    kinds, messages = rows["error_type"], rows["error_message"]
    if kinds.null_count == len(kinds):
        return {}
    places = dict(zip(block.ids(positions).astype(str).tolist(), positions.tolist(), strict=True))
    columns = (kinds.to_pylist(), messages.to_pylist(), rows["cell_id"].to_pylist())
    failed = [
        (Failure(kind, text), places[cell]) for kind, text, cell in zip(*columns, strict=True) if kind is not None
    ]
    return _causes(failed, block, command)


def _causes(failed: Sequence[tuple[Failure, int]], block: Block, command: Command) -> Causes:
    found: dict[tuple[str, str], tuple[int, Sequence[str]]] = {}
    for failure, position in failed:
        cause = (failure.kind, failure.message)
        count, example = found.get(cause, (0, ()))
        found[cause] = (count + 1, example or alone(command, block, position))
    return found


def alone(command: Command, block: Block, position: int) -> list[str]:
    """The arguments that run one cell alone; of a named sweep with what that one sets besides its axes."""
    flags = [flag for flag in split(command.expanded).flags if flag not in MULTIRUN]
    cells = block.cells(np.array([position]))
    chosen = [text for text in block.overrides if text.startswith(CHOICE)]
    own = [] if chosen else [f"{CHOICE}{block.experiment.name}"]
    swept = [f"{axis.key}={_grammar(cells[axis.key][0])}" for axis in block.axes]
    return [*flags, *(["--run"] if flags else []), *own, *block.overrides, *swept]


def _grammar(value: object) -> str:
    """A value in Hydra's grammar: texts that would be read as something else in quotes, within lists too."""
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_grammar, value)) + "]"
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z_][\w./-]*", value, re.ASCII) and value.lower() not in WORDS
        return value if plain else quoted(value)
    return show(value.item() if isinstance(value, np.generic) else value)
