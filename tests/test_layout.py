"""The shape of the project: imports point one way, files are small, methods name a paper, start is light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "texsynth"
FILES = sorted(PACKAGE.rglob("*.py"))

# Lowest first. A module may import modules of its own layer and of those below it, never of those above.
LAYERS = (
    (
        "errors",
        "registry",
        "settings",
        "requests.option",
        "requests.guides",
        "task",
        "pyramid",
        "job",
        "image",
        "weights",
    ),
    ("patches", "features", "guidance", "field", "losses", "metrics", "objective", "correspondence"),
    ("methods", "preset", "requests", "training", "learned", "runs.loop"),
    ("runs", "report", "verbs"),
    ("api", "cli", "__main__"),
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


@pytest.mark.parametrize("name", ["texsynth", "texsynth.cli", "texsynth.cli.doctor"])
def test_importing_does_not_load_torch(name: str) -> None:
    code = f"import sys, {name}; print(*(m for m in ('torch', 'numpy', 'PIL') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys\nfrom texsynth.cli import main\nsys.argv = ['texsynth', '--help']\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
