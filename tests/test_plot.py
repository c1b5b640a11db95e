"""The command and the files that it writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from recipes_frames import EXPERIMENTS, fail, layers_frame, ridge_frame

from hw6.errors import NoResults
from hw6.experiments import registry
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
    assert main([str(sweep), "--formats", "png,pdf,svg"]) == 0
    expected = [sweep / f"ridge_recipe.{kind}" for kind in ("png", "pdf", "svg")]
    assert capsys.readouterr().out.splitlines() == [str(path) for path in expected]
    assert sorted(sweep.iterdir()) == sorted(expected)
    assert [path.read_bytes()[:4] for path in expected] == [b"\x89PNG", b"%PDF", b"<?xm"]


def test_equal_rows_give_equal_files(sweep: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert main([str(sweep), "--formats", "png,pdf,svg", "--output", str(tmp_path / name)]) == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_text_stays_text_and_fonts_are_embedded(sweep: Path) -> None:
    main([str(sweep), "--formats", "svg,pdf"])
    svg = (sweep / "ridge_recipe.svg").read_text()
    assert "λ tuned on validation data" in svg
    assert "<dc:date>" not in svg
    pdf = (sweep / "ridge_recipe.pdf").read_bytes()
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf


def test_two_sweeps_go_to_the_folder_they_share(sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert main([str(sweep), str(tmp_path / "other")]) == 0
    assert (tmp_path / "ridge_recipe.png").is_file()


def test_each_experiment_has_its_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loads(monkeypatch, pd.concat([ridge_frame(p=(5, 10), n=20, d=4), layers_frame()], ignore_index=True))
    assert main([str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"ridge_recipe.png", "layers_recipe.png"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--metric", "test_mze"], "metric=test_mze: must be one of"),
        (["--x", "data.d"], "x=data.d: must be a swept key"),
        (["--formats", "jpg"], "formats=jpg: must be one of png, pdf, svg"),
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
    assert main([str(sweep), "--where", "lambda.kind=tuned", "--where", "seed=1", "--metric", "test_mse"]) == 0
    assert capsys.readouterr().out.strip() == str(sweep / "ridge_recipe-test_mse.png")


def test_a_folder_that_cannot_be_written(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sweep / "file").write_text("")
    assert main([str(sweep), "--output", str(sweep / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_damaged_shard_gives_status_one_after_drawing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loads(monkeypatch, ridge_frame(p=(5, 10), n=20, d=4), damaged=("rows-1.parquet",))
    assert main([str(tmp_path)]) == 1
    assert (tmp_path / "ridge_recipe.png").is_file()


def test_failed_cells_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loads(monkeypatch, fail(ridge_frame(p=(5, 10), n=20, d=4), [0]))
    assert main([str(tmp_path)]) == 0
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
    ],
    ids=["map", "maps", "level", "categories", "seeds", "constant", "constant map", "theory"],
)
def test_every_kind_of_figure_is_drawn(frame: pd.DataFrame) -> None:
    picture = figure(frame)._repr_png_()
    assert picture.startswith(b"\x89PNG")


def test_the_users_own_settings_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    frame = ridge_frame(p=(5, 10, 20), n=20, d=4)
    before = figure(frame)._repr_png_()
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9}):
        assert figure(frame)._repr_png_() == before
        assert matplotlib.rcParams["font.size"] == 20


def test_help_names_every_option_and_importing_is_light() -> None:
    code = "import sys, hw6.plot; sys.exit(any(n in sys.modules for n in ('matplotlib', 'pandas', 'seaborn', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    shown = subprocess.run(
        [sys.executable, "-m", "hw6.plot", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in ("--metric", "--x", "--where", "--statistic", "--band", "--output", "--formats", "examples:"):
        assert option in shown
