"""From the function that makes rows to all code that it uses: each definition once, in the order in which it is met.

What is digested is that order and what each definition says, so that names and folders of modules do not count.
"""

from __future__ import annotations

import ast
import hashlib
from collections import deque
from types import ModuleType
from typing import Any

from hw6.store.reading import read
from hw6.store.sources import Finder, Module
from hw6.store.syntax import COMPUTING, FUNCTIONS, Import, Piece, Reading, Reference, Syntax, dotted, of_framework

_Seen = set[tuple[Module, str]]
_WHOLE = frozenset({"globals", "locals", "eval", "exec"})  # what may use any name of its module
_QUIET = frozenset({ast.Constant, ast.Name, ast.Load, ast.Store, ast.Pass, str, type(None)})  # nothing is in these
_ASSIGNMENTS = ("Assign", "AnnAssign", "TypeAlias")
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")
_PURE = (bool, bytes, dict, float, frozenset, int, len, list, object, range, set, slice, str, tuple)
# Calls that leave nothing behind but what they give.
_HARMLESS = frozenset(one.__name__ for one in _PURE) | {
    *("types.MappingProxyType", "dataclasses.field", "enum.auto", "collections.namedtuple", "logging.getLogger"),
    *("typing.TypeVar", "typing.ParamSpec", "typing.NewType"),
}


class Walk:
    """The code behind one object.

    Attributes:
        used: top-level names of packages that it uses and that are not followed.
        reads_docs: whether some of it uses docstrings; they count only where that was said at the start.
    """

    def __init__(self, docs: bool = False) -> None:
        self.used: set[str] = set()
        self.reads_docs = False
        self._docs = docs
        self._finder = Finder()
        self._digest = hashlib.blake2b(digest_size=8)
        self._places: dict[tuple[Module, int, str, bool], int] = {}  # of a piece in the order
        self._pending: deque[tuple[Module, Piece | None, Reading]] = deque()
        self._reached: set[Module] = set()
        self._whole: dict[Module, int] = {}
        self._prints: dict[Module, bool] = {}
        self._is_type = False  # whether the name that is followed is the type of a key
        self._has_code = False  # without a text

    def digest(self, made_by: Any) -> str | None:
        """The digest of all code behind an object; None where there is none, as of a compiled function."""
        self._say(self._value(made_by, is_root=True))
        if not self._places and not self._has_code:
            return None
        while self._pending:
            module, piece, how = self._pending.popleft()
            if piece is None:
                self._digest.update(module.source)
                continue
            if module not in self._prints:
                self._prints[module] = not self._resolved(module, Reference("print"))
            words, references, reads_docs = read(piece, how._replace(prints=self._prints[module]))
            self.reads_docs |= reads_docs
            self._digest.update(words)
            for reference in references:
                self._is_type = reference.is_type
                self._say(self._resolved(module, reference))
                self._is_type = False
        return self._digest.hexdigest()

    def _say(self, words: list[str]) -> None:
        self._digest.update("\n".join([*words, ";"]).encode("utf-8", "surrogatepass"))

    def _value(self, value: Any, is_root: bool = False) -> list[str]:
        """What an object is, in words (``hw6.store.code``)."""
        raise NotImplementedError

    def _visit(self, module: Module, piece: Piece | None, root: str = "") -> str:
        """The place of a piece in the order; None stands for a module that can only be taken by its bytes."""
        is_type = self._is_type and piece is not None and type(piece.node).__name__ in _ASSIGNMENTS
        key = (module, id(piece and piece.node), root, is_type)
        if key not in self._places:
            self._places[key] = len(self._places)
            self._pending.append((module, piece, Reading(root, is_type, self._docs)))
            self._reach(module)
        return f"#{self._places[key]}"

    def _reach(self, module: Module) -> None:
        """Importing a module does something, and so does importing the packages that it is in and what it imports."""
        if module in self._reached or module.is_cell:
            return
        self._reached.add(module)
        is_type, self._is_type = self._is_type, False
        above = module.name.rpartition(".")[0]
        if above and (parent := self._finder.module(above)) is not None:
            self._reach(parent)
        if module.syntax is None:
            self._visit(module, None)
        else:
            for one in module.syntax.imports:
                self._load(module, one)
            for piece, makers in effects_of(module.syntax):
                if not makers or any(self._may_keep(module, name) for name in makers):
                    self._visit(module, piece)
        self._is_type = is_type

    def _load(self, module: Module, what: Import) -> None:
        """Reach what an import loads; hw6's own modules only define things."""
        start = module.absolute(what.level, what.module)
        found = None if start.partition(".")[0] == "hw6" else self._finder.module(start)
        is_package = found is not None and found.package == found.name
        inner = self._finder.module(f"{start}.{what.name}") if is_package and what.name else None
        for one in (found, inner):
            if one is not None:
                self._reach(one)

    def _may_keep(self, module: Module, name: str) -> bool:
        """Whether a decorator or a base class is code that is followed: it may keep what it makes for others."""
        bound = () if module.syntax is None else module.syntax.sources(name)
        names = [module.absolute(one.level, one.module) for one in bound if isinstance(one, Import)]
        return len(names) < len(bound) or any(self._finder.module(one) is not None for one in names)

    # --- names ------------------------------------------------------------------------------------------------------

    def _resolved(self, module: Module, reference: Reference) -> list[str]:
        """What a name in a piece of a module stands for, as words of the digest."""
        names = reference.names.split(".")
        if not reference.names:
            for one in reference.imports:
                self._load(module, one)
            return []
        is_any = names[:2] == ["sys", "modules"] or (names[0] in _WHOLE and not module.binds(names[0]))
        whole = self._all_of(module) if is_any and module.syntax is not None else []
        if reference.imports:
            return whole + [word for one in reference.imports for word in self._imported(module, one, names[1:], set())]
        if module.syntax is not None and module.syntax.namespace is not None:
            return whole + self._global(module.syntax.namespace, names)
        return whole + self._named(module, names, set())

    def _global(self, namespace: Any, names: list[str]) -> list[str]:
        """A name of a notebook, by what it stands for now."""
        if names[0] not in namespace:
            return []
        value = namespace[names[0]]
        return self._from(value.__name__, names[1:], set()) if isinstance(value, ModuleType) else self._value(value)

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
        if not names or names[0] == "__dict__":
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


# --- what importing a module does -----------------------------------------------------------------------------------


def effects_of(syntax: Syntax) -> list[tuple[Piece, set[str]]]:
    """What importing a file does, in order; of what may do something only by them, decorators and base classes."""
    if syntax.effects is None:
        syntax.effects = []
        for piece in syntax.pieces:
            makers: set[str] = set()
            does_something = _does_something(piece.node, syntax, makers)
            if does_something or makers:
                syntax.effects.append((piece, set() if does_something else makers))
    return syntax.effects


def _does_something(statement: Any, syntax: Syntax, makers: set[str]) -> bool:
    if isinstance(statement, (ast.ClassDef, *FUNCTIONS)):
        return _leaves_something(statement, syntax, makers)
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        is_called = [getattr(one, "id", "") for one in targets] == ["_"]  # so that a linter takes the answer for used
        return is_called or any(_leaves_something(one, syntax, makers) for one in (*targets, statement.value))
    return not _does_nothing(statement, syntax)


def _leaves_something(what: Any, syntax: Syntax, makers: set[str]) -> bool:
    """Whether a definition or a value leaves something behind; fills in decorators and base classes, which may."""
    pending: list[Any] = [what]
    while pending:
        node = pending.pop()
        kind = node.__class__
        if kind in _QUIET:
            continue
        if kind is ast.ClassDef or kind in FUNCTIONS:
            above = [one for one in node.decorator_list if not syntax.is_framework(one)]
            if any(not dotted(one) or syntax.origins(one) == ["functools.partial"] for one in above):
                return True
            above += (*node.bases, *node.keywords) if kind is ast.ClassDef else ()
            makers |= {one.id for each in above for one in ast.walk(each) if isinstance(one, ast.Name)}
        if kind in FUNCTIONS or kind is ast.Lambda:
            pending += [one for one in (*node.args.defaults, *node.args.kw_defaults) if one is not None]
        elif kind is ast.ClassDef:
            pending += node.body
        elif kind is ast.Call:
            if not syntax.is_framework(node.func):  # a drawing may be made in any way
                if not _is_harmless(node.func, syntax):
                    return True
                pending += [*node.args, *node.keywords]
        elif kind is ast.Global or (kind in (ast.Attribute, ast.Subscript) and isinstance(node.ctx, ast.Store)):
            return True
        else:
            for name, value in node.__dict__.items():
                if value.__class__ is list:
                    pending += value
                elif isinstance(value, ast.AST) and name != "annotation":
                    pending.append(value)
    return False


def _is_harmless(called: ast.expr, syntax: Syntax) -> bool:
    """Whether a call leaves nothing behind; methods of a text do not."""
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Constant):
        return True
    return not isinstance(called, ast.Call) and _HARMLESS.issuperset(syntax.origins(called))


def _does_nothing(statement: ast.AST, syntax: Syntax) -> bool:
    """Whether a statement counts for nothing where it stands: imports, texts, calls of hw6, blocks of such."""
    if type(statement).__name__ in ("Import", "ImportFrom", "Pass", "Global", "TypeAlias"):
        return True
    if isinstance(statement, ast.Expr):
        value = statement.value
        return isinstance(value, ast.Constant) or (isinstance(value, ast.Call) and syntax.is_framework(value))
    if isinstance(statement, ast.AugAssign):
        return dotted(statement.target) == "__all__"
    if isinstance(statement, ast.If) and syntax.is_left_out(statement.test):
        return all(_does_nothing(one, syntax) for one in statement.orelse)
    if isinstance(statement, (ast.ClassDef, *FUNCTIONS)):
        return False
    inner = [one for name in _BODIES for one in getattr(statement, name, ()) if not isinstance(one, ast.Pass)]
    return bool(inner) and all(_does_nothing(one, syntax) for one in inner)
