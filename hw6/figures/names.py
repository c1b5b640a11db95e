"""Names: what columns and their values are called in a figure and in a summary."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from hw6.contract.drawing import PLACEHOLDER, Drawing
from hw6.contract.experiment import Experiment

SHORT = 40  # characters of a help that can stand beside an axis


def label_of(key: str, experiment: Experiment, drawing: Drawing) -> str:
    """What stands beside an axis."""
    if key in drawing.labels:
        return drawing.labels[key]
    text = experiment.keys[key].help if key in experiment.keys else experiment.metrics.get(key, "")
    return str(text) if 0 < len(text) <= SHORT else key


def symbol_of(key: str, drawing: Drawing) -> str:
    """What a key is called in a legend and in a caption."""
    return drawing.symbols.get(key, key)


def name_of(key: str, value: Any, drawing: Drawing, single: Mapping[str, Any]) -> tuple[str, set[str]]:
    """The name of one value of a key, and the keys that this name has told already.

    Args:
        key: the key.
        value: its value; NaN or None where the key does not exist.
        drawing: names wanted by the experiment.
        single: the keys that have but one value here, for placeholders.
    """
    for template in drawing.names.get(key, {}).get(str(value), ()):
        wanted = PLACEHOLDER.findall(template)
        if all(other in single for other in wanted):
            text = PLACEHOLDER.sub(lambda match: number(single[match[1]]), template)
            return text, {key, *wanted}
    if isinstance(value, float):
        return f"{symbol_of(key, drawing)} = {number(value)}", {key}
    return (f"{symbol_of(key, drawing)} = {value}" if value in {"true", "false"} else str(value)), {key}


def placeholders(drawing: Drawing) -> list[str]:
    """The keys whose values stand within names, in order."""
    return _wanted(text for names in drawing.names.values() for texts in names.values() for text in texts)


def _wanted(templates: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(key for text in templates for key in PLACEHOLDER.findall(text)))


def fixed(drawing: Drawing, single: Mapping[str, Any], used: Collection[str]) -> list[str]:
    """What a caption tells of the keys with one value, those in ``used`` apart."""
    parts, told = [], set(used)
    for key in dict.fromkeys([*drawing.names, *drawing.caption]):
        named = key in drawing.caption or str(single.get(key)) in drawing.names.get(key, {})
        if key in single and key not in told and named:
            name, keys = name_of(key, single[key], drawing, single)
            if not set(_wanted(drawing.names.get(key, {}).get(str(single[key]), ()))) & set(used):  # told by an axis
                parts.append(name)
            told |= keys
    return parts


def number(value: Any) -> str:
    """A number as short as it can be told."""
    return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e") if isinstance(value, float) else str(value)
