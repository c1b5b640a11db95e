"""The count of memory: exact on known pieces of work, and it sees inside operators."""

from __future__ import annotations

import os
import sys

import pytest
import torch

from hw6.layers import allocations
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


def test_what_others_write_is_kept(monkeypatch, capfd):
    """Silence is for the profiler's start and end alone: not for what was written before, in between, or after."""

    class Noisy(allocations.profile):
        def start(self):
            super().start()
            print("noise", file=sys.stderr, flush=True)

    with open(2, "w", buffering=4096, closefd=False) as stderr, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        patch.setattr(allocations, "profile", Noisy)
        stderr.write("before ")
        peak_bytes(lambda: os.write(2, b"within "))
    os.write(2, b"after")
    assert capfd.readouterr().err == "before within after"


def test_without_a_standard_error_memory_is_counted_all_the_same(monkeypatch):
    def none(descriptor):
        raise OSError(descriptor)

    monkeypatch.setattr(allocations.os, "dup", none)
    assert peak_bytes(lambda: torch.zeros(250)) == 1000
