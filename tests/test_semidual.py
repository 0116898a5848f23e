"""Semi-discrete transport of patches: closed forms, POT's exact solver, and Algorithm 1 as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from texsynth.losses import Loss, Reference, Setup
from texsynth.losses.semidual import Settings, build
from texsynth.patches.cut import cut, pick, put, seats


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def setup(seed: int = 0, **more: Any) -> Setup:
    return Setup(torch.Generator().manual_seed(seed), **more)


def measured(loss: Loss, layer: Tensor) -> tuple[Tensor, Tensor]:
    """Value and gradient."""
    layer = layer.detach().clone().requires_grad_()
    value = loss({"x": layer})
    value.backward()
    assert layer.grad is not None
    return value.detach(), layer.grad


def assert_same(got: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]) -> None:
    assert float(wanted[1].norm()) > 0
    torch.testing.assert_close(got[0], wanted[0], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(got[1], wanted[1], rtol=1e-10, atol=1e-12)


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
@pytest.mark.parametrize("size", [(1, 11, 12), (9, 8, 9)])
@pytest.mark.parametrize(
    "settings",
    [
        Settings(patch=3, sample=0),
        Settings(patch=4, stride=2, sample=0, ascents=2, rate=5.0),
        Settings(patch=2, sample=0, ascents=5, normalise_ascent=True),
    ],
)
def test_it_is_algorithm_1(settings: Settings, size: tuple[int, int, int], memory: int) -> None:
    """Kept or computed again in parts, value, gradient and psi are those of the dense form at every evaluation."""
    source, psi = noise(1, *size), torch.zeros(len(cut(noise(1, *size), settings.patch, settings.stride))).double()
    loss = build([Reference({"x": source})], settings, setup(memory=memory))
    for seed in (1, 2, 3):
        layer = noise(1, size[0], 10, 13, seed=seed)
        value, gradient, psi = plain(layer, source, settings, psi)
        assert_same(measured(loss, layer), (value, gradient))
    assert float(psi.abs().max()) > 0


def test_in_one_dimension_it_is_the_sorted_difference() -> None:
    source, layer = noise(1, 1, 5, 8), 2 + 0.5 * noise(1, 1, 8, 5, seed=1)
    exact = float(((source.flatten().sort().values - layer.flatten().sort().values) ** 2).mean())
    loss = build([Reference({"x": source})], Settings(patch=1, sample=0, ascents=500, rate=0.5), setup())
    found = [float(loss({"x": layer})) for _ in range(4)]
    assert found == sorted(found)
    assert 0.995 * exact < found[-1] <= exact + 1e-12


@pytest.mark.parametrize("more", [{}, {"ascent_sample": 24}])
def test_it_climbs_to_the_exact_cost_of_transport(more: dict[str, Any]) -> None:
    """Never above the optimum, and within a few per cent of it after enough steps, of all patches or of a few at a
    time."""
    ot = pytest.importorskip("ot")
    source, layer = noise(1, 2, 8, 9), 0.5 + noise(1, 2, 11, 9, seed=1)
    cost = costs(layer, [source], 3)
    uniform = [torch.full((n,), 1 / n, dtype=torch.float64).numpy() for n in cost.shape]
    exact = float(ot.emd2(*uniform, cost.numpy()))
    settings = Settings(patch=3, sample=0, ascents=200, rate=5.0, **more)
    loss = build([Reference({"x": source})], settings, setup())
    found = [float(loss({"x": layer})) for _ in range(6)]
    assert max(found) <= exact * (1 + 1e-9)
    assert found[-1] > 0.97 * exact
    assert float(cost.amin(1).mean()) < 0.9 * exact


def test_without_steps_it_is_the_nearest_patch() -> None:
    """Over all references together."""
    sources, layer = [noise(1, 3, 9, 8), 1 + noise(1, 3, 7, 10, seed=1)], noise(1, 3, 12, 9, seed=2)
    references = [Reference({"x": s}, n) for n, s in enumerate(sources)]
    loss = build(references, Settings(ascents=0), setup(memory=3000))
    torch.testing.assert_close(loss({"x": layer}), costs(layer, sources, 4).amin(1).mean())


@pytest.mark.parametrize("standardise", ["none", "rms"])
def test_gradient_is_the_limit_of_differences(standardise: str) -> None:
    settings = Settings(patch=2, ascents=0, standardise=standardise)
    loss = build([Reference({"x": noise(1, 3, 6, 5)})], settings, setup(memory=600, tile=(False, True)))
    layer = noise(1, 3, 4, 5, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss({"x": x}), (layer,))


def test_a_picture_is_at_no_distance_from_itself() -> None:
    source = noise(1, 3, 12, 12)
    value, gradient = measured(build([Reference({"x": source})], Settings(), setup()), source)
    assert float(value) == pytest.approx(0, abs=1e-12)
    assert float(gradient.abs().max()) < 1e-12


def test_a_tile_is_seen_across_its_borders() -> None:
    source, layer = noise(1, 3, 9, 8), noise(1, 3, 10, 11, seed=1)
    values = [measured(build([Reference({"x": source})], Settings(), setup(tile=(True, True))), layer)]
    values.append(measured(build([Reference({"x": source})], Settings(), setup(tile=(True, True))), layer.roll(4, 3)))
    assert_same(values[1], (values[0][0], values[0][1].roll(4, 3)))
    wide = torch.cat([layer, layer[:, :, :3]], 2)
    wide = torch.cat([wide, wide[:, :, :, :3]], 3)
    torch.testing.assert_close(values[0][0], build([Reference({"x": source})], Settings(), setup())({"x": wide}))


def test_source_patches_are_drawn_once_from_the_generator() -> None:
    sources, layer = [noise(1, 3, 14, 13), noise(1, 3, 9, 15, seed=1)], noise(1, 3, 9, 9, seed=2)
    references, settings = [Reference({"x": s}) for s in sources], Settings(sample=20, ascents=0)
    loss = build(references, settings, setup())
    value = float(loss({"x": layer}))
    assert float(loss({"x": layer})) == value == float(build(references, settings, setup())({"x": layer}))
    assert float(build(references, settings, setup(seed=1))({"x": layer})) != value
    assert value > float(costs(layer, sources, 4).amin(1).mean())
    # each drawn patch is one of the sources': at no distance from it, and 20 different ones are
    found = sum(
        float(loss({"x": s[:, :, y : y + 4, x : x + 4]})) < 1e-9
        for s in sources for y in range(s.shape[2] - 3) for x in range(s.shape[3] - 3)
    )  # fmt: skip
    assert found == 20


def test_output_patches_may_be_drawn_anew() -> None:
    source, layer = noise(1, 3, 9, 9), noise(1, 3, 24, 24, seed=1)
    reference = Reference({"x": source})
    exact = float(build([reference], Settings(ascents=0), setup())({"x": layer}))
    loss = build([reference], Settings(ascents=0, outputs=12), setup())
    draws = [measured(loss, layer) for _ in range(50)]
    assert len({float(value) for value, _ in draws}) == 50
    assert float(torch.stack([value for value, _ in draws]).mean()) == pytest.approx(exact, rel=0.03)
    assert all(16 <= int((gradient[0, 0] != 0).sum()) <= 12 * 16 for _, gradient in draws)
    again = measured(build([reference], Settings(ascents=0, outputs=12), setup()), layer)
    assert torch.equal(again[1], draws[0][1])
    everything = build([reference], Settings(ascents=0, outputs=21 * 21), setup())
    assert float(everything({"x": layer})) == pytest.approx(exact)


def test_invalid_pixels_are_not_learned_from() -> None:
    source, layer = noise(1, 3, 12, 12), noise(1, 3, 9, 9, seed=1)
    valid = torch.ones(1, 1, 24, 24, dtype=torch.bool)
    valid[:, :, 17:] = False
    loss = build([Reference({"x": source}, valid=valid)], Settings(ascents=0), setup())
    torch.testing.assert_close(loss({"x": layer}), costs(layer, [source[:, :, :8]], 4).amin(1).mean())


def test_rms_makes_the_scale_of_channels_meaningless() -> None:
    source, layer = noise(1, 3, 12, 12), noise(1, 3, 9, 9, seed=1)
    scale = torch.tensor([1.0, 50.0, 0.02], dtype=torch.float64)[None, :, None, None]
    one = build([Reference({"x": source})], Settings(standardise="rms"), setup())({"x": layer})
    other = build([Reference({"x": source * scale})], Settings(standardise="rms"), setup())({"x": layer * scale})
    torch.testing.assert_close(one, other)
    silent = build([Reference({"x": source * (scale == 1)})], Settings(standardise="rms"), setup())
    assert measured(silent, layer)[1].isfinite().all()


def test_layers_are_averaged_and_small_ones_left_out() -> None:
    source, layer = ({name: noise(1, 3, 9, 9, seed=s + n) for n, name in enumerate("xy")} for s in (0, 2))
    each = [build([Reference({n: source[n]})], Settings(), setup())({n: layer[n]}) for n in "xy"]
    torch.testing.assert_close(build([Reference(source)], Settings(), setup())(layer), sum(each) / 2)
    for small in (source | {"y": noise(1, 3, 9, 3)}, source):
        seen = layer if small is not source else layer | {"y": noise(1, 3, 3, 9)}
        torch.testing.assert_close(build([Reference(small)], Settings(), setup())(seen), each[0])
    value, gradient = measured(build([Reference({"x": noise(1, 3, 3, 3)})], Settings(), setup()), layer["x"])
    assert float(value) == float(gradient.abs().sum()) == 0


@pytest.mark.parametrize(("patch", "stride"), [(4, 1), (3, 2), (1, 1)])
def test_patches_are_picked_as_they_are_cut(patch: int, stride: int) -> None:
    layer, other = noise(1, 3, 9, 11), noise(1, 3, 9, 11, seed=1)
    pixels, count = layer[0].flatten(1).T.contiguous(), len(cut(layer, patch, stride))
    index = torch.randperm(count, generator=torch.Generator().manual_seed(0))[: count // 2 + 1]
    places = seats(index, (9, 11), patch, stride)
    rows = pick(pixels, places)
    channels_first = rows.unflatten(1, (-1, 3)).transpose(1, 2).flatten(1)
    assert torch.equal(channels_first, cut(layer, patch, stride)[index])
    total = torch.zeros_like(pixels)
    put(total, places, pick(other[0].flatten(1).T.contiguous(), places))
    adjoint = (total * pixels).sum()  # <put(b), a> = <b, pick(a)>
    torch.testing.assert_close(adjoint, (rows * pick(other[0].flatten(1).T.contiguous(), places)).sum())
