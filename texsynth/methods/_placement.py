"""Output pixels whose source is settled before the field is solved: those outside a hole, and those with a start."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.field.atlas import Atlas, Field
from texsynth.task import Task


@dataclass(frozen=True)
class Placement:
    """The output pixels (h, w) of one level that have a source, and the source pixels (N,) that lie in the hole."""

    fixed: Tensor  # (h, w) bool, the pixels outside the hole, which stay
    placed: Tensor  # (h, w) bool, the pixels that have a source to start from; all that are fixed are among them
    places: Tensor  # (h, w), that source as an index into the atlas
    unmoved: Tensor  # (h, w) bool, the placed pixels that start from themselves
    inside: Tensor  # (N,) bool, the source pixels that lie in the hole

    def hold(self, field: Field) -> Field:
        """The field with its fixed pixels at their own places."""
        return replace(field, index=torch.where(self.fixed, self.places, field.index))

    def fill_sources(self, atlas: Atlas, field: Field) -> Atlas:
        """The atlas with what the field has copied into the hole, since windows beside the hole reach into it."""
        colours = atlas.colours.clone()
        colours[self.inside] = field.image()[0].flatten(1).T[atlas.home[self.inside]]
        return replace(atlas, colours=colours)


def place(task: Task, atlas: Atlas) -> Placement | None:
    """The placement of a task's output pixels; None for a task without a hole and a start."""
    if task.hole is None and task.start is None:
        return None
    device = atlas.home.device
    hole = torch.ones(task.size, dtype=torch.bool) if task.hole is None else task.hole[0, 0]
    fixed = ~hole.to(device)
    places = torch.stack(torch.meshgrid(*(torch.arange(n, device=device) for n in task.size), indexing="ij"))
    placed = unmoved = fixed
    if task.start is not None:
        start = task.start[0].to(device)
        placed = fixed | ~start.isnan().any(0)
        moved = torch.where(fixed | ~placed, places, start.nan_to_num().long())
        unmoved = placed & (moved == places).all(0)
        places = moved
    inside = torch.zeros_like(atlas.valid)
    if task.hole is not None:  # the hole is one of the first exemplar, which has the output's size
        first = (atlas.home >= 0) & (atlas.home < fixed.numel())
        inside = first & ~fixed.flatten()[atlas.home.clamp(0, fixed.numel() - 1)] & ~atlas.valid
    return Placement(fixed, placed, atlas.join(torch.zeros_like(places[0]), *places), unmoved, inside)
