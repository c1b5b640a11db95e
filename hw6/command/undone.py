"""Taking back a directory that a command made, where nothing is to be written after all."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path


class Undo:
    """What was there before a directory was written to.

    Args:
        folder: the directory, which may not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.before = set(os.listdir(self.folder)) if self.folder.is_dir() else set()
        self.missing = [one for one in (self.folder, *self.folder.parents) if not one.exists()]

    def back(self) -> None:
        """Remove what has come since then, and the directories that were made for it where nothing else is in them."""
        for name in set(os.listdir(self.folder)) - self.before if self.folder.is_dir() else ():
            path = self.folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        for folder in self.missing:
            with suppress(OSError):  # another command has written beside it by now
                folder.rmdir()
