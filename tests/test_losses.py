"""Gram, sliced, contextual and variation against closed forms, and their gradients in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_builders import OFF, build, double, value
from pictures import generator, noise
from texsynth.losses import gram as gram_loss
from texsynth.task import Guide


def row(*numbers: float) -> Tensor:
    """One channel, one row of positions: (1, 1, 1, n)."""
    return torch.tensor(numbers, dtype=torch.float64).view(1, 1, 1, -1)


# ---- all of them ----

CASES = {
    "gram": [{}, {"normalise": "gatys"}, {"centred": True}, {"patch": 3, "stride": 2}],
    "sliced": [{"fixed": "level"}, {"fixed": "level", "patch": 2}, {"fixed": "level", "sample": 7, "directions": 4}],
    "contextual": [{}, {"patch": 2}],
    "variation": [{}, {"power": 2}, {"diagonal": True}],
}


@pytest.mark.parametrize(
    ("name", "values"), [(n, v) for n, cases in CASES.items() for v in cases], ids=lambda v: str(v).replace("'", "")
)
def test_gradients_are_exact(name: str, values: Mapping[str, Any]) -> None:
    of = build(name, double(1, 2, 4, 5), double(1, 2, 4, 4, seed=1), tile=(False, True), **values)
    x = double(1, 2, 5, 4, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda layer: of({"a": layer}), (x,))


@pytest.mark.parametrize("name", ["gram", "sliced", "contextual"])
def test_nothing_to_compare_is_a_zero_without_a_pull(name: str) -> None:
    x = double(1, 2, 3, 3).requires_grad_()
    out = build(name, double(1, 2, 9, 9), patch=5)({"a": x})
    out.backward()
    assert float(out.detach()) == 0
    assert x.grad is not None and not x.grad.any()


@pytest.mark.parametrize("name", ["gram", "sliced", "contextual"])
def test_patches_cross_the_border_of_what_tiles_only(name: str) -> None:
    y, x = double(1, 2, 8, 8), double(1, 2, 6, 6, seed=1)
    for tile, same in (((True, True), True), ((True, False), False)):
        here, there = (value(build(name, y, patch=3, tile=tile), x.roll(shift, (2, 3))) for shift in ((0, 0), (2, 2)))
        assert (here == pytest.approx(there)) == same


@pytest.mark.parametrize("name", ["gram", "sliced"])
@pytest.mark.parametrize("flat", [0.0, 0.5])
def test_a_flat_exemplar_can_be_matched(name: str, flat: float) -> None:
    of = build(name, torch.full((1, 3, 4, 4), flat))
    assert value(of, torch.full((1, 3, 6, 6), flat)) == pytest.approx(0, abs=1e-9)
    assert 0 < value(of, noise(1, 3, 6, 6)) < math.inf


# ---- gram ----


def test_gram_by_hand() -> None:
    """Channels (1, 2, 3) and (0, 1, 0): products 14, 2, 1 over 3 positions."""
    vectors = torch.tensor([[1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
    torch.testing.assert_close(gram_loss.gram(vectors), torch.tensor([[14.0, 2.0], [2.0, 1.0]]) / 3)
    torch.testing.assert_close(gram_loss.gram(vectors, True), torch.tensor([[2.0, 0.0], [0.0, 2 / 3]]) / 3)


@pytest.mark.parametrize(("normalise", "unit"), [("relative", 9.0), ("gatys", 4.0)])
def test_gram_of_one_channel_by_hand(normalise: str, unit: float) -> None:
    """The mean square is 3 in the exemplar, 5 in the output."""
    of = build("gram", row(1, math.sqrt(5)), normalise=normalise)
    assert value(of, row(1, 3, math.sqrt(5))) == pytest.approx((5 - 3) ** 2 / unit)


def test_gram_does_not_see_where_things_are() -> None:
    of, x = build("gram", double(1, 3, 6, 6)), double(1, 3, 5, 8, seed=1)
    shuffled = x.flatten(2)[:, :, torch.randperm(40, generator=generator())].view_as(x)
    assert value(of, shuffled) == pytest.approx(value(of, x))
    of = build("gram", double(1, 3, 6, 6), patch=2)
    assert value(of, shuffled) != pytest.approx(value(of, x))


def test_gram_of_several_references_weighs_them_by_their_size() -> None:
    left, right = double(1, 3, 6, 2), double(1, 3, 6, 5, seed=1)
    whole, x = torch.cat([left, right], 3), double(1, 3, 5, 5, seed=2)
    assert value(build("gram", left, right), x) == pytest.approx(value(build("gram", whole), x))


def test_a_scale_common_to_a_layer_does_not_matter_when_relative() -> None:
    y, x = double(1, 3, 6, 6), double(1, 3, 6, 6, seed=1)
    for name in ("gram", "sliced"):
        assert value(build(name, 100 * y), 100 * x) == pytest.approx(value(build(name, y), x))


# ---- sliced ----


@pytest.mark.parametrize("values", [{}, {"directions": 5}, {"fixed": "level"}])
def test_sliced_in_one_dimension_is_the_sorted_difference(values: Mapping[str, Any]) -> None:
    of = build("sliced", row(3, 0, 1, 7), normalise="none", **values)
    assert value(of, row(1, 9, 2, 0)) == pytest.approx((0 + 0 + 1 + 4) / 4)


def test_sliced_relative_is_in_units_of_the_variance() -> None:
    assert value(build("sliced", row(3, 0, 1, 8)), row(3, 0, 1, 12)) == pytest.approx(16 / 4 / 9.5)


def test_sliced_compares_sizes_at_quantiles() -> None:
    """An even ramp has the same quantiles however often it is sampled, but for the ends."""
    coarse, fine = ((torch.arange(n) + 0.5) / n for n in (50, 200))
    of = build("sliced", coarse.view(1, 1, 5, 10), normalise="none")
    assert value(of, fine.view(1, 1, 10, 20).flip(3)) < 1e-5
    assert value(of, fine.view(1, 1, 10, 20) + 0.1) == pytest.approx(0.01, rel=0.1)


def test_sliced_sees_all_references() -> None:
    of = build("sliced", row(0, 4), row(2, 6), normalise="none")
    assert value(of, row(6, 0, 2, 4)) == pytest.approx(0)


def test_sliced_draws_anew_at_each_call_or_once_a_level() -> None:
    y, x = double(1, 5, 8, 8), double(1, 5, 8, 8, seed=1)
    for values in ({}, {"sample": 20, "directions": 500}):
        anew, fixed = (build("sliced", y, fixed=when, **values) for when in ("call", "level"))
        assert value(anew, x) != value(anew, x)
        assert value(fixed, x) == value(fixed, x)
        assert value(fixed, x) != value(build("sliced", y, fixed="level", seed=1, **values), x)


def test_sliced_samples_stand_for_the_whole() -> None:
    y, x = double(1, 2, 40, 40), double(1, 2, 40, 40, seed=1) ** 2
    whole, part = (value(build("sliced", y, sample=n, directions=64), x) for n in (0, 800))
    assert part == pytest.approx(whole, rel=0.2)


def regions(*numbers: float) -> Tensor:
    return torch.tensor(numbers).view(1, 1, 1, -1)


def test_tags_keep_regions_apart() -> None:
    """Tag 1 holds 0 and 1, tag 2 holds 5 and 7; the output asks for them the other way round."""
    guide = Guide("labels", (regions(1, 1, 2, 2),), regions(2, 2, 1, 1), distance="l0")
    steered = build("sliced", row(0, 1, 5, 7), guides=[guide], normalise="none")
    plain = build("sliced", row(0, 1, 5, 7), normalise="none")
    assert value(steered, row(7, 5, 0, 1)) == pytest.approx(0)
    assert value(steered, row(0, 1, 5, 7)) == pytest.approx((5**2 + 6**2 + 5**2 + 6**2) / 4)
    assert value(plain, row(7, 5, 0, 1)) == value(plain, row(0, 1, 5, 7)) == pytest.approx(0)


def test_tags_are_resampled_to_what_the_target_has_of_them() -> None:
    guide = Guide("labels", (regions(1, 2, 2, 2),), regions(1, 1, 1, 1, 2, 2), distance="l0")
    of = build("sliced", row(4, 0, 1, 2), guides=[guide], normalise="none")
    assert value(of, row(4, 4, 4, 4, 0.25, 1.75)) == pytest.approx(0)


def test_a_tag_without_an_example_takes_from_everywhere() -> None:
    guide = Guide("labels", (regions(1, 1, 2, 2),), regions(3, 3, 3, 3), distance="l0")
    steered, plain = (build("sliced", row(0, 1, 5, 7), guides=g, normalise="none") for g in ([guide], []))
    assert value(steered, row(2, 0, 7, 9)) == pytest.approx(value(plain, row(2, 0, 7, 9)))


def test_several_guides_make_finer_regions_and_others_make_none() -> None:
    """Together the two number all four positions, so each is asked for its own value."""
    halves = Guide("halves", (regions(0, 0, 1, 1),), regions(0, 0, 1, 1), distance="l0")
    turns = Guide("turns", (regions(0, 1, 0, 1),), regions(0, 1, 0, 1), distance="l0")
    shade = Guide("shade", (regions(0, 0.1, 0.2, 0.3),), regions(0.3, 0.2, 0.1, 0), distance="l2")
    y, x = row(0, 1, 5, 7), row(1, 0, 7, 5)
    assert value(build("sliced", y, guides=[halves, shade], normalise="none"), x) == pytest.approx(0)
    assert value(build("sliced", y, guides=[halves, turns], normalise="none"), x) == pytest.approx((1 + 1 + 4 + 4) / 4)


def test_tags_follow_the_middle_of_a_patch_on_a_smaller_layer() -> None:
    """Two patches side by side in a 3 x 7 layer, told apart by a tag under their middle pixel alone."""
    tags = torch.zeros(1, 1, 6, 14)
    tags[..., 2:4, 2:4], tags[..., 2:4, 10:12] = 1, 2
    guide = Guide("labels", (tags,), tags.flip(3), distance="l0")
    y = double(1, 1, 3, 7)
    of = build("sliced", y, guides=[guide], patch=3, stride=4, normalise="none")
    assert value(of, torch.cat([y[..., 4:], y[..., 3:4], y[..., :3]], 3)) == pytest.approx(0)
    assert value(of, y) > 0.01


# ---- contextual ----


def test_contextual_knows_its_own() -> None:
    y = double(1, 8, 6, 6)
    assert value(build("contextual", y), y) == pytest.approx(0, abs=1e-3)
    assert value(build("contextual", y), double(1, 8, 6, 6, seed=1)) > 1


def test_contextual_of_an_output_that_cannot_tell_sources_apart() -> None:
    """Targets all alike share themselves out the same way, and each target's shares add up to 1: log N."""
    flat = torch.ones(1, 3, 4, 4, dtype=torch.float64) * double(1, 3, 1, 1, seed=5)
    assert value(build("contextual", double(1, 3, 5, 5)), flat) == pytest.approx(math.log(25))


def test_contextual_by_hand() -> None:
    """Sources at +e and -e about their mean. Two targets sit on the first: their distances are 0 and 2, so they are all
    the first's; another is at right angles to both and shared evenly. The second source is chosen by half at most."""
    y = torch.tensor([[1.0, -1.0], [0.0, 0.0]], dtype=torch.float64).view(1, 2, 1, 2)
    x = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]], dtype=torch.float64).view(1, 2, 1, 3)
    assert value(build("contextual", y), x) == pytest.approx(-math.log((1 + 0.5) / 2), rel=1e-4)


def test_contextual_draws_where_there_is_more_than_its_sample() -> None:
    of = build("contextual", double(1, 8, 8, 8), sample=16)
    x = double(1, 8, 8, 8, seed=1)
    assert value(of, x) != value(of, x)
    assert 0 < value(of, x) < math.log(16)


# ---- variation ----


@pytest.mark.parametrize(
    ("values", "tile", "expected"),
    [
        ({}, OFF, 0.1),
        ({"power": 2}, OFF, 0.01),
        ({"diagonal": True}, OFF, 0.3),
        ({}, (True, False), 0.1),
        ({}, (False, True), (5 * 0.1 + 0.5) / 6),
        ({"power": 2}, (True, True), (5 * 0.01 + 0.25) / 6),
        ({"diagonal": True}, (True, False), 0.3),
        ({"diagonal": True}, (True, True), 3 * (5 * 0.1 + 0.5) / 6),
    ],
)
def test_variation_of_a_ramp(values: Mapping[str, Any], tile: tuple[bool, bool], expected: float) -> None:
    """0.1 more with each of six columns: right and both diagonals see it, down does not."""
    ramp = (0.1 * torch.arange(6, dtype=torch.float64)).expand(1, 2, 4, 6)
    assert value(build("variation", ramp, tile=tile, **values), ramp) == pytest.approx(expected)
    swapped = build("variation", ramp, tile=(tile[1], tile[0]), **values)
    assert value(swapped, ramp.transpose(2, 3).flip(2)) == pytest.approx(expected)


def test_variation_of_one_line_and_of_one_pixel() -> None:
    assert value(build("variation", row(0)), row(0, 1, 1)) == pytest.approx(0.5)
    assert value(build("variation", row(0)), row(3)) == 0
