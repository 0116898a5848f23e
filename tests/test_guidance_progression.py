"""Progression maps: distances, histograms, refinement, and what is estimated from a picture."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pictures import generator, noise
from texsynth.errors import InputError, UsageError
from texsynth.guidance import progression
from texsynth.image import picture as image

SHAPES = [(1, 9), (9, 1), (16, 16), (13, 40)]


def binary(size: tuple[int, int], bright: float) -> Tensor:
    """Random pixels, with at least one of each kind."""
    values = (noise(1, 1, *size) < bright).float()
    values[0, 0, 0, 0], values[0, 0, -1, -1] = 0, 1
    return values


def ramp(h: int, w: int) -> Tensor:
    return torch.linspace(0, 1, w).expand(1, 1, h, w).contiguous()


def correlation(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def blotches(h: int, w: int) -> Tensor:
    """Smooth values from 0 to 1 with detail at every scale."""
    total = sum(F.interpolate(noise(1, 1, h >> k, w >> k, seed=k), (h, w), mode="bilinear") * 2**k for k in range(4))
    assert isinstance(total, Tensor)
    return (total - total.min()) / (total.max() - total.min())


def test_reverse_is_undone_by_itself() -> None:
    values = noise(1, 2, 8, 9)
    assert torch.allclose(progression.reverse(progression.reverse(values)), values)
    assert torch.equal(progression.reverse(torch.zeros(1, 1, 2, 2)), torch.ones(1, 1, 2, 2))


@pytest.mark.parametrize("bright", [0.5, 0.95])
@pytest.mark.parametrize("size", SHAPES)
def test_distances_are_those_to_the_nearest_dark_pixel(size: tuple[int, int], bright: float) -> None:
    values = binary(size, bright)
    places = torch.cartesian_prod(*(torch.arange(n) for n in size)).double()
    apart = torch.cdist(places, places[values.flatten() == 0]).min(1).values
    wanted = (apart / apart.max()).view(1, 1, *size).float()
    assert torch.allclose(progression.distance_transform(values), wanted, atol=1e-6)


def test_distances_agree_with_scipy() -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="scipy is not installed")
    values = binary((60, 47), 0.98)
    wanted = torch.from_numpy(ndimage.distance_transform_edt(values[0, 0].numpy())).float()
    assert torch.allclose(progression.distance_transform(values)[0, 0], wanted / wanted.max(), atol=1e-6)


def test_channels_are_measured_apart() -> None:
    both = torch.cat([binary((12, 10), 0.5), binary((12, 10), 0.9)], 1)
    alone = [progression.distance_transform(both[:, c : c + 1]) for c in range(2)]
    assert torch.equal(progression.distance_transform(both), torch.cat(alone, 1))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_map_without_a_shape_has_no_distances(value: float) -> None:
    with pytest.raises(UsageError, match="draw a shape"):
        progression.distance_transform(torch.full((1, 1, 6, 6), value))


def test_a_matched_histogram_is_the_sources_and_keeps_the_order() -> None:
    target, source = noise(1, 2, 20, 21), noise(1, 2, 30, 31, seed=1) ** 3
    out = progression.match_histogram(target, source)
    shares = torch.linspace(0.02, 0.98, 25)
    for c in range(2):
        assert torch.allclose(out[0, c].quantile(shares), source[0, c].quantile(shares), atol=0.02)
        order = target[0, c].flatten().argsort()
        assert bool((out[0, c].flatten()[order].diff() >= 0).all())


def test_matching_a_map_to_itself_changes_nothing() -> None:
    values = (noise(1, 1, 16, 16) * 9).round() / 9
    assert torch.equal(progression.match_histogram(values, values), values)


def test_matching_treats_both_ends_alike() -> None:
    target, source = (noise(1, 1, 16, 16) * 5).round() / 5, noise(1, 1, 12, 12, seed=1) ** 2
    mirrored = progression.match_histogram(1 - target, 1 - source)
    assert torch.allclose(mirrored, 1 - progression.match_histogram(target, source), atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_flat_target_gets_the_middle_of_the_source(level: float) -> None:
    source = noise(1, 1, 9, 9)
    out = progression.match_histogram(torch.full((1, 1, 4, 4), level), source)
    assert torch.allclose(out, source.median().expand(1, 1, 4, 4))


def test_a_flat_source_leaves_only_its_value() -> None:
    out = progression.match_histogram(noise(1, 1, 4, 5), torch.full((1, 1, 3, 3), 0.3))
    assert torch.equal(out, torch.full((1, 1, 4, 5), 0.3))


def test_stretching_maps_range_onto_range() -> None:
    source = 0.2 + 0.3 * ramp(4, 9)
    out = progression.stretch(noise(1, 1, 8, 8), source)
    assert torch.allclose(torch.stack([out.min(), out.max()]), torch.tensor([0.2, 0.5]))
    assert torch.allclose(progression.stretch(torch.zeros(1, 1, 2, 2), source), torch.full((1, 1, 2, 2), 0.2))


def test_outside_counts_pixels_that_the_source_cannot_meet() -> None:
    source = 0.25 + 0.5 * ramp(2, 5)
    target = torch.tensor([0.0, 0.2485, 0.5, 0.7515, 0.76]).view(1, 1, 1, 5)
    assert progression.outside(target, source) == pytest.approx(2 / 5)
    assert progression.outside(progression.stretch(target, source), source) == 0
    pair = torch.cat([source, 1 - source], 1)
    assert progression.outside(torch.cat([target, torch.full_like(target, 0.5)], 1), pair) == pytest.approx(2 / 5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("target", "source"), [((1, 1), (5, 5)), ((33, 20), (16, 47)), ((3, 40), (64, 64))])
def test_refinement_takes_any_size(target: tuple[int, int], source: tuple[int, int], channels: int) -> None:
    wanted, given = noise(1, channels, *target), 0.2 + 0.5 * noise(1, channels, *source, seed=1)
    out = progression.refine(wanted, given, generator())
    assert out.shape == wanted.shape and progression.outside(out, given) == 0
    assert bool(out.isfinite().all())


def test_refinement_gives_the_sources_detail_and_histogram_and_keeps_the_layout() -> None:
    target, source = ramp(64, 64), 0.8 * ramp(64, 64).mT + 0.2 * blotches(64, 64)
    out = progression.refine(target, source, generator())
    shares = torch.linspace(0.02, 0.98, 25)
    assert torch.allclose(out.quantile(shares), source.quantile(shares), atol=0.02)

    def detail(values: Tensor) -> float:
        return float((values[..., 1:, :] - values[..., :-1, :]).std())

    assert detail(source) / 2 < detail(out) < detail(source) * 2
    assert detail(target) < detail(source) / 10 and correlation(out, target) > 0.8
    assert torch.equal(out, progression.refine(target, source, generator()))


def test_a_smooth_source_adds_no_detail() -> None:
    out = progression.refine(1 - ramp(48, 48), ramp(40, 64), generator())
    assert correlation(out, 1 - ramp(48, 48)) > 0.98


def graded(kind: str) -> Tensor:
    """64 x 64 pixels that change from left to right in one respect."""
    along, grain = ramp(64, 64), noise(1, 1, 64, 64) - 0.5
    if kind == "brightness":
        return (0.2 + 0.5 * along + 0.1 * grain).expand(1, 3, 64, 64)
    if kind == "roughness":
        return (0.5 + along * grain).expand(1, 3, 64, 64)
    grey = 0.5 + 0.1 * grain
    return torch.cat([grey + 0.2 * along, grey - 0.1 * along, grey - 0.2 * along], 1)


@pytest.mark.parametrize("kind", ["brightness", "colour", "roughness"])
def test_the_estimate_finds_what_changes_and_names_it(kind: str) -> None:
    found, line = progression.estimate(graded(kind))
    assert abs(correlation(found, ramp(64, 64))) > 0.9
    assert (float(found.min()), float(found.max())) == pytest.approx((0, 1), abs=0.02)
    assert line.startswith(f"progression estimated from {kind} (") and "\n" not in line


def test_brighter_is_higher() -> None:
    picture = graded("brightness")
    found, _ = progression.estimate(picture)
    mirrored, _ = progression.estimate(picture.flip(3))
    assert correlation(found, ramp(64, 64)) > 0.9 and correlation(mirrored, ramp(64, 64)) < -0.9


def test_a_picture_without_change_is_told_from_one_with() -> None:
    assert "little in this picture" in progression.estimate(noise(1, 3, 64, 64))[1]
    assert "little in this picture" not in progression.estimate(graded("brightness"))[1]
    with pytest.raises(InputError, match="the same everywhere"):
        progression.estimate(torch.full((1, 3, 16, 16), 0.4))


@pytest.mark.parametrize("size", [(8, 8), (9, 300)])
def test_the_estimate_has_the_pictures_size(size: tuple[int, int]) -> None:
    found, _ = progression.estimate(noise(1, 3, *size))
    assert found.shape == (1, 1, *size)


@pytest.mark.skipif("TEXSYNTH_EXEMPLARS" not in os.environ, reason="TEXSYNTH_EXEMPLARS is not set")
@pytest.mark.parametrize("name", ["amber", "lit_brick", "peeling", "pink_rust"])
def test_estimates_resemble_the_published_maps(name: str) -> None:
    folder = Path(os.environ["TEXSYNTH_EXEMPLARS"]) / "progression"
    found, _ = progression.estimate(image.rgb(image.read(folder / f"{name}.jpg")))
    assert abs(correlation(found, image.read(folder / f"{name}_map.png").pixels)) > 0.9
