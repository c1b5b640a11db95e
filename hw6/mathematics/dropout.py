"""Dropout and an activation: when may they change places?

In training mode dropout multiplies each entry by 0 (with probability q) or by c = 1/(1-q); in evaluation mode, and at
q = 0, it does nothing. With the same mask m in {0, c}^n,

    linear-dropout-s:  s(m z)        linear-s-dropout:  m s(z)

are equal for every mask and every z iff s(0) = 0 and s(c z) = c s(z) for all z: a dropped entry compares s(0) with 0, a
kept one s(c z) with c s(z), and both kinds of mask occur once 0 < q < 1 (docs/mathematics/dropout.md).

Two independent answers are given here: ``compare`` runs both orders with shared masks, ``theorem`` probes the function.
Neither knows an activation by its name. This module imports torch: import it where rows are computed.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from hw6.mathematics import streams

EPS = 2.0**-52
# Commuting in exact arithmetic, the two orders are two products of the same two factors, each rounded twice: both lie
# within 2 (eps/2) of the exact value, so that they differ by at most 2 eps, relatively. Twice that is the border.
ROUNDING = 4.0
# Magnitudes from 1/16 to 64: the bends of torch's activations with default arguments (0.5, 1, 3, 6, 20) are inside.
LOW, HIGH = -4.0, 6.0
FEWEST_DROPPED = 32  # samples * q at least this: see ``pre_activations``
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# torch gives Threshold no default. At 0.5 with value 0 it satisfies s(0) = 0 and fails s(c z) = c s(z) on (0.5/c, 0.5]
# only: the case that takes most care. (Threshold(0, 0) is ReLU and commutes.)
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {"Threshold": {"threshold": 0.5, "value": 0.0}}


def make(name: str, **arguments: Any) -> nn.Module:
    """An activation of torch.nn in float64.

    Args:
        name: its class name.
        arguments: of its constructor; by default torch's own, and ``ARGUMENTS`` where torch has none.

    Raises:
        TypeError: the constructor needs arguments that are not known.
    """
    kind: type[nn.Module] = getattr(nn, name)
    return kind(**(arguments or ARGUMENTS.get(name, {}))).double()


def elementwise_names() -> list[str]:
    """The activations of torch.nn that act on each entry alone, found by trying all of them.

    Candidates are the classes of torch.nn's activation module, and Identity. One is element-wise if, in evaluation
    mode, it keeps the shape, a change of one entry changes no other, and equal entries give equal values.
    """
    from torch.nn.modules import activation

    def own(kind: object) -> bool:
        return inspect.isclass(kind) and issubclass(kind, nn.Module) and kind.__module__ == activation.__name__

    candidates = [name for name, _ in inspect.getmembers(nn, own)] + [nn.Identity.__name__]
    return sorted(name for name in candidates if _is_elementwise(name))


def _is_elementwise(name: str) -> bool:
    z = torch.linspace(-3.0, 3.0, 2 * 4 * 2 * 6, dtype=torch.float64).reshape(2, 4, 2, 6)  # even sizes: GLU halves one
    other = z.clone()
    other[1, 2, 0, 3] += 0.5
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # Softmax warns of a missing dim
        try:
            s = make(name).eval()
            first, second, constant = s(z), s(other), s(torch.full_like(z, 0.7))
        except (
            TypeError,
            RuntimeError,
            ValueError,
        ):  # what needs other arguments or inputs is no function of one entry
            return False
    if not isinstance(first, torch.Tensor) or first.shape != z.shape:
        return False
    changed = first != second
    changed[1, 2, 0, 3] = False
    return not bool(changed.any()) and bool((constant == constant.flatten()[0]).all())


class Verdict(NamedTuple):
    """What the theorem says: whether the two orders are equal, and which condition decides."""

    commutes: bool
    reason: str


def theorem(s: nn.Module, q: float, training: bool) -> Verdict:
    """The theorem's verdict, from s(0) and from s(c z) against c s(z) on a grid of its own.

    Homogeneity under c implies homogeneity under every power of c. So the grid is also tried with the first power
    C = c^k of at least 2: a bend or a jump between z and C z cannot hide between neighbours of a grid whose step is
    below C, however close c is to 1.

    Args:
        s: the activation; its mode is set here.
        q: the probability that an entry is dropped, in [0, 1).
        training: the mode.
    """
    s.train(training)
    if q == 0.0 or not training:
        return Verdict(True, "dropout is the identity")
    c = scale(q)
    powers = {c, c ** int(np.ceil(np.log(2.0) / np.log(c)))}
    octaves = torch.arange(-12, 12, 1 / 32, dtype=torch.float64)
    grid = torch.cat([2.0**octaves, -(2.0**octaves)])
    with torch.no_grad(), own_randomness(0):
        if not torch.equal(s(grid), s(grid)):
            return Verdict(False, "s is random: equal in law at most")
        failed = []
        if bool(s(torch.zeros(1, dtype=torch.float64)).ne(0.0).any()):
            failed.append("s(0) is not 0")
        if any(bool((in_eps(s(factor * grid), factor * s(grid)) > ROUNDING).any()) for factor in powers):
            failed.append("s(cz) is not c s(z)")
    return Verdict(not failed, " and ".join(failed) or "s(0) = 0 and s(cz) = c s(z)")


class Comparison(NamedTuple):
    """Both orders side by side.

    Attributes:
        dropped: the largest absolute difference on dropped entries, |s(0) - 0|.
        kept: the largest absolute difference on kept entries, |s(c z) - c s(z)|.
        in_eps: the largest difference relative to the larger of the two values, in units of 2^-52.
        share: of the entries under the drawn mask, how many differ by more than rounding.
        quantiles: (5,) of the absolute differences of those entries, at QUANTILES; None if there are none.
    """

    dropped: float
    kept: float
    in_eps: float
    share: float
    quantiles: np.ndarray | None

    @property
    def commutes(self) -> bool:
        """Whether nothing but rounding tells the two orders apart."""
        return self.in_eps <= ROUNDING


def compare(s: nn.Module, q: float, training: bool, seed: int, samples: int) -> Comparison:
    """Run linear-dropout-s and linear-s-dropout on the same pre-activations with the same masks.

    In training mode with q > 0 the masks are one drawn as dropout draws it and three that can occur too: all dropped,
    half dropped, all kept. Activations that draw random numbers (RReLU in training mode) start from the same state in
    either order.

    Args:
        s: the activation; its mode is set here.
        q: the probability that an entry is dropped, in [0, 1).
        training: the mode.
        seed: of pre-activations and mask.
        samples: the number of pre-activations.
    """
    s.train(training)
    z = torch.tensor(pre_activations(seed, samples))  # copied: torch's own memory has one alignment
    drawn = torch.tensor(mask(seed, q if training else 0.0, samples))
    masks = [drawn]
    if training and q > 0.0:
        halves = torch.arange(samples) % 4 < 2  # as many of either sign in both halves
        masks += [scale(q) * ones for ones in (torch.zeros_like(z), halves.to(z.dtype), torch.ones_like(z))]
    dropped = kept = worst = 0.0
    for m in masks:
        first, second = _both(s, z, m, seed)
        apart, relative = (first - second).abs(), in_eps(first, second)
        dropped = max(dropped, float(apart[m == 0.0].max()) if bool((m == 0.0).any()) else 0.0)
        kept = max(kept, float(apart[m != 0.0].max()) if bool((m != 0.0).any()) else 0.0)
        worst = max(worst, float(relative.max()))
        if m is drawn:
            beyond = relative > ROUNDING
            share, values = float(beyond.double().mean()), apart[beyond].numpy()
    quantiles = np.quantile(values, QUANTILES) if len(values) else None
    return Comparison(dropped, kept, worst, share, quantiles)


def _both(s: nn.Module, z: torch.Tensor, m: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """s(m z) and m s(z)."""
    with torch.no_grad():
        with own_randomness(seed):
            first = s(m * z)
        with own_randomness(seed):
            second = m * s(z)
    return first, second


def in_eps(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    """Differences relative to the larger of two values, in units of 2^-52.

    Values below 2^-969 count as that: one that underflows is wrong by 2^-1075 and may be multiplied by c, at most 2^53.
    """
    larger = torch.maximum(one.abs(), two.abs()).clamp(min=2.0**-969)
    return (one - two).abs() / larger / EPS


def scale(q: float) -> float:
    """c = 1/(1-q), what a kept entry is multiplied by."""
    return 1.0 / (1.0 - q)


def pre_activations(seed: int, samples: int) -> np.ndarray:
    """Values of z, float64 (samples,): signs alternate, log |z| is uniform in each of equal parts of log [2^-4, 2^6].

    Neighbours of one sign are at most 3 parts apart, a factor exp(21 / samples). Once that is below c > exp(q), a jump
    of s at any a in the range has some z in (a/c, a]: it cannot be missed (hence FEWEST_DROPPED). That holds above the
    two lowest parts: the first z of a sign lies anywhere in them.
    """
    place = (np.arange(samples) + streams.generator(seed, "dropout_z").random(samples)) / samples
    z = np.exp2(LOW + (HIGH - LOW) * place)
    z[1::2] *= -1.0
    return z


def mask(seed: int, q: float, samples: int) -> np.ndarray:
    """A dropout mask, float64 (samples,): 0 with probability q, otherwise c. Masks of one seed are nested in q."""
    dropped = streams.generator(seed, "dropout_mask").random(samples) < q
    return np.where(dropped, 0.0, scale(q))


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """torch's random numbers start from the seed within, and are as they were afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
