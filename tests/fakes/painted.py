"""A method for tests that uses a model of the recipe `easy`: all of the picture has its colour."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.task import Canvas, Estimate, Level

COPIES = False
RECIPES = ("easy",)


@dataclass(frozen=True)
class Settings:
    pass


def schedule(task, settings):
    return [Level(0, 1)]


def needs(settings, model=None):
    return {}


def refuses(task, settings):
    return "paints no holes" if task.hole is not None else None


def begin(task, canvas, level, settings, rng, say):
    colour = task.model.tensors["colour"].clamp(0, 1).view(1, 3, 1, 1)
    return Canvas(colour.expand(1, 3, *task.size).contiguous()), lambda canvas: (canvas, 0.0)


def estimate(task, settings):
    return Estimate(100 << 20, 0.1)
