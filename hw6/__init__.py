"""hw6: Hydra-configured sweeps of tiny exact experiments on generalisation.

``load`` reads the rows of sweeps as one frame, ``figure`` draws a frame, ``run_sweep`` runs a sweep from Python,
``provenance`` tells where rows come from; the other names are for authors of experiments. All are imported when used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hw6.aggregate import load, provenance
    from hw6.contract.drawing import Drawing, Panel
    from hw6.contract.experiment import Experiment
    from hw6.contract.keys import Choice, Flag, Integer, Real
    from hw6.contract.metrics import Counts, Text
    from hw6.contract.per_cell import experiment
    from hw6.contract.registry import register
    from hw6.errors import BadInput
    from hw6.plot import figure
    from hw6.run import run_sweep
    from hw6.script import main

__version__ = "0.1.0"

_PUBLIC = {
    "BadInput": "hw6.errors",
    "Choice": "hw6.contract.keys",
    "Counts": "hw6.contract.metrics",
    "Drawing": "hw6.contract.drawing",
    "Experiment": "hw6.contract.experiment",
    "Flag": "hw6.contract.keys",
    "Integer": "hw6.contract.keys",
    "Panel": "hw6.contract.drawing",
    "Real": "hw6.contract.keys",
    "Text": "hw6.contract.metrics",
    "experiment": "hw6.contract.per_cell",
    "figure": "hw6.plot",
    "load": "hw6.aggregate",
    "main": "hw6.script",
    "provenance": "hw6.aggregate",
    "register": "hw6.contract.registry",
    "run_sweep": "hw6.run",
}
__all__ = [
    "BadInput",
    "Choice",
    "Counts",
    "Drawing",
    "Experiment",
    "Flag",
    "Integer",
    "Panel",
    "Real",
    "Text",
    "experiment",
    "figure",
    "load",
    "main",
    "provenance",
    "register",
    "run_sweep",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        from importlib import import_module

        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'hw6' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
