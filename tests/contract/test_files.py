"""Experiments in files of one's own: found, loaded, told apart, run everywhere; what is wrong with one in a line."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command, Process, Ran
from recipes import assert_same_rows

import hw6
from hw6.aggregate import load
from hw6.contract.files import Source, is_reference, source_of
from hw6.contract.files import load as load_file
from hw6.errors import BadInput, Hw6Error
from hw6.store import directory
from hw6.store.shards import shards_below
from hw6.words import quoted

WAVES = '''
"""Waves."""
import math
import hw6

@hw6.experiment(metrics={"y": "height"}, objective="y")
def waves(k: int = 5, seed: int = 0):
    """A wave of length k."""
    if k == 13:
        raise ValueError("unlucky")
    if k == 14:
        raise hw6.BadInput("k", k, "is out of the question")
    print("wave", k)
    return {"y": math.sin(k + seed)}

if __name__ == "__main__":
    hw6.main(waves)
'''


@pytest.fixture
def file(command: Command) -> Path:
    path = command.folder / "waves.py"
    path.write_text(WAVES)
    return path


def script(folder: Path, *arguments: str, file: str = "waves.py") -> Ran:
    """``python FILE ...`` as a user types it."""
    before = {path for path in folder.rglob("*") if path.is_file()}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HYDRA_")}
    done = subprocess.run(
        [sys.executable, file, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    after = {path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    files = sorted(path.relative_to(folder).as_posix() for path in after - before)
    return Ran(done.returncode, done.stdout, done.stderr, files, [])


def record(folder: Path) -> dict[str, object]:
    runs = json.loads((folder / directory.PROVENANCE).read_text())["runs"]
    found: dict[str, object] = runs[-1]
    return found


# --- finding and loading --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a.py:b", "a.py", "/x y/a.py:b", "~/a.py:b", "a.py:"])
def test_a_file_and_a_name_are_a_reference(text: str) -> None:
    assert is_reference(text)
    assert not is_reference(text.replace(".py", ".txt"))


def test_a_file_is_loaded_once_and_again_when_it_has_changed(file: Path) -> None:
    first = load_file(f"{file}:waves")
    assert load_file(f"{file}:waves") is first
    assert load_file(str(file)) is first, "the only one needs no name"
    file.write_text(WAVES.replace("sin", "cos"))
    second = load_file(f"{file}:waves")
    assert second is not first
    assert source_of(first) is not None
    assert source_of(second) == Source(str(file), "waves", source_of(second).digest)  # type: ignore[union-attr]


def test_what_has_changed_since_is_not_taken_for_what_it_was(file: Path) -> None:
    source = source_of(load_file(f"{file}:waves"))
    assert source is not None
    assert source.load().name == "waves"
    file.write_text(WAVES.replace("sin", "cos"))
    with pytest.raises(Hw6Error, match="has changed since the sweep began"):
        source.load()


def test_an_experiment_that_is_no_variable_of_a_file_has_no_source() -> None:
    @hw6.experiment(metrics={"y": "a number"})
    def local(k: int = 1) -> dict[str, float]:
        return {"y": 1.0}

    assert source_of(local) is None


def test_a_module_beside_a_file_is_found(command: Command) -> None:
    (command.folder / "beside_waves.py").write_text("def height(k):\n    return 3.0 * k\n")
    text = WAVES.replace("import math", "import math, beside_waves").replace(
        "math.sin(k + seed)", "beside_waves.height(k)"
    )
    (command.folder / "with_helper.py").write_text(text)
    assert command.sweep("experiment=with_helper.py:waves", "k=2")["y"].tolist() == [6.0]


def test_a_module_of_another_folder_is_not_taken_for_the_one_beside_a_file(command: Command) -> None:
    """The first of two helpers of one name would make the rows of both."""
    for name, factor in (("one", 3.0), ("two", 4.0)):
        folder = command.folder / name
        folder.mkdir()
        (folder / "of_one_name.py").write_text(f"def height(k):\n    return {factor} * k\n")
        text = WAVES.replace("import math", "from of_one_name import height").replace("math.sin(k + seed)", "height(k)")
        (folder / "waves.py").write_text(text)
    assert command.sweep("experiment=one/waves.py:waves", "k=2")["y"].tolist() == [6.0]
    ran = command("-m", "experiment=two/waves.py:waves", "k=2")
    assert (ran.status, ran.files) == (2, [])
    assert "it imports of_one_name, which is " in ran.lines[0]


def test_a_file_of_a_package_is_imported_as_its_module(command: Command) -> None:
    inner = command.folder / "wave_package" / "deep"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / "__init__.py").touch()
    (inner.parent / "core.py").write_text("def height(k):\n    return 4.0 * k\n")
    text = WAVES.replace("import math", "from ..core import height").replace("math.sin(k + seed)", "height(k)")
    (inner / "waves.py").write_text(text)
    assert command.sweep("experiment=wave_package/deep/waves.py:waves", "k=2")["y"].tolist() == [8.0]


@pytest.mark.parametrize(
    ("typed", "text", "told"),
    [
        ("wave.py:waves", "", "there is no file wave.py (did you mean waves.py?)"),
        ("waves.py:wave", "", "waves.py has no wave; it has waves.py:waves (did you mean waves?)"),
        ("odd.py:x", "x = 3", "x is a int, no experiment (write @hw6.experiment(metrics=...) above it)"),
        ("odd.py:x", "y = 3", "odd.py has no x, and no experiment at all (write @hw6.experiment(metrics=...) above"),
        ("odd.py", "y = 3", "odd.py has no experiment (write @hw6.experiment(metrics=...) above a function)"),
        ("odd.py", WAVES + "other = hw6.experiment(metrics={'y': ''}, name='o')(lambda k=1: {'y': k})", "lambda k=1"),
        ("odd.py:x", "1 / 0", "cannot be loaded: ZeroDivisionError: division by zero (odd.py, line 1)"),
        ("odd.py:x", "\n\nimport nowhere_at_all", "No module named 'nowhere_at_all' (odd.py, line 3)"),
        ("odd.py:x", "def (", "cannot be loaded: SyntaxError"),
        ("odd.py:x", "raise SystemExit(3)", "cannot be loaded: SystemExit: 3"),
        ("odd.py:waves", WAVES.replace('if __name__ == "__main__":\n    ', ""), "calls hw6.main when it is loaded"),
        ("odd.py:waves", WAVES.replace("int = 5", "int"), "experiment waves: parameter k has no default"),
        ("odd.py:waves", WAVES.replace("def waves", "def noop").replace("(waves)", "(noop)") + "\nwaves = noop",
         "hw6 has an experiment of that name (give yours another one)"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_good_is_one_line_and_nothing_is_written(
    command: Command, file: Path, typed: str, text: str, told: str
) -> None:
    if told == "lambda k=1":
        text, told = WAVES + WAVES.replace("waves(", "other("), "odd.py has 2 experiments: say which, as FILE.py:NAME"
    if text:
        (command.folder / "odd.py").write_text(text)
    for flags in ((), ("-m",)):
        ran = command(*flags, f"experiment={typed}")
        assert (ran.status, ran.files) == (2, []), ran.err
        (line,) = ran.lines
        assert told in line
        assert "Traceback" not in ran.err


def test_two_experiments_of_one_name_are_not_mixed_in_one_command(command: Command, file: Path) -> None:
    (command.folder / "other").mkdir()
    (command.folder / "other" / "waves.py").write_text(WAVES.replace("sin", "cos"))
    ran = command("-m", "experiment=waves.py:waves,other/waves.py:waves")
    assert (ran.status, ran.files) == (2, [])
    assert ran.lines[0].startswith("experiment=waves: two experiments have this name")


def test_two_experiments_of_one_name_are_not_mixed_in_one_folder(command: Command, file: Path) -> None:
    (command.folder / "other").mkdir()
    other = command.folder / "other" / "waves.py"
    other.write_text(WAVES)
    assert len(command.sweep("experiment=waves.py:waves", "k=1:3", into="s")) == 2
    assert len(command.sweep("experiment=other/waves.py:waves", "k=1:4", into="s")) == 3, "a copy is the same code"
    other.write_text(WAVES.replace("sin", "cos"))
    ran = command("-m", "experiment=other/waves.py:waves", "k=1:5", "hydra.sweep.dir=s")
    assert ran.status == 2
    assert "the code of waves" in ran.lines[0]
    ran = command("-m", "experiment=waves.py:waves", "k=1:5", "hydra.sweep.dir=s")
    assert ran.status == 0


# --- the same everywhere --------------------------------------------------------------------------------------------


def test_a_file_beside_an_experiment_of_ours(command: Command, file: Path) -> None:
    frame = command.sweep("experiment=waves.py:waves,noop", "seed=1,2", into="s")
    assert sorted(frame["experiment"]) == ["noop", "noop", "waves", "waves"]
    assert "outputs/waves-noop/" in command("-m", "experiment=waves.py:waves,noop", "seed=1,2").out
    assert record(command.folder / "s")["expanded"][1] == f"experiment={file}:waves,noop"  # type: ignore[index]


def test_what_is_recorded_says_the_file(command: Command, file: Path) -> None:
    command.sweep("experiment=waves.py:waves", "k=1:3", into="s")
    found = record(command.folder / "s")
    assert found["sources"] == {"waves": f"{file}:waves"}
    assert found["typed"][1] == "experiment=waves.py:waves"  # type: ignore[index]
    assert f"experiment={file}:waves" in found["expanded"]  # type: ignore[operator]


@pytest.mark.slow
def test_every_way_to_run_it_gives_the_same_rows(process: Process) -> None:
    folder = process.folder
    (folder / "waves.py").write_text(WAVES)
    own = script(folder, "-m", "k=1:9", "seed=0,1", "hydra.sweep.dir=script")
    assert own.status == 0, own.err
    wanted = load(folder / "script")
    assert wanted["experiment"].unique().tolist() == ["waves"]
    words = ("-m", "experiment=waves.py:waves", "k=1:9", "seed=0,1")
    for name, more in {
        "module": (),
        "workers": ("workers=2",),
        "basic": ("hydra/sweeper=basic",),
        "joblib": ("engine=joblib",),
        "basic_joblib": ("hydra/sweeper=basic", "engine=joblib"),
    }.items():
        ran = process(*words, *more, f"hydra.sweep.dir={name}")
        assert ran.status == 0, ran.err
        assert_same_rows(load(folder / name), wanted)
    assert script(folder, "-m", "k=1:9", "seed=0,1", "workers=2", "hydra.sweep.dir=sw").status == 0
    assert_same_rows(load(folder / "sw"), wanted)


def test_a_sweep_from_python_takes_the_experiment_itself(
    command: Command, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(command.folder)
    waves = load_file("waves.py:waves")
    frame = hw6.run_sweep(["k=1:4"], experiment=waves, directory="s")
    assert frame["k"].tolist() == [1, 2, 3]
    assert len(hw6.run_sweep(["k=1:6"], experiment=waves, directory="s")) == 5, "resumed"
    with pytest.raises(BadInput, match="this command runs waves alone"):
        hw6.run_sweep(["experiment=noop"], experiment=waves)
    with pytest.raises(BadInput, match=r"there is waves\.py \(experiment=waves\.py:waves\)"):
        hw6.run_sweep(["experiment=waves"])


def test_a_notebooks_function_is_swept_in_this_process_and_is_forgotten(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(command.folder)

    @hw6.experiment(metrics={"y": "a number"})
    def local(k: int = 1) -> dict[str, float]:
        return {"y": 2.0 * k}

    assert hw6.run_sweep(["k=1,2"], experiment=local)["y"].tolist() == [2.0, 4.0]
    with pytest.raises(BadInput, match="registered in this process alone"):
        hw6.run_sweep(["k=1,2", "workers=2"], experiment=local)
    with pytest.raises(BadInput, match="experiment=local: must be one of"):
        hw6.run_sweep(["experiment=local"])


# --- refusals and failures ------------------------------------------------------------------------------------------


def test_a_refusal_raised_inside_writes_nothing_in_a_single_run(command: Command, file: Path) -> None:
    ran = command("experiment=waves.py:waves", "k=14")
    assert (ran.status, ran.files, ran.folders) == (2, [], [])
    assert ran.err.splitlines() == ["hw6: k=14: is out of the question"]


def test_a_refusal_leaves_what_was_there_before(command: Command, file: Path) -> None:
    (command.folder / "there").mkdir()
    (command.folder / "there" / "mine.txt").write_text("mine")
    ran = command("experiment=waves.py:waves", "k=14", "hydra.run.dir=there")
    assert (ran.status, ran.files) == (2, [])
    assert [path.name for path in (command.folder / "there").iterdir()] == ["mine.txt"]


def test_a_refusal_raised_inside_is_a_failed_row_of_a_sweep(command: Command, file: Path) -> None:
    for more in ((), ("hydra/sweeper=basic",)):
        folder = f"s{len(more)}"
        ran = command("-m", "experiment=waves.py:waves", "k=12,14,15", f"hydra.sweep.dir={folder}", *more)
        assert ran.status == 1
        frame = load(command.folder / folder).sort_values("k")
        assert frame["status"].tolist() == ["done", "failed", "done"]
        assert frame["error_message"].tolist()[1] == "k=14: is out of the question"


def test_a_refusal_beforehand_runs_nothing(command: Command) -> None:
    text = WAVES.replace('objective="y"', 'refuse=lambda k: hw6.BadInput("k", k, "is too much") if k > 9 else None')
    (command.folder / "waves.py").write_text(text)
    ran = command("-m", "experiment=waves.py:waves", "k=8:12")
    assert (ran.status, ran.files) == (2, [])
    assert ran.lines == ["k=10: is too much", "k=11: is too much"]


def test_a_dry_run_of_a_file_writes_nothing(command: Command, file: Path) -> None:
    ran = command("-m", "experiment=waves.py:waves", "k=0:12", "dry_run=true")
    assert (ran.status, ran.files) == (0, [])
    assert "12 (0 done, 12 to run)" in ran.out
    assert "wave" not in ran.out + ran.err


# --- a script -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_script_has_what_the_command_has(process: Process) -> None:
    folder = process.folder
    (folder / "waves.py").write_text(WAVES)
    helped = script(folder, "--help")
    assert helped.status == 0
    assert all(text in helped.out for text in ("python waves.py -m", "k=5", "seed=0", "A wave of length k.", "height"))
    assert "double_descent" not in helped.out
    failed = script(folder, "-m", "k=12:15", "hydra.sweep.dir=s")
    assert failed.status == 1
    assert "(for example: python waves.py k=13)" in failed.err
    assert "Traceback" not in failed.err
    again = script(folder, "resume=s")
    assert again.status == 1
    assert "2 cells in" in again.out
    assert "1 were done before" in again.out


def test_a_mistake_in_a_script_is_one_line_and_status_2(process: Process) -> None:
    (process.folder / "waves.py").write_text(WAVES.replace("k: int = 5", "k"))
    ran = script(process.folder, "k=3")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == "hw6: experiment waves: parameter k has no type: write k: int = 0\n"


def test_main_takes_an_experiment_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        hw6.main(len)  # type: ignore[arg-type]
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("hw6: hw6.main=len: is no experiment (write @hw6.experiment(metrics=")


# --- going on -------------------------------------------------------------------------------------------------------


def test_a_record_imports_no_file(command: Command, file: Path) -> None:
    command.sweep("experiment=waves.py:waves", "k=1:3", into="s")
    file.write_text("raise SystemExit('this must not run')")
    ran = command("resume=s")
    assert ran.status == 2
    (line,) = ran.lines
    assert f"type experiment={file}:waves beside it, or python {file} resume=s" in line
    assert "this must not run" not in ran.err
    file.write_text(WAVES)
    assert "0 cells" in command("resume=s", "experiment=waves.py:waves").out
    assert "3 cells" in command("resume=s", "experiment=waves.py:waves", "k=1:6").out


@pytest.mark.slow
def test_a_command_without_a_guard_is_no_place_to_load_from(command: Command) -> None:
    """Loading it would run it: with workers that is said before anything starts."""
    (command.folder / "open.py").write_text(WAVES.replace('if __name__ == "__main__":\n    ', ""))
    ran = script(command.folder, "-m", "k=1:4", "workers=2", file="open.py")
    assert (ran.status, ran.files) == (2, [])
    assert 'put it into a file that runs hw6 below if __name__ == "__main__": alone' in ran.err
    assert script(command.folder, "-m", "k=1:4", file="open.py").status == 0


@pytest.mark.slow
def test_a_link_to_a_file_has_its_modules_beside_the_file(command: Command) -> None:
    for name, factor in (("real", 3.0), ("linked", 4.0)):
        (command.folder / name).mkdir()
        (command.folder / name / "beside_a_link.py").write_text(f"def height(k):\n    return {factor} * k\n")
    text = WAVES.replace("import math", "import beside_a_link").replace("math.sin(k + seed)", "beside_a_link.height(k)")
    (command.folder / "real" / "waves.py").write_text(text)
    (command.folder / "linked" / "waves.py").symlink_to(command.folder / "real" / "waves.py")
    for more in ((), ("workers=2",)):
        folder = f"s{len(more)}"
        ran = script(command.folder, "-m", "k=2,3", f"hydra.sweep.dir={folder}", *more, file="linked/waves.py")
        assert ran.status == 0, ran.err
        assert load(command.folder / folder)["y"].tolist() == [6.0, 9.0]


@pytest.mark.parametrize("name", ["json", "queue", "numpy", "hydra"])
@pytest.mark.slow
def test_a_file_called_as_a_module_is_called_hides_nothing(process: Process, name: str) -> None:
    (process.folder / "d").mkdir()
    (process.folder / "d" / f"{name}.py").write_text(WAVES)
    ran = process("-m", f"experiment=d/{name}.py:waves", "k=1:4", "hydra.sweep.dir=s")
    assert ran.status == 0, ran.err
    (process.folder / "d" / "other.py").write_text(WAVES.replace("import math", f"import math, {name}"))
    ran = process("-m", "experiment=d/other.py:waves", "k=1:4")
    assert ran.status == 2
    assert f"it imports {name}, which is" in ran.lines[0]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("waves", "there is waves.py (experiment=waves.py:waves)"),
        ("waves:other", "there is waves.py (experiment=waves.py:other)"),
        ("waves.py::waves", "must be FILE.py:NAME (such as experiment=knn.py:knn)"),
        ("waves.PY:waves", "must be FILE.py:NAME (such as experiment=knn.py:knn)"),
    ],
)
def test_what_is_nearly_a_file_is_told_how_to_write_it(command: Command, file: Path, typed: str, told: str) -> None:
    ran = command("-m", f"experiment={typed}")
    assert (ran.status, ran.files) == (2, [])
    assert told in ran.lines[0]


def test_a_file_of_an_awkward_name_is_found_recorded_and_resumed(command: Command) -> None:
    folder = command.folder / 'it\'s a, "b" \\folder'
    folder.mkdir()
    (folder / "a=b.py").write_text(WAVES)

    typed = f"experiment={quoted(str(folder / 'a=b.py') + ':waves')}"
    assert command("-m", typed, "k=1:4", "hydra.sweep.dir=s").status == 0
    ran = command("resume=s")
    assert ran.status == 2

    words = shlex.split(ran.lines[0].partition("(type ")[2].partition(" beside it")[0])
    assert "0 cells" in command("resume=s", *words).out


@pytest.mark.slow
def test_code_that_changes_while_a_sweep_runs_makes_no_row_of_it(process: Process) -> None:
    """A worker that dies is replaced by one that would load what the file says by then."""
    (process.folder / "edited_helper.py").write_text("FACTOR = 1.0\n")
    text = WAVES.replace("import math", "import os, pathlib, edited_helper").replace(
        'print("wave", k)',
        "pathlib.Path(edited_helper.__file__).write_text('FACTOR = 2.0  # edited\\n') if k == 5 else None\n"
        "    os._exit(3) if k == 5 else None",
    )
    (process.folder / "waves.py").write_text(text.replace("math.sin(k + seed)", "edited_helper.FACTOR"))
    ran = process("-m", "experiment=waves.py:waves", "k=1:9", "workers=2", "hydra.sweep.dir=s")
    assert ran.status == 1
    assert "has changed since" in ran.err
    assert "Traceback" not in ran.err
    if list(shards_below(process.folder / "s")):  # the other worker may have come too late as well
        assert set(load(process.folder / "s")["y"].dropna()) <= {1.0}


def test_a_refusal_takes_back_its_own_files_alone(command: Command, file: Path) -> None:
    """Whatever else was written into the directory meanwhile, by the cell or by anybody, stays."""
    text = WAVES.replace(
        "        raise hw6.BadInput", "        open('there/mine.txt', 'w').close()\n        raise hw6.BadInput"
    )
    (command.folder / "writes.py").write_text(text)
    assert command("experiment=writes.py:waves", "k=1", "hydra.run.dir=there").status == 0
    before = {path.name: path.read_bytes() for path in (command.folder / "there").rglob("*") if path.is_file()}
    assert "k=1" in before["overrides.yaml"].decode()
    ran = command("experiment=writes.py:waves", "k=14", "hydra.run.dir=there")
    assert (ran.status, ran.files) == (2, ["there/mine.txt"])
    after = {path.name: path.read_bytes() for path in (command.folder / "there").rglob("*") if path.is_file()}
    assert after == before | {"mine.txt": b""}
