"""Random generators keyed by (seed, role): no draw can shift another.

Every role has a stream of its own, used for nothing else and read from its start, so that what a role yields depends
on the seed and on how much is asked of it, never on which cells ran before. Streams are nested: the first 200 rows of
300 are the rows of 200.
"""

from __future__ import annotations

import hashlib

import numpy as np

WEIGHTS = "G"
TARGET = "b"
TRAIN, VALIDATION, TEST = "train", "validation", "test"
SETS = (TRAIN, VALIDATION, TEST)
DROPOUT = ("dropout_z", "dropout_mask")
RESIDUAL = ("residual_A", "residual_b", "residual_x")
INITIALIZATION = INITIAL_WEIGHTS, INITIAL_INPUTS = "initialization_A", "initialization_x"
STM_CONV = STM_PARAMETERS, STM_INPUT, STM_GRADIENT = "stm_conv_parameters", "stm_conv_input", "stm_conv_gradient"
ROLES = (
    WEIGHTS,
    TARGET,
    *(f"X_{name}" for name in SETS),
    *(f"noise_{name}" for name in SETS),
    *DROPOUT,
    *RESIDUAL,
    *INITIALIZATION,
    *STM_CONV,
)


def generator(seed: int, role: str) -> np.random.Generator:
    """The generator of one role of one seed, at its start.

    The seed fills the entropy pool of numpy's SeedSequence (padded to 128 bits), the role's BLAKE2b digest is its
    spawn key, so that no two pairs (seed, role) can be the same sequence of words.

    Args:
        seed: at least 0.
        role: one of ROLES.

    Raises:
        KeyError: the role is not known; two parts of the code must not share a stream by a mistyped name.
    """
    return np.random.Generator(np.random.PCG64(_sequence(seed, role)))


def words(seed: int, role: str) -> np.random.SFC64:
    """The bit generator of a role that reads its random words directly, keyed like all others (see ``generator``).

    SFC64 gives a 64-bit word in about a nanosecond, less than half the time of PCG64.
    """
    return np.random.SFC64(_sequence(seed, role))


def _sequence(seed: int, role: str) -> np.random.SeedSequence:
    if role not in ROLES:
        raise KeyError(role)
    digest = hashlib.blake2b(role.encode(), digest_size=16).digest()
    return np.random.SeedSequence(entropy=seed, spawn_key=tuple(int(w) for w in np.frombuffer(digest, dtype="<u4")))


def normal(seed: int, role: str, *shape: int) -> np.ndarray:
    """Standard normal numbers, float64 of the given shape, from the start of a role's stream; nested in shape[0]."""
    return generator(seed, role).standard_normal(shape)
