"""A digest of the code that makes an experiment's rows: what a later run compares before it adds rows to old ones.

Its sources are the module of ``rows`` and all modules of the same package that it imports, directly or not; of hw6
itself the contract is left out, which decides no number. Imports are found in the text: reading the syntax tree of a
dozen modules takes 50 ms, a twelfth of the whole main command.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from os.path import isfile
from pathlib import Path
from typing import Any

from hw6.contract.experiment import Experiment

SCHEME = "2"  # how a digest was made; those of another scheme cannot be compared
FRAMEWORK = ("hw6.contract", "hw6.errors", "hw6.words")
_FROM = re.compile(r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([^\n#]+)", re.MULTILINE)


def code_digests(experiments: Sequence[Experiment]) -> dict[str, str]:
    """For each experiment its digest; none for one without a file, as in a notebook."""
    found = {}
    for experiment in sorted(experiments, key=lambda experiment: experiment.name):
        module = getattr(_plain(experiment.rows), "__module__", "")
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is not None and experiment.name not in found:
            digest = hashlib.blake2b(digest_size=8)
            for path in sorted(sources(Path(file), module)):
                digest.update(path.read_bytes())
            found[experiment.name] = f"{SCHEME}:{digest.hexdigest()}"
    return found


def _plain(rows: Callable[..., Any]) -> Callable[..., Any]:
    """The function behind partial applications and decorators."""
    while isinstance(rows, partial) or hasattr(rows, "__wrapped__"):
        rows = rows.func if isinstance(rows, partial) else rows.__wrapped__
    return rows


def comparable(one: str, other: str) -> bool:
    """Whether two digests were made in the same way."""
    return one.rpartition(":")[0] == other.rpartition(":")[0]


def sources(file: Path, module: str) -> set[Path]:
    """The files whose code may decide a row: a module's own, and those that it imports of its package."""
    package, *inner = module.split(".")
    if not inner:
        return {file}
    root = file.parents[len(inner)]
    found: set[Path] = set()
    pending = [(file, module)]
    while pending:
        path, name = pending.pop()
        if path in found:
            continue
        found.add(path)
        for other in dict.fromkeys(_imported(path, name)):
            if other.split(".")[0] == package and not other.startswith(FRAMEWORK):
                target = str(root / other.replace(".", "/"))
                pending += [(Path(p), other) for p in (f"{target}.py", f"{target}/__init__.py") if isfile(p)]
    return found


def _imported(path: Path, module: str) -> Iterator[str]:
    """The dotted names that a module imports; of ``from a import b`` both a and a.b, which may be a module too."""
    text = path.read_text(encoding="utf-8")
    inside = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for dots, name, what in _FROM.findall(text):
        parents = inside.split(".")
        start = ".".join(parents[: len(parents) - len(dots) + 1]) if dots else ""
        base = ".".join(part for part in (start, name) if part)
        yield base
        for one in re.findall(r"(\w+)(?:[ \t]+as[ \t]+\w+)?", what):
            if one.islower():  # a module, or a function that is looked for in vain
                yield f"{base}.{one}"
    for what in _IMPORT.findall(text):
        for one in what.split(","):
            yield one.split()[0] if one.split() else ""
