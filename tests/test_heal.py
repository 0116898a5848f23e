"""The correction of tone inside a hole."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pictures import box, generator, spots
from texsynth.field import heal
from texsynth.field.atlas import Field, build_atlas
from texsynth.task import Exemplar, Task

SIDE = 64
PLAIN = (False, False)
MIDDLE = (20, 46, 18, 44)
# the middle, a corner, a strip from border to border, an odd pixel
HOLES = {"middle": MIDDLE, "corner": (0, 20, 0, 26), "strip": (24, 36, 0, SIDE), "pixel": (30, 31, 11, 12)}


def mask(*sides: tuple[int, int, int, int]) -> Tensor:
    return torch.from_numpy(box(SIDE, SIDE, *sides))[None, None]


def copied(first: Tensor, second: Tensor, hole: Tensor, tile: tuple[bool, bool] = PLAIN) -> Field:
    """The field that copies the hole from the same place of a second picture."""
    atlas = build_atlas(Task((Exemplar("a", first), Exemplar("b", second)), (SIDE, SIDE), tile), ("none",), 4)
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    index = atlas.join(hole[0, 0].long(), y, x)
    return Field(index, torch.zeros(SIDE, SIDE), atlas, tile)


def texture() -> Tensor:
    """Wraps both ways."""
    return 0.3 + 0.4 * torch.cat([torch.cat([t, t.flip(3)], 3) for t in (spots(32, 32), spots(32, 32).flip(2))], 2)


@pytest.mark.parametrize("name", HOLES)
@pytest.mark.parametrize("tile", [PLAIN, (True, True)])
def test_nothing_changes_outside_the_hole(name: str, tile: tuple[bool, bool]) -> None:
    hole = mask(HOLES[name])
    change = heal.correction(copied(texture() + 0.05, texture(), hole, tile), hole, ~hole)
    assert change.shape == (1, 3, SIDE, SIDE)
    assert (change[(~hole).expand_as(change)] == 0).all()
    assert float(change[hole.expand_as(change)].abs().max()) > 0.02


@pytest.mark.parametrize("name", HOLES)
@pytest.mark.parametrize("tile", [PLAIN, (True, True)])
def test_what_fits_exactly_is_left_alone(name: str, tile: tuple[bool, bool]) -> None:
    hole = mask(HOLES[name])
    assert (heal.correction(copied(texture(), texture(), hole, tile), hole, ~hole) == 0).all()


def test_no_hole_and_nothing_but_a_hole_are_left_alone() -> None:
    for hole in (mask(), mask((0, SIDE, 0, SIDE))):
        assert (heal.correction(copied(texture() + 0.05, texture(), hole), hole, ~hole) == 0).all()


@pytest.mark.parametrize("step", [0.05, -0.03])
@pytest.mark.parametrize("name", ["middle", "corner", "strip"])
def test_a_step_of_tone_all_round_is_undone(name: str, step: float) -> None:
    """To within a fifth near the brim, the same in all colours, and of that sign everywhere."""
    hole = mask(HOLES[name])
    change = heal.correction(copied(texture() + step, texture(), hole), hole, ~hole)
    inner = torch.nn.functional.max_pool2d((~hole).float(), 5, 1, 2) == 0
    brim, inside = ((hole & ~inner).expand_as(change), hole.expand_as(change))
    assert float((change[brim] / step - 1).abs().max()) < 0.2
    assert float((change[inside] / step).min()) > 0.3
    assert float((change / step).max()) < 1.05
    assert float((change - change[:, :1]).abs().max()) < 1e-5


def test_light_that_differs_from_side_to_side_is_followed() -> None:
    ramp = torch.linspace(-0.06, 0.06, SIDE)
    hole = mask(MIDDLE)
    change = heal.correction(copied(texture() + ramp, texture(), hole), hole, ~hole)
    inside = hole.expand_as(change)
    assert float((change - ramp)[inside].abs().mean()) < 0.3 * float(ramp.expand_as(change)[inside].abs().mean())


def test_faults_of_shape_are_hardly_looked_at() -> None:
    """What lies beside something else altogether for half its brim gets the tone of the other half."""
    hole, known = mask(MIDDLE), texture() + 0.04
    known[..., SIDE // 2 :] += 0.4
    inside = heal.correction(copied(known, texture(), hole), hole, ~hole)[hole.expand_as(known)]
    assert float((inside - 0.04).abs().max()) < 0.01


def test_no_correction_is_larger_than_the_most() -> None:
    hole = mask(MIDDLE)
    change = heal.correction(copied(texture() + 3 * heal.MOST, texture(), hole), hole, ~hole)
    assert float(change.abs().max()) <= heal.MOST


def test_sources_that_continue_into_nothing_tell_nothing() -> None:
    hole = mask(MIDDLE)
    field = copied(texture() + 0.05, texture(), hole)
    second = (torch.arange(len(field.atlas.valid)) // (field.atlas.rows * field.atlas.row)) == 1
    copies = torch.zeros_like(field.atlas.valid)
    copies[field.index[hole[0, 0]]] = True
    alone = replace(field, atlas=replace(field.atlas, valid=field.atlas.valid & (~second | copies)))
    assert (heal.correction(alone, hole, ~hole) == 0).all()


@pytest.mark.parametrize("dims", [(2,), (3,), (2, 3)])
def test_a_picture_that_wraps_is_corrected_wherever_it_is_cut(dims: tuple[int, ...]) -> None:
    """Rolled by half, a hole across the borders gets what it got in the middle."""
    tile, shift = (2 in dims, 3 in dims), [SIDE // 2] * len(dims)
    known, source, hole = texture() + 0.05 * spots(SIDE, SIDE, seed=4), texture(), mask(MIDDLE)
    whole = heal.correction(copied(known, source, hole, tile), hole, ~hole)
    at_border = hole.roll(shift, dims)
    field = copied(known, source, hole, tile)
    cut = heal.correction(
        replace(field, index=field.index.roll(shift, [dim - 2 for dim in dims])), at_border, ~at_border
    )
    assert torch.allclose(cut, whole.roll(shift, dims), atol=1e-4)


@pytest.mark.parametrize("size", [(2000, 32), (32, 2000), (16, 16)])
def test_a_long_picture_has_no_more_nodes(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    """The system that is solved is full: its side must not grow with the picture."""
    counted: list[int] = []
    solve = torch.linalg.solve
    monkeypatch.setattr(torch.linalg, "solve", lambda a, b: counted.append(len(a)) or solve(a, b))
    h, w = size
    first = torch.rand(1, 3, h, w, generator=generator()) * 0.1
    atlas = build_atlas(Task((Exemplar("a", first),), size), ("none",), 1)
    hole = torch.from_numpy(box(h, w, (2, h, 2, w)))[None, None]
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    index = atlas.join(torch.zeros_like(y), *(torch.where(hole[0, 0], 1 + at % 2, at) for at in (y, x)))
    change = heal.correction(Field(index, torch.zeros(size), atlas, PLAIN), hole, ~hole)
    assert change.isfinite().all()
    assert 0 < counted[0] <= 1.2 * heal.NODES**2
