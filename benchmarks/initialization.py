"""Time, memory and answers of the simulation of fresh networks, against drawing alone and against a loop over modules.

    python benchmarks/initialization.py [--networks 20000] [--repeat 5] [--json FILE]

Width 64, depth 10, one thread. ``torch.rand`` draws as many float32 numbers as the networks have weights and biases, in
pieces that fit the cache. The loops build an ``nn.Sequential`` of fresh ``nn.Linear`` layers for each network, on fewer
networks, and are scaled up: one gives what hw6 gives (signals and gradients of every layer, by autograd), the other y_L
alone. Peers and hw6 run in turn, and ratios are taken within a turn.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hw6.mathematics.initialization import NetworkLaw, moments
from hw6.mathematics.initialization_simulation import simulate

NET = NetworkLaw((64,) * 10 + (1,))
NUMBERS = sum(n * m + m for n, m in zip(NET.widths, NET.widths[1:], strict=False))
PIECE = 1 << 16  # float32 numbers: a quarter of a megabyte
LOOPED = 300  # networks that the loops over modules simulate


def timed(work: Callable[[], object]) -> float:
    """Seconds of the processor: all ways run on one thread, and other processes do not count."""
    started = time.process_time()
    work()
    return time.process_time() - started


def draw(networks: int) -> None:
    generator = torch.Generator().manual_seed(0)
    left = NUMBERS * networks
    while left > 0:
        torch.rand(min(PIECE, left), generator=generator)
        left -= PIECE


def loop(networks: int) -> np.ndarray:
    out = np.empty(networks)
    with torch.no_grad():
        for index in range(networks):
            layers = (torch.nn.Linear(n, m) for n, m in zip(NET.widths, NET.widths[1:], strict=False))
            out[index] = torch.nn.Sequential(*layers)(torch.randn(NET.widths[0])).item()
    return out


def full_loop(networks: int) -> None:
    """What hw6 gives for each network: mean, mean square and gradient of every layer, the gradient by autograd."""
    for _ in range(networks):
        model = torch.nn.Sequential(*(torch.nn.Linear(n, m) for n, m in zip(NET.widths, NET.widths[1:], strict=False)))
        signals = [torch.randn(NET.widths[0], requires_grad=True)]
        for layer in model:
            signals.append(layer(signals[-1]))
        gradients = torch.autograd.grad(signals[-1], signals)
        for tensor in (*signals[1:], *gradients):
            (tensor * tensor).mean().item()
        for tensor in signals[1:]:
            tensor.mean().item()


def peak(networks: int) -> int:
    tracemalloc.start()
    simulate(NET, networks, 0)
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return size


def z_scores(networks: int) -> dict[str, float]:
    """How far simulation and loop are from the exact variance of y_L, in standard errors."""
    theory = moments(NET)
    spread = theory.spread(NET.widths)
    found = simulate(NET, networks, 0)
    torch.manual_seed(0)
    looped = float(np.mean(loop(10 * LOOPED) ** 2))
    v = float(theory.variance[-1])
    return {
        "hw6, all layers, largest": float(np.abs(found.relative / np.sqrt(spread / networks)).max()),
        "loop, y_L": (looped / v - 1) / math.sqrt(spread[-1] / (10 * LOOPED)),
    }


def cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    networks = options.networks
    with threadpool_limits(limits=1):
        for warm in (lambda: simulate(NET, 200, 0), lambda: draw(200), lambda: loop(5), lambda: full_loop(5)):
            warm()
        turns = [
            (
                timed(lambda: simulate(NET, networks, 0)),
                timed(lambda: draw(networks)),
                timed(lambda: full_loop(LOOPED)) * networks / LOOPED,
                timed(lambda: loop(LOOPED)) * networks / LOOPED,
            )
            for _ in range(options.repeat)
        ]
        z = z_scores(networks)
        peaks = {str(count): peak(count) for count in (networks // 10, networks)}
    hw6, rand, modules, output = zip(*turns, strict=True)
    rand_ratio = statistics.median(a / b for a, b in zip(hw6, rand, strict=True))
    loop_ratio = statistics.median(b / a for a, b in zip(hw6, modules, strict=True))
    output_ratio = statistics.median(b / a for a, b in zip(hw6, output, strict=True))
    print("| way | seconds (median) | against hw6 |\n| --- | --- | --- |")
    print(f"| hw6, signals and gradients of {networks} networks | {statistics.median(hw6):.3f} | 1 |")
    print(f"| torch.rand of the same count | {statistics.median(rand):.3f} | hw6 takes {rand_ratio:.2f} of it |")
    print(
        f"| loop over nn.Sequential, the same results | {statistics.median(modules):.1f} | {loop_ratio:.1f} x slower |"
    )
    print(f"| loop over nn.Sequential, y_L alone | {statistics.median(output):.1f} | {output_ratio:.1f} x slower |")
    result = {
        "numbers_drawn": NUMBERS * networks,
        "seconds": {"hw6": hw6, "torch.rand": rand, "loop": modules, "loop, y_L alone": output},
        "hw6_over_rand": rand_ratio,
        "loop_over_hw6": loop_ratio,
        "loop_of_y_L_over_hw6": output_ratio,
        "peak_bytes_by_networks": peaks,
        "z": z,
        "machine": platform.platform(),
        "cpu": cpu(),
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__},
    }
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    return 1 if rand_ratio > 1.5 or loop_ratio < 20 or max(map(abs, z.values())) > 5 else 0


if __name__ == "__main__":
    raise SystemExit(main())
