"""Blends by copying: islands in the shares that are asked for, and the pictures that come of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

import texsynth
from pictures import bytes_of, generator, noise, spots
from texsynth.field import atlas
from texsynth.methods import _mosaic
from texsynth.runs.run import Result
from texsynth.task import Exemplar, Task

PLAIN = (False, False)
QUICK = {"passes": [2, 1], "tries": 8, "starts": 1, "coarsest": 16}
TINTS = ((90, 0, 0), (0, 90, 0), (0, 0, 90))


def even(h: int, w: int, *shares: float) -> Tensor:
    return torch.tensor(shares, dtype=torch.float32).view(1, -1, 1, 1).expand(1, len(shares), h, w)


@pytest.mark.parametrize("tile", [PLAIN, (True, True)])
@pytest.mark.parametrize(
    "shares", [(0.5, 0.5), (0.1, 0.2, 0.7), (0.25, 0, 0.75), (0.003, 0.997), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
)
def test_shares_are_met_to_a_pixel(shares: tuple[float, ...], tile: tuple[bool, bool]) -> None:
    numbers = _mosaic.islands(even(37, 52, *shares), 4.0, tile, generator())
    assert numbers.shape == (1, 1, 37, 52)
    for number, share in enumerate(shares):
        assert float((numbers == number).sum()) == pytest.approx(share * 37 * 52, abs=float(0 < share < 1))


@pytest.mark.parametrize("tile", [PLAIN, (True, False), (False, True), (True, True)])
def test_islands_wrap_where_the_output_does(tile: tuple[bool, bool]) -> None:
    """Seldom is a pixel unlike its neighbour; across a border that wraps no more often than inside."""
    shares = {0: [0.0, 0.0], 1: [0.0, 0.0]}
    for seed in range(4):
        numbers = _mosaic.islands(even(64, 64, 0.5, 0.5), 5.0, tile, generator(seed))[0, 0]
        for dim in (0, 1):
            unlike = (numbers != numbers.roll(-1, dim)).float().movedim(dim, 0)
            shares[dim][0] += float(unlike[:-1].mean()) / 4
            shares[dim][1] += float(unlike[-1].mean()) / 4
    for dim, wraps in enumerate(tile):
        inside, across = shares[dim]
        assert inside < 0.15
        assert across <= 2 * inside if wraps else across > 2 * inside


def test_coarse_grain_makes_few_islands() -> None:
    def borders(grain: float) -> float:
        numbers = _mosaic.islands(even(64, 64, 0.5, 0.5), grain, PLAIN, generator())
        return float((numbers != numbers.roll(1, 3)).float().mean())

    assert all(fine > 1.3 * coarse for fine, coarse in pairwise(map(borders, (1.0, 3.0, 9.0))))


def test_islands_follow_shares_that_change() -> None:
    ramp = torch.linspace(0, 1, 90).expand(1, 1, 40, 90)
    numbers = _mosaic.islands(torch.cat([1 - ramp, ramp], 1), 3.0, PLAIN, generator())
    thirds = [float(third.mean()) for third in numbers.chunk(3, 3)]
    assert thirds[0] < 0.3 < thirds[1] < 0.7 < thirds[2]


def test_only_the_first_level_is_guided_and_what_has_no_share_is_no_source() -> None:
    exemplars = tuple(Exemplar(str(n), noise(1, 3, 20, 20, seed=n)) for n in range(3))
    task = Task(exemplars, (30, 30), blend=even(30, 30, 0.5, 0.0, 0.5))
    first, later = (_mosaic.steered(task, is_first, generator()) for is_first in (True, False))
    assert [guide.name for guide in first.guides] == ["mosaic"]
    assert later.guides == ()
    for steered in (first, later):
        middle = steered.exemplars[1].valid
        assert middle is not None and not middle.any()
        assert steered.exemplars[0].valid is None and steered.exemplars[2].valid is None


def tinted(number: int, h: int = 40, w: int = 40) -> np.ndarray:
    return (bytes_of(spots(h, w, seed=number)) * 0.6 + TINTS[number]).astype(np.uint8)


def mosaic(count: int, size: str = "80x64", **words: object) -> Result:
    given = {"settings": QUICK, "mode": "mosaic", **words}
    return texsynth.barycenter([tinted(n, 40, 40 + 8 * n) for n in range(count)], size, **given)  # type: ignore[arg-type]


def origin(result: Result) -> Tensor:
    """Which exemplar each pixel is from, (h, w)."""
    assert result.field is not None
    return atlas.coordinates(result.field).exemplar


@pytest.mark.parametrize("blend", [(1, 0), (0, 1), (0, 1, 0)])
def test_the_whole_share_uses_nothing_else(blend: tuple[float, ...]) -> None:
    assert (origin(mosaic(len(blend), blend=blend)) == blend.index(1)).all()


@pytest.mark.parametrize("blend", [(0.5, 0.5), (0.3, 0.7), (0.6, 0.0, 0.4)])
def test_shares_come_back_as_pixels(blend: tuple[float, ...]) -> None:
    """To within 0.12, averaged over two seeds; what has no share is never used."""
    origins = torch.stack([origin(mosaic(len(blend), blend=blend, seed=seed)) for seed in range(2)])
    for number, share in enumerate(blend):
        assert float((origins == number).float().mean()) == pytest.approx(share, abs=0.12 if share else 0), number


def test_a_map_leads_from_one_to_the_other() -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 96).astype(np.uint8), (64, 96))
    thirds = [float(third.float().mean()) for third in origin(mosaic(2, "96x64", blend_map=ramp)).chunk(3, 1)]
    assert thirds[0] < 0.35 < thirds[1] < 0.65 < thirds[2]


def test_the_same_seed_gives_the_same_picture() -> None:
    first, again, other = (mosaic(2, seed=seed).image.pixels for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
