"""NumPy columns -> Arrow columns, without pandas."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa


def arrow_column(values: np.ndarray) -> pa.Array:
    """One column as an Arrow array, without pandas and without a copy where memory is contiguous.

    Integers, floats and booleans keep their type, masked entries become null; bytes become text; objects become
    categories (text; None is null; tuples as JSON).
    """
    mask = mask_of(values)
    plain = np.ascontiguousarray(values if mask is None else np.ma.getdata(values))
    count = len(plain)
    valid = pa.py_buffer(np.packbits(~mask, bitorder="little")) if mask is not None and mask.any() else None
    if plain.dtype.kind == "S":
        offsets = np.arange(count + 1, dtype=np.int32) * plain.dtype.itemsize
        return pa.Array.from_buffers(pa.string(), count, [valid, pa.py_buffer(offsets), pa.py_buffer(plain)])
    if plain.dtype.kind == "b":
        return pa.Array.from_buffers(pa.bool_(), count, [valid, pa.py_buffer(np.packbits(plain, bitorder="little"))])
    if plain.dtype.kind in "iuf":
        kind = pa.float64() if plain.dtype.kind == "f" else pa.int64()
        plain = plain.astype(np.float64 if plain.dtype.kind == "f" else np.int64, copy=False)
        return pa.Array.from_buffers(kind, count, [valid, pa.py_buffer(plain)])
    return categories(values.tolist())


def mask_of(values: np.ndarray) -> np.ndarray | None:
    """The mask of a masked array, None for any other; NumPy loads numpy.ma only where there is one."""
    return None if type(values) is np.ndarray else np.ma.getmaskarray(values)


def categories(values: Iterable[object]) -> pa.Array:
    """Texts as an Arrow dictionary array; None is null."""
    seen: dict[object, int] = {}
    codes = np.fromiter((-1 if v is None else seen.setdefault(v, len(seen)) for v in values), dtype=np.int32)
    names = [value if isinstance(value, str) else json.dumps(value) for value in seen]
    return _dictionary(codes, names)


def constant_category(text: str | None, count: int) -> pa.Array:
    """One text, or null, for every row."""
    return _dictionary(np.full(count, -1 if text is None else 0, dtype=np.int32), [] if text is None else [text])


def _dictionary(codes: np.ndarray, names: Sequence[str]) -> pa.Array:
    data = "".join(names).encode()
    offsets = np.cumsum([0] + [len(name.encode()) for name in names], dtype=np.int32)
    texts = pa.Array.from_buffers(pa.string(), len(names), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    missing = codes < 0
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    codes = np.where(missing, 0, codes).astype(np.int32)
    indices = pa.Array.from_buffers(pa.int32(), len(codes), [valid, pa.py_buffer(codes)])
    return pa.DictionaryArray.from_arrays(indices, texts)
