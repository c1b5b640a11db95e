"""The digest of an experiment's code moves with what decides a row, and with nothing else."""

from __future__ import annotations

import ast
import functools
import linecache
import os
import py_compile
import re
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from importlib import import_module, invalidate_caches, reload
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas
import pytest
from recipes import THIRD_PARTY, install_package

from hw6.contract.experiment import Experiment
from hw6.contract.files import load as load_file
from hw6.contract.registry import EXPERIMENTS, experiment_named
from hw6.errors import Hw6Error
from hw6.store import sources
from hw6.store.code import code_digests, code_of, comparable
from hw6.store.references import effects_of
from hw6.store.syntax import COMPUTING, Syntax

Write = Callable[..., Path]
Load = Callable[..., ModuleType]

EXPERIMENT = '''"""An experiment."""
import logging
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import hw6
import numpy as np

from . import core
from .core import wave as shape
from .deep.inner import far
from .table import *

if TYPE_CHECKING:
    from .drawn import Colour

log = logging.getLogger(__name__)
SCALE: float = 2.0
FIRST, SECOND = 1, 2
LABELS = {"total": "a number"}
SIZES = {}
SIZES["small"] = 3
np.seterr(under="ignore")
for unused in range(2):
    pass
with suppress(ImportError):
    import lab_of_nobody


@dataclass
class Settings:
    """Settings."""

    depth: int = 3

    def doubled(self) -> int:
        """Twice the depth."""
        return 2 * self.depth


@lru_cache(maxsize=8)
def helper(x: float, power: int = 2) -> float:
    """Help."""
    if power < 0:
        raise ValueError(f"no power {power:d}")
    assert x == x, "it is nan"
    if power > 100:
        warnings.warn("a large power", stacklevel=2)
        log.info("the power is %s", power)
        print("a large power:", power)
    drawing = x**power
    return drawing


def rows(cells):
    """Rows."""
    from .late import later

    n = cells["n"]  # numbers
    values = [helper(one) for one in n.tolist()]
    first: int = FIRST
    total = core.add(shape(n), np.array(values)) + far(SCALE)
    rest = Settings().doubled() + first + later(entry) + KINDS["a"](1)
    return {"total": total + rest}


def drawing(values):
    return LABELS


def price(cells):
    return 1.0


@core.kind("a")
def of_kind_a(x):
    return x + 17


def main():
    print(LABELS)


if __name__ == "__main__":
    main()
'''
LAB = {
    "__init__.py": '"""A lab."""\nfrom .exp import rows\n\n__version__ = "1"\n',
    "exp.py": EXPERIMENT.replace("import *", "import *\nfrom .core import KINDS"),
    "core.py": "from math import sin\n\nimport hw6\n\nfrom . import exp\n\nKINDS = {}\nUNUSED = 1\n\n\n"
    "def kind(name):\n    def keep(function):\n        KINDS[name] = function\n        return function\n\n"
    "    return keep\n\n\ndef add(a, b):\n    return a + b\n\n\ndef wave(x):\n    return sin(1.0) * x\n",
    "deep/__init__.py": "WIDTH = 5\nprint\n",
    "deep/inner.py": "from ..shared import FACTOR\nfrom .. import shared\n\n\n"
    "def far(x):\n    return x * FACTOR * shared.again()\n",
    "shared.py": "import random\n\nFACTOR = 3\nrandom.random()\n\n\n"
    "def again():\n    return 11\n\n\ndef other():\n    return 12\n",
    "table.py": "entry = 6\nnone = 7\n",
    "late.py": "def later(x):\n    return x / 2\n",
    "drawn.py": "Colour = str\n",
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Files, by their paths, in a folder for the search path."""

    def written(files: dict[str, str], into: str = "site") -> Path:
        for name, text in files.items():
            path = tmp_path / into / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path / into

    return written


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Modules from a folder; what that has loaded is forgotten with the test."""
    before = set(sys.modules)

    def forget() -> None:
        for name in set(sys.modules) - before:
            if name.startswith("lab"):
                del sys.modules[name]

    def loaded(folder: Path, name: str) -> ModuleType:
        forget()
        monkeypatch.syspath_prepend(folder)
        invalidate_caches()
        return import_module(name)

    yield loaded
    forget()


def digest(rows: Any) -> str:
    found = code_of(replace(THIRD_PARTY, rows=rows)).digest
    assert found is not None
    return found


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} is in {path.name} {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")
    py_compile.compile(str(path), doraise=True)  # what cannot be parsed would always move a digest
    sources._imported.clear()  # as in another process, which has imported what is there now


CHECK = '    if power < 0:\n        raise ValueError(f"no power {power:d}")\n'
ASSERTION = '    assert x == x, "it is nan"\n'
RELATIVE = ("from ..shared import FACTOR\n", "from .. import shared\n")
MOVING = {
    "a number": ("exp.py", "power: int = 2", "power: int = 3"),
    "an operator": ("core.py", "a + b", "a - b"),
    "a key that is read": ("exp.py", 'cells["n"]', 'cells["x"]'),
    "a name of a column": ("exp.py", 'return {"total"', 'return {"odd"'),
    "a constant": ("exp.py", "SCALE: float = 2.0", "SCALE: float = 2.5"),
    "one constant of two": ("exp.py", "FIRST, SECOND = 1, 2", "FIRST, SECOND = 2, 1"),
    "a local constant": ("exp.py", "= FIRST\n", "= SECOND\n"),
    "an order of statements": ("exp.py", f"{CHECK}{ASSERTION}", f"{ASSERTION}{CHECK}"),
    "what is asserted": ("exp.py", "assert x == x", "assert x >= x"),
    "the kind of an exception": ("exp.py", "raise ValueError(", "raise TypeError("),
    "a decorator": ("exp.py", "@lru_cache(maxsize=8)", "@lru_cache(maxsize=9)"),
    "a decorator that goes": ("exp.py", "@lru_cache(maxsize=8)\n", ""),
    "a default of a field": ("exp.py", "depth: int = 3", "depth: int = 4"),
    "an annotation that makes a field": ("exp.py", "depth: int = 3", "depth = 3"),
    "a method": ("exp.py", "2 * self.depth", "3 * self.depth"),
    "an import of something else": ("core.py", "from math import sin", "from math import cos as sin"),
    "a function under another name": ("core.py", "sin(1.0) * x", "sin(1.5) * x"),
    "a module two levels up": ("shared.py", "FACTOR = 3", "FACTOR = 4"),
    "a function of a module two levels up": ("shared.py", "return 11", "return 13"),
    "a name imported with all others": ("table.py", "entry = 6", "entry = 8"),
    "a function imported in a function": ("late.py", "x / 2", "x / 3"),
    "a function that is found in a register": ("exp.py", "x + 17", "x + 18"),
    "what an import does": ("exp.py", 'np.seterr(under="ignore")', 'np.seterr(under="warn")'),
    "an import that does something": ("shared.py", "random.random()", "random.seed(2)"),
    "a loop when it is imported": ("exp.py", "range(2)", "range(3)"),
    "an entry of a table": ("exp.py", 'SIZES["small"] = 3', 'SIZES["small"] = 4'),
    "what a package does": ("deep/__init__.py", "print\n", "print, len\n"),
    "something more on import": ("core.py", "UNUSED = 1\n", "UNUSED = 1\nUNUSED += 1\n"),
}  # fmt: skip
STAYING = {
    "a comment": ("exp.py", "# numbers", "# all numbers"),
    "blank lines": ("exp.py", "def drawing(values):", "\n\n\ndef drawing(values):"),
    "a line that is broken": ("exp.py", '{"total": total + rest}', '{\n        "total": total\n        + rest,\n    }'),
    "a docstring of the module": ("exp.py", '"""An experiment."""', '"""Another one."""'),
    "a docstring of a function": ("exp.py", '"""Rows."""', '"""All rows."""'),
    "a docstring that goes": ("exp.py", '    """Twice the depth."""\n    ', ""),
    "a label": ("exp.py", '"a number"', '"a real number"'),
    "a drawing": ("exp.py", "return LABELS", "return None"),
    "a price": ("exp.py", "return 1.0", "return 2.0"),
    "an annotation of a parameter": ("exp.py", "x: float, power", "x: complex, power"),
    "an annotation of a result": ("exp.py", "power: int = 2) -> float:", "power: int = 2):"),
    "an annotation of a constant": ("exp.py", "SCALE: float = 2.0", "SCALE = 2.0"),
    "an annotation of a variable": ("exp.py", "first: int = FIRST", "first = FIRST"),
    "a message of an exception": ("exp.py", 'f"no power {power:d}"', 'f"{power:.1f} is no power"'),
    "a message of an assertion": ("exp.py", '"it is nan"', '"it is not a number"'),
    "a warning": ("exp.py", 'warn("a large power"', 'warn("a power that is large"'),
    "a line of a log": ("exp.py", '"the power is %s"', '"power: %s"'),
    "a line that is printed": ("exp.py", 'print("a large power:"', 'print("large:"'),
    "a constant that is not used": ("core.py", "UNUSED = 1", "UNUSED = 2"),
    "a new function": ("core.py", "UNUSED = 1", "def unused():\n    return 1"),
    "a function beside one that is used": ("shared.py", "return 12", "return 14"),
    "a name beside one that is used": ("table.py", "none = 7", "none = 8"),
    "an order of functions": ("table.py", "entry = 6\nnone = 7\n", "none = 7\nentry = 6\n"),
    "an order of imports": ("deep/inner.py", "".join(RELATIVE), "".join(reversed(RELATIVE))),
    "an import that is not used": ("exp.py", "import hw6\n", "import hw6\nimport random\nimport lab_of_nobody\n"),
    "an import for annotations": ("exp.py", "    from .drawn import Colour", "    from .drawn import Colour as Shade"),
    "a script": ("exp.py", "    main()\n", "    main()\n    main()\n"),
    "a call of hw6": ("exp.py", "\ndef main():", "\nhw6.register(LABELS)\n\n\ndef main():"),
    "a loop of calls of hw6": ("core.py", "UNUSED = 1", "for one in ():\n    hw6.register(one)"),
    "a module that is only drawn with": ("drawn.py", "Colour = str", "Colour = bytes"),
    "a version in a package": ("__init__.py", '"1"', '"2"'),
    "a constant of a package": ("deep/__init__.py", "WIDTH = 5", "WIDTH = 6"),
}  # fmt: skip


@pytest.fixture
def lab(write: Write, load: Load) -> tuple[Path, Callable[..., Any]]:
    folder = write({f"lab_moving/{name}": text for name, text in LAB.items()})
    return folder / "lab_moving", load(folder, "lab_moving.exp").rows


@pytest.mark.parametrize("what", list(MOVING))
def test_a_change_of_what_decides_a_row_moves_the_digest(lab: tuple[Path, Callable[..., Any]], what: str) -> None:
    folder, rows = lab
    before = digest(rows)
    file, old, new = MOVING[what]
    changed(folder / file, old, new)
    assert digest(rows) != before


@pytest.mark.parametrize("what", list(STAYING))
def test_a_change_of_anything_else_does_not(lab: tuple[Path, Callable[..., Any]], what: str) -> None:
    folder, rows = lab
    before = digest(rows)
    file, old, new = STAYING[what]
    changed(folder / file, old, new)
    assert digest(rows) == before


CELL = """import hw6
from functools import partial


def price(k):
    return 1.0


def helper(k, power=2):
    return k**power


@hw6.experiment(metrics={"error": "what is measured"}, price=price)
def lab_knn(k: int = 5, seed: int = 0):
    return {"error": helper(k) + seed}
"""


@pytest.mark.parametrize(
    ("old", "new", "moves"),
    [
        ("k: int = 5", "k: int = 7", False),
        ('"what is measured"', '"what it is"', False),
        ("price=price)", "version=2)", False),
        ("@hw6.experiment(metrics", "@hw6.experiment(name='lab_other', metrics", False),
        ("return 1.0", "return 2.0", False),
        ("power=2", "power=3", True),
        ("+ seed", "- seed", True),
        ("@hw6.experiment(", "@partial\n@hw6.experiment(", True),
    ],
)
def test_of_a_function_of_one_cell_neither_defaults_nor_its_decorator_count(
    write: Write, load: Load, old: str, new: str, moves: bool
) -> None:
    """It is always given all its parameters."""
    folder = write({"lab_cell.py": CELL})
    rows = load(folder, "lab_cell").lab_knn.rows
    before = digest(rows)
    changed(folder / "lab_cell.py", old, new)
    assert (digest(rows) != before) is moves


def test_defaults_of_a_plain_function_of_batches_count(write: Write, load: Load) -> None:
    folder = write({"lab_plain.py": "def rows(cells, scale=2):\n    return {}\n"})
    rows = load(folder, "lab_plain").rows
    before = digest(rows)
    changed(folder / "lab_plain.py", "scale=2", "scale=3")
    assert digest(rows) != before


CODE = 'import numpy as np\n\n\ndef f(x):\n    """F."""\n    return np.sin(x)\n\n\ndef g(x):\n    return 1\n'
SINE, OTHER = ("np.sin", "np.cos"), ("g(x)", "h(x)")


def rows_by(imports: str, called: str) -> str:
    return f"{imports}\n\n\ndef rows(cells):\n    return {called}(cells)\n"


FORMS = {
    "a module beside a single file": {"lab_a.py": rows_by("import lab_b", "lab_b.f"), "lab_b.py": CODE},
    "a name that is handed on": {
        "lab_a.py": rows_by("from lab_b import f", "f"),
        "lab_b/__init__.py": "from .c import f, g\n",
        "lab_b/c.py": CODE,
    },
    "folders without a file of their own": {
        "lab_a.py": rows_by("import lab_b.c.d", "lab_b.c.d.f"),
        "lab_b/c/d.py": CODE,
    },
    "a module of a package that has all names of another": {
        "lab_a.py": rows_by("from lab_b import c", "c.f"),
        "lab_b/__init__.py": "from math import *\n",
        "lab_b/c.py": CODE,
    },
    "an import in a block": {
        "lab_a.py": rows_by("try:\n    from lab_none import f\nexcept ImportError:\n    from lab_b import f", "f"),
        "lab_b.py": CODE,
    },
    "all names in a circle": {
        "lab_a.py": rows_by("import lab_b", "lab_b.f"),
        "lab_b.py": "from lab_c import *\nimport lab_a\n",
        "lab_c.py": "from lab_b import *\n" + CODE,
    },
    "a name that a module makes when it is asked for": {
        "lab_a.py": rows_by("import lab_b", "lab_b.f"),
        "lab_b.py": "def __getattr__(name):\n    import lab_c\n    return lab_c.f\n",
        "lab_c.py": CODE,
    },
}


@pytest.mark.parametrize("form", list(FORMS))
def test_names_are_followed_through_imports_of_every_form(write: Write, load: Load, form: str) -> None:
    folder = write(FORMS[form])
    (file,) = [name for name, text in FORMS[form].items() if CODE in text]
    rows = load(folder, "lab_a").rows
    before = digest(rows)
    changed(folder / file, *OTHER)
    assert digest(rows) == before
    changed(folder / file, *SINE)
    assert digest(rows) != before


@pytest.mark.parametrize("called", ["getattr(b, 'f')", "b.__dict__['f']", "vars(b)['f']"])
def test_a_module_that_is_passed_on_counts_as_a_whole(write: Write, load: Load, called: str) -> None:
    folder = write({"lab_a.py": rows_by("import lab_b as b", called), "lab_b.py": CODE})
    rows = load(folder, "lab_a").rows
    before = digest(rows)
    changed(folder / "lab_b.py", '"F."', '"G."')
    assert digest(rows) == before
    changed(folder / "lab_b.py", *OTHER)
    assert digest(rows) != before


SCOPES = """def f(): return 1
def rows(cells): return %s
"""


@pytest.mark.parametrize(
    ("body", "uses"),
    [
        ("f()", True),
        ("[f for f in cells]", False),
        ("[f for f in f()]", True),
        ("[x for x in cells if f()]", True),
        ("(lambda f: f())(cells)", False),
        ("(lambda x=f: x)(cells)", True),
        ("cells.f()", False),
        ("cells[f]", True),
        ("g(cells)\ndef g(f):\n    def h(): return f()\n    return h()", False),
        ("g(cells)\ndef g(x):\n    def h(): return f()\n    return h()", True),
        ("g(cells)\ndef g(x):\n    for f in x: f()", False),
        ("g(cells)\ndef g(x):\n    with x as f: f()", False),
        ("g(cells)\ndef g(x):\n    try: x()\n    except E as f: f()", False),
        ("g(cells)\ndef g(x):\n    match x:\n        case [f, *_]: return f", False),
        ("g(cells)\ndef g(x):\n    def f(): return 2\n    return f()", False),
        ("g(cells)\ndef g(x):\n    global f\n    f += 1", True),
        ("g(cells)\ndef g(x):\n    from lab_none import f\n    return f()", False),
        ("G()\nclass G:\n    f = 1\n    def h(self): return f()", True),
        ("G()\nclass G:\n    def f(self): return self.f()", False),
        ("g(cells)\ndef g(f: f) -> f: return f", False),
    ],
)
def test_a_name_that_is_bound_within_a_function_is_no_name_of_its_module(
    write: Write, load: Load, body: str, uses: bool
) -> None:
    folder = write({"lab_scopes.py": SCOPES % body})
    rows = load(folder, "lab_scopes").rows
    before = digest(rows)
    changed(folder / "lab_scopes.py", "return 1", "return 5")
    assert (digest(rows) != before) is uses


OBJECTS = """from functools import partial, wraps


def rows(cells, activation=None, scale=1):
    return {}


def bent(x):
    return abs(x)


def made(activation, scale):
    def inner(cells):
        return activation(scale)
    return inner


class Base:
    def __call__(self, cells):
        return {"total": 21}


class Runner(Base):
    def run(self, cells):
        return {"total": 22}

    @classmethod
    def all(cls, cells):
        return {"total": 23}


anonymous = (
    lambda cells: {"total": 24}
)
"""


@pytest.mark.parametrize(
    ("made", "moving"),
    [
        (lambda lab: functools.partial(lab.rows, activation=lab.bent), "abs(x)"),
        (lambda lab: functools.partial(functools.partial(lab.rows, activation=lab.bent), scale=2), "abs(x)"),
        (lambda lab: lab.made(lab.bent, 2), "abs(x)"),
        (lambda lab: lab.made(lab.bent, 2), "activation(scale)"),
        (lambda lab: lab.Runner().run, '"total": 22'),
        (lambda lab: lab.Runner().run, '"total": 21'),
        (lambda lab: lab.Runner.all, '"total": 23'),
        (lambda lab: lab.Runner(), '"total": 21'),
        (lambda lab: lab.anonymous, '"total": 24'),
    ],
)
def test_what_gives_rows_may_be_any_object_that_can_be_called(
    write: Write, load: Load, made: Callable[[Any], Any], moving: str
) -> None:
    folder = write({"lab_objects.py": OBJECTS})
    rows = made(load(folder, "lab_objects"))
    before = digest(rows)
    changed(folder / "lab_objects.py", moving, f"other({moving})" if ":" not in moving else f"{moving}0")
    assert digest(rows) != before


def test_methods_and_compiled_functions_are_told_apart(write: Write, load: Load) -> None:
    lab = load(write({"lab_objects.py": OBJECTS}), "lab_objects")
    given = [np.cos, np.mean, abs, len, str.upper, str.lower, lab.Runner().run, lab.Runner.all, lab.Runner()]
    found = [digest(functools.partial(lab.rows, activation=one)) for one in given]
    assert len(set(found)) == len(found)


def test_arguments_of_a_partial_application_count(write: Write, load: Load) -> None:
    lab = load(write({"lab_objects.py": OBJECTS}), "lab_objects")
    given = [{}, {"scale": 2}, {"scale": 3}, {"scale": (3, "a")}, {"activation": lab.bent}, {"activation": np.sin}]
    found = [digest(functools.partial(lab.rows, **named)) for named in given]
    assert len(set(found)) == len(found)
    assert found[0] == digest(lab.rows)
    order = ({"scale": 2, "activation": None}, {"activation": None, "scale": 2})
    assert len({digest(functools.partial(lab.rows, **named)) for named in order}) == 1


def test_the_code_of_rows_is_that_of_the_function_behind_them() -> None:
    """Partial applications stand in a module of their own; a wrapper counts too."""
    plain = THIRD_PARTY.rows

    @functools.wraps(plain)
    def decorated(cells: Any) -> Any:
        return plain(cells)

    decorated.__module__ = "functools"
    assert digest(functools.partial(plain)) == digest(plain)
    assert digest(functools.partial(functools.partial(decorated))) == digest(decorated) != digest(plain)


# --- what a digest does not depend on -------------------------------------------------------------------------------


def test_copies_in_two_folders_agree_and_so_do_copies_under_two_names(write: Write, load: Load) -> None:
    found = []
    for folder, package in (("one", "lab_copied"), ("other/place", "lab_copied"), ("one", "lab_renamed")):
        place = write({f"{package}/{name}": text for name, text in LAB.items()}, folder)
        found.append(digest(load(place, f"{package}.exp").rows))
    assert len(set(found)) == 1


def test_modules_that_are_loaded_and_those_that_are_not_agree(write: Write, load: Load) -> None:
    """The module that is named within a function is loaded only when that runs."""
    folder = write({f"lab_late/{name}": text for name, text in LAB.items()})
    rows = load(folder, "lab_late.exp").rows
    assert "lab_late.late" not in sys.modules
    before = digest(rows)
    assert "lab_late.late" not in sys.modules, "nothing is imported to look at it"
    import_module("lab_late.late")
    assert digest(rows) == before
    for name in [name for name in sys.modules if name.startswith("lab_late.")]:
        if name != "lab_late.exp":
            del sys.modules[name]
    assert digest(rows) == before


def test_a_file_that_is_run_as_a_script_agrees_with_the_module(
    write: Write, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"lab_script.py": "import lab_beside\n\n\ndef rows(cells):\n    return lab_beside.f()\n"}
    folder = write({**files, "lab_beside.py": "def f():\n    return 1\n"})
    module = load(folder, "lab_script")
    before = digest(module.rows)
    monkeypatch.setitem(sys.modules, "__main__", module)
    module.rows.__module__ = module.__name__ = "__main__"
    assert digest(module.rows) == before


def test_an_installed_package_that_is_not_followed_counts_by_its_version_alone(write: Write, load: Load) -> None:
    """A checkout on the search path is followed, wherever it is; a folder of installed packages is not."""
    used = {"lab_used/__init__.py": "def f(x):\n    return x + 1\n"}
    mine = {"lab_mine.py": "import lab_used\n\n\ndef rows(cells):\n    return lab_used.f(cells)\n"}
    for place, moves in (("checkout", True), ("lib/site-packages", False)):
        folder = write(used, place)
        sys.path.insert(0, str(folder))
        try:
            rows = load(write(mine), "lab_mine").rows
            del sys.modules["lab_used"]
            before = digest(rows)
            changed(folder / "lab_used" / "__init__.py", "x + 1", "x + 2")
            assert (digest(rows) != before) is moves
        finally:
            sys.path.remove(str(folder))


def test_the_own_package_is_followed_where_it_is_installed(write: Write, load: Load) -> None:
    files = {"lab_own/exp.py": "from .core import f\n\n\ndef rows(cells):\n    return f()\n"}
    code = {"lab_own/__init__.py": "", "lab_own/core.py": "def f():\n    return 1\n"}
    folder = write({**files, **code}, "site-packages")
    rows = load(folder, "lab_own.exp").rows
    before = digest(rows)
    changed(folder / "lab_own" / "core.py", "return 1", "return 2")
    assert digest(rows) != before


@pytest.mark.parametrize("text", ["def f(:\n", "def f():\n    return 1\0\n", "(" * 5000, "x = " + "-" * 50_000 + "1\n"])
def test_a_module_that_cannot_be_parsed_counts_by_its_bytes(write: Write, load: Load, text: str) -> None:
    files = {"lab_a.py": "def rows(cells):\n    from lab_b import f\n    return f()\n", "lab_b.py": text}
    folder = write(files)
    rows = load(folder, "lab_a").rows
    before = digest(rows)
    (folder / "lab_b.py").write_text(text + "# 1\n")
    assert digest(rows) != before
    (folder / "lab_b.py").unlink()
    assert digest(rows) != before, "it is left out where it is not"


def test_code_that_is_nested_deeply_can_be_read(write: Write, load: Load) -> None:
    folder = write({"lab_deep.py": f"def rows(cells):\n    return {'+'.join('1' * 900)}\n"})
    rows = load(folder, "lab_deep").rows
    before = digest(rows)
    changed(folder / "lab_deep.py", "return 1+1", "return 1-1")
    assert digest(rows) != before


def test_a_compiled_module_counts_by_its_bytes(write: Write, load: Load) -> None:
    folder = write({"lab_a.py": "def rows(cells):\n    import lab_c\n    return lab_c.f()\n"})
    compiled = folder / "lab_c.so"
    compiled.write_bytes(b"\x7fELF 1")
    rows = load(folder, "lab_a").rows
    before = digest(rows)
    compiled.write_bytes(b"\x7fELF 2")
    assert digest(rows) != before


# --- notebooks ------------------------------------------------------------------------------------------------------

CELLS = (
    "import math\nimport numpy as np\nSCALE = 2\nTABLE = {'a': (1, 2)}\ndef drawing(): return 0\n",
    "class Model:\n    def fit(self, x): return x + 31\n",
    "model = Model()\ndef helper(x): return model.fit(x) * SCALE + len(TABLE)\n",
    "def rows(cells):\n    return {'total': np.cos(helper(cells['n'])), 'angle': math.pi}\n",
)


def notebook(cells: tuple[str, ...], **named: Any) -> Any:
    """The function that the last cell of a notebook defines, their texts kept as IPython keeps them."""
    names: dict[str, Any] = {"__name__": "__main__", **named}
    for number, text in enumerate(cells):
        file = f"<lab-input-{number}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec"), names)
    return names["rows"]


@pytest.mark.parametrize(
    ("old", "new", "moves"),
    [
        ("SCALE = 2", "SCALE = 3", True),
        ("(1, 2)", "(1, 3)", True),
        ("x + 31", "x + 32", True),
        ("* SCALE", "/ SCALE", True),
        ("np.cos", "np.sin", True),
        ("import math", "import cmath as math", True),
        ("return 0", "return 1", False),
        ("{'a'", "{ 'a'", False),
    ],
)
def test_a_function_of_a_notebook_is_followed_through_what_its_names_stand_for(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, moves: bool
) -> None:
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    before = digest(notebook(CELLS))
    assert (digest(notebook(tuple(text.replace(old, new) for text in CELLS))) != before) is moves
    assert code_of(replace(THIRD_PARTY, rows=notebook(CELLS))).versions == {"numpy": np.__version__}


@pytest.mark.parametrize(
    ("old", "new", "moves"),
    [("a number", "any number", False), ("k: int = 5", "k: int = 6", False), ("depth = 3", "depth = 4", True)],
)
def test_a_function_of_one_cell_in_a_notebook_is_told_from_its_labels(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, moves: bool
) -> None:
    """Its decorator is imported in another cell; a class may have no method that tells where it is defined."""
    cells = (
        "import hw6\nfrom dataclasses import dataclass\n",
        "@dataclass\nclass Settings:\n    depth = 3\n",
        '@hw6.experiment(metrics={"error": "a number"})\n'
        'def lab_noted(k: int = 5):\n    return {"error": Settings().depth}\nrows = lab_noted.rows\n',
    )
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    before = digest(notebook(cells))
    assert (digest(notebook(tuple(text.replace(old, new) for text in cells))) != before) is moves


NOWHERE = """
FACTOR = 3
def helper(n):
    return FACTOR * n
def rows(cells):
    return {"y": [helper(n) for n in cells["n"]]}
"""


def _nowhere(text: str) -> str | None:
    names: dict[str, Any] = {"__name__": "nowhere"}
    exec(text, names)
    return code_of(replace(THIRD_PARTY, rows=names["rows"])).digest


def test_code_whose_text_is_nowhere_counts_by_its_instructions() -> None:
    before = _nowhere(NOWHERE)
    assert before is not None
    assert _nowhere(NOWHERE) == before
    for old, new in (
        ("FACTOR = 3", "FACTOR = 4"),
        ("FACTOR * n", "FACTOR + n"),
        ('"y"', '"z"'),
        ("helper(n)", "abs(n)"),
    ):
        assert _nowhere(NOWHERE.replace(old, new)) != before, new


def test_an_experiment_of_a_compiled_function_has_no_digest() -> None:
    """The others have theirs, and each has one."""
    nowhere = replace(THIRD_PARTY, rows=dict, name="nowhere")
    assert code_of(nowhere).digest is None
    assert list(code_digests([nowhere, THIRD_PARTY, THIRD_PARTY])) == [THIRD_PARTY.name]


# --- what else decides a row ----------------------------------------------------------------------------------------


def cell(body: str, *, above: str = "", signature: str = "k: int = 1", decorators: str = "") -> str:
    """A file of a function of one cell, lab_knn."""
    head = "import enum\nimport functools\nimport logging\nimport typing\nimport warnings\n\nimport hw6\n"
    decorator = f'@hw6.experiment(metrics={{"m": "metric"}})\n{decorators}'
    inner = "".join(f"    {line}\n" for line in body.splitlines())
    return f'{head}{above}\n\n{decorator}def lab_knn({signature}):\n{inner}    return {{"m": x}}\n'


ENUM = "class Act(enum.Enum):\n    one = 1\n    def apply(self): return 41\nclass Other(enum.Enum):\n    one = 3\n"
ENUMS = {"above": ENUM, "signature": "act: Act = Act.one"}
KEY = 'K = typing.Annotated[int, hw6.Integer(help="neighbours", minimum=1)]\n'
SCALED = (
    "def scaled(f, by, *, more=7):\n    @functools.wraps(f)\n    def inner(*given, n=by, **named):\n"
    "        return {'m': f(*given, **named)['m'] * by + 43}\n    return inner\n"
)
WRAPPED = (
    cell("x = k + 31", above=SCALED).replace("@hw6", "#").replace("lab_knn", "base")
    + 'lab_knn = hw6.experiment(metrics={"m": "metric"}, name="lab_knn")(scaled(base, 10))\n'
)
KEEPS = "class Kind:\n    def __init_subclass__(cls): KINDS.append(cls.size)\n"
KINDS = "x = KINDS[-1]", "KINDS = []\ndef keep(name, size=1): KINDS.append(name)\n" + KEEPS
NUMBER, TEXT = ("51", "52"), ("'a'", "'b'")
CELLS_MOVING = {  # of a function of one cell: what it says, what is changed, and whether that moves its digest
    "a member of an Enum that only annotates": (cell("x = act.value", **ENUMS), "one = 1", "one = 2", True),
    "a method of such a one": (cell("x = act.apply()", **ENUMS), "return 41", "return 42", True),
    "another Enum": (cell("x = act.value", **ENUMS), "act: Act = Act", "act: Other = Other", True),
    "an Enum named in a text": (
        cell("x = act.value", above=ENUM, signature="act: 'Act | None' = None"),
        "one = 1",
        "one = 2",
        True,
    ),
    "a type": (cell("x = k"), "k: int", "k: float", True),
    "a kind of list": (cell("x = k[0]", signature="k: list[int] = [1]"), "list[int] = [1]", "tuple[int] = (1,)", True),
    "a help beside a type": (
        cell("x = k", signature='k: typing.Annotated[int, hw6.Integer(help="a")] = 1'),
        'help="a"',
        'help="b", maximum=9',
        False,
    ),
    "a type beside a help": (
        cell("x = k", signature="k: typing.Annotated[int, hw6.Integer(help='a')] = 1"),
        "[int",
        "[float",
        True,
    ),
    "a help in a type of a name": (cell("x = k", above=KEY, signature="k: K = 1"), "neighbours", "all", False),
    "a type of a name": (cell("x = k", above=KEY, signature="k: K = 1"), "[int", "[float", True),
    "one more choice": (cell("x = k", signature="k: typing.Literal['a'] = 'a'"), "['a'", "['a', 'b'", False),
    "another kind of choice": (cell("x = k", signature="k: typing.Literal[1] = 1"), "[1]", "['1']", True),
    "a default": (cell("x = k"), "= 1", "= 2", False),
    "a default where it calls itself": (cell("x = lab_knn() if k else 1"), "= 1", "= 2", True),
    "a default where a helper calls it": (cell("x = f()", above="def f(): return lab_knn()\n"), "= 1", "= 2", True),
    "what a wrapper does": (WRAPPED, "+ 43", "+ 44", True),
    "what a wrapper wraps": (WRAPPED, "+ 31", "+ 32", True),
    "a default of a wrapper's maker": (WRAPPED, "more=7", "more=8", True),
    "a label beside a wrapper": (WRAPPED, '"metric"}, name', '"label"}, name', False),
    "a call whose answer nobody uses": (cell(KINDS[0], above=f"{KINDS[1]}a = keep(51)\n"), *NUMBER, True),
    "a call in a table": (cell(KINDS[0], above=f"{KINDS[1]}T = {{'a': [keep(51)]}}\n"), *NUMBER, True),
    "a call in a class": (
        cell(KINDS[0], above=f"{KINDS[1]}class A:\n    a = keep(51)\n"),
        *NUMBER,
        True,
    ),
    "a global of a class": (cell("x = N", above="N = 1\nclass A:\n    global N\n    N = 51\n"), *NUMBER, True),
    "a class that its base keeps": (
        cell(KINDS[0], above=f"{KINDS[1]}class A(Kind):\n    size = 51\n"),
        *NUMBER,
        True,
    ),
    "a call in a default": (cell(KINDS[0], above=f"{KINDS[1]}def f(a=keep(51)): return a\n"), *NUMBER, True),
    "a lambda that decorates": (
        cell(KINDS[0], above=f"{KINDS[1]}@(lambda f: KINDS.append(51))\ndef f(): pass\n"),
        *NUMBER,
        True,
    ),
    "an entry that decorates": (
        cell(KINDS[0], above=f"{KINDS[1]}T = [keep]\n@T[0]\ndef f(): return 51\n"),
        *NUMBER,
        True,
    ),
    "a partial application that decorates": (
        cell(KINDS[0], above=f"{KINDS[1]}@functools.partial(keep, size=2)\ndef f(): return 51\n"),
        *NUMBER,
        True,
    ),
    "a drawing": (
        cell("x = k", above="def label(): return 'a'\nD = hw6.Drawing(labels={'k': label()})\n"),
        "return 'a'",
        "return 'b'",
        False,
    ),
    "an experiment beside it": (
        cell("x = k", above="def f(k: int = 2): return {'m': k}\nE = hw6.experiment(metrics={'m': 'a'})(f)\n"),
        *TEXT,
        False,
    ),
    "a dictionary of texts": (cell("x = k", above="L = dict(k='a', n=' b'.strip())\n"), *TEXT, False),
    "a logger": (cell("x = k", above="log = logging.getLogger('a')\nT = typing.TypeVar('T')\n"), *TEXT, False),
    "a class that nothing keeps": (cell("x = k", above="class A(enum.Enum):\n    a = 51\n"), *NUMBER, False),
    "a key in a message": (cell("raise ValueError(T['a'])", above="T = {'a': 1}\n"), "T['a']", "T['b']", True),
    "a call in a message": (cell("raise ValueError(f('a'))", above="def f(x): return x\n"), "f('a')", "f('b')", True),
    "a key that is printed": (cell("x = k\nprint(T['a'])", above="T = {'a': 1}\n"), "T['a']", "T['b']", True),
    "a message in parts": (cell("x = k\nprint('a' + 'b %s' % k, f'c{k}')"), "b %s' % k, f'c", "e%s' % k, f'd", False),
    "a print to a file": (cell("x = k\nprint('a', file=open('f', 'w'))"), *TEXT, True),
    "a print of one's own": (cell("x = k\nprint('a')", above="print = KINDS = len\n"), *TEXT, True),
    "a print that a function sets": (
        cell("f()\nx = print('a')", above="def f():\n    global print\n    print = len\n"),
        *TEXT,
        True,
    ),
    "a print that is a variable": (cell("print = len\nx = print('a')"), *TEXT, True),
    "a print that is a parameter": (
        cell("x = f(len)", above="def f(print):\n    def g(): return print('a')\n    return g()\n"),
        *TEXT,
        True,
    ),
    "a log": (cell("x = k\nlog.info('a')", above="log = logging.getLogger('l')\n"), *TEXT, False),
    "a log of the library": (cell("import logging\nx = k\nlogging.info('a')"), *TEXT, False),
    "what is called as a log is": (
        cell("x = log.info('a')", above="class log:\n    def info(x): return len(x)\n"),
        *TEXT,
        True,
    ),
    "a warning where it is imported": (cell("import warnings\nx = k\nwarnings.warn('a')"), *TEXT, False),
    "a docstring that is read": (cell("x = len(f.__doc__)", above="def f():\n    'a'\n"), *TEXT, True),
    "a docstring that is asked for": (
        cell("x = len(getattr(f, '__doc__'))", above="def f():\n    'a'\n"),
        "    'a'",
        "    'b'",
        True,
    ),
    "a docstring of the module": ('"""A lab."""\n' + cell("x = len(__doc__)"), "A lab", "Another lab", True),
    "a docstring of the module that is not read": ('"""A lab."""\n' + cell("x = k"), "A lab", "Another lab", False),
    "a name by globals": (cell("x = globals()['N']", above="N = 51\n"), *NUMBER, True),
    "a name by vars": (cell("def g(): return vars()\nx = g()", above="N = 51\n"), *NUMBER, True),
    "a name by eval": (cell("x = eval('N')", above="N = 51\n"), *NUMBER, True),
    "a name by the module": (
        cell("x = getattr(sys.modules[__name__], 'N')", above="import sys\nN = 51\n"),
        *NUMBER,
        True,
    ),
    "an eval of one's own": (cell("x = eval('N')", above="N = 51\ndef eval(x): return 1\n"), *NUMBER, False),
    "a constant that is true": (
        cell("x = N", above="TYPE_CHECKING = True\nif TYPE_CHECKING:\n    N = 51\n"),
        *NUMBER,
        True,
    ),
    "a constant that is never true": (
        cell("x = k", above="if typing.TYPE_CHECKING:\n    N = 51\n    print(N)\n"),
        *NUMBER,
        False,
    ),
    "a pattern": (cell("match k:\n    case True: x = 51\n    case _: x = 2"), "True", "False", True),
}  # fmt: skip


@pytest.mark.parametrize("what", list(CELLS_MOVING))
def test_of_a_function_of_one_cell_what_decides_its_row_counts(write: Write, load: Load, what: str) -> None:
    text, old, new, moves = CELLS_MOVING[what]
    folder = write({"lab_counts.py": text})
    rows = load(folder, "lab_counts").lab_knn.rows
    before = digest(rows)
    changed(folder / "lab_counts.py", old, new)
    assert (digest(rows) != before) is moves


def test_what_a_wrapper_is_given_counts(write: Write, load: Load) -> None:
    found = []
    for by in (10, 10, 11):
        place = write({"lab_wrapped.py": WRAPPED.replace("10", str(by))}, f"by_{by}")
        found.append(digest(load(place, "lab_wrapped").lab_knn.rows))
    assert found[0] == found[1] != found[2]


FILLS = "from lab_table import TABLE\nTABLE.append(51)\nUNUSED = 1\n"
IMPORTED = {
    "a module that fills a table": ({"lab_a.py": cell("x = k", above="import lab_fill\n"), "lab_fill.py": FILLS}, True),
    "one of a package": (
        {
            "lab_p/__init__.py": "",
            "lab_p/a.py": cell("x = k", above="from . import fill\n"),
            "lab_p/fill.py": FILLS,
        },
        True,
    ),
    "one that another imports": (
        {"lab_a.py": cell("x = k", above="import lab_b\n"), "lab_b.py": "import lab_fill\n", "lab_fill.py": FILLS},
        True,
    ),
    "one that a function imports": (
        {"lab_a.py": cell("import lab_fill\nx = k"), "lab_fill.py": FILLS},
        True,
    ),
    "one that a name imports": (
        {"lab_a.py": cell("x = importlib.import_module('lab_fill')", above="import importlib\n"), "lab_fill.py": FILLS},
        True,
    ),
    "one that is imported by the builtin": (
        {"lab_a.py": cell("x = __import__('lab_fill').TABLE"), "lab_fill.py": FILLS},
        True,
    ),
    "one that only annotates": (
        {"lab_a.py": cell("x = k", above="if typing.TYPE_CHECKING:\n    import lab_fill\n"), "lab_fill.py": FILLS},
        False,
    ),
}


@pytest.mark.parametrize("what", list(IMPORTED))
def test_a_module_that_is_imported_for_what_it_does_counts(write: Write, load: Load, what: str) -> None:
    files, moves = IMPORTED[what]
    folder = write({"lab_table.py": "TABLE = []\n", **files})
    rows = load(folder, "lab_p.a" if "lab_p/a.py" in files else "lab_a").lab_knn.rows
    (file,) = [name for name, text in files.items() if text == FILLS]
    before = digest(rows)
    changed(folder / file, "(51)", "(52)")
    assert (digest(rows) != before) is moves
    if "import" in what or "name" in what:
        return  # the whole of it counts
    before = digest(rows)
    changed(folder / file, "UNUSED = 1", "UNUSED = 2")
    assert digest(rows) == before


def test_a_print_that_comes_with_all_names_of_a_module_is_not_the_builtin(write: Write, load: Load) -> None:
    for text, moves in (("def print(x): return len(x)\n", True), ("none = 1\n", False)):
        folder = write({"lab_a.py": cell("x = print('a')", above="from lab_b import *\n"), "lab_b.py": text})
        rows = load(folder, "lab_a").lab_knn.rows
        before = digest(rows)
        changed(folder / "lab_a.py", "print('a')", "print('b')")
        assert (digest(rows) != before) is moves


def test_modules_of_hw6_do_nothing_when_they_are_imported_but_to_define() -> None:
    """What hw6 imports is therefore not looked at for what it does."""
    for name in COMPUTING:
        for file in Path(str(import_module(name).__file__)).parent.glob("*.py"):
            for piece, makers in effects_of(Syntax(file.read_bytes())):
                own = isinstance(piece.node, (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign))
                assert own or makers or file.name == "branch_sum.py", f"{file}: {ast.unparse(piece.node)}"


# --- what objects hold ----------------------------------------------------------------------------------------------

HOLDING = """import enum
from dataclasses import dataclass
from types import SimpleNamespace


class Act(enum.Enum):
    one = 1
    two = 2


@dataclass
class Settings:
    depth: int
    by: object = None


class Slotted:
    __slots__ = ("depth",)

    def __init__(self, depth):
        self.depth = depth


def rows(cells, held=None):
    return {}


def made(held):
    def inner(cells):
        return held
    return inner


def given(held):
    def inner(cells, held=held):
        return held
    return inner
"""


def objects(lab: Any) -> list[Any]:
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    first, second = np.random.default_rng(1), np.random.default_rng(2)
    return [
        *(np.arange(3), np.arange(4), np.arange(3.0), np.arange(3).reshape(3, 1), np.array(["a", None], dtype=object)),
        *(np.float32(1), np.float64(1), 1.0, {1, 2}, {1, 3}, frozenset({"a", "b"}), frozenset({"a", "c"})),
        *(range(3), range(4), Fraction(1, 2), Fraction(1, 3), deque([1]), deque([2]), bytearray(b"a"), bytearray(b"b")),
        *(lab.SimpleNamespace(a=1), lab.SimpleNamespace(a=2), lab.Settings(1), lab.Settings(2), lab.Slotted(1)),
        *(lab.Slotted(2), lab.Act.one, lab.Act.two, first, second, first.normal, second.normal, frame, frame + frame),
        *(re.compile("a"), re.compile("b"), defaultdict(int, a=1), defaultdict(list, a=1), pandas.Timestamp(0)),
    ]  # fmt: skip


@pytest.mark.parametrize("way", ["partial", "closure", "default", "notebook"])
def test_objects_count_by_what_they_hold(write: Write, load: Load, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    lab = load(write({"lab_holding.py": HOLDING}), "lab_holding")
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    ways: dict[str, Callable[[Any], Any]] = {
        "partial": lambda one: functools.partial(lab.rows, held=one),
        "closure": lab.made,
        "default": lab.given,
        "notebook": lambda one: notebook(("def rows(cells): return {'m': HELD}\n",), HELD=one),
    }
    found = [digest(ways[way](one)) for one in (*objects(lab), *objects(lab))]
    half = len(found) // 2
    assert len(set(found)) == half
    assert found[:half] == found[half:]


def test_what_objects_hold_does_not_depend_on_the_folder_and_functions_in_them_count(write: Write, load: Load) -> None:
    found = []
    for folder, text in (("one", "x + 1"), ("two", "x + 1"), ("three", "x + 2")):
        place = write({"lab_holding.py": f"{HOLDING}\n\ndef f(x):\n    return {text}\n"}, folder)
        lab = load(place, "lab_holding")
        found.append(digest(functools.partial(lab.rows, held=[lab.Settings(1, lab.f), {lab.Act.one, lab.f}])))
    assert found[0] == found[1] != found[2]


def test_an_object_that_cannot_be_taken_apart_counts_by_its_class(write: Write, load: Load) -> None:
    lab = load(write({"lab_holding.py": HOLDING}), "lab_holding")
    one, other = digest(lab.made(threading.Lock())), digest(lab.made(threading.Lock()))
    assert one == other != digest(lab.made(threading.RLock()))
    shared: Any = [1]
    for _ in range(60):
        shared = [shared, shared]
    assert digest(lab.made(shared)) != one, "each object is looked at once"
    nested: Any = 1
    for _ in range(2000):
        nested = [nested]
    assert digest(lab.made(nested)) != one


# --- memory and disk ------------------------------------------------------------------------------------------------

TWO = {"lab_a.py": cell("x = lab_b.f(k)", above="import lab_b\n"), "lab_b.py": "def f(x):\n    return x + 1\n"}
EDITED = "lab_b.py has changed since it was imported: restart Python, or importlib.reload it"


def test_a_file_that_changes_while_it_is_loaded_is_refused_until_it_is_reloaded(write: Write, load: Load) -> None:
    folder = write(TWO)
    rows = load(folder, "lab_a").lab_knn.rows
    before = digest(rows)
    text = TWO["lab_b.py"].replace("x + 1", "x + 23")
    (folder / "lab_b.py").write_text(text)
    with pytest.raises(Hw6Error, match=EDITED):
        digest(rows)
    (folder / "lab_b.py").write_text(TWO["lab_b.py"])
    assert digest(rows) == before
    (folder / "lab_b.py").write_text(text)
    reload(sys.modules["lab_b"])
    assert digest(rows) != before


@pytest.mark.parametrize(
    ("how", "is_refused"),
    [("edited", True), ("touched", False), ("without a cache", False), ("read-only", False), ("broken", True)],
)
def test_a_file_that_was_edited_after_it_was_imported_is_refused_at_first_sight(
    write: Write, load: Load, monkeypatch: pytest.MonkeyPatch, how: str, is_refused: bool
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", how == "without a cache")
    folder = write(TWO)
    rows = load(folder, "lab_a").lab_knn.rows
    if how == "touched":
        os.utime(folder / "lab_b.py", (1, 1))
    elif how == "broken":
        (folder / "lab_b.py").write_text("def f(:\n")
    else:
        (folder / "lab_b.py").write_text(TWO["lab_b.py"].replace("x + 1", "x + 23"))
    if how == "read-only":  # there Python cannot bring a cache up to date
        monkeypatch.setattr(os, "access", lambda *_: False)
    if is_refused:
        with pytest.raises(Hw6Error, match=EDITED):
            digest(rows)
    else:
        digest(rows)


def test_a_file_that_is_loaded_under_a_name_of_its_own_is_compared_with_no_cache(write: Write) -> None:
    folder = write({"lab_alone.py": cell("x = k")})
    py_compile.compile(str(folder / "lab_alone.py"))
    changed_text = cell("x = k + 1")
    (folder / "lab_alone.py").write_text(changed_text)
    first = load_file(str(folder / "lab_alone.py"))
    before = digest(first.rows)
    (folder / "lab_alone.py").write_text(changed_text.replace("k + 1", "k + 21"))
    with pytest.raises(Hw6Error, match=r"lab_alone\.py has changed"):
        digest(first.rows)
    assert digest(load_file(str(folder / "lab_alone.py")).rows) != before


# --- versions -------------------------------------------------------------------------------------------------------


def test_versions_are_those_of_packages_that_the_code_uses(write: Write, load: Load) -> None:
    """Neither those that are only imported or only annotate, nor hw6 and the library."""
    text = "import os\nimport hw6\nimport numpy as np\nimport pandas\n\n\n"
    text += "def rows(cells: pandas.Series):\n    return {%s}\n"
    numpy = {"numpy": np.__version__}
    used = {"os.sep": {}, "np.pi": numpy, "hw6: np": numpy, "pandas.x(np)": {**numpy, "pandas": pandas.__version__}}
    for number, (body, wanted) in enumerate(used.items()):
        folder = write({f"lab_uses_{number}.py": text % body})
        assert code_of(replace(THIRD_PARTY, rows=load(folder, f"lab_uses_{number}").rows)).versions == wanted


def test_the_version_of_a_package_that_is_not_loaded_is_that_of_its_distribution(
    write: Write, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write({"lab_a.py": "def rows(cells):\n    import lab_other\n    return lab_other.f()\n"})
    install_package(folder, "lab_other", "lab_other:NONE")
    rows = load(folder, "lab_a").rows
    assert code_of(replace(THIRD_PARTY, rows=rows)).versions == {"lab_other": "1.0"}
    loaded = ModuleType("lab_other")
    loaded.__version__ = "2.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lab_other", loaded)
    assert code_of(replace(THIRD_PARTY, rows=rows)).versions == {"lab_other": "2.0"}


def test_the_own_distribution_has_its_version_and_a_plain_file_has_none(write: Write, load: Load) -> None:
    code = {"lab_dist/__init__.py": "", "lab_dist/exp.py": "def rows(cells):\n    return {}\n"}
    folder = write({**code, "lab_single.py": code["lab_dist/exp.py"]})
    for name in ("lab_dist", "lab_single"):
        install_package(folder, name, f"{name}:NONE")
    plain = write({"lab_plain_file.py": code["lab_dist/exp.py"]}, "elsewhere")
    wanted = {"lab_dist.exp": {"lab_dist": "1.0"}, "lab_single": {"lab_single": "1.0"}}
    for name, versions in wanted.items():
        assert code_of(replace(THIRD_PARTY, rows=load(folder, name).rows)).versions == versions
    assert code_of(replace(THIRD_PARTY, rows=load(plain, "lab_plain_file").rows)).versions == {}


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_the_experiments_of_hw6_use_numpy_and_torch(name: str) -> None:
    found = code_of(experiment_named(name))
    torch = {"torch"} if name in {"dropout", "residual", "stm_conv"} else set()
    assert found.digest is not None
    assert set(found.versions) == (set() if name == "noop" else {"numpy"} | torch)


def test_only_digests_of_one_scheme_can_be_compared() -> None:
    assert comparable("2:aa", "2:bb")
    assert comparable("aa", "bb"), "the first scheme had no number"
    assert not comparable("1:aa", "2:aa")
    assert not comparable("aa", "2:aa")
    assert digest(THIRD_PARTY.rows).startswith("3:")


def _uses(cells: Any, other: Experiment) -> Any:
    return other.rows(cells)


def _nothing(cells: Any) -> Any:
    return {}


def test_an_experiment_that_another_one_uses_counts_by_its_rows() -> None:
    def code(other: Experiment) -> str | None:
        return code_of(replace(THIRD_PARTY, rows=functools.partial(_uses, other=other))).digest

    before = code(THIRD_PARTY)
    assert code(replace(THIRD_PARTY, version=9, objective=None)) == before
    assert code(replace(THIRD_PARTY, rows=_nothing)) != before
