"""A blend of exemplars by copying: islands of each exemplar among the others, in the shares of the blend.

Smooth noise, evenly spread over [0, 1], is compared with the shares, so that the islands of an exemplar grow with its
share. Where exactly they end is left to the windows: the guide is weak, and only the first level follows it.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.task import Guide, Task

ISLAND_BLUR = 0.15  # standard deviation of the blur of the noise, in shorter sides of the smallest exemplar
MOSAIC_WEIGHT = 2.0  # of the guide, in variances


def steered(task: Task, first: bool, rng: torch.Generator) -> Task:
    """The task without the exemplars that have no share; at its first level with a guide towards the islands."""
    blend = task.blend
    assert blend is not None
    exemplars = tuple(
        exemplar if float(share.max()) > 0 else replace(exemplar, valid=torch.zeros_like(exemplar.image[:, :1]) > 0)
        for exemplar, share in zip(task.exemplars, blend[0], strict=True)
    )
    task = replace(task, exemplars=exemplars)
    if not first:
        return task
    sources = tuple(torch.full_like(e.image[:, :1], number) for number, e in enumerate(exemplars))
    grain = ISLAND_BLUR * task.shorter_side
    guide = Guide("mosaic", sources, islands(blend, grain, task.tile, rng), MOSAIC_WEIGHT, "l0")
    return replace(task, guides=(*task.guides, guide))


def islands(blend: Tensor, grain: float, tile: tuple[bool, bool], rng: torch.Generator) -> Tensor:
    """The number of the exemplar that each pixel is to come from, (1, 1, h, w) as floats, for shares (1, K, h, w).

    grain: the standard deviation, in pixels, of the noise's blur. tile: whether the islands wrap in (y, x).
    """
    h, w = blend.shape[2:]
    noise = torch.rand(1, 1, h, w, generator=rng)
    for dim, wraps in enumerate(tile):
        noise = _blurred(noise, grain, dim, wraps)
    rank = noise.flatten().argsort().argsort().view(1, 1, h, w)
    height = ((rank + 0.5) / (h * w)).to(blend)
    return (height > blend.cumsum(1)[:, :-1]).float().sum(1, keepdim=True)


def _blurred(values: Tensor, sigma: float, dim: int, wraps: bool) -> Tensor:
    """A Gaussian blur along one axis, across the border where that wraps."""
    radius = max(1, round(3 * sigma))
    ramp = torch.arange(-radius, radius + 1)
    kernel = torch.exp(-0.5 * (ramp / max(sigma, 0.1)) ** 2)
    at = torch.arange(-radius, values.shape[2 + dim] + radius)
    inside = at % values.shape[2 + dim] if wraps else at.clamp(0, values.shape[2 + dim] - 1)
    wide = values.index_select(2 + dim, inside)
    return F.conv2d(wide, (kernel / kernel.sum()).view((1, 1, -1, 1) if dim == 0 else (1, 1, 1, -1)))
