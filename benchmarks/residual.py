"""Time of the residual gradients by formula against torch's automatic differentiation, answers compared.

    python benchmarks/residual.py [--quick] [--repeats N] [--json FILE]

Both sides start from the same weights and input (float64, batch 1, one thread), run forward and backward, and return
dy_L/dA_l and dy_L/db_l of every layer in new memory. The third way is what the experiment uses: gradients of A_l kept
as two vectors each, with their norms. The ways alternate within each repetition, so that a busy machine slows all.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hw6.mathematics import residual

TOLERANCE = 1e-12
Gradients = tuple[list[torch.Tensor], list[torch.Tensor]]


def by_formula(network: residual.Perceptron, x: torch.Tensor) -> Gradients:
    trace = residual.forward(network, x)
    b = residual.backward(network, trace)
    return [residual.gradient_A(trace, b, layer) for layer in range(1, network.depth + 1)], b


def as_factors(network: residual.Perceptron, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    trace = residual.forward(network, x)
    return residual.norms(trace, residual.backward(network, trace))


def seconds(way: Callable[[], object]) -> float:
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


def compare(depth: int, width: int, activation: str, skip: bool, repeats: int) -> dict[str, object]:
    """Medians of each way on one network, after a look at the answers."""
    weights, biases, x = residual.draw(0, depth, width, width)
    network = residual.Perceptron(weights, biases, activation, skip)
    ours, theirs = by_formula(network, x), residual.autograd(network, x)
    worst = max(
        residual.relative_difference(one, two)
        for mine, other in zip(ours, theirs, strict=True)
        for one, two in zip(mine, other, strict=True)
    )
    lengths = np.array([residual.norm(a) for a in theirs[0]])
    worst = max(worst, float(np.abs(as_factors(network, x)[0] / lengths - 1.0).max()))
    if not worst <= TOLERANCE:
        raise SystemExit(f"the answers differ by {worst:.1e}")
    ways: dict[str, Callable[[], object]] = {
        "autograd": lambda: residual.autograd(network, x),
        "formula": lambda: by_formula(network, x),
        "factors": lambda: as_factors(network, x),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            spent = seconds(way)
            if repeat:  # the first round warms up
                times[name].append(spent)
    medians = {f"{name}_ms": 1e3 * statistics.median(values) for name, values in times.items()}
    ratio = statistics.median(f / a for f, a in zip(times["formula"], times["autograd"], strict=True))
    what = {"depth": depth, "width": width, "activation": activation, "network": "residual" if skip else "plain"}
    return what | medians | {"formula_to_autograd": ratio, "difference": worst}


def table(rows: list[dict[str, object]]) -> str:
    """The rows in markdown."""
    head = "| network | width | depth | s | autograd, ms | formula, ms | factors and norms, ms | formula / autograd |"
    lines = [head, "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    lines += [
        "| {network} | {width} | {depth} | {activation} | {autograd_ms:.2f} | {formula_ms:.2f} | {factors_ms:.2f} "
        "| {formula_to_autograd:.2f} |".format(**row)
        for row in rows
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the case of the claim alone")
    parser.add_argument("--repeats", type=int, default=15, help="repetitions of each way (at least 5)")
    parser.add_argument("--json", type=Path, help="write machine, versions and numbers here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cases = [(50, 512, "tanh", True)]
    if not options.quick:
        cases += [(50, 512, "relu", True), (50, 512, "gelu", False), (50, 64, "tanh", True), (200, 32, "tanh", True)]
    rows = [compare(*case, max(5, options.repeats)) for case in cases]
    print(table(rows))
    if options.json:
        versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
        machine = {"machine": platform.machine(), "system": platform.platform(), "threads": torch.get_num_threads()}
        options.json.write_text(json.dumps({"machine": machine, "versions": versions, "rows": rows}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
