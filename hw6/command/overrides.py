"""What stands behind each override: parsed with Hydra's own parser, each sweep evaluated once.

``shuffle(range(1,21))`` evaluated again in every chunk would give other cells each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString, RangeSweep
from hydra.errors import HydraException

from hw6.contract.keys import Value
from hw6.errors import BadInput, refuse

MOST_VALUES = 50_000_000  # of an axis, and cells of a sweep: beyond that the plan itself does not fit


@dataclass(frozen=True)
class ParsedOverride:
    """One override: its key, and the texts and values that it takes."""

    override: Override
    typed: bool  # by the user; the rest comes from a named sweep
    texts: Sequence[str]
    values: Sequence[Value]
    swept: bool

    @property
    def key(self) -> str:
        """The group or the dotted key."""
        return self.override.key_or_group

    @property
    def shown(self) -> str:
        """The value as it was typed."""
        value = self.override.get_value_string()
        alone = len(self.texts) == 1 and value.startswith("choice(")
        return value[len("choice(") : -1] if alone else value

    def text(self, index: int = 0) -> str:
        """The override, in Hydra's grammar, that sets one of the values."""
        return f"{self.override.get_key_element()}={self.texts[index]}"


def parse_overrides(params: Sequence[str], arguments: Sequence[str], loader: Any) -> list[ParsedOverride]:
    """Parse overrides with Hydra's own parser; of two with one key the later wins, as in Hydra's own sweeper."""
    parser = OverridesParser.create(config_loader=loader)
    found: dict[str, ParsedOverride] = {}
    mistakes = []
    for typed, texts in ((False, params), (True, arguments)):
        for text in texts:
            try:
                if not text.partition("=")[0].strip("+~ "):
                    raise HydraException("no key")
                parsed = _parsed(parser.parse_override(text), typed, loader)
                found.pop(parsed.key, None)
                found[parsed.key] = parsed
            except BadInput as mistake:
                mistakes.append(mistake)
            except HydraException as error:
                mistakes.append(_syntax_mistake(text, error))
    refuse(mistakes)
    return list(found.values())


def _syntax_mistake(text: str, error: Exception) -> BadInput:
    key, equals, value = text.partition("=")
    if not equals or not key.strip("+ "):
        return BadInput(text, None, "is no override; write key=value", "flags such as -m stand before them")
    detail = str(error).splitlines()[0] if str(error) else ""
    opened = sum(value.count(c) for c in "([{") - sum(value.count(c) for c in ")]}")
    what = "has unbalanced brackets" if opened else f"cannot be read: {detail}"
    return BadInput(key, value, what, "a sweep is written 1,2,3 or 'range(1,10)' or 1:10")


def _parsed(override: Override, typed: bool, loader: Any) -> ParsedOverride:
    override.config_loader = loader
    key = override.key_or_group
    if override.is_delete():
        raise BadInput(f"~{key}", None, "a key cannot be removed from an experiment", f"set it instead: {key}=...")
    if not override.is_sweep_override():
        return ParsedOverride(override, typed, (override.get_value_element_as_str(),), (override.value(),), False)
    if not override.is_discrete_sweep():
        raise BadInput(
            key, override.get_value_string(), "an interval needs an optimising sweeper", "write a range or a list"
        )
    _refuse_endless(override)
    plain = _plain_range(override)
    if plain:
        return ParsedOverride(override, typed, _Texts(plain), plain, True)
    try:
        elements = [] if plain is not None else list(override.sweep_iterator())
    except (ValueError, HydraException, ArithmeticError):
        elements = []
    if not elements:
        raise BadInput(
            key,
            override.get_value_string(),
            "an empty sweep: no value to run",
            "a range is start:stop with stop left out",
        )
    if len(elements) > 1 and all(type(e) is int for e in elements):  # compact, and quick to check
        values: Sequence[Value] = _as_range([int(e) for e in elements])  # type: ignore[arg-type]
        elements = list(values)
    else:
        values = tuple(_plain(element) for element in elements)
    texts = _Texts(elements)
    return ParsedOverride(override, typed, texts, values, True)


def _refuse_endless(override: Override) -> None:
    """A range of fractions is counted before it is made."""
    sweep = override.value()
    if isinstance(sweep, RangeSweep) and sweep.start is not None and sweep.stop is not None and sweep.step:
        count = (float(sweep.stop) - float(sweep.start)) / float(sweep.step)
        if not count < MOST_VALUES:
            allowed = f"has too many values; a sweep has at most {MOST_VALUES:,} cells"
            raise BadInput(override.key_or_group, override.get_value_string(), allowed, "write a larger step")


def _plain_range(override: Override) -> range | None:
    """The rising integers of a range as they are: a million of them need no memory. None for any other sweep."""
    sweep = override.value()
    numbers = sweep.range() if isinstance(sweep, RangeSweep) and not sweep.shuffle and sweep.step else None
    return numbers if isinstance(numbers, range) and numbers.step > 0 else None


class _Texts(Sequence[str]):
    """The elements of a sweep as texts in Hydra's grammar, made when asked for."""

    def __init__(self, elements: Sequence[Any]) -> None:
        self.elements = elements

    def __len__(self) -> int:
        return len(self.elements)

    def __getitem__(self, index: Any) -> Any:
        return Override._get_value_element_as_str(self.elements[index])


def _as_range(numbers: list[int]) -> Sequence[int]:
    """Rising distinct integers; a range where they are evenly spaced."""
    ordered = sorted(set(numbers))
    step = ordered[1] - ordered[0] if len(ordered) > 1 else 1
    even = range(ordered[0], ordered[-1] + 1, step)
    return even if len(even) == len(ordered) and list(even) == ordered else tuple(ordered)


def _plain(element: Any) -> Value:
    if isinstance(element, QuotedString):
        return element.text
    if isinstance(element, list):
        return tuple(_plain(entry) for entry in element)
    if isinstance(element, dict):
        return {_plain(key): _plain(value) for key, value in element.items()}
    return element
