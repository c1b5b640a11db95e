"""Experiments in files of one's own: ``FILE.py:NAME``, loaded here and found again by other processes.

A file is loaded as a script would be: its folder is on the search path, so that modules beside it are found, and what
stands below ``if __name__ == "__main__":`` does not run. A file of a package (a folder with __init__.py) is imported
as that package's module, relative imports and all.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from hw6.contract.experiment import BadExperiment, Experiment
from hw6.errors import FULL_ERROR, BadInput, Hw6Error, described, nearest

REFERENCE = re.compile(r"(?P<file>.+\.py)(?::(?P<name>\w*))?", re.DOTALL)
_loading: list[str] = []  # the files that are being loaded, outermost first


@dataclass(frozen=True)
class Source:
    """Where other processes find an experiment.

    Attributes:
        file: the absolute path of the file that makes it.
        name: the variable that holds it.
        digest: of the file's bytes when it was loaded.
    """

    file: str
    name: str
    digest: str

    @property
    def reference(self) -> str:
        """What may be typed for ``experiment=``."""
        return f"{self.file}:{self.name}"

    def load(self) -> Experiment:
        """The experiment, in a process that does not know it yet.

        Raises:
            Hw6Error: the file has changed since it was loaded first, or cannot be loaded.
        """
        experiment = load(self.reference)
        if _digest(Path(self.file)) != self.digest:
            raise Hw6Error(f"{self.file} has changed since the sweep began; run the sweep again")
        return experiment


def is_reference(text: str) -> bool:
    """Whether a choice of experiment names a file."""
    return REFERENCE.fullmatch(text) is not None


def load(reference: str) -> Experiment:
    """The experiment of ``FILE.py:NAME``; of ``FILE.py`` alone where it has but one.

    Raises:
        BadInput: there is no such file, it cannot be loaded, or it has no such experiment.
    """
    match = REFERENCE.fullmatch(reference)
    assert match is not None
    path, name = Path(match["file"]).expanduser().absolute(), match["name"] or ""
    path = _itself(path)
    if not path.is_file():
        beside = [one.name for one in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise BadInput("experiment", reference, f"there is no file {match['file']}", nearest(path.name, beside))
    module = _loaded(path, reference)
    found = {key: value for key, value in vars(module).items() if isinstance(value, Experiment)}
    if not name and len(found) == 1:
        return next(iter(found.values()))
    if name in found:
        return found[name]
    given = getattr(module, name, None) if name else None
    listed = ", ".join(f"{match['file']}:{one}" for one in found)
    if given is not None:
        allowed = f"{name} is a {type(given).__name__}, no experiment"
        hint = "write @hw6.experiment(metrics=...) above it"
    elif name:
        allowed = f"{path.name} has no {name}" + (f"; it has {listed}" if found else ", and no experiment at all")
        hint = nearest(name, found) or ("" if found else "write @hw6.experiment(metrics=...) above a function")
    elif found:
        allowed, hint = f"{path.name} has {len(found)} experiments: say which, as FILE.py:NAME", listed
    else:
        allowed, hint = f"{path.name} has no experiment", "write @hw6.experiment(metrics=...) above a function"
    raise BadInput("experiment", reference, allowed, hint)


def source_of(experiment: Experiment) -> Source | None:
    """Where other processes find an experiment of this one; None where they cannot, as in a notebook.

    A file that would run a command when it is loaded (``hw6.main`` without a guard) is no such place.
    """
    own = getattr(experiment, "function", experiment.rows)
    for name in dict.fromkeys((getattr(own, "__module__", None), "__main__")):
        module = sys.modules.get(name) if isinstance(name, str) else None
        file = getattr(module, "__file__", None)
        if module is None or not file or not file.endswith(".py") or not Path(file).is_file():
            continue
        for variable, value in list(vars(module).items()):
            if value is experiment:
                path = _itself(Path(file).absolute())
                return None if _runs_when_loaded(path) else Source(str(path), variable, _digest(path))
    return None


def _itself(path: Path) -> Path:
    """The file behind a link: modules stand beside that one, as for Python's scripts."""
    return path.resolve() if path.is_symlink() else path


def _runs_when_loaded(path: Path) -> bool:
    """Whether loading a file would run a command: ``hw6.main(...)`` or ``hw6.run_sweep(...)`` at its top level."""
    pending: list[ast.AST] = [*ast.parse(path.read_bytes()).body]
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test):
            pending += node.orelse
            continue
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"hw6.main", "hw6.run_sweep"}:
            return True
        pending += ast.iter_child_nodes(node)
    return False


def refuse_while_loading(what: str) -> None:
    """Refuse to run something because a file is loaded: loading a file must only define what is in it.

    Raises:
        Hw6Error: a file is being loaded.
    """
    if _loading:
        name = Path(_loading[-1]).name
        raise Hw6Error(f'{name} calls {what} when it is loaded: write it below if __name__ == "__main__":')


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()


def _loaded(path: Path, reference: str) -> ModuleType:
    package = list(_packages(path))
    try:
        with _while_loading(path):
            return _of_package(path, package) if package else _alone(path)
    except BadExperiment:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever an import raises, SystemExit too
        kind, line = described(error)
        at = _line(error, path)
        what = line if isinstance(error, Hw6Error) else f"{kind}: {line}"
        allowed = f"cannot be loaded: {what}" + (f" ({path.name}, line {at})" if at and path.name not in line else "")
        raise BadInput("experiment", reference, allowed, f"{FULL_ERROR}=1 shows the traceback") from error


@contextmanager
def _while_loading(path: Path) -> Iterator[None]:
    _loading.append(str(path))
    try:
        yield
    finally:
        _loading.pop()


def _packages(path: Path) -> Iterator[str]:
    """The packages that a file lies in, innermost first."""
    folder = path.parent
    while (folder / "__init__.py").is_file():
        yield folder.name
        folder = folder.parent


def _alone(path: Path) -> ModuleType:
    """A file by itself, under a name that no other module has; loaded again only if it has changed."""
    main = sys.modules.get("__main__")
    name = f"{path.stem}_{_digest(path)}_{hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    if main is not None and getattr(main, "__file__", None) and Path(str(main.__file__)).absolute() == path:
        return main  # the script that runs; loading it a second time would make its experiments a second time
    _search(path.parent)
    spec = spec_from_file_location(name, path)
    assert spec is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:  # from its own bytes: a cached one of the same second and size would be another file's code
        tree = ast.parse(path.read_bytes(), str(path))
        _refuse_hidden(tree, path)
        exec(compile(tree, str(path), "exec"), vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _refuse_hidden(tree: ast.AST, path: Path) -> None:
    """Refuse to take a module from elsewhere for the one beside a file, because it was loaded or found first.

    Raises:
        ImportError: which one, and from where.
    """
    for node in ast.walk(tree):
        absolute = isinstance(node, ast.ImportFrom) and node.level == 0 and node.module
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else [absolute] if absolute else []
        for name in {str(one).partition(".")[0] for one in names} - {path.stem}:
            places = (path.parent / f"{name}.py", path.parent / name / "__init__.py")
            beside = next((one for one in places if one.is_file()), None)
            there = _origin(name) if beside is not None else None
            if beside is not None and there is not None and Path(there).resolve() != beside.resolve():
                raise ImportError(f"it imports {name}, which is {there}, and not the one beside it: rename that one")


def _origin(name: str) -> str | None:
    """Where a module comes from, or would come from; None for one that has no file or is not there."""
    if name in sys.modules:
        return getattr(sys.modules[name], "__file__", None) or name
    spec = find_spec(name)
    return None if spec is None else spec.origin


def _of_package(path: Path, packages: list[str]) -> ModuleType:
    root = path.parents[len(packages)]
    _search(root)
    name = ".".join([*reversed(packages), *([] if path.stem == "__init__" else [path.stem])])
    module: Any = import_module(name)
    if Path(str(module.__file__)).resolve() != path.resolve():
        raise ImportError(f"{name} is {module.__file__} here")
    return module  # type: ignore[no-any-return]


def _search(folder: Path) -> None:
    if str(folder) not in sys.path:  # last: a module of one's own hides none of Python's and of what is installed
        sys.path.append(str(folder))


def _line(error: BaseException, path: Path) -> int | None:
    """The line of a file at which its loading stopped."""
    found, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            found = trace.tb_lineno
        trace = trace.tb_next
    return found
