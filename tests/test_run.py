"""The command and ``run_sweep``: one cell, a sweep, going on, showing, and leaving others alone."""

from __future__ import annotations

import gc
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from commands import Command, Process
from recipes import RAISES, SMALL, assert_same_rows

import hw6
from hw6 import run_sweep
from hw6.aggregate import load
from hw6.errors import BadInput, BadInputs, FailedCells

NOOP = "experiment=noop"


# --- one cell -------------------------------------------------------------------------------------------------------


def test_a_single_run_prints_its_row_and_leaves_it_where_aggregate_finds_it(command: Command) -> None:
    ran = command(*SMALL, "p=3", "seed=2", "lambda=0.5")
    assert ran.status == 0
    assert ran.err == ""
    folders = [name for name in ran.folders if re.fullmatch(r"outputs/double_descent/[^/]+", name)]
    assert len(folders) == 1
    frame = load(command.folder / folders[0])
    assert (frame["p"].tolist(), frame["seed"].tolist(), frame["lambda.value"].tolist()) == ([3], [2], [0.5])
    printed = dict(line.split(maxsplit=1) for line in ran.out.splitlines() if not line.startswith(("1 cell", "next")))
    assert printed["cell_id"] == frame["cell_id"][0]
    assert printed["status"] == "done"
    assert float(printed["test_mse"]) == pytest.approx(frame["test_mse"][0], rel=1e-5)
    assert "error_type" not in printed
    assert f"1 cell: {folders[0]}" in ran.out
    (following,) = [line for line in ran.out.splitlines() if line.startswith("next: ")]
    words = shlex.split(following.removeprefix("next: "))
    assert words[:3] == ["python", "-m", "hw6.aggregate"]
    assert command(*words[3:], module="hw6.aggregate").status == 0


def test_rows_of_a_path_are_told_side_by_side(command: Command) -> None:
    ran = command(*SMALL, "p=3", "lambda=path", "lambda.num=9")
    (line,) = [line for line in ran.out.splitlines() if line.startswith("chosen_lambda ")]
    assert line.endswith("... 9 rows")


@pytest.mark.usefixtures("third_party")
def test_a_failed_cell_is_a_row_and_an_exit_status(command: Command) -> None:
    ran = command("experiment=third_party", f"n={RAISES}", "hydra.run.dir=here")
    assert ran.status == 1
    assert ran.lines == ["the cell failed: OddNumberOut: n is 13"]
    assert "Traceback" not in ran.err
    frame = load(command.folder / "here")
    assert frame["status"].tolist() == ["failed"]
    assert frame["error_message"].tolist() == ["n is 13"]


# --- sweeps ---------------------------------------------------------------------------------------------------------


def test_a_sweep_says_what_it_did_and_what_is_next(command: Command) -> None:
    ran = command("-m", NOOP, "p=5:200")
    assert ran.status == 0
    assert ran.err == ""
    assert ran.out.startswith("195 cells in ")
    first, second = ran.out.splitlines()
    folder = first.rpartition(": ")[2]
    assert second == f"next: python -m hw6.aggregate {folder}; python -m hw6.plot {folder}"
    assert sorted(load(command.folder / folder)["p"]) == list(range(5, 200))
    jobs = [name for name in ran.folders if re.fullmatch(r".*/\d+", name)]
    assert len(jobs) == 1, "files grow with the chunks, never with the cells"
    assert len(ran.files) <= 10


def test_flags_may_stand_behind_overrides(command: Command) -> None:
    assert command(NOOP, "p=3", "-m", "seed=0:5").out.startswith("5 cells")


def test_going_on_runs_what_is_missing(command: Command) -> None:
    assert command("-m", NOOP, "p=5:10", "hydra.sweep.dir=s").out.startswith("5 cells")
    wider = command("-m", NOOP, "p=5:15", "hydra.sweep.dir=s")
    assert wider.out.startswith("5 cells")
    assert "5 were done before" in wider.out
    nothing = command("-m", NOOP, "p=5:15", "hydra.sweep.dir=s")
    assert nothing.out.startswith("0 cells")
    assert "10 were done before" in nothing.out
    assert not [name for name in nothing.files if name.endswith(".parquet")]
    assert sorted(load(command.folder / "s")["p"]) == list(range(5, 15))


def test_two_sweeps_in_one_second_have_two_directories(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = "hydra.job.name=${now:%Y}"  # both get one default directory, whatever the clock says
    first, second = (command("-m", NOOP, "p=1,2", fixed) for _ in range(2))
    assert first.status == second.status == 0
    folders = {ran.out.splitlines()[0].rpartition(": ")[2] for ran in (first, second)}
    assert len(folders) == 2
    assert [len(load(command.folder / folder)) for folder in folders] == [2, 2]


def test_default_directories_do_not_meet(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still: three sweeps want one directory."""
    import hydra.core.utils as hydra_utils

    class Frozen(hydra_utils.datetime):  # type: ignore[name-defined,misc]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(hydra_utils, "datetime", Frozen, raising=False)
    told = [command("-m", NOOP, f"p={p}").out.splitlines()[0].rpartition(": ")[2] for p in (1, 2, 3)]
    assert len(set(told)) == 3
    assert [load(command.folder / folder)["p"].tolist() for folder in told] == [[1], [2], [3]]


@pytest.mark.usefixtures("third_party")
def test_failures_of_a_sweep_are_listed_by_cause(command: Command) -> None:
    ran = command("-m", "experiment=third_party", "n=12:17", "flag=false,true", "hydra.sweep.dir=s")
    assert ran.status == 1
    assert len(ran.lines) == 3
    assert sorted(line.partition(" (for example")[0] for line in ran.lines) == [
        "2 failed: NonFiniteResult: total is inf",
        "2 failed: NonFiniteResult: total is nan",
        "2 failed: OddNumberOut: n is 13",
    ]
    example = next(line for line in ran.lines if "OddNumberOut" in line).partition("python -m hw6.run ")[2][:-1]
    again = command(*shlex.split(example))
    assert again.status == 1
    assert again.lines == ["the cell failed: OddNumberOut: n is 13"]
    frame = load(command.folder / "s")
    assert len(frame) == 10
    assert (frame["status"] == "failed").sum() == 6
    done_again = command("-m", "experiment=third_party", "n=12:17", "flag=false,true", "hydra.sweep.dir=s")
    assert done_again.out.startswith("6 cells"), "only those that failed are tried again"


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize("override", ["sizes=[2,3],null", "kind=plain,fancy", "flag=true,false"])
def test_the_example_of_a_failure_can_be_pasted_back(command: Command, override: str) -> None:
    ran = command("-m", "experiment=third_party", f"n={RAISES}", override)
    assert ran.status == 1
    example = ran.lines[0].partition("python -m hw6.run ")[2][:-1]
    again = command(*shlex.split(example), "hydra.run.dir=again")
    assert again.lines == ["the cell failed: OddNumberOut: n is 13"], again.err
    first = load(command.folder / ran.out.splitlines()[0].rpartition(": ")[2])
    assert load(command.folder / "again")["cell_id"][0] in set(first["cell_id"])


def test_a_named_sweep_needs_no_flag(command: Command) -> None:
    ran = command("-cn", "double_descent", *SMALL, "p=3,4", "seed=0", "hydra.sweep.dir=s")
    assert ran.status == 0, ran.err
    frame = load(command.folder / "s")
    assert sorted(zip(frame["p"], frame["lambda.kind"], strict=True)) == [
        (3, "fixed"),
        (3, "tuned"),
        (4, "fixed"),
        (4, "tuned"),
    ]


def test_a_named_sweep_may_run_as_one_cell(command: Command) -> None:
    ran = command("-cn", "double_descent", "-r", *SMALL, "p=3", "hydra.run.dir=one")
    assert ran.status == 0, ran.err
    assert len(load(command.folder / "one")) == 1


def test_every_named_sweep_is_planned(command: Command) -> None:
    from hw6.command import folders

    assert {"double_descent", "starter"} <= set(folders.sweep_names())
    for name in folders.sweep_names():
        ran = command("-cn", name, "--cfg", "job")
        assert ran.status == 0, ran.err
        assert "experiment:" in ran.out


# --- places ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["run", "sweep"])
def test_an_absolute_path_with_everything_in_it(command: Command, awkward_path: Path, way: str) -> None:
    quoted = "'" + str(awkward_path / "s").replace("\\", "\\\\").replace("'", "\\'") + "'"
    flags = ["-m", "p=3,4"] if way == "sweep" else ["p=3"]
    ran = command(*flags, NOOP, f"hydra.{way}.dir={quoted}")
    assert ran.status == 0, ran.err
    assert len(load(awkward_path / "s")) == len(flags)
    following = shlex.split(ran.out.splitlines()[-1].removeprefix("next: ").partition(";")[0])
    assert Path(following[3]) == awkward_path / "s", "what is next can be pasted into a shell"
    assert command(*following[3:], module="hw6.aggregate").status == 0


def test_a_working_directory_with_everything_in_its_name(awkward_path: Path) -> None:
    command = Command(awkward_path)
    ran = command("-m", NOOP, "p=3,4")
    assert ran.status == 0, ran.err
    assert len(load(awkward_path / "outputs")) == 2
    assert command("outputs", module="hw6.aggregate").status == 0
    resumed = command("-m", NOOP, "p=3:6", "hydra.sweep.dir=" + next(iter(ran.folders)).partition("/")[0] + "/again")
    assert resumed.status == 0, resumed.err


@pytest.mark.slow
def test_workers_under_a_path_with_everything_in_it(command: Command, awkward_path: Path) -> None:
    frame = run_sweep([*SMALL, "p=3:9", "workers=2"], directory=awkward_path / "s")
    assert_same_rows(frame, command.sweep(*SMALL, "p=3:9"))


def test_another_directory_is_only_a_directory(command: Command) -> None:
    (command.folder / "deep" / "er").mkdir(parents=True)
    inner = Command(command.folder / "deep" / "er")
    assert inner("-m", NOOP, "p=3,4", "hydra.sweep.dir=../up").status == 0
    assert len(load(command.folder / "deep" / "up")) == 2


# --- from Python ----------------------------------------------------------------------------------------------------


def test_run_sweep_returns_the_frame(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = run_sweep([*SMALL, "p=3:6", "lambda=tuned"])
    assert capsys.readouterr() == ("", ""), "a notebook cell is not filled with text"
    assert frame["p"].tolist() == [3, 4, 5]
    assert_same_rows(frame, command.sweep(*SMALL, "p=3:6", "lambda=tuned"))


def test_run_sweep_goes_on_in_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(run_sweep([NOOP, "p=5:10"], directory="s")) == 5
    frame = run_sweep([NOOP, "p=5:15"], directory=tmp_path / "s")
    assert sorted(frame["p"]) == list(range(5, 15))
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_run_sweep_takes_flags_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = run_sweep(["-cn", "double_descent", *SMALL, "p=3", "seed=0"], directory="s")
    assert sorted(frame["lambda.kind"]) == ["fixed", "tuned"]


@pytest.mark.usefixtures("third_party")
def test_run_sweep_raises_what_the_command_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="p=0"):
        run_sweep([NOOP, "p=0"])
    with pytest.raises(BadInputs, match="seed=-1"):
        run_sweep([NOOP, "p=0", "seed=-1"])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FailedCells, match="n is 13"):
        run_sweep(["experiment=third_party", "n=12:14"], directory="s")
    assert load(tmp_path / "s")["status"].tolist() == ["done", "failed"]


def test_a_notebooks_own_hydra_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hydra
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "mine.yaml").write_text("x: 3\n")
    monkeypatch.chdir(tmp_path)
    with hydra.initialize_config_dir(version_base=None, config_dir=str(tmp_path / "conf")):
        HydraConfig.instance().cfg = None
        before = GlobalHydra.instance().hydra
        assert hydra.compose("mine").x == 3
        run_sweep([NOOP, "p=3,4"], directory="s")
        assert GlobalHydra.instance().hydra is before
        assert HydraConfig.instance().cfg is None
        with pytest.raises(BadInput):
            run_sweep([NOOP, "p=0"])
        assert hydra.compose("mine", ["x=4"]).x == 4
    assert not GlobalHydra.instance().is_initialized()


def test_process_wide_state_is_given_back(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:

    argv, cwd, environment = sys.argv[:], os.getcwd(), dict(os.environ)
    for arguments in (["-m", NOOP, "p=3,4"], [NOOP, "p=3"], ["p=0"], ["--cfg", "job"], ["-m", "lambda=banana"]):
        command(*arguments)
        assert (sys.argv, os.getcwd(), dict(os.environ)) == (argv, cwd, environment)


# --- showing --------------------------------------------------------------------------------------------------------


def test_a_config_is_shown_without_being_run(command: Command) -> None:
    from omegaconf import OmegaConf

    ran = command("--cfg", "job", "p=7", "lambda=0.5")
    assert ran.status == 0
    assert (ran.files, ran.folders) == ([], [])
    config = OmegaConf.create(ran.out)
    assert config.p == 7
    assert config["lambda"] == {"kind": "fixed", "value": 0.5}


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "p=1:5", "--cfg", "job"],
        ["--cfg", "job", "-cn", "double_descent"],
        ["--cfg", "hydra"],
        ["--cfg", "all", "p=3"],
        ["--cfg", "job", "--resolve"],
        ["--info", "searchpath"],
        ["--info", "defaults", "p=3"],
        ["--info"],
        ["--version"],
        ["--hydra-help"],
    ],
)
def test_what_shows_something_runs_nothing(command: Command, arguments: list[str]) -> None:
    ran = command(*arguments)
    assert ran.status == 0, ran.err
    assert ran.out
    assert (ran.files, ran.folders) == ([], [])


@pytest.mark.slow
def test_help_tells_choices_keys_and_commands(command: Command) -> None:
    ran = command("--help")
    assert ran.status == 0
    assert (ran.files, ran.folders) == ([], [])
    out = ran.out
    assert "== Choices" in out
    assert "== Keys" in out
    choices = out.partition("== Choices")[2].partition("== Keys")[0]
    for group, names in {
        "lambda": ["fixed", "path", "ridgeless", "tuned"],
        "experiment": ["double_descent", "noop"],
        "data": ["gaussian", "starter"],
        "features": ["relu"],
    }.items():
        (line,) = [line for line in choices.splitlines() if line.startswith(f"{group}:")]
        assert all(name in line for name in names)
    assert not [line for line in choices.splitlines() if line.startswith("hydra/")]
    keys = out.partition("== Keys")[2]
    for key in ("p: 100", "seed: 0", "n_train: 300", "objective: auto", "workers: auto"):
        assert key in keys
    for module in ("hw6.run", "hw6.aggregate", "hw6.plot"):
        assert f"python -m {module}" in out
    assert "HYDRA_FULL_ERROR" in out


@pytest.mark.parametrize("arguments", [["--cfg", "job", "lambda=banana"], ["--help", "experiment=nope"]])
def test_mistakes_are_lines_where_something_is_shown_too(command: Command, arguments: list[str]) -> None:
    ran = command(*arguments)
    assert ran.status == 2
    assert len(ran.lines) == 1
    assert "Traceback" not in ran.err


# --- neighbours -----------------------------------------------------------------------------------------------------

OTHER = """
import sys
import hydra
@hydra.main(version_base="1.3", config_path=None)
def main(config):
    print("other", config)
if __name__ == "__main__":
    main()
"""


def test_another_hydra_application_does_not_see_our_configs(process: Process) -> None:
    (process.folder / "app.py").write_text(OTHER)
    shown = process(module="app", options=["-W", "error"])
    assert shown.status == 0, shown.err
    info = process("--info", "searchpath", module="app")
    assert info.status == 0
    assert "sweeps" not in info.out
    assert "hw6" not in info.out.replace(str(process.folder), "")
    named = process("-cn", "double_descent", module="app")
    assert named.status != 0


def test_another_hydra_application_keeps_its_own_sweeper(process: Process) -> None:
    (process.folder / "app.py").write_text(OTHER)
    ran = process("-m", "+x=1,2", module="app")
    assert ran.status == 0, ran.err
    assert "Launching 2 jobs" in ran.out


def test_a_process_runs_quietly_and_strictly(process: Process) -> None:
    ran = process("-m", NOOP, "p=3:6", options=["-W", "error"])
    assert ran.status == 0, ran.err
    assert ran.err == ""
    assert ran.out.startswith("3 cells")


def test_a_request_to_end_is_told_like_ctrl_c_with_a_status_of_its_own(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def asked_to_end(*arguments: object, **more: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)

    monkeypatch.setattr("hw6.command.resume.resumed", asked_to_end)
    ran = command("experiment=noop")
    assert ran.status == 128 + signal.SIGTERM
    assert ran.lines == ["interrupted"]
    assert signal.getsignal(signal.SIGTERM) == before, "the handler is given back"


def test_the_version_is_printed(command: Command) -> None:
    assert command("--version").out.splitlines()[0] == f"hw6 {hw6.__version__}"


def test_one_worker_may_be_asked_for(command: Command) -> None:
    assert command("-m", "experiment=noop", "p=3,4", "workers=1").status == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["experiment=noop", "p=1:100001", "seed=0:1000"], "a sweep has at most 50,000,000"),
        (["p=5", "data.sigma=range(0,1,0.000000001)"], "too many values"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(command: Command, words: list[str], says: str) -> None:
    ran = command("-m", *words)
    assert ran.status == 2
    assert says in ran.lines[0]
    assert (ran.files, ran.folders) == ([], [])


def test_rows_come_in_the_order_of_rising_numbers(command: Command) -> None:
    sizes = ("data.n_train=20", "data.n_validation=5", "data.n_test=5")
    assert command.sweep("p=5", "data.sigma=0.5,0.1", *sizes)["data.sigma"].tolist() == [0.1, 0.5]


def test_a_reader_that_has_gone_ends_the_command(process: Process) -> None:
    words = f"{shlex.quote(sys.executable)} -m hw6.run experiment=noop | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", words], cwd=process.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 141
    assert done.stderr == ""


def test_python_looks_for_garbage_rarely_while_a_command_runs(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, during = gc.get_threshold(), []

    def noted(*arguments: object) -> None:
        during.append(gc.get_threshold())
        raise BadInput("p", 0, "is enough")

    monkeypatch.setattr("hw6.command.resume.resumed", noted)
    assert command(NOOP).status == 2
    assert during[0][0] > 10 * before[0]
    assert during[0][1:] == before[1:]
    assert gc.get_threshold() == before


@pytest.mark.slow
def test_another_sweeper_says_what_it_did_and_keeps_off_an_earlier_sweep(command: Command) -> None:
    words = ("-m", NOOP, "p=3,4", "hydra/sweeper=basic", "hydra.job.name=${now:%Y}", "hydra.sweep.subdir=${p}")
    told = []
    for _ in range(3):
        ran = command(*words)
        assert ran.status == 0, ran.err
        (line,) = [line for line in ran.out.splitlines() if line.startswith("2 cells: ")]
        told.append(line.partition(": ")[2])
    assert len(set(told)) == 3
    assert [sorted(load(command.folder / folder)["p"]) for folder in told] == [[3, 4]] * 3


def test_a_directory_that_was_named_is_used_or_refused_but_never_replaced(command: Command) -> None:
    words = ("-m", NOOP, "p=3,4", "hydra/sweeper=basic", "hydra.sweep.dir=s")
    (command.folder / "s").mkdir()
    first = command(*words)
    assert first.status == 0, first.err
    assert "2 cells: s" in first.out.splitlines()
    again = command(*words)
    assert (again.status, again.folders) == (2, [])
    assert again.lines[0].startswith("hydra.sweep.dir=s: holds a sweep")


@pytest.mark.slow
def test_settings_of_another_choice_are_no_mistake_for_another_sweeper(command: Command) -> None:
    ran = command(
        *("-m", *SMALL, "p=3", "lambda=tuned,path", "lambda.num=2", "hydra/sweeper=basic", "hydra.sweep.dir=s")
    )
    assert ran.status == 0, ran.err
    assert len(load(command.folder / "s")) == 3


def test_two_configs_can_be_shown_one_after_the_other(command: Command) -> None:
    from hydra.core.global_hydra import GlobalHydra

    for _ in range(2):
        assert command("--cfg", "job", "p=3").status == 0
        assert not GlobalHydra.instance().is_initialized()


def test_completion_asked_by_hand_says_nothing(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMP_LINE", raising=False)
    for module in ("hw6.run", "hw6.__main__"):
        ran = command("-sc", "query=bash", module=module)
        assert (ran.status, ran.out, ran.err) == (0, "", "")


def test_a_line_of_one_word_is_offered_every_command(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_LINE", "hw6")
    monkeypatch.delenv("COMP_POINT", raising=False)
    ran = command("-sc", "query=bash", module="hw6.__main__")
    assert ran.out.split() == ["run", "aggregate", "status", "plot"]
    assert "-sc install=bash" in command(module="hw6.__main__").out, "and how to switch completion on is told"


@pytest.mark.parametrize(
    ("words", "starts", "says"),
    [
        (["p=3", "--resolve"], "--resolve", "--cfg job"),
        (["p=3", "--config-dir", "nowhere"], "--config-dir=nowhere: ", "must be a directory"),
        (["p=3", "-cp", "nowhere"], "--config-path=nowhere: ", "must be a directory"),
    ],
)
def test_a_flag_that_means_nothing_here_is_refused(command: Command, words: list[str], starts: str, says: str) -> None:
    ran = command(*words)
    assert ran.status == 2
    (line,) = ran.lines
    assert line.startswith(starts)
    assert says in line
    assert (ran.files, ran.folders) == ([], [])
