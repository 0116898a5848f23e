"""A method for tests that uses a model of the recipe `easy`: all of the picture has its colour."""

from __future__ import annotations

from fakes.shared import Settings, estimate, needs, schedule  # noqa: F401 (parts of this method)
from texsynth.task import Canvas

COPIES = False
RECIPES = ("easy",)


def refuses(task, settings):
    return "paints no holes" if task.hole is not None else None


def begin(task, canvas, level, settings, rng, say):
    colour = task.model.tensors["colour"].clamp(0, 1).view(1, 3, 1, 1)
    return Canvas(colour.expand(1, 3, *task.size).contiguous()), lambda canvas: (canvas, 0.0)
