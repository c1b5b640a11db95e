"""The wheel carries its configs and works in an environment of its own, outside the checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True)
    (path,) = folder.glob("hw6-*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; the packages it needs come from this one, but not this checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    packages = next(folder.glob("lib/python*/site-packages"))
    # A path in a .pth file is searched, but the .pth files there (the editable install of hw6) are not read.
    (packages / "needs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True)
    return folder


def run(environment: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = str(environment / "bin" / arguments[0])
    return subprocess.run([program, *arguments[1:]], cwd=folder, capture_output=True, text=True, check=False)


def test_it_carries_every_config_and_nothing_of_the_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for group in ("conf", "sweeps"):
        for path in (ROOT / group).rglob("*.yaml"):
            assert f"hw6/{path.relative_to(ROOT)}" in names
    assert {"hydra_plugins/hw6/sweeper.py", "hw6/py.typed"} <= names
    assert "hydra_plugins/__init__.py" not in names
    assert not [name for name in names if name.startswith(("tests", "conf", "benchmarks"))]


def test_a_sweep_its_table_and_its_figure(environment: Path, tmp_path: Path) -> None:
    small = ["data.n_train=30", "data.n_validation=10", "data.n_test=8"]
    where = run(environment, tmp_path, "python", "-c", "import hw6; print(hw6.__file__)")
    assert where.stdout.startswith(str(environment))
    swept = run(environment, tmp_path, "python", "-m", "hw6.run", "-m", "p=5:10", "lambda=0.1,tuned", *small)
    assert swept.returncode == 0, swept.stderr
    named = run(environment, tmp_path, "hw6", "run", "-cn", "double_descent", "p=5,40", "seed=0:2", *small)
    assert named.returncode == 0, named.stderr
    table = run(environment, tmp_path, "python", "-m", "hw6.aggregate", "outputs")
    assert table.returncode == 0, table.stderr
    assert "17 cells, 18 rows" in table.stdout  # one cell is in both sweeps
    drawn = run(environment, tmp_path, "hw6", "plot", "outputs", "--formats", "png")
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "outputs" / "double_descent.png").stat().st_size > 10_000


def test_an_editable_install_leaves_no_copy_behind() -> None:
    packages = Path(sysconfig.get_path("purelib"))
    assert not (packages / "hw6").exists()
