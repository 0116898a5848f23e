"""Repetition of tiles: how much of the repetition of a single tile does a plane laid at random keep?

A plane of 64 x 64 tiles, or fewer where they are large, is laid at random and reduced to an eighth, as it looks from
afar, where repetition is seen. Its highest correlation with itself at any offset of a tile and more, less the
highest of the exemplar (texsynth/metrics/repetition.py), is divided by the same of one tile that is repeated, whose
correlation is 1. The measure is our own. Values lie between 0 and 1, that of one tile; 16 corner tiles score about 0.2,
less where they are large. It is 0 for an exemplar that repeats itself as strongly.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.guidance.filters import blur
from texsynth.metrics import About, NotApplicable, Pair
from texsynth.metrics.repetition import SLOW, SMALLEST_OFFSET, peak
from texsynth.patches.matches import working_level
from texsynth.pyramid import shrink
from texsynth.tiles import plane
from texsynth.tiles.drawn import Drawn

TILES = 64  # along a side of the plane
REDUCED = 3  # halvings of the plane
LONGEST = 2048  # pixels of a side of the reduced plane
SEED = 1  # by which it is laid
ABOUT = About(
    "highest autocorrelation of a plane of tiles laid at random, beyond the exemplar's own, over that of one repeated",
    range=(0.0, 1.0),
    smallest_side=32,
)


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    if pair.tiles is None:
        raise NotApplicable("tile_repetition: the output is no set of tiles; give the JSON of one")
    exemplar = shrink(pair.exemplar.cpu(), working_level(pair.exemplar))
    side = min(exemplar.shape[2:])
    usual = max(0.0, peak(exemplar - blur(exemplar, SLOW * side), round(SMALLEST_OFFSET * side)))
    return min(1.0, max(0.0, repeated(pair.tiles, SEED) - usual) / max(1 - usual, 1e-3))


def repeated(drawn: Drawn, seed: int) -> float:
    """The highest correlation with itself of a random plane of the image, reduced, at offsets of a tile and more."""
    side = max(drawn.size)
    count = max(4, min(TILES, LONGEST * 2**REDUCED // side))
    numbers = plane.laid(drawn.tiles, count, count, seed)
    reduced = laid(drawn, numbers)
    values = reduced - reduced.mean((2, 3), keepdim=True)
    return peak(values, max(1, min(reduced.shape[2:]) // count))


def laid(drawn: Drawn, numbers: Tensor) -> Tensor:
    """The plane of these tiles (rows, columns) in the image, (1, C, h, w), reduced tile by tile."""
    frame = plane.measures(drawn, drawn.image)
    small = tuple(max(1, round(side / 2**REDUCED)) for side in frame.size)
    top, (height, width) = frame.border, frame.size
    tiles = [picture.pixels[:, :, top : top + height, top : top + width] for picture in drawn.image.pictures]
    shrunk = torch.cat([F.adaptive_avg_pool2d(tile, small) for tile in tiles])
    rows, columns = numbers.shape
    mosaic: Tensor = shrunk[numbers.flatten()].view(rows, columns, *shrunk.shape[1:])
    return mosaic.permute(2, 0, 3, 1, 4).reshape(1, shrunk.shape[1], rows * small[0], columns * small[1])
