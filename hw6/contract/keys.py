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

from hw6.errors import BadInput, nearest, show

Value = Any  # a converted value of a key: int, float, bool, str, a tuple of int, or None
LARGEST = 2**63 - 1  # integers are stored as int64
MOST_WORKERS = 1024


class _Unset:
    """No value at all, where None is one; the same object in every process."""

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"


UNSET: Any = _Unset()


@dataclass(frozen=True, kw_only=True)
class Key:
    """A configuration key: how its value is checked, converted and described.

    Attributes:
        help: its meaning, in a line.
        default: its value where nobody gives one; ``UNSET`` where that is for the choice of a config group to say.
        hints: a refused value -> what the user should type instead.
        omitted_at: for a key that was added after an experiment's first release: at this value it stays out of the
            cell's id, so that old ids remain valid.
        formerly: the name under which an earlier release knew the key, if it was renamed. Ids keep it, resuming
            translates it, and typing it is refused with the new name.
        resolves: null stands for a number that the experiment works out. The id keeps null; ``rows`` gives a column of
            the key's own name, and the table shows that number.
    """

    help: str
    default: Any = UNSET
    hints: Mapping[Any, str] = field(default_factory=dict, hash=False)
    omitted_at: Any = UNSET
    formerly: str = ""
    resolves: bool = False

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
        if (self.minimum, self.maximum) == (-LARGEST - 1, LARGEST):
            return "a whole number"
        top = "2^63 - 1" if self.maximum == LARGEST else str(self.maximum)
        return f"a whole number from {self.minimum} to {top}"

    def accept(self, value: object) -> int:
        """The value as int; ValueError if it is not allowed."""
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not self.minimum <= value <= self.maximum:
            raise ValueError
        return value


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
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        return "one of " + ", ".join((*self.choices, *self.aliases))

    def accept(self, value: object) -> str:
        """The value as str; ValueError if it is not allowed."""
        if not isinstance(value, str):  # a name such as 2 or true arrives as what it looks like
            value = show(value)
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
    "workers": Workers(help="local processes; auto: one, or all cores once a sweep is worth it", default="auto"),
    "dry_run": Flag(help="say what a sweep would cost, run nothing, write nothing", default=False),
    "retry": Choice(
        help="cells with rows that run again: failed, none, all", choices=("failed", "none", "all"), default="failed"
    ),
    "fail_fast": Flag(help="stop at the first chunk with a failed cell", default=False),
    "changed": Choice(
        help="rows of other code or versions on resuming: stop, keep, rerun",
        choices=("stop", "keep", "rerun"),
        default="stop",
    ),
}
# What the root of every config holds besides an experiment's own keys.
FRAMEWORK_KEYS = frozenset({"experiment", "objective", "resume", "chunk", "hydra", *RUN_KEYS})
# Config groups and run keys: a key or metric that began with one of these could not be set, or would hide it. Some are
# for later releases, in which experiments of today must still run.
GROUPS = frozenset({"lambda", "data", "features", "device", "engine"})
RESERVED = FRAMEWORK_KEYS | {"defaults", "engine", "keep", "order", "tag", "note", "sweep", "cell"}
