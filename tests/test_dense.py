"""Dense correspondence: what moved is found again, and layers are warped along it without loss."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fields import grid
from pictures import generator, noise, spots
from texsynth.correspondence import dense, descriptors
from texsynth.pyramid import halved


def matched(source: Tensor, target: Tensor) -> dense.Match:
    levels = dense.levels((source.shape[2], source.shape[3]), (target.shape[2], target.shape[3]))
    describe = descriptors.windows(source, None, generator())
    return dense.correspond(describe(source, levels), describe(target, levels), generator())


def test_a_picture_corresponds_to_itself_pixel_by_pixel() -> None:
    source = spots(33, 47)
    match = matched(source, source)
    assert torch.equal(torch.stack([match.y, match.x]), torch.stack(grid(33, 47)))
    assert match.cost.max() == 0
    layer = noise(1, 4, 33, 47)
    assert torch.allclose(dense.warp(match, layer), layer, atol=1e-6)


@pytest.mark.parametrize("pairs", [1 << 26, 1 << 16], ids=["one level", "several"])
def test_what_moved_by_any_number_of_pixels_is_found(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    monkeypatch.setattr(dense, "PAIRS_AT_COARSEST", pairs)
    monkeypatch.setattr(dense, "PAIRS_AT_FINER", 1 << 20)
    source = spots(72, 72)
    match = matched(source, source[:, :, 9:, 13:])
    y, x = grid(63, 59)
    inner = slice(8, -8), slice(8, -8)  # windows at the border see no further
    assert ((match.y == y + 9) & (match.x == x + 13))[inner].float().mean() > 0.98


def test_a_pixel_is_compared_by_what_surrounds_it_alone() -> None:
    """Descriptors move with the picture, by odd numbers of pixels too."""
    source = spots(64, 64)
    describe = descriptors.windows(source, None, generator())
    whole, part = describe(source, [0])[0], describe(source[:, :, 5:, 3:], [0])[0]
    assert torch.allclose(whole[:, :, 21:-16, 19:-16], part[:, :, 16:-16, 16:-16], atol=1e-4)  # 16: their reach
    assert whole.shape[1] == descriptors.WIDTH["windows"]
    assert whole.square().sum(1).mean() == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ((256, 256), (512, 512), [2, 1, 0]),
        ((16, 16), (4096, 16), [0]),
        ((8, 4000), (8, 4000), [0]),
        ((2000, 2000), (300, 300), [4, 3, 2, 1]),
    ],
)
def test_levels_start_where_all_pairs_can_be_compared(
    source: tuple[int, int], target: tuple[int, int], expected: list[int]
) -> None:
    assert dense.levels(source, target) == expected


def test_large_pictures_are_compared_halved_and_warped_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "MOST_PIXELS", 40 * 40)
    source, layer = spots(65, 70), noise(1, 4, 65, 70)
    match = dense.enlarge(matched(source, source), (65, 70), (65, 70))
    assert match.y.shape == (65, 70)
    assert torch.allclose(dense.warp(match, layer), layer, atol=1e-6)


def test_more_coherence_makes_fewer_seams() -> None:
    source, target = spots(48, 48), spots(48, 48, seed=3)
    describe = descriptors.windows(source, None, generator())
    described = describe(source, [0]), describe(target, [0])

    def seams(coherence: float) -> float:
        match = dense.correspond(*described, generator(), coherence)
        return float(((match.y[1:] != match.y[:-1] + 1) | (match.x[1:] != match.x[:-1])).float().mean())

    assert seams(4) < seams(1) < seams(0)


@pytest.mark.parametrize(("size", "side"), [((33, 47), 4.0), ((32, 40), 4.0), ((50, 61), 6.5)])
def test_cells_of_a_network_lie_on_the_pixels_that_they_show(size: tuple[int, int], side: float) -> None:
    """At every level, of pictures that are no whole number of cells: cells that hold their middles go on to do so."""
    rows, columns = (torch.arange(-(-n // side)) * side + side / 2 for n in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    for level in (0, 1, 2, 3):
        small = (halved(size[0], level), halved(size[1], level))
        laid = descriptors.on_pixels(torch.stack([y, x])[None], side / (1 << level), small)
        assert laid.shape == (1, 2, *small)
        for axis, n in enumerate(small):
            middles = (torch.arange(n) + 0.5) * (1 << level)
            inner = (middles > side) & (middles < size[axis] - side)  # beyond the outermost cells all is flat
            shown = laid[0, axis].mean(1 - axis)
            torch.testing.assert_close(shown[inner], middles[inner], atol=0.1 * (1 << level), rtol=0)


def test_what_a_network_sees_leads_where_windows_are_lost() -> None:
    """Of two pictures of other noise, cells that name a half lead each pixel to that half."""
    source, target = noise(1, 3, 128, 128), noise(1, 3, 128, 128, seed=1)
    half = (torch.arange(32) >= 16).float().expand(1, 1, 32, 32)
    cells = torch.cat([half, 1 - half], 1), torch.cat([1 - half, half], 1)
    levels = dense.levels((128, 128), (128, 128))
    described = descriptors.learned((source, target), cells, 4.0, levels, generator())
    assert all(layer.shape[1] <= descriptors.WIDTH["model"] for layers in described for layer in layers)
    both, plain = dense.correspond(*described, generator()), matched(source, target)
    right = [((match.x >= 64) == (torch.arange(128) < 64)).float().mean() for match in (both, plain)]
    assert right[0] > 0.9 and right[1] < 0.7


def test_votes_that_disagree_leave_an_edge() -> None:
    """Two halves from two places: beyond the reach of both the layer is one or the other, not their mean."""
    y, x = grid(16, 16)
    match = dense.Match(y, torch.where(x < 8, x, x + 16), torch.zeros(16, 16), (16, 32))
    layer = (torch.arange(32) >= 16).float().expand(1, 1, 16, 32).contiguous()
    warped = dense.warp(match, layer)[0, 0]
    assert warped[:, :6].max() < 0.05 and warped[:, 10:].min() > 0.95


def test_light_is_evened_out_only_where_that_explains_the_difference() -> None:
    source = spots(48, 48)
    assert descriptors.relit(source, source[:, :, 5:, 3:] * 0.4 + 0.05, generator())[1]
    assert not descriptors.relit(source, source[:, :, 5:, 3:], generator())[1]
    dark = source[:, :, source[0].mean((0, 2)).argsort()[:24].sort().values]
    assert not descriptors.relit(source, dark, generator())[1], "only the dark rows: another mixture, the same light"
