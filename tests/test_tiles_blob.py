"""Tiles of two materials: which material lies where, and that tiles meet."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from texsynth.tiles import sets
from texsynth.tiles.labels import labels
from texsynth.tiles.sets import Strip, TileSet

SIZE, BORDER = (48, 64), 4
BOTH = pytest.mark.parametrize("tiles", [sets.blob(), sets.marching()], ids=["blob", "marching"])


def strips(tiles: TileSet, drawn: Tensor) -> dict[tuple[str, Strip], list[Tensor]]:
    """All pictures (h, w) of each strip, along the whole of its border, by whether it runs across or down."""
    (h, w), wide = SIZE, 2 * BORDER
    parts: dict[tuple[str, Strip], list[Tensor]] = {}
    for tile, picture in zip(tiles.tiles, drawn, strict=True):
        for key, part in (
            (("across", tile.north), picture[:wide]),
            (("across", tile.south), picture[h : h + wide]),
            (("down", tile.west), picture[:, :wide]),
            (("down", tile.east), picture[:, w : w + wide]),
        ):
            parts.setdefault(key, []).append(part)
    return parts


def test_sets_hold_every_tile_once() -> None:
    assert len(sets.marching().tiles) == len(set(sets.marching().tiles)) == 16
    blob = sets.blob().tiles
    assert len(set(blob)) == 48
    assert [tile.middle for tile in blob] == [1] * 47 + [0]


@BOTH
def test_labels_are_equal_wherever_tiles_may_meet(tiles: TileSet) -> None:
    parts = strips(tiles, labels(tiles, SIZE, BORDER, seed=3))
    assert all(torch.equal(part, first) for first, *rest in parts.values() for part in rest)
    assert any(len(same) > 4 for same in parts.values())


@BOTH
def test_corners_edges_and_middles_have_their_material(tiles: TileSet) -> None:
    (h, w), b = SIZE, BORDER
    for tile, picture in zip(tiles.tiles, labels(tiles, SIZE, BORDER, seed=5), strict=True):
        corners = picture[: 2 * b, : 2 * b], picture[: 2 * b, w:], picture[h:, w:], picture[h:, : 2 * b]
        assert all(bool((part == colour).all()) for part, colour in zip(corners, tile.corners, strict=True))
        if tiles.kind == sets.BLOB:
            middles = picture[b, b + w // 2], picture[b + h // 2, -1 - b], picture[-1 - b, b + w // 2]
            assert tuple(map(int, (*middles, picture[b + h // 2, b]))) == tile.edges
            assert int(picture[b + h // 2, b + w // 2]) == tile.middle


def test_outlines_differ_from_tile_to_tile_and_with_the_seed() -> None:
    tiles = sets.blob()
    drawn = labels(tiles, SIZE, BORDER, seed=1)
    straight = [n for n, tile in enumerate(tiles.tiles) if tile.edges == (0, 1, 1, 1) and tile.corners[2:] == (1, 1)]
    other = labels(tiles, SIZE, BORDER, seed=2)
    assert len(straight) == 1
    assert not torch.equal(drawn[straight], other[straight])
    # The border of the top material is no straight line.
    tops = drawn[straight[0], :, BORDER : SIZE[1] + BORDER].argmax(0)
    assert int(tops.max()) - int(tops.min()) >= 2


def test_opposite_corners_do_not_join() -> None:
    tiles = sets.marching()
    number = next(n for n, tile in enumerate(tiles.tiles) if tile.corners == (1, 0, 1, 0))
    (h, w), b = SIZE, BORDER
    across = labels(tiles, SIZE, BORDER, seed=4)[number].flip(1).float()
    line = torch.nn.functional.interpolate(across[None, None, b : b + h, b : b + w], (h, h))[0, 0].diagonal()
    assert not line.any()
