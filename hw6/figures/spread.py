"""Spread: the centre of repeated values, and a band around it.

    statistic   band                what it is
    median      quartiles           from the first to the third quartile
    mean        95                  95 % interval of the mean by Student's t
    mean        se                  one standard error to either side
    either      none                no band

Where repeats have heavy tails a mean follows the largest of them: hence the median unless asked otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hw6.errors import BadInput, nearest

BANDS: Mapping[str, Mapping[str, str]] = {
    "median": {"quartiles": "quartiles", "none": ""},
    "mean": {"95": "95 % interval", "se": "standard error", "none": ""},
}
# 97.5 % quantiles of Student's t with 1, 2, ... degrees of freedom; from there on the expansion in 1/freedom is exact
# to three decimals.
_STUDENT = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)


@dataclass(frozen=True)
class Spread:
    """Centre and band of groups of values, arrays (groups,); for a single value the band is that value."""

    centre: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray


def chosen_band(statistic: str, band: str | None) -> str:
    """The band that goes with a statistic.

    Raises:
        BadInput: no such statistic, or no such band for it.
    """
    if statistic not in BANDS:
        raise BadInput("statistic", statistic, "must be one of " + ", ".join(BANDS), nearest(statistic, BANDS))
    band = next(iter(BANDS[statistic])) if band is None else band
    if band not in BANDS[statistic]:
        raise BadInput("band", band, f"must be one of {', '.join(BANDS[statistic])} for the {statistic}")
    return band


def spread(values: np.ndarray, groups: np.ndarray, size: int, statistic: str, band: str) -> Spread:
    """Centre and band of each group.

    Args:
        values: (rows,) finite numbers.
        groups: (rows,) the group of each, in range(size); every group has a value.
        size: the number of groups.
        statistic: a key of ``BANDS``.
        band: one of its bands.
    """
    count = np.bincount(groups, minlength=size)
    if statistic == "mean":
        centre = np.bincount(groups, weights=values, minlength=size) / count
        squares = np.bincount(groups, weights=np.square(values - centre[groups]), minlength=size)
        error = np.sqrt(squares / np.maximum(count - 1, 1) / count)
        half = {"95": _student(count - 1), "se": 1.0, "none": 0.0}[band] * error
        return Spread(centre, centre - half, centre + half, count)
    ordered = values[np.lexsort((values, groups))]
    start = np.cumsum(count) - count
    low, centre, high = (_quantile(ordered, start, count, part) for part in (0.25, 0.5, 0.75))
    return Spread(centre, low, high, count) if band == "quartiles" else Spread(centre, centre, centre, count)


def _quantile(ordered: np.ndarray, start: np.ndarray, count: np.ndarray, part: float) -> np.ndarray:
    """Quantiles by linear interpolation, as numpy's, of consecutive sorted groups."""
    place = part * (count - 1)
    below = np.floor(place).astype(np.int64)
    weight = place - below
    above = np.minimum(below + 1, count - 1)
    return np.asarray((1 - weight) * ordered[start + below] + weight * ordered[start + above])


def _student(freedom: np.ndarray) -> np.ndarray:
    """The 97.5 % quantile of Student's t (Abramowitz and Stegun 26.7.5); 0 without any degree of freedom."""
    z, nu = 1.959964, np.maximum(freedom, 1.0)
    far = z + (z**3 + z) / (4 * nu) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * nu**2)
    far += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * nu**3)
    return np.asarray(
        np.where(freedom > len(_STUDENT), far, np.append(0.0, _STUDENT)[np.minimum(freedom, len(_STUDENT))])
    )
