"""From the function that makes rows to all code that it uses: each definition once, in the order in which it is met.

What is digested is that order and what each definition says, so that names and folders of modules do not count.
"""

from __future__ import annotations

import hashlib
import linecache
import os
import sys
from collections import deque
from functools import partial
from inspect import getattr_static
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from hw6.store.reading import read
from hw6.store.sources import Finder, Module, held, syntax_of
from hw6.store.syntax import COMPUTING, Import, Piece, Reference, of_framework

_PLAIN = (int, float, complex, str, bytes, bool, type(None), type(...))
_Seen = set[tuple[Module, str]]


class Walk:
    """The code behind one object.

    Attributes:
        used: top-level names of packages that it uses and that are not followed.
        own: the module of the function that makes rows, if it has a file.
    """

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.own: Module | None = None
        self._finder = Finder()
        self._digest = hashlib.blake2b(digest_size=8)
        self._places: dict[tuple[Module, int], int] = {}  # of a piece in the order
        self._pending: deque[tuple[Module, Piece | None, bool]] = deque()
        self._reached: set[Module] = set()
        self._whole: dict[Module, int] = {}
        self._cells: dict[str, Module | None] = {}
        self._has_code = False  # without a text
        self._open: set[int] = set()  # the ids of objects within which the walk is

    def digest(self, made_by: Any) -> str | None:
        """The digest of all code behind an object; None where there is none, as of a compiled function."""
        self._say(self._value(made_by, is_root=True))
        if not self._places and not self._has_code:
            return None
        while self._pending:
            module, piece, is_root = self._pending.popleft()
            if piece is None:
                self._digest.update(module.source)
                continue
            words, references = read(piece, without_defaults=is_root)
            self._digest.update(words)
            for reference in references:
                self._say(self._resolved(module, reference))
        return self._digest.hexdigest()

    def _say(self, words: list[str]) -> None:
        self._digest.update("\n".join([*words, ";"]).encode("utf-8", "surrogatepass"))

    def _visit(self, module: Module, piece: Piece | None, is_root: bool = False) -> str:
        """The place of a piece in the order; None stands for a module that can only be taken by its bytes."""
        key = (module, id(piece and piece.node))
        if key not in self._places:
            self._places[key] = len(self._places)
            self._pending.append((module, piece, is_root))
            self._reach(module)
        return f"#{self._places[key]}"

    def _reach(self, module: Module) -> None:
        """Importing a module does something, and so does importing the packages that it is in."""
        if module in self._reached or module.is_cell:
            return
        self._reached.add(module)
        above = module.name.rpartition(".")[0]
        if above and (parent := self._finder.module(above)) is not None:
            self._reach(parent)
        if module.syntax is None:
            self._visit(module, None)
            return
        for piece in module.syntax.effects:
            self._visit(module, piece)
        for bindings in module.syntax.bindings.values():
            for one in bindings:
                if isinstance(one, Piece) and any(self._may_register(module, name) for name in one.decorators):
                    self._visit(module, one)

    def _may_register(self, module: Module, decorator: str) -> bool:
        """Whether a decorator is code that is followed: it may keep what it decorates, for others to find."""
        assert module.syntax is not None
        return any(
            isinstance(one, Piece) or self._finder.module(module.absolute(one.level, one.module)) is not None
            for one in module.syntax.bindings.get(decorator.partition(".")[0], ())
        )

    # --- names ------------------------------------------------------------------------------------------------------

    def _resolved(self, module: Module, reference: Reference) -> list[str]:
        """What a name in a piece of a module stands for, as words of the digest."""
        names = reference.names.split(".")
        if reference.imports:
            return [word for one in reference.imports for word in self._imported(module, one, names[1:], set())]
        if module.syntax is not None and module.syntax.namespace is not None:
            return self._global(module.syntax.namespace, names)
        return self._named(module, names, set())

    def _named(self, module: Module, names: list[str], seen: _Seen) -> list[str]:
        """A name at the top level of a module, and attributes of it."""
        if (module, names[0]) in seen or module.syntax is None:
            return []
        seen.add((module, names[0]))
        found = []
        for one in module.syntax.bindings.get(names[0], ()):
            found += (
                self._imported(module, one, names[1:], seen) if isinstance(one, Import) else [self._visit(module, one)]
            )
        for star in module.syntax.stars:
            found += self._from(module.absolute(star.level, star.module), names, seen)
        return found

    def _imported(self, module: Module, one: Import, names: list[str], seen: _Seen) -> list[str]:
        start = module.absolute(one.level, one.module)
        return self._from(start, [one.name, *names] if one.name else names, seen)

    def _from(self, start: str, names: list[str], seen: _Seen) -> list[str]:
        """Attributes of a module: of one that is not followed only what they are called."""
        module = self._finder.module(start)
        if module is not None:
            return self._attribute(module, names, seen)
        if names and f"{start}.{names[0]}" in COMPUTING:
            return self._from(f"{start}.{names[0]}", names[1:], seen)
        if of_framework(start):
            return [f"hw6:{names[0] if names else ''}"]
        self.used.add(start.partition(".")[0])
        return [f"{start}:{names[0] if names else ''}"]

    def _attribute(self, module: Module, names: list[str], seen: _Seen) -> list[str]:
        self._reach(module)
        if module.syntax is None:
            return [self._visit(module, None)]
        if not names:
            return self._all_of(module)
        found = self._named(module, names, seen)
        if module.package == module.name and not (found and names[0] in module.syntax.bindings):
            inner = self._finder.module(f"{module.name}.{names[0]}")
            found += [] if inner is None else self._attribute(inner, names[1:], seen)
        return found or self._named(module, ["__getattr__"], seen)

    def _all_of(self, module: Module) -> list[str]:
        """A module that is used in another way than by attribute."""
        assert module.syntax is not None
        if module in self._whole:
            return [f"*{self._whole[module]}"]
        self._whole[module] = len(self._whole)
        return [word for name in module.syntax.bindings for word in self._named(module, [name], set())]

    # --- values -----------------------------------------------------------------------------------------------------

    def _global(self, namespace: Any, names: list[str]) -> list[str]:
        """A name of a notebook, by what it stands for now."""
        if names[0] not in namespace:
            return []
        value = namespace[names[0]]
        return self._from(value.__name__, names[1:], set()) if isinstance(value, ModuleType) else self._value(value)

    def _value(self, value: Any, is_root: bool = False, of_one_cell: bool = False) -> list[str]:
        """An object: a function by its code, a number or a text by itself, any other by the code of its class."""
        if isinstance(value, np.generic):
            value = value.item()
        if type(value) in _PLAIN:
            return [repr(value)]
        if id(value) in self._open:
            return ["again"]
        self._open.add(id(value))
        try:
            return self._object(value, is_root, of_one_cell)
        finally:
            self._open.discard(id(value))

    def _object(self, value: Any, is_root: bool, of_one_cell: bool) -> list[str]:
        if isinstance(value, (tuple, list)):
            return ["[", *self._values(*value), "]"]
        if isinstance(value, dict):
            return ["{", *(word for item in value.items() for word in self._values(*item)), "}"]
        if isinstance(value, ModuleType):
            return self._from(value.__name__, [], set())
        if isinstance(value, partial):
            named = [word for name in sorted(value.keywords) for word in (name, *self._value(value.keywords[name]))]
            given = ["(", *self._values(*value.args), ")", *named] if value.args or named else []
            return [*self._value(value.func, is_root, of_one_cell), *given]
        if callable(value) and getattr_static(value, "__wrapped__", None) is not None:
            maker = getattr(value, "__globals__", {}).get("__name__") or type(value).__module__
            return self._value(value.__wrapped__, is_root, of_one_cell or of_framework(str(maker)))
        if isinstance(value, MethodType):
            return [*self._value(value.__self__, is_root), *self._value(value.__func__)]
        if isinstance(value, FunctionType):
            return self._function(value, is_root, of_one_cell)
        if isinstance(value, type):
            return self._class(value, is_root)
        name, home = getattr(value, "__name__", None), getattr(value, "__module__", None) or type(value).__module__
        compiled = self._from(str(home), [str(name)], set()) if callable(value) and name is not None else []
        return [*compiled, *self._value(type(value), is_root)]

    def _values(self, *values: Any) -> list[str]:
        return [word for value in values for word in self._value(value)]

    def _function(self, function: FunctionType, is_root: bool, of_one_cell: bool) -> list[str]:
        code, home = function.__code__, function.__module__ or ""
        first, last = code.co_qualname.partition(".")[0], code.co_qualname.rpartition(".")[2]
        file = _file_of(code.co_filename, home)
        module = self._of_file(home, file, is_root) if file else self._cell(code.co_filename, function.__globals__)
        if module is None:
            return self._from(home, [first], set()) if file else self._compiled(code, function.__globals__)
        closed = [one.cell_contents for one in function.__closure__ or () if _is_filled(one)]
        return [*self._pieces(module, first, code.co_firstlineno, is_root, of_one_cell), last, *self._values(*closed)]

    def _compiled(self, code: CodeType, namespace: Any) -> list[str]:
        """Code whose text is nowhere (``python -c``): its instructions, and what they name."""
        self._has_code = True
        inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        plain = [repr(constant) for constant in code.co_consts if not isinstance(constant, CodeType)]
        found = [code.co_code.hex(), *code.co_names, *plain]
        for name in code.co_names:
            found += self._global(namespace, [name])
        return [*found, *(word for one in inner for word in self._compiled(one, namespace))]

    def _class(self, kind: type, is_root: bool) -> list[str]:
        first, home = kind.__qualname__.partition(".")[0], kind.__module__
        file = held(sys.modules.get(home), "__file__")
        module = self._of_file(home, file, is_root) if isinstance(file, str) else self._cell_of(first, home)
        return self._from(home, [first], set()) if module is None else self._pieces(module, first, 0, is_root, False)

    def _cell_of(self, name: str, home: str) -> Module | None:
        """The last cell of a notebook that defines a class."""
        namespace = getattr(sys.modules.get(home), "__dict__", {})
        for file in reversed(list(linecache.cache)):
            if not os.path.isfile(file) and any(name in line for line in linecache.getlines(file)):
                cell = self._cell(file, namespace)
                if cell is not None and cell.syntax is not None and name in cell.syntax.bindings:
                    return cell
        return None

    def _of_file(self, name: str, file: str, is_root: bool) -> Module | None:
        if not is_root and name != "__main__":
            return self._finder.module(name)
        module = self._finder.own(name, file)
        if is_root:
            self.own = module
        return module

    def _cell(self, file: str, namespace: Any) -> Module | None:
        """Code without a file, as in a notebook: its text is kept by ``linecache``."""
        if file not in self._cells:
            source = "".join(linecache.getlines(file, namespace)).encode("utf-8", "surrogatepass")
            syntax = syntax_of(source, namespace) if source else None
            cell = Module(namespace.get("__name__", ""), namespace.get("__package__") or "", source, syntax)
            self._cells[file] = None if syntax is None else cell
        return self._cells[file]

    def _pieces(self, module: Module, name: str, line: int, is_root: bool, of_one_cell: bool) -> list[str]:
        """The definitions that an object may come from."""
        if module.syntax is None:
            return [self._visit(module, None)]
        found = module.syntax.lambdas(line) if name == "<lambda>" else module.syntax.definitions(name)
        whole = [Piece(module.syntax.tree, module.syntax)]
        return [self._visit(module, one, is_root and (of_one_cell or one.of_one_cell)) for one in found or whole]


def _file_of(path: str, home: str) -> str | None:
    """The file that code comes from: where its text was compiled, or where that has been moved to."""
    if os.path.isfile(path):
        return path
    file = getattr(sys.modules.get(home), "__file__", None)
    is_there = isinstance(file, str) and os.path.basename(file) == os.path.basename(path)
    return file if is_there and os.path.isfile(str(file)) else None


def _is_filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
