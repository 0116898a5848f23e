"""Tile borders: how many pixels of the bands that tiles have in common differ where two tiles may meet?

All tiles with the same strip on a side must have the same band there, half of it in the tile and half in its padding,
bit for bit and in every map; then a plane of them has no seam but those of a picture. The value is the largest share of
a band's pixels, over all maps, sides and tiles, that differ from those of the first tile with that strip. The measure
is our own. It is 0 for sound sets. Details tell the steps across cuts as well: the mean difference of neighbouring
pixels across them over that of neighbours elsewhere in the tiles, about 1 where nothing shows.
"""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor

from texsynth.image.pixels import Picture
from texsynth.job import Layer
from texsynth.metrics import About, NotApplicable, Pair
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.plane import measures
from texsynth.tiles.sets import Strip, TileColours

ABOUT = About(
    "largest share of the pixels of a tile's border that differ from those of tiles that may lie there",
    range=(0.0, 1.0),
    smallest_side=1,
)


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    drawn = _set(pair)
    if drawn.border == 0:
        raise NotApplicable("tile_borders: the atlas has no padding, and so nothing to compare; make it with --padding")
    return max(unequal(drawn, layer) for layer in _layers(drawn).values())


def details(pair: Pair, extract: None, rng: torch.Generator) -> dict[str, float]:
    """By the name of the map: the share of pixels that differ, and the steps across cuts."""
    drawn = _set(pair)
    parts = {}
    for name, layer in _layers(drawn).items():
        parts[f"{name}: unequal"] = unequal(drawn, layer)
        parts[f"{name}: steps across cuts"] = step(drawn, layer)
    return parts


def _set(pair: Pair) -> Drawn:
    if pair.tiles is None:
        raise NotApplicable("tile_borders: the output is no set of tiles; give the JSON of one")
    return pair.tiles


def _layers(drawn: Drawn) -> dict[str, Layer]:
    return {"image": drawn.image, **drawn.maps}


def unequal(drawn: Drawn, layer: Layer) -> float:
    """The largest share of the pixels of a band, in the image or a map of a set, that differ where tiles may meet."""
    border, worst = measures(drawn, layer).border, 0.0
    firsts: dict[tuple[int, Strip], Tensor] = {}
    for tile, picture in zip(drawn.tiles.tiles, layer.pictures, strict=True):
        values = _values(picture)
        for dim, start, end in _sides(tile):
            inside = values.narrow(5 - dim, border, values.shape[5 - dim] - 2 * border)
            for strip, first in ((start, 0), (end, values.shape[dim] - 2 * border)):
                band = inside.narrow(dim, first, 2 * border)
                differs = band != firsts.setdefault((dim, strip), band)
                worst = max(worst, float(differs.any(1).float().mean()) if differs.numel() else 0.0)
    return worst


def step(drawn: Drawn, layer: Layer) -> float:
    """The mean difference of neighbours across all cuts where tiles may meet, over that of neighbours elsewhere."""
    border = measures(drawn, layer).border
    first: dict[tuple[int, Strip], list[Tensor]] = defaultdict(list)
    last: dict[tuple[int, Strip], list[Tensor]] = defaultdict(list)
    inside = []
    for tile, picture in zip(drawn.tiles.tiles, layer.pictures, strict=True):
        height, width = (side - 2 * border for side in picture.pixels.shape[2:])
        values = _values(picture).narrow(2, border, height).narrow(3, border, width)
        for dim, start, end in _sides(tile):
            first[dim, start].append(values.narrow(dim, 0, 1))
            last[dim, end].append(values.narrow(dim, values.shape[dim] - 1, 1))
            inside.append(values.diff(dim=dim).abs().mean())
    across = [
        (torch.cat(last[place])[:, None] - torch.cat(first[place])).abs().mean() for place in last if place in first
    ]
    return float(torch.stack(across).mean() / torch.stack(inside).mean().clamp(min=1e-6))


def _sides(tile: TileColours) -> tuple[tuple[int, Strip, Strip], ...]:
    """The dimensions of pictures, each with the strips of a tile at its start and its end."""
    return (2, tile.north, tile.south), (3, tile.west, tile.east)


def _values(picture: Picture) -> Tensor:
    """All channels of a picture, (1, C, H, W)."""
    return picture.pixels if picture.alpha is None else torch.cat([picture.pixels, picture.alpha], 1)
