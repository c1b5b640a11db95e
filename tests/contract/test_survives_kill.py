"""Nothing finished is lost or done twice, whatever kills a sweep and whenever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from faults import finish, kill, start, wait_for, written
from recipes import assert_same_rows

from hw6.aggregate import load
from hw6.store import shards

pytestmark = pytest.mark.slow

KILLS = 25
SWEEP = ("p=10:310:10", "seed=0:60", "lambda=tuned", "workers=2")
SMALL = ("p=5:15", "seed=0:2", "lambda=0.1,tuned", "data.n_train=30", "data.n_validation=10", "data.n_test=8")


def done(folder: Path) -> set[bytes]:
    return set(shards.cell_ids(folder)[0].tolist()) if folder.exists() else set()


def test_kills_at_random_instants(tmp_path: Path) -> None:
    """SIGKILL to all processes at instants spread evenly over the run; resumed, and killed again, until all is done."""
    began = time.monotonic()
    assert finish(tmp_path / "whole", *SWEEP).returncode == 0
    duration = time.monotonic() - began
    reference = load(tmp_path / "whole")
    generator = np.random.default_rng(0)
    counted = lost = finished = 0
    while counted < KILLS:
        folder = tmp_path / str(finished)
        before = done(folder)
        process = start(folder, *SWEEP)
        with suppress(subprocess.TimeoutExpired):
            _, err = process.communicate(timeout=generator.uniform(0.0, duration))
            assert process.returncode == 0, err
        kill(process)
        after = done(folder)
        lost += len(before - after)
        if len(after) < len(reference):
            counted += 1  # a kill counts only if cells were unfinished
            continue
        assert_same_rows(load(folder), reference)
        assert written(folder) == len(reference), "a row was doubled"
        finished += 1
    last = finish(folder, *SWEEP)
    assert last.returncode == 0, last.stderr
    assert_same_rows(load(folder), reference)
    assert written(folder) == len(reference), "a row was doubled"
    print(f"{counted} kills, {lost} rows lost, 0 doubled, {finished + 1} sweeps finished by resuming")
    assert lost == 0


def test_only_the_main_process_is_killed(tmp_path: Path) -> None:
    """Its workers end by themselves; resumed at once, each cell has one row."""
    assert finish(tmp_path / "whole", *SWEEP).returncode == 0
    folder = tmp_path / "killed"
    process = start(folder, *SWEEP)
    wait_for(lambda: len(done(folder)) > 0)
    os.kill(process.pid, signal.SIGKILL)
    assert len(done(folder)) < written(tmp_path / "whole")
    again = finish(folder, *SWEEP)
    process.communicate(timeout=30)
    assert again.returncode == 0, again.stderr
    assert_same_rows(load(folder), load(tmp_path / "whole"))


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_ends_within_five_seconds(tmp_path: Path, stop: signal.Signals) -> None:
    folder = tmp_path / "stopped"
    process = start(folder, *SWEEP)
    wait_for(lambda: len(done(folder)) > 0)
    before = done(folder)
    os.kill(process.pid, stop)
    began = time.monotonic()
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 5.0
    assert process.returncode in (130, 143)
    assert "to go on: python -m hw6.run" in err
    assert "Traceback" not in err
    assert before <= done(folder)


STOP_AT_STEP = """
import os, signal, sys
from hw6.store import directory

left = int(sys.argv[1])

def counted(name, call):
    def step(*arguments, **options):
        global left
        for moment in ("before", "after"):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            if moment == "before":
                result = call(*arguments, **options)
        return result
    return step

class Steps:
    def __getattr__(self, name):
        value = getattr(os, name)
        return counted(name, value) if name in ("fsync", "replace", "open", "close", "mkdir") else value

directory.os = Steps()
from hw6.run import main
status = main(sys.argv[2:])
print("steps left", left)
sys.exit(status)
"""


def test_a_kill_at_each_write_step_of_the_store(tmp_path: Path) -> None:
    assert finish(tmp_path / "whole", *SMALL).returncode == 0
    reference = load(tmp_path / "whole")
    killed = 0
    for step in range(200):
        folder = tmp_path / f"step{step}"
        command = [sys.executable, "-c", STOP_AT_STEP, str(step), "-m", *SMALL, f"hydra.sweep.dir='{folder}'"]
        status = subprocess.run(command, capture_output=True, check=False).returncode
        if status == 0:
            break
        assert status == -signal.SIGKILL
        killed += 1
        before = done(folder)
        again = finish(folder, *SMALL)
        assert again.returncode == 0, again.stderr
        assert_same_rows(load(folder), reference)
        assert written(folder) == len(reference)
        assert before <= done(folder)
    else:
        pytest.fail("the sweep never came to its end")
    print(f"killed at {killed} steps")
    assert killed >= 20


def test_two_at_once(tmp_path: Path) -> None:
    """One of them runs, the other says who does; the rows are those of one run."""
    assert finish(tmp_path / "whole", *SWEEP).returncode == 0
    folder = tmp_path / "shared"
    first = start(folder, *SWEEP)
    second = start(folder, *SWEEP)
    ended = [(process, *process.communicate(timeout=300)) for process in (first, second)]
    statuses = sorted(process.returncode for process, _, _ in ended)
    assert statuses == [0, 2], [err for _, _, err in ended]
    refusal = next(err for process, _, err in ended if process.returncode == 2)
    assert "is being run by" in refusal or "cannot be written" in refusal
    assert_same_rows(load(folder), load(tmp_path / "whole"))
    assert written(folder) == written(tmp_path / "whole")


def test_a_stale_lock_of_another_host_is_taken_over(tmp_path: Path) -> None:
    """A heartbeat that has been silent for long counts for nothing; a fresh one does."""
    folder = tmp_path / "sweep"
    assert finish(folder, *SMALL).returncode == 0
    lock = folder / ".lock"
    lock.write_text('{"token": "x", "host": "elsewhere", "process": 1, "user": "somebody", "since": 0.0}')
    refused = finish(folder, *SMALL)
    assert refused.returncode == 2
    assert "somebody on elsewhere, process 1" in refused.stderr
    os.utime(lock, (time.time() - 3600, time.time() - 3600))
    assert finish(folder, *SMALL).returncode == 0
