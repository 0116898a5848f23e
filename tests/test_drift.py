"""Labels that change slowly inside: they do so in the output as well, and other labels stay as they were."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import Draw, Texsynth, array
from texsynth.field import drift
from texsynth.field.atlas import build_atlas
from texsynth.task import Exemplar, Guide, Task

SIDE, HORIZON, PIECE = 96, 48, 24


def sky(dark: float = 60, bright: float = 180) -> np.ndarray:
    """A label that ramps from dark to bright downwards, over one that does not change: grain in both, (96, 96)."""
    grain = np.random.default_rng(0).normal(0, 12, (SIDE, SIDE))
    rows = np.where(np.arange(SIDE) < HORIZON, np.linspace(dark, 2 * bright - dark, SIDE), 120.0)
    return rows[:, None] + grain


def colours(grey: np.ndarray) -> np.ndarray:
    return np.stack([grey.clip(0, 255)] * 3, 2).astype(np.uint8)


def labels(height: int, width: int, horizon: int) -> np.ndarray:
    """White above the horizon, and black below."""
    return colours(np.where(np.arange(height) < horizon, 255.0, 0.0)[:, None].repeat(width, 1))


def task(grey: np.ndarray, angle: float = 90.0) -> Task:
    """A task whose target, 80 high and 64 wide, has the first label above row 60. The exemplar is turned from pointing
    down to an angle that is a multiple of a right one."""
    turns = round((90 - angle) / 90)
    image = torch.from_numpy(np.rot90(colours(grey) / 255, turns).copy()).float().permute(2, 0, 1)[None]
    source = torch.from_numpy(np.rot90(labels(SIDE, SIDE, HORIZON)[..., 0] == 0, turns).copy()).float()[None, None]
    target = torch.from_numpy(labels(80, 64, 60)[..., 0] == 0).float()[None, None]
    return Task((Exemplar("a", image),), (80, 64), guides=(Guide("labels", (source,), target, 10.0, "l0"),))


def largest_step(picture: np.ndarray) -> float:
    """The largest step of tone between neighbours, of means over half a piece each way."""
    mean = torch.nn.functional.avg_pool2d(torch.from_numpy(picture.astype(float))[None, None], PIECE // 2, 1)[0, 0]
    return float(max(mean.diff(dim=0).abs().max(), mean.diff(dim=1).abs().max()))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_ramp_inside_a_label_comes_back_without_steps(texsynth: Texsynth, draw: Draw, seed: int) -> None:
    """In a square amid the other label, where pieces from the edge of the ramp would fit all round."""
    exemplar = draw("a.png", colours(sky()))
    draw("s.png", labels(SIDE, SIDE, HORIZON))
    square = np.zeros((160, 160))
    square[32:128, 32:128] = 255
    draw("t.png", colours(square))
    words = ("control", "a.png", "--labels", "s.png", "t.png", "-o", "o.png", "-v", "--exact-copies", "--threads", 1)
    ran = texsynth(*words, "--seed", seed)
    assert ran.code == 0 and "labels: #ffffff along 90 degrees (100% sure) change slowly" in ran.err, ran.err
    result, ramp = array("o.png")[32:128, 32:128, 0], exemplar[:HORIZON, :, 0]
    assert largest_step(result) <= 3 * largest_step(ramp) + 1
    quarters = [float(part.mean()) for part in np.array_split(result.astype(float), 4)]
    assert (np.diff(quarters) > 10).all(), quarters


def test_the_direction_is_measured_and_ranks_have_the_proportions_of_their_label() -> None:
    for angle in (90, 0):
        turned = task(sky(), angle)
        (one,) = drift.find(turned)
        assert (one.label, one.exemplar, one.evidence, math.degrees(one.angle)) == (0, 0, 1, pytest.approx(angle))
    down = task(sky())
    guiding = drift.follow_drifts(drift.find(down), down, build_atlas(down, ("none",), 0))
    assert guiding is not None
    ranks = guiding.table[: HORIZON * SIDE, 0], guiding.goal[:60, :, 0].flatten()
    for values in ranks:
        assert values.quantile(torch.tensor([0.25, 0.5, 0.75])).tolist() == pytest.approx([0.25, 0.5, 0.75], abs=0.03)
        assert (values.diff() > -1e-6).all()
    assert (guiding.strength[:60] == drift.WEIGHT * 10).all() and (guiding.strength[60:] == 0).all()


def test_nothing_changes_for_labels_that_are_even_or_otherwise_steered() -> None:
    even, ramp = task(sky(120, 120)), task(sky())
    guide = ramp.guides[0]
    other = Guide("progression", (torch.zeros(1, 1, SIDE, SIDE),), torch.zeros(1, 1, 80, 64))
    twice = replace(guide, sources=guide.sources * 2)
    for steered in (
        even,
        replace(ramp, tile=(True, False)),
        replace(ramp, guides=(guide, other)),
        replace(ramp, guides=(replace(guide, weight=0.0),)),
        replace(ramp, exemplars=ramp.exemplars * 2, guides=(twice,)),
        replace(ramp, hole=torch.ones(1, 1, 80, 64, dtype=torch.bool)),
    ):
        assert drift.find(steered) == ()
    assert drift.find(replace(ramp, tile=(False, True))) != ()
    assert drift.follow_drifts((), even, build_atlas(even, ("none",), 0)) is None
