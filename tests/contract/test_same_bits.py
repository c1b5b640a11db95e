"""A row depends on its cell alone: whatever runs a sweep, in whatever parts and order, the bits are the same."""

from __future__ import annotations

import pandas as pd
import pytest
from commands import Command, Process
from recipes import SMALL, assert_same_rows, bits

from hw6.aggregate import load

BASIC = "hydra/sweeper=basic"
SWEEPS = {
    "noop": ["experiment=noop", "p=3:5", "seed=0,1"],
    "double_descent": [*SMALL, "p=2,9", "lambda=fixed,tuned"],
    "third_party": ["experiment=third_party", "n=3:5", "flag=false,true", "kind=fancy"],
}
pytestmark = pytest.mark.usefixtures("installed")


FEW = ["double_descent", *(pytest.param(name, marks=pytest.mark.slow) for name in ("noop", "third_party"))]


@pytest.mark.parametrize("name", FEW)
@pytest.mark.slow
def test_one_job_a_cell_gives_the_same_rows(command: Command, name: str) -> None:
    fused = command.sweep(*SWEEPS[name])
    assert len(fused) == 4
    assert_same_rows(fused, command.sweep(BASIC, *SWEEPS[name]))


@pytest.mark.parametrize("most", [1, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FEW)
def test_any_chunks_give_the_same_rows(command: Command, monkeypatch: pytest.MonkeyPatch, name: str, most: int) -> None:
    sweep = [*SWEEPS[name], "n=3:8" if name == "third_party" else "p=3:8"] if most > 1 else SWEEPS[name]
    fused = command.sweep(*sweep, into="whole")
    monkeypatch.setattr("hw6.plan.chunks.MOST_CELLS", most)
    assert_same_rows(fused, command.sweep(*sweep, into="cut"))
    jobs = [path for path in (command.folder / "cut").iterdir() if path.is_dir()]
    blocks = len([path for path in (command.folder / "whole").iterdir() if path.is_dir()])
    assert len(jobs) > blocks


@pytest.mark.parametrize("name", FEW)
def test_any_order_of_the_axes_gives_the_same_rows(command: Command, name: str) -> None:
    assert_same_rows(command.sweep(*SWEEPS[name]), command.sweep(*reversed(SWEEPS[name])))


@pytest.mark.parametrize("name", list(SWEEPS))
@pytest.mark.slow
def test_a_cell_alone_gives_its_row_of_the_sweep(command: Command, name: str) -> None:
    whole = command.sweep(*SWEEPS[name])
    last = whole.iloc[[-1]]
    changed = {"noop": ["p", "seed"], "double_descent": ["p", "lambda.kind"], "third_party": ["n", "flag", "kind"]}[
        name
    ]
    given = [text for text in SWEEPS[name] if text.startswith(("experiment", "data."))]
    typed = [f"{key.removesuffix('.kind')}={last[key].iloc[0]!s}" for key in changed]
    ran = command(*given, *typed, "hydra.run.dir=alone")
    assert ran.status == 0, ran.err
    assert_same_rows(last, load(command.folder / "alone"))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SWEEPS))
@pytest.mark.parametrize("way", ["engine=joblib", "hydra/launcher=basic", "workers=2"])
def test_any_launcher_gives_the_same_rows(command: Command, process: Process, name: str, way: str) -> None:
    fused = command.sweep(*SWEEPS[name])
    ran = process("-m", *SWEEPS[name], way, "hydra.sweep.dir=there")
    assert ran.status == 0, ran.err
    assert_same_rows(fused, load(process.folder / "there"))


@pytest.mark.slow
def test_basic_sweeper_in_joblib_gives_the_same_rows(command: Command, process: Process) -> None:
    fused = command.sweep(*SWEEPS["double_descent"])
    ran = process("-m", *SWEEPS["double_descent"], BASIC, "engine=joblib", "hydra.sweep.dir=there")
    assert ran.status == 0, ran.err
    assert_same_rows(fused, load(process.folder / "there"))


@pytest.mark.parametrize("name", ["third_party", pytest.param("double_descent", marks=pytest.mark.slow)])
def test_two_workers_share_a_sweep_and_give_the_same_rows(command: Command, name: str) -> None:
    both = command.sweep(*SWEEPS[name], "workers=2", into="two")
    assert_same_rows(command.sweep(*SWEEPS[name]), both)
    assert len([path for path in (command.folder / "two").iterdir() if path.is_dir()]) > 1


def test_a_resumed_sweep_gives_the_same_rows(command: Command) -> None:
    whole = command.sweep(*SMALL, "p=2:8", "lambda=path", "lambda.num=3")
    for widths in ("p=3,5", "p=4,5", "p=2:8"):
        resumed = command.sweep(*SMALL, widths, "lambda=path", "lambda.num=3", into="resumed")
    assert_same_rows(whole, resumed)


# Overrides of every kind that Hydra's own sweeper understands too, and the number of rows.
KINDS: dict[str, tuple[list[str], int]] = {
    "interpolation": (["experiment=noop", "p=3,4", "seed=${p}"], 2),
    "interpolation in a list": (["experiment=noop", "p=3,4", "seed='10,${p}'"], 0),
    "interpolation in a sweep": (["experiment=noop", "p=3,4", "seed=10,${p}"], 4),
    "interpolation of an interpolation": (["experiment=third_party", "n=3,4", "inner.depth=${x}", "x=${n}"], 2),
    "relative interpolation": ([*SMALL, "data.n_test=${.n_validation}", "data.n_validation=3,5", "p=3"], 2),
    "interpolation through a choice": (["lambda=tuned", *SMALL, "lambda.min=${data.sigma}", "data.sigma=0.25,0.5"], 2),
    "equal cells after interpolation": (["experiment=noop", "p=3", "seed=3,${p}"], 1),
    "lists": (["experiment=third_party", "sizes=[1,2],[3],null"], 3),
    "nested lists in a choice": (["experiment=third_party", "sizes=choice([1,2],[2,1])"], 2),
    "glob over a group": ([*SMALL, "p=3", "lambda=glob(*)"], 28),
    "glob with exclusion": ([*SMALL, "p=3", "lambda=glob([f*,r*],exclude=*less)"], 1),
    "shuffle": (["experiment=third_party", "n=shuffle(range(1,4))"], 3),
    "sort": (["experiment=noop", "p=sort(5,3,4,reverse=true)"], 3),
    "tag": (["experiment=noop", "p=tag(mine,choice(3,4))"], 2),
    "repeated values": (["experiment=noop", "p=3,3,4"], 2),
    "values that are equal once typed": (["experiment=third_party", "x=1,1.0,1e0"], 1),
    "quoted numbers": (["experiment=noop", "p='3',\"4\""], 2),
    "quoted words": (["experiment=third_party", "kind='plain',\"fancy\""], 2),
    "exponents": (["experiment=third_party", "x=1e-3,2.5E-1,-3"], 3),
    "cast": (["experiment=third_party", "n=int(3.0),4"], 2),
    "force-added key": (["experiment=noop", "++p=3,4"], 2),
    "constant among sweeps": (["experiment=third_party", "x=-2", "n=3,4"], 2),
    "negative zero": (["experiment=third_party", "x=-0.0,0.0"], 1),
    "flags": (["experiment=third_party", "flag=true,false"], 2),
    "lambdas": ([*SMALL, "p=3", "lambda=0.01,1"], 2),
    "path": ([*SMALL, "p=3,9", "lambda=path", "lambda.num=3"], 6),
    "swept group with constants of all choices": ([*SMALL, "p=3", "lambda=tuned,path", "lambda.num=2"], 3),
    "two groups": ([*SMALL, "p=3", "lambda=ridgeless,fixed", "data=gaussian"], 2),
}
REFUSED = {"interpolation in a list"}  # by both alike
FAST = {
    *("interpolation in a sweep", "equal cells after interpolation", "lists", "shuffle", "quoted numbers"),
    *("values that are equal once typed", "force-added key", "glob with exclusion"),
}


def _kinds() -> list[object]:
    return [pytest.param(kind, marks=[] if kind in FAST else [pytest.mark.slow], id=kind) for kind in KINDS]


@pytest.mark.parametrize("kind", _kinds())
@pytest.mark.slow
def test_overrides_mean_what_they_mean_to_hydra(command: Command, kind: str) -> None:
    overrides, rows = KINDS[kind]
    if kind in REFUSED:
        ours, theirs = command("-m", *overrides), command("-m", BASIC, *overrides)
        assert (ours.status, theirs.status) == (2, 2)
        assert (ours.files, theirs.files) == ([], [])
        return
    fused, basic = command.sweep(*overrides), command.sweep(BASIC, *overrides)
    assert len(fused) == rows
    assert fused["cell_id"].nunique() == basic["cell_id"].nunique()
    assert_same_rows(fused, basic)


def test_an_interpolated_key_follows_every_value(command: Command) -> None:
    frame = command.sweep(*SMALL, "p=3,4,5", "data.n_test=${p}")
    assert frame["data.n_test"].tolist() == frame["p"].tolist() == [3, 4, 5]


def test_a_value_axis_applies_to_the_choices_that_have_it(command: Command) -> None:
    frame = command.sweep(*SMALL, "p=3", "lambda=0.01,1,tuned")
    assert sorted(zip(frame["lambda.kind"], frame["lambda.value"].fillna(0.0), strict=True)) == [
        ("fixed", 0.01),
        ("fixed", 1.0),
        ("tuned", 0.0),
    ]
    parts = [command.sweep(*SMALL, "p=3", rule) for rule in ("lambda=0.01,1", "lambda=tuned")]
    assert_same_rows(frame, pd.concat(parts))


@pytest.mark.slow
def test_constants_of_one_choice_leave_the_others_alone(command: Command) -> None:
    frame = command.sweep(*SMALL, "p=3", "lambda=fixed,tuned", "lambda.num=3")
    parts = [
        command.sweep(*SMALL, "p=3", "lambda=fixed"),
        command.sweep(*SMALL, "p=3", "lambda=tuned", "lambda.num=3"),
    ]
    assert_same_rows(frame, pd.concat(parts))


@pytest.mark.slow
def test_experiments_side_by_side_give_the_rows_of_each_alone(command: Command) -> None:
    frame = command.sweep("experiment=noop,double_descent", "p=3,4", *SMALL)
    parts = [command.sweep("experiment=noop", "p=3,4"), command.sweep(*SMALL, "p=3,4")]
    together = pd.concat(parts)
    assert len(frame) == 4
    for name in ("noop", "double_descent"):
        assert_same_rows(frame[frame["experiment"] == name], together[together["experiment"] == name])


def test_what_a_metric_does_not_apply_to_depends_on_no_neighbour(command: Command) -> None:
    """A column that only some cells of a batch ask for must not fail, or mark, the others."""
    mixed = command.sweep(*SMALL, "p=3", "exact_risk=true,false")
    alone = [command.sweep(*SMALL, "p=3", f"exact_risk={text}") for text in ("true", "false")]
    assert mixed["status"].tolist() == ["done", "done"]
    assert_same_rows(mixed, pd.concat(alone))


@pytest.mark.parametrize("empty", ["data.n_test", "data.n_validation"])
def test_an_empty_set_beside_a_filled_one(command: Command, empty: str) -> None:
    small = [text for text in SMALL if not text.startswith(empty)]
    mixed = command.sweep(*small, "p=3,7", f"{empty}=0,5")
    alone = [command.sweep(*small, "p=3,7", f"{empty}={n}") for n in (0, 5)]
    assert_same_rows(mixed, pd.concat(alone))
    assert set(mixed["status"]) == {"done"}


def test_the_comparison_sees_a_single_bit() -> None:
    """The comparison itself: the neighbour of a float is another float, nan is nan."""
    frame = pd.DataFrame({"cell_id": ["b", "a"], "experiment": "noop", "x": [1.0, float("nan")], "seconds": [1.0, 2.0]})
    other = frame.assign(x=[1.0 + 2**-52, float("nan")])
    assert bits(frame) == bits(frame.iloc[::-1].assign(seconds=9.0))
    with pytest.raises(AssertionError):
        assert_same_rows(frame, other)
