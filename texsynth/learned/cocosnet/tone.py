"""The tone of a warp of CoCosNet (Zhang et al. 2020), whose blocks come from several places of the exemplar.

Where a cell's place does not go on from its neighbour's, both should differ as the exemplar does there (Pérez et al.
2003, "Poisson Image Editing"); `image.tone` finds the smooth correction that brings this about. Differs from the paper
in: differences between labels do not count, and those in rough places hardly, where they are the texture's and would
add up to a drift of colours.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.image.tone import confidence, seam_correction
from texsynth.learned.cocosnet.places import taken

HOLD = 1 / 32**2  # the price of a correction, which so reaches some 32 cells
ROUGHNESS = 0.04  # deviation of colours nearby, from which on differences are likelier the texture's
NEARBY = 5  # cells a side, of what is nearby


@torch.no_grad()
def correction(places: Tensor, colours: Tensor, labels: Tensor, tile: tuple[bool, bool] = (False, False)) -> Tensor:
    """What to add, (1, 3, h, w), to cells that come from places (1, 2, h, w), the (y, x) in a grid of colours (1, 3, H,
    W). labels: (1, L, h, w), the shares of labels in each cell. tile: whether the target wraps in (y, x)."""
    places = places.round()
    variance = _local_variance(colours)
    steps = [_steps(places, colours, variance, labels, dim, wraps) for dim, wraps in enumerate(tile, 2)]
    if not any(bool(lack.any()) for lack, _ in steps):
        return colours.new_zeros(1, 3, *places.shape[2:])
    # Rough places hold their tone, or many small doubts would add up to a drift.
    return seam_correction(steps, HOLD + (taken(variance, places) / ROUGHNESS**2) ** 2, tile)


def _local_variance(colours: Tensor) -> Tensor:
    """The variance of colours (1, 3, H, W) in a window round each cell: (1, 1, H, W)."""
    near = F.pad(colours, (NEARBY // 2,) * 4, mode="replicate")
    mean, squares = (F.avg_pool2d(x, NEARBY, 1) for x in (near, near.square()))
    return (squares - mean.square()).clamp_min(0).mean(1, keepdim=True)


def _steps(
    places: Tensor, colours: Tensor, variance: Tensor, labels: Tensor, dim: int, wraps: bool
) -> tuple[Tensor, Tensor]:
    """For each cell and the next one along an axis: by how much the correction shall grow from the one to the other,
    (1, 3, h, w), and how much that counts, (1, 1, h, w)."""
    step = places.new_zeros(1, 2, 1, 1)
    step[:, dim - 2] = 1
    last = torch.tensor(colours.shape[2:], device=places.device).view(1, 2, 1, 1) - 1
    ahead = places.roll(-1, dim)
    goes_on = (ahead == places + step).all(1, keepdim=True)
    # Compare what the exemplar has after this cell, and before the next one, with what is there now.
    sides = []
    for there, present in ((places + step, ahead), (ahead - step, places)):
        inside = ((there >= 0) & (there <= last)).all(1, keepdim=True)
        apart = taken(colours, there.clamp(min=0).minimum(last)) - taken(colours, present)
        sides.append((apart if present is ahead else -apart, inside))
    (after, first), (before, second) = sides
    lack = torch.where(first & second, (after + before) / 2, torch.where(first, after, before))
    lack = torch.where(goes_on, 0, lack)
    # Weigh each step by the labels that both cells share, its size, and how rough both places are.
    shared = (labels * labels.roll(-1, dim)).sum(1, keepdim=True)
    around = taken(variance, places).maximum(taken(variance, ahead.clamp(min=0).minimum(last)))
    weight = confidence(lack, shared, around / ROUGHNESS**2)
    weight = torch.where(goes_on, 1, torch.where(first | second, weight, 0))
    if not wraps:
        weight.narrow(dim, weight.shape[dim] - 1, 1).zero_()
    return lack, weight
