"""What `--check` measures: it must tell good repairs from bad ones."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from asking import job_of
from pictures import box, bytes_of, noise, pattern, spots
from texsynth.field import atlas as sources
from texsynth.image.picture import Picture
from texsynth.job import Job
from texsynth.metrics import seam as metric
from texsynth.runs import check
from texsynth.runs.run import Result
from texsynth.task import Guide

SIDE = 64
PLAIN = (False, False)


def mask(*sides: tuple[int, int, int, int], side: int = SIDE) -> Tensor:
    return torch.from_numpy(box(side, side, *sides))[None, None]


HOLE = mask((24, 40, 22, 42))


def seam(image: Tensor, hole: Tensor) -> float:
    value = metric.seam(image, hole, [(image, ~hole)], PLAIN)
    assert value is not None
    return value


def texture(name: str = "bricks", h: int = SIDE, w: int = SIDE, seed: int = 0) -> Tensor:
    """A pattern under some grain: its windows have look-alikes, but no equals."""
    plain = torch.from_numpy(pattern(name, h, w)).permute(2, 0, 1)[None] / 255
    return plain * 0.8 + 0.2 * spots(h, w, seed=seed)


@pytest.mark.parametrize("name", ["bricks", "spots"])
def test_any_part_of_a_picture_is_as_good_as_the_rest(name: str) -> None:
    """On average over parts here and there, and seeds; each part has its own share of rare windows."""
    found = []
    for seed in range(2):
        image = texture(seed=seed) if name == "bricks" else spots(SIDE, SIDE, seed=seed)
        found += [seam(image, mask(sides)) for sides in ((24, 40, 22, 42), (0, 24, 0, 24), (28, 38, 0, SIDE))]
    assert np.mean(found) == pytest.approx(1, abs=0.1)
    assert max(found) < 1.4


def test_what_does_not_belong_is_seen() -> None:
    """Another texture, noise, and the same texture in another light or out of step; the smaller the fault, the less."""
    image = texture()
    whole = seam(image, HOLE)
    for other, times in ((texture("slashes"), 2), (noise(1, 3, SIDE, SIDE), 2), (image * 0.7, 1.3)):
        assert seam(torch.where(HOLE, other, image), HOLE) > times * whole
    steps = [seam(torch.where(HOLE, image.roll(step, 2), image), HOLE) for step in (0, 1, 4)]
    assert steps[0] < steps[1] < steps[2]


def test_what_is_copied_from_the_rest_costs_nothing() -> None:
    image = texture()
    assert seam(torch.where(HOLE, image.roll(32, 2), image), HOLE) < seam(image, HOLE)


@pytest.mark.parametrize("dim", [2, 3])
def test_windows_across_a_border_that_wraps_are_compared(dim: int) -> None:
    """A picture of whole periods does well there, one that is cut off is told."""
    tile = (dim == 2, dim == 3)
    found = []
    for side in (64, 59):
        image = texture().narrow(dim, 0, side)
        ends = metric.borders((image.shape[2], image.shape[3]), tile)
        assert int(ends.sum()) == 2 * SIDE
        found.append(metric.seam(image, ends, [(image, torch.ones_like(ends))], tile))
    assert found[0] is not None and found[1] is not None
    assert found[0] < 1.25 < 1.5 < found[1]


@pytest.mark.parametrize("side", [9, 17])
def test_what_is_too_small_to_tell_is_none(side: int) -> None:
    image = spots(side, side)
    assert metric.seam(image, mask((3, 5, 3, 5), side=side), [(image, image[:, :1] >= 0)], PLAIN) is None


@pytest.mark.parametrize("side", [18, 19, 24])
def test_windows_without_any_beyond_their_neighbourhood_do_not_count(side: int) -> None:
    """Small pictures hold windows to which all others are near."""
    image, hole = spots(side, side), mask((0, 3, 0, 3), side=side)
    found = metric.seam(image, hole, [(image, ~hole)], PLAIN)
    assert found is None or np.isfinite(found)


def test_nothing_made_or_nothing_to_compare_with_is_none() -> None:
    image, nothing = spots(SIDE, SIDE), mask()
    everything = ~nothing
    assert metric.seam(image, nothing, [(image, everything)], PLAIN) is None
    assert metric.seam(image, everything, [(image, everything)], PLAIN) is None
    assert metric.seam(image, HOLE, [(image, nothing)], PLAIN) is None


def job(**words: Any) -> Job:
    """To fill the hole of a picture."""
    white = (HOLE[0, 0].numpy() * 255).astype(np.uint8)
    return job_of("inpaint", bytes_of(spots(SIDE, SIDE)), mask=white, **words)


def result(asked: Job, image: Picture | None = None, field: sources.Field | None = None) -> Result:
    return Result(asked.image.pictures[0] if image is None else image, {}, field, {}, (), False, 0.0)


def test_what_does_not_apply_is_none_and_all_of_it_is_json() -> None:
    asked = job()
    found = check.check(result(asked), asked)
    assert json.loads(json.dumps(found)) == found
    assert found["unchanged"] is True
    assert found["changed"] == pytest.approx(float(HOLE.float().mean()))
    assert found["seam"] == pytest.approx(1, abs=0.3)
    assert found["tile_seam"] is found["overlap"] is None
    free = replace(asked, task=replace(asked.task, hole=None, tile=(True, True)))
    found = check.check(result(free), free)
    assert (found["seam"], found["unchanged"], found["changed"]) == (None, None, 1)
    assert isinstance(found["tile_seam"], float)


@pytest.mark.parametrize(("y", "x", "unchanged"), [(0, 0, False), (63, 40, False), (24, 21, False), (30, 30, True)])
def test_a_single_other_pixel_is_seen_outside_the_hole(y: int, x: int, unchanged: bool) -> None:
    asked = job()
    pixels = asked.image.pictures[0].pixels.clone()
    pixels[:, 1, y, x] += 1e-4
    assert check.check(result(asked, replace(asked.image.pictures[0], pixels=pixels)), asked)["unchanged"] is unchanged


def labelled(target: Tensor, source: Tensor, index: Tensor, hidden: str = "labels") -> float | None:
    """The overlap that is found where the output pixel n is copied from the source pixel index[n]."""
    asked = job()
    h, w = source.shape
    task = replace(asked.task, hole=None, size=(h, w), exemplars=(replace(asked.task.exemplars[0], valid=None),))
    task = replace(task, exemplars=(replace(task.exemplars[0], image=noise(1, 3, h, w)),))
    atlas = sources.build_atlas(task, ("none",), 4)
    places = atlas.join(torch.zeros_like(index), index // w, index % w)
    guide = Guide(hidden, (source[None, None].float(),), target[None, None].float(), 1.0, "l0")
    asked = replace(asked, task=replace(task, guides=(guide,)))
    field = sources.Field(places, torch.zeros(h, w), atlas, PLAIN)
    return check.overlap(result(asked, field=field), asked)


IDS = torch.zeros(20, 30, dtype=torch.long)
IDS[4:10, 4:14], IDS[12:18, 18:28] = 1, 2
OWN = torch.arange(600).view(20, 30)


def test_labels_that_lie_where_they_should_overlap_wholly() -> None:
    assert labelled(IDS, IDS, OWN) == 1
    assert labelled(IDS.roll(3, 1), IDS, OWN.roll(3, 1)) == 1
    assert labelled(torch.ones_like(IDS), torch.ones_like(IDS), OWN) == 1


def test_overlap_is_the_mean_over_labels_without_the_background() -> None:
    """One label half a side off, one not at all; then one that is missing."""
    off = IDS.clone()
    off[4:10] = off[4:10].roll(5, 1)
    assert labelled(off, IDS, OWN) == pytest.approx((1 / 3 + 1) / 2, abs=1e-6)
    nowhere = torch.where(IDS == 2, 0, OWN)
    assert labelled(IDS, IDS, nowhere) == pytest.approx(0.5, abs=1e-6)
    assert labelled(IDS, IDS, torch.zeros_like(OWN)) == 0


def test_overlap_needs_labels_and_a_field() -> None:
    assert labelled(IDS, IDS, OWN, "mosaic") is None
    asked = job()
    guide = Guide("labels", (IDS[None, None].float(),), IDS[None, None].float(), 1.0, "l0")
    assert check.overlap(result(asked), replace(asked, task=replace(asked.task, guides=(guide,)))) is None
