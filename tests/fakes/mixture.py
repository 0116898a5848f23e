"""A method for tests that copies nothing: each pixel is the mean colour of the exemplars, mixed by their shares."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from texsynth.task import Canvas, Estimate, Level

COPIES = False
RECIPES = ()


@dataclass(frozen=True)
class Settings:
    pass


def schedule(_, settings):
    return [Level(0, 1)]


def needs(settings, model=None):
    return {}


def begin(task, canvas, level, settings, rng, say):
    means = torch.cat([exemplar.image.mean((2, 3)) for exemplar in task.exemplars])  # (K, 3)
    image = torch.einsum("bkhw,kc->bchw", task.blend, means)
    return Canvas(image, canvas and canvas.field), lambda canvas: (canvas, 0.0)


def refuses(task, settings):
    return None


def estimate(task, settings):
    return Estimate(100 << 20, 1e-3)
