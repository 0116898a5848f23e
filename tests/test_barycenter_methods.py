"""Blends of several exemplars by the optimising method: barycenters of their patches and features."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from builders import LOSSES, ignore, image_of, on_windows, optimising, run
from pictures import generator, noise, spots
from texsynth.methods import optimise
from texsynth.objective.values import balance, values
from texsynth.task import Exemplar, Level, Task

FLAT = on_windows("semidual", "full", ascents=2, sample=50)
BOTH = (Exemplar("a", spots(24, 20)), Exemplar("b", spots(20, 24, seed=1)))


def blend(*shares: float | Tensor, size: tuple[int, int] = (24, 24)) -> Tensor:
    """Numbers or maps (h, w) as (1, K, h, w)."""
    return torch.stack([torch.as_tensor(share, dtype=torch.float32).expand(size) for share in shares])[None]


def flat(*colours: tuple[float, float, float], size: tuple[int, int] = (16, 16)) -> tuple[Exemplar, ...]:
    return tuple(
        Exemplar(str(n), torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, *size).contiguous())
        for n, colour in enumerate(colours)
    )


def measured(asked: Task, words: dict[str, Any], image: Tensor, seed: int = 0, times: int = 1) -> float:
    evaluate = values(asked, optimising(words).settings.objectives, "none", generator(seed))
    return [float(evaluate(image)[0].detach()) for _ in range(times)][-1]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("which", [0, 1])
def test_the_whole_share_of_one_exemplar_is_that_exemplar_alone(name: str, which: int) -> None:
    image, shares = noise(1, 3, 24, 24, seed=3), [float(which == k) for k in range(2)]
    blended = measured(Task(BOTH, (24, 24), blend=blend(*shares)), on_windows(name), image, times=2)
    alone = measured(Task((BOTH[which],), (24, 24)), on_windows(name), image, times=2)
    assert blended == pytest.approx(alone, rel=1e-4)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"sliced"}))
def test_the_value_is_the_sum_of_what_each_has_in_it(name: str) -> None:
    """Each exemplar has a loss, and a potential that climbs, of its own. (Sliced draws its directions for each.)"""
    image, words = noise(1, 3, 24, 24, seed=3), on_windows(name)
    blended = measured(Task(BOTH, (24, 24), blend=blend(0.3, 0.7)), words, image, times=3)
    alone = [measured(Task((each,), (24, 24)), words, image, times=3) for each in BOTH]
    assert blended == pytest.approx(0.3 * alone[0] + 0.7 * alone[1], rel=1e-4)
    if name != "variation":  # which looks at no exemplar
        assert measured(Task(BOTH, (24, 24)), words, image, times=3) != pytest.approx(blended, rel=1e-2)


@pytest.mark.parametrize("weights", [(0.25, 0.75), (0.2, 0.3, 0.5)])
@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_the_barycenter_of_flat_colours_is_their_mean(weights: tuple[float, ...], optimiser: str) -> None:
    """That of points is, for the squared distance."""
    colours = ((0.9, 0.1, 0.4), (0.2, 0.6, 0.5), (0.3, 0.9, 0.0))[: len(weights)]
    asked = Task(flat(*colours), (16, 16), blend=blend(*weights, size=(16, 16)))
    rate, steps = (0.02, 120) if optimiser == "adam" else (1.0, 15)
    stage = optimising(FLAT, optimiser=optimiser, rate=rate, scales=(1.0,), steps=(steps,), start="mean")
    image = image_of(run(asked, stage))
    expected = sum(w * torch.tensor(c) for w, c in zip(weights, colours, strict=True))
    assert float((image - torch.as_tensor(expected).view(1, 3, 1, 1)).abs().max()) < 0.03


@pytest.mark.parametrize("name", ["semidual", "sliced"])
def test_a_blend_may_change_over_the_output(name: str) -> None:
    ramp = torch.linspace(0, 1, 32).expand(24, 32)
    asked = Task(flat((0.1, 0.2, 0.9), (0.9, 0.6, 0.1)), (24, 32), blend=blend(1 - ramp, ramp, size=(24, 32)))
    words = on_windows(name, "full", patch=1, **({"sample": 50} if name == "semidual" else {"fixed": "call"}))
    image = image_of(run(asked, optimising(words, rate=0.05, scales=(1.0,), steps=(80,), start="mean")))
    expected = torch.stack([0.1 + 0.8 * ramp[0], 0.2 + 0.4 * ramp[0], 0.9 - 0.8 * ramp[0]])
    assert float((image[0].mean(1) - expected).abs().mean()) < 0.03  # sliced draws places, so single ones are rough


def test_a_map_keeps_exemplars_to_their_places() -> None:
    left = (torch.arange(24) < 12).float()
    asked = Task(flat((0.1, 0.2, 0.9), (0.9, 0.6, 0.1)), (24, 24), blend=blend(left, 1 - left))
    image = image_of(run(asked, optimising(FLAT, rate=0.05, scales=(1.0,), steps=(60,))))
    assert float((image[0, :, :, :9] - torch.tensor([0.1, 0.2, 0.9]).view(3, 1, 1)).abs().max()) < 0.05
    assert float((image[0, :, :, 15:] - torch.tensor([0.9, 0.6, 0.1]).view(3, 1, 1)).abs().max()) < 0.05


def first(asked: Task, start: str) -> Tensor:
    chosen = optimising(FLAT, scales=(1.0,), steps=(0,), start=start).settings
    return optimise.begin(asked, None, Level(0, 0), chosen, generator(), ignore)[0].image


def test_a_start_of_colours_is_drawn_in_proportion() -> None:
    """From each exemplar as often as its share says, everywhere."""
    ramp = torch.linspace(0, 1, 64).expand(64, 64)
    asked = Task(flat((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), (64, 64), blend=blend(1 - ramp, ramp, size=(64, 64)))
    image = first(asked, "colours")
    assert torch.equal(image[:, 0] + image[:, 1], torch.ones(1, 64, 64))
    assert float((image[0, 1].mean(0) - ramp[0]).abs().mean()) < 0.06
    assert not image[0, 1, :, 0].any() and image[0, 1, :, -1].all()


def test_a_start_of_the_mean_is_the_blended_mean() -> None:
    ramp = torch.linspace(0, 1, 32).expand(32, 32)
    asked = Task(flat((0.8, 0.2, 0.5), (0.2, 0.6, 0.5)), (32, 32), blend=blend(1 - ramp, ramp, size=(32, 32)))
    image = first(asked, "mean")
    assert float((image[0, 0].mean(0) - (0.8 - 0.6 * ramp[0])).abs().max()) < 0.01


def test_objectives_stay_in_balance() -> None:
    """The scale of an objective is that of its sum over exemplars: doubling all shares halves it."""
    sizes = []
    for factor in (1.0, 2.0):
        asked = Task(BOTH, (24, 24), blend=factor * blend(0.5, 0.5))
        chosen = optimising(on_windows("gram"), on_windows("semidual", ascents=0)).settings
        sizes.append(balance(values(asked, chosen.objectives, "none", generator()), noise(1, 3, 24, 24)))
    assert sizes[0] == pytest.approx([2 * size for size in sizes[1]], rel=1e-3)


def test_every_exemplar_of_a_blend_is_estimated() -> None:
    chosen, size = optimising(on_windows("semidual")).settings, (512, 512)
    plain = optimise.estimate(Task(BOTH, size), chosen)
    blended = optimise.estimate(Task(BOTH, size, blend=blend(0.5, 0.5, size=size)), chosen)
    assert blended.seconds > 1.5 * plain.seconds
