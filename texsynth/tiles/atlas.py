"""The atlas of a set: its tiles in one picture, each with some of what lies beside it wherever it is laid.

So filters at the borders of a tile, and mips, see what a large picture of the plane would show them, not the next tile
of the atlas. Level k of the mips has means of squares of 2^k pixels: these are whole ones of a tile and of its padding
where 2^k divides the padding and the sides of the tile.
"""

from __future__ import annotations

import math

import torch

from texsynth.errors import UsageError
from texsynth.image.strips import Strips
from texsynth.job import Layer
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.plane import measures, mosaic
from texsynth.tiles.sets import TileSet


def atlas(drawn: Drawn, padding: int) -> dict[str, Strips]:
    """The atlas of the image, by this name, and of each map, by its name: of tiles with so many pixels of the image
    round each, in columns and rows. Raises UsageError where these are no whole pixels of a map, or beyond the border.
    """
    if not 0 <= padding <= drawn.border:
        border = f"the border that tiles have in common is {drawn.border} pixels wide"
        raise UsageError(f"--padding {padding}: {border}; give 0 to {drawn.border}")
    return {name: _of(drawn, name, layer, padding) for name, layer in {"image": drawn.image, **drawn.maps}.items()}


def _of(drawn: Drawn, name: str, layer: Layer, padding: int) -> Strips:
    inside = measures(drawn, layer, padding)
    border = measures(drawn, layer).border
    if (pixels := padding * inside.size[0] / drawn.size[0]) != inside.border:
        raise UsageError(f"--padding {padding}: is {pixels:g} pixels of the map {name}; give a whole number of them")
    size = inside.size[0] + 2 * inside.border, inside.size[1] + 2 * inside.border
    return mosaic(layer, slots(drawn.tiles), size, border - inside.border)


def slots(tiles: TileSet) -> torch.Tensor:
    """The number of the tile in each place of the atlas, (rows, columns) int64; in places that are left, the first."""
    numbers = torch.arange(tiles.rows * tiles.columns)
    return numbers.where(numbers < len(tiles.tiles), torch.zeros_like(numbers)).view(tiles.rows, tiles.columns)


def origin(tiles: TileSet, size: tuple[int, int], padding: int, number: int) -> tuple[int, int]:
    """The (x, y) of the upper left pixel of a tile itself in the atlas, of tiles of `size` (height, width)."""
    row, column = divmod(number, tiles.columns)
    return padding + column * (size[1] + 2 * padding), padding + row * (size[0] + 2 * padding)


def padding_within(border: int) -> int:
    """The padding that is taken where none is asked for: the largest power of two that a border has room for."""
    return 0 if border < 1 else 1 << (border.bit_length() - 1)


def mips(size: tuple[int, int], padding: int) -> int:
    """How many levels of mips below the atlas itself show nothing of other tiles, with whole texels for each tile."""
    common = math.gcd(padding, *size)
    return 0 if padding == 0 else (common & -common).bit_length() - 1
