"""What comes from outside is somebody else's news: a broken package, another application, overrides of Hydra's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command, Process, Ran
from recipes import install_package

from hw6.aggregate import load

BROKEN = {
    "raises": "raise RuntimeError('half installed\\nand more')",
    "does not parse": "def (",
    "needs what is not there": "import a_package_that_nobody_has",
    "wants to end": "import sys; sys.exit(3)",
    "has no such name": "",
    "announces another thing": "EXPERIMENT = 3",
    "makes a wrong experiment": (
        "from hw6 import Experiment, Integer\n"
        "EXPERIMENT = Experiment('broken', 0, {'n': Integer(help='a number', default=1)}, {}, lambda cells: {})"
    ),
}


@pytest.fixture(params=list(BROKEN))
def broken(request: pytest.FixtureRequest, tmp_path: Path, process: Process) -> str:
    """An installed package whose module is no good."""
    folder = tmp_path / "site"
    install_package(folder, "broken", "a_broken_module:EXPERIMENT")
    (folder / "a_broken_module.py").write_text(BROKEN[request.param] + "\n", encoding="utf-8")
    process.environment["PYTHONPATH"] = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return str(request.param)


def told(ran: Ran) -> list[str]:
    return [line for line in ran.lines if "cannot be loaded" in line]


@pytest.mark.slow
def test_a_broken_package_is_told_in_a_line_and_breaks_nothing_else(process: Process, broken: str) -> None:
    shown = process("--help")
    assert shown.status == 0, shown.err
    assert "p: 100" in shown.out
    (line,) = told(shown)
    assert line.startswith("experiment broken of broken cannot be loaded (")
    ran = process("experiment=noop", "p=3")
    assert (ran.status, ran.err) == (0, ""), "an experiment of ours does not even look at it"


@pytest.mark.slow
def test_what_a_broken_package_announces_is_no_choice(process: Process, broken: str) -> None:
    ran = process("experiment=broken")
    assert ran.status == 2
    assert len(told(ran)) == 1
    assert ran.lines[-1].startswith("experiment=broken: must be one of ")
    assert "broken" not in ran.lines[-1].partition("must be one of ")[2].partition("(")[0].replace("broken_", "")
    assert ran.files == []


@pytest.mark.slow
def test_completion_goes_on_beside_a_broken_package(process: Process, broken: str) -> None:
    process.environment |= {"COMP_LINE": "hw6 run experiment=no", "COMP_POINT": "21"}
    ran = process("-sc", "query=bash", module="hw6")
    assert ran.status == 0
    assert ran.out.split() == ["experiment=noop"]


APPLICATION = """
import hydra
from omegaconf import DictConfig

@hydra.main(version_base=None, config_path=None)
def app(config: DictConfig) -> None:
    print("ran", config.get("x"))

if __name__ == "__main__":
    app()
"""


@pytest.mark.slow
def test_hw6s_sweeper_in_another_application_ends_in_a_clear_line(process: Process) -> None:
    (process.folder / "app.py").write_text(APPLICATION, encoding="utf-8")
    words = [sys.executable, "app.py", "-m", "hydra/sweeper=hw6", "+x=1,2"]
    ran = subprocess.run(words, cwd=process.folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert ran.stderr.splitlines()[0].startswith("hydra/sweeper=hw6 runs hw6's own experiments")
    assert "ran" not in ran.stdout
    plain = subprocess.run([*words[:3], "+x=1,2"], cwd=process.folder, capture_output=True, text=True, check=False)
    assert "ran 1" in plain.stdout, "and nothing else in it is changed"


@pytest.mark.parametrize("text", ["hydra.sweep.subdir=${hydra.job.num}", "hydra.sweep.subdir='${hydra.job.num}'"])
def test_what_only_a_job_can_resolve_may_be_typed(command: Command, text: str) -> None:
    ran = command("-m", "experiment=noop", "p=3:6", text, "hydra.sweep.dir=s")
    assert ran.status == 0, ran.err
    assert load(command.folder / "s")["p"].tolist() == [3, 4, 5]
    assert "0/rows-" in " ".join(ran.files)


def test_an_override_of_hydras_that_means_nothing_is_one_line(command: Command) -> None:
    ran = command("-m", "experiment=noop", "p=3:6", "hydra.sweep.nonsense=1")
    assert ran.status == 2
    assert len(ran.lines) == 1
    assert ran.files == []
