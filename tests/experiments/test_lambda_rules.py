"""The table of rules for lambda: each is one entry, one file of conf/lambda, and one row of this test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import yaml
from commands import Command
from recipes import SMALL

from hw6.command import folders
from hw6.experiments.double_descent_drawing import NAMES
from hw6.experiments.double_descent_keys import KEYS
from hw6.mathematics.tuning import TUNING_RULES, Candidates

GIVEN = Candidates(value=0.5, minimum=0.01, maximum=100.0, num=5)
GRID = [0.01, 0.1, 1.0, 10.0, 100.0]
ERRORS = np.array([5.0, 2.0, 1.0, 1.0, 3.0])  # of the candidates on validation data: a tie of the third and the fourth


@dataclass(frozen=True)
class Row:
    """What a rule is to do with the candidates and errors above.

    Attributes:
        candidates: the lambdas that it fits.
        kept: the indices of those that get a row.
        needs: the keys that it reads.
    """

    candidates: list[float]
    kept: list[int]
    needs: set[str]


GRID_KEYS = {"lambda.min", "lambda.max", "lambda.num"}
ROWS = {
    "fixed": Row([0.5], [0], {"lambda.value"}),
    "tuned": Row(GRID, [3], GRID_KEYS | {"data.n_validation"}),
    "path": Row(GRID, [0, 1, 2, 3, 4], GRID_KEYS),
    "ridgeless": Row([0.0], [0], set()),
}


def test_every_rule_has_its_row_and_its_file() -> None:
    files = {path.stem for path in (folders.conf() / "lambda").glob("*.yaml")}
    assert set(TUNING_RULES) == set(ROWS) == files
    assert tuple(TUNING_RULES) == KEYS["lambda.kind"].choices  # type: ignore[attr-defined]
    assert set(NAMES["lambda.kind"]) == set(TUNING_RULES)


@pytest.mark.parametrize("name", list(TUNING_RULES))
def test_a_rule_does_what_its_row_says(name: str) -> None:
    rule, row = TUNING_RULES[name], ROWS[name]
    candidates = rule.candidates(GIVEN)
    assert candidates.dtype == np.float64
    assert candidates.tolist() == row.candidates
    assert list(rule.choice(candidates, ERRORS[: len(candidates)])) == row.kept
    assert rule.rows(len(candidates)) == len(row.kept)
    assert set(rule.needs) == row.needs


@pytest.mark.parametrize("name", list(TUNING_RULES))
def test_a_rule_needs_the_keys_of_its_file(name: str) -> None:
    content = yaml.safe_load((folders.conf() / "lambda" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert content.pop("kind") == name
    needed = {key.removeprefix("lambda.") for key in TUNING_RULES[name].needs if key.startswith("lambda.")}
    assert set(content) == needed


@pytest.mark.parametrize("name", list(TUNING_RULES))
def test_a_rule_is_refused_where_it_needs_validation_rows_and_there_are_none(command: Command, name: str) -> None:
    ran = command(*SMALL, "p=5", f"lambda={name}", "data.n_validation=0")
    if "data.n_validation" in TUNING_RULES[name].needs:
        assert ran.status == 2
        assert ran.lines[0].startswith(f"data.n_validation=0: lambda={name} needs validation rows")
    else:
        assert ran.status == 0


@pytest.mark.parametrize("name", list(TUNING_RULES))
def test_a_rule_gives_as_many_rows_as_it_says(command: Command, name: str) -> None:
    rule = TUNING_RULES[name]
    grid = ["lambda.num=3"] if "lambda.num" in rule.needs else []
    frame = command.sweep(*SMALL, "p=5,6", f"lambda={name}", *grid)
    assert len(frame) == 2 * rule.rows(3 if grid else 1)
