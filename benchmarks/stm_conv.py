"""Time, memory and answers of the split-transform-merge layer's implementations, with peers in the same run.

    python benchmarks/stm_conv.py [--batch 8] [--resolution 56] [--repeats 5] [--json FILE]

The peers are written as one would write the layer with ``nn.Conv2d`` alone: a list of 32 branches, and three grouped
convolutions with a ReLU after each. All share one set of parameters. One thread, float32. Each way is timed in a
process of its own, since what one leaves in the allocator speeds up the next; medians. Memory is counted from torch's
allocator, above input and parameters. Answers are compared with the list of branches, gradients where no ReLU is
within rounding of its kink.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from hw6.layers.allocations import peak_bytes
from hw6.layers.convolution import STMConvLayer, split_state
from hw6.layers.measure import Problem, largest_difference, make_layer, tensors

TOLERANCE = 1e-5


class Branch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(256, 4, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 256, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        return torch.relu(self.conv3(x))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList([Branch() for _ in range(32)])

    def forward(self, x: Tensor) -> Tensor:
        out = self.branches[0](x)
        for branch in self.branches[1:]:
            out = out + branch(x)
        return out


class Grouped(STMConvLayer):
    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        x = torch.relu(self.conv3(x))
        return x.view(x.shape[0], 32, 256, *x.shape[2:]).sum(1)


def ways(problem: Problem) -> dict[str, nn.Module]:
    own = {name: make_layer(problem, name) for name in ("loop", "grouped", "fused")}
    state = own["fused"].state_dict()
    loop, grouped = Branches(), Grouped()
    loop.load_state_dict(split_state(state))
    grouped.load_state_dict(state)
    return {"peer: list of branches": loop, "peer: grouped, plain": grouped} | {
        f"STMConvLayer, {name}": layer for name, layer in own.items()
    }


def inference(layer: nn.Module, x: Tensor) -> Callable[[], object]:
    def work() -> object:
        with torch.no_grad():
            return layer(x)

    return work


def training(layer: nn.Module, x: Tensor, upstream: Tensor) -> Callable[[], object]:
    def work() -> object:
        for tensor in (x, *layer.parameters()):
            tensor.grad = None
        out = layer(x)
        out.backward(upstream)
        return out

    return work


def answers(layer: nn.Module, work: Callable[[], object], x: Tensor) -> list[Tensor]:
    out = work()
    assert isinstance(out, Tensor)
    assert x.grad is not None
    named = {name: parameter.grad for name, parameter in layer.named_parameters()}
    if any(name.startswith("branches.") for name in named):  # branch by branch -> side by side
        merged = {
            name: torch.cat([named[f"branches.{b}.{name}"] for b in range(32)])
            for name in (f"conv{i}.{kind}" for i in (1, 2, 3) for kind in ("weight", "bias"))
        }
        named = merged
    return [out.detach(), x.grad, *(named[name] for name in sorted(named))]


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median, after one pass that does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def time_one(problem: Problem, name: str, repeats: int) -> dict[str, float]:
    """What a process of its own does: the allocator then holds nothing that another way has left."""
    layer = ways(problem)[name]
    x, upstream = tensors(problem)
    forward = seconds(inference(layer, x), repeats)
    both = seconds(training(layer, x.detach().clone().requires_grad_(), upstream), repeats)
    return {"forward_s": forward, "both_s": both}


def in_its_own_process(options: argparse.Namespace, name: str) -> dict[str, float]:
    sizes = ["--batch", str(options.batch), "--resolution", str(options.resolution), "--repeats", str(options.repeats)]
    done = subprocess.run([sys.executable, __file__, *sizes, "--one", name], check=True, capture_output=True, text=True)
    times: dict[str, float] = json.loads(done.stdout)
    return times


def compare(problem: Problem) -> list[dict[str, object]]:
    """Answers and memory of each way."""
    x, upstream = tensors(problem)
    held = x.detach().clone().requires_grad_()
    found: list[dict[str, object]] = []
    expected: tuple[Tensor, ...] = ()
    for name, layer in ways(problem).items():
        got = answers(layer, training(layer, held, upstream), held)
        expected = expected or tuple(got)
        difference = largest_difference(got, expected)
        del got
        for tensor in (held, *layer.parameters()):
            tensor.grad = None
        memory = peak_bytes(inference(layer, x)), peak_bytes(training(layer, held, upstream))
        found.append({"way": name, "forward_bytes": memory[0], "both_bytes": memory[1], "difference": difference})
    return found


def machine() -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    versions = {"python": platform.python_version(), "torch": str(torch.__version__)}
    return {
        "machine": platform.platform(),
        "cpu": cpu,
        "capability": torch.backends.cpu.get_cpu_capability(),
        **versions,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--resolution", type=int, default=56)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument("--one", help="only time one way, and print its times (used by the benchmark itself)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    problem = Problem(0, "float32", options.batch, options.resolution)
    if options.one:
        print(json.dumps(time_one(problem, options.one, options.repeats)))
        return 0
    lines = compare(problem)
    for line in lines:
        line |= in_its_own_process(options, str(line["way"]))
    loop, grouped, fused = lines[0], lines[1], lines[-1]
    ratios = {
        "forward: loop / fused": loop["forward_s"] / fused["forward_s"],
        "forward: grouped / fused": grouped["forward_s"] / fused["forward_s"],
        "forward memory: fused / grouped": fused["forward_bytes"] / grouped["forward_bytes"],
        "forward and backward: loop / fused": loop["both_s"] / fused["both_s"],
        "forward and backward memory: fused / loop": fused["both_bytes"] / loop["both_bytes"],
    }
    print("| way | forward s | forward MB | forward + backward s | MB | largest difference |")
    print("| --- | --- | --- | --- | --- | --- |")
    row = "| {way} | {forward_s:.3f} | {0:.1f} | {both_s:.3f} | {1:.1f} | {difference:.1e} |"
    for line in lines:
        print(row.format(line["forward_bytes"] / 1e6, line["both_bytes"] / 1e6, **line))
    print()
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.3g}")
    size = {"batch": options.batch, "resolution": options.resolution, "repeats": options.repeats}
    result = {"lines": lines, "ratios": ratios, **size, "tolerance": TOLERANCE, **machine()}
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    return int(any(line["difference"] > TOLERANCE for line in lines))


if __name__ == "__main__":
    raise SystemExit(main())
