"""A folder that an earlier release wrote is read, resumed and widened, and nothing in it is done twice."""

from __future__ import annotations

import json
import platform
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from commands import Command
from recipes import assert_same_rows

from hw6.aggregate import load, provenance
from hw6.store import directory
from hw6.store.record import versions

OLD = Path(__file__).parent / "sweep-0.1.0"
ROOT = Path(__file__).resolve().parents[2]
SIZES = ("data.n_train=6", "data.n_validation=4", "data.n_test=3", "data.d=3", "lambda.num=3")


@pytest.fixture
def old(command: Command) -> Path:
    """The folder as if this Python and these packages had written it: it is the release that is old here."""
    folder = command.folder / "old"
    shutil.copytree(OLD, folder)
    path = folder / directory.PROVENANCE
    record = json.loads(path.read_text(encoding="utf-8"))
    record["runs"][0]["versions"] = versions({})
    path.write_text(json.dumps(record), encoding="utf-8")
    return folder


def test_it_is_read(old: Path) -> None:
    frame = load(old)
    assert len(frame) == 8 + 8 * 3
    assert frame["cell_id"].nunique() == 16
    assert frame["population_risk"].notna().all()
    assert provenance(old)[0]["expanded"][5] == "population_risk=true"


def test_it_is_resumed_and_nothing_runs_again(command: Command, old: Path) -> None:
    ran = command("resume=old")
    assert ran.status == 0, ran.err
    assert "0 cells" in ran.out
    assert "16 were done before" in ran.out


def test_it_is_widened_under_the_keys_new_name(command: Command, old: Path) -> None:
    ran = command("resume=old", "p=4:10")
    assert ran.status == 0, ran.err
    assert "8 cells" in ran.out
    assert "exact_risk=true" in provenance(old)[-1]["expanded"]
    assert load(old)["cell_id"].nunique() == 24


def test_its_lost_rows_come_back_to_the_bit(command: Command, old: Path) -> None:
    """Ids and numbers are those of the release that wrote it; the bits too, on the numpy that wrote them."""
    written = json.loads((OLD / directory.PROVENANCE).read_text())["runs"][0]["versions"]["numpy"]
    tested = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert f"numpy=={written}" in tested, "write the folder again with the release 0.1.0 and this numpy"
    before = load(old)
    next((old / "1").glob("rows-*.parquet")).unlink()
    assert "8 cells" in command("resume=old").out
    after = load(old)
    told = [name for name in before.columns if name not in {"seconds"}]
    if platform.machine() == "x86_64" and versions({})["numpy"] == written:
        assert_same_rows(before[told], after[told])
    else:
        one, other = (frame[told].sort_values("cell_id", ignore_index=True) for frame in (before, after))
        pd.testing.assert_frame_equal(one, other, rtol=1e-9)


def test_the_same_command_with_the_old_name_is_told_the_new_one(command: Command) -> None:
    ran = command("-m", "p=4:8", "population_risk=true", *SIZES[:1])
    assert ran.status == 2
    assert ran.lines[0].startswith("population_risk=true: ")
    assert "it is called exact_risk now" in ran.lines[0]
    assert (ran.files, ran.folders) == ([], [])


@pytest.mark.parametrize("text", ["+population_risk=true", "++population_risk=true", "population_risk=true,false"])
def test_any_way_to_write_the_old_name_is_told_the_new_one(command: Command, text: str) -> None:
    ran: Any = command("-m", "p=4:8", text)
    assert ran.status == 2
    assert "it is called exact_risk now" in ran.lines[0]
