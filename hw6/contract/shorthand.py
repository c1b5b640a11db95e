"""What people may type for a choice of a config group: a number that stands for one choice and one key of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shorthand:
    """``GROUP=NUMBER`` means ``GROUP=CHOICE KEY=NUMBER``; lists, ranges and sweeps of numbers too.

    Attributes:
        group: the config group, as ``lambda``.
        choice: the choice that a number stands for, as ``fixed``.
        key: the key that takes the number, as ``lambda.value``.
        example: a number to show where another value is refused.
    """

    group: str
    choice: str
    key: str
    example: str
