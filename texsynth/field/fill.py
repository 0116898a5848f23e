"""A start for the field inside a hole: large pieces that continue what is known around it.

Pieces are taken whole (Efros & Freeman 2001), each where at least half of it is known already and as much as possible
is not (in the spirit of the order of Criminisi et al. 2004), so that a piece sees both sides of a narrow hole at once.
It is chosen by its squared difference to what surrounds the part that it fills; the passes of the solver then move its
seams.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.atlas import Atlas
from texsynth.field.blocks import Blocks
from texsynth.field.quilt import JITTER, Quilt, Rules, cells_of, mismatch, prior_of
from texsynth.image.holes import grow

BATCH = 32  # pieces laid at once, as they do not touch
APART = 2  # of their sides between them
CONTEXT = 0.5  # of a piece that is known before it is laid, where that can be had


def thickness(hole: Tensor, tile: tuple[bool, bool]) -> int:
    """Twice the distance from the innermost pixel of a hole (h, w) to what is known."""
    known, steps = ~hole[None, None], 0
    while known.any() and not known.all():
        known, steps = grow(known, 1, tile), steps + 1
    return 2 * steps


def fill(
    atlas: Atlas, blocks: Blocks, index: Tensor, hole: Tensor, context: Tensor, tile: tuple[bool, bool], rules: Rules,
    rng: torch.Generator,
) -> Tensor:  # fmt: skip
    """`index` (h, w) with new pointers in the `hole` (h, w) bool, continuing what is in the `context` (h, w) bool;
    blocks are no larger than the canvas."""
    h, w = index.shape
    psi = torch.zeros(atlas.homes, device=index.device)
    made = Quilt(h, w, tile, index.flatten().clone(), context.flatten().clone(), psi)
    empty = hole.flatten().clone()
    while empty.any():
        tops = _next(made, empty, blocks.side, rng)
        _lay(made, empty, atlas, blocks, tops, rules, rng)
    return made.index.view(h, w)


def _next(made: Quilt, empty: Tensor, side: int, rng: torch.Generator) -> Tensor:
    """Where the next pieces go, (n, 2): the best place, and others nearly as good that are out of its sight."""

    def share(cells: Tensor) -> Tensor:
        values = cells.view(1, 1, made.h, made.w).float()
        for dim, wraps in enumerate(made.wraps):
            if wraps:
                values = torch.cat([values, values.narrow(2 + dim, 0, side - 1)], 2 + dim)
        return F.avg_pool2d(values, side, stride=1)[0, 0]

    new, known = share(empty), share(made.painted)
    most_known = 1e-3 * known + 1e-6 * new  # where little is known, pieces still grow out from it
    worth = torch.where(known >= CONTEXT, new, most_known) * (new > 1e-9)
    worth = worth * (1 + 0.05 * torch.rand(worth.shape, generator=rng).to(worth))
    tops: list[list[int]] = []
    least = 0.5 * float(worth.max())
    while len(tops) < BATCH and float(worth.max()) > max(least, 0.0):
        at = int(worth.argmax())
        tops.append([at // worth.shape[1], at % worth.shape[1]])
        rows, columns = (
            (torch.arange(n, device=worth.device) - here + period // 2) % period - period // 2
            for n, here, period in zip(worth.shape, tops[-1], (made.h, made.w), strict=True)
        )
        worth[(rows.abs() < APART * side)[:, None] & (columns.abs() < APART * side)] = 0
    return torch.tensor(tops, device=empty.device)


def _lay(
    made: Quilt, empty: Tensor, atlas: Atlas, blocks: Blocks, top: Tensor, rules: Rules, rng: torch.Generator
) -> None:
    """Fill what is empty under pieces that do not touch."""
    side = blocks.side
    cells = cells_of(made, top, side)
    gap = empty[cells]
    near = grow(gap.view(-1, 1, side, side), blocks.overlap).flatten(1)
    score = mismatch(blocks, made.index[cells], made.painted[cells] & near)
    score += prior_of(made, atlas, blocks, top, rules)
    score += JITTER * torch.rand(score.shape, generator=rng).to(top.device)
    new = blocks.corners[score.argmin(1)][:, None] + blocks.inner
    filled = cells[gap]
    made.index[filled] = new[gap]
    made.painted[filled], empty[filled] = True, False
