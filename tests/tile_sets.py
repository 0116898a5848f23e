"""Sets of tiles that are drawn by code, without a solver: their strips are equal bit for bit."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from pictures import noise
from texsynth.image.picture import Picture
from texsynth.job import Layer
from texsynth.tiles import sets
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.sets import Strip, TileColours, TileSet

EVERY_SET = {
    "16 corner": sets.corner(2),
    "81 corner": sets.corner(3),
    "16 wang": sets.wang(2, 16),
    "8 wang": sets.wang(2, 8),
    "18 wang": sets.wang(3, 18),
    "blob": sets.blob(),
    "marching": sets.marching(),
}


def drawn(tiles: TileSet, size: tuple[int, int] = (16, 16), border: int = 4, **scales: tuple[str, Fraction]) -> Drawn:
    """A set of noise in 8 bits: of each corner colour, of each strip and of the inside of each tile. scales: of maps
    by name, the role and how many times as fine each is."""
    maps = {name: layer(tiles, size, border, *kind) for name, kind in scales.items()}
    return Drawn(tiles, size, border, layer(tiles, size, border), maps)


def layer(
    tiles: TileSet, size: tuple[int, int], border: int, role: str = "colour", scale: Fraction = Fraction(1)
) -> Layer:
    inside, band = (int(size[0] * scale), int(size[1] * scale)), int(2 * border * scale)
    channels = 1 if role == "data" else 3
    pictures = tuple(
        Picture((_tile(tile, n, inside, band, channels) * 255).round() / 255) for n, tile in enumerate(tiles.tiles)
    )
    return Layer(pictures, role, scale)


def _tile(tile: TileColours, number: int, size: tuple[int, int], band: int, channels: int) -> Tensor:
    h, w = size
    values = noise(1, channels, h + band, w + band, seed=10_000 + number)
    for strip, at, axis in ((tile.north, 0, 2), (tile.south, h, 2), (tile.west, 0, 3), (tile.east, w, 3)):
        shape = (band, w + band) if axis == 2 else (h + band, band)
        seed = 1000 * axis + 100 * strip.edge + 10 * strip.start + strip.end
        values.narrow(axis, at, band)[:] = noise(1, channels, *shape, seed=seed)
    for colour, top, left in zip(tile.corners, (0, 0, h, h), (0, w, w, 0), strict=True):
        values[:, :, top : top + band, left : left + band] = noise(1, channels, band, band, seed=5000 + colour)
    return values


def bands_of(pixels: Tensor, border: int) -> dict[str, bytes]:
    """What the picture of a tile has within the border on both sides of each of its sides."""
    band = 2 * border
    parts = {
        "north": pixels[..., :band, :],
        "south": pixels[..., -band:, :],
        "west": pixels[..., :band],
        "east": pixels[..., -band:],
    }
    return {name: part.contiguous().numpy().tobytes() for name, part in parts.items()}


def same(first: Picture, second: Picture) -> bool:
    return torch.equal(first.pixels, second.pixels)


def check_bands(tiles: TileSet, layer: Layer, border: int) -> None:
    """All tiles with the same strip have the same pixels there."""
    parts: dict[tuple[str, Strip], set[bytes]] = {}
    for tile, picture in zip(tiles.tiles, layer.pictures, strict=True):
        bands = bands_of(picture.pixels, int(border * layer.scale))
        for side, way in (("north", "across"), ("south", "across"), ("west", "down"), ("east", "down")):
            parts.setdefault((way, getattr(tile, side)), set()).add(bands[side])
    assert all(len(each) == 1 for each in parts.values())
