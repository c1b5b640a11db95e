"""Damaged shards, full disks, lost directories, cells that kill their worker: named, bounded, mended by a resume."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faults import finish, start, wait_for, written
from recipes import assert_same_rows

import hw6
from hw6.aggregate import load
from hw6.store import shards

pytestmark = pytest.mark.slow

SWEEP = ("p=5:25", "seed=0:6", "lambda=0.1,tuned", "data.n_train=30", "data.n_validation=10", "data.n_test=8")
LONG = ("p=10:310:10", "seed=0:200", "lambda=tuned", "workers=2")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    folder = tmp_path / "whole"
    assert finish(folder, *SWEEP, "workers=2").returncode == 0
    return folder


def copied(folder: Path, name: str) -> Path:
    target = folder.with_name(name)
    shutil.copytree(folder, target)
    return target


def test_a_flipped_byte_in_every_shard(whole: Path) -> None:
    paths = list(shards.shards_below(whole))
    assert len(paths) >= 2
    generator = np.random.default_rng(0)
    for number, path in enumerate(paths):
        folder = copied(whole, f"flipped{number}")
        target = folder / path.relative_to(whole)
        data = bytearray(target.read_bytes())
        data[generator.integers(len(data))] ^= 1 << int(generator.integers(8))
        target.write_bytes(data)
        again = finish(folder, *SWEEP)
        assert again.returncode == 0, again.stderr
        assert path.name in again.stderr
        assert not target.exists()
        assert len(list((folder / "damaged").iterdir())) == 1
        assert_same_rows(load(folder), load(whole))
        assert written(folder) == written(whole)


@pytest.mark.parametrize("fault", ["truncated", "empty", "foreign"])
def test_other_damage(whole: Path, fault: str) -> None:
    target = next(shards.shards_below(whole))
    reference = load(whole)
    data = target.read_bytes()
    target.write_bytes({"truncated": data[: len(data) // 2], "empty": b"", "foreign": b"p,seed\n1,2\n"}[fault])
    table = subprocess.run(
        [sys.executable, "-m", "hw6.aggregate", str(whole)], capture_output=True, text=True, check=False
    )
    assert table.returncode == 1
    assert target.name in table.stderr
    assert len(list((whole / "damaged").iterdir())) == 1
    assert finish(whole, *SWEEP).returncode == 0
    assert_same_rows(load(whole), reference)


def test_compacting_keeps_every_row(whole: Path) -> None:
    reference = load(whole)
    command = [sys.executable, "-m", "hw6.aggregate", "--compact", str(whole)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert len(list(shards.shards_below(whole))) == 1
    assert_same_rows(load(whole), reference)
    again = finish(whole, *SWEEP)
    assert "0 cells" in again.stdout


def test_a_link_out_of_the_folder_is_not_followed(whole: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shard = next(shards.shards_below(whole))
    moved = outside / shard.name
    shard.rename(moved)
    shard.symlink_to(moved)
    (whole / "more").symlink_to(outside, target_is_directory=True)
    assert len(hw6.load(whole)) < len(SWEEP) * 100
    assert set(hw6.load(whole)["cell_id"]).isdisjoint(hw6.load(moved)["cell_id"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    path = disk / "filler"
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


def one_line(text: str) -> str:
    """The one line of hw6 on standard error; anything like a traceback fails."""
    assert "Traceback" not in text
    lines = [line for line in text.splitlines() if line.startswith("hw6:")]
    assert len(lines) == 1, text
    return lines[0]


def test_a_disk_that_fills_up_on_the_way(small_disk: Path, tmp_path: Path) -> None:
    folder = small_disk / "sweep"
    process = start(folder, *LONG)
    wait_for(lambda: folder.exists() and len(list(shards.shards_below(folder))) > 0)
    filler = fill(small_disk)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "No space left" in one_line(err)
    kept = set(shards.cell_ids(folder)[0].tolist())
    assert kept
    assert not shards.cell_ids(folder)[2], "a damaged shard was left"
    filler.unlink()
    again = finish(folder, *LONG)
    assert again.returncode == 0, again.stderr
    assert kept <= set(shards.cell_ids(folder)[0].tolist())
    assert finish(tmp_path / "whole", *LONG).returncode == 0
    assert_same_rows(load(folder), load(tmp_path / "whole"))


def test_a_disk_without_room_is_refused_before_anything_starts(small_disk: Path) -> None:
    fill(small_disk)
    refused = finish(small_disk / "sweep", *LONG)
    assert refused.returncode == 2
    assert "MB are free" in one_line(refused.stderr)
    assert not (small_disk / "sweep").exists()


def test_a_directory_that_is_lost_on_the_way(tmp_path: Path) -> None:
    folder = tmp_path / "lost"
    process = start(folder, *LONG)
    wait_for(lambda: folder.exists() and len(list(shards.shards_below(folder))) > 0)
    folder.rename(tmp_path / "moved")
    _, err = process.communicate(timeout=120)
    assert process.returncode in (1, 2)
    assert one_line(err)
    again = finish(tmp_path / "moved", *LONG)
    assert again.returncode == 0, again.stderr
    assert finish(tmp_path / "whole", *LONG).returncode == 0
    assert_same_rows(load(tmp_path / "moved"), load(tmp_path / "whole"))


DEADLY = """
import os, signal
from hw6.contract.experiment import Experiment
from hw6.contract.keys import Integer

def rows(cells):
    if (cells["p"] == 7).any():
        os.kill(os.getpid(), signal.SIGKILL)
    return {"twice": 2.0 * cells["p"]}

EXPERIMENT = Experiment("deadly", 1, {"p": Integer(help="a number", minimum=1)}, {"twice": "2 p"}, rows,
                        defaults={"p": 1})
"""


def test_a_cell_that_kills_its_worker_becomes_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chunk is tried again once and cut until the cell at fault is alone; all others have their rows."""
    site = tmp_path / "site"
    (site / "deadly-1.0.dist-info").mkdir(parents=True)
    (site / "deadly.py").write_text(DEADLY)
    (site / "deadly-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1.0\n")
    announced = "[hw6.experiments]\ndeadly = deadly:EXPERIMENT\n"
    (site / "deadly-1.0.dist-info" / "entry_points.txt").write_text(announced)
    monkeypatch.setenv("PYTHONPATH", str(site))
    folder = tmp_path / "sweep"
    ended = finish(folder, "experiment=deadly", "p=1:21", "workers=2")
    assert ended.returncode == 1
    assert "1 failed: WorkerDied: a worker process was killed by SIGKILL" in ended.stderr
    assert "python -m hw6.run experiment=deadly workers=2 p=7" in ended.stderr
    frame = hw6.load(folder).sort_values("p")
    assert frame["p"].tolist() == list(range(1, 21))
    assert frame.loc[frame["status"] == "failed", "p"].tolist() == [7]
    done = frame[frame["status"] == "done"]
    assert (done["twice"] == 2.0 * done["p"]).all()
