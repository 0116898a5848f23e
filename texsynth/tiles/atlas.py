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
    round each, as `padding_of` gives them, in columns and rows."""
    return {name: _of(drawn, layer, padding) for name, layer in {"image": drawn.image, **drawn.maps}.items()}


def _of(drawn: Drawn, layer: Layer, padding: int) -> Strips:
    inside, border = measures(drawn, layer, padding), measures(drawn, layer).border
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


def padding_of(asked: int | None, border: int, cell: int = 1) -> int:
    """The padding of tiles with a border in common: what is asked for, or what most levels of mips are good for.

    cell: how many pixels of the image a pixel of the coarsest map is; the padding is a whole number of these. Raises
    UsageError for one that is not, and beyond the border.
    """
    if asked is None:
        return 0 if border < cell else cell << (border // cell).bit_length() - 1
    if not 0 <= asked <= border or asked % cell:
        steps = "" if cell == 1 else f" in steps of {cell}, which are pixels of the coarsest map"
        raise UsageError(f"--padding {asked}: 0 to {border}{steps} are possible, the border that tiles have in common")
    return asked


def mips(size: tuple[int, int], padding: int) -> int:
    """How many levels of mips below the atlas itself show nothing of other tiles, with whole texels for each tile."""
    return 0 if padding == 0 else _twos(math.gcd(padding, *size))


def remark(size: tuple[int, int], padding: int) -> str | None:
    """A line where tiles have fewer levels of mips than their padding has room for; None where they have them all."""
    levels, room = mips(size, padding), max(0, padding.bit_length() - 1)
    if levels == room:
        return None
    step, tiles = 1 << room, f"tiles of {size[1]}x{size[0]} with a padding of {padding}"
    fix = f"sizes and paddings that are multiples of {step} give {room}"
    return (
        f"{tiles} have {levels or 'no'} {'level' if levels == 1 else 'levels'} of mips that show no other tile; {fix}"
    )


def _twos(number: int) -> int:
    """How often 2 divides a number above 0."""
    return (number & -number).bit_length() - 1
