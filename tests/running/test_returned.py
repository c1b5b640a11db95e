"""What an experiment returns is checked, never believed: one failed row for the cell at fault, no other is lost."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hw6.contract.experiment import Cells, Experiment
from hw6.contract.keys import Integer, OptionalInteger
from hw6.contract.metrics import Counts, Text
from hw6.errors import LONGEST, described
from hw6.running.cells import run_cells
from hw6.running.returned import BadRows, checked, odd_ones
from hw6.store import shards

BAD = 3  # the value of n at which a misbehaving experiment misbehaves
KEYS = {
    "n": Integer(help="a number", default=0),
    "depth": OptionalInteger(help="how deep", default=None, resolves=True),
}
METRICS = {"y": "a number", "word": Text("a text"), "counts": Counts("a histogram")}


def of(rows: Callable[[Cells], Any]) -> Experiment:
    return Experiment("odd", 1, KEYS, METRICS, rows)


def run(experiment: Experiment, n: list[int]) -> dict[str, list[Any]]:
    ids = np.array([f"{number:020x}".encode() for number in range(len(n))], dtype="S20")
    depth = np.empty(len(n), dtype=object)
    rows = run_cells(experiment, {"depth": depth, "n": np.array(n, dtype=np.int64)}, ids).columns
    table = pa.Table.from_arrays(list(rows.values()), names=list(rows))
    table.validate(full=True)
    return {name: table[name].to_pylist() for name in table.column_names}


def objects(values: list[Any]) -> npt.NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    return array


def column(good: Any, bad: Any, name: str = "y") -> Callable[[Cells], Any]:
    """Columns as lists of Python values, with one other entry where n is BAD."""

    def rows(cells: Cells) -> Any:
        return {name: objects([bad if n == BAD else good for n in cells["n"].tolist()])}

    return rows


def where_bad(wrong: Callable[[Cells], Any]) -> Callable[[Cells], Any]:
    """Right rows for every batch without the bad cell, otherwise what ``wrong`` gives."""

    def rows(cells: Cells) -> Any:
        return wrong(cells) if (cells["n"] == BAD).any() else {"y": cells["n"] * 1.0}

    return rows


def raising(error: BaseException) -> Callable[[Cells], Any]:
    def rows(cells: Cells) -> Any:
        raise error

    return rows


class Unspeakable(Exception):
    """An exception whose own text raises."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class LastWords(Exception):
    """An exception whose own text ends the process."""

    def __str__(self) -> str:
        raise SystemExit(3)


def writing(cells: Cells) -> Any:
    cells["n"][:] = 0
    return {"y": cells["n"] * 1.0}


def doubled(cells: Cells) -> pd.DataFrame:
    return pd.DataFrame([[1.0, 2.0]] * len(cells["n"]), columns=["y", "y"])


MISBEHAVING: dict[str, tuple[Callable[[Cells], Any], str]] = {
    "nothing": (lambda cells: None, "BadRows: rows returned None, not columns by name"),
    "a list": (lambda cells: [("y", cells["n"])], "BadRows: rows returned a list"),
    "a number": (lambda cells: 3.0, "BadRows: rows returned a float"),
    "one entry too few": (lambda cells: {"y": cells["n"][1:] * 1.0}, "BadRows: y has shape (0,), and there are 1 rows"),
    "one entry too many": (lambda cells: {"y": np.zeros(len(cells["n"]) + 1)}, "BadRows: y has shape (2,)"),
    "a bare number": (lambda cells: {"y": 1.0}, "BadRows: y is a float, not a column"),
    "no dimension": (lambda cells: {"y": np.array(1.0)}, "BadRows: y has shape (), and there are 1 rows"),
    "two dimensions": (lambda cells: {"y": np.zeros((len(cells["n"]), 2))}, "BadRows: y has shape (1, 2)"),
    "a column of a matrix": (lambda cells: {"y": np.zeros((len(cells["n"]), 1))}, "BadRows: y has shape (1, 1)"),
    "lists in a list": (lambda cells: {"y": [[1.0, 2.0]] * len(cells["n"])}, "BadRows: y has shape (1, 2)"),
    "ragged lists": (lambda cells: {"y": [[1.0], [1.0, 2.0]]}, "BadRows: y holds lists"),
    "objects": (lambda cells: {"y": objects([object()] * len(cells["n"]))}, "BadRows: y holds a object; a metric is"),
    "dictionaries": (lambda cells: {"y": [{}] * len(cells["n"])}, "BadRows: y holds a dict"),
    "missing values": (lambda cells: {"y": [None] * len(cells["n"])}, "BadRows: y holds None"),
    "complex numbers": (lambda cells: {"y": cells["n"] * 1j}, "BadRows: y holds complex numbers"),
    "texts": (lambda cells: {"y": np.array(["1.5"] * len(cells["n"]))}, "BadRows: y holds texts"),
    "texts in a list": (lambda cells: {"y": ["1.5"] * len(cells["n"])}, "BadRows: y holds a str"),
    "bytes": (lambda cells: {"y": np.array([b"1"] * len(cells["n"]))}, "BadRows: y holds bytes"),
    "dates": (lambda cells: {"y": np.array(["2026-01-01"] * len(cells["n"]), dtype="M8[D]")}, "BadRows: y holds times"),
    "records": (lambda cells: {"y": np.zeros(len(cells["n"]), dtype=[("a", "f8")])}, "BadRows: y holds records"),
    "one text": (lambda cells: {"y": "12"}, "BadRows: y is a str, not a column"),
    "a set": (lambda cells: {"y": {1.0}}, "BadRows: y is a set, not a column"),
    "whole numbers beyond 64 bits": (lambda cells: {"y": [10**30] * len(cells["n"])}, "BadRows: y holds whole numbers"),
    "unsigned beyond 63 bits": (
        lambda cells: {"y": np.full(len(cells["n"]), 2**63, dtype=np.uint64)},
        "BadRows: y holds 9223372036854775808, and whole numbers end at 2^63 - 1",
    ),
    "numbers and truth values": (
        lambda cells: {"y": [True, 0.5][: len(cells["n"]) + 1]},
        "BadRows: y mixes bool and f",
    ),
    "an unknown metric": (
        lambda cells: {"y": cells["n"], "z": cells["n"]},
        "BadRows: z is no metric of odd; its metric",
    ),
    "a key": (lambda cells: {"y": cells["n"], "n": cells["n"]}, "BadRows: n is no metric of odd"),
    "a name that is no text": (lambda cells: {3: cells["n"]}, "BadRows: a column is named 3, which is no text"),
    "a doubled name": (doubled, "BadRows: there are several columns named y"),
    "cell out of range": (lambda cells: {"cell": [len(cells["n"])], "y": [1.0]}, 'BadRows: "cell" points at 1, and'),
    "cell below zero": (lambda cells: {"cell": [-1], "y": [1.0]}, 'BadRows: "cell" points at -1'),
    "cell of fractions": (lambda cells: {"cell": [0.0], "y": [1.0]}, 'BadRows: "cell" must be a list of whole numbers'),
    "cell of two dimensions": (lambda cells: {"cell": [[0]], "y": [1.0]}, 'BadRows: "cell" must be'),
    "no rows": (lambda cells: {"cell": np.empty(0, dtype=int), "y": np.empty(0)}, "BadRows: a cell was given no row"),
    "words that are numbers": (
        lambda cells: {"word": [1.0] * len(cells["n"])},
        "BadRows: word holds float64, and is ann",
    ),
    "a text that cannot be encoded": (
        lambda cells: {"word": ["\ud800"] * len(cells["n"])},
        "BadRows: word holds '\\ud8",
    ),
    "words among other things": (
        lambda cells: {"word": objects([["a"]] * len(cells["n"]))},
        "BadRows: word holds a list",
    ),
    "a text beside a number": (
        lambda cells: {"word": ["a", 3][: len(cells["n"]) + 1]},
        "BadRows: word mixes int and str",
    ),
    "counts that are fractions": (lambda cells: {"counts": [[0.5]] * len(cells["n"])}, "BadRows: counts holds a list"),
    "counts below zero": (lambda cells: {"counts": [(-1,)] * len(cells["n"])}, "BadRows: counts holds a tuple"),
    "counts without bins": (lambda cells: {"counts": [3] * len(cells["n"])}, "BadRows: counts holds a int"),
    "too few counts": (lambda cells: {"counts": []}, "BadRows: counts has 0 entries, and there are 1 rows"),
    "an error": (raising(ValueError("wrong\nand a second line")), "ValueError: wrong"),
    "an error without words": (raising(ValueError()), "ValueError: no message"),
    "an error that cannot be told": (raising(Unspeakable()), "Unspeakable: no message"),
    "an error that cannot be encoded": (raising(ValueError("\udcff")), "ValueError: \\udcff"),
    "a way out": (raising(SystemExit(3)), "SystemExit: 3"),
    "a generator's end": (raising(GeneratorExit()), "GeneratorExit: no message"),
    "no more memory": (raising(MemoryError("no room")), "MemoryError: no room"),
    "an iterator's end": (raising(StopIteration()), "StopIteration: no message"),
    "no base": (raising(BaseException("bare")), "BaseException: bare"),
    "large whole numbers of both signs": (
        lambda cells: {"y": [2**63 + 1, -1][: len(cells["n"]) + 1]},
        "BadRows: y holds whole numbers beyond 64 bits",
    ),
    "a deque": (lambda cells: {"y": deque([1.0] * len(cells["n"]))}, "BadRows: y is a deque, not a column"),
    "bytes of numbers": (lambda cells: {"y": bytearray(len(cells["n"]))}, "BadRows: y is a bytearray, not a column"),
    "arrays in a list": (lambda cells: {"y": [np.array(True)] * len(cells["n"])}, "BadRows: y holds a ndarray"),
    "numbers as objects": (
        lambda cells: {"y": objects([1.0] * len(cells["n"]))},
        "BadRows: y holds numbers as objects",
    ),
    "counts in a set": (lambda cells: {"counts": {(1, 2)}}, "BadRows: counts is a set, not a column of histograms"),
    "a number for counts": (lambda cells: {"counts": 3}, "BadRows: counts is a int, not a column of histograms"),
    "counts of truth values": (lambda cells: {"counts": [[True, 2]] * len(cells["n"])}, "BadRows: counts holds a list"),
    "counts of bytes": (lambda cells: {"counts": [bytearray(b"ab")] * len(cells["n"])}, "BadRows: counts holds a byte"),
    "partly masked counts": (
        lambda cells: {"counts": np.ma.masked_array([[1, 2]] * len(cells["n"]), [[True, False]] * len(cells["n"]))},
        "BadRows: counts has histograms of which some bins are masked",
    ),
    "a masked cell": (
        lambda cells: {"cell": np.ma.masked_array([0], [True]), "y": [1.0]},
        'BadRows: "cell" has masked entries',
    ),
    "a name that cannot be seen": (lambda cells: {"\n": cells["n"]}, "BadRows: '\\n' is no metric of odd"),
    "an error whose words end the process": (raising(LastWords()), "LastWords: no message"),
    "an error of an odd name": (raising(type("A\nB", (Exception,), {})("x")), "A B: x"),
    "writing into the cells": (writing, "ValueError: assignment destination is read-only"),
}


@pytest.mark.parametrize("name", list(MISBEHAVING))
def test_five_good_cells_and_a_bad_one_give_five_rows_and_a_failure(name: str) -> None:
    wrong, says = MISBEHAVING[name]
    n = [0, 1, 2, BAD, 4, 5]
    table = run(of(where_bad(wrong)), n)
    assert table["n"] == n
    assert table["status"] == ["done", "done", "done", "failed", "done", "done"]
    assert f"{table['error_type'][3]}: {table['error_message'][3]}".startswith(says)
    assert table["y"] == [None if value == BAD else float(value) for value in n]
    json.dumps(table, ensure_ascii=False).encode()  # every text can be written


class Overbearing(np.ndarray):
    """A subclass that says something else than it holds."""

    def __getitem__(self, index: Any) -> Any:
        return np.zeros(1)

    def __array_function__(self, *arguments: Any, **more: Any) -> Any:
        raise RuntimeError("no")


def replacing(cells: Any) -> None:
    cells["n"] = cells["n"] + 100


def losing(cells: Any) -> None:
    cells.pop("n")


def unlocking(cells: Any) -> None:
    cells["n"].flags.writeable = True
    cells["n"][:] = 7


@pytest.mark.parametrize("mischief", [replacing, losing, unlocking])
def test_the_keys_of_a_row_are_out_of_the_experiments_reach(mischief: Callable[[Any], None]) -> None:
    def rows(cells: Cells) -> Any:
        y = cells["n"] * 1.0
        mischief(cells)
        return {"y": y}

    table = run(of(rows), [1, 2, 3])
    assert (table["n"], table["y"], table["status"]) == ([1, 2, 3], [1.0, 2.0, 3.0], ["done"] * 3)


def test_a_buffer_that_is_used_again_changes_no_row() -> None:
    buffer = np.zeros(8)

    def rows(cells: Cells) -> Any:
        if BAD in cells["n"]:
            raise ValueError("here")
        buffer[: len(cells["n"])] = cells["n"] * 1.5
        return {"y": buffer[: len(cells["n"])]}

    table = run(of(rows), [0, 1, 2, BAD, 4, 5])
    assert table["y"] == [0.0, 1.5, 3.0, None, 6.0, 7.5]


def test_a_subclass_of_an_array_is_taken_for_what_it_holds() -> None:
    table = run(of(lambda cells: {"y": (cells["n"] * 1.0).view(Overbearing)}), [1, 2])
    assert table["y"] == [1.0, 2.0]


def test_a_text_is_what_it_holds_and_not_what_it_says() -> None:
    class Odd(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 1

        def encode(self, *arguments: Any, **more: Any) -> bytes:
            raise RuntimeError("no")

    assert run(of(lambda cells: {"word": [Odd("a"), Odd("b")]}), [1, 2])["word"] == ["a", "b"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_cell_with_a_number_that_is_none_has_one_row_without_metrics(value: float) -> None:
    """Of several rows too: a failure is one row, whatever its other rows hold."""

    def rows(cells: Cells) -> Any:
        cell = np.repeat(np.arange(len(cells["n"])), 3)
        n = cells["n"][cell]
        layer = np.tile(np.arange(3), len(cells["n"]))
        return {"cell": cell, "y": np.where((n == BAD) & (layer == 1), value, n * 1.0), "word": ["a"] * len(cell)}

    table = run(of(rows), [1, BAD, 2])
    assert table["n"] == [1, 1, 1, BAD, 2, 2, 2]
    assert table["status"] == ["done"] * 3 + ["failed"] + ["done"] * 3
    assert table["error_type"][3] == "NonFiniteResult"
    assert table["error_message"][3] == f"y is {value}"
    assert table["y"] == [1.0] * 3 + [None] + [2.0] * 3
    assert table["word"] == ["a"] * 3 + [None] + ["a"] * 3


def test_what_is_too_large_for_float64_is_infinite_and_told() -> None:
    def rows(cells: Cells) -> Any:
        return {"y": np.where(cells["n"] == BAD, np.longdouble("1e4000"), cells["n"].astype(np.longdouble))}

    table = run(of(rows), [1, BAD, 2])
    assert table["status"] == ["done", "failed", "done"]
    assert table["error_message"][1] == "y is inf"


def test_an_experiment_may_say_that_nan_is_an_answer() -> None:
    experiment = Experiment(
        "odd", 1, KEYS, METRICS, lambda cells: {"y": np.full(len(cells["n"]), np.nan)}, finite=False
    )
    assert run(experiment, [1, 2])["status"] == ["done", "done"]


@pytest.mark.parametrize(("rare", "common"), [(True, 0.5), (0.5, True), (True, 3), (2, False)])
@pytest.mark.parametrize("place", [0, 3, 5])
def test_a_metric_has_one_type_throughout(rare: Any, common: Any, place: int) -> None:
    """A vectorised experiment would make one type of it; one that goes cell by cell fails where it is the odd one."""

    def rows(cells: Cells) -> Any:
        values = [rare if n == place else common for n in cells["n"].tolist()]
        if len(values) > 1:
            raise ValueError("one at a time")
        return {"y": values}

    table = run(of(rows), list(range(6)))
    assert [row for row, status in enumerate(table["status"]) if status == "failed"] == [place]
    assert table["error_type"][place] == "BadRows"
    assert "in most other cells" in table["error_message"][place]


@given(st.lists(st.tuples(st.sampled_from("nb"), st.integers(1, 4)), max_size=6))
@example([("b", 2), ("n", 1)])
@example([("n", 2), ("b", 1)])
@example([("b", 3)])
@example([("n", 3)])
def test_of_two_kinds_the_one_with_fewer_rows_is_odd(parts: list[tuple[str, int]]) -> None:
    rows = [kind for kind, count in parts for _ in range(count)]
    truths, numbers = rows.count("b"), rows.count("n")
    found = odd_ones(iter(parts))
    if not truths or not numbers:
        assert found is None
    elif truths != numbers:
        assert found == ("b" if truths < numbers else "n")
    else:
        assert found in ("b", "n"), "one of them, and always the same"
        assert odd_ones(reversed(parts)) == found


def test_whole_numbers_and_fractions_are_one_type() -> None:
    def rows(cells: Cells) -> Any:
        if len(cells["n"]) > 1:
            raise ValueError("one at a time")
        return {"y": cells["n"] if cells["n"][0] % 2 else cells["n"] * 0.5}

    table = run(of(rows), [1, 2, 3])
    assert table["status"] == ["done"] * 3
    assert table["y"] == [1.0, 1.0, 3.0]


PLAIN: dict[str, tuple[Any, list[Any]]] = {
    "a list of numbers": ([0.5, 1.5], [0.5, 1.5]),
    "a tuple of whole numbers": ((1, 2), [1, 2]),
    "a list of truth values": ([True, False], [True, False]),
    "numpy's own truth values": ([np.bool_(True), False], [True, False]),
    "a pandas series": (pd.Series([0.5, 1.5]), [0.5, 1.5]),
    "a masked array": (np.ma.masked_array([0.5, np.nan], [False, True]), [0.5, None]),
    "single precision": (np.array([0.5, 1.5], dtype=np.float32), [0.5, 1.5]),
    "unsigned": (np.array([1, 2**63 - 1], dtype=np.uint64), [1, 2**63 - 1]),
    "unsigned and missing": (np.ma.masked_array(np.array([1, 2], dtype=np.uint64), [True, True]), [None, None]),
    "long double": (np.array([0.5, 1.5], dtype=np.longdouble), [0.5, 1.5]),
}


@pytest.mark.parametrize("name", list(PLAIN))
def test_plain_columns_are_taken(name: str) -> None:
    given, wanted = PLAIN[name]
    table = run(of(lambda cells: {"y": given}), [7, 8])
    assert table["status"] == ["done", "done"], table["error_message"]
    assert table["y"] == wanted


def test_a_frame_is_taken_as_its_columns() -> None:
    table = run(of(lambda cells: pd.DataFrame({"y": cells["n"] * 1.0, "word": ["a", None]})), [7, 8])
    assert (table["y"], table["word"]) == ([7.0, 8.0], ["a", None])


TEXTS: dict[str, Any] = {
    "a list": ["a", None],
    "objects": objects(["a", None]),
    "a masked array": np.ma.masked_array(["a", "b"], [False, True]),
    "masked objects": np.ma.masked_array(objects(["a", 3.0]), [False, True]),
}


@pytest.mark.parametrize("name", list(TEXTS))
def test_texts_are_taken(name: str) -> None:
    table = run(of(lambda cells: {"word": TEXTS[name]}), [7, 8])
    assert table["status"] == ["done", "done"], table["error_message"]
    assert table["word"] == ["a", None]


HISTOGRAMS: dict[str, Any] = {
    "an array": np.array([[1, 2], [3, 4]]),
    "tuples": objects([(1, 2), (3, 4)]),
    "lists": [[1, 2], [3, 4]],
    "one that is missing": objects([(1, 2), None]),
    "a masked array": np.ma.masked_array(objects([(1, 2), (5, 5)]), [False, True]),
    "a masked array of numbers": np.ma.masked_array([[1, 2], [5, 5]], [[False, False], [True, True]]),
}


@pytest.mark.parametrize("name", list(HISTOGRAMS))
def test_histograms_are_taken(name: str) -> None:
    table = run(of(lambda cells: {"counts": HISTOGRAMS[name]}), [7, 8])
    assert table["status"] == ["done", "done"], table["error_message"]
    assert json.loads(table["counts"][0]) == [1, 2]
    assert table["counts"][1] in ("[3, 4]", None)


@pytest.mark.parametrize("given_counts", [np.array([[0, 2], [0, 0]]), [[0, 2], [0, 0]], objects([(0, 2), (0, 0)])])
def test_a_histogram_may_have_empty_bins(given_counts: Any) -> None:
    table = run(of(lambda cells: {"counts": given_counts}), [7, 8])
    assert table["status"] == ["done", "done"], table["error_message"]
    assert [json.loads(counts) for counts in table["counts"]] == [[0, 2], [0, 0]]


def test_the_order_of_cell_is_the_experiments_and_the_rows_come_in_the_cells_order() -> None:
    rows = of(lambda cells: {"cell": [1, 0, 1], "y": [10.0, 0.0, 11.0]})
    table = run(rows, [7, 8])
    assert (table["n"], table["y"]) == ([7, 8, 8], [0.0, 10.0, 11.0])


def test_a_key_that_resolves_is_no_stranger() -> None:
    table = run(of(lambda cells: {"depth": cells["n"] + 1, "y": cells["n"]}), [7, 8])
    assert table["depth"] == [8, 9]
    assert run(of(lambda cells: {"y": cells["n"]}), [7, 8])["depth"] == [None, None]


def test_what_is_checked_is_what_is_given_back() -> None:
    cell, columns = checked(of(lambda cells: {}), {"y": np.array([1.5, 2.5])}, 2)
    assert cell is None
    assert columns["y"].tolist() == [1.5, 2.5]
    with pytest.raises(BadRows):
        checked(of(lambda cells: {}), {"y": np.array([1.5, 2.5])}, 3)


def test_a_long_message_is_cut() -> None:
    kind, text = described(ValueError("x" * 10_000))
    assert (kind, len(text)) == ("ValueError", LONGEST)
    assert text.endswith("...")
    assert described(ValueError("x" * LONGEST))[1] == "x" * LONGEST


def test_interruptions_go_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(of(raising(KeyboardInterrupt())), [1, 2])


def test_misbehaving_rows_can_be_stored(tmp_path: Any) -> None:
    """What is wrong is a row in a shard, not the end of the chunk."""
    ids = np.array([f"{number:020x}".encode() for number in range(2)], dtype="S20")
    cells = {"depth": np.empty(2, dtype=object), "n": np.array([1, BAD])}
    for wrong, _ in MISBEHAVING.values():
        shards.write_shard(tmp_path, run_cells(of(where_bad(wrong)), cells, ids).columns)
    done, failed, damaged = shards.cell_ids(tmp_path)
    assert (len(done), len(failed), damaged) == (1, 1, [])
