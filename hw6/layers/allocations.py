"""How much memory a piece of torch code needs at its highest, counted from every request to torch's allocator.

torch keeps such a count for CUDA only. On a CPU its profiler reports each request and each release with their bytes,
those inside an operator too (the column matrix of a convolution, a reordered weight); the largest partial sum of them
is the height above what was there before. Libraries below torch also ask the system on their own (the packing buffers
of BLAS, the scratch of oneDNN): that is not seen.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

from torch.profiler import ProfilerActivity, profile


def peak_bytes(work: Callable[[], object]) -> int:
    """The highest number of bytes held by tensors made during ``work()``, those that it releases included.

    What was allocated before and is released inside lowers the count. The work runs once, slower than usual.
    """
    record = profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True)
    with _quiet():
        record.start()
    try:
        result = work()  # held until the record is closed, so that its end is no release
    finally:
        with _quiet():
            record.stop()
    del result
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        record.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    memory = [event for event in events if event["name"] == "[memory]"]
    memory.sort(key=lambda event: event["ts"])  # stable: requests of one moment stay in order
    return max(accumulate((int(event["args"]["Bytes"]) for event in memory), initial=0))


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing reaches file descriptor 2: torch 2.13's profiler writes two lines there as it starts and stops."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
