"""A start for the field: large coherent pieces, quilted at the coarsest level and then mended.

Efros & Freeman 2001 ("Image Quilting"), with the sum of squared differences over whatever is already painted computed
for all source positions at once (Kwatra et al. 2003, "Graphcut Textures"), in wavefronts so that independent blocks
share one product. Differs from the papers in: the few best matches are compared by the cost of their actual cut; a
source region that has been used much, above all near by, costs more; all four sides are cut, so the canvas may wrap;
old seams are covered by further blocks where that lowers the total price.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.solver.blocks import Blocks
from texsynth.solver.cuts import cut_sides, meet
from texsynth.solver.potential import ascend, palette
from texsynth.sources import Atlas

# (atlas index, canvas y, canvas x), broadcast together -> price of that pairing: how a lattice steers the start
Steer = Callable[[Tensor, Tensor, Tensor], Tensor]
BATCH = 32  # blocks placed by one product: bounds the memory
JITTER = 0.02  # of the variance: differences below it are left to chance, so that seeds differ


@dataclass(frozen=True)
class Rules:
    """What the choice of a block weighs beside its cuts, in units of the exemplar's variance.

    spread: price of a region in even use; proportion: price of one unit of potential; tries: how many of the best
    matches are cut to compare; steer: price by position (a lattice), or None.
    """

    spread: float
    proportion: float
    tries: int
    steer: Steer | None = None


@dataclass
class Quilt:
    """The canvas while it is being quilted, flattened (h * w). psi: (homes,) potential of each source pixel."""

    h: int
    w: int
    wraps: tuple[bool, bool]
    index: Tensor
    painted: Tensor
    psi: Tensor

    def picture(self, size: tuple[int, int]) -> Tensor:
        """Flat atlas index per pixel of a canvas of `size`, (h, w)."""
        return self.index.view(self.h, self.w)[: size[0], : size[1]].contiguous()


def lay(
    atlas: Atlas,
    blocks: Blocks,
    size: tuple[int, int],
    tile: tuple[bool, bool],
    rules: Rules,
    rng: torch.Generator,
) -> Quilt:
    """Cover a canvas of at least `size`, block after block, in raster order."""
    device = atlas.colours.device
    (ys, h), (xs, w) = (_grid(length, wraps, blocks) for length, wraps in zip(size, tile, strict=True))
    empty = torch.zeros(h * w, dtype=torch.long, device=device)
    quilt = Quilt(h, w, tile, empty, empty.bool(), torch.zeros(atlas.homes, device=device))
    colours = palette(atlas)
    for wave in _waves(ys, xs):
        if quilt.painted.any():
            quilt.psi = ascend(quilt.psi, atlas, quilt.index[quilt.painted], *colours)
        for top in torch.tensor(wave, device=device).split(BATCH):
            _place(quilt, atlas, blocks, top, rules, rng, mend=False)
    return quilt


def mend(quilt: Quilt, atlas: Atlas, blocks: Blocks, rules: Rules, rounds: int, rng: torch.Generator) -> None:
    """Cover old seams by new blocks wherever that lowers the total price: `rounds` grids, each shifted at random, with
    one step of the potential (`potential.ascend`) before each."""
    colours = palette(atlas)
    for _ in range(rounds):
        quilt.psi = ascend(quilt.psi, atlas, quilt.index, *colours)
        for top in _scatter(quilt, blocks.side, rng).to(atlas.home.device).split(BATCH):
            _place(quilt, atlas, blocks, top, rules, rng, mend=True)


def _place(
    quilt: Quilt, atlas: Atlas, blocks: Blocks, top: Tensor, rules: Rules, rng: torch.Generator, mend: bool
) -> None:
    """Put one block at each of `top` (B, 2), none of which touch each other; when mending, only where it pays."""
    side = blocks.side
    rows, cols, cells = _area(quilt, top, side)
    old, mask = quilt.index[cells], quilt.painted[cells]
    use = _use(quilt, atlas, blocks, top)
    prior = _prior(quilt, blocks, top, use, rules)
    score = _mismatch(blocks, old, mask * (_ring(blocks) if mend else 1.0)) + prior
    score += JITTER * torch.rand(score.shape, generator=rng).to(top.device)
    best = score.topk(min(rules.tries, score.shape[1]), largest=False).indices  # (B, T)
    new = blocks.corners[best][:, :, None] + blocks.inner  # (B, T, side^2)
    gap = (blocks.colours[new] - blocks.colours[old][:, None]).square().sum(-1)  # (B, T, side^2)
    tries, shape = best.shape[1], (-1, side, side)
    masks, ends = (t.repeat_interleave(tries, 0) for t in (mask, _borders(quilt, top, side)))
    keep, cost = cut_sides(gap.view(shape), masks.view(shape), ends, blocks.overlap)
    cost = cost.view(best.shape) / side + prior.gather(1, best)
    price, pick = cost.min(1, keepdim=True)
    whole = pick[:, :, None].expand(-1, -1, side * side)
    keep = keep.view(*best.shape, -1).gather(1, whole)[:, 0]
    new = new.gather(1, whole)[:, 0]
    if mend:
        keep |= _worth(quilt, atlas, blocks, use, rules, cells, rows, cols, ~keep)[:, None] <= price
    quilt.index[cells[~keep]] = new[~keep]
    quilt.painted[cells.flatten()] = True


def _prior(quilt: Quilt, blocks: Blocks, top: Tensor, use: Tensor, rules: Rules) -> Tensor:
    """Price of every block at every place before anything is matched, (B, n)."""
    prior = rules.spread * torch.stack([row[blocks.seen].mean(1) for row in use])
    prior += rules.proportion * quilt.psi[blocks.sites].mean(1)
    if rules.steer is not None:
        prior += rules.steer(blocks.corners[None], top[:, None, 0], top[:, None, 1])
    return prior


def _worth(
    quilt: Quilt, atlas: Atlas, blocks: Blocks, use: Tensor, rules: Rules, cells: Tensor, rows: Tensor, cols: Tensor,
    gone: Tensor,
) -> Tensor:  # fmt: skip
    """Price, in the same terms, of the pixels that a new block would replace, (B,)."""
    old, side = quilt.index[cells], blocks.side
    price = rules.spread * use.gather(1, blocks.cells[atlas.home[old]])
    price += rules.proportion * quilt.psi[atlas.home[old]]
    if rules.steer is not None:
        price += rules.steer(old, rows.repeat_interleave(side, 1), cols.repeat(1, side))
    price = (price * gone).sum(1) / gone.sum(1).clamp(min=1)
    return price + (_seams(quilt, atlas, blocks, cells) * gone).sum(1) / side


def _mismatch(blocks: Blocks, old: Tensor, weight: Tensor) -> Tensor:
    """Mean squared difference of every source block to what is painted, (B, side^2) -> (B, n)."""
    w = weight.repeat_interleave(3, 1).float()
    o = blocks.colours[old].flatten(1)
    error = w @ blocks.square.T - 2 * (o * w) @ blocks.table.T + (o * o * w).sum(1, keepdim=True)
    return error.clamp(min=0) / weight.sum(1, keepdim=True).clamp(min=1)


def _use(quilt: Quilt, atlas: Atlas, blocks: Blocks, top: Tensor) -> Tensor:
    """How much each source cell is used already, seen from each of `top`: (B, cells), 1 for even use.

    Use counts by a Gaussian of its distance (sigma: half the exemplar), so that repeats stay far apart; what the block
    itself would cover does not count.
    """
    reach = max(max(size) for size in atlas.exemplars)
    offset = torch.arange(-reach, reach + 1, blocks.cell, device=top.device)
    fade = torch.exp(-0.5 * (offset / (0.5 * reach)) ** 2)
    at = [top[:, axis, None] + blocks.side // 2 + offset for axis in (0, 1)]
    seen = [((a >= 0) & (a < n) | wrap) * fade for a, n, wrap in zip(at, (quilt.h, quilt.w), quilt.wraps, strict=True)]
    inside = offset.abs() <= blocks.side // 2
    weight = seen[0][:, :, None] * seen[1][:, None, :] * ~(inside[:, None] & inside)
    where = (at[0] % quilt.h)[:, :, None] * quilt.w + (at[1] % quilt.w)[:, None, :]
    weight = (weight * quilt.painted[where]).flatten(1)
    use = torch.zeros(len(top), blocks.count, device=top.device)
    use.scatter_add_(1, blocks.cells[atlas.home[quilt.index[where]]].flatten(1), weight)
    return use * blocks.count / weight.sum(1, keepdim=True).clamp(min=len(offset))


def _seams(quilt: Quilt, atlas: Atlas, blocks: Blocks, cells: Tensor) -> Tensor:
    """Price of the cuts to the right of and below each of `cells`, in its shape."""
    here, y, x = quilt.index[cells], cells // quilt.w, cells % quilt.w
    total = torch.zeros(cells.shape, device=cells.device)
    for beyond, stride in (
        ((y + 1) % quilt.h * quilt.w + x, atlas.row),
        (y * quilt.w + (x + 1) % quilt.w, 1),
    ):
        there = quilt.index[beyond]
        seam = there != here + stride
        total[seam] += meet(blocks.colours, here[seam], there[seam], stride)
    return total


def _area(quilt: Quilt, top: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows (B, side), columns (B, side) and flat cells (B, side^2) of the blocks at `top`."""
    span = torch.arange(side, device=top.device)
    rows, cols = (top[:, :1] + span) % quilt.h, (top[:, 1:] + span) % quilt.w
    return rows, cols, (rows[:, :, None] * quilt.w + cols[:, None, :]).flatten(1)


def _borders(quilt: Quilt, top: Tensor, side: int) -> Tensor:
    """Which sides (left, top, right, bottom) of each block lie on a border that does not wrap, (B, 4)."""
    y, x = top[:, 0], top[:, 1]
    wrap_y, wrap_x = quilt.wraps
    ends = [(x == 0) & (not wrap_x), (y == 0) & (not wrap_y)]
    ends += [(x + side == quilt.w) & (not wrap_x), (y + side == quilt.h) & (not wrap_y)]
    return torch.stack(ends, 1)


def _ring(blocks: Blocks) -> Tensor:
    """Weights of the match when mending, (side^2,): the ring that stays decides, the middle (an old seam) barely."""
    weight = torch.full((blocks.side, blocks.side), 0.05, device=blocks.corners.device)
    for edge in (weight, weight.T, weight.flip(0), weight.flip(1).T):
        edge[: blocks.overlap] = 1
    return weight.flatten()


def _grid(length: int, wraps: bool, blocks: Blocks) -> tuple[list[int], int]:
    """Where blocks start along one side, and the length of the canvas that they fill."""
    step = blocks.side - blocks.overlap
    if wraps:
        count = max(1, -(-length // step))
        return [i * length // count for i in range(count)], length
    count = max(1, -(-(length - blocks.overlap) // step))
    return [i * step for i in range(count)], (count - 1) * step + blocks.side


def _waves(ys: list[int], xs: list[int]) -> list[list[tuple[int, int]]]:
    """Raster order, grouped so that the blocks of a group do not touch (every row two blocks behind the one above)."""
    waves: dict[int, list[tuple[int, int]]] = {}
    for r, y in enumerate(ys):
        for c, x in enumerate(xs):
            waves.setdefault(r * len(xs) + c if len(xs) < 6 else c + 2 * r, []).append((y, x))
    return [wave for _, wave in sorted(waves.items())]


def _scatter(quilt: Quilt, side: int, rng: torch.Generator) -> Tensor:
    """A grid of blocks that do not touch, shifted at random, (B, 2), flush with one border or the other by turns."""
    axes = []
    for length, wraps in ((quilt.h, quilt.wraps[0]), (quilt.w, quilt.wraps[1])):
        room = length if wraps else min(side, length - side + 1)
        shift = int(torch.randint(max(1, room), (1,), generator=rng))
        count = length // side if wraps else (length - side - shift) // side + 1
        start = shift + side * torch.arange(max(1, count))
        axes.append(start if wraps or shift % 2 else length - side - start)
    return torch.cartesian_prod(*axes)
