"""Metrics of where the output takes from, of statistics and of nearest vectors, against independent code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from networks import measured, random_features
from pictures import generator, noise, pattern, spots
from texsynth.errors import InputError
from texsynth.features import windows
from texsynth.guidance.orientation import built_in
from texsynth.metrics import (
    NotApplicable,
    Pair,
    copy_rate,
    diversity_po,
    nn_conv1,
    nn_pixel,
    orientation,
    progression,
    quality_po,
    repetition,
    sifid,
    sliced,
    style_distance,
    use,
)
from texsynth.patches import matches
from texsynth.patches.cut import cut
from texsynth.task import Guide


@pytest.fixture(autouse=True)
def fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures have few windows."""
    monkeypatch.setattr(matches, "FITTED_WINDOWS", 1000)


def flat(value: float, h: int = 40, w: int = 44) -> Tensor:
    return torch.full((1, 3, h, w), value)


# ---- copies ----


def copied(exemplar: Tensor, output: Tensor) -> float:
    return measured("copy_rate", Pair(exemplar, output))


def test_copy_rate_is_the_search_over_all_patches() -> None:
    """An output of copies and of noise."""
    exemplar, output = spots(30, 33), noise(1, 3, 40, 24)
    output[..., 3:25, 2:24] = exemplar[..., 5:27, 7:29]
    patches = [image.unfold(2, 16, 1).unfold(3, 16, 1)[0] for image in (exemplar, output)]  # (3, y, x, 16, 16)
    keys, queries = (p.permute(1, 2, 0, 3, 4).flatten(0, 1).flatten(1) for p in patches)
    wanted = sum(bool(((keys - query).abs().amax(1) <= 2.5 / 255).any()) for query in queries) / len(queries)
    assert 0 < wanted < 1
    assert copied(exemplar, output) == pytest.approx(wanted)


def test_copies_are_found_at_any_place_and_but_for_rounding() -> None:
    exemplar = spots(60, 64)
    copy = exemplar[..., 3:43, 11:60]
    outputs = (copy, copy + 2 / 255, copy + 3 / 255, copy.flip(3), flat(0.5, 20, 20))
    assert [copied(exemplar, output) for output in outputs] == [1, 1, 0, 0, 0]
    assert copied(flat(0.5, 20, 20), flat(0.5, 24, 20)) == 1


@pytest.mark.parametrize("entries", [1, 1 << 23])
def test_copy_rate_of_a_sample_is_near_that_of_all(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    exemplar = spots(36, 40)
    half = torch.cat([exemplar, spots(36, 40, seed=1)], 3)
    monkeypatch.setattr(copy_rate, "PATCHES", 1 << 20)
    whole = copied(exemplar, half)
    monkeypatch.setattr(copy_rate, "PATCHES", 200)
    monkeypatch.setattr(copy_rate, "DISTANCES_AT_ONCE", entries)
    assert copied(exemplar, half) == pytest.approx(whole, abs=0.1)
    assert whole == pytest.approx((40 - 15) / (80 - 15))


# ---- nearest windows, and the use of the exemplar ----


def test_windows_of_a_copy_are_found_where_they_are() -> None:
    exemplar = spots(50, 60)
    pairs = matches.match(exemplar, exemplar[..., 4:44, 9:57], generator())
    assert torch.equal(pairs.source, pairs.output + torch.tensor([4, 9]))
    assert len(pairs.output) == (40 - 14) * (48 - 14)


def test_places_in_halved_pictures_are_those_of_the_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matches, "WORKING_SIDE", 32)
    monkeypatch.setattr(matches, "OUTPUT_WINDOWS", 100)
    exemplar = spots(70, 80)
    pairs = matches.match(exemplar, exemplar[..., 4:70, 8:76], generator())
    assert len(pairs.output) <= 100
    assert torch.equal(pairs.source, pairs.output + torch.tensor([4, 8]))
    places = torch.stack([torch.arange(70.0)[:, None].expand(70, 80), torch.arange(80.0).expand(70, 80)])[None]
    assert torch.equal(matches.read(places, pairs.source).long(), pairs.source)


def test_use_is_even_where_the_output_is_the_exemplar() -> None:
    exemplar = spots(78, 78)
    assert measured("use", Pair(exemplar, exemplar)) == 0
    assert measured("use", Pair(exemplar, exemplar.repeat(1, 1, 2, 2))) < 0.25  # but for windows across its borders


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_use_of_a_part_lacks_the_rest(share: float) -> None:
    """Windows in 8 equal rows of cells, of which so many are used alike."""
    exemplar = spots(78, 78)
    part = exemplar[:, :, : round(64 * share) + 14]
    assert measured("use", Pair(exemplar, part)) == pytest.approx(1 - share)
    assert use.CELLS == 8


# ---- repetition ----


def correlation(image: Tensor, y: int, x: int) -> float:
    """Of what overlaps when (C, h, w) is moved by (y, x), y >= 0."""
    h, w = image.shape[1:]
    one = image[:, : h - y, max(0, -x) : w - max(0, x)]
    other = image[:, y:, max(0, x) : w - max(0, -x)]
    return float((one * other).sum() / (one.square().sum() * other.square().sum()).sqrt())


def test_a_peak_is_the_highest_correlation_at_a_distance() -> None:
    image = spots(20, 26) - 0.5
    offsets = [(y, x) for y in range(11) for x in range(-13, 14) if y >= 4 or abs(x) >= 4]
    wanted = max(correlation(image[0].double(), y, x) for y, x in offsets)
    assert repetition.peak(image, 4) == pytest.approx(wanted, abs=1e-3)


def repeated(exemplar: Tensor, output: Tensor) -> float:
    return measured("repetition", Pair(exemplar, output))


def test_what_is_one_piece_again_and_again_is_seen() -> None:
    exemplar = spots(64, 64)
    assert repeated(exemplar, exemplar) == 0
    assert repeated(exemplar, exemplar.repeat(1, 1, 2, 2)) > 0.7
    assert repeated(exemplar, spots(128, 128, seed=1)) < 0.05
    assert repeated(exemplar, flat(0.5, 128, 128)) == 0


def test_repetition_grows_with_the_part_that_is_pasted_twice() -> None:
    exemplar, values = spots(64, 64), []
    for side in (0, 40, 60):
        output = spots(128, 128, seed=1)
        output[..., 64 : 64 + side, 64 : 64 + side] = output[..., 2 : 2 + side, 2 : 2 + side]
        values.append(repeated(exemplar, output))
    assert values[0] < values[1] < values[2]
    assert values[2] > 0.1


def test_what_the_exemplar_repeats_is_not_held_against_the_output() -> None:
    bricks = torch.from_numpy(pattern("bricks", 128, 128)).permute(2, 0, 1)[None] / 255
    assert repeated(bricks[..., :64, :64], bricks) < 0.1
    assert repeated(spots(64, 64), bricks) > 0.5


# ---- seams ----


def texture(h: int, w: int) -> Tensor:
    """Bricks of 16 pixels under some grain: windows have look-alikes, but no equals."""
    plain = torch.from_numpy(pattern("bricks", h, w)).permute(2, 0, 1)[None] / 255
    return plain * 0.8 + 0.2 * spots(h, w)


@pytest.mark.parametrize("dim", [2, 3])
def test_borders_of_whole_periods_are_as_good_as_the_rest(dim: int) -> None:
    exemplar, tile = texture(80, 80), (dim == 2, dim == 3)
    whole, off = (measured("seam", Pair(exemplar, texture(64, 64).narrow(dim, 0, n), tile=tile)) for n in (64, 59))
    assert whole < 1.25 < 1.5 < off


def test_a_border_that_does_not_wrap_is_not_looked_at() -> None:
    exemplar, output = texture(80, 80), texture(64, 59)
    assert measured("seam", Pair(exemplar, output, tile=(True, False))) < 1.25
    with pytest.raises(NotApplicable, match="does not wrap"):
        measured("seam", Pair(exemplar, output))


# ---- guides ----


def ramp(h: int, w: int) -> Tensor:
    return torch.linspace(0, 1, w).expand(1, 1, h, w)


def guided(name: str, image: Tensor, source: Tensor, target: Tensor) -> Pair:
    """A picture made from itself, which was to follow a map."""
    return Pair(image, image, guides=(Guide("else", (), target), Guide(name, (source,), target)))


@pytest.mark.parametrize(
    ("target", "difference", "correlated"),
    [(0.8 * ramp(50, 60), 0, 1), (0.8 * ramp(50, 60) + 0.2, 0.2, 1), (0.8 * ramp(50, 60).flip(3), None, -1)],
)
def test_progression_is_read_from_the_nearest_windows(
    target: Tensor, difference: float | None, correlated: float
) -> None:
    pair = guided("progression", spots(50, 60), 0.8 * ramp(50, 60), target)
    parts = progression.details(pair, None, generator())
    assert parts["correlation"] == pytest.approx(correlated)
    assert parts["difference"] == measured("progression", pair)
    if difference is not None:
        assert parts["difference"] == pytest.approx(difference, abs=1e-6)


def test_a_flat_map_has_no_correlation() -> None:
    pair = guided("progression", spots(50, 60), flat(0.25, 50, 60)[:, :1], ramp(50, 60))
    assert progression.details(pair, None, generator())["correlation"] == pytest.approx(0, abs=1e-6)


def test_labels_are_read_from_the_nearest_windows() -> None:
    """As they were wanted, the other way round, and half of them."""
    image, ids = spots(24, 40), ramp(24, 40).round()
    for target, share in ((ids, 1), (1 - ids, 0), (torch.zeros_like(ids), 0.5), (torch.full_like(ids, 9), 0)):
        assert measured("labels", guided("labels", image, ids, target)) == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("degrees", [0, 30, 90])
def test_orientation_is_the_angle_between_stripes_and_target(degrees: int) -> None:
    angle = math.radians(20)
    y, x = torch.arange(48.0)[:, None], torch.arange(48.0)
    stripes = (torch.sin((y * math.cos(angle) - x * math.sin(angle)) * 0.9) / 2 + 0.5).expand(1, 3, 48, 48)
    target = built_in(f"angle:{20 + degrees}", (48, 48))
    assert target is not None
    pair = guided("orientation", stripes, target, target)
    assert measured("orientation", pair) == pytest.approx(degrees, abs=1)


def test_a_picture_without_directions_is_as_good_as_chance() -> None:
    target = built_in("angle:10", (48, 48))
    assert target is not None
    assert measured("orientation", guided("orientation", flat(0.3, 48, 48), target, target)) == orientation.CHANCE


@pytest.mark.parametrize("name", ["progression", "labels", "orientation"])
def test_a_guide_is_found_by_its_name_and_fits_its_pictures(name: str) -> None:
    image, whole = spots(50, 60), torch.ones(1, 2 if name == "orientation" else 1, 50, 60)
    with pytest.raises(NotApplicable, match=f"^{name}: no {name} map was given"):
        measured(name, guided("else", image, whole, whole))
    small = F.avg_pool2d(whole, 2)
    for source, target, which in ((small, whole, "source"), (whole, small, "target")):
        with pytest.raises(InputError, match=f"^{name}: the {which} map is 30x25, but its picture 60x50"):
            measured(name, guided(name, image, source, target))


# ---- statistics ----


def louder(image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """The network with other units."""
    return {name: 7 * layer for name, layer in random_features()(image, layers).items()}


def layer(name: str, image: Tensor, exemplar: Tensor) -> np.ndarray:
    """The vectors (n, C) of a layer, divided by the mean of the exemplar's."""
    maps = [random_features()(each, (name,))[name].double() for each in (image, exemplar)]
    rows: np.ndarray = (maps[0] / maps[1].mean())[0].flatten(1).T.numpy()
    return rows


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
    assert measured("sliced", pair) == pytest.approx(wanted, rel=close)


def test_sliced_grows_with_the_square_of_a_shift_and_sees_no_order() -> None:
    dark = 0.5 * spots(40, 44)
    values = [measured("sliced", Pair(dark, dark + shift)) for shift in (0.0, 0.2, 0.4)]
    assert values[0] == 0
    assert values[2] == pytest.approx(4 * values[1], rel=1e-3)
    assert measured("sliced", Pair(flat(0.2), flat(0.2, 60, 34))) == pytest.approx(0, abs=1e-9)


# ---- Frechet distance ----


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    linalg = pytest.importorskip("scipy.linalg")
    covariances = np.cov(one.T), np.cov(other.T)
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    return float(((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root))


@pytest.mark.parametrize("rank", [3, 8])
def test_frechet_distance_is_that_of_scipy(rank: int) -> None:
    """Also where covariances are singular, as those of few channels in use are."""
    sides = [(noise(60, rank, seed=seed) @ noise(rank, 8) * (seed + 1) + seed).double() for seed in (0, 1)]
    assert sifid.frechet(*sides) == pytest.approx(frechet(*(side.numpy() for side in sides)), rel=1e-4)


def test_frechet_distance_of_known_gaussians() -> None:
    """A shift counts by its square, a scale by the square of what it adds to the deviations."""
    rows = noise(100, 5).double()
    assert sifid.frechet(rows, rows + 0.3) == pytest.approx(5 * 0.3**2)
    assert sifid.frechet(rows, (rows - rows.mean(0)) * 3 + rows.mean(0)) == pytest.approx(4 * rows.var(0).sum().item())


def test_sifid_is_the_frechet_distance_of_the_layer() -> None:
    one, other = (layer("relu1_2", image, PAIR.exemplar) for image in (PAIR.exemplar, PAIR.output))
    assert one.shape[1] == 64
    assert measured("sifid", PAIR) == pytest.approx(frechet(one, other), rel=1e-3)


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
    wanted = {name: 1e5 / 4 * term for name, term in zip(quality_po.LAYERS, gram_terms(quality_po.LAYERS), strict=True)}
    assert quality_po.details(PAIR, random_features(), generator()) == pytest.approx(wanted, rel=1e-3)
    assert measured("quality_po", PAIR) == pytest.approx(sum(wanted.values()), rel=1e-3)


def test_style_distance_is_the_mean_squared_gram_difference() -> None:
    wanted = np.mean(gram_terms(style_distance.LAYERS))
    assert measured("style_distance", PAIR) == pytest.approx(wanted, rel=1e-3)


# ---- diversity ----


def test_diversity_is_the_mean_over_pairs_of_outputs() -> None:
    outputs = tuple(spots(36, 40, seed=seed) for seed in (1, 2, 3))
    maps = [layer(diversity_po.LAYER, image, PAIR.exemplar) for image in outputs]
    wanted = np.mean([np.abs(one - other).mean() for one, other in combinations(maps, 2)])
    orders = [Pair(PAIR.exemplar, outputs[k], outputs[:k] + outputs[k + 1 :]) for k in (0, 2)]
    for pair in orders:
        assert measured("diversity_po", pair) == pytest.approx(wanted, rel=1e-4)


def test_outputs_that_are_the_same_have_no_diversity() -> None:
    assert measured("diversity_po", Pair(PAIR.exemplar, PAIR.output, (PAIR.output.clone(), PAIR.output.clone()))) == 0


def test_diversity_needs_outputs_of_one_size() -> None:
    with pytest.raises(NotApplicable, match="at least two"):
        measured("diversity_po", PAIR)
    with pytest.raises(InputError, match="36x44 and 44x40; they must be of one size"):
        measured("diversity_po", Pair(PAIR.exemplar, PAIR.output, (PAIR.exemplar,)))


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
    assert measured("nn_pixel", Pair(image, shuffled)) == 0
    assert measured("nn_pixel", Pair(flat(0.0), flat(0.5))) == pytest.approx(0.25)
