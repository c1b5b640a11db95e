"""Overrides and Hydra's composed configs -> the plan.

Overrides that choose a config group span the blocks; overrides that set a value are axes inside a block. A value
override applies to those choices that have its key; a key that no choice has is a mistake. All mistakes are collected
and reported together, before anything runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from hw6.command.block import make_block, unread
from hw6.command.config import has_key, leaves
from hw6.command.line import NUMBER
from hw6.command.overrides import ParsedOverride, parse_overrides
from hw6.contract.experiment import Experiment
from hw6.contract.keys import FRAMEWORK_KEYS, RUN_KEYS, Key
from hw6.contract.registry import all_shorthands, experiment_named
from hw6.errors import BadInput, nearest, refuse
from hw6.plan.plan import Block, Plan


@dataclass(frozen=True)
class Composer:
    """What composing needs: Hydra's part comes from outside, so that plugin and command share all that follows.

    Attributes:
        compose: overrides in Hydra's grammar -> the composed config.
        options: a config group -> the names of its choices (empty where there is no such group).
        loader: Hydra's config loader, for ``glob(...)``.
    """

    compose: Callable[[list[str]], DictConfig]
    options: Callable[[str], list[str]]
    loader: Any = None


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
    parsed = parse_overrides(params, arguments, composer.loader)
    groups = [s for s in parsed if composer.options(s.key) and not isinstance(s.values[0], dict)]
    values = [s for s in parsed if s not in groups]
    _check_choices(groups, composer)
    blocks: list[Block] = []
    mistakes = [_sweep_mistake(s) for s in parsed if s.swept and (single or s.key in FRAMEWORK_KEYS - {"experiment"})]
    used: set[str] = set()
    everywhere = {one.key for one in parsed}
    keys: dict[str, Key] = {}
    who: dict[str, None] = {}
    read: set[str] = set()
    for choice in itertools.product(*(range(len(group.texts)) for group in groups)):
        chosen = [(group, index) for group, index in zip(groups, choice, strict=True)]
        config, overrides, applied = _compose(chosen, values, composer)
        used |= applied
        everywhere &= applied
        experiment = experiment_named(str(config.experiment))
        keys |= experiment.keys
        mistakes += framework_mistakes(config, experiment)
        who[experiment.name] = None
        read |= {key for key, _ in leaves(config)}
        axes = [s for s in values if s.swept and s.key in applied and s.key not in FRAMEWORK_KEYS]
        block, wrong = make_block(config, overrides, axes, experiment)
        mistakes += wrong
        if block is not None:
            blocks.append(block)
    reader = f"{' and '.join(who)} does not read it", f"; it reads {', '.join(sorted(read))}"
    unread = [s for s in parsed if s.key not in used and (s.typed or s.key not in keys)]
    whole = {f"{s.key}." for s in unread}  # a group that is not read says enough of its keys
    mistakes += [_unread(s, keys, reader) for s in unread if not s.key.startswith(tuple(whole))]
    if plain:
        mistakes += [_splits(s) for s in parsed if s.key in used - everywhere]
    refuse(mistakes)
    return Plan(tuple(blocks))


def _sweep_mistake(one: ParsedOverride) -> BadInput:
    if one.key in FRAMEWORK_KEYS - {"experiment"}:
        return BadInput(one.key, one.shown, "is the same for all cells and cannot be swept")
    return BadInput(one.key, one.shown, "several values are a sweep", "add -m before it")


def _splits(one: ParsedOverride) -> BadInput:
    return BadInput(
        one.key,
        one.shown,
        "applies to some of the choices only, which hydra/sweeper=basic cannot do",
        "run one command for each choice, or leave hydra/sweeper out",
    )


def _check_choices(groups: Sequence[ParsedOverride], composer: Composer) -> None:
    mistakes = []
    for group in groups:
        prefix = group.override.get_key_element().removesuffix(group.key)
        if prefix:
            hint = f"write {group.key}={group.shown}"
            mistakes.append(BadInput(f"{prefix}{group.key}", group.shown, "a choice is made without a plus", hint))
            continue
        options = composer.options(group.key)
        for index, text in enumerate(group.texts):
            name = str(group.values[index]) if group.values[index] is not None else "null"
            if name not in options:
                allowed = "must be one of " + ", ".join(options)
                mistakes.append(
                    BadInput(group.key, text, allowed, nearest(name, options) or _numbers_too(group.key, name))
                )
    refuse(mistakes)


def _numbers_too(group: str, given: str) -> str:
    """The hint that a number may be typed for a choice of a group, where an experiment says so."""
    short = next((one for one in all_shorthands() if one.group == group and not NUMBER.fullmatch(given)), None)
    return f"a number is allowed too, for instance {group}={short.example}" if short else ""


def _compose(
    chosen: Sequence[tuple[ParsedOverride, int]], values: Sequence[ParsedOverride], composer: Composer
) -> tuple[DictConfig, tuple[str, ...], set[str]]:
    """Compose one choice of groups with all constants that apply to it; which overrides apply."""
    constants = [s for s in values if not s.swept]
    texts = [group.text(index) for group, index in chosen] + [s.text() for s in constants]
    try:
        config = composer.compose(texts)
    except (ConfigCompositionException, HydraException, OmegaConfBaseException):
        chosen, constants, config = _compose_what_applies(chosen, constants, composer)
        texts = [group.text(index) for group, index in chosen] + [s.text() for s in constants]
    _refuse_added([s for s in values if s.swept], config)
    applied = {group.key for group, _ in chosen} | {s.key for s in constants}
    applied |= {
        s.key
        for s in values
        if s.swept and (has_key(config, s.key) or s.override.is_force_add() or s.override.is_add())
    }
    return config, tuple(texts), applied


def _compose_what_applies(
    chosen: Sequence[tuple[ParsedOverride, int]], constants: Sequence[ParsedOverride], composer: Composer
) -> tuple[list[tuple[ParsedOverride, int]], list[ParsedOverride], DictConfig]:
    """Leave out groups and constants that this choice does not have, then compose again."""
    first = [pair for pair in chosen if pair[0].key == "experiment"]
    config = composer.compose([group.text(index) for group, index in first])
    known = set(config.hydra.runtime.choices)
    chosen = [pair for pair in chosen if pair[0].key in known]
    config = composer.compose([group.text(index) for group, index in chosen])
    constants = [
        s for s in constants if has_key(config, s.key) or s.override.is_force_add() or isinstance(s.values[0], dict)
    ]
    _refuse_added(constants, config)
    try:
        config = composer.compose([g.text(i) for g, i in chosen] + [s.text() for s in constants])
    except (ConfigCompositionException, HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__ or error
        raise BadInput(str(error).splitlines()[0], None, str(cause).splitlines()[0]) from error
    return list(chosen), constants, config


def _refuse_added(parsed: Sequence[ParsedOverride], config: DictConfig) -> None:
    """``+key`` adds a key; one that is there is set without the plus, in Hydra as here."""
    refuse(
        [
            BadInput(f"+{s.key}", s.shown, "the key is there already", f"write {s.key}=...")
            for s in parsed
            if s.override.is_add() and has_key(config, s.key)
        ]
    )


def framework_mistakes(config: DictConfig, experiment: Experiment) -> list[BadInput]:
    """What is wrong with the keys that are hw6's own."""
    mistakes = []
    objective = config.get("objective")
    if objective != "auto" and objective not in experiment.metrics:
        listed = ", ".join(experiment.metrics) or "it has none"
        allowed = f"must be auto or a metric of {experiment.name}: {listed}"
        mistakes.append(BadInput("objective", objective, allowed, nearest(str(objective), experiment.metrics)))
    for name, key in RUN_KEYS.items():
        try:
            key.convert(name, config.get(name))
        except BadInput as mistake:
            mistakes.append(mistake)
    if config.get("resume") is not None:
        hint = "type resume=FOLDER, or resume=latest, on the command line"
        mistakes.append(BadInput("resume", config.resume, "cannot stand in a config", hint))
    return mistakes


def _unread(one: ParsedOverride, keys: Mapping[str, Key], reader: tuple[str, str]) -> BadInput:
    """A key that no choice of the command has. A named sweep may carry overrides for choices that were replaced."""
    allowed = (" as configured" if one.key in keys else "").join(reader)
    return unread(one.override.get_key_element(), one.shown, allowed, keys)
