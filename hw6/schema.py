"""What may stand behind each key: its type, its range, its meaning.

A key is checked and converted in one place, here, whichever way its value came (command line, YAML, a swept
axis, ``hydra/sweeper=basic``), so that equal input gives equal values everywhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hw6.errors import BadInput, nearest

LARGEST = 2**63 - 1  # integers are stored as int64
UNSET: Any = object()
MOST_WORKERS = 1024


@dataclass(frozen=True, kw_only=True)
class Key:
    """A configuration key: how its value is checked, converted and described.

    ``hints`` maps a refused value to what the user should type instead. ``omitted_at`` is for a key that was added
    after an experiment's first release: at this value it stays out of the cell's id, so that old ids remain valid.
    """

    help: str
    hints: Mapping[Any, str] = field(default_factory=dict)
    omitted_at: Any = UNSET

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        raise NotImplementedError

    def accept(self, value: object) -> Any:
        """The value in its own type; ValueError if it is not allowed."""
        raise NotImplementedError

    def convert(self, name: str, value: object) -> Any:
        """The value in its own type.

        Raises:
            BadInput: the value is not allowed; the message names the key, the value and what is.
        """
        try:
            return self.accept(value)
        except (ValueError, TypeError, OverflowError):
            hint = self.hints.get(value, "") if isinstance(value, (str, int, float)) else ""
            raise BadInput(name, "null" if value is None else value, f"must be {self.allowed}", hint) from None


@dataclass(frozen=True, kw_only=True)
class Integer(Key):
    """A whole number in [minimum, maximum]."""

    minimum: int = 0
    maximum: int = LARGEST

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        top = "2^63 - 1" if self.maximum == LARGEST else str(self.maximum)
        return f"a whole number from {self.minimum} to {top}"

    def accept(self, value: object) -> int:
        """The value as int; ValueError if it is not allowed."""
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not self.minimum <= value <= self.maximum:
            raise ValueError
        return value


@dataclass(frozen=True, kw_only=True)
class OptionalInteger(Integer):
    """A whole number in [minimum, maximum], or null."""

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        return f"{super().allowed}, or null"

    def accept(self, value: object) -> int | None:  # type: ignore[override]
        """The value as int, or None; ValueError if it is not allowed."""
        return None if value is None else super().accept(value)


@dataclass(frozen=True, kw_only=True)
class Real(Key):
    """A finite number: at least ``minimum`` or, with ``open_below``, above it; at most ``maximum`` (or below it)."""

    minimum: float = -math.inf
    maximum: float = math.inf
    open_below: bool = False
    open_above: bool = False

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        bounds = []
        if self.minimum > -math.inf:
            bounds.append(f"{'above' if self.open_below else 'at least'} {self.minimum:g}")
        if self.maximum < math.inf:
            bounds.append(f"{'below' if self.open_above else 'at most'} {self.maximum:g}")
        return "a finite number" + (" " + " and ".join(bounds) if bounds else "")

    def accept(self, value: object) -> float:
        """The value as float; ValueError if it is not allowed."""
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError
        number = float(value)
        low = number > self.minimum if self.open_below else number >= self.minimum
        high = number < self.maximum if self.open_above else number <= self.maximum
        if not (math.isfinite(number) and low and high):
            raise ValueError
        return number + 0.0  # -0.0 and 0.0 are one value and get one id


@dataclass(frozen=True, kw_only=True)
class Flag(Key):
    """True or false."""

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        return "true or false"

    def accept(self, value: object) -> bool:
        """The value as bool; ValueError if it is not allowed."""
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            value = value.lower() == "true"
        if not isinstance(value, bool):
            raise ValueError
        return value


@dataclass(frozen=True, kw_only=True)
class Choice(Key):
    """One of a list of names; an alias (``auto``) stands for one of them and is replaced before anything else."""

    choices: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        return "one of " + ", ".join((*self.choices, *self.aliases))

    def accept(self, value: object) -> str:
        """The value as str; ValueError if it is not allowed."""
        if not isinstance(value, str):
            raise ValueError
        value = self.aliases.get(value, value)
        if value not in self.choices:
            raise ValueError
        return value

    def convert(self, name: str, value: object) -> str:
        """The value; a refusal names the nearest choice."""
        try:
            return self.accept(value)
        except ValueError:
            hint = nearest(str(value), self.choices)
            raise BadInput(name, "null" if value is None else value, f"must be {self.allowed}", hint) from None


@dataclass(frozen=True, kw_only=True)
class Integers(Key):
    """A list of whole numbers, kept as a tuple; null where ``optional``."""

    minimum: int = 0
    shortest: int = 1
    optional: bool = False

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        return f"a list of at least {self.shortest} whole numbers, each at least {self.minimum}, such as [10,20]" + (
            ", or null" if self.optional else ""
        )

    def accept(self, value: object) -> tuple[int, ...] | None:
        """The value as a tuple of int; ValueError if it is not allowed."""
        if value is None and self.optional:
            return None
        if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__iter__"):
            raise ValueError
        entry = Integer(help="", minimum=self.minimum)
        numbers = tuple(entry.accept(number) for number in value)
        if len(numbers) < self.shortest:
            raise ValueError
        return numbers


@dataclass(frozen=True, kw_only=True)
class Workers(Integer):
    """A number of processes, or auto (None)."""

    minimum: int = 1
    maximum: int = MOST_WORKERS

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        return f"auto or a whole number from 1 to {self.maximum}"

    def accept(self, value: object) -> int | None:  # type: ignore[override]
        """The number as int, None for auto; ValueError if it is not allowed."""
        return None if value == "auto" else super().accept(value)


# The keys of hw6 itself: how a sweep is run, no part of any cell.
RUN_KEYS: dict[str, Key] = {
    "workers": Workers(help="local processes"),
    "dry_run": Flag(help="say what would be run, run nothing"),
    "retry": Choice(help="which cells with rows run again", choices=("failed", "none", "all")),
    "fail_fast": Flag(help="stop at the first chunk with a failed cell"),
    "changed": Choice(help="what becomes of rows of other code or versions", choices=("stop", "keep", "rerun")),
}
