"""Inputs and comparisons that several test files share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hw6.contract.answers import CellAnswers
from hw6.contract.experiment import Cells, Columns, Experiment
from hw6.contract.failure import Failure
from hw6.contract.keys import Choice, Flag, Integer, Integers, Real
from hw6.errors import BadInput

RAISES, INFINITE, NAN = 13, 14, 15  # values of n at which the experiment below fails
REFUSED = 99

SMALL = ("data.n_train=6", "data.n_validation=4", "data.n_test=3", "data.d=3")  # a double_descent cell in microseconds
PLAIN_COLUMNS = ["cell_id", "experiment", "status", "error_type", "error_message", "seconds"]


class OddNumberOut(RuntimeError):
    """What the experiment below raises."""


def _rows(cells: Cells) -> Columns:
    n = cells["n"]
    if (n == RAISES).any():
        raise OddNumberOut(f"n is {RAISES}\nand this second line is not for the table")
    x = cells["x"].astype(float)
    sizes = np.array([sum(value or ()) for value in cells["sizes"].tolist()], dtype=float)
    words = np.array([len(word) for word in cells["kind"].tolist()], dtype=np.int64)
    total = np.sin(n + x) * (1.0 + cells["flag"]) + sizes / 3.0
    total = np.where(n == INFINITE, np.inf, np.where(n == NAN, np.nan, total))
    return {"total": total, "letters": words, "odd": n % 2 == 1}


def _refuse(cells: Cells) -> list[BadInput]:
    return [BadInput("n", REFUSED, "is out of the question")] if (cells["n"] == REFUSED).any() else []


THIRD_PARTY = Experiment(
    name="third_party",
    version=3,
    keys={
        "n": Integer(help="a whole number", minimum=0, maximum=1000),
        "x": Real(help="a number", minimum=-10.0, maximum=10.0),
        "flag": Flag(help="true or false"),
        "kind": Choice(help="a name", choices=("plain", "fancy", "baroque")),
        "sizes": Integers(help="a list", minimum=1, optional=True),
        "inner.depth": Integer(help="one level down", minimum=0),
    },
    metrics={"total": "a number", "letters": "a whole number", "odd": "true or false"},
    rows=_rows,
    objective="total",
    order=("kind", "n"),
    refuse=_refuse,
    defaults={"n": 1, "x": 0.5, "flag": False, "kind": "plain", "sizes": None, "inner": {"depth": 2}},
)


def answers_of(experiment: Experiment, cells: Cells) -> list[list[dict[str, Any]]]:
    """The rows of each cell of an experiment that is a function of one cell; none of them may fail."""
    found = experiment.rows(cells)
    assert isinstance(found, CellAnswers)
    assert len(found.rows) == len(next(iter(cells.values())))
    return [list(rows) for rows in found.rows if not isinstance(rows, Failure)]


def install_third_party(folder: Path) -> None:
    """Make a folder that, once on the search path, announces the experiment as an installed package does."""
    install_package(folder, "third_party", "recipes:THIRD_PARTY")


def install_package(folder: Path, name: str, value: str) -> None:
    """A distribution of one experiment, as its entry point announces it, in a folder for the search path."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[hw6.experiments]\n{name} = {value}\n")


def documented_id(experiment: str, version: int, values: Mapping[str, Any]) -> str:
    """The id of a cell by the sentence that documents it, in nothing but the standard library."""
    keys = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    content = {"experiment": experiment, "keys": keys, "version": version}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode("ascii"), digest_size=10).hexdigest()


def measured(frame: pd.DataFrame) -> set[str]:
    """The columns that may differ from run to run: times, and what the experiments say that they measure."""
    from hw6.figures.table import table_of

    parts = [frame[frame["experiment"] == one] for one in frame["experiment"].unique()]
    return {"seconds", *(name for part in parts for name in table_of(part).experiment.measured)}


def bits(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """Every column of a frame in the order of the ids, numbers as the 64 bits of a float: equal means equal rows.

    Rows of one cell keep their order. What is measured is left out, and so are columns that hold nothing at all:
    whether a shard has them says nothing of a row.
    """
    ordered = frame.sort_values("cell_id", kind="stable")
    found = {}
    for name in sorted(set(frame.columns) - measured(frame)):
        column = ordered[name]
        if column.isna().all():
            continue
        if column.dtype.kind in "iuf":  # a whole number that other cells lack is a float in a frame
            found[name] = [None if pd.isna(v) else np.float64(v).view(np.uint64).item() for v in column]
        else:
            found[name] = [None if pd.isna(v) else v for v in column.astype(object)]
    return found


def assert_same_rows(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Equal rows to the last bit, whatever the order."""
    first, second = bits(one), bits(other)
    assert len(one) > 0
    assert first.keys() == second.keys()
    for name in first:
        assert first[name] == second[name], f"column {name} differs"


class NeedsTwoWords(Exception):
    """An exception that pickle can write but not read: it is made from other things than its message."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def raise_two_words() -> None:
    """Raise an exception that does not survive a journey between processes."""
    raise NeedsTwoWords("cannot", "travel")


def say(text: str) -> str:
    """Print on both streams and return."""
    import sys

    print(text)
    print(text, file=sys.stderr)
    return text


# The default cell of each experiment and its id, frozen: a new key at its default must leave it as it is.
FROZEN_IDS: dict[str, tuple[dict[str, Any], str]] = {
    "noop": ({"p": 100, "seed": 0}, "d3596c50f608cc1c1ba3"),
    "double_descent": (
        {
            "p": 100,
            "seed": 0,
            "lambda.kind": "fixed",
            "lambda.value": 0.01,
            "data.kind": "gaussian",
            "data.d": 35,
            "data.sigma": 0.5,
            "data.sigma_validation": 0.0,
            "data.sigma_test": 0.0,
            "data.n_train": 300,
            "data.n_validation": 60,
            "data.n_test": 30,
            "features.activation": "relu",
            "device.kind": "cpu",
        },
        "306af0b1e5dad87fc448",
    ),
    "dropout": ({"activation": "ReLU", "q": 0.4, "mode": "train", "seed": 0, "samples": 65536}, "8fc982e83e6e0077a276"),
    "residual": (
        {
            "depth": 20,
            "width": 32,
            "input_width": 32,
            "skip": True,
            "activation": "tanh",
            "zeroed_layer": 0,
            "zeroed": "A",
            "seed": 0,
        },
        "150dbd71ae6b4fc02516",
    ),
    "initialization": (
        {
            "depth": None,
            "width": None,
            "input_width": None,
            "widths": None,
            "networks": 1000,
            "init": "pytorch",
            "activation": "identity",
            "input_law": "normal",
            "seed": 0,
        },
        "fcb18a08f081ee07a40f",
    ),
    "stm_conv": (
        {
            "implementation": "fused",
            "batch": 1,
            "resolution": 14,
            "dtype": "float32",
            "device.kind": "cpu",
            "seed": 0,
            "repeats": 5,
        },
        "6bda8e804e174b246bc1",
    ),
    "third_party": (
        {"n": 1, "x": 0.5, "flag": False, "kind": "plain", "sizes": (2, 3), "inner.depth": 2},
        "3f2c84c8fdcccf4f54e8",
    ),
}
