"""Taking back what a single run began to write, where nothing is to be written after all."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

CONFIGS = ("config.yaml", "hydra.yaml", "overrides.yaml")  # what Hydra writes into .hydra before a job begins


class Undo:
    """What was there before a single run: of the files that Hydra writes, and of nothing else.

    Args:
        folder: the run's directory, which may not exist yet.
        log: the name of the job's log in it.
    """

    def __init__(self, folder: Path, log: str) -> None:
        self.folder = folder.absolute()
        inner = self.folder / ".hydra"
        files = [*(inner / name for name in CONFIGS), self.folder / log]
        self.before = {path: path.read_bytes() if path.is_file() else None for path in files}
        self.missing = [one for one in (inner, self.folder, *self.folder.parents) if not one.exists()]

    def back(self) -> None:
        """Put these files back as they were, and remove the directories that were made if nothing else is in them."""
        for path, content in self.before.items():
            with suppress(OSError):
                if content is None:
                    path.unlink()
                else:
                    path.write_bytes(content)
        for folder in self.missing:
            with suppress(OSError):  # somebody has written into it by now
                folder.rmdir()
