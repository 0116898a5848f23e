"""Margins of the optimising method: borders that do not wrap are optimised as the inside of a larger picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import builders
from builders import ignore, image_of, on_windows, optimising, task
from pictures import generator, identity, mask, spots
from texsynth.methods import optimise
from texsynth.objective import margin as module
from texsynth.task import Canvas, Event, Exemplar, Guide, Stage, Task

PATCHES = on_windows("semidual", patch=4)


def stage(margin: int, **words: Any) -> Stage:
    values = {"objectives": [PATCHES], "coarsest": 12, "steps": [3], "margin": margin, **words}
    return optimising(*values.pop("objectives"), **values)


def run(asked: Task, *stages: Stage) -> Tensor:
    return image_of(builders.run(asked, *stages))


@pytest.mark.parametrize("margin", [1, 5, 40])
def test_the_picture_is_the_task_s_after_every_step(margin: int) -> None:
    """On every level, odd sizes and sides that the margin exceeds among them."""
    shapes: set[tuple[float, ...]] = set()

    def report(event: Event) -> None:
        shapes.add((round(event.level, 1), *event.canvas.image.shape[2:]))

    builders.run(task((21, 34)), stage(margin), stage(margin, scales=[0.7, 1.0], steps=[1]), report=report)
    assert shapes == {(0, 21, 34), (0.5, 15, 24), (1, 11, 17)}


@pytest.mark.parametrize(
    "values", [{"tile": (True, True)}, {"hole": mask(24, 24, (0, 10, 0, 10))}], ids=["tile", "hole"]
)
def test_where_nothing_is_beyond_a_border_there_is_no_margin(values: dict[str, Any]) -> None:
    asked = task(**values)
    assert torch.equal(run(asked, stage(6)), run(asked, stage(0)))


@pytest.mark.parametrize(
    ("tile", "context", "expected"),
    [
        ((False, True), 0.0, (6, 0)),
        ((True, False), 0.0, (0, 6)),
        ((False, False), 0.0, (6, 6)),
        ((False, False), 0.2, (0, 0)),
    ],
)
def test_no_margin_where_an_axis_wraps_or_places_in_the_picture_matter(
    tile: tuple[bool, bool], context: float, expected: tuple[int, int]
) -> None:
    chosen = stage(6, objectives=[on_windows("correspondence", context=context)]).settings
    assert module.sides(task(tile=tile), 6, chosen.objectives) == expected


def test_every_pixel_is_held_by_as_many_patches() -> None:
    """The first step of lbfgs goes along the gradient: towards a flat exemplar as far as a pixel is in patches. Without
    a margin a corner is in 1 of 16 on each layer."""
    flat = Exemplar("a", torch.full((1, 3, 24, 24), 0.8))
    asked = Task((flat,), (24, 24), init=torch.full((1, 3, 24, 24), 0.5))
    words: dict[str, Any] = {"objectives": [{**PATCHES, "ascents": 0}], "optimiser": "lbfgs", "rate": 1.0}
    bare, held = (run(asked, stage(margin, scales=[1.0], steps=[1], **words)) - 0.5 for margin in (0, 6))
    assert float(bare[0, 0, 0, 0] / bare[0, 0, 12, 12]) == pytest.approx(1 / 16, rel=1e-3)
    assert float(held.min()) > 0 and float(held.max() / held.min()) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("margin", [0, 1, 6, 50])
def test_a_margin_can_be_added_and_cut_off(margin: int) -> None:
    image = spots(9, 14)
    for beyond in ((margin, margin), (0, margin), (margin, 0)):
        wider = module.extended(image, beyond)
        assert wider.shape == (1, 3, 9 + 2 * beyond[0], 14 + 2 * beyond[1])
        assert torch.equal(module.cropped(wider, beyond), image)


def test_pictures_are_mirrored_there() -> None:
    wider = module.extended(torch.tensor([1, 2, 3]).expand(1, 1, 3, 3), (0, 5))
    assert wider[0, 0, 0].tolist() == [2, 3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 1, 2]


@pytest.mark.parametrize(("side", "times"), [(16, 1), (16, 2), (17, 2), (32, 0.5)])
def test_a_margin_goes_on_with_what_was_made_there(side: int, times: float) -> None:
    """A ramp over the coarser picture and its margin is one over the finer; beyond that it turns back."""
    wider = torch.linspace(0, 1, side + 12).expand(1, 1, side + 12, side + 12)
    before = module.cropped(wider, (6, 6))
    size = round(side * times) - side % 2
    image = F.interpolate(before, (size, size), mode="bilinear", antialias=times < 1)
    row = module.extended(image, (6, 6), before, wider)[0, 0, 0]
    ramp = row[5:-5] if times < 1 else row
    steps = ramp.diff() * times * (side + 11)
    assert row.shape == (size + 12,)
    assert float(steps.min()) > 0 and float((steps[1:-1] - 1).abs().median()) < 0.1


def test_maps_keep_the_values_of_their_borders() -> None:
    """And pointers turn back, so that what they show is mirrored."""
    ramp = torch.linspace(0, 1, 24).expand(1, 1, 24, 24)
    guide = Guide("a", (ramp,), ramp, strength=1 - ramp)
    blend = torch.cat([ramp, 1 - ramp], 1)
    wider = module.larger(task(guides=(guide,), start=identity(24, 24), blend=blend), (3, 2))
    assert wider.size == (30, 28)
    assert wider.start is not None and wider.blend is not None and wider.guides[0].strength is not None
    assert torch.allclose(wider.blend.sum(1), torch.ones(1, 30, 28))
    for values in (wider.guides[0].target, 1 - wider.guides[0].strength, wider.blend[:, :1]):
        assert torch.allclose(values, F.pad(ramp, (2, 2, 3, 3), mode="replicate"))
    assert wider.start[0, 0, :5, 0].tolist() == [2, 1, 0, 0, 1]
    assert wider.start[0, 1, 0, -4:].tolist() == [22, 23, 23, 22]


@pytest.mark.parametrize("first", ["init", "pointers", "another stage"])
def test_what_is_given_to_start_from_is_still_the_start(first: str) -> None:
    picture, asked = spots(24, 24, seed=4), task()
    canvas = Canvas(picture) if first == "another stage" else None
    if first == "init":
        asked = replace(asked, init=picture)
    if first == "pointers":
        picture = asked.exemplars[0].image.flip(3)
        asked = replace(asked, start=identity(24, 24).flip(3))
    chosen = stage(5, scales=[1.0]).settings
    (level,) = optimise.schedule(asked, chosen)
    start, _ = optimise.begin(asked, canvas, level, chosen, generator(), ignore)
    assert torch.equal(start.image, picture)
    assert torch.equal(start.memory.whole, module.extended(picture, (5, 5)))


def test_a_level_starts_from_the_margin_of_the_one_before() -> None:
    chosen = stage(4, steps=[2]).settings
    coarse, fine = optimise.schedule(task(), chosen)
    rng, asked = generator(), task()
    half, step = optimise.begin(asked.at(1), None, coarse, chosen, rng, ignore)
    half, _ = step(half)
    full, _ = optimise.begin(asked, half, fine, chosen, rng, ignore)
    expected = F.interpolate(half.memory.whole, (40, 40), mode="bilinear")[:, :, 4:36, 4:36]
    ring = F.pad(torch.zeros(1, 3, 24, 24), (4, 4, 4, 4), value=1.0) == 1
    assert torch.equal(full.memory.whole[ring], expected[ring])


def test_the_estimate_counts_the_margin() -> None:
    """In pixels of every level: its share is that of the pixels there."""
    asked, tiled = task((512, 256)), task((512, 256), tile=(True, True))
    none, some = (stage(m, scales=[1.0], steps=[98]).settings for m in (0, 16))
    plain, wide = optimise.estimate(asked, none), optimise.estimate(asked, some)
    assert wide.seconds / plain.seconds == pytest.approx(544 * 288 / (512 * 256))
    assert wide.memory > plain.memory
    assert optimise.estimate(tiled, some) == optimise.estimate(tiled, none)
    half, none = (stage(m, scales=[0.5], steps=[98]).settings for m in (16, 0))
    assert optimise.estimate(asked, half).seconds / optimise.estimate(asked, none).seconds == pytest.approx(
        288 * 160 / (256 * 128)
    )
