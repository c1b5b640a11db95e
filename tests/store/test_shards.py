"""The sweep directory: what is written comes back, what was harmed is found, what failed leaves nothing."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hw6.aggregate import load
from hw6.errors import BadInput, Hw6Error, NoResults
from hw6.store import columns, contents, directory, history, shards
from hw6.store.code import Code
from hw6.store.compact import compact, compact_below
from hw6.store.tries import sweep_of

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


def _to_disk(monkeypatch: pytest.MonkeyPatch, error: OSError | None = None) -> list[tuple[bool, int]]:
    """What is flushed to the disk: whether it is a folder, and its size; ``error`` is raised for folders."""
    flushed: list[tuple[bool, int]] = []

    def fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        flushed.append((stat.S_ISDIR(found.st_mode), found.st_size))
        if error is not None and flushed[-1][0]:
            raise error

    monkeypatch.setattr(os, "fsync", fsync)
    return flushed


def test_the_whole_file_and_then_its_folder_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = _to_disk(monkeypatch)
    directory.write_atomically(tmp_path / "file", b"a" * 100)
    assert [(is_folder, size if not is_folder else None) for is_folder, size in flushed] == [(False, 100), (True, None)]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_whose_folders_need_no_flushing_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    _to_disk(monkeypatch, OSError(number, "not here"))
    directory.write_atomically(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_any_other_failure_of_the_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _to_disk(monkeypatch, OSError(errno.EIO, "broken"))
    with pytest.raises(OSError, match="broken"):
        directory.write_atomically(tmp_path / "file", b"whole")


def test_no_descriptor_is_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, closed = [], []
    real_open, real_close = os.open, os.close
    monkeypatch.setattr(os, "open", lambda *args, **kw: opened.append(real_open(*args, **kw)) or opened[-1])
    monkeypatch.setattr(os, "close", lambda descriptor: closed.append(descriptor) or real_close(descriptor))
    directory.write_atomically(tmp_path / "file", b"whole")
    assert closed == opened


def test_a_folder_that_cannot_be_opened_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: object, flags: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refused)
    directory.write_atomically(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_where_a_disk_has_a_stronger_flush_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS: fsync stops at the drive's cache."""
    asked: list[int] = []
    mac = SimpleNamespace(F_FULLFSYNC=51, fcntl=lambda descriptor, operation: asked.append(operation))
    plain = _to_disk(monkeypatch)
    monkeypatch.setattr(directory, "fcntl", mac)
    directory.write_atomically(tmp_path / "file", b"whole")
    assert (asked, plain) == ([51, 51], [])
    monkeypatch.setattr(directory, "fcntl", None)
    directory.write_atomically(tmp_path / "file", b"whole")
    assert (asked, len(plain)) == ([51, 51], 2)


def test_a_plan_that_is_there_is_not_written_again_unless_it_is_harmed(tmp_path: Path) -> None:
    path = tmp_path / directory.write_plan([{"a": 1}], tmp_path)
    before = path.stat().st_ino
    directory.write_plan([{"a": 1}], tmp_path)
    assert path.stat().st_ino == before
    path.write_bytes(b"[]")
    directory.write_plan([{"a": 1}], tmp_path)
    assert directory.read_json(path) == [{"a": 1}]


def test_a_shard_that_is_set_aside_is_met_by_no_reader(tmp_path: Path) -> None:
    moved = [directory.set_aside(shard(tmp_path / "7"), tmp_path) for _ in range(2)]
    assert len(set(moved)) == 2, "none takes the place of another"
    assert {path.parent for path in moved} == {tmp_path / "damaged"}
    assert all(path.is_file() and path.name.startswith("7-rows-") for path in moved)
    assert list(shards.shards_below(tmp_path)) == []
    shard(tmp_path / "damaged")
    assert list(shards.shards_below(tmp_path)) == []


def test_a_job_that_has_not_begun_has_no_shards(tmp_path: Path) -> None:
    assert shards.shards_in(tmp_path / "3") == []
    assert shards.shards_in(tmp_path / "4") == []
    path = shard(tmp_path / "4")
    assert shards.shards_in(tmp_path / "4") == [path]


# --- what makes a shard small ---------------------------------------------------------------------------------------


def test_what_repeats_is_written_once_and_what_does_not_is_written_plainly(tmp_path: Path) -> None:
    """Trying to find what repeats takes time where nothing does."""
    count = 2000
    rng = np.random.default_rng(0)
    ids = np.array([f"{n:020x}".encode() for n in range(count)])
    written = {
        "cell_id": (columns.arrow_column(ids), False),
        "a text": (columns.constant_category("done", count), True),
        "a flag": (columns.arrow_column(np.arange(count) % 2 == 0), False),
        "a float": (columns.arrow_column(rng.random(count)), False),
        "one float": (columns.arrow_column(np.full(count, 0.5)), False),
        "a rising number": (columns.arrow_column(np.arange(count)), False),
        "a number with gaps": (columns.arrow_column(np.ma.masked_array(np.arange(count), np.arange(count) > 9)), True),
        "a repeating number": (columns.arrow_column(np.arange(count) // 2), True),
        "the end of a rising number": (columns.arrow_column(np.arange(count * 2))[count:], False),
        "the end of a repeating one": (columns.arrow_column(np.append(np.arange(count), [7] * count))[count:], True),
    }
    path = shards.write_shard(tmp_path, {name: array for name, (array, _) in written.items()})
    group = pq.ParquetFile(path).metadata.row_group(0)
    found = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert {name: found[name].has_dictionary_page for name in written} == {
        name: way for name, (_, way) in written.items()
    }
    assert not any(part.is_stats_set for part in found.values())
    assert {part.compression for part in found.values()} == {"ZSTD"}


@given(st.lists(st.sampled_from(["done", "failed", "odd"]), min_size=1, max_size=40), st.data())
def test_a_row_is_done_if_its_status_says_so(status: list[str], data: Any) -> None:
    kind = data.draw(st.sampled_from([pa.int8(), pa.int16(), pa.int32()]))
    start = data.draw(st.integers(0, len(status) - 1))
    names = data.draw(st.permutations(sorted(set(status))))
    indices = pa.array([names.index(word) for word in status], kind)
    array = pa.DictionaryArray.from_arrays(indices, pa.array(names)).slice(start)
    table = pa.table({"status": pa.chunked_array([array])})
    assert shards.is_done(table).tolist() == [word == "done" for word in status[start:]]


@given(st.lists(st.integers(0, 30), max_size=40))
def test_ids_in_order_each_once(numbers: list[int]) -> None:
    ids = np.array([f"{n:020x}".encode() for n in numbers], dtype="S20")
    assert shards.sorted_distinct(ids).tolist() == sorted(set(ids.tolist()))


# --- which sweep a shard belongs to ---------------------------------------------------------------------------------


def test_a_shard_belongs_to_the_nearest_folder_with_a_record(tmp_path: Path) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "outer" / "3"
    path = shard(inner)
    assert sweep_of(path) == inner
    directory.write_json(tmp_path / directory.PROVENANCE, {})
    assert sweep_of(path) == inner, "a record farther up is another's"
    directory.write_json(outer / directory.PROVENANCE, {})
    assert sweep_of(path) == outer
    directory.write_json(inner / directory.PROVENANCE, {})
    assert sweep_of(path) == inner


# --- many shards become few -----------------------------------------------------------------------------------------


def sweep_of_shards(folder: Path, parts: list[range], failed: int = -1) -> Path:
    """A sweep with a shard for each range of cells; every row of shard ``failed`` is a failure."""
    for number, part in enumerate(parts):
        shard(folder / str(number), part, ["failed" if number == failed else "done"] * len(part))
    directory.write_json(folder / directory.PROVENANCE, {"format": 1, "runs": []})
    return folder


@pytest.mark.parametrize(
    ("most", "lengths"),
    [(100, [10]), (10, [10]), (5, [6, 4]), (4, [4, 4, 2]), (6, [6, 4]), (2, [2] * 5), (1, [2] * 5), (7, [8, 2])],
)
def test_shards_are_joined_up_to_what_memory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, lengths: list[int]
) -> None:
    monkeypatch.setattr("hw6.store.compact.MOST_ROWS", most)
    parts = [range(n, n + 2) for n in range(0, 10, 2)]
    folder = sweep_of_shards(tmp_path, parts)
    before = list(shards.shards_below(folder))
    assert compact(folder, before) == len(lengths)
    found = [len(shards.read_shard(path)) for path in shards.shards_below(folder)]
    assert sorted(found) == sorted(lengths)
    assert load(folder)["p"].sort_values().tolist() == list(range(10))


def test_the_joined_shard_holds_the_best_try_of_each_cell_alone(tmp_path: Path) -> None:
    folder = sweep_of_shards(tmp_path, [range(4), range(2, 6), range(3, 5)], failed=2)
    before = load(folder)
    assert compact(folder, list(shards.shards_below(folder))) == 1
    (path,) = shards.shards_below(folder)
    assert path.parent == folder / "3", "a number is never used twice"
    after = load(folder)
    assert len(shards.read_shard(path)) == len(after) == 6
    assert after.sort_values("cell_id", ignore_index=True).equals(before.sort_values("cell_id", ignore_index=True))


def test_every_sweep_below_a_folder_is_compacted_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sweep_of_shards(tmp_path / "all" / "one", [range(3)])
    sweep_of_shards(tmp_path / "all" / "two", [range(3), range(3, 6)])
    assert list(compact_below(tmp_path / "all")) == ["all/one: 1 shard -> 1", "all/two: 2 shards -> 1"]
    assert (tmp_path / "all" / "one" / "0").is_dir()
    assert os.listdir(tmp_path / "all" / "two" / "2")
    with pytest.raises(NoResults, match="nowhere: no such directory"):
        list(compact_below(tmp_path / "nowhere"))


# --- what a directory holds -----------------------------------------------------------------------------------------


def test_a_directory_has_to_be_read_if_there_is_a_sweep_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    assert not contents.is_sweep(folder)
    folder.mkdir()
    assert not contents.is_sweep(folder)
    (folder / ".lock").touch()
    assert not contents.is_sweep(folder)
    (folder / "photo.jpg").touch()
    with pytest.raises(BadInput, match=r"mine\.dir=.*holds files that are no hw6 sweep"):
        contents.is_sweep(folder, "mine.dir")
    (folder / directory.PROVENANCE).touch()
    assert contents.is_sweep(folder)
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(BadInput, match="is not a directory"):
        contents.is_sweep(tmp_path / "photo.jpg")
    for inside in ("0", "new/deeper"):
        with pytest.raises(BadInput, match=r"lies inside .*s, whose rows it would be taken for"):
            contents.is_sweep(folder / inside)


def test_a_default_directory_lies_inside_no_sweep(tmp_path: Path) -> None:
    for name in ("f", "f-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / directory.PROVENANCE).touch()
    assert directory.beside(tmp_path / "f" / "now") == tmp_path / "f-2-2" / "now"
    assert directory.beside(tmp_path / "g" / "now") == tmp_path / "g" / "now"
    assert directory.claim(tmp_path / "f" / "now") == tmp_path / "f-2-2" / "now"


def names(ids: np.ndarray) -> list[int]:
    return [int(digest, 16) for digest in ids.tolist()]


def test_what_runs_again_is_what_retry_says(tmp_path: Path) -> None:
    folder = sweep_of_shards(tmp_path, [range(3), range(2, 5), range(4, 6)], failed=1)
    there = contents.read(folder, set_aside=False)
    assert (names(there.done), names(there.failed)) == ([0, 1, 2, 4, 5], [3])
    assert names(contents.finished(there, "failed")) == [0, 1, 2, 4, 5]
    assert names(contents.finished(there, "none")) == [0, 1, 2, 3, 4, 5]
    assert names(contents.finished(there, "all")) == []


@pytest.mark.parametrize("aside", [False, True])
def test_a_damaged_shard_stays_where_only_a_dry_run_met_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], aside: bool
) -> None:
    folder = sweep_of_shards(tmp_path, [range(3), range(3, 5)])
    victim = next(shards.shards_below(folder))
    victim.write_bytes(victim.read_bytes()[:-1])
    assert names(contents.read(folder, set_aside=aside).done) == [3, 4]
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"hw6: {victim}: damaged")
    assert ("set aside as" in err, victim.exists()) == (aside, not aside)


def held(*runs: dict[str, Any], done: int = 1) -> contents.Contents:
    return contents.Contents(IDS[:done], IDS[:0], runs)


RUN = {"versions": {"numpy": "1.0", "python": "3.0", "lost": "9"}, "code": {"a": "2:aa", "b": "2:bb", "c": "1:cc"}}
NOW: dict[str, dict[str, str]] = {"code": {"a": "2:aa", "c": "2:cd"}, "versions": {"numpy": "1.0", "python": "3.0"}}


def _changed(there: contents.Contents, **now: dict[str, str]) -> list[str]:
    told = NOW | now
    codes = {name: Code(digest, {}) for name, digest in told["code"].items()}
    return history.changes(there.runs, history.Now(codes, told["versions"], told.get("files", {})))


def test_what_has_changed_since_the_last_run() -> None:
    assert _changed(held(RUN)) == [], "digests of another scheme and packages that are gone say nothing"
    assert _changed(held(RUN), versions={"numpy": "2.0", "python": "3.0"}) == ["numpy 1.0 then, 2.0 now"]
    assert _changed(held(RUN), code={"a": "2:ab", "b": "2:bb"}) == ["the code of a"]
    assert _changed(held(RUN), code={"a": "2:ab"}, versions={"python": "4"}) == [
        "python 3.0 then, 4 now",
        "the code of a",
    ]
    assert _changed(held({"versions": {"numpy": "0.1"}}, RUN)) == [], "only the last run counts"
    assert _changed(held(RUN, {"versions": {"numpy": "0.1"}})) == ["numpy 0.1 then, 1.0 now"]
    assert _changed(held({})) == []
    assert _changed(held()) == []


def test_code_that_is_in_another_file_now_is_told_of_both() -> None:
    before = RUN | {"sources": {"a": "/x/knn.py:knn"}}
    (told,) = _changed(held(before), code={"a": "2:ab"}, files={"a": "/y/knn.py:knn"})
    assert told == "the code of a (it was /x/knn.py:knn then, and is /y/knn.py:knn now)"
    assert _changed(held(before), code={"a": "2:ab"}, files={"a": "/x/knn.py:knn"}) == ["the code of a"]
    assert _changed(held(before), files={"a": "/y/knn.py:knn"}) == [], "a copy of the same code is the same code"


def test_a_directory_holds_the_experiments_that_began_it(tmp_path: Path) -> None:
    blocks = [{"blocks": [{"experiment": "b"}]}, {"blocks": [{"experiment": "a"}, {"experiment": "b"}]}, {}]
    for asked in (["a"], ["b"], ["b", "a", "b"]):
        contents.refuse_other(tmp_path, held(*blocks), asked)
    contents.refuse_other(tmp_path, held({}), ["c"])
    with pytest.raises(BadInput, match="holds a sweep of a and b, not of a and c "):
        contents.refuse_other(tmp_path, held(*blocks), ["c", "a", "c"])


# --- numbers of a frame ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([2**53, -(2**53), None], "float64"),
        ([2**53 + 1, 0, None], "Int64"),
        ([-(2**53) - 1, 0, None], "Int64"),
        ([None, 5, 6], "float64"),
        ([2**62 + 1, 0, 1], "int64"),
    ],
)
def test_a_number_with_gaps_keeps_its_digits(tmp_path: Path, values: list[int | None], kind: str) -> None:
    array = np.ma.masked_array([value or 0 for value in values], mask=[value is None for value in values])
    shards.write_shard(
        tmp_path,
        {
            "cell_id": columns.arrow_column(IDS[:3]),
            "status": columns.constant_category("done", 3),
            "n": columns.arrow_column(array),
        },
    )
    found = load(tmp_path)["n"]
    assert str(found.dtype) == kind
    assert [None if missing else int(n) for n, missing in zip(found, found.isna(), strict=True)] == values


def test_a_warning_points_at_who_reads_the_shards(tmp_path: Path) -> None:
    shard(tmp_path / "0")
    victim = shard(tmp_path / "1", range(5, 7))
    victim.write_bytes(b"")
    with pytest.warns(UserWarning, match="left out") as caught:
        load(tmp_path)
    assert [warning.filename for warning in caught] == [__file__]
