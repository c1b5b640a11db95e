"""The centre of repeats and its band."""

from __future__ import annotations

import numpy as np
import pytest
from recipes_frames import SMALL, curves_in, ridge_frame

from hw6.errors import BadInput
from hw6.figures.curves import curves
from hw6.figures.spread import chosen_band, spread


def test_centre_and_band_are_the_median_and_quartiles_over_seeds() -> None:
    frame = ridge_frame(**SMALL, seeds=6)
    curve = curves_in(curves(frame))[1]
    for place, p in enumerate((5, 10, 20, 30)):
        values = frame.loc[(frame["p"] == p) & (frame["lambda.kind"] == "tuned"), "test_mse"]
        expected = np.quantile(values, [0.25, 0.5, 0.75])
        np.testing.assert_allclose([curve.low[place], curve.centre[place], curve.high[place]], expected, rtol=1e-14)
    assert curve.count.tolist() == [6, 6, 6, 6]


@pytest.mark.parametrize(("band", "factor"), [("95", 2.5706), ("se", 1.0), ("none", 0.0)])
def test_the_mean_has_the_band_that_was_asked_for(band: str, factor: float) -> None:
    frame = ridge_frame(**SMALL, seeds=6, kinds=["tuned"])
    (curve,) = curves_in(curves(frame, statistic="mean", band=band))
    values = frame.loc[frame["p"] == 5, "test_mse"].to_numpy(dtype=np.float64)
    half = factor * values.std(ddof=1) / np.sqrt(len(values))
    np.testing.assert_allclose(curve.centre[0], values.mean(), rtol=1e-13)
    np.testing.assert_allclose(curve.high[0] - curve.centre[0], half, rtol=1e-4)
    np.testing.assert_allclose(curve.centre[0] - curve.low[0], half, rtol=1e-4)


def test_the_interval_of_the_mean_follows_students_t() -> None:
    stats = pytest.importorskip("scipy.stats")
    for freedom in (1, 2, 5, 10, 11, 19, 99):
        values = np.random.default_rng(freedom).standard_normal(freedom + 1)
        result = spread(values, np.zeros(freedom + 1, dtype=int), 1, "mean", "95")
        half = stats.t.ppf(0.975, freedom) * values.std(ddof=1) / np.sqrt(freedom + 1)
        np.testing.assert_allclose(result.high - result.centre, half, rtol=3e-4)


@pytest.mark.parametrize(("statistic", "band"), [("median", "quartiles"), ("mean", "95"), ("mean", "se")])
def test_a_single_value_is_its_own_band(statistic: str, band: str) -> None:
    one = spread(np.array([2.5, 7.0]), np.array([1, 0]), 2, statistic, band)
    assert one.centre.tolist() == one.low.tolist() == one.high.tolist() == [7.0, 2.5]
    assert one.count.tolist() == [1, 1]


def test_a_statistic_has_its_own_bands() -> None:
    assert [chosen_band("median", None), chosen_band("mean", None)] == ["quartiles", "95"]
    assert chosen_band("mean", "se") == "se"
    with pytest.raises(BadInput, match="band=95: must be one of quartiles, none for the median"):
        chosen_band("median", "95")
