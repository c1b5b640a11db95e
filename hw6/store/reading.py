"""What a piece of code says: a digest of its words, and the names that it uses from outside itself.

Words are names, operators, constants, in order. Docstrings, annotations and the texts of messages are none. The walk is
one loop over a stack, which no depth of nesting can break: what is pushed last is read next.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from typing import Any

from hw6.store.syntax import Import, Piece, Reference, Syntax, dotted, imported

# Annotations of parameters and results are not reached at all: parameters are read by their names.
_NO_WORDS = frozenset({"ctx", "type_comment", "kind", "type_params", "returns"})
_LOGGING = frozenset({"debug", "info", "warning", "warn", "error", "critical", "exception", "log"})
_LOGGERS = ("log", "logger", "logging")
_kinds: dict[type, tuple[str, tuple[str, ...]]] = {}  # the word of a kind of node, and its fields from last to first


class _Scope:
    """Names of a function, a class or a comprehension; the outermost one is the module."""

    __slots__ = ("bound", "imports", "is_class", "outer", "used")

    def __init__(self, bound: set[str], is_class: bool = False) -> None:
        self.bound, self.is_class = bound, is_class
        self.outer: dict[str, bool] = {}  # names declared global (True) or nonlocal
        self.imports: dict[str, list[Import]] = {}
        self.used: dict[str, None] = {}


class _Close:
    """Pushed below the words of a scope."""


class _Quiet(int):
    """Pushed around texts that are messages: 1 before, -1 after."""


_CLOSE, _QUIETER, _LOUDER = _Close(), _Quiet(1), _Quiet(-1)


def read(piece: Piece, *, without_defaults: bool = False) -> tuple[bytes, tuple[Reference, ...]]:
    """The digest of a piece's words and the names that it uses; the defaults of its own parameters may be left out."""
    if without_defaults not in piece.known:
        reader = _Reader(piece.syntax, piece.node if without_defaults else None)
        reader.read(piece.node)
        digest = hashlib.blake2b("\n".join(reader.words).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        piece.known[without_defaults] = digest, tuple(reader.references)
    return piece.known[without_defaults]


class _Reader:
    def __init__(self, syntax: Syntax, root: ast.AST | None) -> None:
        self.syntax, self.root = syntax, root
        self.words: list[str] = []
        self.references: dict[Reference, None] = {}
        self.stack: list[Any] = []
        self.scopes = [_Scope(set())]
        self.quiet = 0

    def read(self, node: ast.AST) -> None:
        """Read all words of a node, in order."""
        stack, say, get = self.stack, self.words.append, _HANDLERS.get
        stack.append(node)
        while stack:
            item = stack.pop()
            kind = item.__class__
            if kind is str:
                say(item)
            elif kind is ast.Name:
                say(item.id)
                if item.ctx.__class__ is ast.Load:
                    self.scopes[-1].used[item.id] = None
                else:
                    self.scopes[-1].bound.add(item.id)
            else:
                get(kind, _Reader.plain)(self, item)
        self.references |= {Reference(name): None for name in self.scopes[0].used}

    def plain(self, node: ast.AST) -> None:
        """A node whose fields are read one after another."""
        kind, push = node.__class__, self.stack.append
        known = _kinds.get(kind)
        if known is None:
            fields = tuple(name for name in reversed(kind._fields) if name not in _NO_WORDS)
            known = _kinds[kind] = f"{kind.__name__}(", fields
        self.words.append(known[0])
        for name in known[1]:
            value = getattr(node, name, None)
            if value.__class__ is list:
                push("]")
                self.stack += value[::-1]
            else:
                push(str(value) if value.__class__ is int else value)

    def nothing(self, node: ast.Pass | None) -> None:
        """An optional part that is not there is one word; ``pass`` is none."""
        if node is None:
            self.words.append("-")

    def constant(self, node: ast.Constant) -> None:
        """A number or a text; a text of a message is only said to be there."""
        value = node.value
        if self.quiet and value.__class__ is str:
            self.words.append('""')
        else:  # repr refuses integers of many digits
            self.words.append(hex(value) if value.__class__ is int else f"={value!r}")

    def attribute(self, node: ast.Attribute) -> None:
        """``a.b.c`` is one word and one use; an attribute of anything else is read in parts."""
        names, inner = [node.attr], node.value
        while inner.__class__ is ast.Attribute:
            names.append(inner.attr)
            inner = inner.value
        if inner.__class__ is ast.Name:
            names.append(inner.id)
            chain = ".".join(reversed(names))
            self.words.append(chain)
            self.scopes[-1].used[chain] = None
        else:
            self.words.extend((".", *names, "]"))
            self.stack.append(inner)

    def joined(self, node: ast.JoinedStr) -> None:
        """An f-string; of a message only the values."""
        if not self.quiet:
            self.plain(node)
            return
        self.words.append('""')
        self.stack.append("]")
        self.stack.extend(one.value for one in reversed(node.values) if isinstance(one, ast.FormattedValue))

    def call(self, node: ast.Call) -> None:
        """A call; the texts in that of ``print``, ``warnings.warn`` and logging are messages."""
        if self.is_message(node.func):
            self.quiet += 1
            self.stack.append(_LOUDER)
        self.plain(node)

    def is_message(self, called: ast.expr) -> bool:
        """Whether a call only tells something."""
        if isinstance(called, ast.Name):
            if called.id == "print":
                return "print" not in self.syntax.bindings
            return called.id == "warn" and self.syntax.imports_from("warn", "warnings")
        if not isinstance(called, ast.Attribute) or called.attr not in _LOGGING:
            return False
        of = called.value
        name = of.attr if isinstance(of, ast.Attribute) else of.id if isinstance(of, ast.Name) else ""
        if called.attr == "warn" and (name == "warnings" or self.syntax.imports_from(name, "warnings")):
            return True
        return name.lower().endswith(_LOGGERS) or dotted(of) in {"logging.getLogger", "getLogger"}

    def raised(self, node: ast.Raise) -> None:
        """What is raised: texts are messages."""
        self.quiet += 1
        self.stack.append(_LOUDER)
        self.plain(node)

    def asserted(self, node: ast.Assert) -> None:
        """What is asserted; texts in what it says otherwise are messages."""
        self.words.append("Assert(")
        self.stack += (_LOUDER, node.msg, _QUIETER, node.test)

    def turn(self, by: _Quiet) -> None:
        """From here on texts are messages, or are so no longer."""
        self.quiet += by

    def expression(self, node: ast.Expr) -> None:
        """A statement that is an expression; a constant alone (a docstring) says nothing."""
        if node.value.__class__ is not ast.Constant:
            self.plain(node)

    def annotated(self, node: ast.AnnAssign) -> None:
        """``x: int = 1`` says what ``x = 1`` says, except in the body of a class, where it may make a field."""
        scope = self.scopes[-1]
        if scope.is_class:
            self.plain(node)
        elif node.value is not None:
            self.words.append("Assign(")
            self.stack += (node.value, "]", node.target)
        elif isinstance(node.target, ast.Name):
            scope.bound.add(node.target.id)

    def augmented(self, node: ast.AugAssign) -> None:
        """``x += 1`` uses x too."""
        if isinstance(node.target, ast.Name):
            self.scopes[-1].used[node.target.id] = None
        self.plain(node)

    def function(self, node: Any) -> None:
        """A function or a lambda: decorators and defaults are outside it, parameters and body inside."""
        is_lambda, given = node.__class__ is ast.Lambda, node.args
        if not is_lambda:
            self.scopes[-1].bound.add(node.name)
        plain, only = [one.arg for one in (*given.posonlyargs, *given.args)], [one.arg for one in given.kwonlyargs]
        names = [*plain, *only, *(one.arg for one in (given.vararg, given.kwarg) if one is not None)]
        shape = (len(given.posonlyargs), len(plain), bool(given.vararg), len(only))
        self.words += (f"{node.__class__.__name__} {getattr(node, 'name', '')}", str(shape), *names)
        body = [node.body] if is_lambda else node.body
        self.stack += (_CLOSE, "]", *reversed(body), _Scope(set(names)))
        if node is not self.root:
            self.stack += ("]", *reversed((*given.defaults, *given.kw_defaults)))
        self.decorated(node)

    def class_(self, node: ast.ClassDef) -> None:
        """A class: its bases are outside it; functions in it do not see its names."""
        self.scopes[-1].bound.add(node.name)
        self.words.append(f"ClassDef {node.name}")
        self.stack += (_CLOSE, "]", *reversed(node.body), _Scope(set(), is_class=True))
        self.stack += ("]", *reversed((*node.bases, *node.keywords)))
        self.decorated(node)

    def decorated(self, node: Any) -> None:
        """Decorators; those of hw6's framework decide no number."""
        for one in reversed(getattr(node, "decorator_list", ())):
            if not self.syntax.is_framework(one):
                self.stack += (one, "@")

    def comprehension(self, node: Any) -> None:
        """A comprehension: its first source is outside it, all else inside."""
        self.words.append(f"{node.__class__.__name__}(")
        first = node.generators[0].iter
        inner: list[Any] = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        for one in reversed(node.generators):
            source = [] if one.iter is first else [one.iter]
            inner = [*source, str(one.is_async), one.target, *one.ifs, "]", *inner]
        self.stack += (_CLOSE, "]", *reversed(inner), _Scope(set()), first)

    def open(self, scope: _Scope) -> None:
        """What follows is in a scope of its own."""
        self.scopes.append(scope)

    def close(self, _: object) -> None:
        """Names that a scope uses and does not bind are used by the next one outside that is no class."""
        scope = self.scopes.pop()
        around = next(one for one in reversed(self.scopes) if not one.is_class)
        for chain in scope.used:
            first = chain.partition(".")[0]
            if scope.outer.get(first):
                self.references[Reference(chain)] = None
            elif first in scope.imports:
                self.references[Reference(chain, tuple(scope.imports[first]))] = None
            elif scope.is_class or first in scope.outer or first not in scope.bound:
                around.used[chain] = None
        self.references |= {Reference(name): None for name, is_global in scope.outer.items() if is_global}

    def imported(self, node: ast.Import | ast.ImportFrom) -> None:
        """An import within a function: it does nothing but say where names come from."""
        scope = self.scopes[-1]
        if len(self.scopes) > 1:  # those of the top level are bindings of the file
            for name, what in imported(node):
                scope.bound.add(name)
                scope.imports.setdefault(name, []).append(what)

    def declared(self, node: ast.Global | ast.Nonlocal) -> None:
        """``global x``, ``nonlocal x``."""
        self.scopes[-1].outer |= dict.fromkeys(node.names, isinstance(node, ast.Global))
        self.plain(node)

    def named(self, node: Any) -> None:
        """A node that binds a name by a text: except ... as x, patterns of match."""
        name = node.rest if isinstance(node, ast.MatchMapping) else node.name
        if name is not None:
            self.scopes[-1].bound.add(name)
        self.plain(node)


_HANDLERS: dict[type, Callable[[_Reader, Any], None]] = {
    type(None): _Reader.nothing,
    ast.Pass: _Reader.nothing,
    ast.Constant: _Reader.constant,
    ast.Attribute: _Reader.attribute,
    ast.JoinedStr: _Reader.joined,
    ast.Call: _Reader.call,
    ast.Raise: _Reader.raised,
    ast.Assert: _Reader.asserted,
    _Quiet: _Reader.turn,
    ast.Expr: _Reader.expression,
    ast.AnnAssign: _Reader.annotated,
    ast.AugAssign: _Reader.augmented,
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda), _Reader.function),
    ast.ClassDef: _Reader.class_,
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), _Reader.comprehension),
    _Scope: _Reader.open,
    _Close: _Reader.close,
    **dict.fromkeys((ast.Import, ast.ImportFrom), _Reader.imported),
    **dict.fromkeys((ast.Global, ast.Nonlocal), _Reader.declared),
    **dict.fromkeys((ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping), _Reader.named),
}
