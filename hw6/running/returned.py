"""What an experiment returned, checked before it becomes rows: names, shapes, types.

Arrays are looked at as a whole, so that a batch of 100,000 cells costs nothing measurable; lists, which are taken where
they hold plain numbers or texts, are looked at entry by entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hw6.contract.answers import BadRows, CellAnswers, Row
from hw6.contract.experiment import Experiment
from hw6.contract.failure import Failure
from hw6.contract.keys import LARGEST
from hw6.contract.metrics import Counts, Text
from hw6.errors import described, written

CELL = "cell"
TRUTH = (bool, np.bool_)


def checked(experiment: Experiment, returned: Any, count: int) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
    """The columns that ``experiment.rows`` returned for a batch of ``count`` cells.

    Returns:
        for each row the place of its cell in the batch, None where there is a row for each cell in order; and the
        columns, an entry a row: numbers, truth values, or objects (texts, tuples of counts, None).

    Raises:
        BadRows: something in it is not what it has to be.
    """
    names = _names(returned)
    known = [name for name in names if name in experiment.metrics or _resolves(experiment, name)]
    for name in names:
        if name not in known and name != CELL:
            listed = ", ".join(experiment.metrics) or "it has none"
            shown = name if name.isprintable() and name.strip() else repr(name)
            raise BadRows(f"{shown} is no metric of {experiment.name}; its metrics: {listed}")
    cell = _cell(returned[CELL], count) if CELL in names else None
    rows = count if cell is None else len(cell)
    return cell, {name: _column(name, experiment.metrics.get(name, ""), returned[name], rows) for name in known}


def checked_answers(
    experiment: Experiment, answers: CellAnswers, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray, Mapping[str, np.ndarray] | Failure]]:
    """The answers of cells one by one as columns, as few as possible: what does not go together stands apart.

    Yields:
        the places of some cells in the batch; for each row the index into these; and their columns, or what one
        failed of.

    Raises:
        BadRows: there is not one answer for each cell.
    """
    if len(answers.rows) != count:
        raise BadRows(f"rows returned {len(answers.rows)} answers for {count} cells")
    given: list[Sequence[Row]] = []
    places: list[int] = []
    for place, rows in enumerate(answers.rows):
        if isinstance(rows, Failure):
            yield np.array([place]), np.zeros(1, dtype=np.int64), rows
        else:
            given.append(rows)
            places.append(place)
    if not given:
        return
    try:
        cell, columns = _joined(experiment, given)
        yield np.array(places), cell, columns
        return
    except BadRows:  # some cell is to blame: each is looked at by itself
        pass
    for place, rows in zip(places, given, strict=True):
        try:
            cell, columns = _joined(experiment, [rows])
            yield np.array([place]), cell, columns
        except BadRows as error:
            yield np.array([place]), np.zeros(1, dtype=np.int64), Failure(*described(error))


def _joined(experiment: Experiment, given: Sequence[Sequence[Row]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rows = [row for some in given for row in some]
    cell = np.repeat(np.arange(len(given)), [len(some) for some in given])
    columns = {name: _values([row[name] for row in rows], kind) for name, kind in experiment.metrics.items()}
    there = {name: values for name, values in columns.items() if values is not None}
    _, found = checked(experiment, {**there, CELL: cell}, len(given))
    return cell, found


def _values(values: list[Any], kind: str) -> Any:
    """One metric of all rows; masked where a number is missing, None where all of them are."""
    if isinstance(kind, (Text, Counts)):
        return values
    missing = [value is None for value in values]
    if not any(missing):
        return values
    if all(missing):
        return None
    some = next(value for value in values if value is not None)
    array = _from_list("a metric", [some if value is None else value for value in values])
    return np.ma.MaskedArray(array, mask=missing)


def _resolves(experiment: Experiment, name: str) -> bool:
    return name in experiment.keys and experiment.keys[name].resolves


def _names(returned: Any) -> list[str]:
    """The names of the columns, each once; anything with keys and values by them is taken, a pandas frame too."""
    if returned is None or not hasattr(returned, "keys") or not hasattr(returned, "__getitem__"):
        raise BadRows(f"rows returned {_kind(returned)}, not columns by name")
    names = list(returned.keys())
    for name in names:
        if not isinstance(name, str):
            raise BadRows(f"a column is named {name!r}, which is no text")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise BadRows(f"there are several columns named {doubled[0]}")
    return names


def _cell(values: Any, count: int) -> np.ndarray:
    """The column "cell": every cell of the batch has a row, and every row is of one of them."""
    cell = np.asarray(values)
    if cell.ndim != 1 or cell.dtype.kind not in "iu":
        raise BadRows(f'"cell" must be a list of whole numbers, not {_kind(values)} of shape {cell.shape}')
    if np.ma.getmaskarray(values).any():
        raise BadRows('"cell" has masked entries: every row is of a cell')
    outside = (cell < 0) | (cell >= count)
    if outside.any():
        raise BadRows(f'"cell" points at {cell[outside][0]}, and the batch has the cells 0 to {count - 1}')
    cell = cell.astype(np.int64, copy=False)
    without = np.bincount(cell, minlength=count) == 0
    if without.any():
        raise BadRows("a cell was given no row")
    return cell


def _column(name: str, kind: str, values: Any, rows: int) -> np.ndarray:
    """One column as an array (rows,) of its own kind."""
    if isinstance(kind, Counts):
        return _counts(name, values, rows)
    array = _from_list(name, values) if isinstance(values, (list, tuple)) else _array(name, values)
    if array.shape != (rows,):
        raise BadRows(f"{name} has shape {array.shape}, and there are {rows} rows")
    if isinstance(kind, Text):
        return _texts(name, array)
    if array.dtype.kind not in "biuf":
        raise BadRows(f"{name} holds {_content(array)}; a metric is a number or a truth value")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        with np.errstate(over="ignore"):  # what is too large for float64 is infinite there, and told as such
            array = array.astype(np.float64)
    if array.dtype.kind == "u":  # one type of whole numbers, so that no join of parts makes floats of them
        largest = int(np.max(np.ma.filled(array, 0), initial=0))
        if largest > LARGEST:
            raise BadRows(f"{name} holds {largest}, and whole numbers end at 2^63 - 1")
        array = array.astype(np.int64)
    return array


def _array(name: str, values: Any) -> np.ndarray:
    """A copy of what is no list: NumPy's arrays, and what turns into one (a pandas series, a tensor on the CPU).

    A copy, and no subclass: what the experiment does to its buffer afterwards, or a subclass to its entries, is no
    business of a row. Masks are kept.
    """
    if not isinstance(values, np.ndarray) and not hasattr(values, "__array__"):
        raise BadRows(f"{name} is {_kind(values)}, not a column")
    if type(values) is np.ndarray or not isinstance(values, np.ma.MaskedArray):
        return np.array(values, subok=False)
    data, mask = np.ma.getdata(values), np.ma.getmaskarray(values)
    plain = np.array(data, subok=False)
    return np.ma.MaskedArray(plain, mask=np.array(mask, subok=False)) if mask.any() else plain


def _from_list(name: str, values: Sequence[Any]) -> np.ndarray:
    """A list of plain numbers, of truth values or of texts; not a mixture, which NumPy would make one kind of."""
    kinds = {type(value) for value in values}
    truths = {kind for kind in kinds if issubclass(kind, TRUTH)}
    texts = {kind for kind in kinds if issubclass(kind, str)}
    if (truths and truths != kinds) or (texts and kinds - texts - {type(None)}):
        mixed = " and ".join(sorted(kind.__name__ for kind in kinds))
        raise BadRows(f"{name} mixes {mixed}; a metric has one type throughout")
    if texts:
        return np.array(values, dtype=object)
    if not all(issubclass(kind, (int, float, complex, np.generic, list, tuple, type(None))) for kind in kinds):
        odd = next(value for value in values if not isinstance(value, (int, float, np.generic)))
        raise BadRows(f"{name} holds {_kind(odd)}; a metric is a number or a truth value")
    try:
        array = np.array(values)
    except ValueError:  # lists of several lengths
        raise BadRows(f"{name} holds lists, not one value a row") from None
    if array.dtype.kind == "f" and kinds and all(issubclass(kind, (int, np.integer)) for kind in kinds):
        raise BadRows(f"{name} holds whole numbers beyond 64 bits")
    return array


def _texts(name: str, array: np.ndarray) -> np.ndarray:
    """Texts that can be written; None, nan and what is masked is missing."""
    if array.dtype.kind not in "UO":
        raise BadRows(f"{name} holds {_content(array)}, and is announced as texts")
    found = np.array(np.ma.getdata(array), dtype=object)
    missing = [value is None or (isinstance(value, float) and value != value) for value in found.tolist()]
    found[np.ma.getmaskarray(array) | missing] = None  # pandas has nan for a missing text
    for row, text in enumerate(found.tolist()):
        if text is None:
            continue
        if not isinstance(text, str):
            raise BadRows(f"{name} holds {_kind(text)}, and is announced as texts")
        found[row] = str.__str__(text)  # a subclass may say what it likes of itself
    for text in set(found.tolist()) - {None}:
        if written(text) != text:
            raise BadRows(f"{name} holds {text!a}, which cannot be encoded")
    return found


def _counts(name: str, values: Any, rows: int) -> np.ndarray:
    """Histograms as tuples of whole numbers; None and what is masked is missing. A whole array (rows, bins) will do."""
    if not isinstance(values, (list, tuple, np.ndarray)):
        raise BadRows(f"{name} is {_kind(values)}, not a column of histograms")
    if len(values) != rows:
        raise BadRows(f"{name} has {len(values)} entries, and there are {rows} rows")
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else np.zeros(rows, dtype=bool)
    hidden: np.ndarray = mask if mask.ndim == 1 else np.asarray(mask.all(axis=1))
    if mask.ndim > 1 and np.any(mask.any(axis=1) & ~hidden):
        raise BadRows(f"{name} has histograms of which some bins are masked")
    found = np.empty(rows, dtype=object)
    for row, value in enumerate(np.ma.getdata(values) if isinstance(values, np.ma.MaskedArray) else values):
        if value is not None and not hidden[row]:
            found[row] = _histogram(name, value)
    return found


def _histogram(name: str, value: Any) -> tuple[int, ...]:
    plain = isinstance(value, (list, tuple, np.ndarray)) and not np.ma.is_masked(value)
    one = np.asarray(value) if plain else np.empty(())
    truths = isinstance(value, (list, tuple)) and any(isinstance(entry, TRUTH) for entry in value)
    if not plain or truths or one.ndim != 1 or one.dtype.kind not in "iu" or (one.size and one.min() < 0):
        raise BadRows(f"{name} holds {_kind(value)}, and is announced as counts: whole numbers, one a bin")
    counts: list[int] = list(one)
    return tuple(int(count) for count in counts)


def _content(array: np.ndarray) -> str:
    names = {"c": "complex numbers", "U": "texts", "S": "bytes", "M": "times", "m": "times", "V": "records"}
    if array.dtype.kind != "O":
        return names.get(array.dtype.kind, str(array.dtype))
    odd = [value for value in array.tolist() if not isinstance(value, (int, float))]
    if odd:
        return _kind(odd[0])
    large = any(isinstance(value, int) and abs(value) > LARGEST for value in array.tolist())
    return "whole numbers beyond 64 bits" if large else "numbers as objects (give them as an array of one type)"


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def odd_ones(kinds: Iterable[tuple[str, int]]) -> str | None:
    """The rarer of two kinds (b: truth values, n: numbers) that parts of a column have, with their numbers of rows."""
    counts = {"n": 0, "b": 0}
    for kind, rows in kinds:
        counts[kind] += rows
    return None if not all(counts.values()) else min(counts, key=lambda kind: (counts[kind], kind))
