"""Places in an exemplar that neighbouring cells of a target can share, for the match of CoCosNet (Zhang et al. 2020).

Descriptors of labels are the same wherever labels are, so a match of single cells has nothing to go by there. Blocks of
cells look for a place together, and `code` turns places into numbers whose cosine is high for near ones, which can
stand beside descriptors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.cuts import path
from texsynth.learned.cocosnet.match import descriptors
from texsynth.pyramid import shrink

DENSE = 64**4  # pairs of cells up to which all are compared
SHORTEST = 4  # cells, of the waves that tell places; the others are 2, 4, 8 ... times as long
BLOCKS = (16, 8, 4)  # cells a side
CHANCE = 0.005  # of the squared difference of colours, that blocks do not mind
DUTY = 4.0  # of a cell to its labels, against seams
ROUNDS = 8  # of moving borders
STEPS = ((1, 0), (-1, 0), (0, 1), (0, -1))
Size = tuple[int, int]


def code(places: Tensor, size: Size) -> Tensor:
    """Places (1, 2, h, w) in a grid of `size` -> (1, C, h, w) of mean 0 and length 1, whose product falls with
    distance."""
    waves = max(1, math.ceil(math.log2(2 * max(size) / SHORTEST)) + 1)
    lengths = SHORTEST * 2.0 ** torch.arange(waves, device=places.device)
    angles = (places[:, :, None] * (2 * math.pi / lengths).view(-1, 1, 1)).flatten(1, 2)
    parts = torch.cat([angles.cos(), angles.sin()], 1)
    return torch.cat([parts, -parts], 1) / math.sqrt(4 * waves)


def grid(size: Size, device: torch.device) -> Tensor:
    """The (y, x) of every cell, (1, 2, h, w)."""
    axes = [torch.arange(n, device=device, dtype=torch.float32) for n in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]


@torch.no_grad()
def placed(
    queries: Tensor,
    keys: Tensor,
    colours: Tensor,
    variety: float,
    rng: torch.Generator,
    usable: Tensor | None = None,
    blocks: Sequence[int] = BLOCKS,
) -> Tensor:
    """Where in the keys (1, D, H, W), with colours (1, 3, H, W), blocks of the queries (1, D, h, w) are most alike:
    (1, 2, h, w), the (y, x) of every cell.

    Of near-equals, whose mean cosine is up to `variety` less, a block takes what goes on from the blocks above and to
    the left. Smaller blocks look for themselves where they find something better. usable: (1, 1, H, W) bool.
    """
    size, whole = (queries.shape[2], queries.shape[3]), (keys.shape[2], keys.shape[3])
    q, k = descriptors(queries), descriptors(keys)
    k = k if usable is None else torch.where(usable, k, 0)
    level = 0
    while q[0, 0].numel() * k[0, 0].numel() > DENSE:
        q, k, colours, level = shrink(q, 1), shrink(k, 1), shrink(colours, 1), level + 1
    places: Tensor | None = None
    for block in blocks:
        side = min(block, *k.shape[2:])
        known = places
        if known is not None and bool((_means(_cosines(q, k, known), side) > 1 - variety).all()):
            break
        fresh = _searched(q, k, colours, side, variety, rng)
        if known is not None:
            better = _means(_cosines(q, k, fresh), side) > _means(_cosines(q, k, known), side) + variety
            fresh = torch.where(better, fresh, known)
        places = fresh
    assert places is not None
    places = _mended(places, q, k, colours)
    for _ in range(level):
        places = F.interpolate(places, scale_factor=2, mode="nearest") * 2
        places = places + grid((places.shape[2], places.shape[3]), places.device) % 2
    last = torch.tensor(whole, device=places.device).view(1, 2, 1, 1) - 1
    return places[:, :, : size[0], : size[1]].minimum(last)


def _searched(q: Tensor, k: Tensor, colours: Tensor, side: int, variety: float, rng: torch.Generator) -> Tensor:
    """The place of every cell of q when blocks of side x side cells go, in raster order, where the mean cosine with k
    is high and the colours to the left and above go on those there."""
    counts = [-(-n // side) for n in q.shape[2:]]
    whole = F.pad(q, [0, counts[1] * side - q.shape[3], 0, counts[0] * side - q.shape[2]], mode="replicate")
    parts = whole[0].unflatten(2, (counts[1], side)).unflatten(1, (counts[0], side)).permute(1, 3, 0, 2, 4)
    scores = F.conv2d(k, parts.flatten(0, 1))[0] / side**2
    good = scores >= scores.amax((1, 2), keepdim=True) - variety
    chance = torch.rand(scores.shape, generator=rng).to(scores)
    found = q.new_zeros(1, 2, counts[0] * side, counts[1] * side)
    inner = grid((side, side), q.device)
    made = colours.new_zeros(1, 3, *found.shape[2:])
    edge = max(1, side // 2)
    for number in range(len(scores)):
        top, left = number // counts[1] * side, number % counts[1] * side
        price = _price(made, colours, (top, left), side, edge) + CHANCE * chance[number]
        best = int(torch.where(good[number], price, torch.inf).argmin())
        y, x = best // scores.shape[2], best % scores.shape[2]
        found[:, :, top : top + side, left : left + side] = inner + inner.new_tensor([y, x]).view(1, 2, 1, 1)
        made[:, :, top : top + side, left : left + side] = colours[:, :, y : y + side, x : x + side]
        if left and x:
            _cut(found, made, whole, k, colours, (top, left), (y, x), side, min(edge, left, x), variety, False)
        if top and y:
            over, drawn, asked, keys, paint = (each.transpose(2, 3) for each in (found, made, whole, k, colours))
            _cut(over, drawn, asked, keys, paint, (left, top), (x, y), side, min(edge, top, y), variety, True)
    return found[:, :, : q.shape[2], : q.shape[3]]


def _cut(
    found: Tensor, made: Tensor, q: Tensor, k: Tensor, colours: Tensor, at: Size, source: Size, side: int, before: int,
    variety: float, turned: bool,
) -> None:  # fmt: skip
    """Give a block what is to its left, up to the path where that is seen least, in place: Efros and Freeman 2001.

    at, source: its corner, and that of where it comes from; before: cells that it may take. What would be `variety`
    less like what is asked for is left alone. turned: are rows columns, and places (x, y)?
    """
    rows, columns = slice(at[0], at[0] + side), slice(at[1] - before, at[1])
    theirs = slice(source[0], source[0] + side), slice(source[1] - before, source[1])
    new, old = colours[:, :, theirs[0], theirs[1]], made[:, :, rows, columns]
    start = path((new - old).square().sum(1))[0][0]
    ramp = torch.arange(before, device=q.device)
    asked, places = q[:, :, rows, columns], found[:, :, rows, columns]
    were = places.flip(1) if turned else places
    loss = (asked * (taken(k, were) - k[:, :, theirs[0], theirs[1]])).sum(1, keepdim=True)
    takes = (ramp >= start[:, None]) & (loss <= variety)
    own = grid((side, before), q.device) + places.new_tensor([source[0], source[1] - before]).view(1, 2, 1, 1)
    found[:, :, rows, columns] = torch.where(takes, own.flip(1) if turned else own, places)
    made[:, :, rows, columns] = torch.where(takes, new, old)


def _price(made: Tensor, colours: Tensor, corner: Size, side: int, edge: int) -> Tensor:
    """How unlike the last cells before a block, above and to the left, are those before each place: (H', W'), a mean
    squared difference; 0 where there is no cell before the block."""
    spots = [n - side + 1 for n in colours.shape[2:]]
    total = colours.new_zeros(spots)
    top, left = corner
    wider = F.pad(colours, [edge, 0, edge, 0], mode="replicate")
    if top:
        kernel = made[:, :, top - edge : top, left : left + side]
        total = total + _squares(wider[:, :, :, edge:], kernel)[: spots[0]]
    if left:
        kernel = made[:, :, top : top + side, left - edge : left]
        total = total + _squares(wider[:, :, edge:], kernel)[:, : spots[1]]
    return total


def _squares(x: Tensor, kernel: Tensor) -> Tensor:
    """Mean squared differences of a kernel (1, C, h, w) with all windows of x (1, C, H, W)."""
    squared = F.conv2d(x.square(), torch.ones_like(kernel)) - 2 * F.conv2d(x, kernel) + kernel.square().sum()
    return squared[0, 0] / kernel[0, 0].numel()


def _mended(places: Tensor, q: Tensor, k: Tensor, colours: Tensor) -> Tensor:
    """Borders of blocks moved to where they are not seen: cells go on from a neighbour where that is better."""
    size, last = q.shape[2:], torch.tensor(k.shape[2:], device=q.device).view(1, 2, 1, 1) - 1
    odd = grid((size[0], size[1]), q.device).sum(1, keepdim=True) % 2 == 1
    variance = colours.var((2, 3)).sum().clamp(min=1e-6)
    for turn in range(2 * ROUNDS):
        around = [_beside(places, step) for step in STEPS]
        price = _broken(places, around, q, k, colours / variance.sqrt())
        for proposal in around:
            inside = ((proposal >= 0) & (proposal <= last)).all(1, keepdim=True)
            other = _broken(proposal.clamp(min=0).minimum(last), around, q, k, colours / variance.sqrt())
            better = inside & (other < price) & (odd == bool(turn % 2))  # no two neighbours move at once
            places, price = torch.where(better, proposal, places), torch.where(better, other, price)
    return places


def _beside(places: Tensor, step: Size) -> Tensor:
    """For each cell the place that goes on from its neighbour's at -step; at a border its own."""
    moved = places.roll(step, (2, 3)) + places.new_tensor(step).view(1, 2, 1, 1)
    for dim, length in zip((2, 3), step, strict=True):
        if length:
            edge = 0 if length > 0 else places.shape[dim] - 1
            moved.narrow(dim, edge, 1).copy_(places.narrow(dim, edge, 1))
    return moved


def _broken(places: Tensor, around: Sequence[Tensor], q: Tensor, k: Tensor, colours: Tensor) -> Tensor:
    """What is wrong with each cell's place, (1, 1, h, w): how unlike it is what is asked for, and how unlike in colour
    what its neighbours would go on with."""
    own, price = taken(colours, places), DUTY * (1 - _cosines(q, k, places))
    last = torch.tensor(k.shape[2:], device=q.device).view(1, 2, 1, 1) - 1
    for other in around:
        theirs = taken(colours, other.clamp(min=0).minimum(last))
        price = price + (own - theirs).square().sum(1, keepdim=True)
    return price


def taken(values: Tensor, places: Tensor) -> Tensor:
    """Values (1, C, H, W) at places (1, 2, h, w): (1, C, h, w)."""
    index = (places[0, 0] * values.shape[3] + places[0, 1]).long()
    return values[0].flatten(1)[:, index][None]


def _cosines(q: Tensor, k: Tensor, places: Tensor) -> Tensor:
    """Of each cell with the one at its place, (1, 1, h, w)."""
    return (q * taken(k, places)).sum(1, keepdim=True)


def _means(x: Tensor, side: int) -> Tensor:
    """Over blocks, at every cell of theirs."""
    means = F.avg_pool2d(x, side, ceil_mode=True, count_include_pad=False)
    return F.interpolate(means, scale_factor=side, mode="nearest")[:, :, : x.shape[2], : x.shape[3]]
