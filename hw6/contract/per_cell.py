"""``@hw6.experiment``: a function of one cell as an experiment.

    @hw6.experiment(metrics={"test_mse": "test error (mean squared)"})
    def knn(k: Annotated[int, hw6.Integer(help="neighbours", minimum=1)] = 5, seed: int = 0):
        ...
        return {"test_mse": error}

The parameters are the keys: types come from annotations (``hw6.contract.signature``), defaults stand in the signature.
What it returns is one row, several rows, or columns (``hw6.contract.answers``). It stays callable: ``knn(k=3)``.
"""

from __future__ import annotations

import dis
import inspect
import os
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from hw6.contract.answers import CellAnswers, Row, rows_of_answer
from hw6.contract.cells import MOST_LINES
from hw6.contract.drawing import Drawing
from hw6.contract.experiment import PLAIN, BadExperiment, Cells, Experiment
from hw6.contract.failure import Failure, Failures
from hw6.contract.signature import Decode, NoKey, keys_of
from hw6.errors import FULL_ERROR, BadInput, tell

PATIENCE = 2.0  # seconds after which finished cells are handed over to be stored
# What may be said of each cell: a function of some of its parameters by name, or of one argument ``cells``, all of them
# as columns (as in Experiment); a number is that of every cell.
Said = Callable[..., Any] | float | None


@dataclass(frozen=True)
class CellExperiment(Experiment):
    """An experiment made of a function of one cell; calling it calls the function."""

    function: Callable[..., Any] = field(kw_only=True)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What the function returns for one cell."""
        return self.function(*arguments, **named)


def experiment(
    *unnamed: Any,
    metrics: Mapping[str, str] | None = None,
    name: str | None = None,
    version: int = 1,
    objective: str | None = None,
    refuse: Callable[..., Any] | None = None,
    price: Said = None,
    memory: Said = None,
    rows_of: Said = None,
    order: Sequence[str] = (),
    measured: Collection[str] = (),
    drawing: Callable[[Mapping[str, Sequence[Any]]], Drawing] = PLAIN,
    finite: bool = True,
) -> Callable[[Callable[..., Any]], CellExperiment]:
    """Make an experiment of the function below.

    Args:
        unnamed: nothing; a function that comes here was decorated without parentheses.
        metrics: what the function returns, a line of explanation each (``hw6.Text``, ``hw6.Counts``: other kinds).
        name: what ``experiment=`` selects; by default the function's name.
        version: part of every cell's id: raise it when the numbers of any row change. Left out, a change of the code
            still asks on resuming what becomes of the old rows (``changed=``).
        objective: the metric that a job returns to Hydra's optimising sweepers.
        refuse: looks before the start: gives, or raises, a BadInput (or a list of them) for what cannot be run.
        price: seconds of one core for a cell; with it a sweep uses all cores once it is worth it.
        memory: bytes that a cell needs.
        rows_of: how many rows a cell has.
        order: parameters from the outermost to the innermost: the order in which cells run.
        measured: the metrics that are measured (times): they may differ from run to run.
        drawing: how rows are drawn, or a function to it (``hw6.Drawing``).
        finite: whether a nan or an infinity in a metric is a failure of its cell.

    ``refuse``, ``price``, ``memory`` and ``rows_of`` are functions of some of the parameters, by name.

    Raises:
        BadExperiment: what is wrong, in a line. In a script, which would end in a traceback, that line is printed and
            the exit status is 2.
    """
    said = {"price": price, "memory": memory, "rows_of": rows_of, "refuse": refuse}
    plain: dict[str, Any] = {
        "version": version,
        "objective": objective,
        "drawing": drawing,
        "finite": finite,
        "order": order,
    }
    plain["measured"] = frozenset(measured) if isinstance(measured, (list, tuple, set, frozenset)) else measured
    made = partial(_made, name=name, metrics=None if unnamed else metrics, said=said, plain=plain)
    if unnamed:
        made(unnamed[0] if inspect.isfunction(unnamed[0]) else experiment)  # which is refused
    return made


def _made(
    function: Callable[..., Any],
    name: str | None,
    metrics: Mapping[str, str] | None,
    said: Mapping[str, Any],
    plain: Mapping[str, Any],
) -> CellExperiment:
    """The experiment of a function; a script in which it cannot be made ends with what is wrong in a line."""
    called = name or str(getattr(function, "__name__", "experiment"))
    try:
        if metrics is None:
            raise BadExperiment(called, ['write @hw6.experiment(metrics={"error": "what it is"}) above it'])
        if isinstance(metrics, Mapping) and not metrics:
            raise BadExperiment(called, ['metrics names none: write metrics={"error": "what it is"}'])
        keys, decodes, wrong = _parameters(function)
        about, more = _said(said, keys, decodes)
        if wrong := [*wrong, *more]:
            raise BadExperiment(called, wrong)
        rows = _rows(function, decodes, metrics)
        result = CellExperiment(name=called, keys=keys, metrics=metrics, rows=rows, function=function, **plain, **about)
    except BadExperiment as error:
        if function.__module__ != "__main__" or not _is_script() or os.environ.get(FULL_ERROR) == "1":
            raise
        tell(error)
        raise SystemExit(error.exit_status) from error
    shown = {"__name__": called, "__doc__": function.__doc__, "__wrapped__": function}
    vars(result).update(shown, __module__=function.__module__, __qualname__=function.__qualname__)
    return result


def _said(
    said: Mapping[str, Any], keys: Mapping[str, Any], decodes: Mapping[str, Decode]
) -> tuple[dict[str, Any], list[str]]:
    """What is said of cells, as functions of batches, and what is wrong with it."""
    found, wrong = {}, []
    for word, value in said.items():
        try:
            if value is not None:
                found[word] = _of_cells(word, value, list(keys), decodes)
        except NoKey as mistake:
            wrong.append(str(mistake))
    return found, wrong


def _is_script() -> bool:
    return bool(getattr(sys.modules["__main__"], "__file__", None)) and not sys.flags.interactive


def _parameters(function: Any) -> tuple[dict[str, Any], dict[str, Decode], list[str]]:
    if not inspect.isfunction(function):
        return {}, {}, [f"a {type(function).__name__} stands below @hw6.experiment, not a function"]
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return {}, {}, ["it is async: write def, not async def"]
    keys, decodes, wrong = keys_of(function)
    if _returns_nothing(function):
        wrong.append("it returns nothing: end it with return {METRIC: value}")
    return keys, decodes, wrong


def _returns_nothing(function: Any) -> bool:
    """Whether a function's every end is a plain return; one that always raises has none."""
    if inspect.isgeneratorfunction(function):
        return False
    code = list(dis.get_instructions(function))
    ends = [place for place, one in enumerate(code) if one.opname in {"RETURN_VALUE", "RETURN_CONST"}]

    def nothing(place: int) -> bool:
        loads = code[place] if code[place].opname == "RETURN_CONST" else code[place - 1]
        plain = loads.opname in {"LOAD_CONST", "RETURN_CONST"} and loads.argval is None
        return plain and not code[place].is_jump_target  # to which another value may have been brought

    return bool(ends) and all(map(nothing, ends))


def _rows(
    function: Callable[..., Any], decodes: Mapping[str, Decode], metrics: Mapping[str, str]
) -> Callable[[Cells], Any]:
    """``Experiment.rows`` of a function of one cell: called cell by cell, each answer or failure its cell's own."""
    parameters = inspect.signature(function).parameters.values()
    names = [one.name for one in parameters]
    own = inspect.signature(function, follow_wrapped=False).parameters.values()  # of a wrapper, what it takes itself
    by_name = any(one.kind == one.KEYWORD_ONLY for one in parameters) or any(one.kind == one.VAR_KEYWORD for one in own)
    places = sum(one.kind == one.POSITIONAL_ONLY for one in parameters) if by_name else len(names)
    named = names[places:]
    example = "{" + ", ".join(f'"{one}": ...' for one in metrics) + "}"

    def rows(cells: Cells) -> CellAnswers:
        columns = [_column(cells[name], decodes.get(name)) for name in names]
        answers: list[list[Row] | Failure] = []
        failures = Failures()
        clock = time.perf_counter
        times = [clock()]
        for cell in zip(*columns, strict=True):
            try:
                answer = function(*cell[:places], **dict(zip(named, cell[places:], strict=True)))
                answers.append(rows_of_answer(answer, metrics, example))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # whatever it raises, SystemExit too, is its own row's failure
                answers.append(failures.of(error))
            times.append(clock())
            if times[-1] > times[0] + PATIENCE:
                break
        return CellAnswers(answers, np.diff(times))

    rows.__wrapped__ = function  # type: ignore[attr-defined] # whose code makes the rows
    rows.__module__ = function.__module__
    return rows


def _column(column: np.ndarray, decode: Decode | None) -> list[Any]:
    values: list[Any] = column.tolist()
    return values if decode is None else [decode(value) for value in values]


def _of_cells(word: str, said: Any, names: Sequence[str], decodes: Mapping[str, Decode]) -> Callable[[Cells], Any]:
    """What is said of one cell, as ``Experiment`` wants it: of a batch of cells.

    Raises:
        NoKey: the function asks for something that no cell has.
    """
    if not callable(said):
        if word == "refuse" or isinstance(said, bool) or not isinstance(said, (int, float)):
            return said  # type: ignore[no-any-return] # no function: the experiment says so
        return lambda cells: np.broadcast_to(np.float64(said), (len(next(iter(cells.values()))),))
    wanted = list(inspect.signature(said).parameters)
    if wanted == ["cells"]:
        return said  # type: ignore[no-any-return]
    unknown = [name for name in wanted if name not in names]
    if unknown or not wanted:
        what = f"names {unknown[0]}, which is no parameter" if unknown else "has no argument"
        raise NoKey(f"{word} {what}; the parameters are {', '.join(names)}")

    def of_cells(cells: Cells) -> Any:
        found: dict[tuple[Any, ...], Any] = {}
        each = []
        for values in zip(*(cells[name].tolist() for name in wanted), strict=True):
            if values not in found:
                cell = [decodes.get(name, _as_it_is)(value) for name, value in zip(wanted, values, strict=True)]
                found[values] = _refusals(said, cell) if word == "refuse" else said(*cell)
            each.append(values)
        if word == "refuse":
            told = {str(mistake): mistake for mistakes in found.values() for mistake in mistakes}
            return list(told.values())[:MOST_LINES]
        return np.array([found[values] for values in each])

    return of_cells


def _as_it_is(value: Any) -> Any:
    return value


def _refusals(refuse: Callable[..., Any], values: Sequence[Any]) -> list[Any]:
    """What a function of one cell refuses, given or raised."""
    try:
        answer = refuse(*values)
    except BadInput as mistake:
        return [mistake]
    if answer is None or isinstance(answer, BadInput):
        return [] if answer is None else [answer]
    if not isinstance(answer, (list, tuple)):
        raise TypeError(f"it gives {answer!r}, not a BadInput, a list of them, or None")
    return list(answer)
