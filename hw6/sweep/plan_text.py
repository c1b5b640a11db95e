"""A block of a plan as JSON, and back: how a plan reaches the jobs that run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hw6.errors import Hw6Error
from hw6.sweep.plan import Axis, Block, Derived


def block_to_json(block: Block) -> dict[str, Any]:
    """A block as JSON; evenly spaced integers as a range."""

    def values(given: Sequence[Any]) -> Any:
        if isinstance(given, range):
            return {"range": [given.start, given.stop, given.step]}
        return [list(value) if isinstance(value, tuple) else value for value in given]

    return {
        "experiment": block.experiment,
        "overrides": list(block.overrides),
        "constants": {k: list(v) if isinstance(v, tuple) else v for k, v in block.constants.items()},
        "axes": [{"key": axis.key, "values": values(axis.values)} for axis in block.axes],
        "derived": [{"key": d.key, "axes": list(d.axes), "values": values(d.values)} for d in block.derived],
    }


def block_from_json(content: Mapping[str, Any]) -> Block:
    """The block that ``block_to_json`` wrote.

    Raises:
        Hw6Error: the content is no block.
    """

    def value(given: Any) -> Any:
        return tuple(given) if isinstance(given, list) else given

    def values(given: Any) -> Sequence[Any]:
        return range(*given["range"]) if isinstance(given, dict) else tuple(value(entry) for entry in given)

    try:
        return Block(
            content["experiment"],
            tuple(content["overrides"]),
            {key: value(entry) for key, entry in content["constants"].items()},
            tuple(Axis(axis["key"], values(axis["values"])) for axis in content["axes"]),
            tuple(Derived(d["key"], tuple(d["axes"]), values(d["values"])) for d in content["derived"]),
        )
    except (KeyError, TypeError) as error:
        raise Hw6Error(f"this is no plan of hw6: {error}") from error
