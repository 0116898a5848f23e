"""Planes laid with the tiles of a set, and their pictures.

Which tile lies where follows from its place and a seed alone, by the numbers of `hashing`; only smaller sets of Wang
tiles have to be laid from the upper left on (Cohen et al. 2003, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from texsynth.image.load import mapped
from texsynth.image.pixels import Picture
from texsynth.image.strips import Strips
from texsynth.job import Layer
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.hashing import mixed
from texsynth.tiles.sets import BLOB, MARCHING, WANG, TileSet, fitting

MANY = 5  # of a cell and its eight neighbours, that are drawn for a material where it lies


def laid(tiles: TileSet, rows: int, columns: int, seed: int = 0) -> Tensor:
    """The numbers of the tiles of a plane, (rows, columns) int64, of which all that meet fit."""
    if tiles.kind == WANG:
        return _wang(tiles, rows, columns, seed)
    if tiles.kind == BLOB:
        return _blob(tiles, rows, columns, seed)
    y, x = _places(rows + 1, columns + 1)
    colours = region(x, y, seed) if tiles.kind == MARCHING else mixed(x, y, seed) % tiles.colours
    corners = colours[:-1, :-1], colours[:-1, 1:], colours[1:, 1:], colours[1:, :-1]
    return _numbers(tiles, corners, (torch.zeros_like(corners[0]),) * 5)


def region(x: Tensor, y: Tensor, seed: int) -> Tensor:
    """Which of two materials lies at each place (x, y), 0 or 1: what most of a place and its eight neighbours drew."""
    votes = sum(mixed(x + across, y + down, seed) % 2 for down in (-1, 0, 1) for across in (-1, 0, 1))
    return torch.as_tensor(votes >= MANY).long()


def _wang(tiles: TileSet, rows: int, columns: int, seed: int) -> Tensor:
    y, x = _places(rows + 1, columns + 1)
    across, down = (mixed(2 * x + turn, y, seed) % tiles.colours for turn in (0, 1))  # edges from left to right, others
    if len(tiles.tiles) == tiles.colours**4:
        edges = across[:-1, :-1], down[:-1, 1:], across[1:, :-1], down[:-1, :-1]
        nothing = torch.zeros_like(edges[0])
        return _numbers(tiles, (nothing,) * 4, (*edges, nothing))
    # A tile chooses the edges of those below and to its right: all of a diagonal that rises to the right at a time.
    choices = torch.tensor(fitting(tiles))
    turns, numbers = mixed(x, y, seed + 1), torch.empty(rows, columns, dtype=torch.int64)
    souths, easts = (torch.tensor([tile.edges[side] for tile in tiles.tiles]) for side in (2, 1))
    for diagonal in range(rows + columns - 1):
        i = torch.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        j = diagonal - i
        chosen = choices[across[i, j] * tiles.colours + down[i, j], turns[i, j] % choices.shape[1]]
        numbers[i, j], across[i + 1, j], down[i, j + 1] = chosen, souths[chosen], easts[chosen]
    return numbers


def _blob(tiles: TileSet, rows: int, columns: int, seed: int) -> Tensor:
    y, x = _places(rows + 2, columns + 2)
    cells = region(x - 1, y - 1, seed)
    middle = cells[1:-1, 1:-1]

    def beside(down: int, across: int) -> Tensor:
        return cells[1 + down : rows + 1 + down, 1 + across : columns + 1 + across] * middle

    edges = north, east, south, west = beside(-1, 0), beside(0, 1), beside(1, 0), beside(0, -1)
    pairs = ((north, west, -1, -1), (north, east, -1, 1), (south, east, 1, 1), (south, west, 1, -1))
    corners = tuple(first * second * beside(*place) for first, second, *place in pairs)
    return _numbers(tiles, corners, (*edges, middle))


def _places(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """The y and the x of each place of a grid."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return y, x


def _numbers(tiles: TileSet, corners: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> Tensor:
    """The numbers of the tiles with these colours at each place: of corners, and of edges and the middle."""
    powers = [tiles.colours**place for place in range(9)]
    table = torch.full((tiles.colours**9,), -1)
    for number, tile in enumerate(tiles.tiles):
        digits = (*tile.corners, *tile.edges, tile.middle)
        table[sum(power * digit for power, digit in zip(powers, digits, strict=True))] = number
    places = torch.stack([power * values for power, values in zip(powers, (*corners, *others), strict=True)])
    return table[places.sum(0)]


@dataclass(frozen=True)
class Measures:
    """How large the tiles are in a layer: (height, width) and the border of each, in its own pixels."""

    size: tuple[int, int]
    border: int


def measures(drawn: Drawn, layer: Layer, border: int | None = None) -> Measures:
    """Those of a layer of a set; or with less of the border, in pixels of the image."""
    ratio = Fraction(layer.pictures[0].height, drawn.size[0] + 2 * drawn.border)
    height, width, around = (ratio * n for n in (*drawn.size, drawn.border if border is None else border))
    return Measures((int(height), int(width)), int(around))


def strips(drawn: Drawn, numbers: Tensor, layer: Layer) -> Strips:
    """The picture of a plane in the image or a map of a set, by strips. numbers: (rows, columns) of tiles."""
    inside = measures(drawn, layer)
    return mosaic(layer, numbers, inside.size, inside.border)


def picture(drawn: Drawn, numbers: Tensor, layer: Layer) -> Picture:
    """The same as a whole."""
    return strips(drawn, numbers, layer).whole()


def mosaic(layer: Layer, numbers: Tensor, size: tuple[int, int], inset: int) -> Strips:
    """Pictures side by side, by strips: of each the part of `size` (height, width) that begins at (inset, inset)."""
    first = layer.pictures[0]
    (height, width), rows = size, numbers.tolist()

    def draw(top: int, bottom: int) -> Picture:
        parts = []
        while top < bottom:
            row, start = divmod(top, height)
            end = min(height, start + bottom - top)
            part = slice(inset + start, inset + end), slice(inset, inset + width)
            parts.append(_beside([layer.pictures[number] for number in rows[row]], *part))
            top += end - start
        return parts[0] if len(parts) == 1 else _joined(parts, 2)

    whole = (len(rows) * height, len(rows[0]) * width)
    return Strips(whole, first.channels, draw, first.alpha is not None, first.depth, first.icc, first.tags)


def _beside(pictures: list[Picture], rows: slice, columns: slice) -> Picture:
    return _joined([mapped(picture, lambda values: values[:, :, rows, columns]) for picture in pictures], 3)


def _joined(parts: list[Picture], axis: int) -> Picture:
    alphas = [p.alpha for p in parts if p.alpha is not None]  # all of them, or none
    pixels = torch.cat([p.pixels for p in parts], axis)
    return replace(parts[0], pixels=pixels, alpha=torch.cat(alphas, axis) if alphas else None)
