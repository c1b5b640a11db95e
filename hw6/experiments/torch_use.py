"""What experiments that compute with torch share. torch itself is imported only when rows are computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from hw6.errors import BadInput

TORCH_BYTES = 190e6  # of a process that has torch loaded, above one that has not


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
