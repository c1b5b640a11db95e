"""Bad input is refused before anything runs: status 2, a line a mistake, no traceback, nothing written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import Command, Process, Ran

SINGLE: tuple[str, ...] = ()
SWEEP = ("-m",)
BASIC = ("-m", "hydra/sweeper=basic")
NAMED = ("-cn", "double_descent")
WAYS = {"single": SINGLE, "sweep": SWEEP, "basic": BASIC, "named": NAMED}
HUGE = "99999999999999999999999999"
WHOLE = "must be a whole number"
RIDGE = "fixed, path, ridgeless, tuned"

# One mistake each: what is typed, and what the one line must name (key and value first, then what is allowed or helps).
ONE_MISTAKE: dict[str, tuple[list[str], list[str]]] = {
    "p zero": (["p=0"], ["p=0: ", WHOLE, "from 1"]),
    "p negative": (["p=-3"], ["p=-3: ", WHOLE, "from 1"]),
    "p fraction": (["p=2.5"], ["p=2.5: ", WHOLE]),
    "p word": (["p=abc"], ["p=abc: ", WHOLE]),
    "p null": (["p=null"], ["p=null: ", WHOLE]),
    "p true": (["p=true"], ["p=true: ", WHOLE]),
    "p empty": (["p="], ["p=: ", WHOLE]),
    "p list": (["p=[3]"], ["p=[3]: ", WHOLE]),
    "p huge": ([f"p={HUGE}"], [f"p={HUGE}: ", "2^63"]),
    "seed huge": ([f"seed={HUGE}"], [f"seed={HUGE}: ", "2^63"]),
    "seed 2^63": ([f"seed={2**63}"], [f"seed={2**63}: ", "2^63 - 1"]),
    "seed negative": (["seed=-1"], ["seed=-1: ", WHOLE, "from 0"]),
    "seed fraction": (["seed=1.5"], ["seed=1.5: ", WHOLE]),
    "empty range": (["p=range(5,5)"], ["p=range(5,5): ", "empty"]),
    "empty colon": (["p=5:5"], ["p=5:5: ", "empty", "STOP left out"]),
    "backward colon": (["p=8:5"], ["p=8:5: ", "empty"]),
    "open colon": (["p=5:"], ["p=5:: ", "start and its stop"]),
    "no start": (["p=:5"], ["p=:5: ", "start and its stop"]),
    "no step": (["p=1:5:"], ["p=1:5:: ", "start and its stop"]),
    "step zero": (["p=1:10:0"], ["p=1:10:0: ", "step"]),
    "interval": (["p=interval(1,2)"], ["p=interval(1,2): ", "optimising"]),
    "open bracket": (["p=[1,2"], ["p=[1,2: ", "unbalanced brackets"]),
    "open range": (["p=range(1,2"], ["p=range(1,2: ", "unbalanced brackets"]),
    "lambda unknown": (["lambda=banana"], ["lambda=banana: ", RIDGE, "lambda=0.01"]),
    "lambda near miss": (["lambda=tunde"], ["lambda=tunde: ", RIDGE, "did you mean tuned?"]),
    "lambda null": (["lambda=null"], ["lambda=null: ", RIDGE]),
    "lambda zero": (["lambda=0"], ["lambda.value=0: ", "above 0", "lambda=ridgeless"]),
    "lambda 0.0": (["lambda=0.0"], ["lambda.value=0.0: ", "above 0", "lambda=ridgeless"]),
    "lambda negative": (["lambda=-1"], ["lambda.value=-1: ", "above 0"]),
    "lambda.value -1": (["lambda=fixed", "lambda.value=-1"], ["lambda.value=-1: ", "above 0"]),
    "lambda.value nan": (["lambda=fixed", "lambda.value=nan"], ["lambda.value=nan: ", "finite"]),
    "lambda.value inf": (["lambda=fixed", "lambda.value=inf"], ["lambda.value=inf: ", "finite"]),
    "lambda.value 0": (["lambda=fixed", "lambda.value=0"], ["lambda.value=0: ", "lambda=ridgeless"]),
    "lambda.min above max": (
        ["lambda=tuned", "lambda.min=10", "lambda.max=1"],
        ["lambda.min=10", "at most lambda.max=1"],
    ),
    "lambda.num zero": (["lambda=tuned", "lambda.num=0"], ["lambda.num=0: ", WHOLE, "from 1"]),
    "lambda.value of tuned": (["lambda=tuned", "lambda.value=1"], ["lambda.value=1: ", "lambda.min, lambda.num"]),
    "no training data": (["data.n_train=0"], ["data.n_train=0: ", WHOLE, "from 1"]),
    "no validation data": (
        ["data.n_validation=0", "lambda=tuned"],
        ["data.n_validation=0: ", "lambda=tuned needs", "lambda=fixed"],
    ),
    "sigma negative": (["data.sigma=-1"], ["data.sigma=-1: ", "at least 0"]),
    "no cuda": (["device=cuda"], ["device.kind=cuda: ", "device=cpu"]),
    "device unknown": (["device=tpu"], ["device=tpu: ", "auto, cpu, cuda"]),
    "key unknown": (["widht=3"], ["widht=3: ", "data.n_train", "did you mean p?"]),
    "key near miss": (["sede=3"], ["sede=3: ", "did you mean seed?"]),
    "key without group": (["n_train=3"], ["n_train=3: ", "did you mean data.n_train?"]),
    "key near miss in group": (["data.n_tain=3"], ["data.n_tain=3: ", "did you mean data.n_train?"]),
    "key added": (["+widht=3"], ["widht=3: ", "double_descent"]),
    "key added by force": (["++widht=3"], ["widht=3: ", "double_descent"]),
    "key added in group": (["+data.colour=3"], ["data.colour=3: ", "double_descent"]),
    "key there already": (["+p=3"], ["+p=3: ", "p=..."]),
    "key of another experiment": (["experiment=noop", "data.sigma=1"], ["data.sigma=1: ", "noop", "reads p, seed"]),
    "group of another experiment": (["experiment=noop", "lambda=tuned"], ["lambda=tuned: ", "noop", "reads p, seed"]),
    "experiment unknown": (
        ["experiment=dubble_descent"],
        ["experiment=dubble_descent: ", "double_descent", "noop", "did you mean double_descent?"],
    ),
    "group deleted": (["~lambda"], ["~lambda: ", "cannot be removed", "lambda=..."]),
    "key deleted": (["~p"], ["~p: ", "cannot be removed", "p=..."]),
    "key deleted with value": (["~p=100"], ["~p", "cannot be removed"]),
    "missing reference": (["p=${nope}"], ["p", "nope"]),
    "reference in a circle": (["data.n_test=${data.n_test}"], ["data.n_test", "ecursive"]),
    "workers zero": (["workers=0"], ["workers=0: ", "auto or a whole number from 1"]),
    "workers word": (["workers=abc"], ["workers=abc: ", "auto or a whole number"]),
    "workers fraction": (["workers=1.5"], ["workers=1.5: ", "auto or a whole number"]),
    "objective unknown": (["objective=nonsense"], ["objective=nonsense: ", "validation_mse"]),
    "objective near miss": (["objective=test_mes"], ["objective=test_mes: ", "did you mean test_mse?"]),
    "engine unknown": (["engine=bogus"], ["engine=bogus: ", "local, joblib"]),
    "no override": (["p"], ["p: ", "write key=value"]),
    "no key": (["=3"], ["=3: ", "write key=value"]),
    "number and fixed": (["lambda=0.1,fixed"], ["lambda=0.1,fixed: ", "lambda=fixed"]),
    "starter of other size": (["data=starter", "p=11", "data.n_train=5"], ["data.n_train=5: ", "data=starter"]),
    "starter width": (["data=starter", "p=12"], ["p=12: ", "data=starter", "p=11"]),
}
SINGLE_FAST = {  # and, since they cost nothing, those that are refused before Hydra is asked
    *(
        "p zero",
        "p fraction",
        "p word",
        "p huge",
        "empty range",
        "empty colon",
        "backward colon",
        "open colon",
        "no start",
    ),
    *(
        "no step",
        "step zero",
        "interval",
        "open bracket",
        "open range",
        "lambda unknown",
        "lambda near miss",
        "lambda null",
    ),
    *("lambda zero", "lambda.value nan", "lambda.min above max", "lambda.num zero", "lambda.value of tuned"),
    *(
        "no training data",
        "no validation data",
        "sigma negative",
        "seed negative",
        "no cuda",
        "key unknown",
        "key added",
    ),
    *("key of another experiment", "experiment unknown", "group deleted", "missing reference", "workers word"),
    *("objective near miss", "engine unknown", "no override", "no key", "number and fixed", "starter width"),
}
SWEEP_FAST = {
    *("p zero", "p list", "seed huge", "empty range", "lambda unknown", "lambda null", "lambda.min above max"),
    *(
        "lambda.value of tuned",
        "key there already",
        "group of another experiment",
        "experiment unknown",
        "workers zero",
    ),
}
BASIC_FAST = {"p zero", "lambda unknown", "lambda.value of tuned", "key there already"}
NAMED_FAST = {"lambda near miss", "lambda.value 0", "key unknown"}
CHOOSES_EXPERIMENT = {"key of another experiment", "group of another experiment"}


def _ways() -> list[object]:
    found = []
    for case in ONE_MISTAKE:
        for way in WAYS:
            if way == "named" and case in CHOOSES_EXPERIMENT | {"starter width", "starter of other size"}:
                continue
            fast = {
                "single": SINGLE_FAST,
                "sweep": SWEEP_FAST,
                "basic": BASIC_FAST,
                "named": NAMED_FAST,
            }[way]
            found.append(pytest.param(case, way, marks=[] if case in fast else [pytest.mark.slow], id=f"{way}-{case}"))
    return found


def _slow(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.slow)


def assert_refused(ran: Ran, lines: int) -> None:
    assert ran.status == 2, f"status {ran.status}: {ran.err}"
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert (ran.files, ran.folders) == ([], [])
    assert all(line.startswith("hw6: ") for line in ran.err.splitlines()), ran.err
    assert len(ran.lines) == lines, ran.err


@pytest.mark.parametrize(("case", "way"), _ways())
def test_one_mistake_is_one_line_that_names_key_and_value(command: Command, case: str, way: str) -> None:
    overrides, fragments = ONE_MISTAKE[case]
    ran = command(*WAYS[way], *overrides)
    assert_refused(ran, 1)
    assert ran.lines[0].lstrip("+").startswith(fragments[0].lstrip("+")), ran.err
    for fragment in fragments[1:]:
        assert fragment in ran.lines[0], ran.err


@pytest.mark.parametrize("way", ["sweep", _slow("basic"), _slow("named")])
@pytest.mark.parametrize(
    ("axis", "named"),
    [
        ("p=1,2,0,4", "p=0: "),
        ("seed=-1:3", "seed=-1: "),
        (f"seed=1,{HUGE}", f"seed={HUGE}: "),
        ("lambda=0.1,0,1", "lambda.value=0: "),
        ("lambda=fixed,tunde", "lambda=tunde: "),
        ("lambda=fixed,null", "lambda=null: "),
        ("data.sigma=0.1,nan", "data.sigma=nan: "),
        ("device=cpu,tpu", "device=tpu: "),
        ("experiment=double_descent,dd", "experiment=dd: "),
    ],
)
def test_one_bad_value_among_many(command: Command, way: str, axis: str, named: str) -> None:
    ran = command(*WAYS[way], axis)
    assert_refused(ran, 1)
    assert ran.lines[0].startswith(named), ran.err


@pytest.mark.parametrize("way", ["single", "sweep", _slow("basic"), _slow("named")])
def test_several_mistakes_are_told_at_once(command: Command, way: str) -> None:
    ran = command(*WAYS[way], "p=0", "seed=-1", "widht=3", "data.sigma=nan", "workers=0")
    assert_refused(ran, 5)
    assert sorted(line.partition(":")[0] for line in ran.lines) == [
        "data.sigma=nan",
        "p=0",
        "seed=-1",
        "widht=3",
        "workers=0",
    ]
    unknown = next(line for line in ran.lines if line.startswith("widht"))
    assert "data.n_train" in unknown, "what the experiment reads is told although other values are wrong"


def test_mistakes_of_several_axes_and_choices_are_told_once_each(command: Command) -> None:
    ran = command("-m", "p=0,abc,5", "seed=-1,1", "lambda=fixed,tuned", "lambda.num=0")
    assert_refused(ran, 4)
    assert [line.partition(":")[0] for line in sorted(ran.lines)] == ["lambda.num=0", "p=0", "p=abc", "seed=-1"]


def test_mistakes_of_syntax_are_told_at_once(command: Command) -> None:
    ran = command("-m", "p=[1,2", "seed=range(1,2", "~data")
    assert_refused(ran, 3)
    assert [line.partition(":")[0] for line in ran.lines] == ["p=[1,2", "seed=range(1,2", "~data"]


def test_a_million_bad_values_are_a_few_lines(command: Command) -> None:
    ran = command("-m", "p=-1000000:0")
    assert ran.status == 2
    assert 1 <= len(ran.lines) <= 10
    assert ran.files == []


@pytest.mark.parametrize("overrides", [["p=1,2"], ["p=1:3"], ["lambda=fixed,tuned"]])
def test_a_sweep_without_its_flag_is_told_to_add_it(command: Command, overrides: list[str]) -> None:
    ran = command(*overrides)
    assert_refused(ran, 1)
    assert "add -m" in ran.lines[0]
    assert ran.lines[0].startswith(overrides[0].partition("=")[0] + "=")


@pytest.mark.parametrize("way", ["sweep", _slow("basic"), _slow("named")])
@pytest.mark.parametrize("override", ["objective=test_mse,train_mse", "workers=1,2"])
def test_keys_of_the_framework_are_not_swept(command: Command, way: str, override: str) -> None:
    ran = command(*WAYS[way], override)
    assert_refused(ran, 1)
    assert ran.lines[0].startswith(f"{override}: ")
    assert "cannot be swept" in ran.lines[0]


def test_a_choice_that_only_some_have_is_split_for_the_basic_sweeper(command: Command) -> None:
    ran = command(*BASIC, "lambda=0.01,tuned", "p=3")
    assert_refused(ran, 1)
    assert ran.lines[0].startswith("lambda.value=0.01: ")
    assert "one command for each choice" in ran.lines[0]


@pytest.mark.parametrize(("name", "hint"), [("double_decent", "did you mean double_descent?"), ("zzz", "starter")])
@pytest.mark.parametrize("flag", ["-cn", "--config-name"])
def test_an_unknown_named_sweep(command: Command, flag: str, name: str, hint: str) -> None:
    ran = command(flag, name, "p=3")
    assert_refused(ran, 1)
    assert f"--config-name={name}" in ran.lines[0]
    assert hint in ran.lines[0]


@pytest.mark.parametrize("way", ["single", "sweep"])
def test_an_unknown_flag_is_refused(command: Command, way: str) -> None:
    ran = command(*WAYS[way], "p=3", "--frobnicate")
    assert ran.status == 2
    assert "--frobnicate" in ran.err
    assert "Traceback" not in ran.err
    assert (ran.files, ran.folders) == ([], [])


@pytest.mark.parametrize("flags", [["--frobnicate"], ["-m", "--frobnicate"]])
def test_an_unknown_flag_is_an_error_of_hw6_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    from hw6 import run_sweep
    from hw6.errors import Hw6Error

    monkeypatch.chdir(tmp_path)
    with pytest.raises(Hw6Error, match="frobnicate"):
        run_sweep([*flags, "p=3"])


@pytest.mark.parametrize("way", ["single", "sweep", "basic"])
@pytest.mark.parametrize("below", ["", _slow("/deeper")])
def test_a_file_in_the_way_of_the_directory(command: Command, way: str, below: str) -> None:
    (command.folder / "taken").write_text("mine")
    key = "hydra.run.dir" if way == "single" else "hydra.sweep.dir"
    ran = command(*WAYS[way], "experiment=noop", "p=3", f"{key}=taken{below}")
    assert_refused(ran, 1)
    assert ran.lines[0].startswith(f"{key}="), ran.err
    assert "taken" in ran.lines[0]
    assert (command.folder / "taken").read_text() == "mine"


@pytest.mark.parametrize("way", ["single", "sweep"])
def test_a_file_in_the_way_of_the_default_directory(command: Command, way: str) -> None:
    (command.folder / "outputs").write_text("mine")
    ran = command(*WAYS[way], "experiment=noop", "p=3")
    assert_refused(ran, 1)
    assert "outputs" in ran.lines[0]


@pytest.mark.parametrize("way", ["single", "sweep", "basic"])
def test_a_directory_that_the_system_refuses(command: Command, way: str) -> None:
    key = "hydra.run.dir" if way == "single" else "hydra.sweep.dir"
    ran = command(*WAYS[way], "experiment=noop", "p=3", f"{key}=/proc/hw6/nothing")
    assert_refused(ran, 1)
    assert ran.lines[0].startswith(f"{key}=/proc"), ran.err


def test_somebody_elses_folder_is_not_swept_into(command: Command) -> None:
    (command.folder / "photos").mkdir()
    (command.folder / "photos" / "holiday.jpg").write_text("sea")
    ran = command("-m", "experiment=noop", "p=3", "hydra.sweep.dir=photos")
    assert_refused(ran, 1)
    assert "photos" in ran.lines[0]


def test_an_objective_is_a_metric_of_the_experiment_that_runs(command: Command) -> None:
    ran = command("experiment=noop", "objective=test_mse")
    assert_refused(ran, 1)
    assert "noop" in ran.lines[0]


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize("way", [_slow("single"), "sweep", _slow("basic")])
@pytest.mark.parametrize(
    ("override", "fragments"),
    [
        ("n=1001", ["n=1001: ", "0 to 1000"]),
        _slow("x=10.5", ["x=10.5: ", "at most 10"]),
        _slow("flag=maybe", ["flag=maybe: ", "true or false"]),
        ("kind=fency", ["kind=fency: ", "did you mean fancy?"]),
        ("sizes=[]", ["sizes=[]: ", "at least 1 whole numbers"]),
        _slow("sizes=[1,0]", ["sizes=[1,0]: ", "each at least 1"]),
        _slow("sizes=7", ["sizes=7: ", "[10,20]"]),
        ("n=99", ["n=99: ", "out of the question"]),
        ("inner.dept=3", ["inner.dept=3: ", "did you mean inner.depth?"]),
        ("p=3", ["p=3: ", "third_party"]),
    ],
)
def test_an_experiment_from_outside_is_checked_alike(
    command: Command, way: str, override: str, fragments: list[str]
) -> None:
    ran = command(*WAYS[way], "experiment=third_party", override)
    assert_refused(ran, 1)
    assert ran.lines[0].startswith(fragments[0]), ran.err
    for fragment in fragments[1:]:
        assert fragment in ran.lines[0], ran.err


# --- other commands -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["hw6.aggregate", "hw6.plot"])
@pytest.mark.parametrize("path", ["missing", "empty", "empty/deeper", "text.txt"])
def test_there_is_nothing_to_read(command: Command, module: str, path: str) -> None:
    (command.folder / "empty").mkdir()
    (command.folder / "text.txt").write_text("no shard")
    ran = command(path, module=module)
    assert_refused(ran, 1)
    assert path in ran.lines[0]


@pytest.mark.parametrize("module", ["hw6.aggregate", "hw6.plot"])
def test_a_missing_path_is_told_even_beside_a_good_one(command: Command, module: str) -> None:
    command.sweep("experiment=noop", "p=1,2", into="good")
    ran = command("good", "missing", module=module)
    assert_refused(ran, 1)
    assert "missing" in ran.lines[0]


@pytest.mark.parametrize("harm", ["truncated", _slow("flipped"), _slow("emptied")])
def test_a_damaged_shard_is_named_and_skipped(command: Command, harm: str) -> None:
    import pandas as pd

    command.sweep("experiment=noop", "p=1:4", into="there")
    command("-m", "experiment=noop", "p=1:6", "hydra.sweep.dir=there")
    victim = next((command.folder / "there" / "0").glob("rows-*.parquet"))
    data = bytearray(victim.read_bytes())
    if harm == "flipped":
        data[len(data) // 2] ^= 1
    victim.write_bytes(bytes(data) if harm == "flipped" else data[:-9] if harm == "truncated" else b"")
    ran = command("there", module="hw6.aggregate")
    assert ran.status == 1
    assert victim.name in ran.lines[0]
    assert "left out" in ran.lines[0]
    assert all(victim.name in line for line in ran.lines), "only what is damaged is told"
    assert "Traceback" not in ran.err
    assert sorted(pd.read_parquet(command.folder / "there" / "table.parquet")["p"]) == [4, 5]


def test_only_damaged_shards_are_nothing_to_read(command: Command) -> None:
    command.sweep("experiment=noop", "p=1:4", into="there")
    victim = next((command.folder / "there" / "0").glob("rows-*.parquet"))
    victim.write_bytes(victim.read_bytes()[:50])
    ran = command("there", module="hw6.aggregate")
    assert ran.status in {1, 2}
    assert victim.name in ran.err
    assert not (command.folder / "there" / "table.parquet").exists()


def test_what_is_aggregated_cannot_be_written(command: Command) -> None:
    command.sweep("experiment=noop", "p=1,2", into="there")
    (command.folder / "taken").write_text("mine")
    ran = command("there", "-o", "taken/name", module="hw6.aggregate")
    assert ran.status == 2
    assert "taken/name" in ran.lines[-1]


# --- tracebacks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["p=0"], ["-m", "lambda=banana"]])
def test_a_traceback_is_given_to_those_who_ask(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match=r"p=0|banana|widht"):
        command(*arguments)
    assert os.environ["HYDRA_FULL_ERROR"] == "1"


@pytest.mark.parametrize(("asked", "status"), [(True, 1), _slow(False, 2)])
def test_a_process_shows_a_traceback_only_on_demand(process: Process, asked: bool, status: int) -> None:
    if asked:
        process.environment["HYDRA_FULL_ERROR"] = "1"
    ran = process("p=0", options=["-W", "error"])
    assert ran.status == status
    assert ("Traceback" in ran.err) == asked
    assert "p=0" in ran.err
    assert (ran.files, ran.folders) == ([], [])


def test_the_users_own_setting_is_left_alone(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    assert command("p=0").status == 2
    assert os.environ["HYDRA_FULL_ERROR"] == "0"
    monkeypatch.delenv("HYDRA_FULL_ERROR")
    assert command("p=0").status == 2
    assert "HYDRA_FULL_ERROR" not in os.environ
