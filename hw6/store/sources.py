"""Where the source of a module is: found without importing anything, the same whether the module is loaded or not.

Followed are the modules of an experiment's own package, those beside a file that is in no package, and whatever else is
not installed (a checkout on the search path); of hw6 the parts that compute. All others count by their versions.
"""

from __future__ import annotations

import marshal
import os
import struct
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder, SourceFileLoader
from typing import Any, NamedTuple

from hw6.errors import Hw6Error
from hw6.store.syntax import Syntax, of_framework

_STANDARD = os.path.dirname(os.path.realpath(os.__file__)) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_EDITABLE = ("__editable__", "editables")  # finders of editable installations; others may build what they find
_COMPILED = (*EXTENSION_SUFFIXES, ".pyc")
_SUFFIXES = (*EXTENSION_SUFFIXES, ".py", ".pyc")  # in the order in which Python takes them
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
_imported: dict[int, tuple[ModuleSpec, bytes]] = {}  # what was first seen of a loaded module, by the id of its spec
_parsed: dict[str, tuple[bytes, Syntax | None]] = {}  # by path; a file that has changed is parsed again


class Place(NamedTuple):
    """Where a module is: its file, if it has one, and the folders of its submodules."""

    file: str | None
    folders: Sequence[str] = ()


class Module:
    """A module whose code is followed.

    Attributes:
        name: its full name.
        package: what its relative imports start from.
        file: where it is, if it is in a file.
        source: the bytes of its file.
        syntax: its syntax; None where it cannot be parsed or is compiled.
    """

    def __init__(self, name: str, package: str, source: bytes, syntax: Syntax | None, file: str | None = None) -> None:
        self.name, self.package, self.file = name, package, file
        self.source, self.syntax = source, syntax

    @property
    def is_cell(self) -> bool:
        """Whether it is a cell of a notebook."""
        return self.syntax is not None and self.syntax.namespace is not None

    def binds(self, name: str) -> bool:
        """Whether it has a name at its top level."""
        return self.syntax is not None and name in self.syntax.bindings

    def absolute(self, level: int, name: str) -> str:
        """The full name of a module that is named from this one, with so many dots before it."""
        start = self.package.split(".")
        return ".".join(filter(None, (*start[: len(start) - level + 1], name))) if level else name


class Finder:
    """The modules that are followed, by their names and by their files."""

    def __init__(self) -> None:
        self._own: set[str] = set()  # packages that are followed even where they are installed
        self._folders: list[str] = []  # where modules are looked for before the search path
        self._places: dict[str, Place | None] = {}
        self._modules: dict[str, Module | None] = {}
        self._by_file: dict[str, Module] = {}
        self._listed: dict[str, frozenset[str]] = {}

    def own(self, name: str, file: str) -> Module:
        """The module in which an experiment is made: what is in its package, or beside it, is followed too."""
        loaded = _loaded(name)
        if name == "__main__":
            name = getattr(held(sys.modules.get(name), "__spec__"), "name", "")
        elif loaded is None or loaded.file is None or os.path.realpath(loaded.file) != os.path.realpath(file):
            name = ""
        folder, is_package = os.path.dirname(os.path.abspath(file)), os.path.basename(file) == "__init__.py"
        beside = [] if "." in name or is_package else [folder]
        name = name or _name_of(file)
        above = folder
        for _ in range(name.count(".") + is_package):
            above = os.path.dirname(above)
        self._own.add(name.partition(".")[0])
        self._folders += [one for one in (above, *beside) if one not in self._folders]
        return self._at(name, Place(file, (folder,) if is_package else ()))

    def module(self, name: str) -> Module | None:
        """A module that is followed; None for one that is not, or that is nowhere."""
        if name not in self._modules:
            place = self._place(name)
            followed = place is not None and self._is_followed(name, place)
            self._modules[name] = self._at(name, place) if place is not None and followed else None
        return self._modules[name]

    def _at(self, name: str, place: Place) -> Module:
        """One module for each file, whatever name it was found by."""
        package = name if place.folders else name.rpartition(".")[0]
        if place.file is None:
            return Module(name, package, b"", Syntax(b""))
        path = os.path.realpath(place.file)
        if path not in self._by_file:
            self._by_file[path] = Module(name, package, *parsed(path), path)
            refuse_edited(name, path, self._by_file[path].source)
        return self._by_file[path]

    def _is_followed(self, name: str, place: Place) -> bool:
        top = name.partition(".")[0]
        if top == "hw6":
            return not of_framework(name)
        if top in self._own:
            return True
        path = os.path.realpath(place.file or next(iter(place.folders), os.sep))
        return not path.startswith(_STANDARD) and not any(part in path for part in _INSTALLED)

    def _place(self, name: str) -> Place | None:
        if name not in self._places:
            self._places[name] = self._found(name)
        return self._places[name]

    def _found(self, name: str) -> Place | None:
        parent, _, last = name.rpartition(".")
        if parent:
            above = self._place(parent)
            return above and (_loaded(name) or self._within(last, above.folders) or self._folder(last, above.folders))
        beside = self._within(name, self._folders)
        if name in sys.stdlib_module_names:  # which a file beside a script may hide
            return beside and (_loaded(name) or _searched(name))
        return _loaded(name) or beside or _searched(name) or self._folder(name, self._folders)

    def _within(self, name: str, folders: Sequence[str]) -> Place | None:
        """A package or a file in the first folder that has it."""
        for folder in folders:
            names, inner = self._names(folder), os.path.join(folder, name)
            if name in names:
                for suffix in _SUFFIXES:
                    if f"__init__{suffix}" in self._names(inner):
                        return Place(os.path.join(inner, f"__init__{suffix}"), (inner,))
            for suffix in _SUFFIXES:
                if name + suffix in names:
                    return Place(inner + suffix)
        return None

    def _folder(self, name: str, folders: Sequence[str]) -> Place | None:
        """A package without a file of its own: what Python takes last."""
        inner = [os.path.join(folder, name) for folder in folders if name in self._names(folder)]
        return Place(None, tuple(inner)) if any(map(self._names, inner)) else None

    def _names(self, folder: str) -> frozenset[str]:
        if folder not in self._listed:
            try:
                self._listed[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._listed[folder] = frozenset()
        return self._listed[folder]


def parsed(path: str) -> tuple[bytes, Syntax | None]:
    """The bytes of a file, and its syntax where it has one."""
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError:
        source = b""
    known = _parsed.get(path)
    if known is None or known[0] != source:
        _parsed[path] = known = source, None if path.endswith(_COMPILED) else syntax_of(source)
    return known


def refuse_edited(name: str, path: str, source: bytes) -> None:
    """Refuse a file that has changed since it was imported: rows would come from memory, their digest from the disk.

    Raises:
        Hw6Error: which file, and what to do.
    """
    module = sys.modules.get(name)
    spec, file = held(module, "__spec__"), held(module, "__file__")
    if spec is None or not isinstance(file, str) or (file != path and os.path.realpath(file) != path):
        return
    known = _imported.get(id(spec))
    is_new = known is None or known[0] is not spec
    if is_new:
        _imported[id(spec)] = spec, source
    if (is_new and _is_older(spec, path, source)) or (known is not None and not is_new and known[1] != source):
        raise Hw6Error(
            f"{os.path.basename(path)} has changed since it was imported: restart Python, or importlib.reload it"
        )


def _is_older(spec: ModuleSpec, path: str, source: bytes) -> bool:
    """Whether a module was loaded from a cache that is another text's than its file has now."""
    stem = os.path.splitext(os.path.basename(path))[0]
    is_by_name = stem in (spec.name.rpartition(".")[2], "__init__")  # others are not loaded from a cache
    cached = spec.cached if is_by_name and type(spec.loader) is SourceFileLoader else None
    if sys.dont_write_bytecode or not cached or not os.access(os.path.dirname(cached), os.W_OK):
        return False
    try:
        with open(cached, "rb") as file:
            header, now = file.read(16), os.stat(path)
            flags, *then = struct.unpack("<4x3I", header)
            if flags or then == [int(now.st_mtime) & 0xFFFFFFFF, now.st_size & 0xFFFFFFFF]:
                return False
            code = marshal.loads(file.read())  # a file that was only touched has the same code
        return bool(code != compile(source, path, "exec", dont_inherit=True))
    except (OSError, struct.error):
        return False
    except (*_UNREADABLE, EOFError, TypeError):
        return True


def syntax_of(source: bytes, namespace: Mapping[str, Any] | None = None) -> Syntax | None:
    """The syntax of a text; None where it has none."""
    try:
        return Syntax(source, namespace)
    except _UNREADABLE:
        return None


def _loaded(name: str) -> Place | None:
    """Where a module was loaded from."""
    module = sys.modules.get(name)
    file, folders = held(module, "__file__"), held(module, "__path__")
    found = Place(file if isinstance(file, str) else None, tuple(map(str, folders or ())))
    return found if found.file or found.folders else None


def file_of(path: str, home: str) -> str | None:
    """The file that code comes from: where its text was compiled, or where that has been moved to."""
    if os.path.isfile(path):
        return path
    file = getattr(sys.modules.get(home), "__file__", None)
    is_there = isinstance(file, str) and os.path.basename(file) == os.path.basename(path)
    return file if is_there and os.path.isfile(str(file)) else None


def held(module: object, name: str) -> Any:
    """What a module holds; asked of the module itself it might load something."""
    try:
        return object.__getattribute__(module, "__dict__").get(name)
    except AttributeError:
        return None


def _searched(name: str) -> Place | None:
    """A module that has no parent, on the search path or in an editable installation."""
    editable = [one for one in sys.meta_path if str(getattr(one, "__module__", "")).startswith(_EDITABLE)]
    finders: list[Any] = [PathFinder, *editable]
    for finder in finders:
        try:
            spec: ModuleSpec | None = finder.find_spec(name, None)
        except Exception:  # whatever somebody's finder does
            continue
        if spec is not None:
            folders = tuple(map(str, spec.submodule_search_locations or ()))
            return Place(spec.origin if spec.has_location else None, folders)
    return None


def _name_of(file: str) -> str:
    """The full name of a module by the packages around it."""
    folder, name = os.path.split(os.path.abspath(file))
    parts = [] if name == "__init__.py" else [name.removesuffix(".py")]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
        parts.insert(0, name)
    return ".".join(parts)
