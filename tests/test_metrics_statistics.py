"""Metrics of statistics and of nearest vectors, each against independent code and on pairs whose value is known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from networks import random_features
from pictures import generator, noise, spots
from texsynth.errors import InputError
from texsynth.features import windows
from texsynth.metrics import (
    NotApplicable,
    Pair,
    diversity_po,
    nn_conv1,
    nn_pixel,
    quality_po,
    sifid,
    sliced,
    style_distance,
)
from texsynth.patches.cut import cut


def louder(image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """The network with other units."""
    return {name: 7 * layer for name, layer in random_features()(image, layers).items()}


def layer(name: str, image: Tensor, exemplar: Tensor) -> np.ndarray:
    """The vectors (n, C) of a layer, divided by the mean of the exemplar's."""
    maps = [random_features()(each, (name,))[name].double() for each in (image, exemplar)]
    rows: np.ndarray = (maps[0] / maps[1].mean())[0].flatten(1).T.numpy()
    return rows


def flat(value: float, h: int = 40, w: int = 44) -> Tensor:
    return torch.full((1, 3, h, w), value)


PAIR = Pair(spots(40, 44), spots(44, 36, seed=1))
of_networks = pytest.mark.parametrize("module", [sifid, quality_po, style_distance, nn_conv1, diversity_po])


@of_networks
def test_units_of_the_network_do_not_matter(module) -> None:  # type: ignore[no-untyped-def]
    pair = Pair(PAIR.exemplar, PAIR.output, (PAIR.output.flip(2),))
    values = [module.measure(pair, extract, generator()) for extract in (random_features(), louder)]
    assert values[0] == pytest.approx(values[1], rel=1e-4)
    assert values[0] > 0


@pytest.mark.parametrize("module", [sifid, quality_po, style_distance, nn_conv1])
def test_the_exemplar_with_itself_is_zero(module) -> None:  # type: ignore[no-untyped-def]
    pair = Pair(PAIR.exemplar, PAIR.exemplar.clone())
    assert module.measure(pair, random_features(), generator()) == pytest.approx(0, abs=1e-6)


# ---- sliced ----


def slices(pair: Pair, scale: str) -> float:
    """The squared sliced distance of all patches of a scale, by POT."""
    ot = pytest.importorskip("ot")
    pyramid = windows.build(windows.Settings(reduction="gaussian"), (False, False), None)
    sides = [cut(pyramid(image, (scale,))[scale], sliced.PATCH, 1).double() for image in (pair.exemplar, pair.output)]
    directions = F.normalize(torch.randn(sliced.DIRECTIONS, 3 * sliced.PATCH**2, generator=generator()))
    arrays = [side.numpy() for side in sides]
    return float(ot.sliced_wasserstein_distance(*arrays, projections=directions.T.double().numpy())) ** 2


@pytest.mark.parametrize(("output", "close"), [(spots(40, 44, seed=1), 1e-4), (spots(52, 60, seed=1), 1e-3)])
def test_sliced_is_the_sliced_transport_of_pot(output: Tensor, close: float) -> None:
    """Exactly where both sides have as many patches, and nearly so where ranks lie between patches."""
    pair = Pair(spots(40, 44), output)
    wanted = sum(slices(pair, scale) for scale in sliced.SCALES) / len(sliced.SCALES)
    assert sliced.measure(pair, None, generator()) == pytest.approx(wanted, rel=close)


def test_sliced_grows_with_the_square_of_a_shift_and_sees_no_order() -> None:
    dark = 0.5 * spots(40, 44)
    values = [sliced.measure(Pair(dark, dark + shift), None, generator()) for shift in (0.0, 0.2, 0.4)]
    assert values[0] == 0
    assert values[2] == pytest.approx(4 * values[1], rel=1e-3)
    assert sliced.measure(Pair(flat(0.2), flat(0.2, 60, 34)), None, generator()) == pytest.approx(0, abs=1e-9)


# ---- Frechet distance ----


@pytest.mark.parametrize("rank", [3, 8])
def test_frechet_distance_is_that_of_scipy(rank: int) -> None:
    """Also where covariances are singular, as those of few channels in use are."""
    linalg = pytest.importorskip("scipy.linalg")
    mixing = noise(rank, 8)
    sides = [(noise(60, rank, seed=seed) @ mixing * (seed + 1) + seed).double() for seed in (0, 1)]
    means, covariances = zip(*((s.numpy().mean(0), np.cov(s.numpy().T)) for s in sides), strict=True)
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    wanted = ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert sifid.frechet(*sides) == pytest.approx(wanted, rel=1e-4)


def test_frechet_distance_of_known_gaussians() -> None:
    """A shift counts by its square, a scale by the square of what it adds to the deviations."""
    rows = noise(100, 5).double()
    assert sifid.frechet(rows, rows + 0.3) == pytest.approx(5 * 0.3**2)
    assert sifid.frechet(rows, (rows - rows.mean(0)) * 3 + rows.mean(0)) == pytest.approx(4 * rows.var(0).sum().item())


def test_sifid_is_the_frechet_distance_of_the_layer() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    one, other = (layer("relu1_2", image, PAIR.exemplar) for image in (PAIR.exemplar, PAIR.output))
    covariances = np.cov(one.T), np.cov(other.T)
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    wanted = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)
    assert one.shape[1] == 64
    assert sifid.measure(PAIR, random_features(), generator()) == pytest.approx(wanted, rel=1e-3)


# ---- Gram matrices ----


def gram_terms(layers: Sequence[str]) -> list[float]:
    """The mean squared difference of Gram entries of each layer, by loops over channels."""
    terms = []
    for name in layers:
        one, other = (layer(name, image, PAIR.exemplar) for image in (PAIR.exemplar, PAIR.output))
        channels = range(one.shape[1])
        differences = [(one[:, i] @ one / len(one) - other[:, i] @ other / len(other)) for i in channels]
        terms.append(float(np.mean(np.square(differences))))
    return terms


def test_quality_is_the_weighted_sum_of_squared_gram_differences() -> None:
    parts = quality_po.details(PAIR, random_features(), generator())
    wanted = [1e5 / 4 * term for term in gram_terms(quality_po.LAYERS)]
    assert tuple(parts) == quality_po.LAYERS
    assert list(parts.values()) == pytest.approx(wanted, rel=1e-3)
    assert quality_po.measure(PAIR, random_features(), generator()) == pytest.approx(sum(wanted), rel=1e-3)


def test_style_distance_is_the_mean_squared_gram_difference() -> None:
    wanted = np.mean(gram_terms(style_distance.LAYERS))
    assert style_distance.measure(PAIR, random_features(), generator()) == pytest.approx(wanted, rel=1e-3)


# ---- diversity ----


def test_diversity_is_the_mean_over_pairs_of_outputs() -> None:
    outputs = tuple(spots(36, 40, seed=seed) for seed in (1, 2, 3))
    maps = [layer(diversity_po.LAYER, image, PAIR.exemplar) for image in outputs]
    wanted = np.mean([np.abs(one - other).mean() for one, other in combinations(maps, 2)])
    orders = [Pair(PAIR.exemplar, outputs[k], outputs[:k] + outputs[k + 1 :]) for k in (0, 2)]
    for pair in orders:
        assert diversity_po.measure(pair, random_features(), generator()) == pytest.approx(wanted, rel=1e-4)


def test_outputs_that_are_the_same_have_no_diversity() -> None:
    pair = Pair(PAIR.exemplar, PAIR.output, (PAIR.output.clone(), PAIR.output.clone()))
    assert diversity_po.measure(pair, random_features(), generator()) == 0


def test_diversity_needs_outputs_of_one_size() -> None:
    with pytest.raises(NotApplicable, match="at least two"):
        diversity_po.measure(PAIR, random_features(), generator())
    with pytest.raises(InputError, match="36x44 and 44x40; they must be of one size"):
        diversity_po.measure(Pair(PAIR.exemplar, PAIR.output, (PAIR.exemplar,)), random_features(), generator())


# ---- nearest vectors ----


@pytest.mark.parametrize("count", [4096, 100])
def test_nearest_pixels_and_features_are_the_search_over_all(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn_pixel, "POSITIONS", count)
    monkeypatch.setattr(nn_conv1, "POSITIONS", count)
    colours = [image[0].permute(1, 2, 0).double().numpy() for image in (PAIR.exemplar, PAIR.output)]
    vectors = [layer("relu1_1", i, PAIR.exemplar).reshape(*i.shape[2:], -1) for i in (PAIR.exemplar, PAIR.output)]
    step = 1 if count > 44 * 36 else 4
    for module, (one, other) in ((nn_pixel, colours), (nn_conv1, vectors)):
        queries, keys = other[::step, ::step].reshape(-1, one.shape[2]), one.reshape(-1, one.shape[2])
        wanted = np.mean([((query - keys) ** 2).mean(1).min() for query in queries])
        assert module.measure(PAIR, random_features(), generator()) == pytest.approx(wanted, rel=1e-3)


def test_nearest_pixel_of_the_same_colours_elsewhere_is_zero() -> None:
    image = spots(40, 44)
    shuffled = image.flatten(2)[:, :, torch.randperm(40 * 44, generator=generator())].view_as(image)
    assert nn_pixel.measure(Pair(image, shuffled), None, generator()) == 0
    assert nn_pixel.measure(Pair(flat(0.0), flat(0.5)), None, generator()) == pytest.approx(0.25)
