"""Where the config files are: inside the package in an installed wheel, beside it in a checkout."""

from pathlib import Path


def _folder(name: str) -> Path:
    package = Path(__file__).resolve().parent.parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def conf() -> Path:
    """The directory of config groups and the primary config."""
    return _folder("conf")


def sweeps() -> Path:
    """The directory of named sweeps."""
    return _folder("sweeps")


def sweep_names() -> list[str]:
    """The named sweeps."""
    return sorted(path.stem for path in sweeps().glob("*.yaml"))
