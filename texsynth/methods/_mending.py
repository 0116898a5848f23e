"""The field with a hole: known pixels point at themselves and stay; the rest continues them.

The windows of source pixels at the brim of the hole see into it: there they see what the field has made so far.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from texsynth.features.windows import Basis
from texsynth.solver import jumps
from texsynth.solver.blocks import largest_blocks
from texsynth.solver.fill import fill, thickness
from texsynth.solver.guide import Guiding, steer
from texsynth.solver.quilt import Rules
from texsynth.solver.space import Space, describe
from texsynth.solver.sweep import sweep
from texsynth.sources import Atlas, Field
from texsynth.task import Task

if TYPE_CHECKING:
    from texsynth.methods.field import Settings

SIDES = (1.5, 1.0, 0.7)  # of the pieces tried, in thicknesses of the hole
SMALLEST = 8  # pixels a side of these pieces
OVERLAP = 0.25  # of a piece that decides how well it fits
PASSES = 2  # before starts are compared


@dataclass(frozen=True)
class Brim:
    """Of one level. known: (h, w) bool; own: (h, w), the place of every output pixel in the first exemplar; inside:
    (N,) bool, the source pixels that lie in the hole."""

    known: Tensor
    own: Tensor
    inside: Tensor

    def settle(self, field: Field) -> Field:
        """Known pixels point at themselves."""
        return replace(field, index=torch.where(self.known, self.own, field.index))

    def guess(self, atlas: Atlas, field: Field) -> Atlas:
        """The atlas with what the field has made so far in place of what it has in the hole."""
        made = field.image()[0].flatten(1).T
        colours = atlas.colours.clone()
        colours[self.inside] = made[atlas.home[self.inside]]
        return replace(atlas, colours=colours)


def brim(task: Task, atlas: Atlas) -> Brim | None:
    """Where the hole of a task is, for its field; None without one."""
    if task.hole is None:
        return None
    hole = task.hole[0, 0].to(atlas.home.device)
    rows, columns = (torch.arange(n, device=hole.device) for n in task.size)
    plane = torch.zeros(task.size, dtype=torch.long, device=hole.device)
    own = atlas.join(plane, rows[:, None].expand(task.size), columns.expand(task.size))
    first = (atlas.home >= 0) & (atlas.home < hole.numel())
    inside = first & hole.flatten()[atlas.home.clamp(0, hole.numel() - 1)]
    return Brim(~hole, own, inside)


def start(
    task: Task, guiding: Guiding | None, around: Brim, atlas: Atlas, basis: Basis, settings: Settings,
    rng: torch.Generator,
) -> Field:  # fmt: skip
    """The best of several ways to lay pieces into the hole, by the cost that two passes leave."""
    hole, zero = ~around.known, torch.zeros(task.size, device=atlas.home.device)
    best = Field(around.own, zero, atlas, task.tile)
    if not hole.any():
        return best
    table = describe(atlas, basis, atlas.valid)
    similar = jumps.compare(atlas, table, atlas.valid, settings.similar, rng)
    space = Space(atlas, basis, table, atlas.valid, similar)
    price = torch.where(atlas.valid, 0.0, torch.inf)
    thick = thickness(hole, task.tile)
    most = min(*task.size, min(min(size) for size in atlas.exemplars) // 2)
    least = torch.inf
    for number in range(settings.starts):
        side = max(SMALLEST, min(most, round(thick * SIDES[number % len(SIDES)])))
        blocks = largest_blocks(atlas, side, OVERLAP, rng)
        if blocks is None:
            index = _anything(atlas, around, rng)
        else:
            steers = () if guiding is None else (steer(guiding, blocks),)
            index = fill(atlas, blocks, around.own, hole, task.tile, Rules(settings.spread, 0.0, 1, steers), rng)
        made = Field(index, zero, atlas, task.tile)
        for _ in range(PASSES):
            made = sweep(made, space, price, settings.mend, guiding, rng, around.known)
        if float(made.cost.sum()) < least:
            best, least = made, float(made.cost.sum())
    return best


def _anything(atlas: Atlas, around: Brim, rng: torch.Generator) -> Tensor:
    """Single pixels at random, where nothing but specks may be copied."""
    usable = atlas.valid.nonzero()[:, 0]
    picks = usable[torch.randint(len(usable), tuple(around.own.shape), generator=rng).to(usable.device)]
    return torch.where(around.known, around.own, picks)
