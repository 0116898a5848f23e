"""Metrics: what all of them promise, and the distances of crops and transport against brute force or a closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from networks import measured, random_features
from pictures import generator, noise, spots
from texsynth import features, metrics
from texsynth.errors import InputError
from texsynth.guidance import orientation
from texsynth.metrics import Pair, copy_rate, gram_distance, min_patch, min_patch_colour, transport
from texsynth.patches import crops as patch_crops
from texsynth.patches import matches
from texsynth.patches.cut import size_of
from texsynth.task import Guide
from texsynth.tiles import sets
from tile_sets import drawn as tile_set

NOISE_IS_NO_WORSE = {
    "seam": "noise wraps as well as anything",
    "diversity_po": "noise differs more from noise than any two textures",
    "copy_rate": "neither end is better",
    "landmarks": "noise shows nothing that is in the exemplar, and so nothing twice",
}

of_metrics = pytest.mark.parametrize("name", metrics.names())


@pytest.fixture(autouse=True)
def fewer_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transport takes as long as the cube of their number; the others are quicker too."""
    monkeypatch.setattr(transport, "PATCHES", 400)
    monkeypatch.setattr(copy_rate, "PATCHES", 100)
    monkeypatch.setattr(matches, "OUTPUT_WINDOWS", 400)
    monkeypatch.setattr(matches, "FITTED_WINDOWS", 1000)


def local(image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Features by VGG's names and sizes that see no further than their own cell: colours and their complements."""
    both = torch.cat([image, 1 - image], 1)
    return {name: F.avg_pool2d(both, 1 << int(name[4]) - 1) for name in layers}


def plain(image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """The picture itself for every layer."""
    return dict.fromkeys(layers, image)


def steered(exemplar: Tensor, output: Tensor) -> Pair:
    """All that a metric may ask for: a second output, borders that wrap, guides of every kind, the same for the
    exemplar and, stretched, for the output, a set of tiles, and offsets of a blend."""
    ramp = torch.linspace(0, 1, exemplar.shape[3]).expand(1, 1, *size_of(exemplar))
    directions = orientation.structure(exemplar)[0]
    guides = (
        Guide("progression", (ramp,), F.interpolate(ramp, size_of(output))),
        Guide("labels", (ramp.round(),), F.interpolate(ramp.round(), size_of(output)), distance="l0"),
        Guide("orientation", (directions,), orientation.resize(directions, size_of(output)), distance="direction"),
    )
    return Pair(exemplar, output, (output.flip(3),), (True, True), guides, tile_set(sets.corner(2)), "free")


# ---- what all of them promise ----


@of_metrics
def test_a_metric_says_what_it_is(name: str) -> None:
    about = metrics.metric(name).about
    assert about.range[1] is None or about.range[0] < about.range[1]
    assert about.smallest_side >= 1
    assert "\n" not in about.description and len(about.description) > 20
    for needed, layers in about.needs.items():
        assert set(layers) <= set(features.features(needed).LAYERS)


@of_metrics
def test_the_exemplar_itself_scores_no_worse_than_noise(name: str) -> None:
    about, image = metrics.metric(name).about, spots(72, 80)
    itself, off = (measured(name, steered(image, other)) for other in (image, noise(1, 3, 80, 72)))
    low, high = about.range
    assert all(low <= value and (high is None or value <= high) for value in (itself, off))
    if name not in NOISE_IS_NO_WORSE:
        assert itself <= off if about.lower_is_better else itself >= off


@of_metrics
def test_chance_comes_from_the_generator_only(name: str) -> None:
    pair = steered(spots(72, 80), spots(80, 72, seed=1))
    first = measured(name, pair)
    torch.rand(5)  # chance from elsewhere
    assert measured(name, pair) == first


@pytest.mark.parametrize("name", [name for name in metrics.names() if metrics.metric(name).about.smallest_side > 1])
def test_a_picture_that_is_too_small_is_refused(name: str) -> None:
    least = metrics.metric(name).about.smallest_side
    enough, small = spots(least, least), spots(least + 8, least - 1)
    assert math.isfinite(measured(name, steered(enough, enough)))
    for pair, which in ((steered(small, enough), "exemplar"), (steered(enough, small), "output")):
        with pytest.raises(InputError, match=rf"^{name}: the {which} is {least - 1}x{least + 8}, .*{least}x{least}"):
            measured(name, pair)


@of_metrics
def test_what_does_not_apply_says_so_in_a_line(name: str) -> None:
    """A pair of pictures alone is enough, or NotApplicable names what is missing."""
    images = spots(72, 80), spots(80, 72, seed=1)
    missing = None
    try:
        value = measured(name, Pair(*images))
    except metrics.NotApplicable as error:
        missing = str(error)
        value = measured(name, steered(*images))
    assert math.isfinite(value)
    assert missing is None or (missing.startswith(f"{name}: ") and "\n" not in missing)


@of_metrics
def test_details_are_numbers_by_name(name: str) -> None:
    metric = metrics.metric(name)
    pair = steered(spots(72, 80), spots(80, 72, seed=1))
    parts = metric.details(pair, random_features() if metric.about.needs else None, generator())
    assert bool(parts) == (metric.parts is not None)
    assert all(part and math.isfinite(value) for part, value in parts.items())


def test_there_is_no_metric_of_another_name() -> None:
    with pytest.raises(KeyError, match="there is no metric 'beauty'"):
        metrics.metric("beauty")


# ---- gram distance ----


def test_gram_distance_of_black_is_one_and_of_itself_zero() -> None:
    image = spots(32, 32)
    black = torch.zeros(1, 3, 40, 40)
    for output, value in ((black, 1), (image, 0), (image * math.sqrt(1.5), 0.5)):
        assert gram_distance.measure(Pair(image, output), plain, generator()) == pytest.approx(value)


def test_gram_distance_looks_at_two_scales() -> None:
    """A checkerboard and its mean: alike when halved, the halves of the score differ."""
    board = (torch.arange(32)[:, None] + torch.arange(32)).remainder(2).float().expand(1, 3, 32, 32)
    grey = torch.full_like(board, 0.5)
    assert gram_distance.measure(Pair(board, grey), plain, generator()) == pytest.approx(0.5 / 2)


def test_gram_distance_is_the_mean_of_its_layers() -> None:
    pair = Pair(spots(32, 40), spots(36, 32, seed=1))
    parts = gram_distance.details(pair, random_features(), generator())
    assert tuple(parts) == gram_distance.LAYERS
    assert measured("gram_distance", pair) == pytest.approx(sum(parts.values()) / len(parts))
    with_one_off = {name: layer * (2 if name == "relu2_1" else 1) for name, layer in plain(pair.output, parts).items()}
    maps = iter([plain(pair.output, parts), with_one_off] * 2)
    parts = gram_distance.details(pair, lambda *_: next(maps), generator())
    assert parts.pop("relu2_1") == pytest.approx(3)
    assert set(parts.values()) == {0}


# ---- minimum patch distance ----


def crops(image: Tensor, step: int, side: int = 64) -> list[Tensor]:
    h, w = size_of(image)
    places = product(range(0, h - side + 1, step), range(0, w - side + 1, step))
    return [image[:, :, y : y + side, x : x + side] for y, x in places]


def apart(a: Tensor, b: Tensor) -> float:
    both = [{n: F.normalize(layer) for n, layer in local(c, tuple(min_patch.PIXELS_PER_CELL)).items()} for c in (a, b)]
    return sum(float((both[0][n] - both[1][n]).square().sum(1).mean()) for n in both[0]) / len(both[0])


def test_min_patch_is_the_search_over_all_crops() -> None:
    pair = Pair(spots(71, 76), spots(83, 72, seed=1))
    least = [min(apart(a, b) for b in crops(pair.exemplar, 2)) for a in crops(pair.output, 8)]
    assert min_patch.measure(pair, local, generator()) == pytest.approx(sum(least) / len(least), rel=1e-4)


def test_min_patch_of_larger_crops() -> None:
    pair = Pair(spots(130, 131), spots(128, 136, seed=1))
    parts = min_patch.details(pair, local, generator())
    least = [min(apart(a, b) for b in crops(pair.exemplar, 2, 128)) for a in crops(pair.output, 8, 128)]
    assert list(parts) == ["64 px", "128 px"]
    assert parts["64 px"] == min_patch.measure(pair, local, generator())
    assert parts["128 px"] == pytest.approx(sum(least) / len(least), rel=1e-4)
    smaller = Pair(pair.exemplar, pair.output[..., :127])
    assert list(min_patch.details(smaller, local, generator())) == ["64 px"]


def test_min_patch_finds_copies_in_step() -> None:
    exemplar = spots(90, 90)
    copies = (exemplar[..., y : y + 72, x : x + 72] for y, x in ((6, 10), (7, 11)))
    near, off = (min_patch.measure(Pair(exemplar, copy), local, generator()) for copy in copies)
    assert near == pytest.approx(0, abs=1e-5)
    assert off > 10 * near


def test_min_patch_looks_at_large_outputs_through_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patch_crops, "LARGEST_AREA", 90 * 90)
    exemplar, other = spots(136, 144), spots(144, 136, seed=1)
    assert min_patch.measure(Pair(exemplar, exemplar), local, generator()) == pytest.approx(0, abs=1e-5)
    sampled = [min_patch.measure(Pair(exemplar, other), local, generator(seed)) for seed in (0, 1)]
    assert sampled[0] != sampled[1]
    assert sampled[0] == pytest.approx(sampled[1], rel=0.5)


def test_min_patch_colour_is_the_search_over_all_crops() -> None:
    pair = Pair(spots(67, 70), spots(72, 75, seed=1))
    roots = [[float((a - b).square().mean().sqrt()) for b in crops(pair.exemplar, 1)] for a in crops(pair.output, 8)]
    assert measured("min_patch_colour", pair) == pytest.approx(sum(map(min, roots)) / len(roots), rel=1e-4)


@pytest.mark.parametrize(("y", "x"), [(0, 0), (6, 10), (7, 11)])
def test_min_patch_colour_of_any_copy_is_zero(y: int, x: int) -> None:
    pair = Pair(spots(90, 90), spots(90, 90)[..., y : y + 72, x : x + 72])
    assert measured("min_patch_colour", pair) == pytest.approx(0, abs=2e-3)


def test_min_patch_colour_of_flat_pictures_is_their_difference() -> None:
    dark, light = torch.full((1, 3, 130, 128), 0.25), torch.full((1, 3, 128, 130), 0.75)
    parts = min_patch_colour.details(Pair(dark, light), None, generator())
    assert parts == pytest.approx({"64 px": 0.5, "128 px": 0.5})


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
    assert exact - 1e-9 <= mean_cost(cost) <= exact * (1 + transport.TOLERANCE)


def test_assignment_in_one_dimension_sorts() -> None:
    a, b = noise(80, 1).double(), 2 * noise(80, 1, seed=1).double()
    exact = float((a.sort(0).values - b.sort(0).values).square().mean())
    assert mean_cost((a - b.T).square()) == pytest.approx(exact, rel=transport.TOLERANCE)


@pytest.mark.parametrize("cost", [torch.zeros(6, 6), torch.ones(1, 1), 1 - torch.eye(5), torch.ones(4, 4) / 3])
def test_assignment_ends_where_all_are_alike(cost: Tensor) -> None:
    assert mean_cost(cost) == pytest.approx(float(cost.diag().mean()), abs=1e-3)


def test_transport_of_flat_pictures() -> None:
    """All patches move by the same colour: 16 pixels, three channels."""
    dark, light = torch.full((1, 3, 50, 60), 0.25), torch.full((1, 3, 60, 50), 0.75)
    assert measured("transport", Pair(dark, light)) == pytest.approx(48 * 0.5**2)
    assert measured("transport", Pair(dark, dark)) == pytest.approx(0, abs=1e-5)


def test_transport_of_all_patches_sees_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every patch in use an exemplar is like itself, and like itself in another light as far as that goes."""
    monkeypatch.setattr(transport, "SCALES", ("quarter", "eighth"))
    image = 0.5 * spots(80, 80)
    assert measured("transport", Pair(image, image)) == pytest.approx(0, abs=1e-3)
    assert measured("transport", Pair(image, image + 0.25)) == pytest.approx(48 * 0.25**2, abs=1e-2)
