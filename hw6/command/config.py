"""Reading a composed config: its keys, their resolved values, and which keys follow others by interpolation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, ListConfig, Node, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hw6.contract.keys import FRAMEWORK_KEYS, Value
from hw6.errors import BadInput

_NAME = re.compile(r"\$\{([^${}:]+)\}")


def has_key(config: DictConfig, key: str) -> bool:
    """Whether a dotted key is there, whatever its value."""
    parent, _, last = key.rpartition(".")
    try:
        node = OmegaConf.select(config, parent) if parent else config
    except OmegaConfBaseException:
        return False
    return isinstance(node, DictConfig) and last in node


def leaves(config: DictConfig, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The dotted keys of an experiment's config with their unresolved values as text; hw6's own keys left out."""
    for name in config:
        key = prefix + str(name)
        if not prefix and key in FRAMEWORK_KEYS:
            continue
        node = config._get_node(name)
        if isinstance(node, DictConfig) and not node._is_interpolation() and not node._is_none():
            yield from leaves(node, f"{key}.")
        else:
            value = node._value() if isinstance(node, Node) else node
            yield key, "null" if value is None else str(value)


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


def names_in(text: str, key: str) -> set[str]:
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
            text = str(OmegaConf.to_container(node, resolve=False))
        new = names_in(text, current) - found
        found |= new
        pending += new
    return found
