"""Holes in the optimising method: all else stays, the filling fits, and only a window around the hole is worked on."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import builders
from builders import LOSSES, ignore, image_of, on_windows, optimising
from networks import random_vgg
from pictures import generator, mask, noise, spots
from texsynth.features import vgg19
from texsynth.image import holes
from texsynth.methods import optimise
from texsynth.objective.copies import sources
from texsynth.objective.values import values
from texsynth.objective.window import WHOLE, window, within
from texsynth.task import Canvas, Exemplar, Guide, Level, Stage, Task
from texsynth.weights import pretrained

PATCHES = on_windows("semidual", patch=4)


def stage(*objectives: Any, **words: Any) -> Stage:
    return optimising(*(objectives or [PATCHES]), **words)


def holed(image: Tensor, top: int, left: int, height: int, width: int, **words: Any) -> Task:
    """The task to fill a rectangle of a picture."""
    hole = mask(image.shape[2], image.shape[3], (top, top + height, left, left + width))
    source = Exemplar("a", holes.smooth(image, hole), ~hole)
    return Task((source,), (image.shape[2], image.shape[3]), hole=hole, **words)


def run(asked: Task, chosen: Stage, seed: int = 0) -> tuple[Tensor, list[float]]:
    outcome = builders.run(asked, chosen, seed=seed)
    return image_of(outcome), [loss for *_, loss in outcome.losses]


def stripes(side: int) -> Tensor:
    return (torch.arange(side) % 8 < 4).float().expand(1, 3, side, side).contiguous() * 0.8 + 0.1


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
@pytest.mark.parametrize("tile", [(False, False), (True, False)])
def test_known_pixels_never_move(optimiser: str, tile: tuple[bool, bool]) -> None:
    image = spots(40, 36)
    asked = holed(image, 12, 20, 9, 8, tile=tile)
    rate = 0.05 if optimiser == "adam" else 1.0
    filled, _ = run(asked, stage(optimiser=optimiser, rate=rate, scales=(0.5, 1.0), steps=(5,)))
    assert asked.hole is not None
    hole = asked.hole.expand_as(image)
    assert torch.equal(filled[~hole], image[~hole])
    assert float((filled - asked.exemplars[0].image)[hole].abs().mean()) > 0.01


def test_known_pixels_are_those_of_each_level() -> None:
    asked = holed(spots(32, 32), 10, 10, 9, 9).at(1)
    chosen = stage(scales=(0.5,), steps=(2,)).settings
    canvas, step = optimise.begin(asked, Canvas(noise(1, 3, 32, 32)), Level(1, 2), chosen, generator(), ignore)
    assert asked.hole is not None
    outside = ~asked.hole.expand_as(canvas.image)
    for each in (canvas, step(canvas)[0]):
        assert torch.equal(each.image[outside], asked.exemplars[0].image[outside])


def test_stripes_go_on_through_a_hole() -> None:
    image = stripes(48)
    asked = holed(image, 17, 15, 14, 16)
    filled, _ = run(asked, stage(coarsest=24, steps=(60, 40)))
    before, after = ((x - image).square().mean().sqrt() for x in (asked.exemplars[0].image, filled))
    assert float(after) < 0.3 * float(before)


def test_a_hole_starts_from_the_guess_or_what_was_there() -> None:
    """The guess; in place of it an init picture; in place of both what a stage before made."""
    image, none = spots(24, 24), stage(scales=(1.0,), steps=(0,)).settings
    asked = holed(image, 8, 8, 6, 6)
    white, black = torch.ones_like(image), torch.zeros_like(image)

    def first(task: Task, canvas: Canvas | None = None) -> Tensor:
        return optimise.begin(task, canvas, Level(0, 0), none, generator(), ignore)[0].image

    assert torch.equal(first(asked), asked.exemplars[0].image)
    for start in (first(replace(asked, init=white)), first(replace(asked, init=black), Canvas(white))):
        assert asked.hole is not None
        assert torch.equal(start, torch.where(asked.hole, white, image))


def test_a_level_without_a_hole_does_nothing() -> None:
    """Specks everywhere are lost at half size, and the level keeps its steps all the same."""
    image, specks = spots(24, 24), torch.zeros(1, 1, 24, 24, dtype=torch.bool)
    specks[:, :, ::2, ::2] = True
    asked = Task((Exemplar("a", holes.smooth(image, specks), ~specks),), (24, 24), hole=specks)
    chosen = stage({**PATCHES, "layers": ["full"], "patch": 1}, scales=(0.5, 1.0), steps=(3,))
    filled, losses = run(asked, chosen)
    assert [loss == 0 for loss in losses] == [True] * 3 + [False] * 3 and filled.shape[2:] == (24, 24)
    canvas, step = optimise.begin(asked.at(1), None, Level(1, 3), chosen.settings, generator(), ignore)
    assert step(canvas) == (canvas, 0.0)
    assert torch.equal(canvas.image, asked.at(1).exemplars[0].image)


def test_a_picture_that_may_not_be_a_source_is_none() -> None:
    """A black picture with a hole that another exemplar alone fills: with its grey."""
    asked = holed(torch.zeros(1, 3, 24, 24), 8, 8, 8, 8)
    barred = replace(asked.exemplars[0], valid=torch.zeros(1, 1, 24, 24, dtype=torch.bool))
    grey = Exemplar("b", torch.full((1, 3, 16, 20), 0.6))
    both = replace(asked, exemplars=(barred, grey))
    assert {s.exemplar for s in sources(both, "rotations")} == {1}
    filled, _ = run(both, stage({**PATCHES, "layers": ["full"]}, scales=(1.0,), steps=(60,), rate=0.05))
    assert float((filled[:, :, 10:14, 10:14] - 0.6).abs().max()) < 0.03


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", ["box", "gaussian"])
def test_the_neighbourhood_is_all_that_matters(name: str, reduction: str) -> None:
    """The window around a hole has the loss and the gradient of the whole picture."""
    chosen = stage(on_windows(name, reduction=reduction)).settings
    asked = holed(spots(64, 72), 40, 36, 5, 7)
    where = window(asked, chosen.objectives)
    assert where[2].start > 0 and where[3].stop < 72
    image, slopes, losses = asked.exemplars[0].image, [], []
    for area in (WHOLE, where):
        pixels = image[area].clone().requires_grad_()
        (value,) = values(within(asked, area), chosen.objectives, "none", generator())(pixels)
        value.backward()
        assert pixels.grad is not None and asked.hole is not None
        slopes.append(pixels.grad[asked.hole[area].expand_as(pixels)])
        losses.append(float(value.detach()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-3, atol=1e-6)


def test_the_neighbourhood_of_a_network_is_wide_enough(tmp_path: Path) -> None:
    layers = ("relu1_2", "relu2_2", "relu3_4")
    read = pretrained.read(random_vgg(tmp_path / "v.safetensors"), "vgg19", vgg19.keys(layers))
    words = {"loss": "semidual", "features": "vgg19", "layers": list(layers), "patch": 1, "sample": 0, "ascents": 1}
    chosen = stage(words).settings
    asked = holed(spots(144, 112), 70, 100, 4, 5, weights={"vgg19": read})
    where = window(asked, chosen.objectives)
    assert where[2].start > 0 and where[2].stop < 144 and where[3].start > 0
    image = asked.exemplars[0].image
    evaluate = (values(within(asked, area), chosen.objectives, "none", generator()) for area in (WHOLE, where))
    with torch.no_grad():
        whole, part = (float(value(image[area])[0]) for value, area in zip(evaluate, (WHOLE, where), strict=True))
    assert whole == pytest.approx(part, rel=1e-4)


def test_where_a_place_in_the_whole_picture_matters_all_of_it_is_kept() -> None:
    asked = holed(spots(64, 64), 30, 30, 4, 4)

    def span(context: float, tile: tuple[bool, bool] = (False, False)) -> tuple[int, int]:
        chosen = stage(on_windows("correspondence", "full", context=context)).settings
        return within(asked, window(replace(asked, tile=tile), chosen.objectives)).size

    assert span(0.5) == (64, 64) and max(span(0.0)) < 32
    assert span(0.0, (False, True)) == (span(0.0)[0], 64)


def test_guides_reach_into_a_hole() -> None:
    """Two flat halves, and a guide that asks for the one or the other."""
    image = 0.1 * noise(1, 3, 40, 40)
    image[..., 20:] += 0.8
    side = (torch.arange(40) >= 20).float().expand(1, 1, 40, 40)
    words = on_windows("correspondence", "full", stride=3, distance="squared")
    for wanted in (0.0, 1.0):
        guide = Guide("progression", (side,), torch.full((1, 1, 40, 40), wanted), 50.0)
        asked = holed(image, 16, 16, 8, 8, guides=(guide,))
        filled, _ = run(asked, stage(words, scales=(1.0,), steps=(60,), rate=0.05))
        assert float((filled[:, :, 18:22, 18:22] - 0.05 - 0.8 * wanted).abs().mean()) < 0.15


def test_a_small_hole_is_estimated_as_cheap() -> None:
    chosen = stage().settings
    small, large = (holed(spots(512, 512), 200, 200, side, side) for side in (20, 220))
    costs = [optimise.estimate(task, chosen) for task in (small, large, replace(small, hole=None))]
    assert all(less.memory < more.memory and less.seconds < more.seconds for less, more in pairwise(costs))
