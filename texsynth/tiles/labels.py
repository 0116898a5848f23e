"""Which material lies where on the tiles of a set of two materials, 0 for the ground and 1 for what lies on it.

A tile is a field of numbers with a threshold: between its corners, the middles of its edges and its own middle, which
are of one material each, the field runs from 0 to 1, as marching squares do (Lorensen & Cline 1987, in two
dimensions). Along a border it hangs on nothing but the strip there, over the whole width that tiles have in common, so
that the labels of tiles that meet are equal bit for bit. A smooth random field moves the outline, each strip's own near
the borders, and each tile's own inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.tiles.sets import BLOB, TileColours, TileSet

RISE = 0.5  # of the side of a tile with a middle, from its border to where its middle begins
THRESHOLD_OF_BLOBS = 0.14  # so that a material whose neighbours are ground fills most of its cell
THRESHOLD = 0.5
APART = 0.16  # by how much the field is lower in the middle of a tile whose opposite corners alike are top ones
WOBBLE_OF_BLOBS, WOBBLE, MOST_WOBBLE = 0.6, 0.2, 0.7  # of the threshold: its deviation, about, and the most
SLACK = 0.05  # of the shorter side of a tile: pixels on both sides of an outline where labels hardly count
LEAST_FIRMNESS = 0.003  # the share of their weight that they have there: outlines then follow what the materials show
WAVES = 3  # of the wobble, along a side
INWARDS = 0.2  # of the side, over which the wobble of a border gives way to that of the inside


@dataclass(frozen=True)
class Edging:
    """border: The pixels on each side of a cut in which labels hang on nothing but the strip there, less than RISE of a
    side. reach: The pixels that are drawn round each tile, that many or more."""

    border: int
    reach: int


def labels(tiles: TileSet, size: tuple[int, int], edging: Edging, seed: int) -> Tensor:
    """The material of each pixel of each tile of (h, w) pixels, with what lies round it: (n, h + 2 reach, w + 2 reach)
    int64."""
    h, w, reach = *size, edging.reach
    rng = torch.Generator().manual_seed(seed)
    # Draw the wobble of each strip along it, and that of the inside of each tile.
    across = {strip: _waves((1, w + 2 * reach), size, rng)[0] for strip in tiles.across}
    down = {strip: _waves((h + 2 * reach, 1), size, rng)[:, 0] for strip in tiles.down}
    drawn = []
    for tile in tiles.tiles:
        inside = _waves((h + 2 * reach, w + 2 * reach), size, rng)
        sides = (across[tile.north][None], across[tile.south][None], down[tile.west][:, None], down[tile.east][:, None])
        wobble = _joined(sides, inside, size, edging)
        field = _field(tile, tiles.kind, size, edging)
        threshold, moved = (
            (THRESHOLD_OF_BLOBS, WOBBLE_OF_BLOBS * wobble) if tiles.kind == BLOB else (THRESHOLD, WOBBLE * wobble)
        )
        drawn.append(field + moved.clamp(-MOST_WOBBLE, MOST_WOBBLE) * threshold > threshold)
    return torch.stack(drawn).long()


def firmness(wanted: Tensor, slack: int) -> Tensor:
    """How much of their weight labels (1, 1, h, w) have at each pixel, in (0, 1]: less within `slack` pixels of an
    outline, so that no stone has to be cut in two where the outline may go round it."""
    reach = 2 * slack + 1
    same = F.max_pool2d(wanted, reach, 1, slack) == -F.max_pool2d(-wanted, reach, 1, slack)
    return torch.where(same, 1.0, LEAST_FIRMNESS)


def _field(tile: TileColours, kind: str, size: tuple[int, int], edging: Edging) -> Tensor:
    """The field of a tile (h + 2 reach, w + 2 reach), in [0, 1], before it wobbles."""
    values = _values(tile) if kind == BLOB else _corners(tile)
    down, along = (_shares(side, edging, len(values) == 3) for side in size)
    # Sums term by term: those of a product of matrices may round differently from row to row.
    field = torch.zeros(len(down), len(along))
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            field = field + value * (down[:, row, None] * along[None, :, column])
    if kind != BLOB and tile.corners in ((1, 0, 1, 0), (0, 1, 0, 1)):
        middle = 16 * (down[:, 0] * down[:, 1])[:, None] * (along[:, 0] * along[:, 1])
        field = field - APART * middle
    return field


def _corners(tile: TileColours) -> list[list[float]]:
    """The materials of a tile's corners, row by row."""
    nw, ne, se, sw = map(float, tile.corners)
    return [[nw, ne], [sw, se]]


def _values(tile: TileColours) -> list[list[float]]:
    """The materials of a tile's corners, edges and middle, row by row."""
    (nw, ne, se, sw), (n, e, s, w) = map(float, tile.corners), map(float, tile.edges)
    return [[nw, n, ne], [w, float(tile.middle), e], [sw, s, se]]


def _shares(side: int, edging: Edging, has_middle: bool) -> Tensor:
    """The share (side + 2 reach, 2 or 3) of the start, the middle where there is one, and the end of a side at each
    pixel, with the sum 1. Within the border they are exactly 0 and 1."""
    border = edging.border
    place = torch.arange(-edging.reach, side + edging.reach) + 0.5
    last = RISE * side if has_middle else float(side - border)
    rising = _eased(((place - border) / (last - border)).clamp(0, 1))  # outlines cross borders at a right angle
    if not has_middle:
        return torch.stack([1 - rising, rising], 1)
    falling = rising.flip(0)
    start = (1 - rising) * (place < side / 2)
    end = (1 - falling) * (place >= side / 2)
    return torch.stack([start, 1 - start - end, end], 1)


def _joined(sides: Sequence[Tensor], inside: Tensor, size: tuple[int, int], edging: Edging) -> Tensor:
    """The wobble of a tile (h + 2 reach, w + 2 reach): within the border that of its north, south, west or east
    strip, of one row or one column each, its own inside, and from one to the other between."""
    near_rows, near_columns = (_nearness(side, edging) for side in size)
    north, west = near_rows[:, None], near_columns[None]
    south, east = north.flip(0), west.flip(1)
    total = inside * (1 - north) * (1 - south) * (1 - west) * (1 - east)
    for strip, near in zip(sides[:2], (north, south), strict=True):
        total = total + strip * (near * (1 - west) * (1 - east))
    for strip, near in zip(sides[2:], (west, east), strict=True):
        total = total + strip * (near * (1 - north) * (1 - south))
    return total


def _nearness(side: int, edging: Edging) -> Tensor:
    """How near each pixel (side + 2 reach,) is to the start of a side: 1 within the border, 0 further inside."""
    distance = torch.arange(-edging.reach, side + edging.reach) + 0.5 - edging.border
    return _eased((1 - distance / (INWARDS * side)).clamp(0, 1))


def _eased(share: Tensor) -> Tensor:
    """A share in [0, 1] that changes slowly near 0 and near 1, which stay."""
    return share * share * (3 - 2 * share)


def _waves(shape: tuple[int, int], size: tuple[int, int], rng: torch.Generator) -> Tensor:
    """A smooth random field (h, w) with the deviation 1, about, of WAVES waves along a side of `size` and half as
    strong ones of twice as many."""
    total = torch.zeros(shape)
    for times, strength in ((1, 0.9), (2.5, 0.4)):
        knots = [1 if n == 1 else max(2, round(WAVES * times * n / side)) for n, side in zip(shape, size, strict=True)]
        coarse = torch.randn(1, 1, *knots, generator=rng)
        total += strength * F.interpolate(coarse, shape, mode="bicubic", align_corners=True)[0, 0]
    return total
