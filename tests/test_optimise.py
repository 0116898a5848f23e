"""The optimising method: levels, starts, what a stage before leaves, several objectives, tiling, weights."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import builders
from builders import ignore, on_windows, optimising, task
from networks import random_vgg
from pictures import generator, identity, mask, noise, spots
from texsynth.features import vgg19
from texsynth.field.atlas import turn, turn_guide
from texsynth.guidance import orientation
from texsynth.methods import optimise
from texsynth.objective.copies import rotated, sources
from texsynth.objective.values import Values, balance, values
from texsynth.patches import cut as patches
from texsynth.task import Canvas, Exemplar, Guide, Level, Task
from texsynth.weights import pretrained

GRAM = on_windows("gram", "full")
PATCHES = on_windows("semidual")


def settings(*objectives: Any, **values: Any) -> optimise.Settings:
    chosen = optimising(*(objectives or [PATCHES]), **values).settings
    assert isinstance(chosen, optimise.Settings)
    return chosen


def objectives(asked: Task, chosen: optimise.Settings) -> Values:
    return values(asked, chosen.objectives, chosen.copies, generator())


def run(asked: Task, chosen: optimise.Settings, canvas: Canvas | None = None) -> tuple[Tensor, list[float]]:
    rng, losses = generator(), []
    for level in optimise.schedule(asked, chosen):
        canvas, step = optimise.begin(asked.at(level.scale, level.nearest), canvas, level, chosen, rng, ignore)
        for _ in range(level.steps):
            canvas, loss = step(canvas)
            losses.append(loss)
    assert canvas is not None
    return canvas.image, losses


def vectors(side: int, x: float, y: float) -> Tensor:
    """The same vector everywhere, (1, 2, side, side)."""
    return torch.tensor([x, y]).view(1, 2, 1, 1).expand(1, 2, side, side)


def striped(side: int, along: tuple[float, float], pitch: float) -> tuple[Tensor, Tensor]:
    """Stripes (1, 1, side, side), and the unit vectors along them."""
    direction = F.normalize(vectors(side, *along))
    y, x = identity(side, side).split(1, 1)
    return torch.sin((y * direction[:, :1] - x * direction[:, 1:]) * pitch), direction


def colours(image: Tensor) -> set[tuple[float, ...]]:
    """All colours of (1, 3, h, w)."""
    return {tuple(colour.tolist()) for colour in image[0].flatten(1).T}


@pytest.mark.parametrize(
    ("values", "scales", "steps"),
    [
        ({"coarsest": 32}, [2, 1, 0], [40, 20, 10]),
        ({"coarsest": 16, "steps": (5, 3)}, [3, 2, 1, 0], [5, 5, 5, 3]),
        ({"coarsest": 32, "finest": 64, "steps": (9,)}, [2, 1], [9, 9]),
        ({"scales": (1.0, 0.5), "steps": (7, 2)}, [1, 0], [7, 2]),
    ],
)
def test_levels(values: dict[str, Any], scales: list[float], steps: list[int]) -> None:
    levels = optimise.schedule(task(exemplar=(128, 128)), settings(**values))
    assert [(level.scale, level.steps) for level in levels] == list(zip(scales, steps, strict=True))


def test_a_scale_between_halvings_has_its_own_size() -> None:
    asked = task((40, 60), (40, 40)).at(optimise.schedule(task(), settings(scales=(0.75,)))[0].scale)
    assert (asked.size, asked.exemplars[0].size) == ((30, 45), (30, 30))


def test_levels_may_drop_pixels_in_place_of_averaging() -> None:
    (level,) = optimise.schedule(task(), settings(scales=(0.5,), reduction="nearest"))
    dropped = task().at(level.scale, level.nearest).exemplars[0].image
    assert torch.equal(dropped, task().exemplars[0].image[:, :, ::2, ::2])


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_steps_lower_the_loss(optimiser: str) -> None:
    chosen = settings(GRAM, optimiser=optimiser, rate=0.02 if optimiser == "adam" else 1.0, scales=(1.0,), steps=(25,))
    image, losses = run(task(), chosen)
    assert losses[-1] < 0.2 * losses[0]
    assert float(image.min()) >= 0 and float(image.max()) <= 1


@pytest.mark.parametrize("start", ["noise", "colours", "mean"])
def test_starts(start: str) -> None:
    asked = task((64, 64))
    image, _ = run(asked, settings(start=start, scales=(1.0,), steps=(0,)))
    source = asked.exemplars[0].image
    if start == "noise":
        assert float((image.mean() - 0.5).abs()) < 0.02
        return
    assert float((image.mean((2, 3)) - source.mean((2, 3))).abs().max()) < 0.02
    if start == "colours":
        assert colours(image) <= colours(source)


def test_where_the_task_says_what_to_start_from_that_is_the_first_picture() -> None:
    """Unless another start is asked for, as published methods do, or a picture is given; a guess where it says none."""
    start = identity(24, 30).flip(3)
    start[:, :, 5:9, 5:9] = torch.nan
    asked = task((24, 30), (30, 30), start=start)
    still: dict[str, Any] = {"scales": (1.0,), "steps": (0,)}
    image, _ = run(asked, settings(**still))
    mirrored = asked.exemplars[0].image[:, :, :24].flip(3)
    kept = ~start.isnan().any(1, keepdim=True).expand_as(image)
    assert torch.equal(image[kept], mirrored[kept])
    assert bool(image.isfinite().all()) and float((image - mirrored)[~kept].abs().mean()) < 0.3
    noisy, _ = run(asked, settings(start="noise", **still))
    assert torch.equal(noisy, run(replace(asked, start=None), settings(**still))[0])
    from_picture, _ = run(replace(asked, init=torch.full((1, 3, 24, 30), 0.5)), settings(**still))
    assert float((from_picture - 0.5).abs().max()) < 1e-6


def test_a_start_in_a_hole_is_what_stands_there_first() -> None:
    """And what is known stays."""
    hole = mask(24, 24, (4, 12, 6, 20))
    asked = task(start=identity(24, 24).flip(3), hole=hole)
    source = asked.exemplars[0].image
    image, _ = run(asked, settings(scales=(1.0,), steps=(0,)))
    assert torch.equal(image, torch.where(hole, source.flip(3), source))


@pytest.mark.parametrize("switch", ["on", "off"])
def test_weights_are_shares_of_the_gradient_or_factors_of_the_values(switch: str) -> None:
    """The first value of the loss is the weighted sum of the objectives' own when they are not balanced."""
    asked = task()
    pair = ({**GRAM, "weight": 3.0}, {**GRAM, "patch": 2, "weight": 0.5})
    chosen = settings(*pair, balance=switch, scales=(1.0,), steps=(1,))
    _, (first,) = run(asked, chosen)
    values = [float(value) for value in objectives(asked, chosen)(noise(1, 3, 24, 24))]
    assert (first == pytest.approx(3.0 * values[0] + 0.5 * values[1], rel=1e-4)) == (switch == "off")


def test_colours_come_from_where_it_is_allowed() -> None:
    asked = task()
    left = replace(asked.exemplars[0], valid=mask(24, 24, (0, 24, 0, 2)))
    masked = replace(asked, exemplars=(left,))
    image, _ = run(masked, settings(start="colours", scales=(1.0,), steps=(0,)))
    assert colours(image) <= colours(asked.exemplars[0].image[..., :2])


def test_an_init_picture_is_the_start() -> None:
    first = spots(24, 24, seed=5)
    image, _ = run(task(init=first), settings(scales=(1.0,), steps=(0,)))
    assert torch.equal(image, first)


def test_detail_of_the_stage_before_survives_coarser_levels() -> None:
    """Nothing is done at half size and nothing at full: the picture comes back as it was."""
    before = spots(32, 32, seed=3)
    image, _ = run(task((32, 32)), settings(scales=(0.5, 1.0), steps=(0, 0)), Canvas(before))
    assert float((image - before).abs().max()) < 1e-5


def test_a_coarse_change_is_added_to_the_detail() -> None:
    before, asked = spots(32, 32, seed=3), task((32, 32))
    level = Level(1.0, 0)
    chosen = settings(scales=(0.5, 1.0), steps=(0, 0))
    half, _ = optimise.begin(asked.at(1), Canvas(before), level, chosen, generator(), ignore)
    brighter = replace(half, image=half.image + 0.1)
    full, _ = optimise.begin(asked, brighter, Level(0.0, 0), chosen, generator(), ignore)
    assert torch.allclose(full.image, (before + 0.1).clamp(0, 1), atol=1e-5)


def test_weights_are_shares_of_the_gradient() -> None:
    """Scaling a loss changes nothing: each is measured by its own gradient."""
    asked = task()
    evaluate = objectives(asked, settings(GRAM, dict(GRAM, patch=1)))
    sizes = balance(evaluate, noise(1, 3, 24, 24))
    tenfold = balance(lambda image: [10 * value for value in evaluate(image)], noise(1, 3, 24, 24))
    assert tenfold == pytest.approx([size / 10 for size in sizes], rel=1e-3)


def test_a_tiling_result_wraps() -> None:
    """Windows across the border are as near to the exemplar's as others are."""
    asked = task((32, 32), (32, 32), tile=(True, True))
    image, _ = run(asked, settings(coarsest=16, steps=(60, 30)))
    source = patches.cut(asked.exemplars[0].image, 4, 1)
    across = torch.roll(image, (16, 16), (2, 3))[:, :, 14:18]
    inside = image[:, :, 6:26]
    seam, other = (torch.cdist(patches.cut(x, 4, 1), source).amin(1).mean() for x in (across, inside))
    assert float(seam) < 1.5 * float(other)


def test_two_objectives_on_one_network_run_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = pretrained.read(random_vgg(tmp_path / "vgg19.safetensors", ("relu1_2",)), "vgg19", vgg19.keys(["relu1_2"]))
    calls = []
    plain = vgg19.convolve
    monkeypatch.setattr(vgg19, "convolve", lambda *words: calls.append(1) or plain(*words))
    both = [
        {"loss": "gram", "features": "vgg19", "layers": ["relu1_1"]},
        {"loss": "sliced", "features": "vgg19", "layers": ["relu1_2"]},
    ]
    evaluate = objectives(task(weights={"vgg19": read}), settings(*both))
    calls.clear()
    assert len(evaluate(noise(1, 3, 16, 16))) == 2
    assert len(calls) == 2
    assert optimise.needs(settings(*both)) == {"vgg19": ("relu1_1", "relu1_2")}


def test_a_layer_that_a_small_picture_lacks_counts_nothing() -> None:
    deep = dict(PATCHES, layers=["full", "sixteenth"])
    image, losses = run(task((12, 12), (12, 12)), settings(deep, scales=(1.0,), steps=(2,)))
    assert torch.tensor(losses).isfinite().all() and image.shape == (1, 3, 12, 12)


def test_copies_are_sources_too() -> None:
    """A texture of stripes, asked for with its stripes turned: only with rotations is it near to the source."""
    down = (torch.arange(24) % 6 < 3).float().expand(1, 3, 24, 24).contiguous()
    across = down.transpose(2, 3).contiguous()
    asked = Task((Exemplar("a", down),), (24, 24), init=across)
    cost = {}
    for copies in ("none", "rotations"):
        _, losses = run(asked, settings(PATCHES, copies=copies, scales=(1.0,), steps=(1,)))
        cost[copies] = losses[0]
    assert cost["rotations"] < 0.2 * cost["none"]


@pytest.mark.parametrize("copy", ["none", "rotate-90", "rotate-180", "rotate-270", "flip-x", "flip-y", "transpose"])
def test_directions_turn_with_their_copy(copy: str) -> None:
    """Stripes run along their direction before and after: colours do not change when one follows it."""
    stripes, direction = striped(33, (2.0, 1.0), 0.3)
    turned = turn(stripes, copy)
    vector = turn_guide(direction, copy, "direction")[0, :, 16, 16]
    ends = torch.stack([vector, -vector]).view(1, 1, 2, 2) * 0.5
    along = F.grid_sample(turned, ends, align_corners=True)[0, 0, 0]
    assert float((along - turned[0, 0, 16, 16]).abs().max()) < 0.05


def test_a_guide_without_strength_steers_nothing() -> None:
    """Where the weight map is black the guide adds nothing, where it is white all of it."""
    side = (torch.arange(24) >= 12).float().expand(1, 1, 24, 24)
    words = on_windows("correspondence", "full", occurrence=0)
    values = {}
    for name, strength in (("none", torch.zeros(1, 1, 24, 24)), ("all", torch.ones(1, 1, 24, 24)), ("plain", None)):
        guide = Guide("progression", (side,), side.flip(3), 50.0, "l2", strength)
        (value,) = objectives(task(guides=(guide,)), settings(words))(spots(24, 24, seed=2))
        values[name] = float(value)
    (unguided,) = objectives(task(), settings(words))(spots(24, 24, seed=2))
    assert values["none"] == pytest.approx(float(unguided), rel=1e-5)
    assert values["all"] == pytest.approx(values["plain"], rel=1e-5)
    assert values["plain"] != pytest.approx(values["none"], rel=1e-2)


@pytest.mark.parametrize("degrees", [45, 90, 135, 225])
def test_a_rotated_copy_has_its_stripes_along_its_directions(degrees: float) -> None:
    stripes, direction = striped(48, (3.0, 1.0), 0.5)
    angle = math.radians(degrees)
    measured, _ = orientation.structure(rotated(stripes.expand(1, 3, 48, 48) * 0.5 + 0.5, angle))
    assert orientation.angle_error(measured, rotated(direction, angle, "direction")) < 2
    clockwise = torch.tensor([math.cos(angle), math.sin(angle)])
    along = rotated(vectors(48, 1.0, 0.0), angle, "direction")
    assert torch.allclose(along[0, :, 5, 5], clockwise, atol=1e-5)


def test_a_direction_brings_eight_rotations() -> None:
    east = vectors(24, 1.0, 0.0)
    guide = Guide("orientation", (east,), east, 5.0, "direction")
    assert len(list(sources(task(), "none"))) == 1
    copies = list(sources(task(guides=(guide,)), "none"))
    assert [s.image.shape[3] for s in copies] == [24, 16, 24, 16, 24, 16, 24, 16]
    assert all(s.guides[0].shape[2:] == s.image.shape[2:] for s in copies)
    middle = copies[1].place
    assert middle is not None
    assert middle[0, :, 7:9, 7:9].mean((1, 2)).tolist() == pytest.approx([0.5, 0.5], abs=0.01)


def test_guides_reach_the_loss() -> None:
    """Two flat halves, told apart by a guide only: the output follows its target."""
    image = torch.zeros(1, 3, 24, 24)
    image[..., 12:] = 1
    image += 0.05 * noise(1, 3, 24, 24)
    side = (torch.arange(24) >= 12).float().expand(1, 1, 24, 24)
    guide = Guide("progression", (side,), side.flip(3), 50.0, "l2")
    asked = Task((Exemplar("a", image.clamp(0, 1)),), (24, 24), guides=(guide,))
    words = on_windows("correspondence", "full", stride=3, distance="squared")
    image, _ = run(asked, settings(words, scales=(1.0,), steps=(60,)))
    assert float(image[..., :10].mean() - image[..., 14:].mean()) > 0.5


def test_the_loop_reports_levels_between_halvings() -> None:
    levels: list[float] = []
    stage = optimising(PATCHES, scales=[0.75], steps=[1])
    builders.run(task(), stage, report=lambda event: levels.append(event.level))
    assert levels == pytest.approx([0.415], abs=1e-3)
