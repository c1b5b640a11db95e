"""One file of Python by its syntax tree: what it defines, what it imports, and what importing it does.

A piece is a definition, or a statement that does something when the file is imported.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

# Of hw6 itself only what computes is followed; the framework decides no number.
COMPUTING = ("hw6.mathematics", "hw6.layers", "hw6.experiments")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


class Import(NamedTuple):
    """``from ..module import name``, its dots counted; without a name the module itself."""

    level: int
    module: str
    name: str = ""


class Reference(NamedTuple):
    """A dotted name that a piece uses, and where its first part is imported, if that is within the piece."""

    names: str
    imports: tuple[Import, ...] = ()


class Piece:
    """A definition or another statement of a file.

    Attributes:
        node, syntax: its syntax, and that of its file.
        known: what it says, once that was asked for (``hw6.store.reading``); with and without its defaults.
        decorators: dotted names of what decorates it, hw6's own left out.
        of_one_cell: whether hw6 decorates it.
    """

    def __init__(self, node: ast.AST, syntax: Syntax) -> None:
        self.node, self.syntax = node, syntax
        self.known: dict[bool, tuple[bytes, tuple[Reference, ...]]] = {}
        written = getattr(node, "decorator_list", ())
        kept = [one for one in written if not syntax.is_framework(one)] if written else ()
        self.decorators = [called for one in kept if (called := dotted(one))]
        self.of_one_cell = len(kept) < len(written)


class Syntax:
    """A parsed file, or a cell of a notebook.

    Attributes:
        namespace: of a cell, the names that it finds, as they are now.
        bindings: for each name at its top level, all pieces and imports that may give it.
        stars: the modules from which it imports all names.
        effects: what importing it does, in order, besides imports and definitions.
    """

    def __init__(self, source: bytes, namespace: Mapping[str, Any] | None = None) -> None:
        self.tree = ast.parse(source)
        self.namespace = namespace
        self.bindings: dict[str, list[Piece | Import]] = {}
        self.stars: list[Import] = []
        self.effects: list[Piece] = []
        self._has_walrus = b":=" in source
        self._add(self.tree.body)

    def definitions(self, name: str) -> list[Piece]:
        """The pieces that may give a name; where it is no name of the top level, functions within that have it."""
        found = [one for one in self.bindings.get(name, ()) if isinstance(one, Piece)]
        inner = () if found else ast.walk(self.tree)
        return found or [Piece(node, self) for node in inner if isinstance(node, _DEFINITIONS) and node.name == name]

    def lambdas(self, line: int) -> list[Piece]:
        """The lambda expressions that begin in a line."""
        return [
            Piece(node, self)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Lambda) and line in (node.lineno, node.body.lineno)
        ]

    def is_framework(self, called: ast.AST) -> bool:
        """Whether something, or what it calls, is a name that comes from hw6's framework."""
        first, _, rest = dotted(called).partition(".")
        bound: Sequence[Piece | Import] = self.bindings.get(first, ())
        if self.namespace is not None and first in self.namespace:
            value = self.namespace[first]
            is_module = isinstance(value, ModuleType)
            bound = [
                Import(0, value.__name__) if is_module else Import(0, str(getattr(value, "__module__", "")), first)
            ]
        elif not bound and first and not hasattr(builtins, first):
            bound = [star._replace(name=first) for star in self.stars]
        return any(
            isinstance(one, Import) and not one.level and of_framework(".".join(filter(None, (*one[1:], rest))))
            for one in bound
        )

    def imports_from(self, name: str, module: str) -> bool:
        """Whether a name of the top level is a module of the library, or comes from it."""
        return any(isinstance(one, Import) and one.module == module for one in self.bindings.get(name, ()))

    def _add(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            if isinstance(statement, ast.If) and _is_left_out(statement.test):
                self._add(statement.orelse)
                continue
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                self._import(statement)
                continue
            piece = Piece(statement, self)
            if isinstance(statement, _DEFINITIONS):
                self._bind(statement.name, piece)
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)) or type(statement).__name__ == "TypeAlias":
                self._assign(statement, piece)
            else:
                self._bind_within(statement, piece)
                if not self._does_nothing(statement):
                    self.effects.append(piece)

    def _bind(self, name: str, what: Piece | Import) -> None:
        known = self.bindings.setdefault(name, [])
        if what not in known:
            known.append(what)

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        for name, what in imported(statement):
            if name == "*":
                self.stars.append(what._replace(name=""))
            else:
                self._bind(name, what)

    def _assign(self, statement: Any, piece: Piece) -> None:
        """Bind what an assignment binds; one that changes an object that is there (``a[0] = 1``) is an effect."""
        if getattr(statement, "value", None) is None:
            return
        names = []
        for target in getattr(statement, "targets", None) or [getattr(statement, "target", None) or statement.name]:
            inner = [target] if isinstance(target, ast.Name) else list(ast.walk(target))
            names += [node.id for node in inner if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
            changes = [node for node in inner if isinstance(node, (ast.Attribute, ast.Subscript))]
            if any(isinstance(node.ctx, ast.Store) for node in changes) and piece not in self.effects:
                self.effects.append(piece)
        for name in names:
            self._bind(name, piece)
        if set(names) == {"_"}:  # called for its effect: a linter wants its answer to be used
            self.effects.append(piece)
        if self._has_walrus:
            self._bind_within(statement.value, piece)

    def _bind_within(self, block: ast.AST, piece: Piece) -> None:
        """Bind all names that a compound statement binds, imports as what they are and all others as the whole."""
        pending: list[Any] = [block]
        while pending:
            node = pending.pop()
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._import(node)
            elif isinstance(node, _DEFINITIONS):
                self._bind(node.name, piece)
            elif isinstance(node, ast.Name):
                if isinstance(node.ctx, ast.Store):
                    self._bind(node.id, piece)
            elif isinstance(node, ast.If) and _is_left_out(node.test):
                pending += reversed(node.orelse)
            elif not isinstance(node, ast.Lambda):
                pending += reversed(list(ast.iter_child_nodes(node)))

    def _does_nothing(self, statement: ast.AST) -> bool:
        """Whether a statement counts for nothing where it stands: imports, texts, calls of hw6, blocks of such."""
        if isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass, ast.Global)):
            return True
        if isinstance(statement, ast.Expr):
            value = statement.value
            return isinstance(value, ast.Constant) or (isinstance(value, ast.Call) and self.is_framework(value))
        if isinstance(statement, ast.AugAssign):
            return dotted(statement.target) == "__all__"
        if isinstance(statement, ast.If) and _is_left_out(statement.test):
            return all(map(self._does_nothing, statement.orelse))
        inner = [one for name in _BODIES for one in getattr(statement, name, ())]
        useful = [one for one in inner if not isinstance(one, ast.Pass)]
        return bool(useful) and not isinstance(statement, _DEFINITIONS) and all(map(self._does_nothing, useful))


def imported(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Import]]:
    """The names that an import gives, each with where it comes from."""
    if isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            yield alias.asname or alias.name, Import(statement.level, statement.module or "", alias.name)
        return
    for alias in statement.names:
        if alias.asname:
            yield alias.asname, Import(0, alias.name)
        else:
            first = alias.name.partition(".")[0]
            yield first, Import(0, first)


def dotted(node: ast.AST | None) -> str:
    """``a.b.c`` of an attribute of an attribute of a name, or of a call of such; otherwise nothing."""
    if isinstance(node, ast.Call):
        node = node.func
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(names)]) if isinstance(node, ast.Name) else ""


def of_framework(name: str) -> bool:
    """Whether a dotted name belongs to hw6 and to none of its parts that compute."""
    return name.partition(".")[0] == "hw6" and not any(name == one or name.startswith(f"{one}.") for one in COMPUTING)


def _is_left_out(test: ast.expr) -> bool:
    """Whether a condition is never true where rows are computed: ``TYPE_CHECKING``, ``__name__ == "__main__"``."""
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq) and len(test.comparators) == 1:
        sides = (test.left, test.comparators[0])
        return any(dotted(side) == "__name__" for side in sides) and any(
            isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
        )
    return dotted(test).rpartition(".")[2] == "TYPE_CHECKING"
