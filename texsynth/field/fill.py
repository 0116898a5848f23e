"""A start for the field inside a hole: large pieces that continue what lies around it.

Pieces are taken whole (Efros & Freeman 2001). Each is laid where at least half of it is painted already and as much as
possible is still empty (after the order of Criminisi et al. 2004), so that a piece sees both sides of a narrow hole at
once, and is chosen by its squared difference to what surrounds the part that it fills.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.quilt import Blocks, Quilt, QuiltRules, cells_of, mismatch, prior_of
from texsynth.field.quilting import shortlist
from texsynth.image.holes import grow

PIECES_AT_ONCE = 32  # pieces laid at once, as they do not touch
SPACING = 2  # sides of a piece between the corners of two that are laid at once
PAINTED_SHARE = 0.5  # of a piece that is painted before it is laid, where that can be had


@dataclass(frozen=True)
class Gap:
    """A canvas with a hole, which may wrap in (y, x).

    index: (h, w) int64, the source pixel of each canvas pixel outside the hole.
    hole, context: (h, w) bool, the pixels to fill and those that new pieces are to continue.
    """

    index: Tensor
    hole: Tensor
    context: Tensor
    tile: tuple[bool, bool]


def thickness(hole: Tensor, tile: tuple[bool, bool]) -> int:
    """Twice the distance in pixels from the innermost pixel of a hole (h, w) bool to what lies outside it."""
    outside, steps = ~hole[None, None], 0
    while outside.any() and not outside.all():
        outside, steps = grow(outside, 1, tile), steps + 1
    return 2 * steps


def fill(gap: Gap, blocks: Blocks, rules: QuiltRules, rng: torch.Generator) -> Tensor:
    """The index (h, w) of a canvas whose hole is filled, so that it continues the context; the rest is as it was. The
    blocks must be no larger than the canvas."""
    (h, w), side = gap.index.shape, blocks.side
    index, context, empty = (layer.flatten().clone() for layer in (gap.index, gap.context, gap.hole))
    canvas = Quilt(h, w, gap.tile, index, context, torch.zeros(blocks.atlas.homes, device=index.device))
    while empty.any():
        corners = _next_corners(canvas, empty, side, rng)
        cells = cells_of(canvas, corners, side)
        unfilled = empty[cells]
        # Compare every block with what surrounds the part that it would fill.
        near = grow(unfilled.view(-1, 1, side, side), blocks.overlap).flatten(1)
        score = mismatch(blocks, canvas.index[cells], canvas.painted[cells] & near)
        score += prior_of(canvas, blocks, corners, rules)
        # Lay the best ones, where the canvas is empty.
        best = blocks.corners[shortlist(score, 1, rng)] + blocks.inner
        filled = cells[unfilled]
        canvas.index[filled] = best[unfilled]
        canvas.painted[filled], empty[filled] = True, False
    return canvas.index.view(h, w)


def _next_corners(canvas: Quilt, empty: Tensor, side: int, rng: torch.Generator) -> Tensor:
    """The top left corners (n, 2) of the next pieces: the best place, and others nearly as good far away from it."""

    def share(cells: Tensor) -> Tensor:
        values = cells.view(1, 1, canvas.h, canvas.w).float()
        for dim, wraps in enumerate(canvas.wraps):
            if wraps:
                values = torch.cat([values, values.narrow(2 + dim, 0, side - 1)], 2 + dim)
        return F.avg_pool2d(values, side, stride=1)[0, 0]

    # Rate all places by how much of a piece there is new.
    new, painted = share(empty), share(canvas.painted)
    most_painted = 1e-3 * painted + 1e-6 * new  # where little is painted, pieces still grow out from it
    worth = torch.where(painted >= PAINTED_SHARE, new, most_painted) * (new > 1e-9)
    worth = worth * (1 + 0.05 * torch.rand(worth.shape, generator=rng).to(worth))
    # Take the best, leave out what lies near it, and go on while the rest is at least half as good.
    corners: list[list[int]] = []
    least = 0.5 * float(worth.max())
    while len(corners) < PIECES_AT_ONCE and float(worth.max()) > max(least, 0.0):
        at = int(worth.argmax())
        corners.append([at // worth.shape[1], at % worth.shape[1]])
        rows, columns = (
            (torch.arange(n, device=worth.device) - here + period // 2) % period - period // 2
            for n, here, period in zip(worth.shape, corners[-1], (canvas.h, canvas.w), strict=True)
        )
        worth[(rows.abs() < SPACING * side)[:, None] & (columns.abs() < SPACING * side)] = 0
    return torch.tensor(corners, device=empty.device)
