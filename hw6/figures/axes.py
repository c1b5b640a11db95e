"""Axes: which columns were swept, and where in a figure each of them goes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hw6.contract.drawing import Drawing
from hw6.errors import BadInput, nearest
from hw6.figures.codes import Column, combine, decides

FEW = 6  # values of a second numeric axis that can still be told apart as curves
MOST_CURVES = 8  # that a reader can follow, and that have a style of their own
MOST_MAPS = 6


def swept(candidates: Iterable[Column], repeats: Collection[str]) -> dict[str, Column]:
    """The columns with more than one value, texts first, without those that only follow another one.

    A key that interpolates a swept key (``train=${size}``) has as many values and is no axis of its own.

    Args:
        candidates: the columns that may be axes, most wanted first.
        repeats: the names of those that are repetitions; they are axes too, but nothing follows them.
    """
    columns = [candidate for candidate in candidates if candidate.swept]
    groups = [candidate for candidate in columns if not candidate.numeric]
    found = {group.key: group for group in groups}
    for candidate in columns:
        leaders = [[other.codes] for other in found.values() if other.key not in repeats]
        leaders += [[group.codes for group in groups]] if groups else []
        if candidate.numeric and not any(decides(leader, candidate) for leader in leaders):
            found[candidate.key] = candidate
    return found


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each swept column goes: across, upwards (in a map; otherwise None), a curve or map each, repeats."""

    across: Column
    upwards: Column | None
    lines: tuple[Column, ...]
    repeats: tuple[Column, ...]


def layout(axes: Mapping[str, Column], drawing: Drawing, wanted: str | None) -> Layout:
    """Which swept column goes where.

    Args:
        axes: what ``swept`` found; at least one.
        drawing: what the experiment prefers.
        wanted: the key to draw against, or None.

    Raises:
        BadInput: ``wanted`` was not swept, or there are more curves than one figure can show.
    """
    if wanted is not None and wanted not in axes:
        raise BadInput("x", wanted, "must be a swept key: " + ", ".join(axes), nearest(wanted, axes))
    rows = len(next(iter(axes.values())).codes)
    free = [axis for axis in axes.values() if axis.key not in drawing.repeats or axis.key == wanted]
    free = free or list(axes.values())  # only repeats were swept
    across = axes[wanted] if wanted else _across(free, drawing)
    lines = tuple(axis for axis in free if axis is not across)
    numbers = sorted((axis for axis in lines if axis.numeric), key=lambda axis: -len(axis.values))
    count, most, upwards = len(combine([axis.codes for axis in lines], rows)[0]), MOST_CURVES, None
    if numbers and across.numeric and (len(numbers[0].values) > FEW or count > MOST_CURVES):
        upwards = numbers[0]
    elif across.numeric and (many := [axis for axis in lines if len(axis.values) > MOST_CURVES]):
        upwards = max(many, key=lambda axis: len(axis.values))  # a list of names that is too long for a legend
    if upwards is not None:
        lines = tuple(axis for axis in lines if axis is not upwards)
        count, most = len(combine([axis.codes for axis in lines], rows)[0]), MOST_MAPS
    if count > most:
        what = f"{count} {'maps' if upwards else 'curves'} are more than the {most} that one figure can show"
        part = "take a part of the rows, such as one value of " + " or of ".join(axis.key for axis in lines)
        raise BadInput("axes", None, f"{what}: {part}")
    repeats = tuple(axes[key] for key in drawing.repeats if key in axes and key != across.key)
    return Layout(across, upwards, lines, repeats)


def _across(free: Sequence[Column], drawing: Drawing) -> Column:
    """The horizontal axis: what the experiment prefers among the axes with many values, then the longest one."""
    numbers = [axis for axis in free if axis.numeric]
    liked = [axis for axis in numbers or free if axis.key in (*drawing.x, *drawing.index)]
    many = [axis for axis in liked if len(axis.values) > FEW]
    longest = max(numbers or free, key=lambda axis: len(axis.values))
    if many or not liked or (numbers and len(longest.values) > FEW):
        return (many or [longest])[0]
    return liked[0]
