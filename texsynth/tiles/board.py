"""Where the parts of a set of tiles lie, and how its pictures are put together; pure geometry.

A tile is drawn with a border of b pixels round it. Across each of its edges lies a band of 2 b pixels, half of which is
its own and half that of whatever lies beside it; bands end in patches of 2 b x 2 b pixels at the corners. Tiles with
the same strip show the same band there, pixel by pixel, in the picture and in every map. Patches and bands bring a
margin of what lies round them in the plane. Where such a margin meets what it does not continue, the margins of both
are a seam: its core is made anew, and the rest of it may be, so that the border between both can be a cut.

Boxes are (top, left, height, width) in pixels of the picture; finer maps have so many times as many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

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
    """The measures of a tile, in pixels: its (height, width) and the border round it.

    margin: Of a band, at each of its sides; the seam round the inside of a tile is twice as wide.
    gap: Half of the width of the seams in a band.
    core: The width of the core of all seams, an even number.
    """

    size: tuple[int, int]
    border: int
    margin: int
    gap: int
    core: int

    @property
    def whole(self) -> tuple[int, int]:
        """The (height, width) of a tile with its border."""
        return self.size[0] + 2 * self.border, self.size[1] + 2 * self.border

    @property
    def breadth(self) -> int:
        """The breadth of a band, and the side of a patch."""
        return 2 * self.border

    def band(self, across: bool) -> tuple[int, int]:
        """The (height, width) of a band with its margin and both of its patches, from left to right or from top to
        bottom."""
        side, (height, width) = self.breadth + 2 * self.margin, self.size
        return (side, width + side) if across else (height + side, side)


@dataclass(frozen=True)
class Piece:
    """A part of a sheet, `box`, that is pasted with its corner `at` (top, left) of another; of it what the `mask`
    (height, width) bool shows, None for all of it."""

    sheet: Sheet
    box: Box
    at: tuple[int, int]
    mask: Tensor | None = None


@dataclass(frozen=True)
class Cuts:
    """Where the patches of corner colours and the middles of bands are cut out of a plane: the (y, x) of corners there,
    and of those at which edges begin."""

    corners: Mapping[int, tuple[int, int]]
    across: Mapping[Strip, tuple[int, int]]
    down: Mapping[Strip, tuple[int, int]]


@dataclass(frozen=True)
class Bands:
    """The finished bands of all strips, with their margins and both of their patches."""

    across: Mapping[Strip, Sheet]
    down: Mapping[Strip, Sheet]


@dataclass(frozen=True)
class Patchwork:
    """Something that is solved.

    size: (height, width). pieces: What it is put together from. stays: The boxes of what stays as these say.
    core: (height, width) bool, what is made anew in any case. before: How far before the corner of a tile it begins.
    """

    size: tuple[int, int]
    pieces: Sequence[Piece]
    stays: Sequence[Box]
    core: Tensor
    before: int


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
                    there, shown = part(values, place, fine), part(new, piece.box, fine)
                    there.copy_(shown if piece.mask is None else torch.where(finer(piece.mask, fine), shown, there))
        sheet[name] = replace(like, pictures=(replace(first, pixels=pixels, alpha=alpha),))
    return sheet


def finer(mask: Tensor, fine: int) -> Tensor:
    """A mask with so many times as many pixels."""
    return mask.repeat_interleave(fine, -2).repeat_interleave(fine, -1)


def part(values: Tensor, box: Box, fine: int = 1) -> Tensor:
    """The view of a box of (..., h, w), which has `fine` times as many pixels as the box says."""
    top, left, height, width = (fine * number for number in box)
    return values[..., top : top + height, left : left + width]


def cut(sheet: Sheet, box: Box) -> dict[str, Layer]:
    """A part of a sheet."""
    return assembled(box[2:], [Piece(sheet, box, (0, 0))])


def spread(sizes: Sequence[tuple[int, int]], apart: int, most: tuple[int, int]) -> list[list[tuple[int, int]]]:
    """Where parts of these (height, width) lie on boards, in rows from left to right, `apart` pixels from each other
    and from the border: for each board the (top, left) of its parts, in order. A board is at most as large as `most`
    (height, width), unless a part is larger."""
    boards: list[list[tuple[int, int]]] = [[]]
    top = left = apart
    tallest = 0
    for height, width in sizes:
        if left > apart and left + width + apart > most[1]:
            top, left, tallest = top + tallest + apart, apart, 0
        if boards[-1] and top + height + apart > most[0]:
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


def ends(frame: TileFrame, across: bool) -> tuple[int, int]:
    """How much at its start of a band with its margin lies round the patch there, up to the middle of a seam; and where
    the patch at its end begins, with its margin."""
    side = frame.breadth + 2 * frame.margin
    return side + frame.gap, frame.band(across)[across] - side


def between(frame: TileFrame, across: bool, first: int, last: int) -> Box:
    """The box of a part of a band with its margin, in that band."""
    height, width = frame.band(across)
    return (0, first, height, last - first) if across else (first, 0, last - first, width)


def in_plane(frame: TileFrame, across: bool, place: tuple[int, int], box: Box, at: int = 0) -> Box:
    """Where a box of a band lies in a plane, if its patch that begins at `at` is round the corner at this place."""
    reach = frame.border + frame.margin
    y, x = (place[0] - reach, place[1] - reach - at) if across else (place[0] - reach - at, place[1] - reach)
    return box[0] + y, box[1] + x, *box[2:]


def band(
    frame: TileFrame, plane: Sheet, cuts: Cuts, strip: Strip, across: bool, joints: Sequence[tuple[Tensor, Tensor]]
) -> Patchwork:
    """A band with its margin: in its middle a part of the plane, and round its ends that round the patches of its
    corners, which the margins of other bands have in common with it; between these are its seams.

    joints: Of both seams, what is of the corners and what is made anew, each of the size of the box of a seam.
    """
    size, gap = frame.band(across), frame.gap
    (end, last), length, box = ends(frame, across), size[across], partial(between, frame, across)

    def piece(place: tuple[int, int], some: Box, at: int, mask: Tensor | None = None) -> Piece:
        return Piece(plane, in_plane(frame, across, place, some, at), some[:2], mask)

    (start, start_core), (finish, finish_core) = joints
    first, second = (box(middle - gap, middle + gap) for middle in (end, length - end))
    pieces = [
        piece((cuts.across if across else cuts.down)[strip], box(end - gap, length - end + gap), 0),
        piece(cuts.corners[strip.start], box(0, end - gap), 0),
        piece(cuts.corners[strip.start], first, 0, start),
        piece(cuts.corners[strip.end], box(length - end + gap, length), last),
        piece(cuts.corners[strip.end], second, last, finish),
    ]
    core = torch.zeros(size, dtype=torch.bool)
    part(core, first).copy_(start_core)
    part(core, second).copy_(finish_core)
    stays = [box(0, end - gap), box(end + gap, length - end - gap), box(length - end + gap, length)]
    return Patchwork(size, pieces, stays, core, frame.border + frame.margin)


def seams(frame: TileFrame, cuts: Cuts, strip: Strip, across: bool, place: tuple[int, int]) -> list[tuple[Box, Box]]:
    """The two seams of a band whose middle is cut out of a plane at a place: what lies there of the middle, and of the
    surroundings of the corners."""
    (end, last), length, gap = ends(frame, across), frame.band(across)[across], frame.gap
    pairs = []
    for middle, corner, at in ((end, strip.start, 0), (length - end, strip.end, last)):
        box = between(frame, across, middle - gap, middle + gap)
        pairs.append((in_plane(frame, across, place, box), in_plane(frame, across, cuts.corners[corner], box, at)))
    return pairs


def tile(
    frame: TileFrame,
    tiles: TileSet,
    number: int,
    plane: Sheet,
    window: Box,
    bands: Bands,
    joint: tuple[Tensor, Tensor],
) -> Patchwork:
    """A tile with its border: its bands with their margins, and inside these its window of the plane.

    joint: What is of the bands and what is made anew, (height, width) with the border.
    """
    (height, width), broad, margin, kind = frame.size, frame.breadth, frame.margin, tiles.tiles[number]
    north, south = bands.across[kind.north], bands.across[kind.south]
    west, east = bands.down[kind.west], bands.down[kind.east]
    begin = margin + broad  # of what lies between the patches, and inside of a band
    down, along = height - broad, width - broad
    outside, core = joint

    def masked(sheet: Sheet, box: Box, at: tuple[int, int]) -> Piece:
        return Piece(sheet, box, at, part(outside, (*at, *box[2:])))

    pieces = [
        Piece(plane, (window[0] + frame.border, window[1] + frame.border, down, along), (broad, broad)),
        masked(north, (begin, begin, margin, along), (broad, broad)),
        masked(south, (0, begin, margin, along), (height - margin, broad)),
        masked(west, (begin, begin, down, margin), (broad, broad)),
        masked(east, (begin, 0, down, margin), (broad, width - margin)),
        Piece(north, (margin, margin, broad, width + broad), (0, 0)),
        Piece(south, (margin, margin, broad, width + broad), (height, 0)),
        Piece(west, (margin, margin, height + broad, broad), (0, 0)),
        Piece(east, (margin, margin, height + broad, broad), (0, width)),
    ]
    return Patchwork(
        frame.whole, pieces, [*_sides(frame.whole, broad), _inside(frame.whole, begin + margin)], core, frame.border
    )


def _sides(size: tuple[int, int], broad: int) -> list[Box]:
    """Boxes along the four sides of one of (height, width)."""
    height, width = size
    north, south = (0, 0, broad, width), (height - broad, 0, broad, width)
    return [north, south, (0, 0, height, broad), (0, width - broad, height, broad)]


def _inside(size: tuple[int, int], reach: int) -> Box:
    """The box inside such sides."""
    return reach, reach, size[0] - 2 * reach, size[1] - 2 * reach


def uncovered(size: tuple[int, int], boxes: Iterable[Box]) -> Tensor:
    """What no box covers of (height, width): (1, 1, h, w) bool."""
    rest = torch.ones(1, 1, *size, dtype=torch.bool)
    for box in boxes:
        part(rest, box).fill_(False)
    return rest


def moved(item: Patchwork, by: tuple[int, int]) -> Patchwork:
    """The same part, whose pieces and boxes lie so far down and to the right."""
    down, right = by
    pieces = [replace(each, at=(each.at[0] + down, each.at[1] + right)) for each in item.pieces]
    stays = [(top + down, left + right, height, width) for top, left, height, width in item.stays]
    return replace(item, pieces=pieces, stays=stays)


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
