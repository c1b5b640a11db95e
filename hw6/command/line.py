"""What people type -> Hydra's own text. Nothing else in hw6 expands a shorthand.

    p=5:200, p=1:1501:10         p=range(5,200), p=range(1,1501,10)
    p=5:8,20                     p=5,6,7,20
    engine=joblib                hydra/launcher=joblib

and, where the experiment declares a shorthand (here ``Shorthand("lambda", "fixed", "lambda.value")``),

    lambda=0.01                  lambda=fixed lambda.value=0.01
    lambda=0.01,1,tuned          lambda=fixed,tuned lambda.value=0.01,1
    lambda=range(1,3)            lambda=fixed lambda.value=range(1,3)

Flags may stand anywhere; Hydra wants them before the overrides.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hw6.contract.shorthand import Shorthand
from hw6.errors import BadInput
from hw6.words import quoted

_NUMBER = r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf|nan)"
NUMBER = re.compile(_NUMBER)
_INTEGER = r"[+-]?\d+"
_COLONS = re.compile(rf"({_NUMBER})?:({_NUMBER})?(?::({_NUMBER})?)?")
_FUNCTION = re.compile(r"(range|interval|choice|shuffle|sort)\((.*)\)", re.DOTALL)
MULTIRUN = ("-m", "--multirun")
FOLDER_KEYS = ("hydra.sweep.dir", "hydra.run.dir")
ENGINES = {"local": "hw6", "joblib": "joblib"}
_FLAGS_WITH_VALUE = {
    *("--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd", "--package", "-p"),
    *("--cfg", "-c", "--info", "-i"),
}


@dataclass(frozen=True)
class CommandLine:
    """A command line, its flags and its overrides apart."""

    flags: tuple[str, ...]
    overrides: tuple[str, ...]

    def value(self, *names: str) -> str | None:
        """The value of a flag under any of its names, or None."""
        for index, flag in enumerate(self.flags):
            head, equals, tail = flag.partition("=")
            if head in names:
                return tail if equals else self.flags[index + 1] if index + 1 < len(self.flags) else None
        return None

    def has(self, *names: str) -> bool:
        """Whether a flag stands there under any of its names."""
        return any(flag.partition("=")[0] in names for flag in self.flags)

    @property
    def arguments(self) -> list[str]:
        """Flags, then overrides."""
        return [*self.flags, *self.overrides]


def split(arguments: Sequence[str]) -> CommandLine:
    """Tell flags from overrides."""
    flags: list[str] = []
    overrides: list[str] = []
    pending = list(arguments)
    while pending:
        argument = pending.pop(0)
        if argument.startswith("-") and not re.match(rf"{_NUMBER}$", argument):
            flags.append(argument)
            if argument in _FLAGS_WITH_VALUE and pending and "=" not in pending[0]:
                flags.append(pending.pop(0))
        else:
            overrides.append(argument)
    return CommandLine(tuple(flags), tuple(overrides))


def expand(overrides: Sequence[str], shorthands: Mapping[str, Shorthand] | None = None) -> list[str]:
    """Expand the shorthands of overrides to Hydra's grammar.

    Args:
        overrides: what was typed.
        shorthands: those that the experiment declares, by their config group.

    Raises:
        BadInput: something that looks like a shorthand is none.
    """
    expanded: list[str] = []
    for override in overrides:
        key, equals, value = override.partition("=")
        key, value = key.strip(), value.strip()
        if not equals:
            expanded.append(override)
        elif shorthands and key.lstrip("+") in shorthands:
            expanded += _expand_short(shorthands[key.lstrip("+")], key, value)
        elif key == "engine":
            expanded.append(f"hydra/launcher={_engine(value)}")
        elif key in FOLDER_KEYS:
            expanded.append(f"{key}={_folder(value)}")
        elif key.startswith(("hydra.", "hydra/")):
            expanded.append(override)
        else:
            expanded.append(f"{key}={expand_colons(key, value)}")
    return expanded


def _folder(value: str) -> str:
    """A path as people type it, quoted: Hydra's grammar would trip over its brackets, commas or letters."""
    if value[:1] in {"'", '"'} or "${" in value or not value:
        return value
    path = os.path.expanduser(value)
    plain = re.fullmatch(r"[\w./:-]+", path, re.ASCII) and path not in {"null", "true", "false"}
    return path if plain else quoted(path)


def _engine(value: str) -> str:
    if value not in ENGINES:
        allowed = "must be one of " + ", ".join(ENGINES) + "; slurm and ray are not built yet"
        raise BadInput("engine", value, allowed)
    return ENGINES[value]


def elements(text: str) -> list[str]:
    """The elements of a comma-separated list; commas inside brackets or quotes do not separate."""
    found, depth, quote, current = [], 0, "", ""
    for character in text:
        if quote:
            escaped = (len(current) - len(current.rstrip("\\"))) % 2  # by the backslashes before it
            quote = "" if character == quote and not escaped else quote
        elif character in "\"'":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            found.append(current)
            current = ""
            continue
        current += character
    return [element.strip() for element in [*found, current]]


def expand_colons(key: str, value: str) -> str:
    """``5:200`` and ``1:1501:10`` as ranges; inside a list, as the numbers themselves.

    Raises:
        BadInput: an end is missing, the step is 0, or the range is empty.
    """
    parts = elements(value)
    if len(parts) == 1:
        return _range(key, value) or value
    if not any(":" in part and _COLONS.fullmatch(part) for part in parts):
        return value
    numbers: list[str] = []
    for part in parts:
        text = _range(key, part)
        if text is None:
            numbers.append(part)
        elif re.fullmatch(rf"range\({_INTEGER}(,{_INTEGER})*\)", text):
            numbers += [str(n) for n in range(*(int(n) for n in text[6:-1].split(",")))]
        else:
            raise BadInput(key, value, "a range of fractions cannot stand inside a list", "list its numbers")
    return ",".join(numbers)


def _range(key: str, text: str) -> str | None:
    match = _COLONS.fullmatch(text)
    if match is None or ":" not in text:
        return None
    start, stop, step = match.groups()
    hint = f"write {key}=START:STOP or {key}=START:STOP:STEP, STOP left out"
    if start is None or stop is None or (text.count(":") == 2 and step is None):
        raise BadInput(key, text, "a range needs its start and its stop", hint)
    if step is not None and float(step) == 0:
        raise BadInput(key, text, "the step of a range must not be 0", hint)
    distance = float(stop) - float(start)
    if distance == 0 or (distance > 0) != (float(step or 1) > 0):
        raise BadInput(key, text, "an empty sweep: no value to run", hint)
    return f"range({start},{stop}" + (f",{step})" if step is not None else ")")


def _expand_short(short: Shorthand, key: str, value: str) -> list[str]:
    """Numbers where the name of a choice is expected mean ``short.choice`` with these values of ``short.key``."""
    prefix = key[: -len(short.group)]
    wrapped = _FUNCTION.fullmatch(value)
    if wrapped and wrapped[1] in {"range", "interval"}:
        return [f"{key}={short.choice}", f"{prefix}{short.key}={value}"]
    function, inner = (wrapped[1], wrapped[2]) if wrapped else ("", value)
    parts = elements(inner)
    numbers = [part for part in parts if NUMBER.fullmatch(part) or _COLONS.fullmatch(part)]
    if not numbers or value.startswith(("[", "{")):
        return [f"{key}={value}"]
    names = [part for part in parts if part not in numbers]
    if short.choice in names:
        allowed, hint = f"a number already means {short.group}={short.choice}", f"leave out {short.choice}"
        raise BadInput(short.group, value, allowed, f"{hint}, or give its number")
    values = ",".join(numbers)
    values = expand_colons(short.group, values)
    many = len(elements(values)) > 1 and not values.startswith("range(")
    choices = ",".join(dict.fromkeys(short.choice if part in numbers else part for part in parts))

    def written(text: str, several: bool) -> str:
        return f"{function}({text})" if function and several else text

    return [f"{key}={written(choices, bool(names))}", f"{prefix}{short.key}={written(values, many)}"]
