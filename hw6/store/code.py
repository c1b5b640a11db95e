"""The code that makes an experiment's rows, in a digest: what a later run compares before it adds rows to old ones.

The digest moves with every definition that ``rows`` reaches, however far away, and with nothing else: not with labels,
figures, prices, docstrings, comments, annotations or the texts of messages (``reading``, ``references``). The types of
keys count, and what importing the modules does. Packages that are installed count by their versions.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

from hw6.contract.experiment import Experiment
from hw6.store.objects import Objects
from hw6.store.sources import Module, held

SCHEME = "3"  # how a digest was made; those of another scheme cannot be compared
_RECORDED = frozenset({"hw6", "hydra", "omegaconf", "pyarrow"})  # the record tells their versions itself


@dataclass(frozen=True)
class Code:
    """What makes an experiment's rows.

    Attributes:
        digest: of its code; None where there is no source.
        versions: of the packages that the code uses, and of the distribution that it is part of itself.
    """

    digest: str | None
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def code_of(experiment: Experiment) -> Code:
    """The code behind ``experiment.rows``; nothing is imported to find it.

    Raises:
        Hw6Error: a file has changed since it was imported.
    """
    walk, collecting = Objects(), gc.isenabled()
    gc.disable()  # a tree is many objects and no garbage: looking for some takes a third of the time
    try:
        with warnings.catch_warnings(action="ignore"):  # of a text that is parsed once more
            digest = walk.digest(experiment.rows)
            if walk.reads_docs:
                walk = Objects(docs=True)
                digest = walk.digest(experiment.rows)
    finally:
        if collecting:
            gc.enable()
    versions = dict(_versions(walk.used))
    if walk.own is not None:
        versions |= _own_version(walk.own)
    return Code(None if digest is None else f"{SCHEME}:{digest}", versions)


def code_digests(experiments: Sequence[Experiment]) -> dict[str, str]:
    """For each experiment its digest; none for one without source."""
    found = {one.name: code_of(one).digest for one in sorted(experiments, key=lambda one: one.name)}
    return {name: digest for name, digest in found.items() if digest is not None}


def comparable(one: str, other: str) -> bool:
    """Whether two digests were made in the same way."""
    return one.rpartition(":")[0] == other.rpartition(":")[0]


def _versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of packages, by the names under which they are imported."""
    wanted = sorted(set(packages) - _RECORDED - sys.stdlib_module_names)
    found = {name: _loaded_version(name) or _installed_version(name) for name in wanted}
    return {name: version for name, version in found.items() if version}


def _loaded_version(package: str) -> str:
    version = held(sys.modules.get(package), "__version__")
    return str(version) if isinstance(version, str) else ""


def _installed_version(distribution: str) -> str:
    from importlib import metadata  # takes longer than all the rest

    try:
        return str(metadata.version(distribution) or "")
    except Exception:  # there is none, or what is installed is no good
        return ""


def _own_version(module: Module) -> dict[str, str]:
    """The version of the distribution that a module is part of; none of a plain file, and of hw6 itself."""
    package = module.name.partition(".")[0]
    folder, file = os.path.split(module.file or "")
    is_installed = "." in module.name or file == "__init__.py" or _is_beside_distributions(folder)
    if package in _RECORDED or not is_installed:
        return {}
    version = _installed_version(package) or _installed_version(next(iter(_owners().get(package, ())), ""))
    return {package: version} if version else {}


def _is_beside_distributions(folder: str) -> bool:
    try:
        return any(name.endswith((".dist-info", ".egg-info")) for name in os.listdir(folder))
    except OSError:
        return False


@cache
def _owners() -> Mapping[str, Sequence[str]]:
    """The distributions that bring each package; all installed ones have to be asked, which takes its time."""
    from importlib import metadata

    with suppress(Exception):  # the metadata of some package are no good
        return metadata.packages_distributions()
    return {}
