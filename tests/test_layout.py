"""The shape of the project: imports point one way, files are small, methods name a paper, start is light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "texsynth"
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {
    ".".join(("texsynth", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in FILES
}
SAY_NOTHING = {"found", "known", "made", "own", "seen", "told", "given"}

# Lowest first. A module may import modules of its own layer and of those below it, never of those above.
LAYERS = (
    (
        "errors",
        "foreign",
        "registry",
        "settings",
        "requests.option",
        "requests.guides",
        "task",
        "pyramid",
        "job",
        "image",
        "weights",
        "native",
    ),
    (
        "patches",
        "features",
        "guidance",
        "field",
        "losses",
        "metrics",
        "objective",
        "correspondence",
        "material",
        "tiles",
    ),
    (
        "methods",
        "preset",
        "requests",
        "training",
        "learned",
        "runs.checkpoint",
        "runs.clock",
        "runs.loop",
        "runs.state",
    ),
    ("runs", "report", "verbs", "batch"),
    ("api", "cli", "studio", "__main__"),
)
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
# The package itself is the Python API: it may look at everything below the command line.
API = LAYER["api"]


def module(path: Path) -> str:
    """The part of the package a file belongs to: "image" for image.py, "cli" for cli/x.py, "" for the API."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts[0] == "__init__" else layered(parts)


def layered(parts: Sequence[str]) -> str:
    """The name in LAYER of a module below the package, by the parts of its name; "" for none of them."""
    if ".".join(parts[:2]) in LAYER:
        return ".".join(parts[:2])
    return parts[0] if parts and parts[0] in LAYER else ""


def imported(path: Path) -> set[str]:
    """Parts of the package that a file imports when it runs; imports for the type checker do not count."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: imports are written in full, not with dots"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        pending.extend(ast.iter_child_nodes(node))
    found.discard("texsynth.__version__")  # a constant of the package, not its API
    return {layered(name.split(".")[1:]) for name in found if name.split(".")[0] == "texsynth"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    name = module(path)
    assert name in LAYER or path.name == "__init__.py", (
        f"{name} has no layer: say where it belongs in tests/test_layout.py"
    )
    mine = LAYER.get(name, API)
    backward = {other for other in imported(path) if LAYER.get(other, API) > mine}
    if name == "cli":
        backward.discard("")
    assert not backward, f"{name} imports {sorted(backward)}, which stand above it"


def test_an_arrow_that_points_backward_is_seen(tmp_path: Path) -> None:
    """The check above is itself checked: plain, aliased, nested and type-only imports."""
    source = tmp_path / "image.py"
    source.write_text(
        "from typing import TYPE_CHECKING\n"
        "from texsynth import runs as r\n"
        "def f():\n    import texsynth.methods.field\n"
        "if TYPE_CHECKING:\n    from texsynth.cli import main\n",
        "utf-8",
    )
    assert imported(source) == {"runs", "methods"}


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Every module of the package that a file imports, and the name that it takes from it; for types too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("texsynth"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner, "") if inner in MODULES else (str(node.module), alias.name)


def circles(graph: dict[str, set[str]]) -> list[str]:
    """The modules of a graph of imports that can be reached from themselves."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        pending = list(graph[start])
        while pending:
            name = pending.pop()
            if name not in seen:
                seen.add(name)
                pending += graph.get(name, ())
        return seen

    return sorted(name for name in graph if name in reached(name))


def test_no_import_goes_in_a_circle() -> None:
    """Between files, not only packages, and counting imports for the type checker."""
    graph = {name: {other for other, _ in imports(path)} for name, path in MODULES.items()}
    assert circles(graph) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


def test_what_is_private_stays_in_its_package() -> None:
    for name, path in MODULES.items():
        for other, taken in imports(path):
            private = any(part.startswith("_") and part != "__main__" for part in (*other.split("."), taken))
            home = name if path.name == "__init__.py" else name.rpartition(".")[0]
            assert not private or other.rpartition(".")[0] == home or taken == "__version__", f"{name}: {other} {taken}"


def test_few_modules_stand_alone() -> None:
    assert len([path for path in FILES if path.parent == PACKAGE]) <= 10


def test_a_class_name_means_one_thing() -> None:
    """The words of protocols excepted, which every recipe, verb and network has."""
    names = [
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and node.name not in ("Settings", "Request", "Shape")
    ]
    assert [name for name, count in Counter(names).items() if count > 1] == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_variables_of_long_functions_say_what_they_are(path: Path) -> None:
    for function in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(function, ast.FunctionDef):
            first = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0]
            stored = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            stored |= {a.arg for a in (*function.args.args, *function.args.kwonlyargs)}
            if (function.end_lineno or 0) - first.lineno >= 5:
                assert not stored & SAY_NOTHING, f"{function.name}: {stored & SAY_NOTHING}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_stay_within_500_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 500


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_functions_stay_within_50_lines(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    long = {f.name: length for f in functions if (length := (f.end_lineno or f.lineno) - f.body[0].lineno + 1) > 50}
    assert not long, f"functions of more than 50 lines: {long}"


@pytest.mark.parametrize(
    "path",
    [*PACKAGE.glob("methods/[!_]*.py"), *PACKAGE.glob("learned/*/method.py")],
    ids=lambda p: str(p.relative_to(PACKAGE)),
)
def test_a_method_file_names_its_paper(path: Path) -> None:
    words = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    assert re.search(r"\b(19|20)\d\d\b", words), "the module docstring names the paper and its year"
    assert re.search(r"differs from the paper", words, re.IGNORECASE), "and says where the method differs from it"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), "a module opens with a docstring"


@pytest.mark.parametrize("name", ["texsynth", "texsynth.cli", "texsynth.cli.doctor", "texsynth.studio.naming"])
def test_importing_does_not_load_torch(name: str) -> None:
    code = f"import sys, {name}; print(*(m for m in ('torch', 'numpy', 'PIL') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_part_of_what_pictures_are_made_of_may_be_the_first_that_is_imported() -> None:
    subprocess.run([sys.executable, "-c", "import texsynth.tiles.atlas"], capture_output=True, check=True)


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys\nfrom texsynth.cli import main\nsys.argv = ['texsynth', '--help']\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
