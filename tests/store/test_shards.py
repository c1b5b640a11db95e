"""The sweep directory: what is written comes back, what was harmed is found, what failed leaves nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hw6.errors import BadInput, Hw6Error
from hw6.store import columns, directory, shards

IDS = np.array([f"{n:020x}".encode() for n in range(5)])


def objects(*values: Any) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    return array


COLUMNS: dict[str, tuple[np.ndarray, pa.DataType | None, list[Any]]] = {
    "integers": (np.array([1, -(2**63), 2**63 - 1, 0, 5]), pa.int64(), [1, -(2**63), 2**63 - 1, 0, 5]),
    "small integers": (np.array([1, 2, 3, 4, -5], dtype=np.int8), pa.int64(), [1, 2, 3, 4, -5]),
    "floats": (np.array([1.5, -0.0, 5e-324, 1e308, 2.0]), pa.float64(), [1.5, -0.0, 5e-324, 1e308, 2.0]),
    "single floats": (np.array([0.1] * 5, dtype=np.float32), pa.float64(), [float(np.float32(0.1))] * 5),
    "not finite": (np.array([np.nan, np.inf, -np.inf, 0.0, 1.0]), pa.float64(), [np.nan, np.inf, -np.inf, 0.0, 1.0]),
    "masked floats": (
        np.ma.masked_array([1.0, 2.0, 3.0, 4.0, 5.0], mask=[0, 1, 0, 0, 1]),
        pa.float64(),
        [1.0, None, 3.0, 4.0, None],
    ),
    "masked integers": (
        np.ma.masked_array([1, 2, 3, 4, 5], mask=[1, 0, 0, 0, 0]),
        pa.int64(),
        [None, 2, 3, 4, 5],
    ),
    "masked but none": (np.ma.masked_array([1, 2, 3, 4, 5], mask=False), pa.int64(), [1, 2, 3, 4, 5]),
    "flags": (np.array([True, False, True, True, False]), pa.bool_(), [True, False, True, True, False]),
    "masked flags": (
        np.ma.masked_array([True, False, True, True, False], mask=[0, 0, 1, 0, 0]),
        pa.bool_(),
        [True, False, None, True, False],
    ),
    "bytes": (IDS, pa.string(), [digest.decode() for digest in IDS]),
    "text": (objects("a", "", "ü 雪", "a", 'q"\n'), None, ["a", "", "ü 雪", "a", 'q"\n']),
    "text and nothing": (objects("a", None, None, "b", "a"), None, ["a", None, None, "b", "a"]),
    "nothing": (objects(None, None, None, None, None), None, [None] * 5),
    "tuples": (objects((1, 2), (3,), None, (), (1, 2)), None, ["[1, 2]", "[3]", None, "[]", "[1, 2]"]),
    "masked text": (
        np.ma.masked_array(objects("a", "b", "c", "d", "e"), mask=[0, 1, 0, 0, 0]),
        None,
        ["a", None, "c", "d", "e"],
    ),
    "strided": (np.arange(10)[::2], pa.int64(), [0, 2, 4, 6, 8]),
    "broadcast": (np.broadcast_to(np.float64(2.5), (5,)), pa.float64(), [2.5] * 5),
}


@pytest.mark.parametrize("name", list(COLUMNS))
def test_a_column_survives_being_written(tmp_path: Path, name: str) -> None:
    values, kind, wanted = COLUMNS[name]
    array = columns.arrow_column(values)
    array.validate(full=True)
    assert kind is None or array.type == kind
    path = shards.write_shard(tmp_path, {"cell_id": columns.arrow_column(IDS), name: array})
    back = shards.read_shard(path)[name].to_pylist()
    assert [str(value) for value in back] == [str(value) for value in wanted]  # as text: nan is nan, -0.0 is no 0.0
    assert [type(value) for value in back] == [type(value) for value in wanted]


@given(
    hnp.arrays(np.float64, st.integers(0, 70)),
    st.data(),
)
def test_floats_keep_their_bits_and_their_mask(values: np.ndarray, data: Any) -> None:
    mask = data.draw(hnp.arrays(bool, len(values)))
    array = columns.arrow_column(np.ma.masked_array(values, mask=mask))
    array.validate(full=True)
    back = array.to_pylist()
    assert [value is None for value in back] == mask.tolist()
    kept = np.array([value for value in back if value is not None], dtype=np.float64)
    nan = np.isnan(values[~mask])
    assert np.array_equal(kept.view(np.uint64)[~nan], values[~mask].view(np.uint64)[~nan])
    assert np.isnan(kept[nan]).all()


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=40))
def test_categories_are_the_texts(values: list[str | None]) -> None:
    array = columns.categories(values)
    array.validate(full=True)
    assert array.to_pylist() == values
    assert len(array.dictionary) == len({value for value in values if value is not None})


@pytest.mark.parametrize("text", ["done", None, "", "ü"])
@pytest.mark.parametrize("count", [0, 1, 9])
def test_a_constant_category_is_its_text_everywhere(text: str | None, count: int) -> None:
    array = columns.constant_category(text, count)
    array.validate(full=True)
    assert array.to_pylist() == [text] * count


@given(st.lists(st.booleans(), max_size=30), st.integers(0, 4))
def test_ids_come_back_from_chunks_and_slices(chosen: list[bool], skip: int) -> None:
    ids = np.array([f"{n:020x}".encode() for n in range(len(chosen))], dtype="S20")
    array = columns.arrow_column(ids)
    pieces = pa.chunked_array([array[:skip], array[skip:].filter(pa.array(chosen[skip:], pa.bool_()))], pa.string())
    wanted = [*ids[:skip], *(digest for digest, keep in zip(ids[skip:], chosen[skip:], strict=True) if keep)]
    assert shards.text_array(pieces).tolist() == [bytes(digest) for digest in wanted]


# --- shards ---------------------------------------------------------------------------------------------------------


def shard(folder: Path, numbers: range = range(5), status: list[str] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    ids = np.array([f"{n:020x}".encode() for n in numbers], dtype="S20")
    rows = {
        "cell_id": columns.arrow_column(ids),
        "status": columns.categories(status or ["done"] * len(ids)),
        "p": columns.arrow_column(np.array(numbers, dtype=np.int64)),
    }
    return shards.write_shard(folder, rows)


def test_a_shards_name_is_a_digest_of_its_bytes(tmp_path: Path) -> None:
    import hashlib

    path = shard(tmp_path)
    digest = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
    assert path.name == f"rows-{digest}.parquet"
    assert os.listdir(tmp_path) == [path.name]
    assert shard(tmp_path) == path, "equal rows are the same shard"


def test_a_shard_is_plain_parquet_that_anyone_reads(tmp_path: Path) -> None:
    table = pq.read_table(shard(tmp_path))
    assert table["p"].to_pylist() == [0, 1, 2, 3, 4]
    assert table["status"].to_pylist() == ["done"] * 5


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    path = shard(tmp_path)
    whole = path.read_bytes()
    for position in [*range(0, len(whole), 7), len(whole) - 1]:
        for bit in (1, 128):
            harmed = bytearray(whole)
            harmed[position] ^= bit
            path.write_bytes(bytes(harmed))
            with pytest.raises(shards.DamagedShard, match=path.name):
                shards.read_shard(path)
    path.write_bytes(whole)
    assert len(shards.read_shard(path)) == 5


def test_every_truncation_is_found(tmp_path: Path) -> None:
    path = shard(tmp_path)
    whole = path.read_bytes()
    for length in [0, 1, 4, len(whole) // 2, len(whole) - 8, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(shards.DamagedShard, match=path.name):
            shards.read_shard(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(shards.DamagedShard):
        shards.read_shard(path)


def test_a_foreign_file_under_a_right_name_is_no_shard(tmp_path: Path) -> None:
    data = b"not parquet at all"
    path = tmp_path / f"rows-{directory.digest_of(data)}.parquet"
    path.write_bytes(data)
    with pytest.raises(shards.DamagedShard, match="cannot be read"):
        shards.read_shard(path)


def test_a_missing_shard_is_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(shards.DamagedShard):
        shards.read_shard(tmp_path / "rows-0.parquet")


def test_some_columns_of_a_shard(tmp_path: Path) -> None:
    assert shards.read_shard(shard(tmp_path), ["p"]).column_names == ["p"]


def test_shards_come_in_the_order_of_their_chunks(tmp_path: Path) -> None:
    for number in (10, 2, 0, 1, 11):
        shard(tmp_path / str(number), range(number, number + 2))
    assert [path.parent.name for path in shards.shards_below(tmp_path)] == ["0", "1", "2", "10", "11"]


def test_only_shards_are_found(tmp_path: Path) -> None:
    real = shard(tmp_path / "sweep" / "0")
    shard(tmp_path / "sweep" / "0" / ".hydra", range(1))
    (tmp_path / "sweep" / "0" / ".rows-1.parquet.abc.tmp").write_bytes(b"half")
    (tmp_path / "sweep" / "0" / "rows-1.parquet.bak").write_bytes(b"copy")
    (tmp_path / "sweep" / "table.parquet").write_bytes(b"a table")
    assert list(shards.shards_below(tmp_path)) == [real]


def test_no_link_is_followed(tmp_path: Path) -> None:
    outside = shard(tmp_path / "outside" / "0")
    inside = tmp_path / "sweep"
    real = shard(inside / "0", range(3))
    (inside / "1").symlink_to(outside.parent)
    (inside / "0" / outside.name).symlink_to(outside)
    (inside / "loop").symlink_to(inside)
    assert list(shards.shards_below(inside)) == [real]


def test_finished_cells_are_the_done_ones_of_readable_shards(tmp_path: Path) -> None:
    shard(tmp_path / "0", range(3), ["done", "failed", "done"])
    shard(tmp_path / "1", range(1, 2), ["failed"])
    shard(tmp_path / "2", range(2, 5))
    victim = shard(tmp_path / "3", range(50, 60))
    victim.write_bytes(victim.read_bytes()[:-1])
    done, failed, damaged = shards.cell_ids(tmp_path)
    assert done.tolist() == [f"{n:020x}".encode() for n in (0, 2, 3, 4)]
    assert failed.tolist() == [f"{1:020x}".encode()]
    assert [victim.name in str(error) for error in damaged] == [True]


def test_nothing_is_finished_in_an_empty_directory(tmp_path: Path) -> None:
    done, failed, damaged = shards.cell_ids(tmp_path)
    assert (len(done), len(failed), damaged) == (0, 0, [])


def test_a_cell_that_failed_and_then_succeeded_is_finished(tmp_path: Path) -> None:
    shard(tmp_path / "0", range(2), ["failed", "failed"])
    shard(tmp_path / "1", range(1))
    assert shards.cell_ids(tmp_path)[0].tolist() == [f"{0:020x}".encode()]


# --- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["fsync", "replace", "open"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_write_that_stops_leaves_nothing_and_keeps_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(b"before")

    def stop(*args: Any, **kwargs: Any) -> None:
        raise error

    if step == "open":
        monkeypatch.setattr("builtins.open", stop)
    else:
        monkeypatch.setattr(os, step, stop)
    with pytest.raises(type(error)):
        directory.write_atomically(path, b"after")
    monkeypatch.undo()
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["file.json"]


def test_what_is_written_replaces_what_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data in (b"a" * 100_000, b"", memoryview(b"b")):
        directory.write_atomically(path, data)
        assert path.read_bytes() == bytes(data)
        assert os.listdir(tmp_path) == ["file"]


def test_a_leftover_of_a_killed_write_disturbs_nobody(tmp_path: Path) -> None:
    (tmp_path / ".file.000000000000.tmp").write_bytes(b"half")
    directory.write_atomically(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_json_comes_back_and_what_is_none_is_refused(tmp_path: Path) -> None:
    content = {"a": [1, 2.5, None, True], "ü": "雪"}
    directory.write_json(tmp_path / "x.json", content)
    assert directory.read_json(tmp_path / "x.json") == content
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(Hw6Error, match=r"x\.json"):
        directory.read_json(tmp_path / "x.json")
    with pytest.raises(Hw6Error, match="missing"):
        directory.read_json(tmp_path / "missing")


def test_a_plan_is_named_by_its_content(tmp_path: Path) -> None:
    first = directory.write_plan([{"a": 1}], tmp_path)
    assert directory.write_plan([{"a": 1}], tmp_path) == first
    second = directory.write_plan([{"a": 2}], tmp_path)
    assert first != second
    assert json.loads((tmp_path / first).read_text()) == [{"a": 1}]
    assert sorted(os.listdir(tmp_path)) == sorted([first, second])


def test_of_two_sweeps_in_one_second_each_gets_its_own_directory(tmp_path: Path) -> None:
    wanted = tmp_path / "outputs" / "2026"
    claimed = [directory.claim(wanted) for _ in range(3)]
    assert claimed == [wanted, wanted.with_name("2026-2"), wanted.with_name("2026-3")]
    assert all(folder.is_dir() for folder in claimed)


def test_sweeps_that_start_together_never_share_a_directory(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda _: directory.claim(tmp_path / "a" / "b"), range(24)))
    assert len(set(claimed)) == 24


def test_a_file_in_the_way_cannot_be_claimed(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("mine")
    with pytest.raises(BadInput, match="outputs"):
        directory.claim(tmp_path / "outputs" / "2026")


def test_numbers_of_chunks_are_never_used_twice(tmp_path: Path) -> None:
    assert directory.next_number(tmp_path / "new") == 0
    assert directory.next_number(tmp_path) == 0
    for name in ("0", "7", "11", "x", "plan-1.json"):
        (tmp_path / name).mkdir()
    assert directory.next_number(tmp_path) == 12
