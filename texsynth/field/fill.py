"""A start for the field inside a hole: large pieces that continue what lies around it.

Pieces are taken whole (Efros & Freeman 2001). Each is laid where at least half of it is painted already and as much as
possible is still empty (after the order of Criminisi et al. 2004), so that a piece sees both sides of a narrow hole at
once, and is chosen by its squared difference to what surrounds the part that it fills. Where pixels around the hole may
be covered as well, the border of a piece is a cut of least error among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.quilt import Blocks, Quilt, QuiltRules, Steer, cells_of, mismatch, prior_of
from texsynth.field.quilting import at_borders, cut_candidates, shortlist
from texsynth.image.holes import grow
from texsynth.image.salience import salience

PIECES_AT_ONCE = 32  # pieces laid at once, as they do not touch
SPACING = 2  # sides of a piece between the corners of two that are laid at once
PRICE_OF_WHAT_STAYS = 100.0  # for a cut through pixels that no piece may cover, in variances
SLID = 16  # the best matches of a sample of blocks, round which every place is tried
SLIDE = 2  # pixels
PAINTED_SHARE = 0.5  # of a piece that is painted before it is laid, where that can be had


@dataclass(frozen=True)
class Gap:
    """A canvas with a hole, which may wrap in (y, x).

    index: (h, w) int64, the source pixel of each canvas pixel outside the hole.
    hole, context: (h, w) bool, the pixels to fill and those that new pieces are to continue.
    soft: (h, w) bool, the pixels of the context that a piece may cover, up to a cut of least error; None for none.
    """

    index: Tensor
    hole: Tensor
    context: Tensor
    tile: tuple[bool, bool]
    soft: Tensor | None = None


def plain(blocks: Blocks, price: float) -> Steer:
    """The price of laying a block that shows something, in variances for mean salience."""
    pictures = blocks.atlas.picture(blocks.atlas.colours)
    shown = F.avg_pool2d(salience(pictures)[:, None], blocks.side, stride=1)
    before = blocks.side // 2
    after = blocks.side - 1 - before
    shown = F.pad(shown, (before, after, before, after)).flatten()  # at the middle of each block

    return lambda index, _y, _x: price * shown[index]


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
    canvas = Quilt(h, w, gap.tile, blocks.atlas, index, context, torch.zeros(blocks.atlas.homes, device=index.device))
    while empty.any():
        corners = _next_corners(canvas, empty, side, rng, centred=gap.soft is not None)
        cells = cells_of(canvas, corners, side)
        if gap.soft is not None:
            _lay_cut(canvas, blocks, corners, empty | gap.soft.flatten(), rules, rng)
            empty[cells] = False
            continue
        unfilled = empty[cells]
        # Compare every block with what surrounds the part that it would fill.
        near = grow(unfilled.view(-1, 1, side, side), blocks.overlap).flatten(1)
        score = mismatch(blocks, canvas.index[cells], canvas.painted[cells] & near)
        score += prior_of(canvas, blocks, corners, rules)
        # Lay the best ones, where the canvas is empty.
        corners = blocks.corners[shortlist(score, SLID if blocks.sample else 1, rng)]
        if blocks.sample:
            corners = _slid(blocks, corners, canvas.index[cells], canvas.painted[cells] & near)
        best = corners + blocks.inner
        filled = cells[unfilled]
        canvas.paint(filled, best[unfilled])
        empty[filled] = False
    return canvas.index.view(h, w)


def _slid(blocks: Blocks, corners: Tensor, old: Tensor, counts: Tensor) -> Tensor:
    """The best of all source places up to SLIDE pixels from the `corners` (B, T) of blocks, by their difference to the
    atlas pixels `old` (B, side^2) where these `counts` (B, side^2) bool: (B, 1)."""
    span = torch.arange(-SLIDE, SLIDE + 1, device=corners.device)
    shifts = (span[:, None] * blocks.atlas.row + span).flatten()
    last = len(blocks.colours) - 1 - int(blocks.inner[-1])
    slid = []
    for some, here, counted in zip(corners, old, counts, strict=True):
        tried = (some[:, None] + shifts).flatten().unique().clamp(0, last)
        tried = tried[blocks.atlas.valid[tried[:, None] + blocks.inner].all(1)]
        at = counted.nonzero()[:, 0]
        error = (blocks.colours[tried[:, None] + blocks.inner[at]] - blocks.colours[here[at]]).square().sum((1, 2))
        slid.append(tried[error.argmin()])
    return torch.stack(slid)[:, None]


def _lay_cut(
    canvas: Quilt, blocks: Blocks, corners: Tensor, free: Tensor, rules: QuiltRules, rng: torch.Generator
) -> None:
    """Lay a piece at each of `corners` (B, 2) on the cells that are `free` (h * w,): on all that are empty, and of the
    others on those inside the cheapest cut. Of the best matches the one with the cheapest cut is laid."""
    cells = cells_of(canvas, corners, blocks.side)
    old, painted, stays = canvas.index[cells], canvas.painted[cells], ~free[cells]
    prior = prior_of(canvas, blocks, corners, rules)
    best = shortlist(mismatch(blocks, old, painted) + prior, rules.tries, rng)  # (B, T)
    new = blocks.corners[best][:, :, None] + blocks.inner  # (B, T, side^2)
    gap = (blocks.colours[new] - blocks.colours[old][:, None]).square().sum(-1)
    gap.masked_fill_(stays[:, None], PRICE_OF_WHAT_STAYS)
    borders = at_borders(corners, blocks.side, (canvas.h, canvas.w), canvas.wraps)
    keep, cost = cut_candidates(gap, painted, borders, blocks.overlap)
    pick = torch.arange(len(corners), device=corners.device), (cost + prior.gather(1, best)).argmin(1)
    laid = ~(keep[pick] | stays)
    canvas.paint(cells[laid], new[pick][laid])


def _next_corners(canvas: Quilt, empty: Tensor, side: int, rng: torch.Generator, centred: bool) -> Tensor:
    """The top left corners (n, 2) of the next pieces: the best place, and others nearly as good far away from it.

    centred: what is empty should lie in the middle of a piece.
    """

    def share(cells: Tensor, inset: int = 0) -> Tensor:
        values = cells.view(1, 1, canvas.h, canvas.w).float()
        for dim, wraps in enumerate(canvas.wraps):
            if wraps:
                values = torch.cat([values, values.narrow(2 + dim, 0, side - 1)], 2 + dim)
        inner = values[..., inset : values.shape[2] - inset, inset : values.shape[3] - inset]
        part = side - 2 * inset
        rows = F.avg_pool2d(inner, (part, 1), stride=1, divisor_override=1)  # sums of ones: they are exact
        return F.avg_pool2d(rows, (1, part), stride=1, divisor_override=1)[0, 0] / part**2

    # Rate all places by how much of a piece there is new.
    new, painted = share(empty), share(canvas.painted)
    if centred:
        new = new + share(empty, side // 4)
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
