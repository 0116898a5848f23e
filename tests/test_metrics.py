"""Metrics: what all of them promise, and each against brute force or a closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from networks import tensors
from pictures import generator, noise, spots
from torch import Tensor
from torch.nn import functional as F

from texsynth import features, metrics
from texsynth.errors import InputError
from texsynth.features import Extract, vgg19
from texsynth.metrics import gram_distance, min_patch, transport
from texsynth.weights import Weights

of_metrics = pytest.mark.parametrize("name", metrics.names())


@pytest.fixture(autouse=True)
def fewer_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transport takes as long as the cube of their number."""
    monkeypatch.setattr(transport, "COUNT", 400)


def network() -> Extract:
    given = Weights("random", "", tensors(("relu3_4",)), (0.5,) * 3, (0.25,) * 3)
    return vgg19.build(vgg19.Settings(), (False, False), given)


def local(image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Features by VGG's names and sizes that see no further than their own cell: colours and their complements."""
    both = torch.cat([image, 1 - image], 1)
    return {name: F.avg_pool2d(both, 1 << int(name[4]) - 1) for name in layers}


def measured(name: str, exemplar: Tensor, output: Tensor, seed: int = 0) -> float:
    module = metrics.metric(name)
    return module.measure(exemplar, output, network() if module.NEEDS else None, generator(seed))


@of_metrics
def test_a_metric_says_what_it_is(name: str) -> None:
    module = metrics.metric(name)
    assert isinstance(module.LOWER_IS_BETTER, bool)
    low, high = module.RANGE
    assert high is None or low < high
    assert "\n" not in module.DESCRIPTION and len(module.DESCRIPTION) > 20
    for needed, layers in module.NEEDS.items():
        assert set(layers) <= set(features.features(needed).LAYERS)


@of_metrics
def test_the_exemplar_itself_scores_better_than_noise(name: str) -> None:
    module, image, other = metrics.metric(name), spots(72, 80), noise(1, 3, 80, 72)
    own, off = measured(name, image, image), measured(name, image, other)
    assert (own < off) == module.LOWER_IS_BETTER
    low, high = module.RANGE
    assert all(low <= value and (high is None or value <= high) for value in (own, off))


@of_metrics
def test_chance_comes_from_the_generator_only(name: str) -> None:
    pair = spots(72, 80), spots(80, 72, seed=1)
    first = measured(name, *pair)
    torch.rand(5)  # chance from elsewhere
    assert measured(name, *pair) == first


@pytest.mark.parametrize(("name", "least"), [("min_patch", 64), ("transport", 46)])
def test_a_picture_that_is_too_small_is_refused(name: str, least: int) -> None:
    enough, small = spots(least, least), spots(least + 8, least - 1)
    assert 0 <= measured(name, enough, enough) < 1
    for pair, which in (((small, enough), "exemplar"), ((enough, small), "output")):
        with pytest.raises(InputError, match=rf"^{name}: the {which} is {least - 1}x{least + 8}, .*{least}x{least}"):
            measured(name, *pair)


# ---- gram distance ----


def test_gram_distance_of_black_is_one_and_of_itself_zero() -> None:
    def squares(image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        return dict.fromkeys(layers, image)

    image = spots(32, 32)
    assert gram_distance.measure(image, torch.zeros(1, 3, 40, 40), squares, generator()) == pytest.approx(1)
    assert gram_distance.measure(image, image, squares, generator()) == 0
    assert gram_distance.measure(image, image * math.sqrt(1.5), squares, generator()) == pytest.approx(0.5)


def test_gram_distance_looks_at_two_scales() -> None:
    """A checkerboard and its mean: alike when halved, the halves of the score differ."""
    board = (torch.arange(32)[:, None] + torch.arange(32)).remainder(2).float().expand(1, 3, 32, 32)

    def plain(image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        return dict.fromkeys(layers, image)

    grey = torch.full_like(board, 0.5)
    assert gram_distance.measure(board, grey, plain, generator()) == pytest.approx(0.5 / 2)


# ---- minimum patch distance ----


def crops(image: Tensor, step: int) -> list[Tensor]:
    h, w = image.shape[2:]
    return [image[:, :, y : y + 64, x : x + 64] for y in range(0, h - 63, step) for x in range(0, w - 63, step)]


def apart(a: Tensor, b: Tensor) -> float:
    """Two crops of 64 x 64, compared as the docstring says."""
    both = [{n: F.normalize(layer) for n, layer in local(c, tuple(min_patch.LAYERS)).items()} for c in (a, b)]
    return sum(float((both[0][n] - both[1][n]).square().sum(1).mean()) for n in both[0]) / len(both[0])


def test_min_patch_is_the_search_over_all_crops() -> None:
    exemplar, output = spots(71, 76), spots(83, 72, seed=1)
    least = [min(apart(a, b) for b in crops(exemplar, 2)) for a in crops(output, 8)]
    assert min_patch.measure(exemplar, output, local, generator()) == pytest.approx(sum(least) / len(least), rel=1e-4)


def test_min_patch_finds_copies_in_step() -> None:
    exemplar = spots(90, 90)
    near, off = (
        min_patch.measure(exemplar, exemplar[..., y : y + 72, x : x + 72], local, generator())
        for y, x in ((6, 10), (7, 11))
    )
    assert near == pytest.approx(0, abs=1e-5)
    assert off > 10 * near


def test_min_patch_looks_at_large_outputs_through_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(min_patch, "TILE", 64)
    monkeypatch.setattr(min_patch, "TILES", 2)
    exemplar, other = spots(96, 104), spots(104, 96, seed=1)
    assert min_patch.measure(exemplar, exemplar, local, generator()) == pytest.approx(0, abs=1e-5)
    sampled = [min_patch.measure(exemplar, other, local, generator(seed)) for seed in (0, 1)]
    assert sampled[0] != sampled[1]
    assert sampled[0] == pytest.approx(sampled[1], rel=0.5)


# ---- transport ----


def mean_cost(cost: Tensor) -> float:
    chosen = transport.assignment(cost, generator())
    assert sorted(chosen.tolist()) == list(range(len(cost)))
    return float(cost.gather(1, chosen[:, None]).mean())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_assignment_is_the_exact_transport_but_for_half_a_percent(seed: int, shift: float) -> None:
    ot = pytest.importorskip("ot")
    a, b = (noise(150, 5, seed=2 * seed + k).double() for k in (0, 1))
    cost = torch.cdist(a + shift, b).square()
    exact = float(ot.emd2([], [], cost.numpy()))
    assert exact - 1e-9 <= mean_cost(cost) <= exact * (1 + transport.ENOUGH)


def test_assignment_in_one_dimension_sorts() -> None:
    a, b = noise(80, 1).double(), 2 * noise(80, 1, seed=1).double()
    exact = float((a.sort(0).values - b.sort(0).values).square().mean())
    assert mean_cost((a - b.T).square()) == pytest.approx(exact, rel=transport.ENOUGH)


@pytest.mark.parametrize("cost", [torch.zeros(6, 6), torch.ones(1, 1), 1 - torch.eye(5), torch.ones(4, 4) / 3])
def test_assignment_ends_where_all_are_alike(cost: Tensor) -> None:
    assert mean_cost(cost) == pytest.approx(float(cost.diag().mean()), abs=1e-3)


def test_transport_of_flat_pictures() -> None:
    """All patches move by the same colour: 16 pixels, three channels."""
    dark, light = torch.full((1, 3, 50, 60), 0.25), torch.full((1, 3, 60, 50), 0.75)
    assert measured("transport", dark, light) == pytest.approx(48 * 0.5**2)
    assert measured("transport", dark, dark) == pytest.approx(0, abs=1e-5)


def test_transport_of_all_patches_sees_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every patch in use an exemplar is like itself, and like itself in another light as far as that goes."""
    monkeypatch.setattr(transport, "SCALES", ("quarter", "eighth"))
    image = 0.5 * spots(80, 80)
    assert measured("transport", image, image) == pytest.approx(0, abs=1e-3)
    assert measured("transport", image, image + 0.25) == pytest.approx(48 * 0.25**2, abs=1e-2)
