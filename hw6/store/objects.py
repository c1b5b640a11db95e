"""The code behind an object: a function by its syntax, a value by its content, anything else as pickle would take it.

An experiment's ``rows`` is such an object, and so is what a closure, a partial application or a notebook's name holds.
"""

from __future__ import annotations

import ast
import copyreg
import hashlib
import linecache
import os
import sys
from enum import Enum
from functools import partial
from inspect import getattr_static
from types import CellType, CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

import numpy as np

from hw6.contract.experiment import Experiment
from hw6.store.references import Walk
from hw6.store.sources import Module, file_of, held, syntax_of
from hw6.store.syntax import FUNCTIONS, Piece, of_framework

_PLAIN = (int, float, complex, str, bytes, bool, type(None), type(...))
_DEEPEST = 100  # objects within objects


class Objects(Walk):
    """The code behind an object.

    Attributes:
        own: the module of the function that makes rows, if it has a file.
    """

    def __init__(self, docs: bool = False) -> None:
        super().__init__(docs)
        self.own: Module | None = None
        self._cells: dict[str, Module | None] = {}
        self._met: dict[tuple[int, bool, bool], tuple[int, Any]] = {}  # objects, kept so that no other has their ids
        self._depth = 0

    def _value(self, value: Any, is_root: bool = False, of_one_cell: bool = False) -> list[str]:
        """An object: a function by its code, any other by the code of its class and by what it holds."""
        if type(value) in _PLAIN:  # repr refuses integers of many digits
            return [hex(value) if type(value) is int else repr(value)]
        if isinstance(value, np.generic):
            return [repr(value.dtype), value.tobytes().hex()]
        key = (id(value), is_root, of_one_cell)
        if key in self._met or self._depth > _DEEPEST:
            return [f"@{self._met[key][0]}" if key in self._met else "deep"]
        self._met[key] = len(self._met), value
        self._depth += 1
        try:
            return self._object(value, is_root, of_one_cell)
        finally:
            self._depth -= 1

    def _object(self, value: Any, is_root: bool, of_one_cell: bool) -> list[str]:
        if type(value) in (tuple, list):
            return ["[", *self._values(*value), "]"]
        if type(value) in (dict, MappingProxyType):
            return ["{", *(word for item in value.items() for word in self._values(*item)), "}"]
        if isinstance(value, ModuleType):
            return self._from(value.__name__, [], set())
        if type(value) is partial:
            named = [word for name in sorted(value.keywords) for word in (name, *self._value(value.keywords[name]))]
            given = ["(", *self._values(*value.args), ")", *named] if value.args or named else []
            return [*self._value(value.func, is_root, of_one_cell), *given]
        if callable(value) and getattr_static(value, "__wrapped__", None) is not None:
            maker = getattr(value, "__globals__", {}).get("__name__") or type(value).__module__
            if of_framework(str(maker)):
                return self._value(value.__wrapped__, is_root, isinstance(value, FunctionType))
            wrapped = self._value(value.__wrapped__, is_root, of_one_cell)
            return [*wrapped, *self._unwrapped(value, False, False)]  # which is found from there
        return self._unwrapped(value, is_root, of_one_cell)

    def _unwrapped(self, value: Any, is_root: bool, of_one_cell: bool) -> list[str]:
        if isinstance(value, MethodType):
            return [*self._value(value.__self__, is_root), *self._value(value.__func__)]
        if isinstance(value, FunctionType):
            return self._function(value, is_root, of_one_cell)
        if isinstance(value, type):
            return self._class(value, is_root)
        name, home = getattr(value, "__name__", None), getattr(value, "__module__", None) or type(value).__module__
        compiled = self._from(str(home), [str(name)], set()) if callable(value) and name is not None else []
        return [*compiled, *self._value(type(value), is_root), *self._content(value)]

    def _content(self, value: Any) -> list[str]:
        """What an object holds, as pickle would take it apart; functions in it count by their code."""
        if isinstance(value, Enum):
            return [str(value.name), repr(value.value) if value.name is None else ""]
        if of_framework(str(type(value).__module__)):
            return self._value(value.rows) if isinstance(value, Experiment) else []
        if type(value) is np.ndarray and not value.dtype.hasobject:
            return [repr(value.dtype), str(value.shape), hashlib.blake2b(value.tobytes()).hexdigest()]
        try:
            if isinstance(value, (set, frozenset)):
                parts: Any = sorted(value, key=lambda one: getattr(one, "__qualname__", "") or repr(one))
            else:
                reduce: Any = copyreg.dispatch_table.get(type(value))
                parts = reduce(value) if reduce else value.__reduce_ex__(4)
                if not isinstance(parts, str):
                    parts = [*parts[:3], *map(list, filter(None, parts[3:5]))]
        except Exception:  # whatever an object does that cannot be taken apart
            return ["unreadable"]
        return self._value(parts)

    def _values(self, *values: Any) -> list[str]:
        return [word for value in values for word in self._value(value)]

    def _function(self, function: FunctionType, is_root: bool, of_one_cell: bool) -> list[str]:
        code, home = function.__code__, function.__globals__.get("__name__") or function.__module__ or ""
        first, last = code.co_qualname.partition(".")[0], code.co_qualname.rpartition(".")[2]
        file = file_of(code.co_filename, home)
        module = self._of_file(home, file, is_root) if file else self._cell(code.co_filename, function.__globals__)
        if module is None:
            return self._from(home, [first], set()) if file else self._compiled(code, function.__globals__)
        root = last if is_root and of_one_cell else ""
        held_by = [one.cell_contents for one in function.__closure__ or () if _is_filled(one)]
        if not root and "<" in code.co_qualname:  # made anew each time: its defaults are not those of the text
            held_by += [function.__defaults__, function.__kwdefaults__]
        return [*self._pieces(module, first, code.co_firstlineno, root), last, *self._values(*held_by)]

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
        return self._from(home, [first], set()) if module is None else self._pieces(module, first, 0)

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

    def _pieces(self, module: Module, name: str, line: int, root: str = "") -> list[str]:
        """The definitions that an object may come from: of the top level, else those within, else the whole."""
        if module.syntax is None:
            return [self._visit(module, None)]
        syntax = module.syntax
        whole, found = Piece(syntax.tree, syntax), [one for one in syntax.bindings.get(name, ()) if type(one) is Piece]
        if not found:
            inner: list[Any] = list(ast.walk(syntax.tree))
            if name == "<lambda>":
                inner = [one for one in inner if type(one) is ast.Lambda and line in (one.lineno, one.body.lineno)]
            else:
                inner = [one for one in inner if type(one) in (ast.ClassDef, *FUNCTIONS) and one.name == name]
            found = [Piece(one, syntax) for one in inner]
        return [self._visit(module, one, root) for one in found or [whole]]


def _is_filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
