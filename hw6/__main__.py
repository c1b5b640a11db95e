"""The console command ``hw6 run|aggregate|status|plot``, and completion for the shell.

``eval "$(hw6 -sc install=bash)"`` (zsh, fish) switches completion on; the shell then asks ``hw6 -sc query=bash`` with
the line in COMP_LINE. Hydra completes overrides; it is shown the line without the word ``run``.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from hw6 import __version__

COMMANDS = {
    "run": "run one cell, or a sweep with -m",
    "aggregate": "collect the rows of sweeps into one table",
    "status": "tell what of each sweep is done, running and failed",
    "plot": "draw the figures that fit what was swept",
}
COMPLETION = {"-sc", "--shell-completion"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in COMPLETION:
        return complete(given)
    if given and given[0] in COMMANDS:
        status = import_module(f"hw6.{given[0]}").main(given[1:])
        assert isinstance(status, int)
        return status
    if given == ["--version"]:
        print(f"hw6 {__version__}")
        return 0
    wanted = not given or given[0] in {"-h", "--help"}
    stream = sys.stdout if wanted else sys.stderr
    if not wanted:
        print(f"hw6: {given[0]}: no such command", file=stream)
    print("usage: hw6 COMMAND ...; hw6 COMMAND --help tells more", file=stream)
    for name, text in COMMANDS.items():
        print(f"  {name:<10} {text}", file=stream)
    print('completion: eval "$(hw6 -sc install=bash)"', file=stream)
    return 0 if wanted else 2


def complete(arguments: Sequence[str]) -> int:
    """Answer the shell: the names of commands first, then Hydra's answer for what follows ``run``."""
    from hw6 import run

    line = os.environ.get("COMP_LINE", "")
    if line and any(argument.startswith("query=") for argument in arguments):
        words = line[: int(os.environ.get("COMP_POINT", len(line)))].split(" ")
        typed = words[1] if len(words) > 1 else ""
        if len(words) <= 2 and typed not in COMMANDS:
            print("\n".join(name for name in COMMANDS if name.startswith(typed)))
            return 0
        if typed != "run":
            return 0
        os.environ["COMP_LINE"] = _without_command(line)
        os.environ["COMP_POINT"] = str(len(os.environ["COMP_LINE"]))
    return run.main(arguments)


def _without_command(line: str) -> str:
    """``hw6 run p=5:200 lam`` as Hydra reads it: without ``run``, shorthands expanded, the last word as it stands."""
    from hw6.command.line import expand, split
    from hw6.command.shorthands import shorthands_meant
    from hw6.errors import BadInput

    program, _, *words = line.split(" ")
    *finished, last = words or [""]
    with contextlib.suppress(BadInput):  # a line that is still being typed; the command itself reports mistakes
        typed = split([word for word in finished if word])
        shorthands = shorthands_meant(typed, typed.value("--config-name", "-cn") or "config")
        finished = [*typed.flags, *expand(typed.overrides, shorthands)]
    return " ".join([program, *finished, last])


if __name__ == "__main__":
    sys.exit(main())
