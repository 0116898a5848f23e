"""The field with a hole: known pixels point at themselves and stay; the rest continues them.

The windows of source pixels at the brim of the hole see into it: there they see what the field has made so far.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from texsynth.features.windows import Basis
from texsynth.field import jumps
from texsynth.field.atlas import Atlas, Field
from texsynth.field.blocks import largest_blocks
from texsynth.field.fill import fill, thickness
from texsynth.field.guide import Guiding, steer
from texsynth.field.quilt import Rules, Steer
from texsynth.field.space import Space, describe
from texsynth.field.sweep import sweep
from texsynth.task import Task

if TYPE_CHECKING:
    from texsynth.methods.field import Settings

SIDES = (1.5, 1.0, 0.7)  # of the pieces tried, in thicknesses of the hole
SMALLEST = 8  # pixels a side of these pieces
OVERLAP = 0.25  # of a piece that decides how well it fits
LONG = 8  # times as long as wide: what is near by is not worth its price there, which grows with the length
PASSES = 2  # before starts are compared


@dataclass(frozen=True)
class Brim:
    """Of one level. known: (h, w) bool, what stays; given: (h, w) bool, what has a place to start from, own: (h, w),
    that place in the atlas; still: (h, w) bool, where that is its own place; inside: (N,) bool, the source pixels that
    lie in the hole."""

    known: Tensor
    given: Tensor
    own: Tensor
    still: Tensor
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
    """What of a task stays, and where the rest starts from, for its field; None without either."""
    if task.hole is None and task.start is None:
        return None
    device = atlas.home.device
    hole = torch.ones(task.size, dtype=torch.bool) if task.hole is None else task.hole[0, 0]
    known = ~hole.to(device)
    places = torch.stack(torch.meshgrid(*(torch.arange(n, device=device) for n in task.size), indexing="ij"))
    given = still = known
    if task.start is not None:
        start = task.start[0].to(device)
        given = known | ~start.isnan().any(0)
        begun = torch.where(known | ~given, places, start.nan_to_num().long())
        still = given & (begun == places).all(0)
        places = begun
    own = atlas.join(torch.zeros_like(places[0]), *places)
    inside = torch.zeros_like(atlas.valid)
    if task.hole is not None:
        first = (atlas.home >= 0) & (atlas.home < known.numel())
        inside = first & ~known.flatten()[atlas.home.clamp(0, known.numel() - 1)] & ~atlas.valid
    return Brim(known, given, own, still, inside)


def start(
    task: Task, guiding: Guiding | None, lattice: Steer | None, around: Brim, atlas: Atlas, basis: Basis,
    settings: Settings, rng: torch.Generator,
) -> Field:  # fmt: skip
    """The best of several ways to lay pieces where nothing is given, by the cost that two passes leave."""
    hole, zero = ~around.given, torch.zeros(task.size, device=atlas.home.device)
    best = Field(around.own, zero, atlas, task.tile)
    if not hole.any():
        return best
    table = describe(atlas, basis, atlas.valid)
    similar = jumps.compare(atlas, table, atlas.valid, settings.similar, rng)
    space = Space(atlas, basis, table, atlas.valid, similar)
    price = torch.where(atlas.valid, 0.0, torch.inf)
    thick = thickness(hole, task.tile)
    most = min(min(size) for size in atlas.exemplars) // 2
    long = max(max(size) for size in atlas.exemplars) > LONG * min(min(size) for size in atlas.exemplars)
    least = torch.inf
    for number in range(settings.starts):
        side = min(*task.size, max(SMALLEST, min(most, round(thick * SIDES[number % len(SIDES)]))))
        blocks = largest_blocks(atlas, side, OVERLAP, rng)
        if blocks is None:
            index = _anything(atlas, around, rng)
        else:
            steers = (lattice, None if guiding is None else steer(guiding, blocks))
            rules = Rules(0.0 if long else settings.spread, 0.0, 1, tuple(one for one in steers if one))
            index = fill(atlas, blocks, around.own, hole, around.still, task.tile, rules, rng)
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
    return torch.where(around.given, around.own, picks)
