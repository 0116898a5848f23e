"""The losses of single-image editing: closed forms, gradients in float64, and what they are blind to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from loss_builders import build, double, value
from pictures import generator, noise
from texsynth.errors import UsageError


def scores(*numbers: float) -> Tensor:
    """Of so many classes, (1, K, 1, 1)."""
    return torch.tensor(numbers, dtype=torch.float64).view(1, -1, 1, 1)


# ---- all of them ----

CASES: dict[str, list[dict[str, Any]]] = {
    "classification": [{}, {"target": 1}],
    "moments": [{}],
    "norm": [{}],
    "variation": [{"measure": "norm"}, {"measure": "norm", "power": 2}, {"measure": "norm", "diagonal": True}],
}
EVERY = pytest.mark.parametrize(
    ("name", "values"), [(n, v) for n, cases in CASES.items() for v in cases], ids=lambda v: str(v).replace("'", "")
)


@EVERY
@pytest.mark.parametrize("counted", ["all", "some"])
def test_gradients_are_exact(name: str, values: Mapping[str, Any], counted: str) -> None:
    share = None if counted == "all" else double(1, 1, 5, 4, seed=3).round(decimals=1)
    of = build(name, double(1, 3, 4, 5), double(1, 3, 4, 4, seed=1), tile=(False, True), share=share, **values)
    x = double(1, 3, 5, 4, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda layer: of({"a": layer}), (x,))


@EVERY
@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_flat_map_has_a_gradient_without_gaps(name: str, values: Mapping[str, Any], level: float) -> None:
    """Channels that are dead, as some always are behind rectifiers, make no infinity."""
    x = torch.full((1, 3, 4, 4), level).requires_grad_()
    build(name, noise(1, 3, 4, 4), **values)({"a": x}).backward()
    assert x.grad is not None and x.grad.isfinite().all()


@pytest.mark.parametrize("name", ["moments", "norm", "variation"])
def test_what_does_not_count_is_not_looked_at(name: str) -> None:
    share = torch.zeros(1, 1, 8, 8)
    share[..., :4] = 1
    of = build(name, noise(1, 3, 8, 8), share=share, **({"measure": "norm"} if name == "variation" else {}))
    first, other = noise(1, 3, 8, 8, seed=1), noise(1, 3, 8, 8, seed=1)
    other[..., 5:] = 7  # behind the neighbours of what counts
    assert value(of, other) == pytest.approx(value(of, first)) != 0
    other[..., 2] = 7
    assert value(of, other) != pytest.approx(value(of, first))


# ---- classification ----


def test_it_is_the_cross_entropy_with_the_class_that_the_exemplar_shows() -> None:
    x = scores(0.3, -1, 2, 0.5)
    for shown, label in ((scores(5, 1, 0, 0), 0), (scores(-4, -3, -2, -1), 3)):
        expected = F.cross_entropy(x[:, :, 0, 0], torch.tensor([label]))
        assert value(build("classification", shown), x) == pytest.approx(float(expected))


@pytest.mark.parametrize("target", range(4))
def test_a_class_that_is_named_comes_before_the_exemplars(target: int) -> None:
    x = scores(0.3, -1, 2, 0.5)
    of = build("classification", scores(9, 0, 0, 0), target=target)
    assert value(of, x) == pytest.approx(float(F.cross_entropy(x[:, :, 0, 0], torch.tensor([target]))))


def test_any_class_of_several_exemplars_will_do() -> None:
    """Minus the logarithm of the sum of their probabilities; two exemplars of one class are one."""
    x = scores(0.3, -1, 2, 0.5)
    chances = x.flatten().softmax(0)
    first, second = scores(9, 0, 0, 0), scores(0, 9, 0, 0)
    assert value(build("classification", first, second), x) == pytest.approx(-math.log(chances[0] + chances[1]))
    assert value(build("classification", first, first * 2), x) == pytest.approx(-math.log(chances[0]))


def test_descending_reaches_the_class() -> None:
    x, of = scores(3, 0, 0, 0).requires_grad_(), build("classification", scores(0, 0, 0, 1))
    for _ in range(20):
        (slope,) = torch.autograd.grad(of({"a": x}), x)
        x = (x - slope).detach().requires_grad_()
    assert int(x.argmax()) == 3


def test_a_map_counts_by_its_mean_over_positions() -> None:
    x, y = double(1, 4, 3, 5), double(1, 4, 2, 2, seed=1)
    pooled = build("classification", y.mean((2, 3), keepdim=True))
    assert value(build("classification", y), x) == pytest.approx(value(pooled, x.mean((2, 3), keepdim=True)))


def test_a_class_that_a_layer_has_not_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"target = 4, but layer a has 4 channels; .* logits of resnet50") as caught:
        build("classification", scores(1, 2, 3, 4), target=4)
    assert "\n" not in str(caught.value)


# ---- moments ----


def test_moments_by_hand() -> None:
    """Means 2 and 5, deviations 1 and 2; and in a second channel, the same of both."""
    here = torch.tensor([[1.0, 3.0], [7.0, 7.0]]).view(1, 2, 1, 2)
    there = torch.tensor([[3.0, 7.0], [7.0, 7.0]]).view(1, 2, 1, 2)
    assert value(build("moments", here), there) == pytest.approx(100 * (9 + 1) / 2)
    assert value(build("moments", here), here) == 0


def test_moments_are_those_of_torch() -> None:
    y, x = double(1, 3, 6, 5), double(1, 3, 4, 7, seed=1)
    (mean, std), (own, spread) = ((m.mean((2, 3)), m.std((2, 3), correction=0)) for m in (y, x))
    expected = 100 * (F.mse_loss(own, mean) + F.mse_loss(spread, std))
    assert value(build("moments", y), x) == pytest.approx(float(expected))


def test_moments_do_not_see_where_things_are() -> None:
    of, x = build("moments", double(1, 3, 6, 6)), double(1, 3, 5, 8, seed=1)
    shuffled = x.flatten(2)[:, :, torch.randperm(40, generator=generator())].view_as(x)
    assert value(of, shuffled) == pytest.approx(value(of, x))


def test_references_are_one_sample() -> None:
    left, right = double(1, 3, 6, 2), double(1, 3, 6, 5, seed=1)
    whole, x = torch.cat([left, right], 3), double(1, 3, 5, 5, seed=2)
    assert value(build("moments", left, right), x) == pytest.approx(value(build("moments", whole), x))


# ---- variation and norm ----


@pytest.mark.parametrize("power", [1, 2])
def test_norms_of_differences_by_hand(power: int) -> None:
    """Every direction has a norm of its own, and these are added."""
    x = torch.tensor([[2.0, 1.0], [0.0, 1.0]]).view(1, 1, 2, 2)
    right, down, across, back = ([-1.0, 1.0], [-2.0, 0.0], [-1.0], [-1.0])
    sizes = [float(torch.tensor(steps).norm(power)) for steps in (right, down, across, back)]
    assert value(build("variation", measure="norm", power=power), x) == pytest.approx(sum(sizes[:2]))
    assert value(build("variation", measure="norm", power=power, diagonal=True), x) == pytest.approx(sum(sizes))


@pytest.mark.parametrize("power", [1, 2])
def test_norm_and_mean_tell_the_same_of_one_direction(power: int) -> None:
    """A ring has as many differences as values."""
    x = double(1, 3, 1, 7)
    norm, mean = (build("variation", tile=(False, True), measure=m, power=power) for m in ("norm", "mean"))
    assert value(norm, x) == pytest.approx((value(mean, x) * x.numel()) ** (1 / power))


def test_the_norm_of_a_picture_is_that_of_its_vector() -> None:
    x = double(1, 3, 4, 5)
    assert value(build("norm"), x) == pytest.approx(math.sqrt(float((x**2).sum())))
    assert value(build("norm"), 3 * x) == pytest.approx(3 * value(build("norm"), x))
