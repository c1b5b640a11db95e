"""The command and the files that it writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from recipes_frames import EXPERIMENTS, fail, layers_frame, ridge_frame

from hw6.contract import registry
from hw6.errors import NoResults
from hw6.figures.curves import curves
from hw6.plot import figure, main


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, experiment in EXPERIMENTS.items():
        monkeypatch.setitem(registry._registered, name, experiment)


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder, under an awkward name, that loads as a small sweep."""
    folder = tmp_path / "a b 'c'"
    folder.mkdir()
    loads(monkeypatch, ridge_frame(p=(5, 10, 20, 30), n=20, d=4, seeds=3))
    return folder


def loads(monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame, damaged: tuple[str, ...] = ()) -> None:
    frame.attrs["damaged"] = list(damaged)
    monkeypatch.setattr("hw6.aggregate.load", lambda paths: frame)


def test_files_go_beside_the_results_and_are_printed(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(sweep)]) == 0
    expected = [sweep / f"ridge_recipe.{kind}" for kind in ("png", "pdf", "svg")]
    assert capsys.readouterr().out.splitlines() == [str(path) for path in expected]
    assert sorted(sweep.iterdir()) == sorted(expected)
    assert [path.read_bytes()[:4] for path in expected] == [b"\x89PNG", b"%PDF", b"<?xm"]


def test_equal_rows_give_equal_files_with_text_as_text_and_embedded_fonts(sweep: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert main([str(sweep), "--output", str(tmp_path / name)]) == 0
    found = {path.suffix: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert found == {path.suffix: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    assert "λ tuned on validation data".encode() in found[".svg"]
    assert b"<dc:date>" not in found[".svg"]
    assert b"/Type3" not in found[".pdf"]
    assert b"CreationDate" not in found[".pdf"]


def test_two_sweeps_go_to_the_folder_they_share(sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert main([str(sweep), str(tmp_path / "other"), "--formats", "png"]) == 0
    assert (tmp_path / "ridge_recipe.png").is_file()


def test_each_experiment_has_its_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loads(monkeypatch, pd.concat([ridge_frame(p=(5, 10), n=20, d=4), layers_frame()], ignore_index=True))
    assert main([str(tmp_path), "--formats", "png"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"ridge_recipe.png", "layers_recipe.png"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--metric", "test_mze"], "metric=test_mze: must be one of"),
        (["--x", "data.d"], "x=data.d: must be a swept key"),
        (["--formats", "jpg"], "formats=jpg: must be one of png, pdf, svg"),
        (["--formats", "pdf", "--output", "one.png"], "formats=pdf: cannot go with one file, one.png"),
        (["--where", "lambda.kind=tund"], "where=lambda.kind=tund: no row has this value; there are fixed, tuned"),
        (["--where", "lambda"], "where=lambda: must be KEY=VALUE"),
        (["--where", "p=many"], "no row has this value; there are 5, 10, 20, 30"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    sweep: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert main([str(sweep), *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("hw6: ")
    assert shown.err.count("\n") == 1
    assert line in shown.err
    assert list(sweep.iterdir()) == []


def test_a_part_of_the_rows(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = ["--where", "lambda.kind=tuned", "--where", "seed=1", "--metric", "test_mse", "--formats", "png"]
    assert main([str(sweep), *part]) == 0
    assert capsys.readouterr().out.strip() == str(sweep / "ridge_recipe-test_mse.png")


def test_a_folder_that_cannot_be_written(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sweep / "file").write_text("")
    assert main([str(sweep), "--output", str(sweep / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_one_file_may_be_named(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = sweep / "new" / "figure 1.svg"
    assert main([str(sweep), "--output", str(wanted)]) == 0
    assert capsys.readouterr().out == f"{wanted}\n"
    assert [path for path in sweep.rglob("*") if path.is_file()] == [wanted]


def test_one_file_is_not_enough_for_two_experiments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loads(monkeypatch, pd.concat([ridge_frame(p=(5, 10), n=20, d=4), layers_frame()], ignore_index=True))
    assert main([str(tmp_path), "--output", str(tmp_path / "one.png")]) == 2
    assert "must be a folder" in capsys.readouterr().err


def test_failed_cells_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loads(monkeypatch, fail(ridge_frame(p=(5, 10), n=20, d=4), [0]))
    assert main([str(tmp_path), "--formats", "png"]) == 0
    assert "1 failed cell left out" in capsys.readouterr().err


def test_what_load_refuses_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(paths: object) -> pd.DataFrame:
        raise NoResults("nothing here")

    monkeypatch.setattr("hw6.aggregate.load", nothing)
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == "hw6: nothing here\n"


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
        ridge_frame(p=(5, 10), n=20, d=4, seeds=3, kinds=["fixed"], lambdas=np.logspace(-3, 2, 6)),
    ],
    ids=["map", "maps", "level", "categories", "seeds", "constant", "constant map", "theory", "dots", "family"],
)
def test_every_kind_of_figure_is_drawn(frame: pd.DataFrame) -> None:
    drawn = figure(frame)
    drawn.draw_without_rendering()  # lays out everything
    assert all(axes.has_data() for axes in drawn.axes)


def test_the_users_own_settings_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = ridge_frame(p=(5, 10, 20), n=20, d=4)
    before = figure(frame)._repr_png_()
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9}):
        assert figure(frame)._repr_png_() == before
        assert matplotlib.rcParams["font.size"] == 20


def test_drawn_numbers_are_those_of_the_data_to_the_last_bit() -> None:
    frame = ridge_frame(p=range(5, 40), n=20, d=4, seeds=3)
    drawn = figure(frame).axes[0].lines
    for curve in curves(frame).panels[0].curves:
        found = [line for line in drawn if np.array_equal(line.get_ydata(), curve.centre)]
        assert len(found) == 1, curve.label
        assert np.array_equal(found[0].get_xdata(), curve.x)


@pytest.mark.parametrize(("count", "ordered"), [(2, False), (3, False), (8, False), (3, True), (6, True)])
def test_curves_differ_in_luminance_and_in_dashes(count: int, ordered: bool) -> None:
    frame = ridge_frame(p=range(5, 40), n=20, d=4, kinds=["fixed"])
    values = np.arange(count) / 10 if ordered else [f"a{i}" for i in range(count)]
    key = "data.sigma" if ordered else "features.activation"
    parts = [frame.assign(**{key: value, "cell_id": frame["cell_id"] + str(value)}) for value in values]
    drawn = figure(pd.concat(parts, ignore_index=True), x="p").legends[0].legend_handles
    colors = np.array([to_rgb(line.get_color()) for line in drawn])
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    lightness = 116 * np.cbrt(luminance) - 16
    assert len(drawn) == count
    assert np.diff(np.sort(lightness)).min() > 40 / count
    assert lightness.max() < 75  # still seen on white
    assert len({str(line._unscaled_dash_pattern) for line in drawn}) == count


def test_help_names_every_option_and_importing_is_light() -> None:
    code = "import sys, hw6.plot; sys.exit(any(n in sys.modules for n in ('matplotlib', 'pandas', 'seaborn', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    shown = subprocess.run(
        [sys.executable, "-m", "hw6.plot", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in ("--metric", "--x", "--where", "--statistic", "--band", "--output", "--formats", "examples:"):
        assert option in shown
