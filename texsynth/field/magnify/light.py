"""The correction of tone of a field of any size: what its seams ask for is measured in full detail, a few rows at a
time, and spread on a grid of cells, since it is smooth inside of pieces.

The goal of a cell is the sum of those of its pixels, as in the coarse grids of `image.tone`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.atlas import Atlas, Field
from texsynth.field.magnify.sheet import Pointers
from texsynth.field.tone import REACH, Sight, ask_for_light
from texsynth.image.strips import spans
from texsynth.image.tone import Equations, change

LEVELS = 1 << 16  # of a colour, in which steps are counted


def correction(field: Pointers, atlas: Atlas, factor: int) -> Tensor:
    """What to add to the colours of a field, (1, 3, ceil(h / factor), ceil(w / factor)), on cells of so many pixels a
    side. atlas: the colours of the field's source pixels, in the geometry of its pointers."""
    height, width = field.size
    size = -(-height // factor), -(-width // factor)
    goal = torch.zeros(1, 3, *size, dtype=torch.double)
    sight, steps, light = Sight.of(atlas), 0.0, 0.0
    if sight is None:
        return goal.float()
    for top, bottom in spans(field.size):
        rows = torch.arange(top, min(bottom + 1, height))
        if bottom == height and field.tile[0]:
            rows = torch.cat([rows, torch.zeros(1, dtype=torch.long)])
        part = Field(field.index[rows].long(), torch.zeros(len(rows), width), atlas, (False, field.tile[1]))
        asked = torch.zeros(1, 3, *part.size)
        here = (torch.arange(len(rows)) < bottom - top)[:, None].expand(part.size)  # the last row is the next strip's
        seams = ask_for_light(part, sight, asked, (here, torch.zeros_like(here)), levels=LEVELS)
        steps, light = steps + seams[0], light + seams[1]
        cells = F.pad(asked, (0, size[1] * factor - width)).unflatten(3, (size[1], factor)).sum(4, dtype=torch.double)
        goal.index_add_(2, rows // factor, cells)
    if not sight.suffices(steps, light):
        return torch.zeros(1, 3, *size)
    weights = [torch.ones(1, 1, *size) for _ in size]
    for dim, weight in enumerate(weights):
        if not field.tile[dim]:
            weight.narrow(dim + 2, size[dim] - 1, 1).zero_()
    hold = torch.full((1, 1, *size), (factor / REACH) ** 2)
    return change(Equations((weights[0], weights[1]), hold), (goal / LEVELS).float(), field.tile)
