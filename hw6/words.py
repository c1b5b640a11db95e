"""Texts for people and for the shell: 1 cell, 2,400 cells, 3 min, outputs/x, quotes."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

RUN = "python -m hw6.run"  # what people type before arguments, unless a script of their own stands for it


def counted(number: int, noun: str, ending: str = "s") -> str:
    """A number of things: "1 cell", "2,400 cells"."""
    return f"{number:,} {noun}" + ("" if number == 1 else ending)


def duration(seconds: float) -> str:
    """A time span as a person would say it."""
    if round(seconds) < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def short(folder: Path) -> str:
    """A path as the user would type it here."""
    relative = os.path.relpath(folder)
    return str(folder) if relative.startswith("..") else relative


def pasted(folder: Path) -> str:
    """A path as it can be pasted into a shell here."""
    return shlex.quote(short(folder))


def safe(text: str) -> str:
    """A line of somebody else's text, as a terminal may show it: without its control characters."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def quoted(text: str) -> str:
    """A text in quotes, as Hydra's grammar reads it: a backslash counts before a quote and at the end alone."""
    inner = re.sub(r"(\\*)'", r"\1\1\\'", text)
    end = re.search(r"\\*$", inner)
    return f"'{inner}{end[0] if end else ''}'"


def unquoted(text: str) -> str:
    """The inverse of ``quoted``, for either kind of quotes; a text without them is itself."""
    mark = text[:1]
    if mark not in {"'", '"'} or len(text) < 2 or not text.endswith(mark):
        return text
    return re.sub(rf"(\\+)({mark}|$)", lambda found: "\\" * (len(found[1]) // 2) + found[2], text[1:-1])


def common_folder(paths: Sequence[str | os.PathLike[str]]) -> Path:
    """The folder of a single path, or the first one that all paths have in common."""
    folders = [Path(path) if Path(path).is_dir() else Path(path).parent for path in paths]
    return folders[0] if len(folders) == 1 else Path(os.path.commonpath([folder.absolute() for folder in folders]))
