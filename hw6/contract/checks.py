"""What is wrong with an experiment's parts, said when it is made."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any

from hw6.contract.drawing import Drawing, names_in
from hw6.contract.keys import GROUPS, LARGEST, RESERVED, UNSET, Choice, Integer, Key, Real
from hw6.contract.metrics import Counts, Text
from hw6.contract.shorthand import Shorthand
from hw6.errors import BadInput, described, nearest, shortened, show

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
    if not isinstance(experiment.name, str) or not NAME.fullmatch(experiment.name) or len(experiment.name) > 100:
        yield f"name {experiment.name!r} must be letters, digits and _, at most 100"
    elif experiment.name in {"null", "true", "false"}:
        yield f"name {experiment.name} means something else in a config"
    if not isinstance(experiment.version, int) or isinstance(experiment.version, bool) or experiment.version < 1:
        yield f"version {experiment.version!r} must be a whole number from 1 up"
    for field in ("keys", "metrics"):
        if not isinstance(getattr(experiment, field), Mapping):
            yield f"{field} must map names, not be a {type(getattr(experiment, field)).__name__}"
    for field in ("rows", "refuse", "price", "rows_of", "memory", "drawing"):
        if not callable(getattr(experiment, field)):
            yield f"{field} must be a function, not a {type(getattr(experiment, field)).__name__}"
    for field, kind, what in (
        ("order", str, "names"),
        ("measured", str, "names"),
        ("shorthands", Shorthand, "Shorthand"),
    ):
        given = getattr(experiment, field)
        ordered = field == "measured" or isinstance(given, (list, tuple))
        if isinstance(given, str) or not ordered or not all(isinstance(one, kind) for one in given):
            yield f"{field} must be a list of {what}, not {given!r}"
    if experiment.objective is not None and not isinstance(experiment.objective, str):
        yield f"objective must be the name of a metric, not {experiment.objective!r}"
    if not isinstance(experiment.finite, bool):
        yield f"finite must be True or False, not {experiment.finite!r}"
    if isinstance(experiment.keys, Mapping) and not experiment.keys:
        yield "keys must name at least one key: a cell is told from another by it"


def _names(experiment: Experiment) -> Iterator[str]:
    from hw6.contract.experiment import ROW_COLUMNS

    taken = {*RESERVED, *ROW_COLUMNS}
    for name, kind in experiment.keys.items():
        if not isinstance(name, str) or not KEY.fullmatch(name):
            yield f"key {name!r} must be names of letters, digits and _, joined by dots"
        elif not isinstance(kind, Key):
            yield f"key {name} must be a Key such as Integer(help=...), not {kind!r}"
        elif not isinstance(kind.help, str) or not kind.help.strip():
            yield f"key {name} must have a line of help, not {kind.help!r}"
        elif isinstance(kind, Choice) and not _are_names(kind.choices):
            yield f"key {name} must have choices such as ('one', 'other'), not {kind.choices!r}"
        elif isinstance(kind, Integer) and not -LARGEST - 1 <= kind.minimum <= kind.maximum <= LARGEST:
            yield f"key {name} must lie between -2^63 and 2^63 - 1, its minimum at most its maximum"
        elif isinstance(kind, Real) and not kind.minimum <= kind.maximum:
            yield f"key {name} has a minimum above its maximum"
        elif name.partition(".")[0] in taken:
            yield f"key {name} has a name of hw6's own: rename it"
        elif name in GROUPS:
            yield f"key {name} has the name of a config group of hw6: rename it"
        elif any(other.startswith(f"{name}.") for other in experiment.keys if isinstance(other, str)):
            yield f"key {name} is a group of keys as well"
        elif name in experiment.metrics:
            way = "it may not be listed as a metric" if kind.resolves else "rename one of them"
            yield f"key {name} is a metric too: {way}"
    if len(set(experiment.order)) < len(experiment.order):
        yield f"order names a key twice: {', '.join(experiment.order)}"
    for key in experiment.order:
        if key not in experiment.keys:
            yield f"order names {key}, which is no key" + _hint(key, experiment.keys)
    for short in experiment.shorthands:
        if short.key not in experiment.keys:
            yield f"shorthands name {short.key}, which is no key" + _hint(short.key, experiment.keys)


def _are_names(choices: object) -> bool:
    return isinstance(choices, (tuple, list)) and bool(choices) and all(isinstance(one, str) for one in choices)


def _metrics(experiment: Experiment) -> Iterator[str]:
    from hw6.contract.experiment import ROW_COLUMNS

    for name, text in experiment.metrics.items():
        if not isinstance(name, str) or not name.strip() or "," in name or not name.isprintable() or len(name) > 200:
            yield f"metric {shortened(repr(name))} must be a name of at most 200 letters, without commas"
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
    from hw6.contract.experiment import flat, is_given

    given: Mapping[str, Any] = {}
    if experiment.defaults is not None:
        if not isinstance(experiment.defaults, Mapping):
            yield f"defaults must map keys to values, not be {experiment.defaults!r}"
            return
        groups = "defaults" in experiment.defaults
        if groups and not isinstance(experiment.defaults["defaults"], (list, tuple)):
            yield f'defaults: its "defaults" must be a list of groups, not {experiment.defaults["defaults"]!r}'
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
        if value is UNSET or not is_given(value):
            continue
        try:
            plain = key.convert(name, value)
        except BadInput as mistake:
            yield f"default {mistake}"
            continue
        if not isinstance(plain, (bool, int, float, str, tuple, NoneType)):
            yield f"default {name} is a {type(plain).__name__}, which no config can hold"


def _drawing(experiment: Experiment) -> Iterator[str]:
    """What the figure of one cell with the defaults names; a function that wants values of other keys is not tried."""
    whole = all(key.default is not UNSET for key in experiment.keys.values())
    values = {name: (in_table(key.default),) for name, key in experiment.keys.items() if key.default is not UNSET}
    try:
        drawing = experiment.drawing({name: found for name, found in values.items() if found != (None,)})
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever it raises: it is the author who is told
        if whole:
            yield f"drawing raises {': '.join(described(error))}"
        return
    if not isinstance(drawing, Drawing):
        yield f"drawing must be a Drawing, not a {type(drawing).__name__}"
        return
    try:
        named = dict.fromkeys(names_in(drawing))
    except (AttributeError, TypeError) as error:
        yield f"drawing has a part of another kind than it should have: {error}"
        return
    known = {*experiment.keys, *experiment.metrics}
    for part, name in named:
        if name not in (experiment.metrics if part in {"panels", "best", "last", "histograms"} else known):
            kind = "metric" if name in known else "key or metric"
            yield f"drawing: {part} name {name}, which is no {kind}" + _hint(name, known)


def in_table(value: Any) -> Any:
    """A value of a key as a table has it when it is drawn: numbers as floats, all else as text; None is missing."""
    if value is None or isinstance(value, float):
        return value
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else show(value)


def _hint(name: object, known: Iterable[str]) -> str:
    near = nearest(str(name), [one for one in known if isinstance(one, str)])
    return f" ({near})" if near else ""


def _listed(names: Collection[str]) -> str:
    some: Sequence[str] = list(names)[:SHOWN]
    return ("must be one of " + ", ".join(some) + (", ..." if len(names) > SHOWN else "")) if some else "it has none"
