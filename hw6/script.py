"""``hw6.main``: a script of one's own as a command, with everything that ``python -m hw6.run`` has."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hw6.contract.experiment import Experiment
from hw6.contract.files import refuse_while_loading
from hw6.errors import BadInput, exit_status, refuse
from hw6.words import pasted


def main(experiment: Experiment, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command for one experiment, and end the process with its exit status.

    Write it below ``if __name__ == "__main__":``; ``python FILE.py -m k=1:40`` then sweeps, and ``--help`` lists the
    keys.

    Args:
        experiment: what the command runs.
        arguments: of the command; by default those of the process.

    Raises:
        SystemExit: with the exit status of ``python -m hw6.run``.
        Hw6Error: the file is being loaded by another command, which wants what it defines alone.
    """
    from hw6 import run

    refuse_while_loading("hw6.main")
    if not isinstance(experiment, Experiment):
        name = getattr(experiment, "__name__", type(experiment).__name__)
        mistake = BadInput("hw6.main", name, "is no experiment", "write @hw6.experiment(metrics=...) above a function")
        raise SystemExit(exit_status(lambda: refuse([mistake])))
    raise SystemExit(run.main(arguments, experiment=experiment, program=_program()))


def _program() -> str:
    """What was typed before the arguments: ``python FILE.py``, or ``python -m PACKAGE.MODULE``."""
    script = sys.modules["__main__"]
    if getattr(script, "__spec__", None) is not None and script.__spec__ is not None:
        return f"python -m {script.__spec__.name.removesuffix('.__main__')}"
    return f"python {pasted(Path(getattr(script, '__file__', None) or sys.argv[0]))}"
