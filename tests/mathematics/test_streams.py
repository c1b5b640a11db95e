"""Streams: keyed by (seed, role), nested, and the same on every run."""

import subprocess
import sys

import numpy as np
import pytest

from hw6.mathematics import streams

FROZEN = {
    "G": -0.6429721084413438,
    "b": 2.1967923698189638,
    "X_train": -1.0827534388927003,
    "noise_test": 0.5406144597102019,
}


@pytest.mark.parametrize("role", FROZEN)
def test_first_numbers_are_frozen(role):
    """A changed key would silently change every row ever computed."""
    assert streams.normal(7, role, 1)[0] == FROZEN[role]


@pytest.mark.parametrize("role", streams.ROLES)
def test_rows_are_nested(role):
    np.testing.assert_array_equal(streams.normal(3, role, 200, 5), streams.normal(3, role, 300, 5)[:200])


def test_no_two_roles_or_seeds_share_numbers():
    firsts = [streams.normal(seed, role, 4) for seed in (0, 1, 2**32, 2**63 - 1) for role in streams.ROLES]
    assert len(np.unique(np.concatenate(firsts))) == 4 * len(firsts)


def test_streams_do_not_depend_on_python_s_hash_seed():
    code = "from hw6.mathematics import streams; print(float(streams.normal(7, 'G', 1)[0]).hex())"
    path = {"PYTHONPATH": ":".join(entry or "." for entry in sys.path)}
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=path | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert texts == {float(streams.normal(7, "G", 1)[0]).hex()}


def test_an_unknown_role_is_refused():
    with pytest.raises(KeyError):
        streams.generator(0, "X_tran")
