"""What is drawn of the data: all of it, to the last bit, told apart by colour and by dashes."""

from __future__ import annotations

import re

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from recipes_frames import curves_in, layers_frame, repeated, ridge_frame

from hw6.figures.curves import curves
from hw6.figures.data import Curves, DrawnAxis, MapPanel
from hw6.figures.draw import PaperFigure, draw, render


def drawn(frame: pd.DataFrame, x: str | None = None) -> PaperFigure:
    return draw(curves(frame, x=x))


@pytest.mark.parametrize(
    "frame",
    [
        ridge_frame(p=range(5, 13), n=20, d=4, kinds=["path"]),
        ridge_frame(p=range(5, 13), n=20, d=4, sigmas=[0.1 * i for i in range(7)]),
        ridge_frame(p=(5, 10), n=20, d=4, kinds=["path", "tuned"]),
        ridge_frame(p=[10], n=20, d=4, seeds=3),
        ridge_frame(p=[10], n=20, d=4, seeds=3, kinds=["tuned"]),
        ridge_frame(p=range(5, 13), n=20, d=4).assign(test_mse=1.0),
        ridge_frame(p=range(5, 13), n=20, d=4, kinds=["path"]).assign(test_mse=0.0),
        layers_frame(),
        ridge_frame(p=[10], n=20, d=4, seeds=3, kinds=["fixed", "tuned"], lambdas=[0.01, 0.1, 1.0]),
        ridge_frame(p=(5, 10), n=20, d=4, seeds=3, kinds=["fixed"], lambdas=np.logspace(-3, 2, 6).tolist()),
    ],
    ids=["map", "maps", "level", "categories", "seeds", "constant", "constant map", "theory", "dots", "family"],
)
def test_every_kind_of_figure_is_drawn(frame: pd.DataFrame) -> None:
    figure = drawn(frame)
    figure.draw_without_rendering()  # lays out everything
    assert all(axes.has_data() for axes in figure.axes)


def test_the_users_own_settings_change_nothing() -> None:
    frame = ridge_frame(p=(5, 10, 20), n=20, d=4)
    before = render(drawn(frame), "png")
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9}):
        assert render(drawn(frame), "png") == before
        assert matplotlib.rcParams["font.size"] == 20


def test_drawn_numbers_are_those_of_the_data_to_the_last_bit() -> None:
    frame = ridge_frame(p=range(5, 40), n=20, d=4, seeds=3)
    lines = drawn(frame).axes[0].lines
    for curve in curves_in(curves(frame)):
        found = [line for line in lines if np.array_equal(line.get_ydata(), curve.centre)]
        assert len(found) == 1, curve.label
        assert np.array_equal(found[0].get_xdata(), curve.x)


@pytest.mark.parametrize(("count", "ordered"), [(2, False), (3, False), (8, False), (3, True), (6, True)])
def test_curves_differ_in_luminance_and_in_dashes(count: int, ordered: bool) -> None:
    frame = ridge_frame(p=range(5, 40), n=20, d=4, kinds=["fixed"])
    family = repeated(frame, "data.sigma", [i / 10 for i in range(count)])
    group = repeated(frame, "features.activation", [f"a{i}" for i in range(count)])
    figure = drawn(family if ordered else group, x="p")
    handles = [line for line in figure.legends[0].legend_handles if isinstance(line, Line2D)]
    colors = np.array([to_rgb(line.get_color()) for line in handles])
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    lightness = 116 * np.cbrt(luminance) - 16
    assert len(handles) == count
    assert np.diff(np.sort(lightness)).min() > 40 / count
    assert lightness.max() < 75  # still seen on white
    legend = render(figure, "svg").decode().partition('<g id="legend_1">')[2]
    assert len(set(re.findall(r"stroke-dasharray: ([^;\"]+)", legend))) == count - 1  # and one without dashes


def test_a_mark_on_the_axis_is_named() -> None:
    axes = drawn(ridge_frame(p=range(5, 13), n=8, d=4, kinds=["fixed"])).axes[0]
    assert [text.get_text() for text in axes.texts] == ["$p = n$ = 8"]


def test_the_diagonal_of_a_map_is_drawn_and_named() -> None:
    parts = [ridge_frame(p=range(5, 15), n=n, d=4, kinds=["fixed"]) for n in range(5, 15)]
    axes = drawn(pd.concat(parts, ignore_index=True)).axes[0]
    assert "$p = n$" in [text.get_text() for text in axes.texts]
    assert any(np.array_equal(line.get_xdata(), line.get_ydata()) for line in axes.lines)


def test_a_logarithmic_axis_of_a_map_is_logarithmic() -> None:
    axes = drawn(ridge_frame(p=range(5, 13), n=8, d=4, kinds=["path"])).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")


def test_the_fields_of_a_map_end_halfway_to_the_next_centre() -> None:
    x, y = np.array([1.0, 2.0, 4.0]), np.array([0.01, 0.1, 1.0])
    z = np.arange(1.0, 10.0).reshape(3, 3)
    panel = MapPanel("m", "metric", False, "", x, y, z, np.ones((3, 3), dtype=int))
    data = Curves("name", DrawnAxis("x", "x"), DrawnAxis("y", "y", log=True), (panel,), False, "", "", ())
    (mesh,) = [one for one in draw(data).axes[0].collections if isinstance(one, QuadMesh)]
    corners = np.asarray(mesh.get_coordinates(), dtype=np.float64)
    np.testing.assert_allclose(corners[0, :, 0], [0.5, 1.5, 3.0, 5.0])
    np.testing.assert_allclose(corners[:, 0, 1], 10.0 ** np.array([-2.5, -1.5, -0.5, 0.5]))
