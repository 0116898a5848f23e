"""The correction of tone: inside a hole of a field, at the seams between its pieces, and across those of a warp."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fields import OPEN, atlas_of, copying, field_of
from fields import grid as pixels
from pictures import box, generator, noise, spots
from texsynth.field import tone
from texsynth.field.atlas import Field
from texsynth.image.tone import FIXED, LARGEST_CHANGE, UNEVEN_CYCLES, Equations, change
from texsynth.learned.cocosnet import tone as warp_tone
from texsynth.learned.cocosnet.places import grid, taken
from texsynth.task import Guide

SIDE = 64
MIDDLE = (20, 46, 18, 44)
# the middle, a corner, a strip from border to border, an odd pixel
HOLES = {"middle": MIDDLE, "corner": (0, 20, 0, 26), "strip": (24, 36, 0, SIDE), "pixel": (30, 31, 11, 12)}
holes = pytest.mark.parametrize("name", HOLES)
tiles = pytest.mark.parametrize("tile", [OPEN, (True, True)])


def mask(*sides: tuple[int, int, int, int]) -> Tensor:
    return torch.from_numpy(box(SIDE, SIDE, *sides))[None, None]


def copied(first: Tensor, second: Tensor, hole: Tensor, tile: tuple[bool, bool] = OPEN) -> Field:
    """The field that copies the hole from the same place of a second picture."""
    atlas = atlas_of(first, second)
    return field_of(atlas, atlas.join(hole[0, 0].long(), *pixels(SIDE, SIDE)), tile)


def change_of(first: Tensor, hole: Tensor, tile: tuple[bool, bool] = OPEN) -> Tensor:
    """The correction of a hole in a picture that is filled with the texture, (1, 3, SIDE, SIDE)."""
    return tone.correction(copied(first, texture(), hole, tile), hole, hole)


def texture() -> Tensor:
    """A picture that wraps both ways."""
    return 0.3 + 0.4 * torch.cat([torch.cat([t, t.flip(3)], 3) for t in (spots(32, 32), spots(32, 32).flip(2))], 2)


@holes
@tiles
def test_nothing_changes_outside_the_hole(name: str, tile: tuple[bool, bool]) -> None:
    hole = mask(HOLES[name])
    change = change_of(texture() + 0.05, hole, tile)
    assert (change[(~hole).expand(1, 3, SIDE, SIDE)] == 0).all()
    assert float(change.abs().max()) > 0.02


@holes
@tiles
def test_what_fits_exactly_is_left_alone(name: str, tile: tuple[bool, bool]) -> None:
    assert (change_of(texture(), mask(HOLES[name]), tile) == 0).all()


@pytest.mark.parametrize("sides", [(), ((0, SIDE, 0, SIDE),)])
def test_no_hole_and_nothing_but_a_hole_are_left_alone(sides: tuple[tuple[int, int, int, int], ...]) -> None:
    assert (change_of(texture() + 0.05, mask(*sides)) == 0).all()


@pytest.mark.parametrize("step", [0.05, -0.03])
@pytest.mark.parametrize("name", ["middle", "corner", "strip"])
def test_a_step_of_tone_all_round_is_undone(name: str, step: float) -> None:
    """To within a fifth near the brim, the same in all colours, and of that sign everywhere."""
    hole = mask(HOLES[name])
    change = change_of(texture() + step, hole)
    brim = hole & (F.max_pool2d((~hole).float(), 5, 1, 2) > 0)
    part = change / step
    assert float((part[brim.expand_as(part)] - 1).abs().max()) < 0.2
    assert float(part[hole.expand_as(part)].min()) > 0.3 and float(part.max()) < 1.05
    assert float((change - change[:, :1]).abs().max()) < 1e-5


def test_tone_that_differs_from_side_to_side_is_followed() -> None:
    ramp, hole = torch.linspace(-0.06, 0.06, SIDE).expand(1, 3, SIDE, SIDE), mask(MIDDLE)
    inside = hole.expand_as(ramp)
    change = change_of(texture() + ramp, hole)
    assert float((change - ramp)[inside].abs().mean()) < 0.3 * float(ramp[inside].abs().mean())


def test_faults_of_shape_hardly_count_in_a_hole() -> None:
    """What lies beside something else altogether for half its brim gets the tone of the other half."""
    hole, image = mask(MIDDLE), texture() + 0.04
    image[..., SIDE // 2 :] += 0.4
    inside = change_of(image, hole)[hole.expand_as(image)]
    assert float((inside - 0.04).abs().max()) < 0.01


def test_no_change_is_larger_than_the_largest() -> None:
    assert float(change_of(texture() + 3 * LARGEST_CHANGE, mask(MIDDLE)).abs().max()) <= LARGEST_CHANGE


def test_thin_rings_between_what_stays_are_evened_out_as_well() -> None:
    cell = torch.zeros(144, 144, dtype=torch.bool)
    cell[16:-16, 16:-16], cell[32:-32, 32:-32] = True, False
    hold = torch.where(cell.repeat(2, 2), 1e-4, FIXED)[None, None]
    weights = (torch.ones_like(hold), torch.ones_like(hold))
    brim = (hold < FIXED) & (F.max_pool2d(hold, 3, 1, 1) == FIXED)
    lack = F.interpolate(torch.randn(1, 3, 18, 18, generator=generator(1)), (288, 288))
    goal = torch.where(brim, 0.03 * lack, 0.0)
    even = Equations(weights, hold)
    moved = change(even, goal, OPEN, UNEVEN_CYCLES)
    assert float(moved.abs().max()) < LARGEST_CHANGE
    assert float((even.residual(moved, goal) * even.step).abs().max()) < 2e-4


def test_sources_that_continue_into_nothing_tell_nothing() -> None:
    hole = mask(MIDDLE)
    field = copied(texture() + 0.05, texture(), hole)
    every = torch.arange(len(field.atlas.valid))
    first, copies = field.atlas.split(every)[0] == 0, torch.isin(every, field.index[hole[0, 0]])
    alone = replace(field, atlas=replace(field.atlas, valid=field.atlas.valid & (first | copies)))
    assert (tone.correction(alone, hole, hole) == 0).all()


@pytest.mark.parametrize("dims", [(2,), (3,), (2, 3)])
def test_a_picture_that_wraps_is_corrected_wherever_it_is_cut(dims: tuple[int, ...]) -> None:
    """Rolled by half, a hole across the borders gets what it got in the middle."""
    tile, shift = (2 in dims, 3 in dims), [SIDE // 2] * len(dims)
    hole = mask(MIDDLE)
    field = copied(texture() + 0.05 * spots(SIDE, SIDE, seed=4), texture(), hole, tile)
    whole, at_border = tone.correction(field, hole, hole), hole.roll(shift, dims)
    rolled = replace(field, index=field.index.roll(shift, [dim - 2 for dim in dims]))
    assert torch.allclose(tone.correction(rolled, at_border, at_border), whole.roll(shift, dims), atol=1e-4)


# at the seams between pieces

STEP = 24  # columns by which the right half of a picture is copied from too far left


def shaded(seed: int = 0) -> Tensor:
    """A grainy wall that brightens to the right."""
    light = torch.linspace(0.3, 0.6, SIDE).expand(1, 3, SIDE, SIDE)
    return light + 0.04 * (noise(1, 3, SIDE, SIDE, seed=seed) - 0.5)


def in_halves(image: Tensor, tile: tuple[bool, bool] = OPEN) -> Field:
    """The field that copies the right half of a picture from STEP columns further left."""
    y, x = pixels(SIDE, SIDE)
    return copying(atlas_of(image), y, torch.where(x < SIDE // 2, x, x - STEP), tile)


def seam_of(picture: Tensor) -> Tensor:
    """The step between the means of the columns on both sides of the seam, less the slope of the light."""
    left, right = picture[..., SIDE // 2 - 6 : SIDE // 2].mean(), picture[..., SIDE // 2 : SIDE // 2 + 6].mean()
    return right - left - 6 * 0.3 / (SIDE - 1)


def test_a_step_of_light_goes_and_each_piece_changes_smoothly() -> None:
    """What is added has no grain, and its only step is at the seam."""
    field = in_halves(shaded())
    change = tone.correction(field)
    before = field.image()
    assert float(seam_of(before)) < -0.1 and abs(float(seam_of(before + change))) < 0.015
    across = change.diff(dim=3).abs().amax((0, 1, 2))
    inside = torch.arange(SIDE - 1) != SIDE // 2 - 1
    assert float(across[~inside].min()) > 0.1 > 10 * float(across[inside].max())
    assert float(change.diff(dim=2).abs().max()) < 0.01


def test_pieces_that_show_different_things_keep_their_colours() -> None:
    """But for the few places where they agree by chance."""
    image = shaded()
    image[..., : SIDE // 2] = spots(SIDE, SIDE // 2)
    change = tone.correction(in_halves(image)).abs()
    assert float(change.mean()) < 0.005 and float((change > 0.01).float().mean()) < 0.1


@pytest.mark.parametrize("cell", [5, 8])
@pytest.mark.parametrize("second", [0.53, 0.9])
def test_patterns_of_two_tones_stay_as_they_are(cell: int, second: float) -> None:
    y, x = pixels(SIDE, SIDE)
    image = torch.where((y // cell + x // cell) % 2 == 0, 0.5, second).expand(1, 3, SIDE, SIDE)
    assert not tone.correction(in_halves(image)).any()
    assert not tone.correction(in_halves(0.5 + (second - 0.5) * (x > SIDE // 3).expand(1, 3, SIDE, SIDE))).any()


def test_kept_pixels_do_not_change_and_the_correction_meets_them() -> None:
    field, free = in_halves(shaded()), mask((0, SIDE, 40, SIDE), (0, SIDE, 20, 38))
    change = tone.correction(field, free)
    assert not change[~free.expand_as(change)].any()
    assert float(change[..., 20].abs().max()) < 0.2 * float(change[..., 31].abs().min())


def test_no_light_passes_between_labels_and_none_is_taken_that_a_guide_asks_for() -> None:
    field = in_halves(shaded())
    ramp = torch.linspace(0, 1, SIDE).expand(1, 1, SIDE, SIDE)
    labels = (ramp > 0.3).float()
    wanted = ramp.flatten()[field.atlas.home[field.index]][None, None]
    free = tone.correction(field)
    assert float(free.abs().max()) > 0.05
    assert not tone.correction(field, guides=(Guide("labels", (labels,), labels, distance="l0"),)).any()
    assert not tone.correction(field, guides=(Guide("progression", (ramp,), wanted),)).any()
    even = Guide("progression", (ramp,), torch.full_like(ramp, 0.5))
    assert torch.equal(tone.correction(field, guides=(even,)), free)
    # An edge is the guide's where copies exceed it and have it two pixels aside, and not where it goes the other way.
    edge = (pixels(SIDE, SIDE)[1] >= SIDE // 2 + 2) * 0.6 * wanted.diff(dim=3)[..., SIDE // 2 - 1, None]
    assert not tone.correction(field, guides=(Guide("progression", (ramp,), edge),)).any()
    assert torch.equal(tone.correction(field, guides=(Guide("progression", (ramp,), -edge),)), free)


@pytest.mark.parametrize("dims", [(3,), (2, 3)])
def test_a_tiling_picture_is_evened_out_wherever_it_is_cut(dims: tuple[int, ...]) -> None:
    field = in_halves(shaded(), (2 in dims, 3 in dims))
    whole, shift = tone.correction(field), [SIDE // 4] * len(dims)
    rolled = replace(field, index=field.index.roll(shift, [dim - 2 for dim in dims]))
    assert float(whole.abs().max()) > 0.03
    assert torch.allclose(tone.correction(rolled), whole.roll(shift, dims), atol=2e-3)


# across the seams of a warp

ONE_LABEL = torch.ones(1, 1, 16, 32)


def halves(jump: int) -> tuple[Tensor, Tensor]:
    """A sky that brightens to the right, and places, of which the right half lies `jump` columns further on."""
    colours = torch.linspace(0.5, 0.6, 64).expand(1, 3, 16, 64).contiguous()
    places = grid((16, 32), torch.device("cpu"))
    places[:, 1, :, 16:] += jump
    return colours, places


def brightening(image: Tensor) -> Tensor:
    """How much brighter each column is than the one before."""
    return image.mean((0, 1, 2)).diff()


def test_no_seam_is_left_where_a_smooth_picture_jumps() -> None:
    colours, places = halves(24)
    before = taken(colours, places)
    after = before + warp_tone.correction(places, colours, ONE_LABEL)
    assert float(brightening(before)[15]) > 20 * float(brightening(before)[3])
    assert float(brightening(after)[15]) < 2 * float(brightening(colours)[0])
    assert float((after - before).abs().max()) < 0.1


def test_cells_that_go_on_are_left_alone() -> None:
    colours, places = halves(0)
    assert not warp_tone.correction(places, colours, ONE_LABEL).any()


def test_no_tone_passes_between_labels() -> None:
    colours, places = halves(24)
    labels = torch.zeros(1, 2, 16, 32)
    labels[:, 0, :, :16], labels[:, 1, :, 16:] = 1, 1
    assert float(warp_tone.correction(places, colours, labels).abs().max()) < 1e-6


def test_faults_of_shape_hardly_count_across_seams() -> None:
    """A jump ten times as large as one of tone could be moves next to nothing."""
    colours, places = halves(24)
    assert float(warp_tone.correction(places, (colours - 0.55) * 16, ONE_LABEL).abs().max()) < 0.1


def test_a_target_that_wraps_has_no_seam_at_its_border() -> None:
    colours, places = halves(0)
    ends = []
    for wraps in (False, True):
        image = taken(colours, places) + warp_tone.correction(places, colours, ONE_LABEL, (False, wraps))
        ends.append(float((image[..., 0] - image[..., -1]).abs().mean()))
    assert ends[1] < 0.25 * ends[0]


def test_rough_places_keep_their_tone() -> None:
    """Their differences are the texture's; summed along many seams they would drift."""
    colours, places = 0.5 + 0.2 * (noise(1, 3, 32, 32, seed=4) - 0.5), grid((32, 32), torch.device("cpu"))
    places = places.flatten(2)[:, :, torch.randperm(32 * 32, generator=generator())].view(1, 2, 32, 32)
    assert float(warp_tone.correction(places, colours, torch.ones(1, 1, 32, 32)).abs().max()) < 0.02
