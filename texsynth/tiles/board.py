"""Where the parts of a set of tiles lie, and how its pictures are put together; pure geometry.

A tile is drawn with a border of b pixels round it. Across each of its edges lies a band of 2 b pixels, half of which is
its own and half that of whatever lies beside it; bands end in patches of 2 b x 2 b pixels at the corners. Tiles with
the same strip show the same band there, pixel by pixel, in the picture and in every map. Between the bands and the
inside of a tile lies a ring, and between the patches and the middle of a band a gap, which are solved to fit.

Boxes are (top, left, height, width) in pixels of the picture; finer maps have so many times as many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from texsynth.image.picture import Picture
from texsynth.job import Layer
from texsynth.tiles.sets import Strip, TileSet

IMAGE = "image"  # the name of the picture among the layers of a sheet; no map can have it
Box = tuple[int, int, int, int]
Sheet = Mapping[str, Layer]  # the picture and its maps by name, one picture each, whose scales are whole numbers


@dataclass(frozen=True)
class TileFrame:
    """The measures of a tile, in pixels: its (height, width), the border round it, the width of the ring and that of
    the gaps in a band."""

    size: tuple[int, int]
    border: int
    ring: int
    gap: int

    @property
    def whole(self) -> tuple[int, int]:
        """The (height, width) of a tile with its border."""
        return self.size[0] + 2 * self.border, self.size[1] + 2 * self.border

    @property
    def patch(self) -> int:
        """The side of a corner patch, and the breadth of a band."""
        return 2 * self.border

    def band(self, across: bool) -> tuple[int, int]:
        """The (height, width) of a band with both of its corner patches, from left to right or from top to bottom."""
        return (self.patch, self.whole[1]) if across else (self.whole[0], self.patch)

    def middle(self, across: bool) -> Box:
        """What is cut out for the middle of a band: its box in the band."""
        height, width = self.band(across)
        cut = self.patch + self.gap
        return (0, cut, height, width - 2 * cut) if across else (cut, 0, height - 2 * cut, width)

    def ends(self, across: bool) -> tuple[Box, Box]:
        """The corner patches at the start and at the end of a band: their boxes in the band."""
        side, last = self.patch, self.size[1] if across else self.size[0]
        return ((0, 0, side, side), (0, last, side, side) if across else (last, 0, side, side))

    def inside(self) -> Box:
        """The part of a tile that is cut out of the plane: its box in the tile with its border."""
        reach = self.patch + self.ring
        return reach, reach, self.whole[0] - 2 * reach, self.whole[1] - 2 * reach

    def sides(self) -> tuple[Box, Box, Box, Box]:
        """The bands of a tile, north, east, south and west: their boxes in the tile with its border."""
        (height, width), side = self.whole, self.patch
        return (
            (0, 0, side, width),
            (0, width - side, height, side),
            (height - side, 0, side, width),
            (0, 0, height, side),
        )


@dataclass(frozen=True)
class Piece:
    """A part of a sheet, `box`, that is pasted with its corner `at` (top, left) of another."""

    sheet: Sheet
    box: Box
    at: tuple[int, int]


@dataclass(frozen=True)
class Cuts:
    """Where the patches of corner colours and the middles of bands are cut out of a plane: boxes."""

    corners: Mapping[int, Box]
    across: Mapping[Strip, Box]
    down: Mapping[Strip, Box]


@dataclass(frozen=True)
class Bands:
    """The finished bands of all strips, with both of their corner patches."""

    across: Mapping[Strip, Sheet]
    down: Mapping[Strip, Sheet]


def assembled(size: tuple[int, int], pieces: Sequence[Piece]) -> dict[str, Layer]:
    """A sheet of (height, width) pixels with these pieces pasted one after the other, all zero elsewhere."""
    sheet = {}
    for name, like in pieces[0].sheet.items():
        fine, first = int(like.scale), like.pictures[0]
        pixels = torch.zeros(1, first.channels, fine * size[0], fine * size[1])
        alpha = None if first.alpha is None else torch.ones(1, 1, *pixels.shape[2:])
        for piece in pieces:
            source = piece.sheet[name].pictures[0]
            for values, new in ((pixels, source.pixels), (alpha, source.alpha)):
                if values is not None and new is not None:
                    place = (*piece.at, *piece.box[2:])
                    part(values, place, fine).copy_(part(new, piece.box, fine))
        sheet[name] = replace(like, pictures=(replace(first, pixels=pixels, alpha=alpha),))
    return sheet


def part(values: Tensor, box: Box, fine: int = 1) -> Tensor:
    """The view of a box of (..., h, w), which has `fine` times as many pixels as the box says."""
    top, left, height, width = (fine * number for number in box)
    return values[..., top : top + height, left : left + width]


def cut(sheet: Sheet, box: Box) -> dict[str, Layer]:
    """A part of a sheet."""
    return assembled(box[2:], [Piece(sheet, box, (0, 0))])


def spread(sizes: Sequence[tuple[int, int]], apart: int, most: int) -> list[list[tuple[int, int]]]:
    """Where parts of these (height, width) lie on boards, in rows from left to right, `apart` pixels from each other
    and from the border: for each board the (top, left) of its parts, in order. A board is at most about `most` pixels
    a side, unless a part is larger."""
    boards: list[list[tuple[int, int]]] = [[]]
    top = left = apart
    tallest = 0
    for height, width in sizes:
        if left > apart and left + width + apart > most:
            top, left, tallest = top + tallest + apart, apart, 0
        if boards[-1] and top + height + apart > most:
            boards.append([])
            top, left, tallest = apart, apart, 0
        boards[-1].append((top, left))
        left, tallest = left + width + apart, max(tallest, height)
    return boards


def extent(sizes: Iterable[tuple[int, int]], places: Iterable[tuple[int, int]], apart: int) -> tuple[int, int]:
    """The (height, width) of a board with such parts at these places."""
    ends = [(top + height, left + width) for (height, width), (top, left) in zip(sizes, places, strict=True)]
    return max(end[0] for end in ends) + apart, max(end[1] for end in ends) + apart


def windows(tiles: TileSet, frame: TileFrame) -> list[Box]:
    """The window of each tile in a plane that is as large as all tiles together, in the order of the atlas."""
    height, width = frame.size
    return [
        (number // tiles.columns * height, number % tiles.columns * width, height, width)
        for number in range(len(tiles.tiles))
    ]


def pieces_of_band(frame: TileFrame, plane: Sheet, places: Cuts, strip: Strip, across: bool) -> list[Piece]:
    """What a band is put together from; between these lie its gaps."""
    box = (places.across if across else places.down)[strip]
    pieces = [Piece(plane, box, frame.middle(across)[:2])]
    for colour, end in zip((strip.start, strip.end), frame.ends(across), strict=True):
        pieces.append(Piece(plane, places.corners[colour], end[:2]))
    return pieces


def pieces_of_tile(
    frame: TileFrame, tiles: TileSet, number: int, plane: Sheet, window: Box, bands: Bands
) -> list[Piece]:
    """What a tile with its border is put together from; between these lies its ring."""
    tile, inside = tiles.tiles[number], frame.inside()
    # The box of the inside, in the plane: the window is the tile without its border.
    box = (window[0] + inside[0] - frame.border, window[1] + inside[1] - frame.border, *inside[2:])
    pieces = [Piece(plane, box, inside[:2])]
    strips = (bands.across[tile.north], bands.down[tile.east], bands.across[tile.south], bands.down[tile.west])
    for side, strip in zip(frame.sides(), strips, strict=True):
        pieces.append(Piece(strip, (0, 0, *side[2:]), side[:2]))
    return pieces


def holes(size: tuple[int, int], pieces: Sequence[Piece]) -> Tensor:
    """What no piece covers of a board of (height, width): (1, 1, h, w) bool."""
    hole = torch.ones(1, 1, *size, dtype=torch.bool)
    for piece in pieces:
        part(hole, (*piece.at, *piece.box[2:])).fill_(False)
    return hole


def moved(pieces: Iterable[Piece], by: tuple[int, int]) -> list[Piece]:
    """The same pieces, so far down and to the right."""
    return [replace(piece, at=(piece.at[0] + by[0], piece.at[1] + by[1])) for piece in pieces]


def own_resolution(layer: Layer, scale: Fraction, size: tuple[int, int], border: int) -> Layer:
    """The pictures of tiles of (height, width) at the map's own resolution: coarser where whole numbers of its values
    make a tile and its border."""
    cell = scale.denominator
    if cell == 1 or any(side % cell for side in (*size, border)):
        return layer
    return replace(layer, scale=scale, pictures=tuple(_thinned(picture, cell) for picture in layer.pictures))


def _thinned(picture: Picture, cell: int) -> Picture:
    """The value in the middle of each cell of so many pixels a side."""
    some = slice(cell // 2, None, cell)
    alpha = None if picture.alpha is None else picture.alpha[:, :, some, some].contiguous()
    return replace(picture, pixels=picture.pixels[:, :, some, some].contiguous(), alpha=alpha)
