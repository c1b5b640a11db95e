"""One composed config and its swept overrides -> one block: values checked, axes ordered, followers resolved."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hw6.command.config import dependencies, leaves, names_in, plain_value
from hw6.command.overrides import MOST_VALUES, ParsedOverride
from hw6.contract.asking import refusals_of
from hw6.contract.experiment import Experiment
from hw6.contract.keys import FRAMEWORK_KEYS, Integer, Key, Value
from hw6.errors import BadInput, nearest, refuse
from hw6.plan.plan import Axis, Block, Derived

MOST_MISTAKES = 8  # of one axis: the first ones tell what is wrong


def single_block(config: DictConfig, overrides: tuple[str, ...], experiment: Experiment) -> Block:
    """The block of one cell from its composed config.

    Raises:
        BadInput, BadInputs: all mistakes at once.
    """
    block, mistakes = make_block(config, overrides, [], experiment)
    refuse(mistakes)
    assert block is not None
    return block


def make_block(
    config: DictConfig, overrides: tuple[str, ...], swept_overrides: Sequence[ParsedOverride], experiment: Experiment
) -> tuple[Block | None, list[BadInput]]:
    """Resolve one composed config and its axes into a block."""
    mistakes: list[BadInput] = []
    swept = {parsed.key for parsed in swept_overrides}
    constants: dict[str, Value] = {}
    followers: list[tuple[str, tuple[str, ...]]] = []
    for key, text in leaves(config):
        if key in swept:
            continue
        if key not in experiment.keys:
            mistakes.append(unread(key, text, f"{experiment.name} does not read it", experiment.keys))
            continue
        follows = tuple(sorted(swept & dependencies(config, key)))
        if follows:
            followers.append((key, follows))
            continue
        try:
            constants[key] = experiment.keys[key].convert(key, plain_value(config, key))
        except BadInput as mistake:
            mistakes.append(mistake)
    axes: list[Axis] = []
    raw: dict[str, ParsedOverride] = {}
    for parsed in swept_overrides:
        if parsed.key not in experiment.keys:
            mistakes.append(BadInput(parsed.key, parsed.shown, f"{experiment.name} does not read it"))
        elif _has_interpolation(parsed):
            raw[parsed.key] = parsed
            axes.append(Axis(parsed.key, range(len(parsed.values)), hidden=True))
            names = {name for value in parsed.values for name in names_in(str(value), parsed.key)}
            names |= {n for name in names for n in dependencies(config, name)}
            followers.append((parsed.key, (parsed.key, *sorted((swept & names) - {parsed.key}))))
        else:
            values, wrong = _axis_values(parsed, experiment)
            mistakes += wrong
            axes.append(Axis(parsed.key, values))
    if mistakes:
        return None, mistakes
    return _assemble(config, overrides, constants, axes, followers, raw, experiment)


def _assemble(
    config: DictConfig,
    overrides: tuple[str, ...],
    constants: dict[str, Value],
    axes: list[Axis],
    followers: Sequence[tuple[str, tuple[str, ...]]],
    raw: Mapping[str, ParsedOverride],
    experiment: Experiment,
) -> tuple[Block | None, list[BadInput]]:
    order = list(experiment.order)
    axes.sort(key=lambda axis: order.index(axis.key) if axis.key in order else -1)
    derived, mistakes = [], []
    for key, over in followers:
        try:
            values = tuple(_followed(config, key, over, axes, raw, experiment))
            derived.append(Derived(key, over, values))
        except BadInput as mistake:
            mistakes.append(mistake)
        except OmegaConfBaseException as error:
            mistakes.append(BadInput(key, None, str(error).splitlines()[0]))
    if mistakes:
        return None, mistakes
    block = Block(experiment, overrides, constants, tuple(axes), tuple(derived))
    if block.size > MOST_VALUES:
        shape = " x ".join(f"{len(axis):,} values of {axis.key}" for axis in axes)
        longest = max(axes, key=len)
        allowed = f"{shape} are {block.size:,} cells; a sweep has at most {MOST_VALUES:,}"
        return None, [BadInput(longest.key, f"{len(longest):,} values", allowed, "sweep it in parts")]
    return block, refusals_of(experiment, block.cells(np.arange(block.size)))


def _axis_values(parsed: ParsedOverride, experiment: Experiment) -> tuple[Sequence[Value], list[BadInput]]:
    """The distinct converted values of an axis, rising where they are numbers, and what is wrong with the others."""
    key, kind = parsed.key, experiment.keys[parsed.key]
    values = parsed.values
    if isinstance(values, range) and isinstance(kind, Integer):
        wrong = [v for v in (values[0], values[-1]) if not kind.minimum <= v <= kind.maximum]
        if not wrong:
            return values, []
    converted: dict[Value, None] = {}
    mistakes: list[BadInput] = []
    for value in values:
        try:
            converted[kind.convert(key, value)] = None
        except BadInput as mistake:
            mistakes.append(mistake)
            if len(mistakes) == MOST_MISTAKES:
                break
    distinct = list(converted)
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in distinct):
        distinct.sort()
    return tuple(distinct), mistakes


def _followed(
    config: DictConfig,
    key: str,
    over: tuple[str, ...],
    axes: Sequence[Axis],
    raw: Mapping[str, ParsedOverride],
    experiment: Experiment,
) -> Iterator[Value]:
    """The value of a key that follows others, for each combination of the axes that it follows."""
    by_name = {axis.key: axis for axis in axes}
    scratch: DictConfig = config.copy()
    OmegaConf.set_struct(scratch, False)
    for combination in itertools.product(*(by_name[name].values for name in over)):
        for name, value in zip(over, combination, strict=True):
            value = raw[name].values[value] if by_name[name].hidden else value
            OmegaConf.update(scratch, name, list(value) if isinstance(value, tuple) else value)
        yield experiment.keys[key].convert(key, plain_value(scratch, key))


def _has_interpolation(parsed: ParsedOverride) -> bool:
    return not isinstance(parsed.values, range) and any(
        "${" in str(v) for v in parsed.values if isinstance(v, (str, tuple))
    )


def unread(key: str, shown: str, allowed: str, keys: Mapping[str, Key]) -> BadInput:
    """The refusal of a key that is not read; one that was renamed is told its new name and nothing else."""
    plain = key.lstrip("+")
    for name, kind in keys.items():
        if plain == kind.formerly:
            return BadInput(key, shown, f"it is called {name} now", f"write {name}={shown}")
    return BadInput(key, shown, allowed, nearest_key(plain, keys))


def nearest_key(word: str, keys: Mapping[str, Key]) -> str:
    """The hint for a mistyped key: the nearest key, or the one whose explanation has the nearest word."""
    if word in keys:
        return ""
    groups = () if "." in word else {key.partition(".")[0] for key in keys}
    hint = nearest(word, [*groups, *FRAMEWORK_KEYS]) or nearest(word, keys)
    if hint:
        return hint
    words = {part: name for name, key in keys.items() for part in re.findall(r"[a-z]{4,}", key.help.lower())}
    for part, name in words.items():
        if nearest(word, [part]):
            return f"did you mean {name}?"
    return ""
