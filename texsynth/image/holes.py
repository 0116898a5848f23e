"""Holes in pictures: what smooth guess stands in them until they are filled, and where they lie."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def smooth(image: Tensor, hole: Tensor) -> Tensor:
    """(1, C, H, W) with its hole (1, 1, H, W) bool filled by the surroundings, ever more blurred further inside.

    Means of what is known on every coarser level, pulled down again where a finer one knows nothing (Gortler et al.
    1996, the pull-push of "The Lumigraph"). Known pixels are left as they are.
    """
    if not hole.any() or hole.all():
        return image
    known = (~hole).to(image)
    levels = [(image * known, known)]
    while min(levels[-1][1].shape[2:]) > 1 and float(levels[-1][1].min()) == 0:
        values, weight = (F.avg_pool2d(t, 2, ceil_mode=True) for t in levels[-1])
        levels.append((values, weight))
    values, weight = levels[-1]
    guess = values / weight.clamp(min=1e-6)
    mean = (image * known).sum((2, 3), keepdim=True) / known.sum()
    guess = torch.where(weight > 0, guess, mean)
    for values, weight in reversed(levels[:-1]):
        coarse = F.interpolate(guess, values.shape[2:], mode="bilinear")
        guess = torch.where(weight > 0, values / weight.clamp(min=1e-6), coarse)
    return torch.where(hole, guess, image)


def grow(mask: Tensor, radius: int, tile: tuple[bool, bool] = (False, False)) -> Tensor:
    """A mask (1, 1, H, W) bool with all that lies within `radius` pixels of it, across borders that wrap."""
    if radius == 0:
        return mask
    wide = mask.float()
    for dim, wraps in enumerate(tile):
        padding = [0, 0, radius, radius] if dim == 0 else [radius, radius, 0, 0]
        fits = wraps and radius < wide.shape[2 + dim]
        wide = F.pad(wide, padding, mode="circular" if fits else "constant")
        kernel = (2 * radius + 1, 1) if dim == 0 else (1, 2 * radius + 1)
        wide = F.max_pool2d(wide, kernel, stride=1)
    return wide > 0
