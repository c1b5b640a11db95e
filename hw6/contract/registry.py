"""The register of experiments: those of this package, those of other packages (entry points), those of the session.

An outside package that cannot be imported is somebody else's news: it is told in a line, once, and all others go on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from hw6.contract.experiment import Experiment
from hw6.contract.shorthand import Shorthand
from hw6.errors import BadInput, described, nearest

ENTRY_POINTS = "hw6.experiments"  # the group in which another package announces an Experiment

EXPERIMENTS: dict[str, str] = {
    "noop": "hw6.experiments.noop:EXPERIMENT",
    "double_descent": "hw6.experiments.double_descent:EXPERIMENT",
    "initialization": "hw6.experiments.initialization:EXPERIMENT",
    "dropout": "hw6.experiments.dropout:EXPERIMENT",
    "residual": "hw6.experiments.residual:EXPERIMENT",
    "stm_conv": "hw6.experiments.stm_conv:EXPERIMENT",
}
_registered: dict[str, Experiment] = {}
_told: set[str] = set()


def _announced(name: str | None = None) -> Iterator[Experiment]:
    """The experiments of other packages; looked up late, since reading all packages' metadata takes time."""
    from importlib.metadata import entry_points

    try:
        found = entry_points(group=ENTRY_POINTS) if name is None else entry_points(group=ENTRY_POINTS, name=name)
    except Exception as error:  # the metadata of some installed package are no good
        _say("packages", f"the experiments of installed packages cannot be listed ({': '.join(described(error))})")
        return
    for entry in found:
        try:
            experiment = entry.load()
            if not isinstance(experiment, Experiment):
                raise TypeError(f"{entry.value} is a {type(experiment).__name__}, no hw6.Experiment")
            if experiment.name != entry.name:
                raise ValueError(f"its name is {experiment.name}: announce it under that name")
            if experiment.name in EXPERIMENTS:
                raise ValueError("hw6 has an experiment of that name")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever an import raises, SystemExit too
            _tell(entry, error)
        else:
            yield experiment


def _tell(entry: Any, error: BaseException) -> None:
    package = (entry.dist.name if entry.dist is not None else None) or entry.value
    kind, line = described(error)
    what = kind if line == "no message" else f"{kind}: {line}"
    _say(entry.value, f"experiment {entry.name} of {package} cannot be loaded ({what}); left out")


def _say(about: str, text: str) -> None:
    """Say something on standard error, once in a process."""
    if about not in _told:
        _told.add(about)
        print(f"hw6: {text}", file=sys.stderr)


def register(experiment: Experiment) -> None:
    """Make an experiment known in this process, under its own name.

    It is not known to other processes (worker processes of other launchers); a package announces its experiments to
    all of them by an entry point of the group "hw6.experiments" instead.

    Raises:
        ValueError: the name is taken by another experiment, or it brings no defaults.
    """
    if _registered.get(experiment.name, experiment) is not experiment or experiment.name in EXPERIMENTS:
        raise ValueError(f"experiment {experiment.name} is registered already")
    if experiment.config is None:
        raise ValueError(f"experiment {experiment.name} needs defaults: a value for each of its keys")
    _registered[experiment.name] = experiment


def unregister(name: str) -> None:
    """Forget an experiment that was registered in this process."""
    _registered.pop(name, None)


def is_of_this_process(name: str) -> bool:
    """Whether other processes cannot find an experiment: it was registered here and no package announces it."""
    return name in _registered and not list(_announced(name))


def experiment_names() -> list[str]:
    """The names of all experiments."""
    return sorted({*EXPERIMENTS, *_registered, *(experiment.name for experiment in _announced())})


def outside_experiments() -> list[Experiment]:
    """The experiments that this package does not bring; one without defaults cannot be chosen and is left out."""
    found = {experiment.name: experiment for experiment in (*_announced(), *_registered.values())}
    return [experiment for experiment in found.values() if experiment.config is not None]


def all_shorthands() -> list[Shorthand]:
    """The shorthands of all experiments."""
    named = (experiment_named(name) for name in (*EXPERIMENTS, *_registered))
    return [short for experiment in (*named, *_announced()) for short in experiment.shorthands]


def experiment_named(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        BadInput: there is none; the message lists those that there are.
    """
    if name in _registered:
        return _registered[name]
    if name in EXPERIMENTS:
        module, _, attribute = EXPERIMENTS[name].partition(":")
        experiment = getattr(import_module(module), attribute)
        assert isinstance(experiment, Experiment)
        return experiment
    for experiment in _announced(name):
        return experiment
    names = experiment_names()
    raise BadInput("experiment", name, "must be one of " + ", ".join(names), nearest(name, names))
