"""A change of colours that was solved at a coarse level, at a finer one: smooth inside of pieces, with steps between.

Joint bilateral upsampling (Kopf et al. 2007), with the piece that a pixel belongs to as the range.
"""

from __future__ import annotations

import torch
from torch import Tensor

from texsynth import native
from texsynth.field.magnify.sheet import Pointers

SLACK = 2  # fine pixels beside the factor, by which a pixel may have slid and still belong to the piece of a coarse one


def enlarged(change: Tensor, coarse: Pointers, fine: Pointers, factor: int, top: int, bottom: int) -> Tensor:
    """What to add to the rows from `top` to `bottom` of a fine field's picture, (1, 3, n, w).

    Of the four coarse pixels round each pixel those that belong to its piece count, with the weights of bilinear
    interpolation: those of the same plane whose source, times the factor and moved as far as the pixel lies from them,
    is at most factor + SLACK pixels from its own along both axes. Without any it is the coarse pixel that it lies in.

    change: (1, 3, hc, wc) float32, of the coarse field, `factor` times smaller.
    """
    index = fine.index[top:bottom]
    if twin := native.kernel("enlarged", change, coarse.index, index):
        planes = ((p.rows, p.row, p.margin) for p in (coarse.atlas, fine.atlas))
        result: Tensor = twin(change, coarse.index, *next(planes), index, *next(planes), factor, top, *fine.tile, SLACK)
        return result
    rows, columns = (torch.arange(n, device=index.device) for n in index.shape)
    rows += top
    plane, *source = fine.atlas.split(index.long())
    places = source[0] - rows[:, None], source[1] - columns
    total, weight = torch.zeros(1, 3, *index.shape, device=index.device), torch.zeros(index.shape, device=index.device)
    (first_y, share_y), (first_x, share_x) = (_between(each, factor) for each in (rows, columns))
    for down, across in ((0, 0), (0, 1), (1, 0), (1, 1)):
        y, inside_y = _within(first_y + down, coarse.size[0], fine.tile[0])
        x, inside_x = _within(first_x + across, coarse.size[1], fine.tile[1])
        there, *origin = coarse.atlas.split(coarse.index[y][:, x].long())
        same = (there == plane) & inside_y[:, None] & inside_x
        same &= (places[0] - factor * (origin[0] - (first_y + down)[:, None])).abs() <= factor + SLACK
        same &= (places[1] - factor * (origin[1] - (first_x + across))).abs() <= factor + SLACK
        share = (share_y if down else 1 - share_y)[:, None] * (share_x if across else 1 - share_x) * same
        total += share * change[:, :, y][:, :, :, x]
        weight += share
    return torch.where(weight > 0, total / weight, change[:, :, rows // factor][:, :, :, columns // factor])


def _between(at: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """The coarse pixels (n,) before the middles of fine ones, and the weight of the next ones."""
    past = 2 * at + 1 - factor
    return past.div(2 * factor, rounding_mode="floor"), (past % (2 * factor)).float() / (2 * factor)


def _within(at: Tensor, length: int, wraps: bool) -> tuple[Tensor, Tensor]:
    """Places (n,) along a line, none outside of it, and which of them count."""
    return (
        (at % length, torch.ones_like(at, dtype=torch.bool))
        if wraps
        else (at.clamp(0, length - 1), (at >= 0) & (at < length))
    )
