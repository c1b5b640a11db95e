"""Keys whose values are no single number or name: texts, lists, values that may be null, numbers out of a list."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from hw6.contract.keys import Integer, Key, Real
from hw6.errors import show


@dataclass(frozen=True, kw_only=True)
class String(Key):
    """Any text. A number that is typed for it is no text until it is quoted: 1.10 would arrive as 1.1."""

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        return """a text (a number or true in double quotes: '"3"')"""

    def accept(self, value: object) -> str:
        """The value as str; ValueError if it is not allowed."""
        if not isinstance(value, str):
            raise ValueError
        value.encode("utf-8")  # a lone surrogate cannot be stored; UnicodeEncodeError is a ValueError
        return str(value)


@dataclass(frozen=True, kw_only=True)
class Number(Key):
    """One of a list of numbers, whole ones or others."""

    numbers: tuple[int, ...] | tuple[float, ...]

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        return "one of " + ", ".join(map(show, self.numbers))

    def accept(self, value: object) -> int | float:
        """The number of the list that equals the value; ValueError if there is none."""
        whole = all(isinstance(number, int) for number in self.numbers)
        kind: Key = Integer(help="", minimum=-(2**63)) if whole else Real(help="")
        number: int | float = kind.accept(value)
        if number not in self.numbers:
            raise ValueError
        return number


@dataclass(frozen=True, kw_only=True)
class Nullable(Key):
    """A value of another key, or null."""

    entry: Key

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        return f"{self.entry.allowed}, or null"

    def accept(self, value: object) -> Any:
        """The value as the other key has it, or None; ValueError if it is not allowed."""
        return None if value is None else self.entry.accept(value)


@dataclass(frozen=True, kw_only=True)
class Listed(Key):
    """A list, kept as a tuple, of values of another key."""

    entry: Key
    shortest: int = 0

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        least = f" of at least {self.shortest}" if self.shortest else ""
        return f"a list{least} such as [a,b], each entry {self.entry.allowed}"

    def accept(self, value: object) -> tuple[Any, ...]:
        """The value as a tuple; ValueError if it is not allowed."""
        if isinstance(value, (str, bytes, Mapping, Set)) or not hasattr(value, "__iter__"):
            raise ValueError  # a set has no order
        entries = tuple(self.entry.accept(entry) for entry in value)
        if len(entries) < self.shortest:
            raise ValueError
        return entries
