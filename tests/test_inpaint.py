"""Repair by the field solver, end to end: what stays stays bit for bit, and what is made goes on from it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import texsynth
from asking import job_of
from pictures import box, bumps, bytes_of, noise, pattern, places, spots
from texsynth.field import atlas
from texsynth.image import holes
from texsynth.image import picture as image
from texsynth.metrics import seam as metric
from texsynth.runs import check
from texsynth.runs.run import Result

SIDE = 56
QUICK = {"passes": [2, 1], "starts": 1, "coarsest": 24}
FOLDER = os.environ.get("TEXSYNTH_EXEMPLARS", "")

MIDDLE = box(SIDE, SIDE, (20, 35, 19, 37))
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
HOLES = {
    "middle": MIDDLE,
    "border": box(SIDE, SIDE, (0, 17, 20, 36)),
    "corner and side": box(SIDE, SIDE, (0, 12, 0, 12), (30, 44, 46, 56)),
    "scratch": np.abs(2 * ROWS - COLUMNS - 20) < 2,
    "pixels": box(SIDE, SIDE, (30, 31, 21, 22), (0, 1, 0, 1), (55, 56, 40, 41)),
    "specks": np.random.default_rng(0).random((SIDE, SIDE)) < 0.05,
    "four fifths": ~box(SIDE, SIDE, (16, 41, 15, 40)),
}


def white(hole: np.ndarray) -> np.ndarray:
    return hole.astype(np.uint8) * 255


def quick(picture: Any, hole: np.ndarray | None = None, seed: int = 0, **words: Any) -> Result:
    mask = None if hole is None else white(hole)
    return texsynth.inpaint(picture, mask, seed=seed, settings={**QUICK, **words.pop("settings", {})}, **words)


def array(result: Result, name: str | None = None) -> np.ndarray:
    return image.to_array(result.image if name is None else result.maps[name])


def pointed(result: Result) -> tuple[np.ndarray, np.ndarray]:
    """The row and column that each pixel was copied from."""
    assert result.field is not None
    at = atlas.coordinates(result.field)
    return at.y.numpy(), at.x.numpy()


def grainy(name: str, side: int) -> np.ndarray:
    """A pattern under some grain, so that no two places are equal."""
    return (0.8 * pattern(name, side, side) + 0.2 * bytes_of(spots(side, side))).round().astype(np.uint8)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("dtype", "channels"), [("uint8", 3), ("uint8", 4), ("uint16", 1), ("uint16", 4), ("float32", 3)]
)
def test_what_is_known_comes_back_bit_for_bit(dtype: str, channels: int, exact: bool) -> None:
    """In every depth, for every map; what is filled is opaque, and maps are copied even where light is followed."""
    top = {"uint8": 255, "uint16": 65535, "float32": 3}[dtype]
    before = (noise(40, 48, channels).numpy() * top).astype(dtype)
    if channels == 4:
        before[..., 3] = top
        before[:9, :9, 3] = top // 3
        before[15:22, 20:26, 3] = 0
    before = before[..., 0] if channels == 1 else before
    maps = {
        "normal": bytes_of(bumps(40, 48) / 2 + 0.5),
        "height": (noise(40, 48, seed=2).numpy() * 65535).astype(np.uint16),
        "places": places(40, 48),
    }
    hole = box(40, 48, (12, 26, 14, 33), (0, 3, 40, 48))
    made = quick(before, hole, maps=maps, exact_copies=exact)
    y, x = pointed(made)
    for name, old in {None: before, **maps}.items():
        new = array(made, name)
        assert new.dtype == old.dtype and new.shape == old.shape
        assert np.array_equal(new[~hole], old[~hole])
        if name or exact:
            assert np.array_equal(new[hole], old[y, x][hole])
    opaque = ~hole if channels != 4 else ~hole & (before[..., 3] == top)
    assert opaque[y, x][hole].all()
    if channels == 4:
        assert (array(made)[hole][:, 3] == top).all()


@pytest.mark.parametrize("name", HOLES)
def test_every_hole_is_filled_from_beyond_it(name: str) -> None:
    """Within the source mask, at full size, though coarse levels see only shares of either."""
    before, hole, allowed = bytes_of(spots(SIDE, SIDE)), HOLES[name], box(SIDE, SIDE, (4, 50, 8, 40))
    made = quick(before, hole, source_mask=white(allowed), maps={"places": places(SIDE, SIDE)}, exact_copies=True)
    after, at = array(made), array(made, "places")
    assert np.array_equal(after[~hole], before[~hole])
    assert (allowed & ~hole).flatten()[at[hole]].all()
    assert np.array_equal(after[hole], before.reshape(-1, 3)[at[hole]])


@pytest.mark.parametrize(
    ("name", "where"),
    [
        *((name, "middle") for name in ("stripes", "slashes", "bricks", "checks")),
        *(("bricks", where) for where in HOLES if where not in ("middle", "four fifths")),
        ("slashes", "four fifths"),
    ],
)
def test_structure_goes_on_through_a_hole(name: str, where: str) -> None:
    """What it cuts comes back exactly: edges, courses and their order, with the settings of the preset."""
    before = pattern(name, SIDE, SIDE)
    made = texsynth.inpaint(before, white(HOLES[where]), exact_copies=True)
    assert np.array_equal(array(made), before)


@pytest.mark.parametrize(("name", "seed"), [("bricks", 0), ("stripes", 1)])
def test_pieces_grow_out_from_the_little_that_is_known(name: str, seed: int) -> None:
    """A strip narrower than half a piece, and another picture to copy from: its phase holds to the far border."""
    before, hole = pattern(name, 64, 64), ~box(64, 64, (0, 64, 0, 6))
    made = texsynth.inpaint(before, white(hole), exemplars=pattern(name, 64, 80), seed=seed, exact_copies=True)
    assert np.array_equal(array(made), before)


BITS = {
    "block": ~box(72, 72, (0, 9, 0, 72), (0, 72, 0, 9)),
    "specks": np.random.default_rng(2).random((72, 72)) < 0.8,
    "blobs": np.kron(np.random.default_rng(3).random((8, 8)) < 0.8, np.ones((9, 9))) > 0,
}


@pytest.mark.parametrize("cell", [6, 8])
@pytest.mark.parametrize("name", BITS)
def test_a_checkerboard_comes_back_from_a_fifth_of_it(name: str, cell: int) -> None:
    rows, columns = np.mgrid[:72, :72] // cell
    board = np.where((rows + columns) % 2, 230, 20).astype(np.uint8)[..., None].repeat(3, 2)
    made = array(quick(board, BITS[name], settings={"coarsest": 16}))
    assert (np.abs(made.astype(int) - board) > 8).mean() < 0.002


def test_structure_goes_on_under_grain() -> None:
    """No equals to copy: the light of nearly every pixel in the hole is on the right side all the same."""
    before = grainy("bricks", SIDE)
    made = array(texsynth.inpaint(before, white(MIDDLE), exact_copies=True))
    right = (made.mean(-1) > 128) == (before.mean(-1) > 128)
    assert right[MIDDLE].mean() > 0.97


@pytest.mark.parametrize("words", [{"mask": np.zeros((30, 26), np.uint8)}, {"mask": None, "alpha": True}])
def test_an_empty_hole_gives_the_picture_back(words: dict[str, Any]) -> None:
    before = (noise(30, 26, 4).numpy() * 255).astype(np.uint8)
    before[..., 3] = 255
    heights = (noise(30, 26).numpy() * 65535).astype(np.uint16)
    made = texsynth.inpaint(before if words.pop("alpha", None) else before[..., :3], maps={"h": heights}, **words)
    assert np.array_equal(array(made)[..., :3], before[..., :3])
    assert np.array_equal(array(made, "h"), heights)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    before = bytes_of(noise(1, 3, 40, 40))
    hole = box(40, 40, (10, 30, 10, 30))
    first, again, other = (array(quick(before, hole, seed)) for seed in (3, 3, 4))
    assert first.tobytes() == again.tobytes()
    assert not np.array_equal(first, other)


@cache
def grains() -> np.ndarray:
    """Dark and light grains some ten pixels across."""
    wide = F.avg_pool2d(F.avg_pool2d(noise(1, 1, 88, 96), 7, 1), 7, 1)
    light = (wide - wide.mean()) / wide.std() * 0.3 + 0.5
    return bytes_of(light.clamp(0, 1).expand(1, 3, -1, -1))


def tile_seam(picture: np.ndarray, tile: tuple[bool, bool]) -> float:
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    ends = metric.borders((pixels.shape[2], pixels.shape[3]), tile)
    return metric.seam(pixels, ends, [(pixels, ~holes.grow(ends, 8, tile))], tile) or np.nan


@pytest.mark.parametrize("axes", ["y", "xy"])
def test_a_picture_is_made_tileable(axes: str) -> None:
    """The rest stays, maps follow, and across each border windows are as good as elsewhere, which they were not."""
    before, tile = grains(), ("y" in axes, "x" in axes)
    made = texsynth.inpaint(before, make_tileable=axes, maps={"places": places(*before.shape[:2])}, exact_copies=True)
    after, (y, x) = array(made), pointed(made)
    hole = job_of("inpaint", before, make_tileable=axes).task.hole
    assert hole is not None
    kept = ~hole[0, 0].numpy()
    assert 0 < kept.mean() < 1
    assert np.array_equal(after[kept], before[kept])
    assert np.array_equal(after, before[y, x])
    assert np.array_equal(array(made, "places"), y * before.shape[1] + x)
    assert made.field is not None and made.field.tile == tile
    assert tile_seam(after, tile) <= 1.15
    assert tile_seam(after, tile) < tile_seam(before, tile) - 0.2


@pytest.mark.parametrize(("axes", "band"), [("x", 16), ("xy", 12)])
def test_the_border_of_what_makes_a_picture_tileable_is_a_cut(axes: str, band: int) -> None:
    """Part of the band stays as it is, to the bit, though the rest follows the light; the two do not part along a
    straight line. The outermost pixels are made anew."""
    before = (grains()[:64, :64] * np.linspace(0.7, 1, 64)[:, None, None]).astype(np.uint8)
    result = quick(before, make_tileable=axes, settings={"coarsest": 64}, band=band)
    rows, columns = np.mgrid[:64, :64]
    y, x = pointed(result)
    stays = (y == rows) & (x == columns)
    assert np.array_equal(array(result)[stays], before[stays])
    assert not stays[:, [0, -1]].any()
    left, width = stays[:, : band // 2], stays.shape[1]
    assert stays[band // 2 : -band // 2, band // 2 : width - band // 2].all()
    assert 0 < left.mean() < 1
    assert len({tuple(row) for row in left}) > 1


@pytest.mark.parametrize("margins", [(0, 0, 24, 0), (10, 8, 0, 5)])
def test_an_extended_picture_stays_where_it_was(margins: tuple[int, int, int, int]) -> None:
    """Its new border is made of its pixels; a pattern goes on."""
    left, top, right, bottom = margins
    whole = pattern("bricks", SIDE + top + bottom, SIDE + left + right)
    before = np.ascontiguousarray(whole[top : top + SIDE, left : left + SIDE])
    made = texsynth.inpaint(before, extend=margins, exact_copies=True, maps={"places": places(SIDE, SIDE)})
    after = array(made)
    assert after.shape == whole.shape
    assert np.array_equal(after[top : top + SIDE, left : left + SIDE], before)
    assert np.array_equal(after, before.reshape(-1, 3)[array(made, "places")])
    assert (after == whole).mean() > 0.9


def local(pixels: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Brightness over 9 x 9 pixels, in the hole."""
    light = F.avg_pool2d(torch.from_numpy(pixels.astype(np.float32).mean(-1))[None, None], 9, 1, 4)
    return light[0, 0].numpy()[hole]


@pytest.mark.parametrize(("where", "seed"), [("brighter half", 0), ("brighter picture", 1)])
def test_the_light_of_the_place_is_followed(where: str, seed: int) -> None:
    """What may only be copied from brighter places is half as far off, or less, as exact copies are; no tone is new."""
    side, hole = 64, box(64, 64, (20, 42, 7, 25))
    even = grainy("slashes", side) * 0.25 + 170
    if where == "brighter half":
        before = (even * np.linspace(0.7, 1, side)[:, None]).astype(np.uint8)
        words: dict[str, Any] = {"source_mask": white(box(side, side, (0, side, 32, side)))}
    else:
        before, words = (even * 0.9).astype(np.uint8), {"exemplars": even.astype(np.uint8)}
    errors = []
    for exact in (True, False):
        after = array(texsynth.inpaint(before, white(hole), seed=seed, exact_copies=exact, **words))
        assert np.array_equal(after[~hole], before[~hole])
        assert exact or (before.min() <= after.min() and after.max() <= even.max())
        errors.append(float(np.abs(local(after, hole) - local(before, hole)).mean()))
    assert errors[1] < 0.5 * errors[0], errors


def test_a_picture_in_even_light_is_hardly_touched() -> None:
    before = grainy("bricks", SIDE)
    runs = (texsynth.inpaint(before, white(MIDDLE), exact_copies=exact) for exact in (True, False))
    plain, toned = (array(run).astype(int) for run in runs)
    assert np.abs(plain - toned).mean() < 1.5


@pytest.mark.skipif(not FOLDER, reason="TEXSYNTH_EXEMPLARS is not set to a folder of real exemplars")
@pytest.mark.parametrize("name", ["cans", "woven"])
def test_a_real_texture_is_repaired_and_made_tileable(name: str) -> None:
    """At half its size, a hole of a quarter of its shorter side: windows there within 15 % of those elsewhere."""
    whole = image.rgb(image.read(Path(FOLDER) / "stationary" / f"{name}.jpg"))
    before = bytes_of(F.avg_pool2d(whole, 2))
    h, w = before.shape[:2]
    side = min(h, w) // 4
    hole = box(h, w, ((h - side) // 2, (h + side) // 2, (w - side) // 2, (w + side) // 2))
    for words in ({"mask": white(hole)}, {"make_tileable": "xy"}):
        job = job_of("inpaint", before, **words)
        found = check.check(texsynth.inpaint(before, **words), job)
        assert found["unchanged"] is True
        assert found["seam"] < 1.15, found
        assert found["tile_seam"] is None or found["tile_seam"] < 1.15, found
