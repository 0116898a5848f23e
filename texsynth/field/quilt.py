"""A start for the field: large coherent pieces, quilted at the coarsest level.

Efros & Freeman 2001 ("Image Quilting"), with the sum of squared differences over whatever is already painted computed
for all source positions at once (Kwatra et al. 2003, "Graphcut Textures"), in wavefronts so that independent blocks
share one product. Differs from the papers in: the few best matches are compared by the cost of their actual cut; a
source region that has been used much, above all near by, costs more; all four sides are cut, so the canvas may wrap;
of several quilts the one with the cheapest cuts is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth.field.atlas import Atlas
from texsynth.field.blocks import Blocks
from texsynth.field.cuts import cut_sides
from texsynth.field.potential import ascend, excess, palette

# (atlas index, canvas y, canvas x), broadcast together -> price of that pairing: how a lattice steers the start
Steer = Callable[[Tensor, Tensor, Tensor], Tensor]
BATCH = 32  # blocks placed by one product: bounds the memory
UNEVEN = 1.0  # price of a quilt that uses every part twice or not at all, beside its cuts: else the dullest would win
JITTER = 0.02  # of the variance: differences below it are left to chance, so that seeds differ


@dataclass(frozen=True)
class Rules:
    """What the choice of a block weighs beside its cuts, in units of the exemplar's variance.

    spread: price of a region in even use; proportion: price of one unit of potential; tries: how many of the best
    matches are cut to compare; steers: prices by position (a lattice, guides).
    """

    spread: float
    proportion: float
    tries: int
    steers: tuple[Steer, ...] = ()


@dataclass
class Quilt:
    """The canvas while it is being quilted, flattened (h * w).

    psi: (homes,) potential of each source pixel. cost: of all cuts, per block and layer.
    """

    h: int
    w: int
    wraps: tuple[bool, bool]
    index: Tensor
    painted: Tensor
    psi: Tensor
    cost: float = 0.0


def quilt(
    atlas: Atlas,
    blocks: Blocks,
    size: tuple[int, int],
    tile: tuple[bool, bool],
    rules: Rules,
    starts: int,
    rng: torch.Generator,
) -> Tensor:
    """The best of `starts` quilts: a flat atlas index per pixel of a canvas of `size`, (h, w)."""
    best = min((lay(atlas, blocks, size, tile, rules, rng) for _ in range(starts)), key=lambda made: made.cost)
    return best.index.view(best.h, best.w)[: size[0], : size[1]].contiguous()


def lay(
    atlas: Atlas,
    blocks: Blocks,
    size: tuple[int, int],
    tile: tuple[bool, bool],
    rules: Rules,
    rng: torch.Generator,
) -> Quilt:
    """Cover a canvas of at least `size`, block after block, in raster order; the potential rises along the way."""
    device = atlas.colours.device
    (ys, h), (xs, w) = (_grid(length, wraps, blocks) for length, wraps in zip(size, tile, strict=True))
    empty = torch.zeros(h * w, dtype=torch.long, device=device)
    made = Quilt(h, w, tile, empty, empty.bool(), torch.zeros(atlas.homes, device=device))
    colours = palette(atlas)
    for number, wave in enumerate(_waves(ys, xs)):
        if number > 0:
            made.psi = ascend(made.psi, atlas, made.index[made.painted], *colours)
        for top in torch.tensor(wave, device=device).split(BATCH):
            _place(made, atlas, blocks, top, rules, rng)
    made.cost += UNEVEN * float(excess(atlas, made.index).abs().mean())
    return made


def _place(made: Quilt, atlas: Atlas, blocks: Blocks, top: Tensor, rules: Rules, rng: torch.Generator) -> None:
    """Put one block at each of `top` (B, 2), none of which touch each other."""
    side = blocks.side
    cells = cells_of(made, top, side)
    old, mask = made.index[cells], made.painted[cells]
    prior = prior_of(made, atlas, blocks, top, rules)
    score = mismatch(blocks, old, mask) + prior
    score += JITTER * torch.rand(score.shape, generator=rng).to(top.device)
    best = score.topk(min(rules.tries, score.shape[1]), largest=False).indices  # (B, T)
    new = blocks.corners[best][:, :, None] + blocks.inner  # (B, T, side^2)
    gap = (blocks.colours[new] - blocks.colours[old][:, None]).square().sum(-1)  # (B, T, side^2)
    tries, shape = best.shape[1], (-1, side, side)
    masks, borders = (t.repeat_interleave(tries, 0) for t in (mask, _borders(made, top, side)))
    keep, cost = cut_sides(gap.view(shape), masks.view(shape), borders, blocks.overlap)
    cost = cost.view(best.shape) / side
    pick = (cost + prior.gather(1, best)).argmin(1, keepdim=True)
    whole = pick[:, :, None].expand(-1, -1, side * side)
    keep = keep.view(*best.shape, -1).gather(1, whole)[:, 0]
    new = new.gather(1, whole)[:, 0]
    made.index[cells[~keep]] = new[~keep]
    made.painted[cells.flatten()] = True
    made.cost += float(cost.gather(1, pick).mean()) * len(top) * side**2 / made.index.numel()


def prior_of(made: Quilt, atlas: Atlas, blocks: Blocks, top: Tensor, rules: Rules) -> Tensor:
    """Price of every block at every place before anything is matched, (B, n)."""
    prior = torch.zeros(len(top), len(blocks.corners), device=top.device)
    if rules.spread > 0:
        use = _use(made, atlas, blocks, top)
        prior += rules.spread * torch.stack([row[blocks.seen].mean(1) for row in use])
    prior += rules.proportion * made.psi[blocks.sites].mean(1)
    for steer in rules.steers:
        prior += steer(blocks.corners[None], top[:, None, 0], top[:, None, 1])
    return prior


def mismatch(blocks: Blocks, old: Tensor, weight: Tensor) -> Tensor:
    """Mean squared difference of every source block to what is painted, (B, side^2) -> (B, n)."""
    w = weight.repeat_interleave(3, 1).float()
    o = blocks.colours[old].flatten(1)
    error = w @ blocks.square.T - 2 * (o * w) @ blocks.table.T + (o * o * w).sum(1, keepdim=True)
    return error.clamp(min=0) / weight.sum(1, keepdim=True).clamp(min=1)


def _use(made: Quilt, atlas: Atlas, blocks: Blocks, top: Tensor) -> Tensor:
    """How much each source cell is used already, seen from each of `top`: (B, cells), 1 for even use.

    Use counts by a Gaussian of its distance (sigma: half the exemplar), so that repeats stay far apart; what the block
    itself would cover does not count.
    """
    reach = max(max(size) for size in atlas.exemplars)
    offset = torch.arange(-reach, reach + 1, blocks.cell, device=top.device)
    fade = torch.exp(-0.5 * (offset / (0.5 * reach)) ** 2)
    at = [top[:, axis, None] + blocks.side // 2 + offset for axis in (0, 1)]
    seen = [((a >= 0) & (a < n) | wrap) * fade for a, n, wrap in zip(at, (made.h, made.w), made.wraps, strict=True)]
    inside = offset.abs() <= blocks.side // 2
    weight = seen[0][:, :, None] * seen[1][:, None, :] * ~(inside[:, None] & inside)
    where = (at[0] % made.h)[:, :, None] * made.w + (at[1] % made.w)[:, None, :]
    weight = (weight * made.painted[where]).flatten(1)
    use = torch.zeros(len(top), blocks.count, device=top.device)
    use.scatter_add_(1, blocks.cells[atlas.home[made.index[where]]].flatten(1), weight)
    return use * blocks.count / weight.sum(1, keepdim=True).clamp(min=len(offset))


def _borders(made: Quilt, top: Tensor, side: int) -> Tensor:
    """Which sides (left, top, right, bottom) of each block lie on a border that does not wrap, (B, 4)."""
    y, x = top[:, 0], top[:, 1]
    open_y, open_x = (not wraps for wraps in made.wraps)
    ends = [(x == 0) & open_x, (y == 0) & open_y, (x + side == made.w) & open_x, (y + side == made.h) & open_y]
    return torch.stack(ends, 1)


def cells_of(made: Quilt, top: Tensor, side: int) -> Tensor:
    """Flat canvas cells (B, side^2) of the blocks at `top`."""
    span = torch.arange(side, device=top.device)
    rows, cols = (top[:, :1] + span) % made.h, (top[:, 1:] + span) % made.w
    return (rows[:, :, None] * made.w + cols[:, None, :]).flatten(1)


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
