"""The tone of what a field copies into a hole: the copies take on the tone of the pixels around them.

At the brim of a hole, a copied pixel should differ from the pixel outside beside it as its source differs from what it
continues to there (Pérez et al. 2003, "Poisson Image Editing"). `image.tone` spreads this over the hole.
"""

from __future__ import annotations

import torch
from torch import Tensor

from texsynth.field.atlas import Field
from texsynth.image.tone import hole_correction


def correction(field: Field, hole: Tensor, reference: Tensor) -> Tensor:
    """What to add to the picture of a field inside a hole, (1, 3, h, w), which is 0 elsewhere.

    hole: (1, 1, h, w) bool, the pixels that are corrected. reference: (1, 1, h, w) bool, the pixels that they shall
    agree with.
    """
    inside, outside = (mask[0, 0].to(field.index.device) for mask in (hole, reference & ~hole))
    sides = [_brim(field, inside, outside, dim) for dim in (0, 1)]
    brim, lack = (torch.cat(each) for each in zip(*sides, strict=True))
    return hole_correction(inside, brim, lack, field.tile)


def _brim(field: Field, inside: Tensor, outside: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Pixels inside that are beside one outside along an axis, (n, 2), and the tone that each lacks, (n, 3)."""
    atlas, first = field.atlas, field.index
    second, stride = first.roll(-1, dim), atlas.row if dim == 0 else 1
    pairs = (inside & outside.roll(-1, dim)) | (outside & inside.roll(-1, dim))
    if not field.tile[dim]:
        pairs.narrow(dim, field.size[dim] - 1, 1).fill_(False)
    y, x = pairs.nonzero(as_tuple=True)
    a, b, ahead = first[y, x], second[y, x], inside.roll(-1, dim)[y, x]  # ahead: is the second one inside?
    copied, neighbour = torch.where(ahead, b, a), torch.where(ahead, a, b)
    continued = copied + torch.where(ahead, -stride, stride)  # what the source of the copy continues to
    lack = atlas.colours[neighbour] - atlas.colours[continued]
    place = torch.stack([y, x], 1)
    place[:, dim] = (place[:, dim] + ahead.long()) % field.size[dim]
    usable = atlas.valid[continued]
    return place[usable], lack[usable]
