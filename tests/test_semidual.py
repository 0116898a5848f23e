"""Semi-discrete transport of patches: closed forms, POT's exact solver, and Algorithm 1 as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from loss_builders import BOTH, assert_same, build, measured, normal, value
from texsynth.losses import Reference
from texsynth.losses.semidual import Settings
from texsynth.patches.cut import cut

transport = partial(build, "semidual")


def costs(layer: Tensor, sources: Sequence[Tensor], patch: int, stride: int = 1) -> Tensor:
    """|x - y|^2 of all patches: (N, M)."""
    x, y = cut(layer, patch, stride), torch.cat([cut(s, patch, stride) for s in sources])
    return ((x[:, None] - y) ** 2).sum(2)


def plain(layer: Tensor, source: Tensor, settings: Settings, psi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One evaluation of Algorithm 1 by autograd: value, gradient, psi afterwards."""
    layer = layer.detach().clone().requires_grad_()
    cost = costs(layer, [source], settings.patch, settings.stride)
    steps = []
    for _ in range(settings.ascents):
        nearest = (cost.detach() - psi).argmin(1)
        slope = 1 / len(psi) - torch.bincount(nearest, minlength=len(psi)).double() / len(cost)
        if settings.normalise_ascent:
            slope = slope / slope.norm()
        psi = psi + settings.rate * slope
        steps.append(psi)
    psi = torch.stack(steps[2:]).mean(0) if len(steps) > 2 else psi
    value = (cost - psi).amin(1).mean() + psi.mean()
    value.backward()
    assert layer.grad is not None
    return value.detach(), layer.grad, psi


@pytest.mark.parametrize("memory", [3000, 1 << 20])
@pytest.mark.parametrize("size", [(1, 11, 12), (9, 8, 9), (1, 19, 19)])
@pytest.mark.parametrize(
    "settings",
    [
        Settings(patch=3, sample=0),
        Settings(patch=4, stride=2, sample=0, ascents=2, rate=5.0),
        Settings(patch=2, sample=0, ascents=5, normalise_ascent=True),
        Settings(patch=3, sample=0, rate=1000.0),
    ],
)
def test_it_is_algorithm_1(settings: Settings, size: tuple[int, int, int], memory: int) -> None:
    """Kept, on a shortlist, or computed again in parts: value, gradient and psi are always those of the dense form."""
    source, psi = normal(1, *size), torch.zeros(len(cut(normal(1, *size), settings.patch, settings.stride))).double()
    loss = transport(source, memory=memory, **vars(settings))
    for seed in (1, 2, 3):
        layer = normal(1, size[0], 10, 13, seed=seed)
        *wanted, psi = plain(layer, source, settings, psi)
        assert_same(measured(loss, layer), wanted, 1e-10)
    assert float(psi.abs().max()) > 0


def test_in_one_dimension_it_is_the_sorted_difference() -> None:
    source, layer = normal(1, 1, 5, 8), 2 + 0.5 * normal(1, 1, 8, 5, seed=1)
    exact = float(((source.flatten().sort().values - layer.flatten().sort().values) ** 2).mean())
    loss = transport(source, patch=1, sample=0, ascents=500, rate=0.5)
    values = [value(loss, layer) for _ in range(4)]
    assert values == sorted(values)
    assert 0.995 * exact < values[-1] <= exact + 1e-12


@pytest.mark.parametrize("more", [{}, {"ascent_sample": 24}])
def test_it_climbs_to_the_exact_cost_of_transport(more: dict[str, Any]) -> None:
    """Never above the optimum, and within a few per cent of it, by steps of all patches or of a few at a time."""
    ot = pytest.importorskip("ot")
    source, layer = normal(1, 2, 8, 9), 0.5 + normal(1, 2, 11, 9, seed=1)
    cost = costs(layer, [source], 3)
    uniform = [torch.full((n,), 1 / n, dtype=torch.float64).numpy() for n in cost.shape]
    exact = float(ot.emd2(*uniform, cost.numpy()))
    loss = transport(source, patch=3, sample=0, ascents=200, rate=5.0, **more)
    values = [value(loss, layer) for _ in range(6)]
    assert max(values) <= exact * (1 + 1e-9)
    assert values[-1] > 0.97 * exact
    assert float(cost.amin(1).mean()) < 0.9 * exact


def test_without_steps_it_is_the_nearest_patch() -> None:
    """Over all references together."""
    sources, layer = [normal(1, 3, 9, 8), 1 + normal(1, 3, 7, 10, seed=1)], normal(1, 3, 12, 9, seed=2)
    loss = transport(*sources, ascents=0, memory=3000)
    torch.testing.assert_close(loss({"a": layer}), costs(layer, sources, 4).amin(1).mean())


@pytest.mark.parametrize("standardise", ["none", "rms"])
def test_gradient_is_the_limit_of_differences(standardise: str) -> None:
    loss = transport(normal(1, 3, 6, 5), memory=600, tile=(False, True), patch=2, ascents=0, standardise=standardise)
    layer = normal(1, 3, 4, 5, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss({"a": x}), (layer,))


def test_a_picture_is_at_no_distance_from_itself() -> None:
    source = normal(1, 3, 12, 12)
    nothing, gradient = measured(transport(source), source)
    assert float(nothing) == pytest.approx(0, abs=1e-12)
    assert float(gradient.abs().max()) < 1e-12


def test_a_tile_is_seen_across_its_borders() -> None:
    source, layer = normal(1, 3, 9, 8), normal(1, 3, 10, 11, seed=1)
    (still, gradient), rolled = (measured(transport(source, tile=BOTH), x) for x in (layer, layer.roll(4, 3)))
    assert_same(rolled, (still, gradient.roll(4, 3)))
    wide = F.pad(layer, (0, 3, 0, 3), mode="circular")
    torch.testing.assert_close(still, transport(source)({"a": wide}))


def test_source_patches_are_drawn_once_from_the_generator() -> None:
    sources, layer = [normal(1, 3, 14, 13), normal(1, 3, 9, 15, seed=1)], normal(1, 3, 9, 9, seed=2)
    drawn = partial(transport, *sources, sample=20, ascents=0)
    loss = drawn()
    first = value(loss, layer)
    assert value(loss, layer) == first == value(drawn(), layer)
    assert value(drawn(seed=1), layer) != first
    assert first > float(costs(layer, sources, 4).amin(1).mean())
    # each drawn patch is one of the sources': at no distance from it, and 20 different ones are
    sources_drawn = sum(
        float(loss({"a": s[:, :, y : y + 4, x : x + 4]})) < 1e-9
        for s in sources for y in range(s.shape[2] - 3) for x in range(s.shape[3] - 3)
    )  # fmt: skip
    assert sources_drawn == 20


def test_output_patches_may_be_drawn_anew() -> None:
    source, layer = normal(1, 3, 9, 9), normal(1, 3, 24, 24, seed=1)
    exact = value(transport(source, ascents=0), layer)
    loss = transport(source, ascents=0, outputs=12)
    draws = [measured(loss, layer) for _ in range(50)]
    assert len({float(value) for value, _ in draws}) == 50
    assert float(torch.stack([value for value, _ in draws]).mean()) == pytest.approx(exact, rel=0.03)
    assert all(16 <= int((gradient[0, 0] != 0).sum()) <= 12 * 16 for _, gradient in draws)
    again = measured(transport(source, ascents=0, outputs=12), layer)
    assert torch.equal(again[1], draws[0][1])
    assert value(transport(source, ascents=0, outputs=21 * 21), layer) == pytest.approx(exact)


def test_invalid_pixels_are_not_learned_from() -> None:
    source, layer = normal(1, 3, 12, 12), normal(1, 3, 9, 9, seed=1)
    valid = torch.ones(1, 1, 24, 24, dtype=torch.bool)
    valid[:, :, 17:] = False
    loss = transport(Reference({"a": source}, valid=valid), ascents=0)
    torch.testing.assert_close(loss({"a": layer}), costs(layer, [source[:, :, :8]], 4).amin(1).mean())


def test_rms_makes_the_scale_of_channels_meaningless() -> None:
    source, layer = normal(1, 3, 12, 12), normal(1, 3, 9, 9, seed=1)
    scale = torch.tensor([1.0, 50.0, 0.02], dtype=torch.float64)[None, :, None, None]
    one = transport(source, standardise="rms")({"a": layer})
    other = transport(source * scale, standardise="rms")({"a": layer * scale})
    torch.testing.assert_close(one, other)
    silent = transport(source * (scale == 1), standardise="rms")
    assert measured(silent, layer)[1].isfinite().all()


def test_layers_are_averaged_and_small_ones_left_out() -> None:
    source, layer = ({name: normal(1, 3, 9, 9, seed=s + n) for n, name in enumerate("ab")} for s in (0, 2))
    each = [value(transport(Reference({n: source[n]})), {n: layer[n]}) for n in "ab"]
    assert value(transport(Reference(source)), layer) == pytest.approx(sum(each) / 2)
    for sources, layers in ((source | {"b": normal(1, 3, 9, 3)}, layer), (source, layer | {"b": normal(1, 3, 3, 9)})):
        assert value(transport(Reference(sources)), layers) == pytest.approx(each[0])
    nothing, gradient = measured(transport(normal(1, 3, 3, 3)), layer["a"])
    assert float(nothing) == float(gradient.abs().sum()) == 0
