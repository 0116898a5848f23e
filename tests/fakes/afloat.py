"""A method for tests that keeps no field: its picture is one colour."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fakes.shared import estimate, refuses  # noqa: F401 (parts of this method)
from texsynth.settings import setting
from texsynth.task import Canvas, Level

COPIES = False
RECIPES = ()


@dataclass(frozen=True)
class Settings:
    value: float = setting(0.5, "the colour")
    fail: str = setting("no", "interrupt: the only step is stopped, at half size")
    layers: tuple[str, ...] = setting((), "layers of VGG-19 that it says it needs")


def schedule(_, settings):
    return [Level(settings.fail == "interrupt", 1)]


def needs(settings, model=None):
    return {"vgg19": settings.layers} if settings.layers else {}


def begin(task, canvas, level, settings, rng, say):
    def step(canvas):
        if settings.fail == "interrupt":
            raise KeyboardInterrupt
        return canvas, settings.value

    image = torch.full((1, 3, *task.size), settings.value)
    if task.hole is not None:
        image = torch.where(task.hole, image, task.exemplars[0].image)
    return Canvas(image, canvas and canvas.field), step
