"""What the framework itself costs, a cell and as a whole: time and peak memory of fresh processes.

    python benchmarks/scale.py [--repeat 5] [--json FILE]

- noop: sweeps of 100,000 cells that compute nothing, less the same command with one cell: microseconds (wall clock,
  and processor time, which a busy machine blurs less) and bytes of peak resident memory a cell. With two axes (p and
  seed), with one, with an experiment that another package brings (a distribution with an entry point, made for the
  occasion), and with a function of one cell in a file (``@hw6.experiment``), of which the whole process is timed too.
  One million cells: the whole process.
- load: ``hw6.load`` of one million rows of double_descent in 100 shards, real rows repeated under new ids and seeds.
  Seconds of the call alone, in a process that has imported hw6.load and pandas but read nothing; of the whole process
  beside it; peak memory is that of the whole process.
- width: one cell of double_descent with p = 200,000 and n_train = 300, a whole process.

Commands that are compared run in turn. Times are medians; so are differences of memory. Wall clock from start to end of
a process, peak memory as the kernel counted it (wait4). The environment is that of ``main_command.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from main_command import Child, machine, run_child

CELLS, MILLION, SHARDS = 100_000, 1_000_000, 100
ROW_SWEEP = ("-m", "p=5:105", "seed=0:100", "hydra.sweep.dir=rows")  # 10,000 real rows
LOAD = """
import json, sys, time
import pandas
from hw6.aggregate import load
started = time.perf_counter()
frame = load(sys.argv[1])
print(json.dumps({"seconds": time.perf_counter() - started, "rows": len(frame), "ids": frame["cell_id"].nunique()}))
"""
OUTSIDE = '''
"""An experiment of another package."""
from hw6 import Experiment
from hw6.contract.keys import Integer

EXPERIMENT = Experiment(
    name="outside",
    version=1,
    keys={"p": Integer(help="a number", minimum=1), "seed": Integer(help="a number")},
    metrics={},
    rows=lambda cells: {},
    order=("seed", "p"),
    defaults={"p": 100, "seed": 0},
)
'''

ONE_CELL = '''
"""A function of one cell that does nothing."""
import hw6

@hw6.experiment(metrics={"y": "a number"})
def trivial(p: int = 100, seed: int = 0):
    return {"y": p}
'''


@dataclass(frozen=True)
class Line:
    """One line of the report: a measured number beside what is wanted."""

    what: str
    value: float
    unit: str
    target: float | None
    spread: tuple[float, float]


def sweep(folder: Path, overrides: Sequence[str], extra: Mapping[str, str] | None = None) -> Child:
    """One run of a sweep in a directory of its own, which is removed again."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        return run_child([sys.executable, "-m", "hw6.run", *overrides], Path(name), extra)


def line(what: str, values: Sequence[float], unit: str, target: float | None) -> Line:
    return Line(what, statistics.median(values), unit, target, (min(values), max(values)))


def per_cell(folder: Path, repeat: int) -> list[Line]:
    """100,000 cells against one cell of the same command."""
    package = outside_package(folder)
    (folder / "trivial.py").write_text(ONE_CELL)
    function = f"experiment={folder / 'trivial.py'}:trivial"
    path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
    commands: dict[str, tuple[Sequence[str], Sequence[str], dict[str, str]]] = {
        "noop, p x seed": (("experiment=noop", "p=1:1001", "seed=0:100"), ("experiment=noop", "p=1", "seed=0"), {}),
        "noop, seed": (("experiment=noop", f"seed=0:{CELLS}"), ("experiment=noop", "seed=0"), {}),
        "another package's, p x seed": (
            ("experiment=outside", "p=1:1001", "seed=0:100"),
            ("experiment=outside", "p=1", "seed=0"),
            {"PYTHONPATH": path},
        ),
        "a function of one cell, p x seed": ((function, "p=1:1001", "seed=0:100"), (function, "p=1", "seed=0"), {}),
    }
    wholes: list[float] = []  # of the last one
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    processor: dict[str, list[float]] = {name: [] for name in commands}
    memory: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeat):
        for name, (many, one, extra) in commands.items():
            single, whole = sweep(folder, ("-m", *one), extra), sweep(folder, ("-m", *many), extra)
            seconds[name].append(1e6 * (whole.seconds - single.seconds) / (CELLS - 1))
            processor[name].append(1e6 * (whole.processor - single.processor) / (CELLS - 1))
            memory[name].append((whole.peak - single.peak) / (CELLS - 1))
        wholes.append(whole.seconds)
    lines = []
    for name in commands:
        lines.append(line(f"{name}: time a cell", seconds[name], "us", 12.0))
        lines.append(line(f"{name}: processor time a cell", processor[name], "us", None))
        lines.append(line(f"{name}: peak memory a cell", memory[name], "bytes", None if "function" in name else 400.0))
    return [*lines, line("a function of one cell, 100,000 cells: whole process", wholes, "s", 3.0)]


def outside_package(folder: Path) -> Path:
    """A directory for PYTHONPATH with a module and the record of an installed distribution that announces it."""
    root = folder / "site"
    record = root / "outside-1.0.dist-info"
    record.mkdir(parents=True)
    (root / "outside_experiment.py").write_text(OUTSIDE)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[hw6.experiments]\noutside = outside_experiment:EXPERIMENT\n")
    return root


def million(folder: Path, repeat: int) -> list[Line]:
    runs = [sweep(folder, ("-m", "experiment=noop", "p=1:1001", "seed=0:1000")) for _ in range(repeat)]
    return [
        line("noop, 1,000,000 cells: whole process", [run.seconds for run in runs], "s", 20.0),
        line("noop, 1,000,000 cells: peak memory", [run.peak / 1e6 for run in runs], "MB", 600.0),
    ]


def loading(folder: Path, repeat: int) -> list[Line]:
    rows = million_rows(folder)
    inside, runs = [], []
    for _ in range(repeat):
        run = run_child([sys.executable, "-c", LOAD, str(rows)], folder)
        told = json.loads((folder / "output.txt").read_text().splitlines()[-1])
        assert told["rows"] == told["ids"] == MILLION, told
        inside.append(float(told["seconds"]))
        runs.append(run)
    shutil.rmtree(rows)
    return [
        line("load, 1,000,000 rows in 100 shards: the call", inside, "s", 2.0),
        line("load: whole process, imports and a count of ids included", [run.seconds for run in runs], "s", None),
        line("load: peak memory", [run.peak / 1e6 for run in runs], "MB", 2000.0),
    ]


def million_rows(folder: Path) -> Path:
    """A sweep's directory with a million rows: those of a small sweep again and again, with new ids and seeds."""
    import numpy as np
    import pyarrow as pa

    from hw6.store.columns import arrow_column
    from hw6.store.shards import read_shard, shards_below, write_shard

    run_child([sys.executable, "-m", "hw6.run", *ROW_SWEEP], folder)
    root = folder / "rows"
    paths = list(shards_below(root))
    whole = pa.concat_tables([read_shard(path) for path in paths]).unify_dictionaries().combine_chunks()
    for path in paths:
        shutil.rmtree(path.parent)
    columns = {name: whole[name].chunk(0) for name in whole.column_names}
    seeds = columns["seed"].to_numpy()
    count = len(seeds)
    assert count * SHARDS == MILLION
    for number in range(SHARDS):
        columns["cell_id"] = arrow_column(np.frombuffer(secrets.token_hex(10 * count).encode(), dtype="S20"))
        columns["seed"] = arrow_column(seeds + 100 * number)
        (root / str(number)).mkdir()
        write_shard(root / str(number), columns)
    return root


def widest(folder: Path, repeat: int) -> list[Line]:
    runs = [sweep(folder, ("p=200000", "data.n_train=300")) for _ in range(repeat)]
    return [
        line("one cell, p = 200,000: whole process", [run.seconds for run in runs], "s", None),
        line("one cell, p = 200,000: peak memory", [run.peak / 1e6 for run in runs], "MB", 1000.0),
    ]


def table(lines: Sequence[Line]) -> str:
    text = ["| | median | min - max | wanted | |", "| --- | --- | --- | --- | --- |"]
    for entry in lines:
        low, high = entry.spread
        wanted = "" if entry.target is None else f"< {entry.target:g} {entry.unit}"
        verdict = "" if entry.target is None else "yes" if entry.value < entry.target else "NO"
        text.append(
            f"| {entry.what} | {entry.value:.3g} {entry.unit} | {low:.3g} - {high:.3g} | {wanted} | {verdict} |"
        )
    return "\n".join(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sweep(folder, ("-m", "experiment=noop", "p=1", "seed=0"))  # writes bytecode, fills the file cache
        for part in (per_cell, million, loading, widest):
            lines += part(folder, options.repeat)
            print(part.__name__, "done", file=sys.stderr)
    print(table(lines))
    if options.json:
        options.json.write_text(json.dumps({"lines": [vars(entry) for entry in lines], **machine()}, indent=1) + "\n")
    return int(any(entry.target is not None and entry.value >= entry.target for entry in lines))


if __name__ == "__main__":
    raise SystemExit(main())
