"""Shards become one tidy frame: all rows, numbers as numbers, choices as categories, the best try of each cell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from commands import Command
from recipes import PLAIN_COLUMNS, RAISES, SMALL, THIRD_PARTY, assert_same_rows

import hw6
from hw6.aggregate import load
from hw6.errors import NoResults
from hw6.store import directory, shards
from hw6.store.columns import arrow_column, categories, constant_category


def write(folder: Path, **columns: Any) -> Path:
    """A shard with these columns; status and cell ids are filled in."""
    folder.mkdir(parents=True, exist_ok=True)
    count = len(next(iter(columns.values())))
    ids = columns.pop("ids", range(count))
    status = columns.pop("status", ["done"] * count)
    arrays = {
        "cell_id": arrow_column(np.array([f"{n:020x}".encode() for n in ids], dtype="S20")),
        "experiment": constant_category("mine", count),
        "status": categories(status),
    }
    for name, values in columns.items():
        text = any(value is None or isinstance(value, (str, tuple)) for value in values)
        arrays[name] = categories(values) if text else arrow_column(np.array(values))
    return shards.write_shard(folder, arrays)


def sweep(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    directory.write_json(folder / directory.PROVENANCE, {"format": 1, "runs": []})
    return folder


def test_a_frame_has_its_columns_first_and_their_types(command: Command) -> None:
    frame = command.sweep(*SMALL, "p=3,4", "lambda=fixed,tuned", into="s")
    assert list(frame.columns[:6]) == PLAIN_COLUMNS
    assert frame["p"].dtype == np.int64
    assert frame["test_mse"].dtype == frame["lambda.value"].dtype == np.float64
    for name in ("experiment", "status", "lambda.kind", "data.kind", "features.activation"):
        assert isinstance(frame[name].dtype, pd.CategoricalDtype), name
    assert list(frame.index) == list(range(4))
    assert hw6.load(command.folder / "s").equals(frame)


def test_sweeps_with_other_columns_stand_below_one_another(command: Command, third_party: None) -> None:
    one = command.sweep("experiment=noop", "p=3,4", into="a")
    two = command.sweep("experiment=third_party", "n=3,4", "kind=plain,fancy", into="b")
    both = load([command.folder / "a", command.folder / "b"])
    assert len(both) == 6
    assert both["experiment"].tolist() == ["noop"] * 2 + ["third_party"] * 4
    assert set(both.columns) == set(one.columns) | set(two.columns)
    assert both["p"].isna().tolist() == [False] * 2 + [True] * 4
    assert isinstance(both["kind"].dtype, pd.CategoricalDtype)
    assert set(both["kind"].cat.categories) == {"plain", "fancy"}
    assert_same_rows(both[both["experiment"] == "noop"], one)


def test_categories_of_several_shards_are_joined(tmp_path: Path) -> None:
    write(tmp_path / "0", kind=["b", "a", None])
    write(tmp_path / "1", kind=["c", "a"], ids=[5, 6])
    write(tmp_path / "2", kind=[None], ids=[7])
    frame = load(tmp_path)
    assert [None if pd.isna(value) else value for value in frame["kind"]] == ["b", "a", None, "c", "a", None]
    assert set(frame["kind"].cat.categories) == {"a", "b", "c"}


def test_numbers_of_several_types_become_numbers(tmp_path: Path) -> None:
    write(tmp_path / "0", x=[1, 2])
    write(tmp_path / "1", x=[0.5], ids=[5])
    assert load(tmp_path)["x"].tolist() == [1.0, 2.0, 0.5]


@pytest.mark.parametrize(("first", "second"), [([1, 2], ["one"]), ([0.5, 1.5], [None]), ([True, True], ["one"])])
def test_types_that_clash_lose_no_row(tmp_path: Path, first: list[Any], second: list[Any]) -> None:
    write(tmp_path / "0", x=first)
    write(tmp_path / "1", x=second, ids=[5])
    frame = load(tmp_path)
    assert len(frame) == 3
    assert [str(value).lower() for value in frame["x"]][:2] == [str(value).lower() for value in first]


@pytest.mark.parametrize("other", [1.5, 3])
def test_a_truth_value_among_numbers_is_one_or_zero(tmp_path: Path, other: float) -> None:
    write(tmp_path / "0", x=[True, False])
    write(tmp_path / "1", x=[other], ids=[5])
    assert load(tmp_path)["x"].tolist() == [1, 0, other]


def test_an_integer_beside_nothing_keeps_its_digits(tmp_path: Path) -> None:
    large = 2**62 + 1
    write(tmp_path / "0", seed=[large, 3])
    write(tmp_path / "1", other=[1], ids=[5])
    found = load(tmp_path)["seed"]
    assert int(found[0]) == large


def test_lists_are_text_that_can_be_read_back(command: Command, third_party: None) -> None:
    import json

    frame = command.sweep("experiment=third_party", "sizes=[2,3],[4],null")
    texts = [None if pd.isna(value) else json.loads(value) for value in frame["sizes"]]
    assert sorted(texts, key=str) == [None, [2, 3], [4]] or set(map(str, texts)) == {"[2, 3]", "[4]", "None"}


# --- failed rows ----------------------------------------------------------------------------------------------------


def test_failed_rows_are_there_unless_they_are_not_wanted(command: Command, third_party: None) -> None:
    assert command("-m", "experiment=third_party", "n=12:16", "hydra.sweep.dir=s").status == 1
    frame = load(command.folder / "s")
    assert frame["status"].tolist() == ["done", "failed", "failed", "failed"]
    assert frame["error_type"].tolist()[1:] == ["OddNumberOut", "NonFiniteResult", "NonFiniteResult"]
    good = load(command.folder / "s", failed=False)
    assert good["n"].tolist() == [12]
    assert list(good.index) == [0]


def test_the_best_try_of_a_cell_counts(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "s")
    write(folder / "0", ids=[1, 2, 3], x=[1.0, 2.0, 3.0], status=["failed", "done", "failed"])
    write(folder / "1", ids=[1, 2, 3], x=[10.0, 20.0, 30.0], status=["done", "failed", "failed"])
    frame = load(folder)
    assert len(frame) == 3
    found = dict(zip(frame["cell_id"], zip(frame["x"], frame["status"], strict=True), strict=True))
    assert found == {
        f"{1:020x}": (10.0, "done"),
        f"{2:020x}": (2.0, "done"),
        f"{3:020x}": (30.0, "failed"),
    }


def test_a_try_is_all_rows_of_a_cell(tmp_path: Path) -> None:
    """A cell with a row for every lambda: its tries are not mixed."""
    folder = sweep(tmp_path / "s")
    write(folder / "0", ids=[1, 1, 1, 2], x=[1.0, 2.0, 3.0, 4.0])
    write(folder / "1", ids=[1, 1, 1], x=[1.5, 2.5, 3.5])
    write(folder / "10", ids=[2], x=[40.0], status=["failed"])
    assert sorted(load(folder)["x"]) == [1.5, 2.5, 3.5, 4.0]


def test_the_latest_chunk_is_the_one_with_the_largest_number(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "s")
    for number in (10, 9, 2):
        write(folder / str(number), ids=[1], x=[float(number)])
    assert load(folder)["x"].tolist() == [10.0]


def test_equal_cells_of_two_sweeps_are_two_rows(command: Command) -> None:
    command.sweep("experiment=noop", "p=3,4", into="all/a")
    command.sweep("experiment=noop", "p=4,5", into="all/b")
    assert sorted(load(command.folder / "all")["p"]) == [3, 4, 4, 5]


def test_paths_that_overlap_give_each_row_once(command: Command) -> None:
    command.sweep("experiment=noop", "p=3,4", into="all/a")
    there = command.folder / "all"
    (shard,) = there.rglob("rows-*.parquet")
    assert len(load([there, there / "a", there / "a" / "0", shard, str(there)])) == 2


@pytest.mark.parametrize("seed", range(3))
def test_best_tries_against_plain_python(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    folder = sweep(tmp_path / "s")
    best: dict[int, tuple[bool, int, float]] = {}
    for number in range(6):
        ids = sorted(set(random.integers(0, 30, 15).tolist()))
        status = random.choice(["done", "failed"], len(ids)).tolist()
        x = random.random(len(ids)).tolist()
        write(folder / str(number), ids=ids, x=x, status=status)
        for cell, word, value in zip(ids, status, x, strict=True):
            best[cell] = max(best.get(cell, (False, -1, 0.0)), (word == "done", number, value))
    frame = load(folder)
    found = {
        int(cell, 16): (word == "done", x)
        for cell, word, x in zip(frame["cell_id"], frame["status"], frame["x"], strict=True)
    }
    assert found == {cell: (done, x) for cell, (done, _, x) in best.items()}


# --- places ---------------------------------------------------------------------------------------------------------


def test_every_path_below_a_sweep_can_be_loaded(command: Command) -> None:
    command.sweep("experiment=noop", "p=3:6", into="s")
    folder = command.folder / "s"
    (shard,) = folder.rglob("rows-*.parquet")
    for path in (folder, folder / "0", shard, str(folder), [folder], (str(shard),)):
        assert load(path)["p"].tolist() == [3, 4, 5]


def test_rows_come_in_the_order_of_paths_and_chunks(tmp_path: Path) -> None:
    for name, number in (("b", 2), ("b", 10), ("a", 0)):
        write(sweep(tmp_path / name) / str(number), ids=[number], x=[float(number)])
    assert load([tmp_path / "b", tmp_path / "a"])["x"].tolist() == [2.0, 10.0, 0.0]


def test_a_folder_with_everything_in_its_name(awkward_path: Path) -> None:
    write(awkward_path / "0", x=[1.0])
    assert load(awkward_path)["x"].tolist() == [1.0]


@pytest.mark.parametrize("given", ["missing", "empty", []])
def test_nothing_there_is_said_in_words(tmp_path: Path, given: Any) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoResults) as caught:
        load(tmp_path / given if given else [])
    assert not given or given in str(caught.value)


def test_damaged_shards_are_warned_about_and_listed(tmp_path: Path) -> None:
    whole = write(tmp_path / "0", x=[1.0])
    victims = [write(tmp_path / str(n), x=[float(n)], ids=[n]) for n in (1, 2)]
    for victim in victims:
        victim.write_bytes(victim.read_bytes()[:-2])
    with pytest.warns(UserWarning, match="left out") as caught:
        frame = load(tmp_path)
    assert frame["x"].tolist() == [1.0]
    assert frame.attrs["damaged"] == [str(victim) for victim in victims]
    assert len(caught) == 2
    assert load(whole).attrs["damaged"] == []


def test_only_damaged_shards_are_no_results(tmp_path: Path) -> None:
    victim = write(tmp_path / "0", x=[1.0])
    victim.write_bytes(b"")
    with pytest.warns(UserWarning, match=victim.name), pytest.raises(NoResults, match=victim.name):
        load(tmp_path)


def test_reading_follows_no_link_and_runs_no_code(tmp_path: Path) -> None:
    write(tmp_path / "real" / "0", x=[1.0])
    write(tmp_path / "outside" / "0", x=[2.0], ids=[7])
    (tmp_path / "real" / "1").symlink_to(tmp_path / "outside" / "0")
    trap = tmp_path / "sprung"
    (tmp_path / "real" / "0" / "sitecustomize.py").write_text(f"open({str(trap)!r}, 'w')")
    (tmp_path / "real" / "0" / ".hydra").mkdir()
    (tmp_path / "real" / "0" / ".hydra" / "config.yaml").write_text("_target_: os.getcwd\nx: !!python/name:os.system\n")
    assert load(tmp_path / "real")["x"].tolist() == [1.0]
    assert not trap.exists()


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_table_is_written_beside_the_sweep(command: Command) -> None:
    frame = command.sweep(*SMALL, "p=3,4", "lambda=fixed,tuned", into="s")
    ran = command("s", module="hw6.aggregate")
    assert ran.status == 0
    assert ran.files == ["s/table.csv", "s/table.parquet"]
    assert ran.out.splitlines()[-2:] == ["s/table.parquet", "s/table.csv"]
    assert "4 cells" in ran.out
    parquet = pd.read_parquet(command.folder / "s" / "table.parquet")
    assert_same_rows(parquet, frame)
    assert pq.read_schema(command.folder / "s" / "table.parquet").names == list(frame.columns), "and no index"
    csv = pd.read_csv(command.folder / "s" / "table.csv")
    assert list(csv.columns) == list(frame.columns)
    assert csv["test_mse"].tolist() == frame["test_mse"].tolist(), "no digit is lost"
    assert command("s", module="hw6.aggregate").status == 0
    assert len(load(command.folder / "s")) == 4, "the table is no shard"


def test_several_sweeps_make_one_table(command: Command) -> None:
    command.sweep("experiment=noop", "p=3,4", into="all/a")
    command.sweep("experiment=noop", "p=5", into="all/b")
    assert command("all/a", "all/b", module="hw6.aggregate").files == ["all/table.csv", "all/table.parquet"]
    assert sorted(pd.read_csv(command.folder / "all" / "table.csv")["p"]) == [3, 4, 5]


@pytest.mark.parametrize("name", ["deep/er/name", "name.parquet", "name.csv", "a b"])
def test_the_table_goes_where_it_is_wanted(command: Command, name: str) -> None:
    command.sweep("experiment=noop", "p=3,4", into="s")
    ran = command("s", "-o", name, module="hw6.aggregate")
    stem = name.removesuffix(".parquet").removesuffix(".csv")
    assert ran.files == [f"{stem}.csv", f"{stem}.parquet"]


def test_a_name_with_dots_keeps_them(command: Command) -> None:
    command.sweep("experiment=noop", "p=3,4", into="s")
    ran = command("s", "-o", "v1.5", module="hw6.aggregate")
    assert ran.files == ["v1.5.csv", "v1.5.parquet"]


def test_failures_are_counted_by_cause(command: Command, third_party: None) -> None:
    command("-m", "experiment=third_party", "n=11:16", "hydra.sweep.dir=s")
    ran = command("s", module="hw6.aggregate")
    assert ran.status == 0
    assert "5 cells (2 done, 3 failed)" in ran.out
    assert "2 NonFiniteResult" in ran.out
    assert f"1 OddNumberOut: n is {RAISES}" in ran.out


def test_a_folder_of_everything(command: Command) -> None:
    command.sweep("experiment=noop", "p=3,4", into="outputs/noop/a")
    assert command("experiment=noop", "p=9").status == 0
    assert sorted(load(command.folder / "outputs")["p"]) == [3, 4, 9]


def test_the_working_directory_is_no_part_of_it(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command.sweep("experiment=noop", "p=3,4", into="s")
    monkeypatch.chdir(command.folder)
    assert len(load("s")) == len(load(Path("s"))) == len(load(os.path.join(".", "s"))) == 2


def test_the_third_party_has_every_type() -> None:
    """The recipes themselves: the experiment of these tests has one key of each kind."""
    kinds = {type(key).__name__ for key in THIRD_PARTY.keys.values()}
    assert kinds == {"Integer", "Real", "Flag", "Choice", "Integers"}
