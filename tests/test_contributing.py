"""CONTRIBUTING.md and the README's own experiment are run as they stand, every block and command, in a fresh folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from commands import Command, Process
from recipes import assert_same_rows

import hw6
from hw6.contract.files import load as load_file

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "CONTRIBUTING.md"
README = ROOT / "README.md"
KNN = ROOT / "examples" / "knn.py"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# (\w+\.py)\n")  # the first line of a block that is a file
STATUS = re.compile(r"# exit status (\d)")
PATH = re.compile(
    r"`((?:hw6|conf|tests|sweeps|examples|benchmarks|hydra_plugins)/[\w/.\-]*|\w+/|[\w-]+\.(?:txt|toml))`"
)


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(*match) for match in FENCE.findall(page.read_text(encoding="utf-8"))]


def files(page: Path) -> dict[str, str]:
    """The files that a page shows in full, by the names that it gives them."""
    found = {}
    for block in blocks(page):
        if block.language == "python" and (match := NAMED.match(block.text)):
            found[match[1]] = block.text
    return found


def closed_up(text: str) -> str:
    """A text without its empty lines."""
    return re.sub(r"\n\n+", "\n", text)


# --- what can be read off -------------------------------------------------------------------------------------------


def test_the_page_has_code_and_commands_alone() -> None:
    assert {block.language for block in blocks(PAGE)} == {"python", "sh"}
    assert set(files(PAGE)) == {"spectrum.py", "basel.py"}


def test_the_experiment_that_is_shown_is_the_file_s() -> None:
    shown = [block.text for block in blocks(PAGE) if block.language == "python" and not NAMED.match(block.text)]
    assert len(shown) == 1
    assert closed_up(KNN.read_text(encoding="utf-8")).endswith(closed_up(shown[0]))


def test_what_developers_type_exists() -> None:
    """Set-up and the whole suite are not run by a test; what the page calls them is what they are called."""
    outside = FENCE.sub("", PAGE.read_text(encoding="utf-8"))
    typed = {word for line in re.findall(r"^    make ([a-z -]+)", outside, re.MULTILINE) for word in line.split()}
    assert typed == {"setup", "test", "test-oldest", "lint", "types"}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert typed | {"test-slow"} <= targets
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_where_things_go_is_there() -> None:
    named = set(PATH.findall(FENCE.sub("", PAGE.read_text(encoding="utf-8"))))
    assert len(named) > 20
    for name in named - {"conf/lambda/NAME.yaml", "conf/experiment/NAME.yaml", "hw6/NAME.py"}:
        assert (ROOT / name).exists() or (ROOT / "hw6" / name).exists(), name


# --- the page, typed ------------------------------------------------------------------------------------------------


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables of a shell in which ``python`` has hw6 and what it needs, and may be installed into."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False)
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "needs.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("HYDRA_", "PYTHON"))}
    return variables | {"PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"]]), "PIP_NO_INDEX": "1"}


@pytest.mark.slow
def test_every_block_runs_as_it_stands(tmp_path: Path, environment: dict[str, str]) -> None:
    fresh = tmp_path / "fresh"
    shutil.copytree(ROOT / "examples", fresh / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    folder = fresh / "outputs" / "mine"  # where set-up leads
    assert f"cd {folder.relative_to(fresh)}\n" in PAGE.read_text(encoding="utf-8")
    folder.mkdir(parents=True)
    ran = 0
    for block in blocks(PAGE):
        if block.language == "python" and (match := NAMED.match(block.text)):
            (folder / match[1]).write_text(block.text, encoding="utf-8")
        for line in block.text.splitlines() if block.language == "sh" else ():
            strict = {} if "pip install" in line else {"PYTHONWARNINGS": "error"}
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=folder,
                env=environment | strict,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            expected = int(match[1]) if (match := STATUS.search(line)) else 0
            assert done.returncode == expected, f"{line}\n{done.stdout}\n{done.stderr}"
            assert "Traceback" not in done.stderr, line
            ran += 1
    assert ran > 20
    for name, cells in ("first", 3_120), ("broken", 2), ("spectra", 6):
        assert len(hw6.load(folder / "outputs" / name)["cell_id"].unique()) == cells
    (swept,) = (folder / "outputs" / "lorenz").iterdir()
    frame = hw6.load(swept)
    assert (len(frame), set(frame["status"])) == (8, {"done"})


def test_the_second_door_s_files_are_experiments_of_one_cell(tmp_path: Path) -> None:
    for name, text in files(PAGE).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    spectrum: Any = load_file(f"{tmp_path / 'spectrum.py'}:spectrum")
    answer = spectrum(n=20, rank=2, strength=30.0)
    assert len(answer["eigenvalue"]) == 20
    assert (answer["eigenvalue"] > 20).sum() == 2, "the page calls them strong"
    basel: Any = load_file(f"{tmp_path / 'basel.py'}:EXPERIMENT")
    assert basel.keys["terms"].default == 10


# --- the README's ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_readme_s_experiment_and_its_command(tmp_path: Path, environment: dict[str, str]) -> None:
    ((name, text),) = files(README).items()
    (tmp_path / name).write_text(text, encoding="utf-8")
    (line,) = re.findall(rf"^    (python {name} .*?)\s+# ([\d,]+) cells$", README.read_text("utf-8"), re.MULTILINE)
    done = subprocess.run(
        ["bash", "-c", line[0]],
        cwd=tmp_path,
        env=environment | {"PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    frame = hw6.load(tmp_path / "outputs")
    assert f"{len(frame):,}" == line[1]
    spread = frame.groupby("n")["heads"].std()
    assert (spread / (0.5 / spread.index.to_numpy() ** 0.5)).between(0.8, 1.2).all()


# --- examples/knn.py, through every door that takes a file ----------------------------------------------------------


@pytest.fixture
def in_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    monkeypatch.chdir(tmp_path)
    knn = load_file(f"{KNN}:knn")
    return hw6.run_sweep(["k=1,5", "n_train=20", "seed=0:3"], experiment=knn)


def test_a_file_gives_the_same_rows_as_a_sweep_of_its_function(command: Command, in_process: pd.DataFrame) -> None:
    assert len(in_process) == 6
    swept = command.sweep(f"experiment={KNN}:knn", "k=1,5", "n_train=20", "seed=0:3")
    assert_same_rows(swept, in_process)


@pytest.mark.slow
def test_as_a_script_and_with_workers_too(process: Process, in_process: pd.DataFrame) -> None:
    words = ("-m", "k=1,5", "n_train=20", "seed=0:3")
    script = process._run([sys.executable, str(KNN), *words, "hydra.sweep.dir=script"])
    assert (script.status, script.err) == (0, "")
    workers = process(f"experiment={KNN}:knn", *words, "hydra.sweep.dir=workers", "workers=2")
    assert (workers.status, workers.err) == (0, "")
    for name in ("script", "workers"):
        assert_same_rows(hw6.load(process.folder / name), in_process)


def test_more_neighbours_smooth_noise_away(in_process: pd.DataFrame) -> None:
    means = in_process.groupby("k")["test_mse"].mean()
    assert means[5] < means[1]
