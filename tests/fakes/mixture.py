"""A method for tests that copies nothing: each pixel is the mean colour of the exemplars, mixed by their shares."""

from __future__ import annotations

import torch

from fakes.shared import Settings, estimate, needs, refuses, schedule  # noqa: F401 (parts of this method)
from texsynth.task import Canvas

COPIES = False
RECIPES = ()


def begin(task, canvas, level, settings, rng, say):
    means = torch.cat([exemplar.image.mean((2, 3)) for exemplar in task.exemplars])  # (K, 3)
    image = torch.einsum("bkhw,kc->bchw", task.blend, means)
    return Canvas(image, canvas and canvas.field), lambda canvas: (canvas, 0.0)
