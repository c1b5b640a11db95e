"""``--help``: what the keys of an experiment mean, what may stand there, and what it measures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hw6.contract.experiment import Experiment
from hw6.contract.keys import RUN_KEYS, UNSET
from hw6.errors import show

WIDE = 28  # characters of a name before its explanation moves to the next line


def keys_of(experiment: Experiment) -> list[str]:
    """The keys and metrics of an experiment, a line each."""
    keys = (
        (
            f"{name}={show(_typed(key.default))}" if key.default is not UNSET else name,
            _meaning(name, key.help, key.allowed),
        )
        for name, key in experiment.keys.items()
    )
    metrics = ((name, str(text)) for name, text in experiment.metrics.items())
    return [
        f"== Keys of {experiment.name}: KEY=VALUE ==",
        *_table(keys),
        "",
        f"== Metrics of {experiment.name} ==",
        *_table(metrics),
    ]


def script_help(experiment: Experiment, program: str) -> list[str]:
    """The help of a script that runs one experiment.

    Args:
        experiment: what it runs.
        program: what is typed before the arguments.
    """
    about = (getattr(experiment, "__doc__", None) or experiment.name).strip().splitlines()[0]
    key = next(iter(experiment.keys))
    width = len(program) + 24
    uses = {
        program: "one cell with the defaults",
        f"{program} {key}=...": "one cell, any key set",
        f"{program} -m {key}=A,B seed=0:20": "a sweep: every key may have several values (A,B or START:STOP)",
        f"{program} resume=FOLDER": "go on with a sweep",
        "python -m hw6.aggregate outputs/...": "its rows as one table",
        "python -m hw6.plot outputs/...": "its figure",
    }
    run = ((f"{name}={show(_typed(one.default))}", one.help) for name, one in RUN_KEYS.items())
    return [
        f"{experiment.name}: {about}" if about != experiment.name else about,
        "",
        *(f"{use:<{width}}  {text}" for use, text in uses.items()),
        "",
        *keys_of(experiment),
        "",
        "== How it runs ==",
        *_table(run),
        "",
        "hydra.sweep.dir=FOLDER names the sweep's directory; --cfg job shows the config, --hydra-help Hydra's flags.",
    ]


def _meaning(name: str, text: str, allowed: str) -> str:
    return allowed if text == name else f"{text}; {allowed}"


def _typed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Names and explanations, side by side."""
    found = list(rows)
    width = min(max((len(name) for name, _ in found), default=0), WIDE)
    for name, text in found:
        yield f"  {name:<{width}}  {text}" if len(name) <= width else f"  {name}\n  {'':<{width}}  {text}"
