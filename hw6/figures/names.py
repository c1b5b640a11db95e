"""What columns and their values are called in a figure and in a summary."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from hw6.contract.drawing import Drawing
from hw6.contract.experiment import Experiment

# What keys are called: beside an axis, and in a legend. Keys that are not here go by their own name.
LABELS: Mapping[str, tuple[str, str]] = {
    "p": ("number of features $p$", "p"),
    "seed": ("seed", "seed"),
    "lambda.value": ("ridge parameter $\\lambda$", "λ"),
    "lambda.min": ("smallest $\\lambda$ tried", "smallest λ"),
    "lambda.max": ("largest $\\lambda$ tried", "largest λ"),
    "lambda.num": ("number of $\\lambda$ tried", "number of λ"),
    "data.n_train": ("number of training examples $n$", "n"),
    "data.n_validation": ("number of validation examples", "validation examples"),
    "data.n_test": ("number of test examples", "test examples"),
    "data.d": ("dimension of the data $d$", "d"),
    "data.sigma": ("label noise $\\sigma$", "σ"),
    "data.sigma_validation": ("validation label noise", "validation σ"),
    "data.sigma_test": ("test label noise", "test σ"),
}


PLACEHOLDER = re.compile(r"{([^{}]+)}")


def label_of(key: str, experiment: Experiment, drawing: Drawing) -> str:
    """What stands beside an axis."""
    if key in drawing.labels:
        return drawing.labels[key]
    if key in LABELS:
        return LABELS[key][0]
    text = experiment.keys[key].help if key in experiment.keys else experiment.metrics.get(key, "")
    return text if 0 < len(text) <= 40 else key


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
        return f"{LABELS.get(key, (key, key))[1]} = {number(value)}", {key}
    return (f"{key} = {value}" if value in {"true", "false"} else str(value)), {key}


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


def plural(count: int, noun: str) -> str:
    """``1 seed``, ``2 seeds``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
