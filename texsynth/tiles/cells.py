"""A plane for tiles of two materials: a board of cells, in each of which lies one tile with all that is round it."""

from __future__ import annotations

from dataclasses import dataclass

from texsynth.tiles.board import Box
from texsynth.tiles.places import Offered, Place
from texsynth.tiles.sets import Strip, TileSet


@dataclass(frozen=True)
class Cells:
    """The cells of a set, in the order of its atlas. size: (height, width) of a tile; reach: the pixels round it."""

    tiles: TileSet
    size: tuple[int, int]
    reach: int

    @property
    def whole(self) -> tuple[int, int]:
        """The (height, width) of a cell."""
        return self.size[0] + 2 * self.reach, self.size[1] + 2 * self.reach

    @property
    def extent(self) -> tuple[int, int]:
        """The (height, width) of the plane."""
        return self.tiles.rows * self.whole[0], self.tiles.columns * self.whole[1]

    @property
    def boxes(self) -> list[Box]:
        """The cells in the plane."""
        (height, width), columns = self.whole, self.tiles.columns
        return [(n // columns * height, n % columns * width, height, width) for n in range(len(self.tiles.tiles))]

    @property
    def windows(self) -> list[Box]:
        """The tiles in the plane, without what is round them."""
        return [(top + self.reach, left + self.reach, *self.size) for top, left, _, _ in self.boxes]

    @property
    def offered(self) -> Offered:
        """Where corners of each material and edges of each strip lie."""
        corners: dict[int, list[Place]] = {}
        across: dict[Strip, list[Place]] = {}
        down: dict[Strip, list[Place]] = {}
        for tile, (top, left, height, width) in zip(self.tiles.tiles, self.windows, strict=True):
            bottom, right = top + height, left + width
            places = ((top, left), (top, right), (bottom, right), (bottom, left))
            for colour, place in zip(tile.corners, places, strict=True):
                corners.setdefault(colour, []).append(place)
            across.setdefault(tile.north, []).append(places[0])
            across.setdefault(tile.south, []).append(places[3])
            down.setdefault(tile.west, []).append(places[0])
            down.setdefault(tile.east, []).append(places[1])
        return Offered(corners, across, down)
