"""Light made one across the seams of a warp, for CoCosNet (Zhang et al. 2020), whose blocks come from several places.

Seamless cloning (Pérez et al. 2003) over cells: where a cell's place does not go on from its neighbour's, both should
differ as the exemplar does there; a smooth correction brings this about, next to nothing elsewhere. Differs from the
paper in: large differences, which are faults of shape, hardly count, nor do those between labels or in rough places,
where they are the texture's and would add up to a drift of colours; and it fades.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.learned.cocosnet.places import taken

FADE = 1 / 32**2  # what a correction costs by itself; its reach is some 32 cells
STEP = 0.08  # of tone: larger differences are likelier faults of shape
ROUGH = 0.04  # deviation of colours nearby, from which on differences are likelier the texture's
MOST = 0.25  # of correction
ROUNDS = 200  # of conjugate gradients, at most
EXACT = 1e-4  # of what there was at first, that may be left
AXES = (2, 3)


@torch.no_grad()
def levelled(places: Tensor, colours: Tensor, labels: Tensor, tile: tuple[bool, bool] = (False, False)) -> Tensor:
    """What to add to cells that come from `places`, (1, 2, h, w), the (y, x) in a grid of colours (1, 3, H, W):
    (1, 3, h, w). labels: shares (1, L, h, w) of labels in each cell. tile: does the target wrap in (y, x)?"""
    places = places.round()
    rough = _rough(colours)
    parts = [_lacking(places, colours, rough, labels, dim, wraps) for dim, wraps in zip(AXES, tile, strict=True)]
    if not any(bool(lack.any()) for lack, _ in parts):
        return colours.new_zeros(1, 3, *places.shape[2:])

    held = FADE + (taken(rough, places) / ROUGH**2) ** 2  # or many small doubts would add up to a drift

    def apply(x: Tensor) -> Tensor:
        out = held * x
        for dim, (_, trust) in zip(AXES, parts, strict=True):
            out = out - _apart(trust * (x.roll(-1, dim) - x), dim)
        return out

    goal = sum((-_apart(trust * lack, dim) for dim, (lack, trust) in zip(AXES, parts, strict=True)), torch.tensor(0.0))
    return _solved(apply, goal.to(colours)).clamp(-MOST, MOST)


def _rough(colours: Tensor) -> Tensor:
    """The variance of colours (1, 3, H, W) nearby: (1, 1, H, W)."""
    near = F.pad(colours, (2, 2, 2, 2), mode="replicate")
    mean, squares = (F.avg_pool2d(x, 5, 1) for x in (near, near.square()))
    return (squares - mean.square()).clamp_min(0).mean(1, keepdim=True)


def _lacking(
    places: Tensor, colours: Tensor, rough: Tensor, labels: Tensor, dim: int, wraps: bool
) -> tuple[Tensor, Tensor]:
    """For each cell and the next one along an axis: by how much the correction shall grow from the one to the other,
    (1, 3, h, w), and how much that counts, (1, 1, h, w)."""
    step = places.new_zeros(1, 2, 1, 1)
    step[:, dim - 2] = 1
    last = torch.tensor(colours.shape[2:], device=places.device).view(1, 2, 1, 1) - 1
    ahead = places.roll(-1, dim)
    goes_on = (ahead == places + step).all(1, keepdim=True)
    sides = []
    for there, own in ((places + step, ahead), (ahead - step, places)):
        inside = ((there >= 0) & (there <= last)).all(1, keepdim=True)
        apart = taken(colours, there.clamp(min=0).minimum(last)) - taken(colours, own)
        sides.append((apart if own is ahead else -apart, inside))
    (after, first), (before, second) = sides
    lack = torch.where(first & second, (after + before) / 2, torch.where(first, after, before))
    lack = torch.where(goes_on, 0, lack)
    shared = (labels * labels.roll(-1, dim)).sum(1, keepdim=True)
    around = taken(rough, places).maximum(taken(rough, ahead.clamp(min=0).minimum(last)))
    trust = shared / (1 + lack.square().mean(1, keepdim=True) / STEP**2 + around / ROUGH**2) ** 2
    trust = torch.where(goes_on, 1, torch.where(first | second, trust, 0))
    if not wraps:
        trust.narrow(dim, trust.shape[dim] - 1, 1).zero_()
    return lack, trust


def _apart(x: Tensor, dim: int) -> Tensor:
    """What flows into each cell along an axis less what flows out, (1, C, h, w)."""
    return x - x.roll(1, dim)


def _solved(apply: Callable[[Tensor], Tensor], goal: Tensor) -> Tensor:
    """x with apply(x) = goal, apply symmetric and positive; by conjugate gradients, every colour on its own."""
    x, left = torch.zeros_like(goal), goal
    way, size = left, left.square().sum((2, 3), keepdim=True)
    enough = EXACT**2 * size.clamp_min(1e-12)
    for _ in range(ROUNDS):
        if bool((size <= enough).all()):
            break
        moved = apply(way)
        stride = size / (way * moved).sum((2, 3), keepdim=True).clamp_min(1e-20)
        x, left = x + stride * way, left - stride * moved
        before, size = size, left.square().sum((2, 3), keepdim=True)
        way = left + size / before.clamp_min(1e-20) * way
    return x
