"""Tiles of two materials: which material lies where, and that tiles meet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import tile_sets
from conftest import Draw
from pictures import bytes_of, spots
from texsynth.errors import TexsynthError
from texsynth.guidance.labels import agreement
from texsynth.requests.tiles import blob
from texsynth.tiles import sets
from texsynth.tiles.drawn import Drawn
from texsynth.tiles.labels import Edging, labels
from texsynth.tiles.sets import Strip, TileSet
from texsynth.verbs import tiles as verb
from texsynth.weights.pretrained import Fetching

SIZE, BORDER = (48, 64), 4
QUICK = {
    "patch": 5,
    "passes": [1],
    "starts": 1,
    "align": 0,
    "similar": 1,
    "tries": 2,
    "components": 6,
    "guided": 0.6,
}  # of the solver
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
    parts = strips(tiles, labels(tiles, SIZE, Edging(BORDER, BORDER), seed=3))
    assert all(torch.equal(part, first) for first, *rest in parts.values() for part in rest)
    assert any(len(same) > 4 for same in parts.values())


@BOTH
def test_corners_edges_and_middles_have_their_material(tiles: TileSet) -> None:
    (h, w), b = SIZE, BORDER
    for tile, picture in zip(tiles.tiles, labels(tiles, SIZE, Edging(BORDER, BORDER), seed=5), strict=True):
        corners = picture[: 2 * b, : 2 * b], picture[: 2 * b, w:], picture[h:, w:], picture[h:, : 2 * b]
        assert all(bool((part == colour).all()) for part, colour in zip(corners, tile.corners, strict=True))
        if tiles.kind == sets.BLOB:
            middles = picture[b, b + w // 2], picture[b + h // 2, -1 - b], picture[-1 - b, b + w // 2]
            assert tuple(map(int, (*middles, picture[b + h // 2, b]))) == tile.edges
            assert int(picture[b + h // 2, b + w // 2]) == tile.middle


def test_outlines_differ_from_tile_to_tile_and_with_the_seed() -> None:
    tiles, size = sets.blob(), (128, 128)
    drawn = labels(tiles, size, Edging(8, 8), seed=1)
    straight = [n for n, tile in enumerate(tiles.tiles) if tile.edges == (0, 1, 1, 1) and tile.corners[2:] == (1, 1)]
    other = labels(tiles, size, Edging(8, 8), seed=2)
    assert len(straight) == 1
    assert not torch.equal(drawn[straight], other[straight])
    # The border of the top material is no straight line.
    tops = drawn[straight[0], :, 8:136].argmax(0)
    assert int(tops.max()) - int(tops.min()) >= 2


def test_opposite_corners_do_not_join() -> None:
    tiles = sets.marching()
    number = next(n for n, tile in enumerate(tiles.tiles) if tile.corners == (1, 0, 1, 0))
    (h, w), b = SIZE, BORDER
    across = labels(tiles, SIZE, Edging(BORDER, BORDER), seed=4)[number].flip(1).float()
    line = torch.nn.functional.interpolate(across[None, None, b : b + h, b : b + w], (h, h))[0, 0].diagonal()
    assert not line.any()


def make(exemplars: Sequence[str], **asked: Any) -> Drawn:
    """The tiles of a request, made as quickly as can be."""
    sources = list(exemplars)
    request = blob.Request(exemplars=sources, settings=QUICK, size="20", **asked)
    fetching = Fetching(lambda _: None, False)
    return verb.execute(verb.prepare("tiles blob", request, sources, lambda _: None, fetching)).drawn


@pytest.fixture
def two_materials(tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A red and a blue exemplar, each with a map twice as fine in which everything is 0 and 255."""
    monkeypatch.chdir(tmp_path)
    for number, (name, share) in enumerate((("red", (1.0, 0.3, 0.2)), ("blue", (0.2, 0.3, 1.0)))):
        draw(
            f"{name}.png",
            bytes_of((0.2 + 0.8 * spots(40, 44, seed=number)[:, :1]) * torch.tensor(share)[:, None, None]),
        )
        draw(f"{name}_map.png", np.full((80, 88), 255 * number, np.uint8))
    return ["red.png", "blue.png"]


def test_two_exemplars_make_tiles_whose_borders_are_equal_in_all_maps(two_materials: list[str]) -> None:
    maps = {"kind": ["red_map.png", "blue_map.png"]}
    drawn = make(two_materials, tiles=16, maps=maps)
    assert (drawn.tiles, drawn.size, drawn.maps["kind"].scale) == (sets.marching(), (20, 20), 2)
    for layer in (drawn.image, *drawn.maps.values()):
        tile_sets.check_bands(drawn.tiles, layer, drawn.border)
    # The map follows the picture, and both are of the material that is asked for.
    materials = labels(drawn.tiles, drawn.size, Edging(drawn.border, drawn.border), seed=0)
    for picture, kind, wanted in zip(drawn.image.pictures, drawn.maps["kind"].pictures, materials, strict=True):
        blue = kind.pixels[0, 0, ::2, ::2] == 1
        assert (
            agreement(blue[None, None].long(), wanted[None, None], away=4) > 0.98
        )  # but for the slack on both sides of an outline
        assert torch.equal(picture.pixels[0, 2] > picture.pixels[0, 0], blue)


def test_one_exemplar_with_labels_makes_all_tiles_of_a_blob_set(
    draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    both = np.concatenate([bytes_of(spots(40, 44, seed=1)), 255 - bytes_of(spots(40, 44, seed=2)) // 2], 1)
    draw("both.png", both)
    draw("labels.png", np.repeat(np.where(np.arange(88) < 44, 60, 200).astype(np.uint8)[None], 40, 0))
    drawn = make(["both.png"], labels="labels.png", maps={"kind": ["labels.png"]})
    assert len(drawn.image.pictures) == 48
    tile_sets.check_bands(drawn.tiles, drawn.image, drawn.border)
    middle = drawn.image.pictures[0].height // 2
    values = [float(kind.pixels[0, 0, middle, middle]) for kind in drawn.maps["kind"].pictures]
    assert values == pytest.approx([200 / 255] * 47 + [60 / 255])


@pytest.mark.parametrize(
    ("painted", "says"),
    [
        (np.zeros((40, 44), np.uint8), "has 1 label,"),
        (np.repeat(np.arange(4, dtype=np.uint8)[None] * 80, 40, 0).repeat(11, 1), "has 4 labels"),
        (np.repeat(np.arange(2, dtype=np.uint8)[None] * 255, 40, 0).repeat(33, 1), "of another aspect than red.png"),
    ],
)
def test_labels_that_are_not_of_two_materials_are_refused(
    two_materials: list[str], draw: Draw, painted: np.ndarray, says: str
) -> None:
    draw("labels.png", painted)
    with pytest.raises(TexsynthError, match=says) as refused:
        make(two_materials[:1], labels="labels.png")
    assert refused.value.exit_code == 3
