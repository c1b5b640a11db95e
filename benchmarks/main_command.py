"""The main command as a whole process, beside a bare script and beside other sweep tools.

    python benchmarks/main_command.py [--repeat 7] [--slow-repeat 5] [--only NAME ...] [--peers-python PYTHON]
                                      [--json FILE]

195 cells (p = 5 ... 199, seed 0, lambda tuned over 25 values). What is timed is the wall time of a process from its
start to its end, imports and writing of results included, each in an empty directory of its own; processor time stands
beside it, since a busy machine blurs it less. All run in turn, round after round, so that a slow minute of the machine
hits all of them; what takes many seconds runs in rounds of its own, again beside hw6. One run of each fast one comes
first and is not counted (it fills the file cache and writes bytecode).
The environment is the same for all: OPENBLAS_NUM_THREADS=1, and PYTHONDONTWRITEBYTECODE is taken out, which would make
Python compile whatever is installed as editable at every start.

Peers live in an environment of their own (``--peers-python``; see README.md) and call one function for a cell
(``peers/cell.py``). Answers are compared: every test_mse must agree with hw6's within 1e-9; the yardstick draws its own
data, and is compared on hw6's by its ``--check``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve().parent
SWEEP = ("-m", "p=range(5,200)", "lambda=tuned")
TOLERANCE = 1e-9
PACKAGES = ("hw6", "hydra-core", "omegaconf", "numpy", "scipy", "pyarrow", "hydra-joblib-launcher", "joblib")
PEERS = {"hydraflow": "hydraflow", "mushin": "mushin-py", "hydra_zen": "hydra-zen", "xyzpy": "xyzpy"}


@dataclass(frozen=True)
class Way:
    """One way to compute the sweep."""

    name: str
    command: Sequence[str]
    answers: Callable[[Path], dict[int, float]] | None
    slow: bool = False


@dataclass(frozen=True)
class Child:
    """What a process took: wall seconds, processor seconds (its children's too), peak resident memory in bytes."""

    seconds: float
    processor: float
    peak: int


@dataclass
class Result:
    """The times of one way (wall clock and processor), and its largest relative difference from hw6's rows."""

    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    difference: float | None = None


def run_child(command: Sequence[str], folder: Path, extra: Mapping[str, str] | None = None) -> Child:
    """Run a process in a directory and wait for it; its output is shown only where it fails."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"OPENBLAS_NUM_THREADS": "1", **(extra or {})}
    with open(folder / "output.txt", "w+", encoding="utf-8") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command)}: status {process.returncode}\n{output.read()[-2000:]}")
    return Child(seconds, usage.ru_utime + usage.ru_stime, peak_bytes(usage))


def peak_bytes(usage: resource.struct_rusage) -> int:
    """The peak resident memory of a process that has ended; macOS counts bytes, Linux KiB."""
    return int(usage.ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


def hw6_rows(folder: Path) -> dict[int, float]:
    """Width -> test_mse from all shards below a directory."""
    from hw6.store.shards import read_shard, shards_below

    tables = [read_shard(path, ["p", "test_mse"]) for path in shards_below(folder)]
    return {p: mse for t in tables for p, mse in zip(t["p"].to_pylist(), t["test_mse"].to_pylist(), strict=True)}


def peer_rows(folder: Path) -> dict[int, float]:
    """Width -> test_mse as a peer's script left it."""
    return {int(p): value for p, value in json.loads((folder / "answers.json").read_text()).items()}


def ways(peers_python: str | None) -> list[Way]:
    """All ways that can run here; says which cannot."""
    hw6 = (sys.executable, "-m", "hw6.run")
    found = [
        Way("hw6", (*hw6, *SWEEP), hw6_rows),
        Way("bare script (NumPy, SciPy)", (sys.executable, str(HERE / "yardstick.py")), None),
        Way("hw6, hydra/sweeper=basic", (*hw6, *SWEEP, "hydra/sweeper=basic"), hw6_rows, slow=True),
    ]
    if installed(sys.executable, "hydra-joblib-launcher"):
        joblib = (*hw6, *SWEEP, "hydra/sweeper=basic", "hydra/launcher=joblib")
        found.append(Way("hw6, hydra/sweeper=basic, joblib launcher", joblib, hw6_rows, slow=True))
    else:
        print("skipped joblib launcher: hydra-joblib-launcher is not installed", file=sys.stderr)
    for name, package in PEERS.items():
        has = peers_python and installed(peers_python, package)
        if peers_python and has:
            command = (peers_python, str(HERE / f"peers/{name}_peer.py"))
            found.append(Way(f"{package} {has}", command, peer_rows, slow=name != "xyzpy"))
        else:
            where = f"not installed for {peers_python}" if peers_python else "no --peers-python given"
            print(f"skipped {package}: {where}", file=sys.stderr)
    return found


def installed(python: str, package: str) -> str:
    """The version of a distribution in an environment; empty where there is none."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else ""


def race(
    runners: Sequence[Way], rounds: int, warm: bool, results: dict[str, Result], expected: dict[int, float]
) -> None:
    """Run all in turn ``rounds`` times; with ``warm`` once more before, not counted."""
    for number in range(-1 if warm else 0, rounds):
        for way in runners:
            with tempfile.TemporaryDirectory() as name:
                child = run_child(way.command, Path(name))
                result = results.setdefault(way.name, Result())
                if number >= 0:
                    result.seconds.append(child.seconds)
                    result.processor.append(child.processor)
                if way.answers is not None:
                    answers = way.answers(Path(name))
                    expected |= {} if expected else answers
                    result.difference = max(result.difference or 0.0, difference(answers, expected))
            print(f"{way.name}: {child.seconds:.2f} s{'' if number >= 0 else ' (not counted)'}", file=sys.stderr)


def difference(answers: Mapping[int, float], expected: Mapping[int, float]) -> float:
    """The largest relative difference; infinite where a width is missing."""
    if answers.keys() != expected.keys():
        return float("inf")
    return max(abs(answers[p] / expected[p] - 1.0) for p in expected)


def yardstick_difference() -> float:
    """What the bare script differs by from hw6's rows on hw6's data."""
    command = [sys.executable, str(HERE / "yardstick.py"), "--check"]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return float(output.rsplit(":", 1)[1])


def machine() -> dict[str, object]:
    """What the numbers were read on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    versions: dict[str, str] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpu = models[0] if models else platform.processor()
    return {"system": platform.platform(), "cpu": cpu, "cores": cores, "versions": versions}


def table(results: Mapping[str, Result]) -> str:
    """Medians as a markdown table."""
    base = results["hw6"]
    head = ("", "median s", "/ hw6", "min - max s", "processor s", "/ hw6", "runs", "worst difference")
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for name, result in results.items():
        wall, processor = statistics.median(result.seconds), statistics.median(result.processor)
        cells = (
            name,
            f"{wall:.2f}",
            f"{wall / statistics.median(base.seconds):.2f}",
            f"{min(result.seconds):.2f} - {max(result.seconds):.2f}",
            f"{processor:.2f}",
            f"{processor / statistics.median(base.processor):.2f}",
            str(len(result.seconds)),
            "" if result.difference is None else f"{result.difference:.0e}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def chosen(runners: Sequence[Way], only: Sequence[str] | None) -> list[Way]:
    """hw6 and those with one of the words in their name; all where no word is given."""
    return [way for way in runners if not only or way.name == "hw6" or any(word in way.name for word in only)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7, help="rounds of what takes about a second")
    parser.add_argument("--slow-repeat", type=int, default=5, help="rounds of what takes many seconds; 0: none")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="only those with such a word in the name, and hw6")
    parser.add_argument("--peers-python", help="the Python of an environment with hw6 and the peers")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    runners = chosen(ways(options.peers_python), options.only)
    results: dict[str, Result] = {}
    expected: dict[int, float] = {}
    race([way for way in runners if not way.slow], options.repeat, True, results, expected)
    slow = [way for way in runners if way.slow or way.name == "hw6"]
    if len(slow) > 1 and options.slow_repeat:
        race(slow, options.slow_repeat, False, results, expected)
    results = {name: result for name, result in results.items() if result.seconds}
    if "bare script (NumPy, SciPy)" in results:
        results["bare script (NumPy, SciPy)"].difference = yardstick_difference()
    print(table(results))
    if options.json:
        content = {"command": SWEEP, "tolerance": TOLERANCE, "results": {k: vars(r) for k, r in results.items()}}
        options.json.write_text(json.dumps(content | machine(), indent=1) + "\n")
    return int(any((result.difference or 0.0) > TOLERANCE for result in results.values()))


if __name__ == "__main__":
    raise SystemExit(main())
