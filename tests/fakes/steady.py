"""A method for tests: pixels copied at random in two levels, and failures on demand. Quick, and never changes."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from fakes.shared import estimate, hold, needs, refuses  # noqa: F401 (parts of this method)
from texsynth.field.atlas import Field, build_atlas
from texsynth.field.magnify.levels import Seams
from texsynth.settings import setting
from texsynth.task import Canvas, Level

COPIES = True
RECIPES = ()


@dataclass(frozen=True)
class Settings:
    patch: int = setting(5, "window side", low=3, high=31)
    weight: float = setting(0.5, "a weight", low=0.0)
    lattice: str = setting("auto", "a switch", choices=("auto", "on", "off"))
    note: str = setting("", "free text")
    mirrored: bool = setting(False, "a flag")
    passes: tuple[int, ...] = setting((2, 1), "steps a level", low=1)
    layers: tuple[str, ...] = setting(("a", "b"), "", choices=("a", "b", "c"))
    fail: str = setting("no", "what goes wrong at the last step of level 1")
    pause: float = setting(0.0, "seconds a step")


def schedule(_, settings):
    return [Level(level, settings.passes[1 - level]) for level in (1, 0)]


def seams(task, settings):
    return Seams(settings.patch, 0, 0)  # which leaves every pixel where it was carried to


def begin(task, canvas, level, settings, rng, say):
    say(f"steady at level {level.scale}")
    if settings.fail == "at once":
        raise KeyboardInterrupt
    atlas = build_atlas(task, ("none", "flip-x"), 1)
    usable = atlas.valid.nonzero()[:, 0]
    index = usable[torch.randint(len(usable), task.size, generator=rng)]
    field = Field(hold(task, atlas, index), torch.full(task.size, 0.25), atlas, task.tile)
    taken = 0

    def step(canvas):
        nonlocal taken
        taken += 1
        time.sleep(settings.pause)
        if level.scale == 0 or taken == level.steps:
            _fail(settings.fail)
        return canvas, 0.25

    return Canvas(field.image(), field), step


def _fail(how):
    failures = {
        "interrupt": KeyboardInterrupt(),
        "memory": MemoryError(),
        "torch": torch.OutOfMemoryError("CUDA out of memory"),
        "crash": RuntimeError("a first line\nand a second"),
    }
    if how in failures:
        raise failures[how]
