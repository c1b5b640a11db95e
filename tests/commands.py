"""Ways to run a command in a test, and what it did."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ran:
    """What a command did.

    Attributes:
        status: its exit status.
        out, err: what it printed.
        files: the files that it wrote below its working directory, as relative paths in order.
        folders: the directories that it made there.
    """

    status: int
    out: str
    err: str
    files: list[str] = field(repr=False)
    folders: list[str] = field(repr=False)

    @property
    def lines(self) -> list[str]:
        """The lines of hw6 itself on standard error, without its name."""
        return [line.removeprefix("hw6: ") for line in self.err.splitlines() if line.startswith("hw6: ")]


def _contents(folder: Path) -> tuple[set[str], set[str]]:
    entries = [(path, path.relative_to(folder).as_posix()) for path in folder.rglob("*")]
    return {name for path, name in entries if path.is_file()}, {name for path, name in entries if path.is_dir()}


@dataclass
class Command:
    """``python -m hw6.run`` and its fellows, without a new process."""

    folder: Path

    def __call__(self, *arguments: str, module: str = "hw6.run") -> Ran:
        from importlib import import_module

        main = import_module(module).main
        files, folders = _contents(self.folder)
        out, err = io.StringIO(), io.StringIO()
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        before = os.getcwd()
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    status = main(list(arguments))
                except SystemExit as end:
                    status = end.code if isinstance(end.code, int) else 1
        finally:
            os.chdir(before)
            for handler in set(root.handlers) - set(handlers):
                handler.close()
            root.handlers[:], root.level = handlers, level
        new_files, new_folders = _contents(self.folder)
        return Ran(status, out.getvalue(), err.getvalue(), sorted(new_files - files), sorted(new_folders - folders))

    def sweep(self, *arguments: str, into: str | None = None) -> Any:
        """Run a sweep that must succeed; its frame."""
        from hw6.aggregate import load

        folder = into or f"sweep-{len(list(self.folder.iterdir()))}"
        ran = self("-m", *arguments, f"hydra.sweep.dir={folder}")
        assert ran.status == 0, ran.err
        return load(self.folder / folder)


@dataclass
class Process:
    """The same commands as a user starts them: a new interpreter."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, module: str = "hw6.run", options: Sequence[str] = ()) -> Ran:
        return self._run([sys.executable, *options, "-m", module, *arguments])

    def code(self, text: str, *options: str) -> Ran:
        """Run a program given as text."""
        return self._run([sys.executable, *options, "-c", text])

    def _run(self, words: Sequence[str]) -> Ran:
        files, folders = _contents(self.folder)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HYDRA_")}
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=environment | self.environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        new_files, new_folders = _contents(self.folder)
        return Ran(done.returncode, done.stdout, done.stderr, sorted(new_files - files), sorted(new_folders - folders))
