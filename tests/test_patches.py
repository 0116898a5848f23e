"""Patches: cutting, weighing, drawing, their products by two ways, and searches for the nearest, by brute force."""

from __future__ import annotations

import pytest
import torch

from loss_builders import BOTH, OFF, normal
from pictures import generator, noise
from texsynth.patches import nearest
from texsynth.patches.chunks import Tile, tiles
from texsynth.patches.cut import cut, gather, grid, patch_weights, pixel_indices, scatter_add
from texsynth.patches.products import Diagonal, Table, products
from texsynth.patches.samples import draw


@pytest.mark.parametrize(("patch", "stride"), [(4, 1), (3, 2), (1, 1)])
def test_patches_are_gathered_as_they_are_cut(patch: int, stride: int) -> None:
    layer, other = normal(1, 3, 9, 11), normal(1, 3, 9, 11, seed=1)
    count = len(cut(layer, patch, stride))
    numbers = torch.randperm(count, generator=generator())[: count // 2 + 1]
    indices = pixel_indices(numbers, (9, 11), patch, stride)
    pixels, other_pixels = (m[0].flatten(1).T.contiguous() for m in (layer, other))
    rows, other_rows = gather(pixels, indices), gather(other_pixels, indices)
    channels_first = rows.unflatten(1, (-1, 3)).transpose(1, 2).flatten(1)
    assert torch.equal(channels_first, cut(layer, patch, stride)[numbers])
    total = torch.zeros_like(pixels)
    scatter_add(total, indices, other_rows)
    # <scatter_add(b), a> = <b, gather(a)>
    torch.testing.assert_close((total * pixels).sum(), (rows * other_rows).sum())


@pytest.mark.parametrize("patch", [1, 3])
@pytest.mark.parametrize("tile", [OFF, BOTH])
def test_a_patch_counts_as_its_most_wanted_pixel(patch: int, tile: tuple[bool, bool]) -> None:
    share, layer = noise(1, 1, 9, 7), noise(1, 2, 9, 7)
    weights = patch_weights(share, layer, patch, 1, tile)
    assert torch.equal(weights.flatten(), cut(share, patch, 1, tile).amax(1))
    coarse = patch_weights(share, noise(1, 2, 4, 3), 1, 1)
    assert float(coarse.max()) == float(share.max())


def test_rows_are_drawn_in_proportion() -> None:
    shares = torch.tensor([1.0, 0.0, 3.0, 4.0]).repeat(500)
    rows = torch.arange(2000)
    picked = rows[draw(rows, 0, generator(), shares)]
    assert len(picked) == 1500
    counts = torch.bincount(picked % 4, minlength=4) / 1500
    assert counts.tolist() == pytest.approx([1 / 8, 0, 3 / 8, 1 / 2], abs=0.04)
    alike = draw(rows, 0, generator(), (shares > 0).float())
    assert torch.equal(rows[alike], rows[shares > 0])
    few = rows[draw(rows, 100, generator(), shares)]
    assert len(few) == 100 and float(shares[few].min()) > 0


@pytest.mark.parametrize(("patch", "stride"), [(7, 3), (7, 4), (4, 1), (4, 2), (5, 5), (3, 4), (1, 1)])
def test_products_along_diagonals_are_those_of_cut_patches(patch: int, stride: int) -> None:
    maps, layer = [normal(1, 12, 20, 23), normal(1, 12, 9, 8, seed=1)], normal(1, 12, 21, 16, seed=2)
    wide, table = products(maps, patch, stride), Table(torch.cat([cut(m, patch, stride) for m in maps]), patch, stride)
    assert isinstance(wide, Diagonal)
    for tile in tiles(grid((21, 16), patch, stride), 60, wide.margin):
        pixels = tile.pixels(layer, patch, stride)
        torch.testing.assert_close(wide.inner(pixels, tile), table.inner(pixels, tile))
        weights = normal(tile.count, table.width, seed=3)
        torch.testing.assert_close(wide.pull(weights, tile), table.pull(weights, tile))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (13, 17), (60, 2)])
@pytest.mark.parametrize("most", [1, 30, 10_000])
@pytest.mark.parametrize("margin", [0, 2])
def test_tiles_cover_a_grid_once_and_stay_small(size: tuple[int, int], most: int, margin: int) -> None:
    covered = torch.zeros(size)
    for tile in tiles(size, most, margin):
        tile.of(covered).add_(1)
        assert tile.count == 1 or (tile.rows + margin) * (tile.columns + margin) <= most
    assert bool((covered == 1).all())
    assert most < 10_000 or tiles(size, most, margin) == [Tile(0, 0, *size)]


@pytest.mark.parametrize("columns", [5, 1024, 1100, 2051])
def test_the_nearest_of_a_row(columns: int) -> None:
    matrix = normal(40, columns)
    matrix[3] = 0  # all equal
    values, index = nearest.row_minimum(matrix)
    assert torch.equal(values, matrix.amin(1))
    assert torch.equal(matrix.gather(1, index[:, None])[:, 0], values)


def test_nearest_is_the_search_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, keys = noise(50, 7) + 5, noise(31, 7, seed=1) + 5
    exact = torch.cdist(queries, keys, compute_mode="donot_use_mm_for_euclid_dist")
    for entries in (1, 100, 1 << 20):  # the sizes of chunks do not matter
        monkeypatch.setattr(nearest, "DISTANCES_AT_ONCE", entries)
        distance, place = nearest.nearest(queries, keys)
        assert torch.equal(place, exact.argmin(1))
        assert torch.allclose(distance, exact.amin(1).square(), rtol=1e-4)


@pytest.mark.parametrize(("h", "w"), [(1, 1), (8, 8), (9, 8), (100, 37), (5, 1000)])
def test_a_regular_grid_holds_as_many_places_as_fit(h: int, w: int) -> None:
    picked = nearest.sampled(noise(1, 2, h, w), 64)
    assert picked.shape[1] == 2
    assert min(h * w, 16) <= len(picked) <= 64
