"""How hw6's commands use Hydra: one session, in which a command is checked, run, or shown.

Hydra's own main composes a config once more to find out its mode, prints errors in a form of its own and ends the
process; a session uses the same objects without these. Only what shows something goes through Hydra's main.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from hw6.command import folders
from hw6.command.line import CommandLine
from hw6.command.shorthands import experiments_meant
from hw6.command.undone import Undo
from hw6.contract import registry
from hw6.contract.keys import RUN_KEYS
from hw6.errors import FULL_ERROR, BadInput, Hw6Error
from hw6.plan.plan import Plan
from hw6.store import contents
from hw6.store.directory import beside
from hw6.store.record import runs
from hw6.words import quoted

JOB_NAME = "hydra.job.name="
SWEEP_FOLDER, RUN_FOLDER = "hydra.sweep.dir=", "hydra.run.dir="
SWEEPS = (",", "(")  # what a value that stands for several values has in it


class Session:
    """Hydra, initialised for one command.

    Attributes:
        line: the command line, shorthands expanded.
        name: the primary config.
        many: whether it is a sweep.
        other_sweeper: whether another sweeper than hw6's runs it; then ``folder`` and ``cells`` say where and how many.
    """

    def __init__(self, line: CommandLine, name: str, many: bool) -> None:
        self.line, self.name = line, name
        self.many = many
        self.other_sweeper = many and any(text.startswith("hydra/sweeper=") for text in line.overrides)
        self.folder: Path | None = None  # of another sweeper's sweep, known once it is checked
        self.cells = 0
        self.undo: Undo | None = None  # of a single run's directory, known once it is checked

    @property
    def own(self) -> list[str]:
        """The overrides of Hydra's own config; a sweep of several experiments is called by all their names."""
        typed = [text for text in self.line.overrides if text.startswith(("hydra.", "hydra/"))]
        names = experiments_meant(self.line, self.name) if self.many else []
        several = len(names) > 1 and all(name.isidentifier() for name in names)
        if several and not any(text.startswith(JOB_NAME) for text in typed):
            return [*typed, JOB_NAME + "-".join(names)]
        return typed

    @property
    def task(self) -> list[str]:
        """All other overrides."""
        return [text for text in self.line.overrides if not text.startswith(("hydra.", "hydra/"))]

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Initialise Hydra; its global state is given back afterwards (a notebook may have its own)."""
        announce_experiments(self.line)
        folder = self.line.value("--config-path", "-cp")
        where = folders.conf() if folder is None else Path(folder).absolute()
        for flag in (("--config-path", "-cp"), ("--config-dir", "-cd")):
            given = self.line.value(*flag)
            if given is not None and not Path(given).is_dir():
                raise BadInput(flag[0], given, "must be a directory")
        with own_hydra():
            version.setbase("1.3")
            path = create_config_search_path(str(where))
            if (extra := self.line.value("--config-dir", "-cd")) is not None:  # as Hydra's main does
                path.prepend("command-line", f"file://{Path(extra).absolute()}", SearchPathQuery(provider="schema"))
            Hydra.create_main_hydra2("run", path)
            yield

    def run(self, task: Callable[[DictConfig], Any]) -> Any:
        """Run one cell, or the sweep; what the cell's job, or the sweeper, returned."""
        application = GlobalHydra.instance().hydra
        assert application is not None
        if not self.many:  # its directory is the one that was looked at: it may be named by the time
            where = [] if self.undo is None else [RUN_FOLDER + quoted(str(self.undo.folder))]
            own = [text for text in self.own if not (where and text.startswith(RUN_FOLDER))]
            one = application.run(self.name, task, [*own, *where, *self.task, f"hydra.mode={RunMode.RUN.name}"])
            return one.return_value
        texts = [self._sweepable(text) for text in self.task]
        where = [] if self.folder is None else [SWEEP_FOLDER + quoted(str(self.folder.absolute()))]
        own = [text for text in self.own if not (where and text.startswith(SWEEP_FOLDER))]
        return application.multirun(self.name, task, [*own, *where, *texts, f"hydra.mode={RunMode.MULTIRUN.name}"])

    def _sweepable(self, text: str) -> str:
        """A constant of a config group as a sweep of one value, where the group itself is swept.

        Hydra composes once with the groups' defaults before the sweeper sees the choices; a key that only another
        choice has would be an error there.
        """
        key, equals, value = text.partition("=")
        group = key.lstrip("+").partition(".")[0]
        if "." not in key or not equals or not value or any(mark in value for mark in SWEEPS):
            return text
        choices = [other.partition("=")[2] for other in self.task if other.partition("=")[0] == group]
        swept = self.name in folders.sweep_names() or any(mark in choice for choice in choices for mark in SWEEPS)
        known = GlobalHydra.instance().config_loader().get_group_options(group)
        return f"{key}=choice({value})" if swept and known else text

    def check(self) -> Plan:
        """The plan of the command; all its mistakes are refused before a directory is made.

        Hydra validates nothing before it writes; hw6's own sweeper does, so that only other ways to run need this.

        Raises:
            BadInput, BadInputs: all mistakes at once.
        """
        from hw6.command.planning import Composer, make_plan

        loader = GlobalHydra.instance().config_loader()
        composed: dict[tuple[str, ...], DictConfig] = {}

        def compose(overrides: list[str]) -> DictConfig:
            config = hydra.compose(self.name, [*self.own, *overrides], return_hydra_config=True)
            composed[tuple(overrides)] = config
            return config

        params = []
        if self.many:
            sweeper = compose([]).hydra.sweeper
            params = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
        composer = Composer(compose, loader.get_group_options, loader)
        plan = make_plan(params, self.task, composer, single=not self.many, plain=self.other_sweeper)
        config = composed[plan.blocks[0].overrides]
        if self.other_sweeper:
            self.cells = plan.size
            self.folder = _unused(Path(config.hydra.sweep.dir), named=any(t.startswith(SWEEP_FOLDER) for t in self.own))
        elif not self.many:
            if RUN_KEYS["dry_run"].convert("dry_run", config.dry_run):
                raise BadInput(
                    "dry_run", True, "stands in a config, which runs", "type dry_run=true on the command line"
                )
            named = any(text.startswith(RUN_FOLDER) for text in self.own)
            folder = Path(config.hydra.run.dir) if named else beside(Path(config.hydra.run.dir))
            _check_folder(folder)
            self.undo = Undo(folder, f"{config.hydra.job.name}.log")
        return plan

    def take_back(self) -> None:
        """Remove what a single run has written."""
        if self.undo is not None:
            self.undo.back()

    def explain(self, error: Exception) -> None:
        """Say what is wrong in our own words where our own check finds it, else in the first line of Hydra's.

        Raises:
            BadInput, BadInputs: what is wrong with the command.
            Exception: the error itself, where the command is not to blame.
        """
        composing = isinstance(error, (HydraException, OmegaConfBaseException, ValueError, TypeError))
        if isinstance(error, OSError) and not composing and error.filename is not None:
            key = "hydra.sweep.dir" if self.many else "hydra.run.dir"
            raise BadInput(key, error.filename, f"cannot be written ({error.strerror})") from error
        if composing:
            try:
                self.check()
            except Hw6Error:
                raise
            except (HydraException, OmegaConfBaseException, ValueError, TypeError):
                pass  # told by the error itself
        if not isinstance(error, (HydraException, OmegaConfBaseException)) and not _raised_by_hydra(error):
            raise error
        experiment = [text for text in self.task if text.startswith("experiment=")]
        if experiment and self.name in folders.sweep_names():
            allowed = f"-cn {self.name} is a sweep of one experiment"
            raise BadInput("experiment", experiment[0].partition("=")[2], allowed, "leave out -cn or experiment=")
        text = str(error.__cause__ or error).splitlines()
        raise BadInput(
            text[0] if text else type(error).__name__, None, "Hydra cannot compose this", "see --help"
        ) from error


def _raised_by_hydra(error: BaseException) -> bool:
    """Whether an error without a class of Hydra's was raised while Hydra read the command."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    module = frame.tb_frame.f_globals.get("__name__", "") if frame is not None else ""
    return str(module).partition(".")[0] in {"hydra", "omegaconf"}


def _unused(folder: Path, *, named: bool) -> Path:
    """A directory for Hydra's own sweepers, which number their jobs from 0 and would overwrite an earlier sweep's."""
    number = 2
    candidate = folder = folder if named else beside(folder)
    while not named and candidate.exists():
        candidate, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    if contents.is_sweep(candidate):
        raise BadInput("hydra.sweep.dir", folder, "holds a sweep, which only hw6's own sweeper can go on with")
    return candidate


def _check_folder(folder: Path) -> None:
    """Refuse a directory that cannot be made, or is not for a single run, before Hydra writes there."""
    path = folder.absolute()
    if contents.is_sweep(path, "hydra.run.dir"):
        runs(path)  # refuses a record that cannot be read
        if any(path.glob("plan-*.json")):
            raise BadInput("hydra.run.dir", folder, "holds a sweep", "choose another directory")
    while not path.exists() and path != path.parent:
        path = path.parent
    if not path.is_dir() or not os.access(path, os.W_OK):
        raise BadInput("hydra.run.dir", folder, "cannot be written", "choose another directory")


@contextmanager
def own_hydra() -> Iterator[None]:
    """Hydra's global state is ours inside, and what it was before outside."""
    before, config = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = before
        HydraConfig.instance().cfg = config


def announce_experiments(line: CommandLine, *, all_of_them: bool = False) -> None:
    """Give Hydra the configs of experiments from outside this package; looked for only where one may be meant."""
    names = [text.partition("=")[2] for text in line.overrides if text.startswith("experiment=")]
    elsewhere = line.has("--config-path", "-cp", "--config-dir", "-cd")
    if all_of_them or elsewhere or any(name not in registry.EXPERIMENTS for name in names):
        from hydra.core.config_store import ConfigStore

        for experiment in registry.outside_experiments():
            node = {**(experiment.config or {}), "experiment": experiment.name}
            ConfigStore.instance().store(
                group="experiment", name=experiment.name, node=node, package="_global_", provider="hw6"
            )


def show(arguments: Sequence[str], line: CommandLine, task: Callable[[DictConfig], Any]) -> None:
    """Hydra's main, for what shows something and runs nothing (``--cfg``, ``--help``, completion).

    Raises:
        Exception: Hydra's own errors, which its main would print.
    """
    announce_experiments(line, all_of_them=True)
    argv, full = sys.argv, os.environ.get(FULL_ERROR)
    sys.argv = ["hw6", *arguments]  # the name that completion is installed for
    os.environ[FULL_ERROR] = "1"  # Hydra's documented way to let errors through
    try:
        with own_hydra():
            hydra.main(version_base="1.3", config_path=str(folders.conf()), config_name="config")(task)()
    except SystemExit as end:
        if end.code:  # argparse has said why
            raise BadInput(" ".join(line.flags), None, "Hydra does not take these flags", "see --hydra-help") from None
    finally:
        sys.argv = argv
        if full is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = full
