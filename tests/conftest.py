"""What the tests share: the command line in one process, pictures for it, a method that cannot surprise."""

from __future__ import annotations

import importlib
import pkgutil
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import documents
import fakes
import texsynth as api
from shelf import shelf as shelf  # a fixture, as is the next
from shelf import two as two
from texsynth import preset, registry
from texsynth.cli import main
from texsynth.image import picture as image
from texsynth.image import scratch

LONG = (
    "test_readme",
    "test_devices",
    "test_docs_",
    "test_field",
    "test_figures",
    "test_presets_run",
    "test_torchvision",
    "test_turned",
)
QUICK = ("-p", "steady", "-q")
PRESETS = {name: f"method: {name}" for name in ("steady", "afloat", "obedient", "mixture", "painted")} | {
    "steady-draft": "method: steady\npasses: [1, 1]",
    "other": "stages:\n- method: steady\n- {method: steady, patch: 7}",
    "train/easy": "recipe: easy",
    "train/easy-slow": "recipe: easy\nrate: 0.01",
}


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


def array(name: str) -> np.ndarray:
    """The samples of a picture file, in its own depth."""
    return image.to_array(image.read(name))


def palette(pixels: np.ndarray) -> set[tuple[int, ...]]:
    """All colours among pixels, (N, C), (H, W, C) or grey (N,)."""
    return {tuple(colour) for colour in pixels.reshape(-1, 1 if pixels.ndim == 1 else pixels.shape[-1])}


Texsynth = Callable[..., Ran]
Refused = Callable[..., str]
Picture = Callable[..., np.ndarray]
Draw = Callable[..., np.ndarray]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest start first, so that no core is left alone with one at the end."""
    items.sort(key=lambda item: not item.path.name.startswith(LONG))


@pytest.fixture(scope="session")
def page_folders() -> dict[str, Path]:
    """The folder in which the commands of each page run, by the page's name."""
    return {}


@pytest.fixture
def page_folder(step: documents.Step, page_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a step's page. Later steps use what earlier ones wrote, as they do for a reader."""
    if step.page not in page_folders:
        page_folders[step.page] = documents.reader(tmp_path_factory.mktemp("page"), step.page)
    return page_folders[step.page]


@pytest.fixture(autouse=True, scope="session")
def imported() -> None:
    """Every module, before any test: one imported first while a test has a function replaced would keep what stands in
    its place, `from ... import` being for good, and hand it to later tests."""
    for module in pkgutil.walk_packages(api.__path__, "texsynth."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small pictures are quicker on one thread, and the machine may be busy."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def on_disk(imported: None) -> None:  # noqa: ARG001 (it comes first)
    """The folders of tests count as those of a disk, also on machines that keep temporary files in memory."""
    scratch.MOUNTS = Path("no such file")


@pytest.fixture(scope="session")
def presets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped presets and those for fakes/, in a folder that all tests share and none writes into."""
    folder = tmp_path_factory.mktemp("presets")
    shutil.copytree(preset.folder(), folder, dirs_exist_ok=True)
    for name, content in PRESETS.items():
        (folder / f"{name}.yaml").write_text(f"description: For tests.\n{content}\n")
    return folder


@pytest.fixture
def steady(presets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registries with the methods of fakes/, and presets for them."""
    monkeypatch.setattr(preset, "folder", lambda: presets)
    for name, method in fakes.METHODS.items():
        monkeypatch.setitem(registry.METHODS.registered, name, method)
    for name, recipe in fakes.RECIPES.items():
        monkeypatch.setitem(registry.RECIPES.registered, name, recipe)


@pytest.fixture(scope="session")
def mixing_presets(presets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, but the defaults of barycenter mix at once."""
    folder = tmp_path_factory.mktemp("presets")
    shutil.copytree(presets, folder, dirs_exist_ok=True)
    for name in ("barycenter", "barycenter-draft"):
        (folder / f"{name}.yaml").write_text("description: For tests.\nmethod: mixture\n")
    return folder


@pytest.fixture
def mixing(steady: None, mixing_presets: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 (for its changes)
    """`steady`, where barycenter mixes by default."""
    monkeypatch.setattr(preset, "folder", lambda: mixing_presets)


@pytest.fixture
def texsynth(
    steady: None,  # noqa: ARG001 (for what it changes)
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Texsynth:
    """Run a command line in an empty folder, with `steady` among the presets."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Ran:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture
def refused(texsynth: Texsynth) -> Refused:
    """Run a command that must fail: the exit code, nothing on stdout, one line on stderr. Gives the line."""

    def run(code: int, *words: object) -> str:
        ran = texsynth(*words)
        assert (ran.code, ran.out) == (code, ""), ran
        assert ran.err.startswith("texsynth: error: ")
        assert ran.err.count("\n") == 1, ran.err
        return ran.err

    return run


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    """Write a picture of random pixels by its file's name; gives its array."""

    def make(
        name: str, size: tuple[int, int] = (16, 16), channels: int = 3, dtype: str = "uint8", seed: int = 0
    ) -> np.ndarray:
        values = np.random.default_rng(seed).random((*size, channels))
        top = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
        array = (values * top).astype(dtype)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        image.write(path, image.from_array(array))
        return array

    return make


@pytest.fixture
def exemplar(picture: Picture) -> None:
    """a.png, for files whose every test needs one."""
    picture("a.png")


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Write an array as a picture; gives it back."""

    def make(name: str, values: np.ndarray) -> np.ndarray:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        image.write(path, image.from_array(values))
        return values

    return make


def _halved(source: Path, target: Path) -> None:
    """A picture, or an array of directions, at half its size."""
    if source.suffix == ".npy":
        np.save(target, np.load(source)[:, ::2, ::2])
    else:
        image.write(target, image.from_array(array(str(source))[::2, ::2]))


@pytest.fixture
def examples(texsynth: Texsynth, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[list[str]]]:
    """The commands at the end of a verb's help, in words, with the pictures of samples/ where they look for them, half
    as large where no command counts pixels of theirs."""

    def read(verb: str) -> list[list[str]]:
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setenv("TERMINAL_WIDTH", "200")
        shown = texsynth(verb, "--help").out.split("Examples:")[1]
        Path("samples").mkdir()
        copied = shutil.copy if "--quad" in shown else _halved
        for name in set(re.findall(r"samples/[\w.]+", shown)):
            copied(documents.ROOT / name, Path(name))
        lines = [" ".join(part.split()) for part in re.split(r"\n\s*\n", shown)]
        return [shlex.split(line) for line in lines if line]

    return read
