"""Imports go one way, and what is heavy is imported where it is used."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Process

import hw6

PACKAGE = Path(hw6.__file__).parent
ROOT = PACKAGE.parent
PLUGINS = ROOT / "hydra_plugins" / "hw6"


def modules(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found
    return found


def imported(path: Path, *, at_import: bool = False) -> Iterator[str]:
    """The dotted names that a module imports; with ``at_import`` only those that importing it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in _reached(tree) if at_import else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import hides where it goes"
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _reached(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is imported: no function bodies, nothing under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _reached(child)


def crossing(folder: Path, forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(folder)
        for name in imported(path)
        if any(name == banned or name.startswith(banned + ".") for banned in forbidden)
    ]


# Which rooms of hw6 a room may import, besides itself and errors and words; and which packages from outside.
ROOMS: dict[str, tuple[str, ...]] = {
    "contract": (),
    "plan": ("contract",),
    "store": ("plan", "contract"),
    "command": ("plan", "contract", "store"),
    "running": ("command", "store", "plan", "contract", "engines.contract"),
    "engines": ("running", "store", "plan", "contract"),
    "figures": ("contract",),
    "mathematics": (),
    "layers": ("mathematics",),
    "experiments": ("contract", "mathematics", "layers"),
}
PACKAGES: dict[str, tuple[str, ...]] = {
    "contract": ("numpy",),
    "plan": ("numpy",),
    "store": ("numpy", "pyarrow", "pandas"),
    "command": ("numpy", "hydra", "omegaconf"),
    "running": ("numpy", "pyarrow", "hydra", "omegaconf", "threadpoolctl", "tqdm"),
    "engines": ("numpy", "hydra", "omegaconf"),
    "figures": ("numpy", "pandas", "seaborn", "matplotlib"),
    "mathematics": ("numpy", "torch"),
    "layers": ("numpy", "torch"),
    "experiments": ("numpy", "torch"),
}


def test_every_room_stands_in_the_table() -> None:
    folders = {path.parent.name for path in modules(PACKAGE) if path.parent != PACKAGE}
    assert folders == set(ROOMS) == set(PACKAGES)


@pytest.mark.parametrize("room", list(ROOMS))
def test_imports_go_one_way(room: str) -> None:
    allowed = tuple(f"hw6.{name}" for name in (room, *ROOMS[room], "errors", "words"))
    for path in modules(PACKAGE / room):
        for name in imported(path):
            if name == "hw6" or name.startswith("hw6."):
                version = name in {"hw6", "hw6.__version__"}
                fine = any(name == one or name.startswith(one + ".") or one.startswith(name + ".") for one in allowed)
                assert version or fine, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("room", list(ROOMS))
def test_packages_are_known_where_they_belong(room: str) -> None:
    known = {*sys.stdlib_module_names, "hw6", *PACKAGES[room]}
    for path in modules(PACKAGE / room):
        found = {name.partition(".")[0] for name in imported(path)}
        assert found <= known, f"{path.relative_to(ROOT)} imports {sorted(found - known)}"


def test_no_room_imports_another_in_a_circle() -> None:
    """Module by module: the one import against the order of the rooms is that of an engine's contract."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in modules(PACKAGE)}
    graph = {
        name: {other for other in imported(path, at_import=True) if other in names and other != name}
        for name, path in names.items()
    }
    done: set[str] = set()
    while ready := {name for name in graph if name not in done and graph[name] <= done}:
        done |= ready
    assert not set(graph) - done


def test_every_file_says_its_one_subject_first() -> None:
    for path in [*modules(PACKAGE), *modules(PLUGINS)]:
        text = path.read_text(encoding="utf-8")
        first = (ast.get_docstring(ast.parse(text)) or "").splitlines()
        assert first, f"{path.relative_to(ROOT)} does not say what it is about"
        assert first[0].endswith((".", ":", ";", "?")), f"{path.relative_to(ROOT)}: {first[0]}"


def test_files_and_functions_can_be_read_in_one_sitting() -> None:
    for path in [*modules(PACKAGE), *modules(PLUGINS)]:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 300, path.relative_to(ROOT)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert (node.end_lineno or 0) - node.lineno < 60, f"{path.relative_to(ROOT)}: {node.name}"


def _importers_of(name: str) -> set[str]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in modules(PACKAGE)
        if any(found.partition(".")[0] == name for found in imported(path, at_import=True))
    }


def test_torch_is_imported_where_it_is_used() -> None:
    """Modules that cannot do without torch say so at their head; importing any other module imports none of them."""
    torchy = _importers_of("torch")
    for path in modules(PACKAGE):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if name in torchy or path.parent.name == "layers":
            assert "torch" in (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""), name
        else:
            assert not set(imported(path, at_import=True)) & torchy, name
    light = {"ridge", "anchors", "features", "risk", "streams", "tuning", "theory"}
    assert not torchy & {f"hw6.mathematics.{name}" for name in light}
    assert not [name for name in torchy if not name.startswith(("hw6.mathematics", "hw6.layers"))]


def test_the_rules_know_what_is_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.py").write_text("def f():\n    from hw6.experiments import noop\n    import hydra.core\n")
    monkeypatch.setattr("test_imports_one_way.ROOT", tmp_path)
    assert len(crossing(tmp_path, ("hydra", "hw6.experiments"))) == 3
    assert list(imported(tmp_path / "bad.py", at_import=True)) == []


def test_only_the_plugins_know_hydras_plugin_api() -> None:
    assert crossing(PACKAGE, ("hydra.plugins", "hydra.core.plugins")) == []
    for path in modules(PACKAGE):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
                assert not bases & {"Sweeper", "Launcher", "SearchPathPlugin", "CompletionPlugin", "ConfigSource"}
    kinds = {base for path in modules(PLUGINS) for base in ("Sweeper", "Launcher", "SearchPathPlugin")
             if f"({base})" in path.read_text(encoding="utf-8")}  # fmt: skip
    assert kinds == {"Sweeper", "Launcher", "SearchPathPlugin"}


def test_the_plugin_folder_is_a_namespace_package() -> None:
    assert not (ROOT / "hydra_plugins" / "__init__.py").exists()
    assert (PLUGINS / "__init__.py").exists()


@pytest.mark.parametrize("name", ["sweeper", "launcher", "searchpath"])
def test_what_every_hydra_application_imports_is_hydra_alone(name: str) -> None:
    known = {"hydra", "omegaconf", *sys.stdlib_module_names}
    assert {found.partition(".")[0] for found in imported(PLUGINS / f"{name}.py", at_import=True)} <= known


HEAVY = ("pandas", "seaborn", "torch", "pyarrow", "hydra", "omegaconf", "scipy", "matplotlib", "numpy")


def test_importing_the_package_imports_next_to_nothing(process: Process) -> None:
    ran = process.code("import hw6", "-X", "importtime")
    assert ran.status == 0
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ran.err.splitlines()}
    assert "hw6" in loaded
    assert not loaded & set(HEAVY)


def test_public_names_are_there_and_lazy(process: Process) -> None:
    ran = process.code("import hw6, json; print(json.dumps([sorted(hw6.__all__), sorted(dir(hw6))]))")
    public, listed = json.loads(ran.out)
    assert {"load", "run_sweep", "figure"} <= set(public) <= set(listed)
    for name in public:
        assert getattr(hw6, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = hw6.nonsense  # type: ignore[attr-defined]


AFTER = """
import sys
from hw6 import run
status = run.main({arguments!r})
print("LOADED", sorted({{name.partition(".")[0] for name in sys.modules}} & set({heavy!r})))
sys.exit(status)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "p=3:6", "lambda=0.01,tuned", "data.n_train=5"],
        pytest.param(["p=3", "data.n_train=5"], marks=pytest.mark.slow),
        pytest.param(["-m", "experiment=noop", "p=3:6", "hydra.sweep.dir=s"], marks=pytest.mark.slow),
    ],
)
def test_a_sweep_loads_nothing_that_it_does_not_use(process: Process, arguments: list[str]) -> None:
    heavy = ["pandas", "torch", "scipy", "matplotlib", "seaborn", "sklearn", "tqdm", "IPython"]
    ran = process.code(AFTER.format(arguments=arguments, heavy=heavy))
    assert ran.status == 0, ran.err
    assert "LOADED []" in ran.out


@pytest.mark.slow
def test_going_on_loads_no_more(process: Process) -> None:
    arguments = ["-m", "experiment=noop", "p=3:6", "hydra.sweep.dir=s"]
    assert process(*arguments).status == 0
    ran = process.code(AFTER.format(arguments=arguments, heavy=["pandas", "scipy", "matplotlib"]))
    assert ran.out.startswith("0 cells")
    assert "LOADED []" in ran.out


@pytest.mark.parametrize("module", ["hw6.aggregate", "hw6.plot"])
def test_help_of_the_other_commands_is_quick(process: Process, module: str) -> None:
    ran = process("--help", module=module, options=["-X", "importtime"])
    assert ran.status == 0
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ran.err.splitlines()}
    assert not loaded & {"pandas", "seaborn", "matplotlib", "torch", "hydra"}
