"""The pictures of a set of tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from texsynth.job import Layer
from texsynth.tiles.sets import TileSet


@dataclass(frozen=True)
class Drawn:
    """A set of tiles with its pictures.

    size: (height, width) of one tile, in pixels.
    border: How many pixels on each side of a cut are the same for all tiles with the same strip there. The pictures
        have so many pixels round the tile itself, which are the other half of its strips: what lies beside it wherever
        it is laid.
    image: One picture a tile, of height + 2 border by width + 2 border pixels.
    maps: The same of each map, by name; a finer one has so many times as many pixels.
    """

    tiles: TileSet
    size: tuple[int, int]
    border: int
    image: Layer
    maps: Mapping[str, Layer] = field(default_factory=dict)
