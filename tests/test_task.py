"""A task at its coarser levels: holes, places to start from and shares shrink with the picture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pictures import generator, identity, mask, noise
from texsynth.pyramid import halved
from texsynth.task import Exemplar, Task

SIZES = [(32, 32), (33, 47), (20, 9)]


def task(h: int, w: int, **words: Tensor) -> Task:
    return Task((Exemplar("a", noise(1, 3, h, w)),), (h, w), **words)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("level", [1, 2, 3])
def test_what_is_known_at_a_level_holds_nothing_of_the_hole(size: tuple[int, int], level: int) -> None:
    """And all cells that a hole does not touch are known."""
    h, w = size
    hole = mask(h, w, (3, 8, 2, 5), (h - 1, h, w - 1, w))
    small = task(h, w, hole=hole).at(level).hole
    assert small is not None and small.shape[2:] == (halved(h, level), halved(w, level))
    touched = torch.zeros_like(small)
    for y, x in hole[0, 0].nonzero().tolist():
        touched[..., y >> level, x >> level] = True
    assert torch.equal(small, touched)


def test_specks_do_not_take_all_that_is_known() -> None:
    hole = torch.rand(1, 1, 64, 64, generator=generator()) < 0.2
    for level in (1, 2, 3):
        small = task(64, 64, hole=hole).at(level).hole
        assert small is not None and float((~small).float().mean()) >= 0.5 * float((~hole).float().mean())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("level", [1, 2, 3])
def test_what_starts_from_itself_does_so_at_every_level(size: tuple[int, int], level: int) -> None:
    small = task(*size, start=identity(*size)).at(level)
    assert small.start is not None
    assert torch.equal(small.start.floor(), identity(*small.size))


@pytest.mark.parametrize("level", [1, 2])
def test_places_move_with_the_scale_and_what_has_none_stays_without(level: int) -> None:
    start = identity(32, 24) + 8
    start[:, :, 16:] = torch.nan
    small = task(32, 24, start=start).at(level)
    assert small.start is not None
    rows = 16 >> level
    assert small.start[:, :, rows:].isnan().all()
    assert torch.equal(small.start[:, :, :rows].floor(), (identity(*small.size) + 8 / 2**level)[:, :, :rows])


@pytest.mark.parametrize("level", [1, 2, 0.5])
def test_shares_still_add_up_to_one(level: float) -> None:
    blend = torch.rand(1, 3, 21, 34, generator=generator())
    blend /= blend.sum(1, keepdim=True)
    small = task(21, 34, blend=blend).at(level)
    assert small.blend is not None
    assert small.blend.shape == (1, 3, *small.size)
    assert torch.allclose(small.blend.sum(1), torch.ones(1, *small.size), atol=1e-5)
    assert torch.allclose(small.blend.mean((2, 3)), blend.mean((2, 3)), atol=0.05)
    assert task(21, 34, blend=blend).at(0).blend is blend


def test_levels_follow_each_other() -> None:
    """Two levels down is one level down twice."""
    hole = mask(32, 48, (5, 14, 9, 30))
    blend = torch.rand(1, 2, 32, 48, generator=generator())
    whole = task(32, 48, hole=hole, start=identity(32, 48), blend=blend)
    once, twice = whole.at(2), whole.at(1).at(1)
    assert once.size == twice.size and once.level == twice.level
    assert once.hole is not None and twice.hole is not None and torch.equal(once.hole, twice.hole)
    assert once.blend is not None and twice.blend is not None and torch.allclose(once.blend, twice.blend)
