"""A smooth correction of tone inside a hole, so that what is copied there takes on the light of its place.

Poisson image editing (Pérez et al. 2003): at a seam the copied neighbours should differ as one of them does from what
it continues to in its source. The correction of least gradient that brings this about is added to the copies. Differs
from the paper in: it is bilinear between nodes some pixels apart and ignores seams where shapes and not tones disagree,
so no detail is blurred and no colour bleeds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.sources import Field

NODES = 64  # nodes along the shorter side
STEP = 0.1  # of tone: seams that are this far off count half, as they are likelier a fault of shape
MOST = 0.25  # of correction
ROUNDS = 60  # of conjugate gradients at most


@dataclass(frozen=True)
class Edges:
    """All pairs of neighbours along one axis, counted at the first: lack, (h, w, 3), what their difference lacks;
    weight, (h, w), 0 where there is no pair or nothing is known about it."""

    dim: int
    lack: Tensor
    weight: Tensor


def correction(field: Field, hole: Tensor) -> Tensor:
    """What to add to the picture of a field inside a hole (1, 1, h, w) bool: (1, 3, h, w), 0 elsewhere."""
    h, w = field.size
    inside = hole[0, 0].to(field.index.device)
    edges = [_edges(field, inside, dim) for dim in (0, 1)]
    cell = max(2, round(min(h, w) / NODES))
    nodes = torch.zeros(1, 3, -(-h // cell) + 1, -(-w // cell) + 1, device=inside.device)

    def spread(at: Tensor) -> Tensor:
        size = (at.shape[2] - 1) * cell + 1, (at.shape[3] - 1) * cell + 1
        return F.interpolate(at, size, mode="bilinear", align_corners=True)[:, :, :h, :w] * inside

    def energy(at: Tensor) -> Tensor:
        made = spread(at)[0].permute(1, 2, 0)
        return (
            torch.stack(
                [((made.roll(-1, e.dim) - made - e.lack).square().sum(-1) * e.weight).sum() for e in edges]
            ).sum()
            + 1e-4 * at.square().sum()
        )

    return spread(_least(energy, nodes)).clamp(-MOST, MOST)


def _edges(field: Field, inside: Tensor, dim: int) -> Edges:
    atlas, first = field.atlas, field.index
    second, stride = first.roll(-1, dim), atlas.row if dim == 0 else 1
    last = len(atlas.valid) - 1
    ahead, behind = (first + stride).clamp(max=last), (second - stride).clamp(min=0)
    steps = [(atlas.colours[ahead] - atlas.colours[first], atlas.valid[ahead])]
    steps += [(atlas.colours[second] - atlas.colours[behind], atlas.valid[behind])]
    sure = torch.stack([known for _, known in steps]).float()
    wanted = (steps[0][0] * sure[0, ..., None] + steps[1][0] * sure[1, ..., None]) / sure.sum(0).clamp(min=1)[..., None]
    lack = wanted - (atlas.colours[second] - atlas.colours[first])
    weight = 1 / (1 + lack.square().mean(-1) / STEP**2)
    weight = weight * ((sure.sum(0) > 0) & (inside | inside.roll(-1, dim)))
    if not field.tile[dim]:
        weight.narrow(dim, field.size[dim] - 1, 1).zero_()
    return Edges(dim, lack, weight)


def _least(energy: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """Where a quadratic function is least: conjugate gradients (Hestenes & Stiefel 1952)."""

    def slope(at: Tensor) -> Tensor:
        at = at.detach().requires_grad_()
        return torch.autograd.grad(energy(at), at)[0]

    with torch.enable_grad():
        level = slope(torch.zeros_like(start))
        at, left = start, -slope(start)
        way, size = left, left.square().sum()
        first = size
        for _ in range(ROUNDS):
            if float(size) <= 1e-8 * float(first):
                break
            bend = slope(way) - level
            reach = size / (way * bend).sum().clamp(min=1e-20)
            at, left = at + reach * way, left - reach * bend
            size, before = left.square().sum(), size
            way = left + (size / before) * way
    return at.detach()
