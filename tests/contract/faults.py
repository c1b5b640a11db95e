"""What the fault tests share: a real sweep in a process group of its own, started, killed and compared."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from hw6.store import shards


def start(folder: Path, *overrides: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a sweep in ``folder``, in a process group of its own."""
    command = [sys.executable, "-m", "hw6.run", "-m", *overrides, f"hydra.sweep.dir='{folder}'"]
    return subprocess.Popen(
        command,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )


def finish(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """Run a sweep to its end."""
    process = start(folder, *overrides)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the whole group: nobody gets to say goodbye."""
    with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def written(folder: Path) -> int:
    """The number of rows in all shards, doubled ones counted twice."""
    if not folder.exists():
        return 0
    return sum(len(shards.read_shard(path, ["cell_id"])) for path in shards.shards_below(folder))


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
