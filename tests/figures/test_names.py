"""What columns and values are called, and that nothing here knows an experiment."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipes_frames import RIDGE

import hw6.figures
from hw6.contract.drawing import Drawing
from hw6.contract.registry import EXPERIMENTS, experiment_named
from hw6.figures.names import fixed, label_of, name_of, number, placeholders, symbol_of

PLAIN = Drawing()
NAMED = Drawing(
    names={"rule": {"fixed": ("{size} (fixed)", "some fixed"), "free": ("free",)}},
    symbols={"size": "σ"},
    caption=("size", "seed"),
)


def test_an_axis_is_called_by_its_label_then_a_short_help_then_its_own_name() -> None:
    assert label_of("p", RIDGE, Drawing(labels={"p": "width $p$"})) == "width $p$"
    assert label_of("p", RIDGE, PLAIN) == "number of features"
    assert label_of("theta_norm", RIDGE, PLAIN) == "norm of theta"
    assert label_of("nowhere", RIDGE, PLAIN) == "nowhere"
    double_descent = experiment_named("double_descent")
    assert label_of("seed", double_descent, PLAIN) == "seed"  # its help is too long


def test_a_key_goes_by_its_symbol_or_its_own_name() -> None:
    assert [symbol_of(key, NAMED) for key in ("size", "seed")] == ["σ", "seed"]
    assert name_of("size", 2.0, NAMED, {}) == ("σ = 2", {"size"})
    assert name_of("seed", 1e-7, NAMED, {}) == ("seed = 1e-7", {"seed"})
    assert name_of("skip", "true", NAMED, {}) == ("skip = true", {"skip"})
    assert name_of("rule", "other", NAMED, {}) == ("other", {"rule"})


def test_a_name_tells_the_values_that_stand_in_it() -> None:
    assert name_of("rule", "fixed", NAMED, {"size": 0.5}) == ("0.5 (fixed)", {"rule", "size"})
    assert name_of("rule", "fixed", NAMED, {}) == ("some fixed", {"rule"})
    assert placeholders(NAMED) == ["size"]


def test_a_caption_tells_each_key_once_and_none_of_the_axes() -> None:
    values = {"rule": "fixed", "size": 0.5, "seed": 0.0}
    assert fixed(NAMED, values, used=()) == ["0.5 (fixed)", "seed = 0"]
    assert fixed(NAMED, values, used={"seed"}) == ["0.5 (fixed)"]
    assert fixed(NAMED, values, used={"size"}) == ["seed = 0"]
    assert fixed(NAMED, {"rule": "unnamed"}, used=()) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(20.0, "20"), (1e-5, "1e-5"), (1e7, "1e7"), (0.1 + 0.2, "0.3"), ("relu", "relu")],
)
def test_numbers_are_short(value: object, text: str) -> None:
    assert number(value) == text


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(Path(hw6.figures.__file__).parent.glob("*.py")):
        yield path.name, ast.parse(path.read_text(encoding="utf-8"))


def _texts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_no_experiment_no_key_and_no_metric_of_one_is_known_here() -> None:
    experiments = [experiment_named(name) for name in EXPERIMENTS]
    dotted = {key for experiment in experiments for key in experiment.keys if "." in key}
    forbidden = {*EXPERIMENTS, *dotted, "lambda", "λ", "seed"}
    exact = {name for experiment in experiments for name in (*experiment.keys, *experiment.metrics)} - {"mean"}
    for module, tree in _modules():
        for text in _texts(tree):
            assert text not in exact, f"{module}: {text!r} is a key or metric of an experiment"
            assert not [word for word in forbidden if word in text], f"{module}: {text!r} knows an experiment"


def test_figures_import_the_contract_and_words_alone() -> None:
    own = ("hw6.contract", "hw6.errors", "hw6.words", "hw6.figures")
    others = {"__future__", "collections", "contextlib", "dataclasses", "functools", "io", "json", "math", "re"}
    others |= {"textwrap", "typing", "numpy"}
    drawing = {"pandas", "seaborn", "matplotlib"}
    for module, tree in _modules():
        checked_only = {id(child) for node in ast.walk(tree) if isinstance(node, ast.If)
                        and ast.unparse(node.test) == "TYPE_CHECKING" for child in ast.walk(node)}  # fmt: skip
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)) and id(node) not in checked_only:
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
                for name in names:
                    allowed = others | drawing if module == "draw.py" else others
                    assert name.startswith(own) or name.partition(".")[0] in allowed, f"{module} imports {name}"
