"""Holes in pictures: the smooth guess that stands in a hole until it is filled, and masks that grow."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def smooth(image: Tensor, hole: Tensor) -> Tensor:
    """A picture (1, C, H, W) whose hole (1, 1, H, W) bool continues its surroundings, more blurred further inside.

    The pull-push of "The Lumigraph" (Gortler et al. 1996): every coarser level holds the means of the pixels outside
    the hole, and a finer level takes from it what it does not hold itself. Pixels outside the hole stay as they are.
    """
    if not hole.any() or hole.all():
        return image
    outside = (~hole).to(image)
    # Pull: halve values and weights until no cell is without a value.
    levels = [(image * outside, outside)]
    while min(levels[-1][1].shape[2:]) > 1 and float(levels[-1][1].min()) == 0:
        values, weight = (F.avg_pool2d(t, 2, ceil_mode=True) for t in levels[-1])
        levels.append((values, weight))
    values, weight = levels[-1]
    guess = values / weight.clamp(min=1e-6)
    mean = (image * outside).sum((2, 3), keepdim=True) / outside.sum()
    guess = torch.where(weight > 0, guess, mean)
    # Push: enlarge the guess into the cells that have no value.
    for values, weight in reversed(levels[:-1]):
        coarse = F.interpolate(guess, values.shape[2:], mode="bilinear")
        guess = torch.where(weight > 0, values / weight.clamp(min=1e-6), coarse)
    return torch.where(hole, guess, image)


def grow(mask: Tensor, radius: int, tile: tuple[bool, bool] = (False, False)) -> Tensor:
    """A mask (1, 1, H, W) bool with all pixels within `radius` of it along both axes.

    tile: whether the picture wraps in (y, x); the mask then grows across these borders.
    """
    if radius == 0:
        return mask
    for dim, wraps in enumerate(tile, 2):
        length = mask.shape[dim]
        shape = list(mask.shape)
        shape[dim] = radius
        fits = wraps and radius < length
        before = mask.narrow(dim, length - radius, radius) if fits else mask.new_zeros(shape)
        after = mask.narrow(dim, 0, radius) if fits else mask.new_zeros(shape)
        mask = _any_of(torch.cat([before, mask, after], dim), dim, 2 * radius + 1)
    return mask


def _any_of(mask: Tensor, dim: int, length: int) -> Tensor:
    """Whether a mask (bool) is set anywhere in each run of `length` pixels along `dim`, which becomes as much shorter.
    Runs double from step to step, so that long ones cost little."""
    covered = 1
    while covered < length:
        step = min(covered, length - covered)
        kept = mask.shape[dim] - step
        mask = mask.narrow(dim, 0, kept) | mask.narrow(dim, step, kept)
        covered += step
    return mask
