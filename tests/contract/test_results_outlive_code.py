"""Results outlive their code: a table and a figure from what the record says, with no code and no trust in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import Command
from hypothesis import given
from hypothesis import strategies as st

import hw6
from hw6.aggregate import load
from hw6.contract.checks import in_table
from hw6.contract.described import describe, remembered
from hw6.contract.drawing import Drawing
from hw6.contract.experiment import Experiment
from hw6.contract.keys import UNSET
from hw6.contract.registry import EXPERIMENTS, experiment_named
from hw6.figures.curves import curves
from hw6.store import directory

LAYERS = """
import hw6
from hw6 import Drawing, Panel

@hw6.experiment(
    metrics={"layer": "which layer", "norm": "norm of the gradient", "word": hw6.Text("a word"),
             "bins": hw6.Counts("a histogram")},
    objective="norm",
    measured=["norm"],
    drawing=lambda values: Drawing(
        panels=(Panel("norm", "gradient $g$", log=True),), x=("layer",), index=("layer",),
        labels={"layer": "layer $l$"}, symbols={"width": "m"},
        names={"skip": {"true": ("residual",), "false": ("plain",)}}, caption=("width",)),
)
def layers(depth: int = 4, width: int = 3, skip: bool = True, seed: int = 0):
    for layer in range(1, depth + 1):
        yield {"layer": layer, "norm": (2.0 if skip else 0.5) ** layer * (1 + seed), "word": "a", "bins": [1, layer]}
"""


@pytest.fixture
def swept(command: Command) -> Command:
    """A sweep whose file is gone."""
    path = command.folder / "layers.py"
    path.write_text(LAYERS)
    assert command("-m", "experiment=layers.py:layers", "skip=true,false", "seed=0:3", "hydra.sweep.dir=s").status == 0
    path.unlink()
    return command


def described(name: str) -> tuple[Experiment, dict[str, Any], dict[str, list[Any]]]:
    experiment = experiment_named(name)
    values = {key: [kind.default] for key, kind in experiment.keys.items() if kind.default not in (UNSET, None)}
    return experiment, json.loads(json.dumps(describe(experiment, values))), values


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_what_is_needed_to_draw_comes_back_from_the_record(name: str) -> None:
    experiment, content, values = described(name)
    found = remembered(name, content)
    assert found is not None
    assert found.drawing({}) == experiment.drawing({key: [in_table(v) for v in some] for key, some in values.items()})
    assert found.metrics == experiment.metrics
    assert [type(text) for text in found.metrics.values()] == [type(text) for text in experiment.metrics.values()]
    assert {key: kind.help for key, kind in found.keys.items()} == {k: one.help for k, one in experiment.keys.items()}
    assert (found.objective, found.measured) == (experiment.objective, experiment.measured)
    with pytest.raises(NotImplementedError, match="holds no code"):
        found.rows({})


def test_a_table_and_a_figure_without_the_code(swept: Command) -> None:
    ran = swept("s", module="hw6.aggregate")
    assert ran.status == 0, ran.err
    assert "layer: 4 values" in ran.out
    assert "smallest norm" in ran.out
    ran = swept("s", "--formats", "svg", module="hw6.plot")
    assert ran.status == 0, ran.err
    data = curves(load(swept.folder / "s"))
    assert (data.x.key, data.x.label) == ("layer", "layer $l$")
    assert data.panels[0].label == "gradient $g$"
    assert {curve.label for curve in data.panels[0].curves} == {"residual", "plain"}  # type: ignore[union-attr]


def test_the_figure_is_the_one_that_the_code_would_draw(swept: Command) -> None:
    frame = load(swept.folder / "s")
    without = swept("s", "--formats", "svg", "--output", "without", module="hw6.plot")
    (swept.folder / "layers.py").write_text(LAYERS)
    from hw6.contract.files import load as load_file
    from hw6.contract.registry import given as known

    with known([load_file(str(swept.folder / "layers.py"))]):
        ran = swept("s", "--formats", "svg", "--output", "with", module="hw6.plot")
        assert curves(frame).caption
    assert without.status == ran.status == 0
    svgs = [(swept.folder / name / "layers.svg").read_bytes() for name in ("without", "with")]
    assert svgs[0] == svgs[1]


def test_a_part_of_the_rows_can_still_be_drawn(swept: Command) -> None:
    frame = load(swept.folder / "s")
    assert hw6.figure(frame[frame["skip"].astype(str) == "True"]) is not None
    frame.attrs.clear()
    with pytest.raises(hw6.BadInput, match="no record of it came with the rows"):
        hw6.figure(frame)


def test_ours_are_drawn_by_their_own_code_whatever_a_record_says(command: Command) -> None:
    command.sweep("experiment=noop", "p=3:6", into="s")
    path = command.folder / "s" / directory.PROVENANCE
    record = json.loads(path.read_text())
    assert record["runs"][0]["experiments"]["noop"]["keys"]["p"] == "a number"
    record["runs"][0]["experiments"]["noop"]["metrics"]["p"] = ["number", "nonsense"]
    path.write_text(json.dumps(record))
    assert command("s", module="hw6.aggregate").status == 0


CODE = {"__reduce__": "os.system", "_target_": "os.system"}
WRONG: dict[str, Any] = {
    "nothing": None,
    "a list": [],
    "no version": {"keys": {"k": "k"}, "metrics": {}},
    "a version that is a text": {"version": "1"},
    "keys that are numbers": {"keys": {"k": 3}},
    "a key of hw6's own": {"keys": {"status": "k"}},
    "a metric of an unknown kind": {"metrics": {"y": ["code", "x"]}},
    "a metric that is a key": {"metrics": {"k": ["number", "x"]}},
    "an objective that is none": {"objective": "z"},
    "measured that are numbers": {"measured": [3]},
    "a drawing that is a text": {"drawing": "x"},
    "a panel with a part that there is not": {"drawing": {"panels": [{"metric": "y", "label": "", "run": "x"}]}},
    "a panel whose label is a number": {"drawing": {"panels": [{"metric": "y", "label": 3}]}},
    "a panel of an unknown metric": {"drawing": {"panels": [{"metric": "z", "label": "z"}]}},
    "labels that are lists": {"drawing": {"labels": {"y": ["x"]}}},
    "axes that are a text": {"drawing": {"x": "layer"}},
    "names of names": {"drawing": {"names": {"k": {"1": [["x"]]}}}},
    "code": {"drawing": {"panels": [CODE]}},
}


@pytest.mark.parametrize("what", list(WRONG))
def test_a_record_that_says_something_else_says_nothing(what: str) -> None:
    good = {"version": 1, "keys": {"k": "k"}, "metrics": {"y": ["number", "y"]}, "objective": "y", "measured": [],
            "drawing": None}  # fmt: skip
    assert remembered("x", good) is not None
    wrong = WRONG[what]
    content = good | wrong if isinstance(wrong, dict) and what != "no version" else wrong
    assert remembered("x", content) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(["y", "k", "number", "layer", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["version", "keys", "metrics", "panels", "metric", "label", "y", "k"]), inner)
    ),
    max_leaves=12,
)


@given(content=JSON, part=st.sampled_from(["version", "keys", "metrics", "objective", "measured", "drawing", ""]))
def test_no_record_brings_a_reader_down(content: Any, part: str) -> None:
    good = {"version": 1, "keys": {"k": "k"}, "metrics": {"y": ["number", "y"]}, "objective": "y", "measured": [],
            "drawing": None}  # fmt: skip
    found = remembered("x", {**good, part: content} if part else content)
    assert found is None or isinstance(found.drawing({}), Drawing)


def test_a_folder_of_somebody_else_brings_no_table_down(swept: Command, tmp_path: Path) -> None:
    path = swept.folder / "s" / directory.PROVENANCE
    record = json.loads(path.read_text())
    for wrong in ([], {"layers": 3}, {"layers": {"keys": []}}, {"other": {}}):
        record["runs"][0]["experiments"] = wrong
        path.write_text(json.dumps(record))
        ran = swept("s", "-o", str(tmp_path / "t"), module="hw6.aggregate")
        assert "Traceback" not in ran.err
        assert ran.status == 0 or ran.lines, "it says what is wrong with the record"
        assert swept("s", "--output", str(tmp_path / "f"), module="hw6.plot").status == 2
