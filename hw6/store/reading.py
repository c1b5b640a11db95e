"""What a piece of code says: a digest of its words, and the names that it uses from outside itself.

Words are names, operators, constants, in order. Docstrings, annotations and the texts of messages are none, but for the
types of keys. The walk is one loop over a stack, which no depth of nesting can break: what is pushed last is read next.
On it are nodes, words (texts), scopes, each closed by an ellipsis, and arguments of messages, each in a tuple.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from typing import Any

from hw6.store.syntax import (
    LOGGING,
    Import,
    Piece,
    Reading,
    Reference,
    Scope,
    dotted,
    imported,
    is_telling,
    loaded_by,
    typed,
)

_NO_WORDS = frozenset({"ctx", "type_comment", "kind", "type_params", "returns"})
_IMPORTING, _TELLING = frozenset({"import_module", "__import__"}), frozenset({"print", *LOGGING})
_kinds: dict[type, tuple[str, tuple[str, ...]]] = {}  # the word of a kind of node, and its fields from last to first


def read(piece: Piece, how: Reading) -> tuple[bytes, tuple[Reference, ...], bool]:
    """The digest of a piece's words, the names that it uses, and whether it uses docstrings."""
    if how not in piece.known:
        reader = _Reader(piece, how)
        if how.is_type:
            reader.type_(piece.node.value)  # type: ignore[attr-defined]
        else:
            reader.read(piece.node)
        if reader.is_shadowed:  # a function that tells nothing has the name of one that does
            reader = _Reader(piece, how, has_messages=False)
            reader.read(piece.node)
        text = "\n".join(reader.words).encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(text, digest_size=16).digest()
        piece.known[how] = digest, tuple(reader.references), b"__doc__" in text or b"getdoc" in text
    return piece.known[how]  # type: ignore[no-any-return]


class _Reader:
    def __init__(self, piece: Piece, how: Reading, has_messages: bool = True) -> None:
        self.syntax, self.how, self.has_messages = piece.syntax, how, has_messages
        self.roots = piece.functions(how.root)
        self.words: list[str] = []
        self.references: dict[Reference, None] = {}
        self.stack: list[Any] = []
        self.scopes = [Scope(set())]
        self.tellers: set[str] = set()  # first parts of names of functions that are taken to tell something
        self.is_shadowed = False

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
                push(str(value) if value.__class__ in (int, bool) else value)

    def nothing(self, node: ast.Pass | None) -> None:
        """An optional part that is not there is one word; ``pass`` is none."""
        if node is None:
            self.words.append("-")

    def constant(self, node: ast.Constant) -> None:
        """A number or a text; repr refuses integers of many digits."""
        value = node.value
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

    def call(self, node: ast.Call) -> None:
        """A call; the texts in that of ``print``, ``warnings.warn`` and logging are messages."""
        called = node.func
        last = called.attr if called.__class__ is ast.Attribute else getattr(called, "id", "")
        if last in _TELLING and self.has_messages:
            first = dotted(getattr(called, "value", called)).partition(".")[0]
            scope = next((one for one in reversed(self.scopes) if first in one.imports or first in one.bound), None)
            bound = self.syntax.sources(first) if scope is None else scope.imports.get(first, ())
            self.tellers.add(first)  # where it is bound, all is read once more
            if is_telling(node, self.syntax, bound, self.how.prints):
                self.told(node)
                return
        elif last in _IMPORTING and node.args and isinstance(node.args[0], ast.Constant):
            name = str(node.args[0].value)
            what = Import(len(name) - len(name.lstrip(".")), name.lstrip("."))
            self.references[Reference(last, (what,))] = None
        elif last == "vars" and not node.args:
            self.scopes[-1].used["locals"] = None
        self.plain(node)

    def told(self, node: Any) -> None:
        """A call whose arguments are messages."""
        self.words.append("Call(")
        self.stack += ("]", *reversed(node.keywords), "]", *((one,) for one in reversed(node.args)), node.func)

    def text(self, item: tuple[ast.expr]) -> None:
        """An argument of a message: its texts are only said to be there, of f-strings the values count."""
        node = item[0]
        if isinstance(getattr(node, "value", None), str) or isinstance(node, ast.JoinedStr):
            self.words.append('""')
            parts = reversed(getattr(node, "values", ()))
            self.stack += ("]", *(one.value for one in parts if isinstance(one, ast.FormattedValue)))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
            self.stack += ((node.right,) if isinstance(node.op, ast.Add) else node.right, (node.left,), node.op)
        else:
            self.stack.append(node)

    def type_(self, node: ast.expr) -> None:
        """The type of a key."""
        found = list(typed(node, self.syntax))
        self.words += [one if isinstance(one, str) else one.names for one in found]
        self.references |= {one: None for one in found if isinstance(one, Reference)}

    def raised(self, node: ast.Raise) -> None:
        """What is raised: texts are messages."""
        self.words.append("Raise(")
        self.stack.append(node.cause)
        (self.told if isinstance(node.exc, ast.Call) else self.stack.append)(node.exc)

    def asserted(self, node: ast.Assert) -> None:
        """What is asserted; texts in what it says otherwise are messages."""
        self.words.append("Assert(")
        self.stack += (node.msg and (node.msg,), node.test)

    def expression(self, node: ast.Expr) -> None:
        """A statement that is an expression; a constant alone (a docstring) says nothing."""
        if node.value.__class__ is not ast.Constant or self.how.docs:
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
        self.stack += (..., "]", *reversed(body), Scope(set(names)))
        if node in self.roots:  # always given all its parameters, in the types that these say
            for one in (*given.posonlyargs, *given.args, *given.kwonlyargs):
                self.type_(one.annotation or ast.Constant(None))
        else:
            self.stack += ("]", *reversed((*given.defaults, *given.kw_defaults)))
        self.decorated(node)

    def class_(self, node: ast.ClassDef) -> None:
        """A class: its bases are outside it; functions in it do not see its names."""
        self.scopes[-1].bound.add(node.name)
        self.words.append(f"ClassDef {node.name}")
        self.stack += (..., "]", *reversed(node.body), Scope(set(), is_class=True))
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
        self.stack += (..., "]", *reversed(inner), Scope(set()), first)

    def close(self, _: object) -> None:
        """Names that a scope uses and does not bind are used by the next one outside that is no class."""
        scope = self.scopes.pop()
        if self.tellers and not self.tellers.isdisjoint((*scope.bound, *scope.outer)):
            self.is_shadowed = True
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
        """An import within a function: it says where names come from, and does what it does."""
        scope = self.scopes[-1]
        if len(self.scopes) > 1:  # those of the top level are bindings of the file
            self.references[Reference("", tuple(loaded_by(node)))] = None
            for name, what in imported(node):
                self.is_shadowed |= name == "print"
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
    ast.Call: _Reader.call,
    ast.Raise: _Reader.raised,
    ast.Assert: _Reader.asserted,
    tuple: _Reader.text,
    ast.Expr: _Reader.expression,
    ast.AnnAssign: _Reader.annotated,
    ast.AugAssign: _Reader.augmented,
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda), _Reader.function),
    ast.ClassDef: _Reader.class_,
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), _Reader.comprehension),
    Scope: lambda reader, scope: reader.scopes.append(scope),
    type(...): _Reader.close,
    **dict.fromkeys((ast.Import, ast.ImportFrom), _Reader.imported),
    **dict.fromkeys((ast.Global, ast.Nonlocal), _Reader.declared),
    **dict.fromkeys((ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping), _Reader.named),
}
