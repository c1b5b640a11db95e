"""Every refusal is a line for a person, and says how the command ends."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw6 import errors
from hw6.errors import BadInput, BadInputs, FailedCells, Hw6Error, MissingPackage, NoResults, nearest, refuse, show

ONE = BadInput("p", 0, "must be a whole number from 1", "try p=1")
EXAMPLES: list[tuple[Hw6Error, int, list[str]]] = [
    (ONE, 2, ["p=0: must be a whole number from 1 (try p=1)"]),
    (BadInput("p", "null", "must be given"), 2, ["p=null: must be given"]),
    (BadInput("~p", None, "cannot be removed"), 2, ["~p: cannot be removed"]),
    (BadInput("flag", True, "is wrong"), 2, ["flag=true: is wrong"]),
    (BadInput("sizes", (1, 2), "is wrong"), 2, ["sizes=[1,2]: is wrong"]),
    (BadInputs([ONE, BadInput("q", 1, "is wrong"), ONE]), 2, [str(ONE), "q=1: is wrong"]),
    (NoResults("x: nothing here"), 2, ["x: nothing here"]),
    (MissingPackage("torch", "torch", "dropout"), 2, ["dropout needs the package torch: pip install 'hw6[torch]'"]),
    (FailedCells("3 failed"), 1, ["3 failed"]),
    (Hw6Error("broken"), 1, ["broken"]),
]


@pytest.mark.parametrize(("error", "status", "lines"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_lines_and_exit_status(error: Hw6Error, status: int, lines: list[str]) -> None:
    assert error.exit_status == status
    assert error.lines == lines


@pytest.mark.parametrize(("error", "status", "lines"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_an_error_travels_between_processes(error: Hw6Error, status: int, lines: list[str]) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert back.lines == lines


def test_the_head_of_the_module_lists_every_error_with_its_status() -> None:
    assert errors.__doc__ is not None
    told = {name: int(code) for name, code in re.findall(r"(\w+) +(\d+)  ", errors.__doc__)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Hw6Error)]
    assert told == {kind.__name__: kind.exit_status for kind in kinds}


def test_one_mistake_is_raised_alone_and_several_together() -> None:
    refuse([])
    with pytest.raises(BadInput) as one:
        refuse([ONE])
    assert one.value is ONE
    with pytest.raises(BadInputs) as many:
        refuse([ONE, BadInput("q", 1, "is wrong")])
    assert [mistake.key for mistake in many.value.mistakes] == ["p", "q"]


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("tunde", ["fixed", "tuned"], "did you mean tuned?"),
        ("sede", ["seed", "p"], "did you mean seed?"),
        ("n_train", ["data.n_train", "data.n_test"], "did you mean data.n_train?"),
        ("dta.n_trian", ["data.n_train", "data.n_test"], "did you mean data.n_train?"),
        ("TUNED", ["fixed", "tuned"], "did you mean tuned?"),
        ("relu", ["tanh", "ReLU"], "did you mean ReLU?"),
        ("banana", ["fixed", "tuned"], ""),
        ("", ["fixed"], ""),
        ("x", [], ""),
    ],
)
def test_a_near_miss_is_recognised_and_a_far_one_is_not(word: str, known: list[str], hint: str) -> None:
    assert nearest(word, known) == hint


@given(st.text(), st.lists(st.text()))
def test_a_hint_names_something_known(word: str, known: list[str]) -> None:
    hint = nearest(word, known)
    assert hint == "" or hint.removeprefix("did you mean ").removesuffix("?") in known


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (False, "false"), (3, "3"), (0.5, "0.5"), ((1, 2), "[1,2]"), ("a", "a")],
)
def test_a_value_is_shown_as_it_is_typed(value: object, text: str) -> None:
    assert show(value) == text


def test_refusals_are_made_in_one_way() -> None:
    """No module ends the process or prints an error on its own; main functions hand a status back."""
    package = Path(errors.__file__).parent
    for path in package.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "exit":
                assert "__main__" in ast.unparse(tree), f"{path.name} ends the process"
                guard = [n for n in tree.body if isinstance(n, ast.If) and "__main__" in ast.unparse(n.test)]
                assert any(node in list(ast.walk(n)) for n in guard), f"{path.name} ends the process"
