"""The command and the files that it writes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from recipes_frames import fail, known, layers_frame, ridge_frame

from hw6.errors import NoResults
from hw6.plot import figure, main


@pytest.fixture(autouse=True)
def _recipes_known() -> Iterator[None]:
    with known():
        yield


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


@pytest.mark.slow
def test_files_go_beside_the_results_and_are_printed(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(sweep)]) == 0
    expected = [sweep / f"ridge_recipe.{kind}" for kind in ("png", "pdf", "svg")]
    assert capsys.readouterr().out.splitlines() == [str(path) for path in expected]
    assert sorted(sweep.iterdir()) == sorted(expected)
    assert [path.read_bytes()[:4] for path in expected] == [b"\x89PNG", b"%PDF", b"<?xm"]


@pytest.mark.slow
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


def test_a_notebook_shows_the_figure_as_a_picture() -> None:
    assert figure(ridge_frame(p=(5, 10, 20), n=20, d=4))._repr_png_()[:4] == b"\x89PNG"


def test_help_names_every_option_and_importing_is_light() -> None:
    code = "import sys, hw6.plot; sys.exit(any(n in sys.modules for n in ('matplotlib', 'pandas', 'seaborn', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    shown = subprocess.run(
        [sys.executable, "-m", "hw6.plot", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in ("--metric", "--x", "--where", "--statistic", "--band", "--output", "--formats", "examples:"):
        assert option in shown
