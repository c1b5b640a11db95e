"""The count of memory: exact on known pieces of work, and it sees inside operators."""

from __future__ import annotations

import pytest
import torch

from hw6.layers.allocations import peak_bytes


def test_peak_of_a_known_case(capfd):
    x = torch.zeros(1000)

    def work():
        a = x + 1  # 4 kB
        b = torch.cat([a, a])  # 12 kB
        del a
        return torch.cat([b, b])  # 8 + 16 kB

    assert peak_bytes(work) == 24_000
    assert peak_bytes(lambda: None) == 0
    assert peak_bytes(lambda: torch.zeros(1000).sum()) in range(4000, 4100)
    assert capfd.readouterr().err == ""


def test_peak_sees_inside_an_operator():
    """torch.cdist by its matrix formula makes longer copies of both inputs, which no tensor outside shows."""
    a, b = torch.randn(100, 10), torch.randn(100, 10)
    seen = peak_bytes(lambda: torch.cdist(a, b, compute_mode="use_mm_for_euclid_dist"))
    assert seen > 100 * 100 * 4 + 2 * 100 * 10 * 4


def test_the_work_may_fail(capfd):
    with pytest.raises(ZeroDivisionError):
        peak_bytes(lambda: 1 // 0)
    assert peak_bytes(lambda: torch.zeros(250)) == 1000
