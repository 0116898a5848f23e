"""A method for tests: pixels copied at random in two levels, and failures on demand. Quick, and never changes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from texsynth.methods._known import known

from texsynth.sources import Field, build_atlas
from texsynth.task import Canvas, Estimate, Level

COPIES = True
RECIPES = ()


@dataclass(frozen=True)
class Settings:
    patch: int = field(default=5, metadata={"help": "window side", "min": 3, "max": 31})
    weight: float = field(default=0.5, metadata={"help": "a weight", "min": 0.0})
    lattice: str = field(default="auto", metadata={"help": "a switch", "choices": ("auto", "on", "off")})
    note: str = field(default="", metadata={"help": "free text"})
    mirrored: bool = field(default=False, metadata={"help": "a flag"})
    passes: tuple[int, ...] = field(default=(2, 1), metadata={"help": "steps a level", "min": 1})
    layers: tuple[str, ...] = field(default=("a", "b"), metadata={"choices": ("a", "b", "c")})
    fail: str = field(default="no", metadata={"help": "what goes wrong at the last step of level 1"})
    pause: float = field(default=0.0, metadata={"help": "seconds a step"})


def schedule(_, settings):
    return [Level(level, settings.passes[1 - level]) for level in (1, 0)]


def needs(settings, model=None):
    return {}


def begin(task, canvas, level, settings, rng, say):
    say(f"steady at level {level.scale}")
    if settings.fail == "at once":
        raise KeyboardInterrupt
    atlas = build_atlas(task, ("none", "flip-x"), 1)
    usable = atlas.valid.nonzero()[:, 0]
    index = usable[torch.randint(len(usable), task.size, generator=rng)]
    made = Field(known(task, atlas, index), torch.full(task.size, 0.25), atlas, task.tile)
    taken = 0

    def step(canvas):
        nonlocal taken
        taken += 1
        time.sleep(settings.pause)
        if level.scale == 0 or taken == level.steps:
            _fail(settings.fail)
        return canvas, 0.25

    return Canvas(made.image(), made), step


def _fail(how):
    failures = {
        "interrupt": KeyboardInterrupt(),
        "memory": MemoryError(),
        "torch": torch.OutOfMemoryError("CUDA out of memory"),
        "crash": RuntimeError("a first line\nand a second"),
    }
    if how in failures:
        raise failures[how]


def refuses(task, settings):
    return None


def estimate(task, settings):
    pixels = task.size[0] * task.size[1]
    return Estimate((100 << 20) + 1000 * pixels, 1e-5 * pixels)
