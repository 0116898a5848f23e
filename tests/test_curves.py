"""Lines that bend round a hole: when they are noticed, and that turned and mirrored copies then continue them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import texsynth
from fields import OPEN, atlas_of, copying, grid
from pictures import box, bytes_of, generator, noise, pattern, spots
from texsynth.field.atlas import COPY_SETS, Field, build_atlas, with_copies_in_use
from texsynth.field.curves import are_thin, bends
from texsynth.field.fill import Gap, fill
from texsynth.field.quilt import QuiltRules, largest_blocks
from texsynth.image import holes
from texsynth.image import picture as image
from texsynth.runs.run import Result
from texsynth.task import Exemplar, Task

SIDE = 112
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
BAR = np.abs(0.9 * (ROWS - 52) - 0.42 * (COLUMNS - 60) - 10) < 7
DISC = np.hypot(ROWS - 40, COLUMNS - 38) < 13


def waves(distance: np.ndarray, period: float) -> np.ndarray:
    """Light and dark lines, uint8 (h, w, 3), where a distance is a whole or half number of periods."""
    light = 127 + 100 * np.sin(distance * 2 * np.pi / period)
    return light.round().astype(np.uint8)[..., None].repeat(3, 2)


def rings(period: float) -> np.ndarray:
    return waves(np.hypot(ROWS - 52, COLUMNS - 60), period)


def wavy(period: float) -> np.ndarray:
    return waves(ROWS + 6 * np.sin(COLUMNS / 11) + 0.2 * COLUMNS, period)


def rays() -> np.ndarray:
    return waves(np.arctan2(ROWS + 12, COLUMNS + 12), 0.12)


def horizon() -> np.ndarray:
    """Faint waves below an even sky."""
    below = 30 + 6 * np.sin(COLUMNS / 11) < ROWS
    return np.where(below[..., None], 40 + wavy(20) // 10, 250).astype(np.uint8)


def planes(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None] / 255


def filled(picture: np.ndarray, hole: np.ndarray, seed: int = 0, **words: Any) -> Result:
    return texsynth.inpaint(picture, hole.astype(np.uint8) * 255, seed=seed, exact_copies=True, **words)


def error(result: Result, picture: np.ndarray, hole: np.ndarray) -> float:
    """The mean difference in the hole, of 255 levels."""
    return float(np.abs(image.to_array(result.image).astype(float) - picture)[hole].mean())


@pytest.mark.parametrize("hole", [BAR, DISC], ids=["bar", "disc"])
@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (rings(9), True),
        (wavy(10), True),
        (rays(), True),
        (waves(0.9 * ROWS + 0.4 * COLUMNS, 10), False),
        (horizon(), False),
        (pattern("bricks", SIDE, SIDE), False),
        (bytes_of(spots(SIDE, SIDE)), False),
        (bytes_of(noise(1, 3, SIDE, SIDE)), False),
        (np.full((SIDE, SIDE, 3), 90, np.uint8), False),
    ],
    ids=["rings", "waves", "rays", "straight", "horizon", "bricks", "spots", "noise", "flat"],
)
def test_lines_that_bend_are_told_from_the_rest(picture: np.ndarray, expected: bool, hole: np.ndarray) -> None:
    marked = torch.from_numpy(hole)[None, None]
    assert bends(holes.smooth(planes(picture), marked), marked) == expected


@pytest.mark.parametrize(("period", "expected"), [(4, True), (12, False)])
def test_lines_are_thin_where_half_the_pixels_lose_them(period: float, expected: bool) -> None:
    assert are_thin(planes(rings(period)), torch.from_numpy(DISC)[None, None]) == expected


@pytest.mark.parametrize("hole", [BAR, DISC], ids=["bar", "disc"])
def test_rings_go_on_across_a_hole(hole: np.ndarray) -> None:
    """At the right radius: half as far off, or less, as rings that are out of step by a twelfth of their period. Pieces
    as they lie are twice as far off or more; copies=none asks for these. The copies that are used are told."""
    picture, period = rings(9), 9
    out_of_step = waves(np.hypot(ROWS - 52, COLUMNS - 60) + period / 12, period).astype(float) - picture
    turned, straight = (filled(picture, hole, settings={"copies": copies}) for copies in ("auto", "none"))
    assert error(turned, picture, hole) < 0.5 * np.abs(out_of_step)[hole].mean()
    assert error(straight, picture, hole) > 2 * error(turned, picture, hole)
    assert turned.field is not None and turned.field.copies[0] == "none" and len(turned.field.copies) > 1
    assert straight.field is not None and straight.field.copies == ("none",)


def test_waves_go_on_in_step() -> None:
    assert error(filled(wavy(10), BAR), wavy(10), BAR) < 3


def test_copies_that_are_not_used_are_dropped() -> None:
    task = Task((Exemplar("a", spots(20, 26)), Exemplar("b", spots(16, 18, seed=1))), (8, 9))
    atlas = build_atlas(task, COPY_SETS["all"], 3)
    plane = torch.tensor([0, 3, 8, 13])[torch.arange(72) % 4].view(8, 9)
    index = atlas.join(plane, *torch.meshgrid(torch.arange(8), torch.arange(9), indexing="ij"))
    field = Field(index, torch.zeros(8, 9), atlas, OPEN)
    less = with_copies_in_use(field, task)
    assert less.copies == tuple(COPY_SETS["all"][n] for n in (0, 3, 5))
    assert torch.equal(less.image(), field.image())
    assert torch.equal(less.atlas.home[less.index], atlas.home[index])


def test_a_sample_of_pieces_finds_the_places_between_them() -> None:
    """A pattern comes back exactly, though only some of its places are compared at first."""
    picture, hole = planes(pattern("slashes", 48, 48)), torch.from_numpy(box(48, 48, (18, 30, 17, 31)))
    atlas = atlas_of(holes.smooth(picture, hole[None, None]), valid=~hole[None, None])
    places = copying(atlas, *grid(48, 48)).index
    blocks = largest_blocks(atlas, 16, 0.25, generator(), most=60)
    assert blocks is not None and blocks.sample and len(blocks.corners) == 60
    index = fill(Gap(places, hole, ~hole, OPEN), blocks, QuiltRules(0.1, 0.0, 1), generator())
    assert torch.equal(atlas.colours[index], picture[0].permute(1, 2, 0))
