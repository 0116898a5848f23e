"""The documents as tests read them: what their blocks hold, and how a reader who follows a page fares.

Commands of a page stand in `sh` blocks, one a line, and examples of Python in `python` blocks; they run in the order
of the page and build on each other. A block that follows "Save this as `NAME`:" is a file. Blocks called `console` or
`text` are not run.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import pytest

from networks import random_vgg
from texsynth.cli import main
from texsynth.correspondence import dense
from texsynth.material.packing import PACKINGS
from texsynth.methods import field, optimise
from texsynth.metrics import copy_rate, seam, transport
from texsynth.patches import matches
from texsynth.task import Level, Task

REDIRECTIONS = {"<": ("stdin", "r"), ">": ("stdout", "w")}
UNREAL = {"BaseColor": "BC", "Normal": "N", "Height": "H", "Roughness": "R", "AmbientOcclusion": "AO"}
STEPS, PATCHES = 2, 200  # that are enough for a page to be followed
SAMPLES = ((transport, "PATCHES"), (copy_rate, "PATCHES"), (seam, "QUERIES"), (matches, "OUTPUT_WINDOWS"))
ROOT = Path(__file__).parent.parent
PAGES = ["README.md", "CONTRIBUTING.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md")))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"Save\s+this\s+as\s+`(\S+?)`:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One thing that a page asks its reader to do.

    page: the file, relative to the root of the project.
    language: "sh" for a command, "python" for an example.
    text: the command's line or the example's code.
    """

    page: str
    language: str
    text: str


def text_of(page: str) -> str:
    """The text of a page, named by its path below the root of the project."""
    return (ROOT / page).read_text("utf-8")


def files(page: str) -> dict[str, str]:
    """The files that a page asks its reader to save, by their names."""
    return dict(FILE.findall(text_of(page)))


def steps(*pages: str) -> list[Any]:
    """What these pages ask their readers to do, in order, as parameters of a test."""
    return [
        pytest.param(step, id=f"{step.page}-{step.text.splitlines()[0]}") for page in pages for step in _steps(page)
    ]


def _steps(page: str) -> Iterator[Step]:
    saved = files(page).values()
    for language, text in BLOCK.findall(text_of(page)):
        if language == "sh":
            yield from (Step(page, "sh", line) for line in text.splitlines() if line.startswith("texsynth "))
        elif language == "python" and text not in saved:
            yield Step(page, "python", text)


def reader(folder: Path, page: str) -> Path:
    """A folder as a page expects it: samples/, two photos, the files to save, and weights if it names any."""
    shutil.copytree(ROOT / "samples", folder / "samples")
    (folder / "photos").mkdir()
    for picture in sorted((ROOT / "samples").glob("*.jpg"))[:2]:
        shutil.copy(picture, folder / "photos")
    if "vgg19.safetensors" in text_of(page):
        random_vgg(folder / "vgg19.safetensors")
    for name, content in files(page).items():
        (folder / Path(name).name).write_text(content, "utf-8")
    return folder


def follow(step: Step) -> None:
    """Do what a step says, in the current folder, and check that the files it promises are there.

    Trainings, descents by gradient and what metrics look at are cut short, and other searches where a page of the guide
    is followed; all else runs as it is written.
    """
    with _short(quick=step.page != "README.md"):
        _follow(step)


def _follow(step: Step) -> None:
    if step.language == "python":
        exec(compile(step.text, step.page, "exec"), {"__name__": "__main__"})
        promised = [Path(name) for name in re.findall(r'write\("(.+?)"', step.text)]
    else:
        words = shlex.split(step.text)
        short = ["--steps", "2", "--set", "checks=1"] if words[1] == "train" and "--steps" not in words else []
        plain = list(takewhile(lambda word: word not in REDIRECTIONS, words))
        with _redirected(words):
            assert main([*plain[1:], *short]) == 0
        promised = list(_promised(words))
        assert promised or words[1] in ("evaluate", "presets")
    for path in promised:
        assert path.is_file(), f"{path} is missing"


@contextmanager
def _short(quick: bool) -> Iterator[None]:
    """Few steps of `optimise`, and few patches for metrics to look at; where quick also few passes of `field`, few
    candidates for its pieces, and `propagate` looks at smaller pictures. Settings, and what records say of them, stay
    as they are."""
    with pytest.MonkeyPatch.context() as patch:
        for method in (optimise, field) if quick else (optimise,):
            patch.setattr(method, "schedule", partial(_few, method.schedule))
        if quick:
            patch.setattr(dense, "MOST_PIXELS", 1 << 14)
            patch.setattr(field, "begin", partial(_searching_little, field.begin))
        for module, name in SAMPLES:
            patch.setattr(module, name, PATCHES)
        yield


def _few(schedule: Callable[..., list[Level]], task: Task, values: Any) -> list[Level]:
    return [replace(level, steps=min(STEPS, level.steps)) for level in schedule(task, values)]


def _searching_little(
    begin: Callable[..., Any], task: Task, canvas: Any, level: Level, values: field.Settings, *rest: Any
) -> Any:
    return begin(task, canvas, level, replace(values, starts=1, recuts=(2,), tries=4, similar=0, patch=5), *rest)


@contextmanager
def _redirected(words: Sequence[str]) -> Iterator[None]:
    """Standard input and output as `< FILE` and `> FILE` at the end of a command set them."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for mark, (name, mode) in REDIRECTIONS.items():
            if mark in words:
                file = Path(words[words.index(mark) + 1])
                patch.setattr(sys, name, stack.enter_context(file.open(mode, encoding="utf-8")))
        yield


def _promised(words: Sequence[str]) -> Iterator[Path]:
    """The files that a command writes, as its flags say."""
    yield from (Path(value) for flag, value in pairwise(words) if flag in ("--csv", "--report"))
    yield from (Path(value) for flag, value in pairwise(words) if flag == ">")
    if "-o" not in words or words[words.index("-o") + 1] == "-":
        return
    name = words[words.index("-o") + 1]
    out = Path(name)
    if words[1:3] == ["maps", "unpack"]:
        base, _, packing = Path(words[3]).stem.rpartition("_")
        yield from (out / f"{base}_{role}.png" for role in PACKINGS[packing].contents)
        return
    if words[1] == "tiles":
        yield out / f"{Path(words[3]).stem}_{words[2]}.json"
        return
    if name.endswith("/"):
        yield from (out / f"{stem}.png" for stem in _stems(words) if "--list-jobs" not in words)
        return
    count = int(words[words.index("-n") + 1]) if "-n" in words else 1
    for number in range(1, count + 1):
        yield out if count == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")
    for flag, value in pairwise(words):
        if flag == "--map":
            yield out.with_name(f"{out.stem}_{value.partition('=')[0]}{out.suffix}")


def _stems(words: Sequence[str]) -> list[str]:
    """The stems of what is written for the pictures of a folder, which are those of a set where --names is given."""
    number, count = map(int, words[words.index("--shard") + 1].split("/")) if "--shard" in words else (1, 1)
    stems = [path.stem for path in sorted(Path(words[2]).iterdir())[number - 1 :: count]]
    if "unreal" in words:
        packed = {"R", "AO"} if "orm" in words else set()
        ends = {UNREAL[stem.partition("_")[2]] for stem in stems} - packed | ({"ORM"} if packed else set())
        return [f"T_{stems[0].partition('_')[0]}_{end}" for end in sorted(ends)]
    return stems
