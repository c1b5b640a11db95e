"""The id of a cell: a documented hash of what decides its row.

It is the first 20 hexadecimal digits of BLAKE2b (digest of 10 bytes) of the canonical JSON text

    {"experiment":NAME,"keys":{KEY:VALUE,...},"version":VERSION}

with keys sorted, no blanks, ASCII, floats in their shortest form, tuples as lists. Keys added to an experiment after
its first release are left out while they have the value that reproduces what was computed before (``Key.omitted_at``);
a key that was renamed stands in the sentence under its first name (``Key.formerly``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np

from hw6.contract.keys import Key, Value

ID_DIGITS = 20


def canonical(value: Value) -> str:
    """A value as canonical JSON."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)


def entry(key: str, value: Value, keys: Mapping[str, Key]) -> str:
    """The part of the sentence that one key makes up, with a comma behind it; empty where the key is left out."""
    kind = keys[key]
    return "" if value == kind.omitted_at else f"{canonical(kind.formerly or key)}:{canonical(value)},"


def entries(key: str, values: Sequence[Value], codes: np.ndarray, keys: Mapping[str, Key]) -> list[str]:
    """``entry`` for each cell; values outside the range of the codes are never looked at.

    Args:
        key: the key.
        values: its distinct values.
        codes: (cells,) the index into ``values`` of every cell.
        keys: the experiment's keys.
    """
    low, high = int(codes.min()), int(codes.max()) + 1
    kind = keys[key]
    if isinstance(values, range):  # integers, which JSON writes as Python does
        start, omitted = canonical(kind.formerly or key) + ":", kind.omitted_at
        table = ["" if value == omitted else f"{start}{value}," for value in values[low:high]]
    else:
        table = [entry(key, value, keys) for value in values[low:high]]
    return [table[code] for code in (codes - low).tolist()]


def digests(
    experiment: str, version: int, texts: Mapping[str, list[str] | str], count: int, keys: Mapping[str, Key]
) -> np.ndarray:
    """The ids of cells, as an array (count,) of 20 ASCII bytes each.

    Args:
        experiment: its name.
        version: its version.
        texts: for each key its ``entry``, or a list with one for each cell; what is equal in all is joined only once.
        count: the number of cells.
        keys: the experiment's keys.
    """
    pieces: list[list[str] | str] = [f'{{"experiment":{canonical(experiment)},"keys":{{']
    for key in sorted(texts, key=lambda key: keys[key].formerly or key):
        text = texts[key]
        if isinstance(text, str) and isinstance(pieces[-1], str):
            pieces[-1] += text
        else:
            pieces.append(text)
    suffix = f'}},"version":{version}}}'
    columns = [piece if isinstance(piece, list) else [piece] * count for piece in pieces]
    digest = hashlib.blake2b
    size = ID_DIGITS // 2
    ids = np.empty(count, dtype=f"S{ID_DIGITS}")
    for index, parts in enumerate(zip(*columns, strict=True)):
        text = "".join(parts)
        text = text.removesuffix(",") + suffix
        ids[index] = digest(text.encode("ascii"), digest_size=size).hexdigest().encode("ascii")
    return ids


def cell_id(experiment: str, version: int, values: Mapping[str, Value], keys: Mapping[str, Key]) -> str:
    """The id of one cell from its resolved values (see the head of this module)."""
    texts: dict[str, list[str] | str] = {key: entry(key, value, keys) for key, value in values.items()}
    digest: bytes = digests(experiment, version, texts, 1, keys)[0]
    return digest.decode()
