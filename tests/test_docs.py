"""The documents agree with the code: links, options, paths and the pages of the reference; every page is shown."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml

import documents
from documents import ROOT
from texsynth import registry
from texsynth.cli.app import application

PROJECT_FILE = re.compile(r"`((?:texsynth|tests|docs|samples|presets|benchmarks)/[\w./+-]*)`")
OTHERS = {  # options of other programs, by the pages that name them
    "docs/guide/farm.md": {
        *("--array", "--chunk", "--cores", "--cpus-per-task", "--mem", "--memory", "--nthreads", "--resources"),
        *("--scheduler-file", "--sshlogin", "--time"),
    }
}
PYTHON = re.compile(r"^```python\n.*?^```", re.MULTILINE | re.DOTALL)


def loaded(name: str, path: Path) -> ModuleType:
    """The module that a file holds."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


REFERENCE = loaded("reference", ROOT / "docs" / "reference.py")


@pytest.mark.parametrize("name", REFERENCE.PAGES)
def test_a_page_of_the_reference_is_what_the_code_says(name: str) -> None:
    page = REFERENCE.FOLDER / f"{name}.md"
    assert page.read_text("utf-8") == REFERENCE.PAGES[name](), "run `make docs-reference` and commit the page"


@pytest.mark.parametrize("page", documents.PAGES)
def test_links_and_pictures_are_there(page: str) -> None:
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\((?!https?:)(.+?)\)", PYTHON.sub("", documents.text_of(page))):
        name, _, anchor = target.partition("#")
        path = folder / name if name else ROOT / page
        assert path.is_file(), f"{page} links to {target}"
        assert not anchor or anchor in anchors(path.read_text("utf-8")), f"{page} links to {target}"


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "images").iterdir()), ids=lambda path: path.name)
def test_a_picture_is_small_and_shown(path: Path) -> None:
    assert path.stat().st_size < 200_000
    assert any(f"images/{path.name}" in documents.text_of(page) for page in documents.PAGES)


def test_every_page_is_in_the_navigation() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert sorted(leaves(site["nav"])) == sorted(
        page.removeprefix("docs/") for page in documents.PAGES if page.startswith("docs/")
    )
    assert site["theme"]["font"] is False


def leaves(nav: Any) -> list[str]:
    """The pages of a navigation."""
    if isinstance(nav, str):
        return [nav]
    return [page for inner in (nav.values() if isinstance(nav, dict) else nav) for page in leaves(inner)]


def flags(command: Any) -> set[str]:
    """The options of a command and of those below it."""
    mine = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    return mine.union(*(flags(inner) for inner in getattr(command, "commands", {}).values()))


@pytest.mark.parametrize("page", [page for page in documents.PAGES if not page.startswith("docs/res")])
def test_every_option_that_a_page_names_exists(page: str) -> None:
    known = {*flags(typer.main.get_command(application())), "--help", "--index-url", "--strict", *OTHERS.get(page, ())}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*\w", documents.text_of(page))) <= known


@pytest.mark.parametrize("page", documents.PAGES)
def test_every_file_of_the_project_that_a_page_names_exists(page: str) -> None:
    to_be_saved = documents.files(page)
    for name in PROJECT_FILE.findall(documents.text_of(page)):
        assert name in to_be_saved or "NAME" in name or (ROOT / name).exists(), f"{page} names {name}"


@pytest.fixture
def worked_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of CONTRIBUTING.md, whose modules are registered as if they stood in the package."""
    registries = {"metrics": registry.METRICS, "losses": registry.LOSSES, "methods": registry.METHODS}
    documents.reader(tmp_path, "CONTRIBUTING.md")
    for name in documents.files("CONTRIBUTING.md"):
        path = Path(name)
        if path.suffix == ".py":
            module = loaded(f"example_{path.stem}", tmp_path / path.name)
            monkeypatch.setitem(registries[path.parent.name].registered, path.stem, module)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_worked_examples_of_contributing_run(worked_examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [parameter.values[0] for parameter in documents.steps("CONTRIBUTING.md")]
    assert len(steps) >= 4
    for step in steps:
        documents.follow(step)
    assert "brightness" in capsys.readouterr().out
    assert (worked_examples / "contrast.png").is_file()
