"""Holes: the smooth guess that stands in them, and how masks grow."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from pictures import generator, mask, noise
from texsynth.image import holes

SIZES = [(16, 16), (1, 9), (7, 1), (13, 22)]


def scattered(h: int, w: int, share: float, seed: int = 0) -> Tensor:
    return torch.rand(1, 1, h, w, generator=generator(seed)) < share


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.97])
def test_what_is_known_stays_and_bounds_the_guess(size: tuple[int, int], share: float) -> None:
    image, hole = noise(1, 2, *size) * 0.5 + 0.25, scattered(*size, share, seed=3)
    image = torch.where(hole, 99.0, image)  # what hides in the hole
    hole[..., 0, 0] = False
    image[..., 0, 0] = 0.4
    guess = holes.smooth(image, hole)
    outside = ~hole.expand_as(image)
    assert torch.equal(guess[outside], image[outside])
    for channel in range(2):
        values = image[:, channel][~hole[:, 0]]
        assert float(guess[:, channel].min()) >= float(values.min()) - 1e-5
        assert float(guess[:, channel].max()) <= float(values.max()) + 1e-5


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
def test_a_constant_stays_constant(size: tuple[int, int], share: float) -> None:
    hole = scattered(*size, share, seed=1)
    hole[..., 0, 0] = False
    made = holes.smooth(torch.where(hole, 0.0, 0.3).expand(1, 3, *size), hole)
    assert float((made - 0.3).abs().max()) < 1e-5


@pytest.mark.parametrize("filled", [0.0, 1.0])
def test_no_hole_and_nothing_known_change_nothing(filled: float) -> None:
    image = noise(1, 3, 9, 11)
    assert torch.equal(holes.smooth(image, torch.full((1, 1, 9, 11), filled) > 0), image)


def test_a_ramp_goes_on_through_a_hole() -> None:
    """The guess is nearer to it than the mean of what is known is."""
    ramp = torch.linspace(0, 1, 32).expand(1, 3, 32, 32)
    hole = mask(32, 32, (8, 24, 6, 26))
    made = holes.smooth(torch.where(hole, 0.0, ramp), hole)
    inside = hole.expand_as(ramp)
    assert float((made - ramp)[inside].abs().mean()) < 0.5 * float((ramp - 0.5)[inside].abs().mean())


@pytest.mark.parametrize("tile", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("radius", [0, 1, 3, 8, 40])
def test_growing_is_dilation_by_a_square(radius: int, tile: tuple[bool, bool]) -> None:
    """A pixel is in the grown mask where one of the mask is at most so far away, along each axis."""
    small = scattered(9, 14, 0.03, seed=5)
    wanted = torch.zeros_like(small)
    gaps = []
    for n, wraps in zip((9, 14), tile, strict=True):
        gap = (torch.arange(n)[:, None] - torch.arange(n)).abs()
        gaps.append(torch.minimum(gap, n - gap) if wraps else gap)
    for y, x in small[0, 0].nonzero().tolist():
        wanted |= (gaps[0][y][:, None] <= radius) & (gaps[1][x] <= radius)
    assert small.any()
    assert torch.equal(holes.grow(small, radius, tile), wanted)


@pytest.mark.parametrize("tile", [(False, False), (True, True)])
def test_growing_is_monotone(tile: tuple[bool, bool]) -> None:
    small = scattered(20, 17, 0.02, seed=2)
    large = small | scattered(20, 17, 0.02, seed=3)
    grown = [holes.grow(small, radius, tile) for radius in range(5)]
    assert all((inner <= outer).all() for inner, outer in itertools.pairwise(grown))
    assert (grown[2] <= holes.grow(large, 2, tile)).all()
    assert torch.equal(holes.grow(grown[1], 2, tile), grown[3])
    assert not holes.grow(torch.zeros_like(small), 3, tile).any()
