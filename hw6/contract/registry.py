"""The register of experiments: ours, those of other packages (entry points), of the session, of the command.

An outside package that cannot be imported is somebody else's news: it is told in a line, once, and all others go on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from hw6.contract.experiment import Experiment
from hw6.contract.files import Source, source_of
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
_given: dict[str, Experiment] = {}  # with the command that runs
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

    Other processes know it where it is a variable of a file; one that was made in a notebook stays in this process. A
    package announces its experiments by an entry point of the group "hw6.experiments" instead.

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


@contextmanager
def given(experiments: Sequence[Experiment]) -> Iterator[None]:
    """Make experiments known while a command runs that was given them.

    Raises:
        BadInput: a name is taken, by ours or by one another.
    """
    for place, experiment in enumerate(experiments):
        if experiment.name in EXPERIMENTS:
            raise BadInput(
                "experiment", experiment.name, "hw6 has an experiment of that name", "give yours another one"
            )
        if experiment.config is None:
            raise BadInput("experiment", experiment.name, "needs defaults: a value for each of its keys")
        if any(other.name == experiment.name and other is not experiment for other in experiments[:place]):
            allowed = "two experiments have this name, and their rows could not be told apart"
            raise BadInput("experiment", experiment.name, allowed, "give one another name, or run them one by one")
    before = dict(_given)
    _given.update({experiment.name: experiment for experiment in experiments})
    try:
        yield
    finally:
        _given.clear()
        _given.update(before)


def of_session() -> dict[str, Experiment]:
    """The experiments that this process was told of: registered, or given with the command."""
    return {**_registered, **_given}


def given_here() -> set[str]:
    """The names of the experiments that came with the command that runs."""
    return set(_given)


def sources() -> dict[str, Source]:
    """Where other processes find the experiments of this session; those that they cannot find are left out."""
    found = {name: source_of(experiment) for name, experiment in of_session().items()}
    return {name: source for name, source in found.items() if source is not None}


def is_of_this_process(name: str) -> bool:
    """Whether other processes cannot find an experiment: it was made here, in no file, and no package announces it."""
    experiment = of_session().get(name)
    return experiment is not None and source_of(experiment) is None and not list(_announced(name))


def experiment_names() -> list[str]:
    """The names of all experiments."""
    return sorted({*EXPERIMENTS, *of_session(), *(experiment.name for experiment in _announced())})


def outside_experiments() -> list[Experiment]:
    """The experiments that this package does not bring; one without defaults cannot be chosen and is left out."""
    found = {experiment.name: experiment for experiment in (*_announced(), *of_session().values())}
    return [experiment for experiment in found.values() if experiment.config is not None]


def all_shorthands() -> list[Shorthand]:
    """The shorthands of all experiments."""
    named = (experiment_named(name) for name in (*EXPERIMENTS, *of_session()))
    return [short for experiment in (*named, *_announced()) for short in experiment.shorthands]


def experiment_named(name: str, found_at: Mapping[str, Source] | None = None) -> Experiment:
    """The experiment of that name.

    Args:
        name: its name.
        found_at: for experiments of another process, where this one finds them.

    Raises:
        BadInput: there is none; the message lists those that there are.
        Hw6Error: it is no longer what it was in the process that wants it.
    """
    if name in (known := of_session()):
        return known[name]
    if found_at and name in found_at:
        _given[name] = experiment = found_at[name].load()
        if experiment.name != name:
            raise BadInput("experiment", found_at[name].reference, f"is called {experiment.name} here, not {name}")
        return experiment
    if name in EXPERIMENTS:
        module, _, attribute = EXPERIMENTS[name].partition(":")
        experiment = getattr(import_module(module), attribute)
        assert isinstance(experiment, Experiment)
        return experiment
    for experiment in _announced(name):
        return experiment
    names = experiment_names()
    raise BadInput("experiment", name, "must be one of " + ", ".join(names), nearest(name, names))
