"""What experiments that compute with torch share. torch itself is imported only when rows are computed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np

from hw6.errors import BadInput


def refuse_without_torch(experiment: str) -> list[BadInput]:
    """The mistake of choosing an experiment whose optional package is not installed."""
    if find_spec("torch") is not None:
        return []
    return [BadInput("experiment", experiment, "needs the package torch", "pip install 'hw6[torch]'")]


@contextmanager
def one_thread() -> Iterator[None]:
    """torch computes on one thread within, as everything else in a chunk does, and as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def refuse_beyond_memory(key: str, values: np.ndarray, needed: np.ndarray, change: str) -> list[BadInput]:
    """A mistake for each distinct value whose cell needs more memory than this machine has.

    Args:
        key: the key named first, whose value drives the need.
        values: (cells,) its values.
        needed: (cells,) bytes.
        change: what to change, for the person at the keyboard.
    """
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    beyond = needed > there
    pairs = zip(values[beyond].tolist(), needed[beyond].tolist(), strict=True)
    most = dict(sorted(pairs))  # the largest need of each value
    return [
        BadInput(key, value, f"needs about {size / 1e9:.1f} GB, and this machine has {there / 1e9:.1f} GB", change)
        for value, size in list(most.items())[:10]
    ]
