"""Places in an exemplar that neighbouring cells of a target can share, for the match of CoCosNet (Zhang et al. 2020).

Descriptors of labels are the same wherever labels are, so a match of single cells has nothing to go by there. Blocks of
cells look for a place together, as in Efros & Freeman 2001 ("Image Quilting"), and `code` turns places into numbers
whose cosine is high for near ones, which can stand beside descriptors.

Differs from Efros & Freeman 2001 in: blocks must fit the target's descriptors; a block does not overlap those before
it, but then goes on into their cells up to a cut; cells at the borders of blocks move on to other blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.quilting import path
from texsynth.learned.cocosnet.match import descriptors
from texsynth.pyramid import shrink

DENSE_PAIRS = 64**4  # of cells, up to which all are compared
SHORTEST_WAVE = 4  # cells, of the waves that tell places; the others are 2, 4, 8 ... times as long
BLOCKS = (16, 8, 4)  # cells along the side
CHANCE = 0.005  # of the squared difference of colours, which is left to chance
WEIGHT_OF_COSINE = 4.0  # of a cell's cosine with its place, against seams
BORDER_ROUNDS = 8  # in which borders of blocks move, each for even and odd cells in turn
NEIGHBOURS = ((1, 0), (-1, 0), (0, 1), (0, -1))
Size = tuple[int, int]


@dataclass(frozen=True)
class KeyGrid:
    """An exemplar on the grid of its cells: descriptors (1, D, H, W) of length 1, or 0 where nothing may be taken, and
    colours (1, 3, H, W)."""

    keys: Tensor
    colours: Tensor

    @classmethod
    def of(cls, features: Tensor, colours: Tensor, usable: Tensor | None = None) -> KeyGrid:
        """The grid of features (1, D, H, W) and colours. usable: (1, 1, H, W) bool, the cells that may be taken."""
        keys = descriptors(features)
        return cls(keys if usable is None else torch.where(usable, keys, 0), colours)

    @property
    def size(self) -> Size:
        return self.keys.shape[2], self.keys.shape[3]

    def clipped(self, places: Tensor) -> Tensor:
        """Places (1, 2, h, w), those beyond a border moved onto it."""
        return torch.stack([places[:, axis].clamp(0, n - 1) for axis, n in enumerate(self.size)], 1)

    def transposed(self) -> KeyGrid:
        """The same with rows and columns exchanged."""
        return KeyGrid(self.keys.transpose(2, 3), self.colours.transpose(2, 3))


@dataclass(frozen=True)
class Mosaic:
    """A target while blocks are laid on it: the descriptors that are asked for (1, D, h, w), and the (y, x) in the
    exemplar (1, 2, h, w) that each cell has so far, and the colours there (1, 3, h, w), which change in place.

    turned: whether rows and columns are exchanged, so that places are (x, y).
    """

    queries: Tensor
    places: Tensor
    colours: Tensor
    turned: bool = False

    def transposed(self) -> Mosaic:
        """The same with rows and columns exchanged, as views."""
        queries, places, colours = (x.transpose(2, 3) for x in (self.queries, self.places, self.colours))
        return Mosaic(queries, places, colours, not self.turned)


def code(places: Tensor, size: Size) -> Tensor:
    """Places (1, 2, h, w) in a grid of `size` as vectors (1, C, h, w) of mean 0 and length 1, whose product falls with
    distance."""
    waves = max(1, math.ceil(math.log2(2 * max(size) / SHORTEST_WAVE)) + 1)
    lengths = SHORTEST_WAVE * 2.0 ** torch.arange(waves, device=places.device)
    angles = (places[:, :, None] * (2 * math.pi / lengths).view(-1, 1, 1)).flatten(1, 2)
    parts = torch.cat([angles.cos(), angles.sin()], 1)
    return torch.cat([parts, -parts], 1) / math.sqrt(4 * waves)


def grid(size: Size, device: torch.device) -> Tensor:
    """The (y, x) of every cell, (1, 2, h, w)."""
    axes = [torch.arange(n, device=device, dtype=torch.float32) for n in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]


def taken(values: Tensor, places: Tensor) -> Tensor:
    """Values (1, C, H, W) at places (1, 2, h, w): (1, C, h, w)."""
    index = (places[0, 0] * values.shape[3] + places[0, 1]).long()
    return values[0].flatten(1)[:, index][None]


@torch.no_grad()
def find_places(
    features: Tensor, exemplar: KeyGrid, variety: float, rng: torch.Generator, blocks: Sequence[int] = BLOCKS
) -> Tensor:
    """The (y, x) in the exemplar of every cell of a target, where blocks of its cells are most alike: (1, 2, h, w).

    features: (1, D, h, w), the target's. blocks: their sides in cells, large to small; smaller ones look for themselves
    where they find something better. Of near-equals, whose mean cosine is up to `variety` less, a block takes the one
    that goes on from the blocks above and to the left.
    """
    queries, size, full, level = descriptors(features), features.shape[2:], exemplar, 0
    # Reduce grids that are too large to compare all pairs.
    while queries[0, 0].numel() * exemplar.keys[0, 0].numel() > DENSE_PAIRS:
        queries, level = shrink(queries, 1), level + 1
        exemplar = KeyGrid(shrink(exemplar.keys, 1), shrink(exemplar.colours, 1))
    # Look for places, with large blocks first.
    places: Tensor | None = None
    for block in blocks:
        side = min(block, *exemplar.size)
        if places is None:
            places = _quilted(queries, exemplar, side, variety, rng)
            continue
        cosines = _block_means(_cosines(queries, exemplar, places), side)
        if bool((cosines > 1 - variety).all()):
            break
        fresh = _quilted(queries, exemplar, side, variety, rng)
        better = _block_means(_cosines(queries, exemplar, fresh), side) > cosines + variety
        places = torch.where(better, fresh, places)
    assert places is not None
    places = _with_moved_borders(places, queries, exemplar)
    # Return to the full grids.
    for _ in range(level):
        places = F.interpolate(places, scale_factor=2, mode="nearest") * 2
        places = places + grid((places.shape[2], places.shape[3]), places.device) % 2
    return full.clipped(places[:, :, : size[0], : size[1]])


def _quilted(queries: Tensor, exemplar: KeyGrid, side: int, variety: float, rng: torch.Generator) -> Tensor:
    """The place of every cell, (1, 2, h, w), when blocks of side x side cells go, in raster order, where their mean
    cosine is high and their colours continue those to the left and above."""
    # Compare all blocks of the target with all of the exemplar.
    rows, columns = (-(-n // side) for n in queries.shape[2:])
    padding = [0, columns * side - queries.shape[3], 0, rows * side - queries.shape[2]]
    whole = F.pad(queries, padding, mode="replicate")
    parts = whole[0].unflatten(2, (columns, side)).unflatten(1, (rows, side)).permute(1, 3, 0, 2, 4)
    scores = F.conv2d(exemplar.keys, parts.flatten(0, 1))[0] / side**2
    good = scores >= scores.amax((1, 2), keepdim=True) - variety
    chance = torch.rand(scores.shape, generator=rng).to(scores)
    # Lay each block where its colours fit best, and cut it along those before it.
    size = (rows * side, columns * side)
    mosaic = Mosaic(whole, queries.new_zeros(1, 2, *size), exemplar.colours.new_zeros(1, 3, *size))
    inner, edge = grid((side, side), queries.device), max(1, side // 2)
    for number in range(len(scores)):
        top, left = number // columns * side, number % columns * side
        price = _price(mosaic.colours, exemplar.colours, (top, left), side, edge) + CHANCE * chance[number]
        best = int(torch.where(good[number], price, torch.inf).argmin())
        y, x = best // scores.shape[2], best % scores.shape[2]
        cells = (slice(None), slice(None), slice(top, top + side), slice(left, left + side))
        mosaic.places[cells] = inner + inner.new_tensor([y, x]).view(1, 2, 1, 1)
        mosaic.colours[cells] = exemplar.colours[:, :, y : y + side, x : x + side]
        if left and x:
            _extend_left(mosaic, exemplar, (top, left), (y, x), (side, min(edge, left, x)), variety)
        if top and y:
            across, source = mosaic.transposed(), exemplar.transposed()
            _extend_left(across, source, (left, top), (x, y), (side, min(edge, top, y)), variety)
    return mosaic.places[:, :, : queries.shape[2], : queries.shape[3]]


def _extend_left(mosaic: Mosaic, exemplar: KeyGrid, corner: Size, source: Size, reach: Size, variety: float) -> None:
    """Give a block the cells to its left, up to the path where the meeting shows least, except for those whose cosine
    would fall by more than `variety`. corner, source: the first (row, column) of the block, and of its place in the
    exemplar. reach: how many cells it may take, (down, to the left)."""
    (top, left), (y, x), (height, width) = corner, source, reach
    cells = (slice(None), slice(None), slice(top, top + height), slice(left - width, left))
    sources = (slice(None), slice(None), slice(y, y + height), slice(x - width, x))
    new, old, places = exemplar.colours[sources], mosaic.colours[cells], mosaic.places[cells]
    start = path((new - old).square().sum(1))[0][0]
    ramp = torch.arange(width, device=places.device)
    present = taken(exemplar.keys, places.flip(1) if mosaic.turned else places)
    loss = (mosaic.queries[cells] * (present - exemplar.keys[sources])).sum(1, keepdim=True)
    takes = (ramp >= start[:, None]) & (loss <= variety)
    continued = grid(reach, places.device) + places.new_tensor([y, x - width]).view(1, 2, 1, 1)
    mosaic.places[cells] = torch.where(takes, continued.flip(1) if mosaic.turned else continued, places)
    mosaic.colours[cells] = torch.where(takes, new, old)


def _price(target: Tensor, colours: Tensor, corner: Size, side: int, edge: int) -> Tensor:
    """How unlike the last `edge` cells before a block, above and to the left, in the colours laid so far (target), are
    those before each place of the exemplar (colours): (H', W'), a mean squared difference, 0 where there are none."""
    counts = [n - side + 1 for n in colours.shape[2:]]
    total = colours.new_zeros(counts)
    top, left = corner
    wider = F.pad(colours, [edge, 0, edge, 0], mode="replicate")
    if top:
        kernel = target[:, :, top - edge : top, left : left + side]
        total = total + _squares(wider[:, :, :, edge:], kernel)[: counts[0]]
    if left:
        kernel = target[:, :, top : top + side, left - edge : left]
        total = total + _squares(wider[:, :, edge:], kernel)[:, : counts[1]]
    return total


def _squares(x: Tensor, kernel: Tensor) -> Tensor:
    """The mean squared differences of a kernel (1, C, h, w) with all windows of x (1, C, H, W): (H', W')."""
    squared = F.conv2d(x.square(), torch.ones_like(kernel)) - 2 * F.conv2d(x, kernel) + kernel.square().sum()
    return squared[0, 0] / kernel[0, 0].numel()


def _with_moved_borders(places: Tensor, queries: Tensor, exemplar: KeyGrid) -> Tensor:
    """The places (1, 2, h, w) after cells went on from a neighbour's place wherever that shows less."""
    size, last = queries.shape[2:], places.new_tensor(exemplar.size).view(1, 2, 1, 1) - 1
    odd = grid((size[0], size[1]), queries.device).sum(1, keepdim=True) % 2 == 1
    variance = exemplar.colours.var((2, 3)).sum().clamp(min=1e-6)
    scaled = KeyGrid(exemplar.keys, exemplar.colours / variance.sqrt())
    for turn in range(2 * BORDER_ROUNDS):
        around = [_continued(places, direction) for direction in NEIGHBOURS]
        price = _fault(places, around, queries, scaled)
        for proposal in around:
            inside = ((proposal >= 0) & (proposal <= last)).all(1, keepdim=True)
            other = _fault(scaled.clipped(proposal), around, queries, scaled)
            better = inside & (other < price) & (odd == bool(turn % 2))  # no two neighbours move at once
            places, price = torch.where(better, proposal, places), torch.where(better, other, price)
    return places


def _continued(places: Tensor, direction: Size) -> Tensor:
    """For each cell the place that goes on from its neighbour's at -direction; at a border its own."""
    moved = places.roll(direction, (2, 3))
    for axis, length in enumerate(direction):
        if length:
            moved[:, axis] += length
            edge = 0 if length > 0 else places.shape[axis + 2] - 1
            moved.narrow(axis + 2, edge, 1).copy_(places.narrow(axis + 2, edge, 1))
    return moved


def _fault(places: Tensor, around: Sequence[Tensor], queries: Tensor, exemplar: KeyGrid) -> Tensor:
    """What is wrong with each cell's place, (1, 1, h, w): how unlike it is what is asked for, and how unlike in colour
    the places are that its neighbours would go on with."""
    colours, price = taken(exemplar.colours, places), WEIGHT_OF_COSINE * (1 - _cosines(queries, exemplar, places))
    for other in around:
        expected = taken(exemplar.colours, exemplar.clipped(other))
        price = price + (colours - expected).square().sum(1, keepdim=True)
    return price


def _cosines(queries: Tensor, exemplar: KeyGrid, places: Tensor) -> Tensor:
    """The cosine of each cell with the one at its place, (1, 1, h, w)."""
    return (queries * taken(exemplar.keys, places)).sum(1, keepdim=True)


def _block_means(x: Tensor, side: int) -> Tensor:
    """The mean over each block of side x side cells, at every cell of it."""
    means = F.avg_pool2d(x, side, ceil_mode=True, count_include_pad=False)
    return F.interpolate(means, scale_factor=side, mode="nearest")[:, :, : x.shape[2], : x.shape[3]]
