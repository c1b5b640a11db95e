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
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
_TYPING = frozenset({"typing", "typing_extensions"})
LOGGING = frozenset({"debug", "info", "warning", "warn", "error", "critical", "exception", "log"})
_STANDARD = frozenset({"sys.stderr", "sys.stdout"})


class Import(NamedTuple):
    """``from ..module import name``, its dots counted; without a name the module itself."""

    level: int
    module: str
    name: str = ""


class Reference(NamedTuple):
    """A dotted name that a piece uses, and where its first part is imported, if that is within the piece.

    Without a name it is an import within the piece that does what it does. ``is_type``: it annotates a key.
    """

    names: str
    imports: tuple[Import, ...] = ()
    is_type: bool = False


class Reading(NamedTuple):
    """How a piece is read.

    Attributes:
        root: the name of the function of one cell in it, whose defaults do not count and whose types do.
        is_type: whether it gives the type of a key.
        docs: whether docstrings count.
        prints: whether ``print`` is the builtin.
    """

    root: str = ""
    is_type: bool = False
    docs: bool = False
    prints: bool = True


class Scope:
    """Names of a function, a class or a comprehension; the outermost one is the module."""

    __slots__ = ("bound", "imports", "is_class", "outer", "used")

    def __init__(self, bound: set[str], is_class: bool = False) -> None:
        self.bound, self.is_class = bound, is_class
        self.outer: dict[str, bool] = {}  # names declared global (True) or nonlocal
        self.imports: dict[str, list[Import]] = {}
        self.used: dict[str, None] = {}


class Piece:
    """A definition or another statement of a file.

    Attributes:
        node, syntax: its syntax, and that of its file.
        known: what it says, once that was asked for (``hw6.store.reading``), for each way to read it.
    """

    def __init__(self, node: ast.AST, syntax: Syntax) -> None:
        self.node, self.syntax = node, syntax
        self.known: dict[Reading, Any] = {}

    def functions(self, name: str) -> set[ast.AST]:
        """The functions of a name: the piece is one, or they are within."""
        own = getattr(self.node, "name", "<lambda>" if isinstance(self.node, ast.Lambda) else "")
        if not name or own == name:
            return {self.node} if name else set()
        inner = (one for one in ast.walk(self.node) if isinstance(one, (*FUNCTIONS, ast.Lambda)))
        return {one for one in inner if getattr(one, "name", "<lambda>") == name}


class Syntax:
    """A parsed file, or a cell of a notebook.

    Attributes:
        namespace: of a cell, the names that it finds, as they are now.
        bindings: for each name at its top level, all pieces and imports that may give it.
        stars: the modules from which it imports all names.
        imports: all that importing it imports, modules by their full names.
        pieces: its statements besides imports, in order.
        effects: those that importing it is for (``hw6.store.references``), once that was asked for, and definitions
            with the names of decorators and base classes that may keep them.
    """

    def __init__(self, source: bytes, namespace: Mapping[str, Any] | None = None) -> None:
        self.tree = ast.parse(source)
        self.namespace = namespace
        self.bindings: dict[str, list[Piece | Import]] = {}
        self.stars: list[Import] = []
        self.imports: dict[Import, None] = {}
        self.pieces: list[Piece] = []
        self.effects: list[tuple[Piece, set[str]]] | None = None
        self._has_walrus = b":=" in source
        if self.tree.body and isinstance(self.tree.body[0], ast.Expr):
            self._bind("__doc__", Piece(self.tree.body[0], self))
        self._add(self.tree.body)
        for node in ast.walk(self.tree) if b"global print" in source else ():  # whoever tells by it tells nothing
            if isinstance(node, ast.Global):
                self._bind(node.names[0], Piece(node, self))

    def sources(self, name: str) -> Sequence[Piece | Import]:
        """What may give a name of the top level; nothing for a builtin."""
        if self.namespace is not None and name in self.namespace:
            value = self.namespace[name]
            is_module = isinstance(value, ModuleType)
            return [Import(0, value.__name__) if is_module else Import(0, str(getattr(value, "__module__", "")), name)]
        found = self.bindings.get(name, ())
        return found if found or hasattr(builtins, name) else [star._replace(name=name) for star in self.stars]

    def origins(self, called: ast.AST, bound: Sequence[Piece | Import] | None = None) -> list[str]:
        """The full dotted names that something, or what it calls, may have; an empty one for what is defined here.

        ``bound`` is what gives its first part; left out, what does at the top level.
        """
        first, _, rest = dotted(called).partition(".")
        bound = self.sources(first) if bound is None and first else bound or ()
        if not bound:
            return [f"{first}.{rest}".strip(".")]
        return [
            "." * one.level + ".".join(filter(None, (*one[1:], rest))) if isinstance(one, Import) else ""
            for one in bound
        ]

    def is_framework(self, called: ast.AST) -> bool:
        """Whether something, or what it calls, is a name that comes from hw6's framework."""
        return any(map(of_framework, self.origins(called)))

    def _add(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            if isinstance(statement, ast.If) and self.is_left_out(statement.test):
                self._add(statement.orelse)
                continue
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                self._import(statement)
                continue
            piece = Piece(statement, self)
            self.pieces.append(piece)
            if isinstance(statement, _DEFINITIONS):
                self._bind(statement.name, piece)
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)) or type(statement).__name__ == "TypeAlias":
                self._assign(statement, piece)
            else:
                self._bind_within(statement, piece)

    def _bind(self, name: str, what: Piece | Import) -> None:
        known = self.bindings.setdefault(name, [])
        if what not in known:
            known.append(what)

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        self.imports |= dict.fromkeys(loaded_by(statement))
        for name, what in imported(statement):
            if name == "*":
                self.stars.append(what._replace(name=""))
            else:
                self._bind(name, what)

    def _assign(self, statement: Any, piece: Piece) -> None:
        """Bind what an assignment binds."""
        if getattr(statement, "value", None) is None:
            return
        for target in getattr(statement, "targets", None) or [getattr(statement, "target", None) or statement.name]:
            for node in [target] if isinstance(target, ast.Name) else ast.walk(target):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    self._bind(node.id, piece)
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
            elif isinstance(node, ast.If) and self.is_left_out(node.test):
                pending += reversed(node.orelse)
            elif not isinstance(node, ast.Lambda):
                pending += reversed(list(ast.iter_child_nodes(node)))

    def is_left_out(self, test: ast.expr) -> bool:
        """Whether a condition is never true where rows are computed: ``TYPE_CHECKING``, ``__name__ == "__main__"``."""
        if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq) and len(test.comparators) == 1:
            sides = (test.left, test.comparators[0])
            return any(self.origins(side) == ["__name__"] for side in sides) and any(
                isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
            )
        return dotted(test) != "" and all(
            one.rpartition(".")[0] in _TYPING and one.endswith(".TYPE_CHECKING") for one in self.origins(test)
        )


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


def loaded_by(statement: ast.Import | ast.ImportFrom) -> list[Import]:
    """What an import loads: modules by their full names, and names that may be modules of theirs."""
    if isinstance(statement, ast.ImportFrom):
        return [Import(statement.level, statement.module or "", one.name) for one in statement.names]
    return [Import(0, one.name) for one in statement.names]


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


def is_telling(call: ast.Call, syntax: Syntax, bound: Sequence[Piece | Import], prints: bool) -> bool:
    """Whether a call only tells something: ``print`` as the builtin, warnings.warn, a method of logging or a logger.

    ``bound`` is what gives the first part of its name. What is printed to a file may be read again.
    """
    called = call.func
    of = called.value if isinstance(called, ast.Attribute) else called
    if dotted(called) == "print":
        to = [dotted(one.value) for one in call.keywords if one.arg in ("file", None)]
        return prints and not bound and _STANDARD.issuperset(to)
    made = [getattr(one.node, "value", None) for one in bound if isinstance(one, Piece)]
    if isinstance(of, ast.Call) or made:
        loggers = [of] if isinstance(of, ast.Call) else made
        known = [syntax.origins(one) if isinstance(one, ast.Call) else [] for one in loggers]
        is_one = isinstance(called, ast.Attribute) and called.attr in LOGGING and len(made) in (0, len(bound))
        return is_one and all(one == ["logging.getLogger"] for one in known)
    found = syntax.origins(called, bound)
    return bool(bound) and all(one == "warnings.warn" or one.startswith("logging.") for one in found)


def typed(node: ast.expr, syntax: Syntax) -> Iterator[str | Reference]:
    """The type of a key without what stands beside it in ``Annotated``; of ``Literal`` the types of its values."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            yield from typed(ast.parse(node.value.strip(), mode="eval").body, syntax)
        except (SyntaxError, ValueError):
            yield repr(node.value)
    elif isinstance(node, (ast.Name, ast.Attribute)) and dotted(node):
        yield Reference(dotted(node), is_type=True)
    elif isinstance(node, ast.Subscript):
        name = syntax.origins(node.value)[0].rpartition(".")[2]
        inner: Sequence[ast.expr] = getattr(node.slice, "elts", (node.slice,))
        if name == "Literal":
            yield ",".join(sorted({type(one.value).__name__ for one in inner if isinstance(one, ast.Constant)}))
            inner = [one for one in inner if not isinstance(one, ast.Constant)]
        for one in inner[:1] if name == "Annotated" else (node.value, *inner):
            yield from typed(one, syntax)
        yield "]"
    elif isinstance(node, ast.BinOp):
        yield from (*typed(node.left, syntax), "|", *typed(node.right, syntax))
    else:
        yield ast.dump(node)
        yield from (Reference(one.id, is_type=True) for one in ast.walk(node) if isinstance(one, ast.Name))
