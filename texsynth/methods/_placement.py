"""Output pixels whose source is settled before the field is solved: those outside a hole, and those with a start."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.field.atlas import MIDDLE, Atlas, Field, spread_further
from texsynth.image.holes import grow
from texsynth.task import Task

LEAN = 0.3  # variances, of what stays beside the core: without a price it would grow up to it, to a straight line


@dataclass(frozen=True)
class Placement:
    """The output pixels (h, w) of one level that have a source, and the source pixels (N,) that lie in the hole."""

    fixed: Tensor  # (h, w) bool, the pixels outside the hole, which stay
    placed: Tensor  # (h, w) bool, the pixels that have a source to start from; all that are fixed are among them
    places: Tensor  # (h, w), that source as an index into the atlas
    context: Tensor  # (h, w) bool, the placed pixels that what is filled continues
    soft: Tensor  # (h, w) bool, the pixels of the hole that may stay as they are
    inside: Tensor  # (N,) bool, the source pixels that lie in the hole
    lean: Tensor  # (N,), the price of copying each source pixel, in variances: it draws the cut away from the core

    def hold(self, field: Field) -> Field:
        """The field with its fixed pixels at their own places."""
        return replace(field, index=torch.where(self.fixed, self.places, field.index))

    def fill_sources(self, atlas: Atlas, field: Field) -> Atlas:
        """The atlas with what the field has copied into the hole, since windows beside the hole reach into it."""
        colours = atlas.colours.clone()
        colours[self.inside] = field.image()[0].flatten(1).T[atlas.home[self.inside]]
        if atlas.compared is atlas.colours:
            return replace(atlas, colours=colours, compared=colours)
        copied = field.read(atlas.compared)[:, 3:]
        others = [copied.new_zeros(1, copied.shape[1], *size) for size in atlas.exemplars[1:]]
        compared = torch.cat([colours - MIDDLE, spread_further([copied, *others], atlas, atlas.vectors)], 1)
        return replace(atlas, colours=colours, compared=torch.where(self.inside[:, None], compared, atlas.compared))


def place(task: Task, atlas: Atlas) -> Placement | None:
    """The placement of a task's output pixels; None for a task without a hole and a start."""
    if task.hole is None and task.start is None:
        return None
    device = atlas.home.device
    hole = torch.ones(task.size, dtype=torch.bool) if task.hole is None else task.hole[0, 0]
    fixed = ~hole.to(device)
    soft = torch.zeros_like(fixed) if task.core is None else ~(fixed | task.core[0, 0].to(device))
    places = torch.stack(torch.meshgrid(*(torch.arange(n, device=device) for n in task.size), indexing="ij"))
    placed = context = fixed | soft
    if task.start is not None:
        start = task.start[0].to(device)
        placed = fixed | ~start.isnan().any(0)
        moved = torch.where(fixed | ~placed, places, start.nan_to_num().long())
        # Objects that move leave a hole in what stays; in a picture of another size all of it moves.
        resized = task.size != task.exemplars[0].size
        context = placed if resized else placed & (moved == places).all(0)
        places = moved
    inside, lean = torch.zeros_like(atlas.valid), torch.zeros(atlas.valid.shape, device=device)
    if task.hole is not None:  # the hole is one of the first exemplar, which has the output's size
        first, pixel = (atlas.home >= 0) & (atlas.home < fixed.numel()), atlas.home.clamp(0, fixed.numel() - 1)
        inside = first & ~fixed.flatten()[pixel] & ~atlas.valid
        lean = torch.where(first, _nearness(soft, ~(fixed | soft), task.tile).flatten()[pixel] * LEAN, lean)
    return Placement(fixed, placed, atlas.join(torch.zeros_like(places[0]), *places), context, soft, inside, lean)


def _nearness(soft: Tensor, core: Tensor, tile: tuple[bool, bool]) -> Tensor:
    """How near to the core each soft pixel (h, w) lies: from 0, far away, to 1 beside it; 0 where nothing is soft."""
    near, rings = core[None, None], torch.zeros(soft.shape, device=soft.device)
    while (untouched := soft & ~near[0, 0]).any():
        grown = grow(near, 1, tile)
        if torch.equal(grown, near):  # nothing is core
            break
        near, rings = grown, rings + untouched
    return torch.where(soft, 1 - (rings - 1) / rings.max().clamp(min=1), 0.0)
