"""A method for tests that knows nothing but guides and shares: each pixel is the source pixel that meets them best."""

from __future__ import annotations

import torch

from fakes.shared import Settings, estimate, hold, needs, refuses, schedule  # noqa: F401 (parts of this method)
from texsynth.field.atlas import Field, build_atlas
from texsynth.task import Canvas

COPIES = True
RECIPES = ()


def begin(task, canvas, level, settings, rng, say):
    atlas = build_atlas(task, ("none",), 0)
    rank = atlas.home.clamp(min=0)
    total = torch.where(atlas.valid, 0.0, torch.inf).expand(task.size[0] * task.size[1], -1).clone()
    for guide in task.guides:
        flat = torch.cat([values[0].flatten(1) for values in guide.sources], 1)[:, rank]  # (C, N)
        total += guide.weight * _distance(guide.distance, guide.target[0].flatten(1).T[:, :, None], flat)
    if task.blend is not None:  # from the exemplar of the largest share, whatever the guides
        plane = atlas.split(torch.arange(len(rank)))[0]
        total -= 1e6 * task.blend[0].flatten(1).T[:, plane]
    field = Field(hold(task, atlas, total.argmin(1).view(task.size)), torch.zeros(task.size), atlas, task.tile)
    return Canvas(field.image(), field), lambda canvas: (canvas, 0.0)


def _distance(kind, target, source):
    if kind == "direction":
        return 1 - (target * source).sum(1) ** 2
    return ((target != source) if kind == "l0" else (target - source) ** 2).float().mean(1)
