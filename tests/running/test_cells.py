"""A chunk becomes rows: failures are rows, and take no neighbour along."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipes import INFINITE, NAN, RAISES, THIRD_PARTY

from hw6.contract.experiment import Cells, Columns, Experiment
from hw6.contract.keys import Integer
from hw6.experiments.double_descent import EXPERIMENT as DOUBLE_DESCENT
from hw6.experiments.noop import EXPERIMENT as NOOP
from hw6.running.cells import failed_cells, run_cells

ALWAYS = ["cell_id", "experiment", "status", "error_type", "error_message", "seconds"]


def cells_of(n: list[int], **constants: Any) -> dict[str, np.ndarray]:
    count = len(n)
    defaults = {"x": 0.5, "flag": False, "kind": "plain", "sizes": None, "inner.depth": 2} | constants
    columns: dict[str, np.ndarray] = {"n": np.array(n, dtype=np.int64)}
    for key, value in defaults.items():
        column = np.empty(count, dtype=object if value is None or isinstance(value, (str, tuple)) else type(value))
        column[:] = [value] * count
        columns[key] = column
    return dict(sorted(columns.items()))


def ids_of(count: int) -> np.ndarray:
    return np.array([f"{number:020x}".encode() for number in range(count)], dtype="S20")


def run(experiment: Experiment, cells: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
    rows = run_cells(experiment, cells, ids_of(len(next(iter(cells.values()))))).columns
    table = pa.Table.from_arrays(list(rows.values()), names=list(rows))
    table.validate(full=True)
    return {name: table[name].to_pylist() for name in table.column_names}


def made(rows: Callable[[Cells], Columns], **changes: Any) -> Experiment:
    plain = Experiment(
        name="made",
        version=1,
        keys={"n": Integer(help="a number", default=0)},
        metrics={"y": "a number"},
        rows=rows,
        order=("n",),
    )
    return replace(plain, **changes)


def test_every_row_has_the_columns_that_all_rows_have() -> None:
    table = run(THIRD_PARTY, cells_of([3, 4]))
    assert list(table)[:6] == ALWAYS
    assert set(table) == {*ALWAYS, *THIRD_PARTY.keys, *THIRD_PARTY.metrics}
    assert table["status"] == ["done", "done"]
    assert table["error_type"] == table["error_message"] == [None, None]
    assert table["experiment"] == ["third_party"] * 2
    assert table["odd"] == [True, False]
    assert table["letters"] == [5, 5]
    assert all(value >= 0 for value in table["seconds"])


def test_an_experiment_without_metrics_gives_rows_too() -> None:
    table = run(NOOP, {"p": np.array([1, 2, 3]), "seed": np.array([0, 0, 0])})
    assert table["cell_id"] == [digest.decode() for digest in ids_of(3)]
    assert table["status"] == ["done"] * 3
    assert set(table) == {*ALWAYS, "p", "seed"}


@given(st.lists(st.sampled_from([1, 2, 3, 4, 5, RAISES, INFINITE, NAN]), min_size=1, max_size=24))
def test_a_failing_cell_leaves_its_neighbours_their_bits(n: list[int]) -> None:
    table = run(THIRD_PARTY, cells_of(n))
    assert table["n"] == n
    assert table["cell_id"] == [digest.decode() for digest in ids_of(len(n))]
    for row, value in enumerate(n):
        alone = run(THIRD_PARTY, cells_of([value]))
        failed = value in {RAISES, INFINITE, NAN}
        assert table["status"][row] == ("failed" if failed else "done")
        for name in ("error_type", "error_message", "letters", "odd", "total"):
            ours = table[name][row] if name in table else None
            theirs = alone[name][0] if name in alone else None
            assert repr(ours) == repr(theirs), name


def test_a_failure_says_why() -> None:
    table = run(THIRD_PARTY, cells_of([1, RAISES, INFINITE, NAN]))
    assert table["error_type"] == [None, "OddNumberOut", "NonFiniteResult", "NonFiniteResult"]
    assert table["error_message"] == [None, "n is 13", "total is inf", "total is nan"]
    assert table["total"][1] is None
    assert table["letters"][1] is None


def test_a_message_is_one_line_and_never_empty() -> None:
    def rows(cells: Cells) -> Columns:
        raise ValueError("")

    table = run(made(rows), {"n": np.array([1])})
    assert table["error_type"] == ["ValueError"]
    assert table["error_message"][0]
    assert "\n" not in table["error_message"][0]


def test_when_every_cell_fails_every_row_says_so() -> None:
    table = run(THIRD_PARTY, cells_of([RAISES] * 7))
    assert table["status"] == ["failed"] * 7
    assert set(table["error_type"]) == {"OddNumberOut"}


@pytest.mark.parametrize("largest", [1, 2, 3, 7])
def test_an_experiment_that_cannot_take_many_cells_gets_fewer(largest: int) -> None:
    sizes = []

    def rows(cells: Cells) -> Columns:
        sizes.append(len(cells["n"]))
        if len(cells["n"]) > largest:
            raise MemoryError("too many")
        return {"y": cells["n"] * 0.1}

    table = run(made(rows), {"n": np.arange(20)})
    assert table["status"] == ["done"] * 20
    assert table["y"] == [n * 0.1 for n in range(20)]
    assert sizes.count(20) == 1, "the whole batch is tried once"


def test_halving_is_quick_where_one_cell_is_at_fault() -> None:
    calls = []

    def rows(cells: Cells) -> Columns:
        calls.append(len(cells["n"]))
        if (cells["n"] == 700).any():
            raise ValueError("here")
        return {"y": cells["n"] * 1.0}

    table = run(made(rows), {"n": np.arange(1024)})
    assert [n for n, status in zip(table["n"], table["status"], strict=True) if status == "failed"] == [700]
    assert len(calls) <= 2 * 10 + 1


def test_interruptions_are_no_failures_of_cells() -> None:
    def rows(cells: Cells) -> Columns:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(made(rows), {"n": np.array([1, 2])})


def _many(cells: Cells) -> Columns:
    """n rows for a cell with value n; none for 0."""
    n = cells["n"]
    if (n == 9).any():
        raise ValueError("nine")
    cell = np.repeat(np.arange(len(n)), n)
    inside = np.concatenate([np.arange(value) for value in n.tolist()] or [np.arange(0)])
    return {"cell": cell, "depth": inside, "y": n[cell] + inside / 10}


@given(st.lists(st.sampled_from([1, 2, 3, 9]), min_size=1, max_size=12))
def test_cells_may_have_several_rows(n: list[int]) -> None:
    table = run(made(_many, metrics={"depth": "how deep", "y": "a number"}), {"n": np.array(n)})
    wanted = []
    for position, value in enumerate(n):
        layers = [None] if value == 9 else range(value)
        wanted += [
            (f"{position:020x}", value, layer, None if layer is None else value + layer / 10) for layer in layers
        ]
    names = ["cell_id", "n", "depth", "y"]
    found = list(zip(*(table.get(name, [None] * len(table["n"])) for name in names), strict=True))
    assert found == wanted


def test_rows_of_one_cell_share_its_time() -> None:
    table = run(made(_many, metrics={"depth": "how deep", "y": "a number"}), {"n": np.array([3, 1])})
    assert len(set(table["seconds"][:3])) == 1
    assert sum(table["seconds"][:3]) == pytest.approx(table["seconds"][3], rel=1e-9)
    assert sum(table["seconds"]) < 1.0


def test_what_a_metric_does_not_apply_to_is_masked_and_no_failure() -> None:
    def rows(cells: Cells) -> Columns:
        even = cells["n"] % 2 == 0
        return {"y": np.ma.masked_array(np.where(even, 1.0, np.nan), mask=~even)}

    table = run(made(rows), {"n": np.arange(4)})
    assert table["status"] == ["done"] * 4
    assert table["y"] == [1.0, None, 1.0, None]


def test_masks_survive_a_neighbour_that_fails() -> None:
    def rows(cells: Cells) -> Columns:
        if (cells["n"] == 2).any():
            raise ValueError("two")
        odd = cells["n"] % 2 == 1
        return {"y": np.ma.masked_array(cells["n"] * 1.0, mask=odd)}

    table = run(made(rows), {"n": np.arange(5)})
    assert table["y"] == [0.0, None, None, None, 4.0]
    assert table["status"] == ["done", "done", "failed", "done", "done"]


def test_blas_runs_on_one_thread_inside_and_as_before_outside() -> None:
    from threadpoolctl import threadpool_info

    def threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    inside: list[int] = []

    def rows(cells: Cells) -> Columns:
        inside.extend(threads())
        return {"y": cells["n"] * 1.0}

    before = threads()
    run(made(rows), {"n": np.array([1])})
    assert inside
    assert set(inside) == {1}
    assert threads() == before


def test_a_wrong_number_of_entries_is_a_failure_and_no_mixup() -> None:
    """An experiment that returns too few entries must not give rows to the wrong cells."""

    def rows(cells: Cells) -> Columns:
        return {"y": cells["n"][:1] * 1.0}

    table = run(made(rows), {"n": np.array([5, 6])})
    assert len(table["n"]) == 2
    wrong = [row for row in range(2) if table["status"][row] == "done" and table["y"][row] != table["n"][row]]
    assert wrong == []


def test_the_keys_of_a_cell_stand_in_its_row_exactly() -> None:
    table = run(THIRD_PARTY, cells_of([1, 2], sizes=(4, 5), kind="fancy", x=-0.1, flag=True))
    assert table["sizes"] == ["[4, 5]", "[4, 5]"]
    assert table["kind"] == ["fancy", "fancy"]
    assert table["x"] == [-0.1, -0.1]
    assert table["flag"] == [True, True]
    assert table["inner.depth"] == [2, 2]


def test_overflowing_data_fail_alone() -> None:
    """Noise so large that its square is no number any more."""
    p = np.array([3, 3, 5])
    sigma = np.array([0.5, 1e200, 0.5])
    constants: dict[str, Any] = {
        "seed": 0,
        "data.d": 3,
        "data.sigma_validation": 0.0,
        "data.sigma_test": 0.0,
        "data.n_train": 6,
        "data.n_validation": 4,
        "data.n_test": 3,
        "lambda.value": 0.01,
        "exact_risk": False,
    }
    texts = {"lambda.kind": "fixed", "data.kind": "gaussian", "features.activation": "relu", "device.kind": "cpu"}

    def batch(chosen: list[int]) -> dict[str, np.ndarray]:
        columns = {key: np.full(len(chosen), value) for key, value in constants.items()}
        columns |= {key: np.array([value] * len(chosen), dtype=object) for key, value in texts.items()}
        return dict(sorted((columns | {"p": p[chosen], "data.sigma": sigma[chosen]}).items()))

    whole = run(DOUBLE_DESCENT, batch([0, 1, 2]))
    assert whole["status"] == ["done", "failed", "done"]
    assert whole["error_type"][1]
    for row in (0, 2):
        alone = run(DOUBLE_DESCENT, batch([row]))
        for name in DOUBLE_DESCENT.metrics:
            assert repr(whole.get(name, [None] * 3)[row]) == repr(alone.get(name, [None])[0]), name


# --- the time of a row ----------------------------------------------------------------------------------------------


class Clock:
    """A clock that runs while an experiment does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def rows(self, cells: Cells) -> Columns:
        """Two seconds a cell; n rows of a cell, 13 raises, 14 is infinite."""
        n = cells["n"]
        self.now += 2.0 * len(n)
        if (n == RAISES).any():
            raise ValueError("here")
        count = np.where(n < 5, n, 1)
        cell = np.repeat(np.arange(len(n)), count)
        return {"cell": cell, "y": np.where(n == INFINITE, np.inf, n)[cell]}


def test_a_batchs_time_is_spread_over_its_cells_and_theirs_over_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    table = run(made(Clock(monkeypatch).rows), {"n": np.array([3, 1])})
    assert table["seconds"] == [2.0 / 3.0] * 3 + [2.0]


def test_a_failed_cell_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch that failed is nobody's: its halves ran again."""
    table = run(made(Clock(monkeypatch).rows), {"n": np.array([1, 1, 4, RAISES])})
    assert table["seconds"] == [2.0, 2.0, 0.5, 0.5, 0.5, 0.5, 2.0]
    assert table["status"] == ["done"] * 6 + ["failed"]


def test_a_cell_without_a_finite_number_keeps_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    table = run(made(Clock(monkeypatch).rows), {"n": np.array([2, INFINITE, 2, INFINITE])})
    assert table["seconds"] == [1.0, 1.0, 2.0, 1.0, 1.0, 2.0]
    assert table["status"] == ["done", "done", "failed", "done", "done", "failed"]
    alone = run(made(Clock(monkeypatch).rows), {"n": np.array([INFINITE])})
    assert (alone["seconds"], alone["error_message"]) == ([2.0], ["y is inf"])


def test_an_odd_kind_of_answer_is_a_failure_that_took_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    def rows(cells: Cells) -> Columns:
        clock.now += 3.0 * len(cells["n"])
        if len(set(cells["n"].tolist())) > 1:
            raise ValueError("of one kind alone")
        return {"y": cells["n"] > 0 if cells["n"][0] == 7 else cells["n"] * 1.0}

    table = run(made(rows), {"n": np.array([1, 1, 1, 1, 7, 7, 1, 1])})
    assert table["status"] == ["done"] * 4 + ["failed"] * 2 + ["done"] * 2
    assert table["seconds"] == [3.0] * 8
    assert table["y"] == [1.0] * 4 + [None] * 2 + [1.0] * 2
    assert set(table["error_message"][4:6]) == {"y is a truth value here and a number in most other cells"}


def test_a_cell_that_was_not_run_took_no_time_and_says_what_happened() -> None:
    cells = cells_of([1, 2])
    rows = failed_cells(THIRD_PARTY, cells, ids_of(2), MemoryError("no room\nat all")).columns
    table = pa.Table.from_arrays(list(rows.values()), names=list(rows))
    table.validate(full=True)
    found = {name: table[name].to_pylist() for name in table.column_names}
    assert found["cell_id"] == [digest.decode() for digest in ids_of(2)]
    assert (found["n"], found["status"], found["seconds"]) == ([1, 2], ["failed"] * 2, [0.0, 0.0])
    assert (found["error_type"], found["error_message"]) == (["MemoryError"] * 2, ["no room"] * 2)


def test_constant_texts_are_one_entry_however_they_are_held() -> None:
    cells = {"kind": np.broadcast_to(np.array(["a"], dtype=object), (3,)), "n": np.array([1, 9, 2])}
    nothing = np.broadcast_to(np.array([None], dtype=object), (3,))
    sizes = np.empty(1, dtype=object)
    sizes[0] = (4, 5)
    table = run(
        made(_many, metrics={"depth": "how deep", "y": "a number"}),
        cells | {"none": nothing, "sizes": np.broadcast_to(sizes, (3,))},
    )
    assert table["n"] == [1, 9, 2, 2]
    assert table["kind"] == ["a"] * 4
    assert table["none"] == [None] * 4
    assert table["sizes"] == ["[4, 5]"] * 4


def test_an_experiment_is_given_the_cells_themselves_and_cannot_change_them() -> None:
    n = np.array([1, 2, RAISES])
    seen: list[list[int]] = []

    def rows(cells: Cells) -> Columns:
        seen.append(cells["n"].tolist())
        with pytest.raises(ValueError, match="read-only"):
            cells["n"][0] = 5
        if RAISES in seen[-1]:
            raise ValueError("here")
        return {"y": cells["n"] * 1.0}

    table = run(made(rows), {"n": n})
    assert seen == [[1, 2, RAISES], [1], [2, RAISES], [2], [RAISES]]
    assert (table["n"], n.tolist(), n.flags.writeable) == ([1, 2, RAISES], [1, 2, RAISES], True)
