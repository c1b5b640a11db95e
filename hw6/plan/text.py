"""A plan as text, and back: positions as ranges, blocks as JSON. That is how a plan reaches the jobs that run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hw6.contract.experiment import Experiment
from hw6.errors import Hw6Error
from hw6.plan.plan import Axis, Block, Derived


def ranges_text(positions: np.ndarray) -> str:
    """Rising positions as text: "0:195,200:210"."""
    if not len(positions):
        return ""
    breaks = np.flatnonzero(np.diff(positions) != 1)
    starts = positions[np.concatenate(([0], breaks + 1))]
    stops = positions[np.concatenate((breaks, [len(positions) - 1]))] + 1
    return ",".join(f"{start}:{stop}" for start, stop in zip(starts.tolist(), stops.tolist(), strict=True))


def positions_of(text: str) -> np.ndarray:
    """The positions that ``ranges_text`` wrote."""
    pieces = [piece.split(":") for piece in text.split(",") if piece]
    return np.concatenate(
        [np.empty(0, dtype=np.int64)] + [np.arange(int(start), int(stop), dtype=np.int64) for start, stop in pieces]
    )


def block_to_json(block: Block) -> dict[str, Any]:
    """A block as JSON, its experiment by name; evenly spaced integers as a range."""

    def values(given: Sequence[Any]) -> Any:
        if isinstance(given, range):
            return {"range": [given.start, given.stop, given.step]}
        return [list(value) if isinstance(value, tuple) else value for value in given]

    return {
        "experiment": block.experiment.name,
        "overrides": list(block.overrides),
        "constants": {k: list(v) if isinstance(v, tuple) else v for k, v in block.constants.items()},
        "axes": [
            {"key": axis.key, "values": values(axis.values)} | ({"hidden": True} if axis.hidden else {})
            for axis in block.axes
        ],
        "derived": [{"key": d.key, "axes": list(d.axes), "values": values(d.values)} for d in block.derived],
    }


def block_from_json(content: Mapping[str, Any], experiment: Experiment) -> Block:
    """The block that ``block_to_json`` wrote.

    Args:
        content: the JSON.
        experiment: the experiment that it names.

    Raises:
        Hw6Error: the content is no block, or one of another experiment.
    """

    def value(given: Any) -> Any:
        return tuple(given) if isinstance(given, list) else given

    def values(given: Any) -> Sequence[Any]:
        return range(*given["range"]) if isinstance(given, dict) else tuple(value(entry) for entry in given)

    try:
        if content["experiment"] != experiment.name:
            raise Hw6Error(f"this is no plan of {experiment.name}, but of {content['experiment']}")
        return Block(
            experiment,
            tuple(content["overrides"]),
            {key: value(entry) for key, entry in content["constants"].items()},
            tuple(Axis(axis["key"], values(axis["values"]), bool(axis.get("hidden"))) for axis in content["axes"]),
            tuple(Derived(d["key"], tuple(d["axes"]), values(d["values"])) for d in content["derived"]),
        )
    except (KeyError, TypeError) as error:
        raise Hw6Error(f"this is no plan of hw6: {error}") from error
