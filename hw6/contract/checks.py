"""What is wrong with an experiment's parts, said when it is made."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hw6.contract.drawing import Drawing, names_in
from hw6.contract.keys import GROUPS, RESERVED, UNSET, Key
from hw6.contract.metrics import Counts, Text
from hw6.errors import BadInput, nearest

if TYPE_CHECKING:
    from hw6.contract.experiment import Experiment

NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
KEY = re.compile(rf"{NAME.pattern}(\.{NAME.pattern})*", re.ASCII)
SHOWN = 8  # names in a list of what is allowed


def mistakes_of(experiment: Experiment) -> list[str]:
    """All mistakes in the parts of an experiment; those that make no sense of others come first and alone."""
    wrong = [*_types(experiment)]
    if wrong:
        return wrong
    wrong = [*_names(experiment), *_metrics(experiment), *_defaults(experiment)]
    return wrong or [*_drawing(experiment)]


def _types(experiment: Experiment) -> Iterator[str]:
    if not isinstance(experiment.name, str) or not NAME.fullmatch(experiment.name):
        yield f"name {experiment.name!r} must be letters, digits and _"
    if not isinstance(experiment.version, int) or isinstance(experiment.version, bool) or experiment.version < 1:
        yield f"version {experiment.version!r} must be a whole number from 1 up"
    for field in ("keys", "metrics"):
        if not isinstance(getattr(experiment, field), Mapping):
            yield f"{field} must map names, not be a {type(getattr(experiment, field)).__name__}"
    for field in ("rows", "refuse", "price", "rows_of", "memory", "drawing"):
        if not callable(getattr(experiment, field)):
            yield f"{field} must be a function, not a {type(getattr(experiment, field)).__name__}"
    for field in ("order", "measured", "shorthands"):
        given = getattr(experiment, field)
        if isinstance(given, str) or not isinstance(given, Collection):
            yield f"{field} must be a list of names, not {given!r}"


def _names(experiment: Experiment) -> Iterator[str]:
    from hw6.contract.experiment import ROW_COLUMNS

    taken = {*RESERVED, *ROW_COLUMNS}
    for name, kind in experiment.keys.items():
        if not isinstance(name, str) or not KEY.fullmatch(name):
            yield f"key {name!r} must be names of letters, digits and _, joined by dots"
        elif not isinstance(kind, Key):
            yield f"key {name} must be a Key such as Integer(help=...), not {kind!r}"
        elif name.partition(".")[0] in taken:
            yield f"key {name} has a name of hw6's own"
        elif name in GROUPS:
            yield f"key {name} has the name of a config group of hw6"
        elif any(other.startswith(f"{name}.") for other in experiment.keys if isinstance(other, str)):
            yield f"key {name} is a group of keys as well"
        elif name in experiment.metrics:
            way = "it may not be listed as a metric" if kind.resolves else "rename one of them"
            yield f"key {name} is a metric too: {way}"
    for key in experiment.order:
        if key not in experiment.keys:
            yield f"order names {key}, which is no key" + _hint(key, experiment.keys)
    for short in experiment.shorthands:
        if short.key not in experiment.keys:
            yield f"shorthands name {short.key}, which is no key" + _hint(short.key, experiment.keys)


def _metrics(experiment: Experiment) -> Iterator[str]:
    from hw6.contract.experiment import ROW_COLUMNS

    for name, text in experiment.metrics.items():
        if not isinstance(name, str) or not name.strip() or set(name) & set(",\n"):
            yield f"metric {name!r} must be a name without commas and line breaks"
        elif name in {*RESERVED, *ROW_COLUMNS}:
            yield f"metric {name} has a name of hw6's own"
        elif not isinstance(text, str):
            yield f"metric {name} must have a line of explanation, not {text!r}"
    objective = experiment.objective
    if objective is not None and objective not in experiment.metrics:
        listed = _listed(experiment.metrics)
        yield f"objective {objective} is no metric: {listed}" + _hint(objective, experiment.metrics)
    elif objective is not None and isinstance(experiment.metrics[objective], (Text, Counts)):
        yield f"objective {objective} is no number"
    for name in sorted(experiment.measured - experiment.metrics.keys()):
        yield f"measured names {name}, which is no metric" + _hint(name, experiment.metrics)


def _defaults(experiment: Experiment) -> Iterator[str]:
    """The defaults that the keys bring, and those given for them."""
    from hw6.contract.experiment import flat

    given: Mapping[str, Any] = {}
    if experiment.defaults is not None:
        if not isinstance(experiment.defaults, Mapping):
            yield f"defaults must map keys to values, not be {experiment.defaults!r}"
            return
        groups = "defaults" in experiment.defaults
        given = flat({name: value for name, value in experiment.defaults.items() if name != "defaults"})
        given = {name: value for name, value in given.items() if name != "experiment"}
        for name in given:
            if name not in experiment.keys:
                yield f"defaults have {name}, which is no key" + _hint(name, experiment.keys)
        for name, key in experiment.keys.items():
            if name not in given and getattr(key, "default", UNSET) is UNSET and not groups:
                yield f"defaults lack {name}"
    for name, key in experiment.keys.items():
        if not isinstance(key, Key):
            continue  # told already
        value = given.get(name, key.default)
        if value is UNSET or value == "???" or (isinstance(value, str) and "${" in value):
            continue
        try:
            key.convert(name, value)
        except BadInput as mistake:
            yield f"default {mistake}"


def _drawing(experiment: Experiment) -> Iterator[str]:
    values = {name: (key.default,) for name, key in experiment.keys.items() if key.default is not UNSET}
    try:
        drawing = experiment.drawing(values)
    except Exception as error:  # whatever it raises: it is the author who is told
        yield f"drawing raises {type(error).__name__}: {error}"
        return
    if not isinstance(drawing, Drawing):
        yield f"drawing must be a Drawing, not a {type(drawing).__name__}"
        return
    known = {*experiment.keys, *experiment.metrics}
    for part, name in dict.fromkeys(names_in(drawing)):
        if name not in (experiment.metrics if part in {"panels", "best", "last", "histograms"} else known):
            yield f"drawing: {part} name {name}, which is no {'metric' if name in known else 'key or metric'}" + _hint(
                name, known
            )


def _hint(name: object, known: Iterable[str]) -> str:
    near = nearest(str(name), known)
    return f" ({near})" if near else ""


def _listed(names: Collection[str]) -> str:
    some: Sequence[str] = list(names)[:SHOWN]
    return ("must be one of " + ", ".join(some) + (", ..." if len(names) > SHOWN else "")) if some else "it has none"
