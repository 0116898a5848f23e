"""Sets of tiles: which tiles there are, and which may lie side by side. No pixels here.

Corner tiles (Lagae & Dutré 2006, "An alternative for Wang tiles: colored edges versus colored corners") match where
the colours of their corners are equal, Wang tiles (Cohen et al. 2003, "Wang tiles for image and texture generation")
where those of their edges are. In sets of two materials the colours are materials, 0 for the ground and 1 for what
lies on it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

CORNER, WANG, BLOB, MARCHING = "corner", "wang", "blob", "marching"
COLOURS = (2, 3)  # of corners or of edges, that a set may have


@dataclass(frozen=True, order=True)
class Strip:
    """What two tiles have in common across a border: the colour of the edge, and those of the corners at its start and
    its end, from left to right or from top to bottom. Tiles fit where their strips are equal."""

    edge: int
    start: int
    end: int


@dataclass(frozen=True)
class TileColours:
    """A tile by its colours: those of its corners (north-west, north-east, south-east, south-west), of its edges
    (north, east, south, west) and of its middle."""

    corners: tuple[int, int, int, int]
    edges: tuple[int, int, int, int] = (0, 0, 0, 0)
    middle: int = 0

    @property
    def north(self) -> Strip:
        return Strip(self.edges[0], self.corners[0], self.corners[1])

    @property
    def east(self) -> Strip:
        return Strip(self.edges[1], self.corners[1], self.corners[2])

    @property
    def south(self) -> Strip:
        return Strip(self.edges[2], self.corners[3], self.corners[2])

    @property
    def west(self) -> Strip:
        return Strip(self.edges[3], self.corners[0], self.corners[3])


@dataclass(frozen=True)
class TileSet:
    """A set of tiles in the order of its atlas, row by row.

    kind: "corner", "wang", "blob" (47 tiles of a material, and its ground) or "marching" (16 of them).
    colours: of corners, or of edges; 2 for two materials.
    columns: of the atlas.
    """

    kind: str
    colours: int
    tiles: tuple[TileColours, ...]
    columns: int

    @property
    def rows(self) -> int:
        return -(-len(self.tiles) // self.columns)

    @property
    def across(self) -> tuple[Strip, ...]:
        """The strips of borders that run from left to right, each once, sorted."""
        return tuple(sorted({strip for tile in self.tiles for strip in (tile.north, tile.south)}))

    @property
    def down(self) -> tuple[Strip, ...]:
        """The strips of borders that run from top to bottom, each once, sorted."""
        return tuple(sorted({strip for tile in self.tiles for strip in (tile.west, tile.east)}))


def corner(colours: int) -> TileSet:
    """The complete set of corner tiles: one for each choice of four corners, 16 or 81. The number of a tile in base
    `colours` has the digits north-west, north-east, south-east, south-west, the first one lowest."""
    every = itertools.product(range(colours), repeat=4)
    return TileSet(CORNER, colours, tuple(TileColours((nw, ne, se, sw)) for sw, se, ne, nw in every), colours**2)


def wang(colours: int, count: int) -> TileSet:
    """A set of Wang tiles: the complete one, of colours^4 tiles, numbered as corner tiles are, with the digits north,
    east, south and west; or a smaller one that lays every plane from the upper left on, with count / colours^2 tiles to
    choose from for each pair of a north and a west edge. `count` is a multiple of colours^2, from twice that on."""
    every = itertools.product(range(colours), repeat=4)
    whole = [(n, e, s, w) for w, s, e, n in every]
    # Of the tiles with the same north and west, those are taken whose south and east are spread evenly.
    choices = count // colours**2
    kept = []
    for n, e, s, w in whole:
        turn = (e + colours * ((s - e) % colours) + n + w) % colours**2
        kept += [(n, e, s, w)] if turn < choices else []
    return TileSet(WANG, colours, tuple(TileColours((0, 0, 0, 0), edges) for edges in kept), _columns(count))


def wang_counts(colours: int) -> tuple[int, ...]:
    """How many tiles a set of Wang tiles may have."""
    return tuple(range(2 * colours**2, colours**4 + 1, colours**2))


def marching() -> TileSet:
    """The 16 tiles of marching squares: one for each choice of a material at four corners."""
    every = itertools.product(range(2), repeat=4)
    return TileSet(MARCHING, 2, tuple(TileColours((nw, ne, se, sw)) for sw, se, ne, nw in every), 4)


def blob() -> TileSet:
    """The 47 tiles of a material by which of the eight neighbours are of it too: a corner counts only between two edges
    that do. The middle of these tiles is of the material; that of one more, the last, is ground as all round it is."""
    tiles = []
    for n, e, s, w in itertools.product(range(2), repeat=4):
        free = [(0, 1) if first and second else (0,) for first, second in ((n, w), (n, e), (s, e), (s, w))]
        tiles += [TileColours((nw, ne, se, sw), (n, e, s, w), 1) for nw, ne, se, sw in itertools.product(*free)]
    tiles.append(TileColours((0, 0, 0, 0)))
    return TileSet(BLOB, 2, tuple(tiles), _columns(len(tiles)))


def _columns(count: int) -> int:
    """The columns of the atlas of so many tiles, which is about square."""
    return math.ceil(math.sqrt(count))


def fits(above: TileColours | None, left: TileColours | None, tile: TileColours) -> bool:
    """May a tile lie below `above` and to the right of `left`?"""
    return (above is None or above.south == tile.north) and (left is None or left.east == tile.west)


def fitting(tiles: TileSet) -> list[list[int]]:
    """Of Wang tiles: the numbers of those with each pair of a north and a west edge, in the order of north and then
    west."""
    pairs = itertools.product(range(tiles.colours), repeat=2)
    return [[n for n, tile in enumerate(tiles.tiles) if tile.edges[::3] == pair] for pair in pairs]
