"""The versions that are written down in several places agree: what is allowed, what is tested, the oldest of it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TOOLS = {"ruff", "mypy", "pandas-stubs", "build"}  # of developers; no test needs them
BENCHMARKS = {"scikit-learn"}


def allowed() -> list[Requirement]:
    """Everything that pyproject.toml asks for."""
    extras = PROJECT["project"]["optional-dependencies"]
    listed = [PROJECT["build-system"]["requires"], PROJECT["project"]["dependencies"], *extras.values()]
    return [Requirement(line) for lines in listed for line in lines]


def pins(name: str) -> dict[str, Version]:
    """The versions that a file of requirements pins, each line to one."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    found = {}
    for requirement in (Requirement(line) for line in lines if line):
        (pin,) = requirement.specifier
        assert pin.operator == "==", requirement
        assert requirement.name not in found, requirement
        found[requirement.name] = Version(pin.version)
    return found


def floor(requirement: Requirement) -> Version | None:
    """The oldest version that a requirement allows."""
    found = [Version(one.version) for one in requirement.specifier if one.operator == ">="]
    return found[0] if found else None


def test_the_oldest_versions_are_the_floors() -> None:
    oldest = pins("requirements-oldest.txt")
    floors = {one.name: floor(one) for one in allowed() if one.name not in TOOLS | BENCHMARKS}
    assert {name: oldest.get(name) for name in floors} == floors


def test_a_package_has_one_floor() -> None:
    floors: dict[str, set[Version | None]] = {}
    for requirement in allowed():
        floors.setdefault(requirement.name, set()).add(floor(requirement))
    assert {name for name, several in floors.items() if len(several) > 1} == set()


@pytest.mark.parametrize("requirement", allowed(), ids=str)
def test_what_is_tested_is_allowed(requirement: Requirement) -> None:
    version = pins("requirements.txt").get(requirement.name)
    assert version is not None, "it is not in requirements.txt"
    assert requirement.specifier.contains(version)
