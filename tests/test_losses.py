"""Losses against closed forms, their gradients in float64, and what they are blind to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from loss_builders import OFF, build, double, value
from pictures import generator, noise
from texsynth.errors import UsageError
from texsynth.losses import gram as gram_loss
from texsynth.task import Guide


def row(*numbers: float) -> Tensor:
    """One channel, one row of positions: (1, 1, 1, n)."""
    return torch.tensor(numbers, dtype=torch.float64).view(1, 1, 1, -1)


def scores(*numbers: float) -> Tensor:
    """Of so many classes, (1, K, 1, 1)."""
    return row(*numbers).transpose(1, 3)


# ---- all of them ----

DRAWN: dict[str, list[dict[str, Any]]] = {
    "gram": [{}, {"normalise": "gatys"}, {"centred": True}, {"patch": 3, "stride": 2}],
    "sliced": [{"fixed": "level"}, {"fixed": "level", "patch": 2}, {"fixed": "level", "sample": 7, "directions": 4}],
    "contextual": [{}, {"patch": 2}],
    "variation": [{}, {"power": 2}, {"diagonal": True}],
}
EDITING: dict[str, list[dict[str, Any]]] = {
    "classification": [{}, {"target": 1}],
    "moments": [{}],
    "norm": [{}],
    "variation": [{"measure": "norm"}, {"measure": "norm", "power": 2}, {"measure": "norm", "diagonal": True}],
}
EDITING_CASES = [(name, values) for name, cases in EDITING.items() for values in cases]
CASES = [(name, values, False) for name, cases in DRAWN.items() for values in cases]
CASES += [(*case, some) for case in EDITING_CASES for some in (False, True)]


def words(case: object) -> str:
    return str(case).replace("'", "")


@pytest.mark.parametrize(("name", "values", "some"), CASES, ids=words)
def test_gradients_are_exact(name: str, values: Mapping[str, Any], some: bool) -> None:
    """Where all pixels count alike, and where they do not."""
    share = double(1, 1, 5, 4, seed=3).round(decimals=1) if some else None
    of = build(name, double(1, 3, 4, 5), double(1, 3, 4, 4, seed=1), tile=(False, True), share=share, **values)
    x = double(1, 3, 5, 4, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda layer: of({"a": layer}), (x,))


@pytest.mark.parametrize(("name", "values"), EDITING_CASES, ids=words)
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


@pytest.mark.parametrize("name", ["gram", "moments"])
def test_statistics_do_not_see_where_things_are(name: str) -> None:
    of, x = build(name, double(1, 3, 6, 6)), double(1, 3, 5, 8, seed=1)
    shuffled = x.flatten(2)[:, :, torch.randperm(40, generator=generator())].view_as(x)
    assert value(of, shuffled) == pytest.approx(value(of, x))
    if name == "gram":
        of = build(name, double(1, 3, 6, 6), patch=2)
        assert value(of, shuffled) != pytest.approx(value(of, x))


@pytest.mark.parametrize("name", ["gram", "moments"])
def test_statistics_of_several_references_are_those_of_one_sample(name: str) -> None:
    left, right = double(1, 3, 6, 2), double(1, 3, 6, 5, seed=1)
    whole, x = torch.cat([left, right], 3), double(1, 3, 5, 5, seed=2)
    assert value(build(name, left, right), x) == pytest.approx(value(build(name, whole), x))


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


@pytest.mark.parametrize("name", ["gram", "sliced"])
def test_a_scale_common_to_a_layer_does_not_matter_when_relative(name: str) -> None:
    y, x = double(1, 3, 6, 6), double(1, 3, 6, 6, seed=1)
    assert value(build(name, 100 * y), 100 * x) == pytest.approx(value(build(name, y), x))


# ---- gram ----


def test_gram_by_hand() -> None:
    """Channels (1, 2, 3) and (0, 1, 0): products 14, 2, 1 over 3 positions."""
    vectors = torch.tensor([[1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
    torch.testing.assert_close(gram_loss.gram(vectors), torch.tensor([[14.0, 2.0], [2.0, 1.0]]) / 3)


@pytest.mark.parametrize(("normalise", "unit"), [("relative", 9.0), ("gatys", 4.0)])
def test_gram_of_one_channel_by_hand(normalise: str, unit: float) -> None:
    """The mean square is 3 in the exemplar, 5 in the output."""
    of = build("gram", row(1, math.sqrt(5)), normalise=normalise)
    assert value(of, row(1, 3, math.sqrt(5))) == pytest.approx((5 - 3) ** 2 / unit)


@pytest.mark.parametrize(("shift", "distance"), [(0.0, 0.0), (1.0, 3 / 2)])
def test_a_centred_gram_by_hand_holds_the_mean(shift: float, distance: float) -> None:
    """The variance is 1. With the constant, of length 1, the matrix is the identity, of squared norm 2. A shift by
    1 adds 1 to the variance, and stands twice beside the constant: 1 + 1 + 1 over 2."""
    assert value(build("gram", row(2, 4), centred=True), row(2 + shift, 4 + shift)) == pytest.approx(distance)


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


def tagged(source: Tensor, target: Tensor, distance: str = "l0") -> Guide:
    return Guide("labels", (source.float(),), target.float(), distance=distance)


def test_tags_keep_regions_apart() -> None:
    """Tag 1 holds 0 and 1, tag 2 holds 5 and 7; the output asks for them the other way round."""
    guide = tagged(row(1, 1, 2, 2), row(2, 2, 1, 1))
    steered = build("sliced", row(0, 1, 5, 7), guides=[guide], normalise="none")
    plain = build("sliced", row(0, 1, 5, 7), normalise="none")
    assert value(steered, row(7, 5, 0, 1)) == pytest.approx(0)
    assert value(steered, row(0, 1, 5, 7)) == pytest.approx((5**2 + 6**2 + 5**2 + 6**2) / 4)
    assert value(plain, row(7, 5, 0, 1)) == value(plain, row(0, 1, 5, 7)) == pytest.approx(0)


def test_tags_are_resampled_to_what_the_target_has_of_them() -> None:
    guide = tagged(row(1, 2, 2, 2), row(1, 1, 1, 1, 2, 2))
    of = build("sliced", row(4, 0, 1, 2), guides=[guide], normalise="none")
    assert value(of, row(4, 4, 4, 4, 0.25, 1.75)) == pytest.approx(0)


def test_a_tag_without_an_example_takes_from_everywhere() -> None:
    guide = tagged(row(1, 1, 2, 2), row(3, 3, 3, 3))
    steered, plain = (build("sliced", row(0, 1, 5, 7), guides=g, normalise="none") for g in ([guide], []))
    assert value(steered, row(2, 0, 7, 9)) == pytest.approx(value(plain, row(2, 0, 7, 9)))


def test_several_guides_make_finer_regions_and_others_make_none() -> None:
    """Together the two number all four positions, so each is asked for its own value."""
    halves = tagged(row(0, 0, 1, 1), row(0, 0, 1, 1))
    turns = tagged(row(0, 1, 0, 1), row(0, 1, 0, 1))
    shade = tagged(row(0, 0.1, 0.2, 0.3), row(0.3, 0.2, 0.1, 0), "l2")
    y, x = row(0, 1, 5, 7), row(1, 0, 7, 5)
    assert value(build("sliced", y, guides=[halves, shade], normalise="none"), x) == pytest.approx(0)
    assert value(build("sliced", y, guides=[halves, turns], normalise="none"), x) == pytest.approx((1 + 1 + 4 + 4) / 4)


def test_tags_follow_the_middle_of_a_patch_on_a_smaller_layer() -> None:
    """Two patches side by side in a 3 x 7 layer, told apart by a tag under their middle pixel alone."""
    tags = torch.zeros(1, 1, 6, 14)
    tags[..., 2:4, 2:4], tags[..., 2:4, 10:12] = 1, 2
    guide = tagged(tags, tags.flip(3))
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


# ---- classification ----


@pytest.mark.parametrize(
    ("shown", "values", "label"),
    [(scores(5, 1, 0, 0), {}, 0), (scores(-4, -3, -2, -1), {}, 3)]
    + [(scores(9, 0, 0, 0), {"target": n}, n) for n in range(4)],
)
def test_it_is_the_cross_entropy_with_the_class_that_the_exemplar_shows_or_that_is_named(
    shown: Tensor, values: Mapping[str, Any], label: int
) -> None:
    x = scores(0.3, -1, 2, 0.5)
    expected = F.cross_entropy(x[:, :, 0, 0], torch.tensor([label]))
    assert value(build("classification", shown, **values), x) == pytest.approx(float(expected))


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


# ---- variation and norm ----


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
