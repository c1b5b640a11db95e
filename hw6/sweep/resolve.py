"""Overrides and Hydra's composed configs -> the blocks of a plan.

Overrides that choose a config group span the blocks; overrides that set a value are axes inside a block. Each axis is
evaluated once (``shuffle(...)`` would otherwise differ from chunk to chunk) and each distinct value is checked once.
A value override applies to those choices that have its key; a key that no choice has is a mistake.
All mistakes are collected and reported together, before anything runs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hw6.errors import BadInput, nearest, refuse
from hw6.schema import Integer
from hw6.sweep.contract import Experiment, Value
from hw6.sweep.plan import Axis, Block, Derived, Plan

FRAMEWORK_KEYS = frozenset({"experiment", "objective", "workers", "chunk", "hydra"})
MOST_MISTAKES = 8  # of one axis: the first ones tell what is wrong
_NAME = re.compile(r"\$\{([^${}:]+)\}")


@dataclass(frozen=True)
class Composer:
    """What composing needs: Hydra's part comes from outside, so that plugin and command share all that follows.

    Attributes:
        compose: overrides in Hydra's grammar -> the composed config.
        options: a config group -> the names of its choices (empty where there is no such group).
        experiment_named: a name -> the experiment.
        loader: Hydra's config loader, for ``glob(...)``.
    """

    compose: Callable[[list[str]], DictConfig]
    options: Callable[[str], list[str]]
    experiment_named: Callable[[str], Experiment]
    loader: Any = None


@dataclass(frozen=True)
class Setting:
    """One override: its key, and the texts and values that it takes."""

    override: Override
    typed: bool  # by the user; the rest comes from a named sweep
    texts: tuple[str, ...]
    values: Sequence[Value]
    swept: bool

    @property
    def key(self) -> str:
        """The group or the dotted key."""
        return self.override.key_or_group

    def text(self, index: int = 0) -> str:
        """The override, in Hydra's grammar, that sets one of the values."""
        return f"{self.override.get_key_element()}={self.texts[index]}"


def make_plan(
    params: Sequence[str], arguments: Sequence[str], composer: Composer, *, single: bool = False, plain: bool = False
) -> Plan:
    """The blocks of a sweep from its overrides.

    Args:
        params: overrides of a named sweep (``hydra.sweeper.params``); ``arguments`` win over them.
        arguments: what the user typed, in Hydra's grammar.
        composer: how to compose.
        single: the command runs one cell; a sweep in it is a mistake.
        plain: another sweeper will run it, for which every override applies to every choice.

    Raises:
        BadInput, BadInputs: all mistakes at once.
    """
    settings = read_settings(params, arguments, composer.loader)
    groups = [s for s in settings if composer.options(s.key) and not isinstance(s.values[0], dict)]
    values = [s for s in settings if s not in groups]
    _check_choices(groups, composer)
    blocks: list[Block] = []
    mistakes = [_sweep_mistake(s) for s in settings if s.swept and (single or s.key in FRAMEWORK_KEYS - {"experiment"})]
    used: set[str] = set()
    names: set[str] = set()
    for choice in itertools.product(*(range(len(group.texts)) for group in groups)):
        chosen = [(group, index) for group, index in zip(groups, choice, strict=True)]
        config, overrides, applied = _compose(chosen, values, composer)
        used |= applied
        if plain:
            mistakes += [_splits(s) for s in settings if s.key not in applied and len(groups) > 0]
        experiment = _experiment(config, composer)
        names |= set(experiment.keys) | {experiment.name}
        axes = [s for s in values if s.swept and s.key in applied]
        block, wrong = _block(config, overrides, axes, experiment)
        mistakes += wrong
        if block is not None and block not in blocks:
            blocks.append(block)
    mistakes += [_unread(s, names, composer, blocks) for s in settings if s.key not in used and _matters(s, names)]
    refuse(mistakes)
    return Plan(tuple(blocks))


def _sweep_mistake(setting: Setting) -> BadInput:
    value = setting.override.get_value_string()
    if setting.key in FRAMEWORK_KEYS - {"experiment"}:
        return BadInput(setting.key, value, "is the same for all cells and cannot be swept")
    return BadInput(setting.key, value, "several values are a sweep", "add -m: python -m hw6.run -m ...")


def _splits(setting: Setting) -> BadInput:
    value = setting.override.get_value_string()
    return BadInput(
        setting.key,
        value,
        "applies to some of the choices only, which hydra/sweeper=basic cannot do",
        "run one command for each choice, or leave hydra/sweeper out",
    )


def single_block(config: DictConfig, overrides: tuple[str, ...], experiment_named: Callable[[str], Experiment]) -> Block:
    """The block of one cell from its composed config.

    Raises:
        BadInput, BadInputs: all mistakes at once.
    """
    block, mistakes = _block(config, overrides, [], experiment_named(str(config.experiment)))
    refuse(mistakes)
    assert block is not None
    return block


def read_settings(params: Sequence[str], arguments: Sequence[str], loader: Any) -> list[Setting]:
    """Parse overrides with Hydra's own parser; of two with one key the later wins, as in Hydra's own sweeper."""
    parser = OverridesParser.create(config_loader=loader)
    settings: dict[str, Setting] = {}
    mistakes = []
    for typed, texts in ((False, params), (True, arguments)):
        for text in texts:
            try:
                setting = _setting(parser.parse_override(text), typed, loader)
                settings.pop(setting.key, None)
                settings[setting.key] = setting
            except BadInput as mistake:
                mistakes.append(mistake)
            except HydraException as error:
                mistakes.append(_syntax_mistake(text, error))
    refuse(mistakes)
    return list(settings.values())


def _syntax_mistake(text: str, error: Exception) -> BadInput:
    key, _, value = text.partition("=")
    if not _:
        return BadInput(text, None, "is no override; write key=value", "flags such as -m stand before them")
    detail = str(error).splitlines()[0] if str(error) else ""
    opened = sum(value.count(c) for c in "([{") - sum(value.count(c) for c in ")]}")
    what = "has unbalanced brackets" if opened else f"cannot be read: {detail}"
    return BadInput(key, value, what, "a sweep is written 1,2,3 or 'range(1,10)' or 1:10")


def _setting(override: Override, typed: bool, loader: Any) -> Setting:
    override.config_loader = loader
    key = override.key_or_group
    if override.is_delete():
        raise BadInput(f"~{key}", None, "a key cannot be removed from an experiment", f"set it instead: {key}=...")
    if not override.is_sweep_override():
        return Setting(override, typed, (override.get_value_element_as_str(),), (override.value(),), False)
    if not override.is_discrete_sweep():
        raise BadInput(key, override.get_value_string(), "an interval needs an optimising sweeper", "write a range or a list")
    try:
        elements = list(override.sweep_iterator())
    except (ValueError, HydraException, ArithmeticError):
        elements = []
    if not elements:
        raise BadInput(
            key, override.get_value_string(), "an empty sweep: no value to run", "a range is start:stop with stop left out"
        )
    if len(elements) > 1 and all(type(e) is int for e in elements):  # compact, and quick to check
        values: Sequence[Value] = _as_range(elements)
    else:
        values = tuple(_plain(element) for element in elements)
    texts = _Texts(elements)
    return Setting(override, typed, texts, values, True)  # type: ignore[arg-type]


class _Texts(Sequence[str]):
    """The elements of a sweep as texts in Hydra's grammar, made when asked for."""

    def __init__(self, elements: list[Any]) -> None:
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


def _check_choices(groups: Sequence[Setting], composer: Composer) -> None:
    mistakes = []
    for group in groups:
        options = composer.options(group.key)
        for index, text in enumerate(group.texts):
            name = str(group.values[index]) if group.values[index] is not None else "null"
            if name not in options:
                allowed = "must be one of " + ", ".join(options)
                hint = nearest(name, options)
                if group.key == "lambda":
                    hint = hint or "a number is allowed too, for instance lambda=0.01"
                mistakes.append(BadInput(group.key, text, allowed, hint))
    refuse(mistakes)


def _compose(
    chosen: Sequence[tuple[Setting, int]], values: Sequence[Setting], composer: Composer
) -> tuple[DictConfig, tuple[str, ...], set[str]]:
    """Compose one choice of groups with all constants that apply to it; which settings apply."""
    constants = [s for s in values if not s.swept]
    texts = [group.text(index) for group, index in chosen] + [s.text() for s in constants]
    try:
        config = composer.compose(texts)
    except (ConfigCompositionException, HydraException, OmegaConfBaseException):
        chosen, constants, config = _compose_what_applies(chosen, constants, composer)
        texts = [group.text(index) for group, index in chosen] + [s.text() for s in constants]
    applied = {group.key for group, _ in chosen} | {s.key for s in constants}
    applied |= {s.key for s in values if s.swept and (_has(config, s.key) or s.override.is_force_add())}
    return config, tuple(texts), applied


def _compose_what_applies(
    chosen: Sequence[tuple[Setting, int]], constants: Sequence[Setting], composer: Composer
) -> tuple[list[tuple[Setting, int]], list[Setting], DictConfig]:
    """Leave out groups and constants that this choice does not have, then compose again."""
    first = [pair for pair in chosen if pair[0].key == "experiment"]
    config = composer.compose([group.text(index) for group, index in first])
    known = set(config.hydra.runtime.choices)
    chosen = [pair for pair in chosen if pair[0].key in known]
    config = composer.compose([group.text(index) for group, index in chosen])
    constants = [s for s in constants if _has(config, s.key) or s.override.is_force_add() or isinstance(s.values[0], dict)]
    for setting in constants:
        if setting.override.is_add() and _has(config, setting.key):
            raise BadInput(f"+{setting.key}", setting.texts[0], "the key is there already", f"write {setting.key}=...")
    try:
        config = composer.compose([g.text(i) for g, i in chosen] + [s.text() for s in constants])
    except (ConfigCompositionException, HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__ or error
        raise BadInput(str(error).splitlines()[0], None, str(cause).splitlines()[0]) from error
    return list(chosen), constants, config


def _has(config: DictConfig, key: str) -> bool:
    parent, _, last = key.rpartition(".")
    try:
        node = OmegaConf.select(config, parent) if parent else config
    except OmegaConfBaseException:
        return False
    return isinstance(node, DictConfig) and last in node


def _experiment(config: DictConfig, composer: Composer) -> Experiment:
    return composer.experiment_named(str(config.experiment))


def _matters(setting: Setting, names: set[str]) -> bool:
    """A named sweep may carry settings for choices that the user has replaced; what was typed must apply."""
    return setting.typed or setting.key not in names


def _unread(setting: Setting, names: set[str], composer: Composer, blocks: Sequence[Block]) -> BadInput:
    key = setting.key
    shown = setting.override.get_key_element()
    value = setting.override.get_value_string() if setting.override.input_line else setting.texts[0]
    read = sorted({name for block in blocks for name in (*block.constants, *(a.key for a in block.axes))})
    who = " and ".join(sorted({block.experiment for block in blocks})) or "this experiment"
    if key in names or composer.options(key) or any(name.startswith(key + ".") for name in names):
        return BadInput(shown, value, f"{who} does not read it as configured; it reads {', '.join(read)}")
    known = {*names, *read, *FRAMEWORK_KEYS} - {"chunk", "hydra"}
    return BadInput(shown, value, f"unknown key; {who} reads {', '.join(read)}", nearest(key, known))


def _block(
    config: DictConfig, overrides: tuple[str, ...], settings: Sequence[Setting], experiment: Experiment
) -> tuple[Block | None, list[BadInput]]:
    """Resolve one composed config and its axes into a block."""
    mistakes: list[BadInput] = []
    swept = {setting.key for setting in settings}
    constants: dict[str, Value] = {}
    followers: list[tuple[str, tuple[str, ...]]] = []
    for key, text in leaves(config):
        if key in swept:
            continue
        if key not in experiment.keys:
            hint = nearest(key, [*experiment.keys, *FRAMEWORK_KEYS])
            mistakes.append(BadInput(key, text, f"{experiment.name} does not read this key", hint))
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
    raw: dict[str, Setting] = {}
    for setting in settings:
        if setting.key not in experiment.keys:
            mistakes.append(BadInput(setting.key, setting.override.get_value_string(), f"{experiment.name} does not read it"))
        elif _has_interpolation(setting):
            raw[setting.key] = setting
            axes.append(Axis("#" + setting.key, range(len(setting.values))))
            names = {name for value in setting.values for name in _names(str(value), setting.key)}
            names |= {n for name in names for n in dependencies(config, name)}
            followers.append((setting.key, ("#" + setting.key, *sorted((swept & names) - {setting.key}))))
        else:
            values, wrong = _axis_values(setting, experiment)
            mistakes += wrong
            axes.append(Axis(setting.key, values))
    if mistakes:
        return None, mistakes
    followers = [(key, tuple("#" + name if name in raw else name for name in over)) for key, over in followers]
    return _assemble(config, overrides, constants, axes, followers, raw, experiment)


def _assemble(
    config: DictConfig,
    overrides: tuple[str, ...],
    constants: dict[str, Value],
    axes: list[Axis],
    followers: Sequence[tuple[str, tuple[str, ...]]],
    raw: Mapping[str, Setting],
    experiment: Experiment,
) -> tuple[Block | None, list[BadInput]]:
    order = list(experiment.order)
    axes.sort(key=lambda axis: order.index(axis.key.lstrip("#")) if axis.key.lstrip("#") in order else -1)
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
    block = Block(experiment.name, overrides, constants, tuple(axes), tuple(derived))
    return block, experiment.refuse(block.cells(np.arange(block.size)))


def _axis_values(setting: Setting, experiment: Experiment) -> tuple[Sequence[Value], list[BadInput]]:
    """The distinct converted values of an axis, rising where they are numbers, and what is wrong with the others."""
    key, schema = setting.key, experiment.keys[setting.key]
    values = setting.values
    if isinstance(values, range) and isinstance(schema, Integer):
        wrong = [v for v in (values[0], values[-1]) if not schema.minimum <= v <= schema.maximum]
        if not wrong:
            return values, []
    converted: dict[Value, None] = {}
    mistakes: list[BadInput] = []
    for value in values:
        try:
            converted[schema.convert(key, value)] = None
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
    raw: Mapping[str, Setting],
    experiment: Experiment,
) -> Iterator[Value]:
    """The value of a key that follows others, for each combination of the axes that it follows."""
    by_name = {axis.key: axis for axis in axes}
    scratch: DictConfig = config.copy()
    OmegaConf.set_struct(scratch, False)
    for combination in itertools.product(*(by_name[name].values for name in over)):
        for name, value in zip(over, combination, strict=True):
            plain = name.lstrip("#")
            value = raw[plain].values[value] if name.startswith("#") else value
            OmegaConf.update(scratch, plain, list(value) if isinstance(value, tuple) else value)
        yield experiment.keys[key].convert(key, plain_value(scratch, key))


def leaves(config: DictConfig, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The dotted keys of an experiment's config with their unresolved values as text; hw6's own keys left out."""
    for name in config:
        key = f"{prefix}{name}"
        if not prefix and key in FRAMEWORK_KEYS:
            continue
        node = config._get_node(name)
        if isinstance(node, DictConfig) and not node._is_interpolation() and not node._is_none():
            yield from leaves(node, f"{key}.")
        else:
            yield key, str(getattr(node, "_value", lambda: "")())


def plain_value(config: DictConfig, key: str) -> Value:
    """A resolved value; lists as tuples.

    Raises:
        BadInput: it is missing, or it interpolates something that is not there.
    """
    if OmegaConf.is_missing(*_parent(config, key)):
        raise BadInput(key, "???", "has no default; give it a value")
    try:
        value = OmegaConf.select(config, key, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise BadInput(key, None, f"cannot be resolved: {str(error).splitlines()[0]}") from error
    if isinstance(value, ListConfig):
        return tuple(OmegaConf.to_container(value, resolve=True))  # type: ignore[arg-type]
    return value


def _parent(config: DictConfig, key: str) -> tuple[Any, str]:
    parent, _, last = key.rpartition(".")
    return (OmegaConf.select(config, parent) if parent else config), last


def _has_interpolation(setting: Setting) -> bool:
    return not isinstance(setting.values, range) and any("${" in str(v) for v in setting.values if isinstance(v, (str, tuple)))


def _names(text: str, key: str) -> set[str]:
    """The absolute dotted keys that an interpolated text names directly; ``key`` is where the text stands."""
    found = set()
    for name in _NAME.findall(text):
        name = name.strip()
        level = len(name) - len(name.lstrip("."))
        base = key.split(".")[:-level] if level else []
        found.add(".".join([*base, name.lstrip(".")]))
    return found


def dependencies(config: DictConfig, key: str) -> set[str]:
    """All keys that a key's value follows, through any number of interpolations."""
    found: set[str] = set()
    pending = [key]
    while pending:
        current = pending.pop()
        parent, last = _parent(config, current)
        node = parent._get_node(last) if isinstance(parent, DictConfig) and last in parent else None
        text = str(node._value()) if node is not None and not isinstance(node, DictConfig) else ""
        if node is not None and OmegaConf.is_list(node):
            text = str(OmegaConf.to_container(node, resolve=False))  # type: ignore[arg-type]
        new = _names(text, current) - found
        found |= new
        pending += new
    return found
