"""The keys of a function of one cell, from its signature: types from annotations, defaults where they stand."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from hw6.contract.keys import LARGEST, UNSET, Choice, Flag, Integer, Integers, Key, OptionalInteger, Real
from hw6.contract.values import Listed, Nullable, Number, String
from hw6.errors import BadInput, described, show

TYPES = (
    "int, float, bool, str, Literal['a', 'b'], list[int], tuple[float, ...], an Enum, one of these | None, "
    "or Annotated[int, hw6.Integer(help='...', minimum=1)]"
)
# Which kinds of keys go with an annotated type: what the function is handed is what it says.
KINDS: dict[type, tuple[type[Key], ...]] = {
    int: (Integer, Number),
    float: (Real, Number),
    bool: (Flag,),
    str: (Choice, String),
}
Decode = Callable[[Any], Any]


class NoKey(ValueError):
    """A parameter that cannot be a key; the message says what to write."""


def keys_of(function: Callable[..., Any]) -> tuple[dict[str, Key], dict[str, Decode], list[str]]:
    """The keys of a function.

    Returns:
        for each parameter its key; for those whose values the function gets in another form than a cell holds them
        (members of an Enum, lists), the function that turns one into the other; and what is wrong, a text each.
    """
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception as error:  # whatever evaluating an annotation raises
        return {}, {}, [f"an annotation cannot be read ({': '.join(described(error))})"]
    keys: dict[str, Key] = {}
    decodes: dict[str, Decode] = {}
    wrong: list[str] = []
    for name, parameter in inspect.signature(function).parameters.items():
        try:
            key, decode = _key_of(parameter, hints.get(name, parameter.empty))
            keys[name] = key
            if decode is not None:
                decodes[name] = decode
        except NoKey as mistake:
            wrong.append(str(mistake))
    if not keys and not wrong:
        wrong.append("it has no parameter: a cell is told from another by its parameters; write seed: int = 0")
    return keys, decodes, wrong


def _key_of(parameter: inspect.Parameter, hint: Any) -> tuple[Key, Decode | None]:
    name, default = parameter.name, parameter.default
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        star = "*" if parameter.kind == parameter.VAR_POSITIONAL else "**"
        raise NoKey(f"{star}{name} names no keys: write each as a parameter of its own, such as seed: int = 0")
    if hint is parameter.empty:
        given = "0" if default is parameter.empty else repr(default)
        kind = "int" if default is parameter.empty else type(default).__name__
        raise NoKey(f"parameter {name} has no type: write {name}: {kind} = {given}")
    if default is parameter.empty:
        written = hint.__name__ if isinstance(hint, type) else "..."
        raise NoKey(f"parameter {name} has no default: write {name}: {written} = VALUE")
    key, decode = key_for(name, hint)
    value = _encoded(default)
    if value is None and not _takes_null(key):
        raise NoKey(f"parameter {name} is null by default: write {name}: ... | None = None")
    try:
        return replace(key, default=key.convert(name, value)), decode
    except BadInput as mistake:
        raise NoKey(f"default {mistake}") from None


def _encoded(default: Any) -> Any:
    """A default as a cell holds it: members of an Enum by their names."""
    if isinstance(default, (list, tuple)):
        return [_encoded(entry) for entry in default]
    if isinstance(default, np.generic):  # a number of NumPy's for a plain one
        return default.item()
    return default.name if isinstance(default, Enum) else default


def _takes_null(key: Key) -> bool:
    try:
        key.accept(None)
    except (ValueError, TypeError):
        return False
    return True


def key_for(name: str, hint: Any) -> tuple[Key, Decode | None]:
    """The key that an annotation describes, and how its values are handed to the function (None: as they are).

    Raises:
        NoKey: it describes none.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(name, arguments[0], arguments[1:])
    if origin in (Union, UnionType):
        return _optional(name, hint, arguments)
    if origin is Literal:
        return _literal(name, arguments), None
    if origin in (list, tuple):
        return _list(name, hint, origin, arguments)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Choice(help=name, choices=tuple(member.name for member in hint)), lambda name: hint[name]
    if hint is int:
        return Integer(help=name, minimum=-LARGEST - 1), None
    if hint in (float, bool, str):
        return {float: Real, bool: Flag, str: String}[hint](help=name), None
    raise NoKey(f"parameter {name}: {_written(hint)} is no type of a key; there are {TYPES}")


def _annotated(name: str, hint: Any, notes: tuple[Any, ...]) -> tuple[Key, Decode | None]:
    """``Annotated[int, Integer(...)]``, or ``Annotated[int, "what it means"]``."""
    given = [note for note in notes if isinstance(note, Key)]
    key, decode = key_for(name, hint)
    if not given:
        texts = [note for note in notes if isinstance(note, str) and note.strip()]
        return (replace(key, help=texts[0]) if texts else key), decode
    if given[0].default is not UNSET:
        raise NoKey(f"parameter {name}: its default stands in the signature; leave out default= in its key")
    if not _fits(given[0], hint):
        raise NoKey(f"parameter {name}: {type(given[0]).__name__} is no key for {_written(hint)}")
    return given[0], decode


def _fits(key: Key, hint: Any) -> bool:
    """Whether the values of a key are of the annotated type."""
    if hint in KINDS:
        return isinstance(key, KINDS[hint]) and not isinstance(key, OptionalInteger)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return isinstance(key, (Nullable, OptionalInteger, Integers))
    if origin in (list, tuple):
        return isinstance(key, Listed) or (isinstance(key, Integers) and arguments[0] is int and not key.optional)
    if origin is Literal:
        return isinstance(key, Choice) and set(key.choices) <= set(arguments)
    return isinstance(key, Choice) and set(key.choices) <= {member.name for member in hint}


def _optional(name: str, hint: Any, arguments: tuple[Any, ...]) -> tuple[Key, Decode | None]:
    others = [one for one in arguments if one is not NoneType]
    if len(others) != 1 or len(arguments) != 2:
        raise NoKey(f"parameter {name}: {_written(hint)} is no type of a key; there are {TYPES}")
    entry, decode = key_for(name, others[0])
    key = Nullable(help=entry.help, entry=entry)
    return key, None if decode is None else lambda value: None if value is None else decode(value)


def _literal(name: str, choices: tuple[Any, ...]) -> Key:
    kinds = {type(choice) for choice in choices}
    if kinds == {str}:
        return Choice(help=name, choices=choices)
    if kinds == {int}:
        return Number(help=name, numbers=choices)
    mixed = ", ".join(map(show, choices))
    raise NoKey(f"parameter {name}: the choices {mixed} must be texts, or whole numbers")


def _list(name: str, hint: Any, origin: Any, arguments: tuple[Any, ...]) -> tuple[Key, Decode | None]:
    if not arguments or (origin is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis)):
        example = "tuple[int, ...]" if origin is tuple else "list[int]"
        raise NoKey(f"parameter {name}: {_written(hint)} must say what it holds, such as {example}")
    entry, decode = key_for(name, arguments[0])
    if not isinstance(entry, (Integer, Real, Flag, Choice, String, Number)):
        raise NoKey(f"parameter {name}: {_written(hint)} holds lists; a key holds one list of plain values")
    made: Decode = list if origin is list else tuple
    if decode is None:
        return Listed(help=name, entry=entry), (made if origin is list else None)
    return Listed(help=name, entry=entry), lambda values: made(map(decode, values))


def _written(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and get_origin(hint) is None else str(hint)
