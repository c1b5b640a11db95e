"""An experiment as data: what its record keeps, so that results can be read and drawn without its code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NoReturn

from hw6.contract.asking import drawing_of
from hw6.contract.checks import in_table
from hw6.contract.drawing import Drawing, Fill, Histogram, Mark, Panel
from hw6.contract.experiment import BadExperiment, Cells, Experiment
from hw6.contract.keys import Key
from hw6.contract.metrics import Counts, Text

MOST_VALUES = 1000  # of a key that a drawing is asked about: beyond that, names for each value are no figure
KINDS: dict[str, Callable[[str], str]] = {"number": str, "text": Text, "counts": Counts}


@dataclass(frozen=True, kw_only=True)
class RememberedKey(Key):
    """A key of which only its meaning is known."""

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        return "a value that its experiment allows"

    def accept(self, value: object) -> Any:
        """The value as it is."""
        return value


def describe(experiment: Experiment, values: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """An experiment as JSON: names, explanations and its drawing.

    Args:
        experiment: the experiment.
        values: the distinct values of each key in a sweep, which a drawing may depend on.
    """
    asked = {key: [in_table(one) for one in some[:MOST_VALUES] if one is not None] for key, some in values.items()}
    try:
        drawing: Drawing | None = drawing_of(experiment, {key: some for key, some in asked.items() if some})
    except BadExperiment:  # told when it is drawn; no reason to run nothing
        drawing = None
    kinds = {Text: "text", Counts: "counts"}
    return {
        "version": experiment.version,
        "keys": {name: str(key.help) for name, key in experiment.keys.items()},
        "metrics": {name: [kinds.get(type(text), "number"), str(text)] for name, text in experiment.metrics.items()},
        "objective": experiment.objective,
        "measured": sorted(experiment.measured),
        "drawing": None if drawing is None else asdict(drawing),
    }


def remembered(name: str, content: Any) -> Experiment | None:
    """The experiment that ``describe`` described, to read and draw with; None where the content is something else."""
    try:
        return Experiment(
            name=name,
            version=content["version"],
            keys={key: RememberedKey(help=_text(text)) for key, text in content["keys"].items()},
            metrics={metric: KINDS[kind](_text(text)) for metric, (kind, text) in content["metrics"].items()},
            rows=_no_rows,
            objective=content["objective"],
            measured=frozenset(map(_text, content["measured"])),
            drawing=Drawing() if content["drawing"] is None else _drawing(content["drawing"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):  # BadExperiment is a ValueError
        return None


def _no_rows(cells: Cells) -> NoReturn:
    raise NotImplementedError("this experiment is known from a record alone, which holds no code")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _drawing(content: Mapping[str, Any]) -> Drawing:
    """A drawing from JSON: parts of their own kinds, lists as tuples."""
    parts = {"panels": Panel, "histograms": Histogram, "fills": Fill, "marks": Mark}
    made: dict[str, Any] = {}
    for name in (field.name for field in fields(Drawing) if field.name in content):
        given = content[name]
        if name in parts:
            made[name] = tuple(_part(parts[name], one) for one in given)
        elif name in ("labels", "symbols"):
            made[name] = {key: _text(text) for key, text in given.items()}
        elif name == "names":
            made[name] = {key: {value: _texts(some) for value, some in of.items()} for key, of in given.items()}
        elif name == "last":
            made[name] = None if given is None else _text(given)
        else:
            made[name] = _texts(given)
    return Drawing(**made)


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError
    return tuple(map(_text, values))


def _part(kind: type[Any], content: Mapping[str, Any]) -> Any:
    """A panel, a mark and the like; every entry a plain value of the type that its field has."""
    wanted = {field.name: str(field.type) for field in fields(kind)}
    for name, value in content.items():
        if not _fits(value, wanted[name]):
            raise TypeError
    return kind(**content)


def _fits(value: Any, wanted: str) -> bool:
    """Whether a value from JSON has one of the types that a field of a part is annotated with."""
    kinds: dict[str, tuple[type, ...]] = {"str": (str,), "bool": (bool,), "float": (int, float), "None": (type(None),)}
    allowed = [kind for one in wanted.split("|") for kind in kinds[one.strip()]]
    return type(value) in allowed
