"""The command ``python -m hw6.run``: one cell, or a sweep.

Hydra does the composing and the running; here stand the shorthands, the refusals before anything is written, and the
translation of what Hydra raises into a line a mistake.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hw6 import folders
from hw6.errors import BadInput, FailedCells, Hw6Error, nearest
from hw6.sweep.grammar import CommandLine, expand, split

if TYPE_CHECKING:
    import pandas as pd

    from hw6.sweep.conduct import Outcome

FULL_ERROR = "HYDRA_FULL_ERROR"
MULTIRUN = ("-m", "--multirun")
SHOWS = ("--cfg", "-c", "--info", "-i", "--help", "-h", "--hydra-help")  # flags that show something and run nothing
COMPLETION = ("--shell-completion", "-sc")
NAME = ("--config-name", "-cn")
FOLDERS = ("--config-path", "-cp", "--config-dir", "-cd")  # then named configs may stand elsewhere


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status (0, 1: cells failed, 2: refused, 130: interrupted)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        run(arguments)
    except Hw6Error as error:
        if os.environ.get(FULL_ERROR) == "1":
            raise
        for line in error.lines:
            print(f"hw6: {line}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("hw6: interrupted; what was finished is stored", file=sys.stderr)
        return 130
    return 0


def run_sweep(overrides: Sequence[str], *, directory: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Run a sweep from Python and return its frame.

    Args:
        overrides: as after ``python -m hw6.run -m``, for instance ``["p=5:200", "lambda=tuned"]``.
        directory: the sweep's directory; by default a new one below ``outputs/``.

    Raises:
        BadInput, BadInputs: something is not allowed; nothing was run.
        FailedCells: some cells failed; ``hw6.load`` still gives all rows.
    """
    from hw6.aggregate import load

    line = split(list(overrides))
    flags = [] if line.has(*MULTIRUN) else ["-m"]
    where = [] if directory is None else [f"hydra.sweep.dir={_quoted(str(directory))}"]
    outcome = run([*flags, *line.flags, *line.overrides, *where], silent=True)
    assert outcome is not None
    return load(outcome.folder)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def run(arguments: Sequence[str], *, silent: bool = False) -> Outcome | None:
    """Run the command; returns what a sweep came to.

    Raises:
        Hw6Error: refused, or some cells failed.
    """
    typed = split(arguments)
    line = CommandLine(typed.flags, tuple(expand(typed.overrides)))
    name = line.value(*NAME) or "config"
    _check_name(line, name)
    if line.has(*SHOWS):
        _hydra(_without_sweeps(line), name, line)
        return None
    if line.has(*COMPLETION):
        _hydra(line.arguments, name, line)
        return None
    if name in folders.sweep_names() and not line.has(*MULTIRUN, "--run", "-r"):
        line = CommandLine((*line.flags, "-m"), line.overrides)
    return _run_or_sweep(line, name, typed, silent)


def _run_or_sweep(line: CommandLine, name: str, typed: CommandLine, silent: bool) -> Outcome | None:
    from hw6.sweep.conduct import commands, outcomes, quiet
    from hw6.sweep.provenance import Command

    many = line.has(*MULTIRUN)
    ours = many and not any(text.startswith("hydra/sweeper=") for text in line.overrides)
    if not ours:
        _check(line, name, many)
    collected: list[Outcome] = []
    tokens = (
        (quiet, quiet.set(silent)),
        (outcomes, outcomes.set(collected)),
        (commands, commands.set(Command(typed.arguments, line.arguments))),
    )
    arguments = [*line.flags, *(_sweepable(text) if ours else text for text in line.overrides)]
    try:
        _hydra(arguments, name, line)
    except Hw6Error:
        raise
    except Exception as error:
        if os.environ.get(FULL_ERROR) == "1":
            raise
        _explain(error, line, name, many)
    finally:
        for variable, token in tokens:
            variable.reset(token)  # type: ignore[arg-type]
    if collected and collected[-1].failed and not many:
        raise FailedCells("\n".join(collected[-1].lines))
    return collected[-1] if collected else None


def _sweepable(text: str) -> str:
    """A constant of a config group as a sweep of one value.

    Hydra composes once with the groups' defaults before the sweeper sees the choices; a key that only another choice
    has would be an error there.
    """
    key, equals, value = text.partition("=")
    group = key.lstrip("+").partition(".")[0]
    dotted = "." in key and (folders.conf() / group).is_dir() and group != "hydra"
    constant = dotted and equals and value and not value.startswith(("choice(", "range(", "shuffle(", "sort(", "glob("))
    return f"{key}=choice({value})" if constant else text


def _check_name(line: CommandLine, name: str) -> None:
    if line.has(*FOLDERS) or name in folders.sweep_names() or name == "config":
        return
    names = folders.sweep_names()
    raise BadInput("--config-name", name, "must be a named sweep: " + ", ".join(names), nearest(name, names))


def _without_sweeps(line: CommandLine) -> list[str]:
    """What shows a config cannot show a sweep: its axes are left out, and so is -m."""
    from hw6.sweep.settings import read_settings

    plain = [text for text in line.overrides if not text.startswith("~")]
    swept = {setting.override.input_line for setting in read_settings((), plain, None) if setting.swept}
    flags = [flag for flag in line.flags if flag not in MULTIRUN]
    return [*flags, *(text for text in line.overrides if text not in swept)]


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Hydra's global state belongs to us while we run, and is given back (a notebook may have its own)."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    before, config = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = before
        HydraConfig.instance().cfg = config


def _hydra(arguments: Sequence[str], name: str, line: CommandLine) -> None:
    """Hydra's main on these arguments, with its errors raised instead of printed."""
    import hydra

    from hw6.task import job

    _announce_experiments(line)
    argv, full = sys.argv, os.environ.get(FULL_ERROR)
    sys.argv = ["hw6.run", *arguments]
    os.environ[FULL_ERROR] = "1"
    try:
        with _own_hydra():
            hydra.main(version_base="1.3", config_path=str(folders.conf()), config_name="config")(job)()
    except SystemExit as end:
        if end.code:  # argparse has said why
            raise BadInput(" ".join(line.flags), None, "Hydra does not take these flags", "see --hydra-help") from None
    finally:
        sys.argv = argv
        if full is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = full


def _announce_experiments(line: CommandLine) -> None:
    """Give Hydra the configs of experiments from outside this package; looked for only where one may be meant."""
    from hw6.experiments import registry

    names = [text.partition("=")[2] for text in line.overrides if text.startswith("experiment=")]
    if line.has(*SHOWS, *COMPLETION, *FOLDERS) or any(name not in registry.EXPERIMENTS for name in names):
        from hydra.core.config_store import ConfigStore

        for experiment in registry.foreign_experiments():
            node = {**(experiment.defaults or {}), "experiment": experiment.name}
            ConfigStore.instance().store(
                group="experiment", name=experiment.name, node=node, package="_global_", provider="hw6"
            )


def _check(line: CommandLine, name: str, many: bool) -> None:
    """Refuse all mistakes of a command before Hydra makes a directory.

    Hydra validates nothing before it writes; hw6's own sweeper does, so that only other ways to run need this.
    """
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    from hw6.experiments.registry import experiment_named
    from hw6.sweep.resolve import Composer, make_plan

    _announce_experiments(line)
    own = [text for text in line.overrides if text.startswith(("hydra.", "hydra/"))]
    task = [text for text in line.overrides if text not in own]
    with _own_hydra(), hydra.initialize_config_dir(version_base="1.3", config_dir=str(folders.conf()), job_name="run"):
        loader = GlobalHydra.instance().config_loader()

        def compose(overrides: list[str]) -> hydra.DictConfig:  # type: ignore[name-defined]
            return hydra.compose(name, [*own, *overrides], return_hydra_config=True)

        params = []
        if many:
            sweeper = compose([]).hydra.sweeper
            params = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
        composer = Composer(compose, loader.get_group_options, experiment_named, loader)
        foreign = any(text.startswith("hydra/sweeper=") for text in own)
        make_plan(params, task, composer, single=not many, plain=many and foreign)
        if not many:
            _check_folder(compose([*task]).hydra.run.dir)


def _check_folder(folder: str) -> None:
    """Refuse a directory that cannot be made, before Hydra tries."""
    path = Path(folder).absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    if not path.is_dir() or not os.access(path, os.W_OK):
        raise BadInput("hydra.run.dir", folder, "cannot be written", "choose another directory")


def _explain(error: Exception, line: CommandLine, name: str, many: bool) -> None:
    """Say what is wrong in our own words where our own check finds it, else in the first line of Hydra's."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    composing = isinstance(error, (HydraException, OmegaConfBaseException, ValueError, TypeError))
    if isinstance(error, OSError) and not composing:
        key = "hydra.sweep.dir" if many else "hydra.run.dir"
        raise BadInput(key, error.filename, f"cannot be written ({error.strerror})") from error
    if composing:
        _check(line, name, many)
    if not isinstance(error, (HydraException, OmegaConfBaseException)):
        raise error
    text = str(error.__cause__ or error).splitlines()
    raise BadInput(
        text[0] if text else type(error).__name__, None, "Hydra cannot compose this", "see --help"
    ) from error


if __name__ == "__main__":
    sys.exit(main())
