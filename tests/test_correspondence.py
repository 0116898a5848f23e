"""The guided correspondence loss: the fact sheet's values, a plain dense form, and what guides, copies and masks do."""

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
from texsynth.losses.correspondence import Settings
from texsynth.patches.chunks import Tile
from texsynth.patches.cut import cut, grid
from texsynth.patches.distances import DISTANCES
from texsynth.patches.penalties import PatchLayout, penalty
from texsynth.task import Guide

guided = partial(build, "correspondence")

TINY = 2000  # bytes: a few rows at a time


def plain(
    layer: Tensor, sources: Sequence[Tensor], settings: Settings, more: Tensor | float = 0, cells: Tensor | None = None,
    usable: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The paper's formulas as they stand, by autograd.

    more: added to all distances; cells: where patches come from; usable: which source patches count.
    """
    layer = layer.detach().clone().requires_grad_()
    y = torch.cat([cut(s, settings.patch, settings.stride) for s in sources])
    usable = torch.ones(len(y), dtype=torch.bool) if usable is None else usable
    y, cells = y[usable], (torch.arange(len(usable)) if cells is None else cells)[usable]
    x, y = cut(layer, settings.patch, settings.stride) - y.mean(0), y - y.mean(0)
    if settings.distance == "cosine":
        d = ((1 - F.normalize(x, dim=1) @ F.normalize(y, dim=1).T) / 2).clamp(min=0)
    else:
        d = ((x[:, None] - y) ** 2).sum(2) / (y**2).sum(1).mean()
    d = d + (more[:, usable] if isinstance(more, Tensor) else more)
    used = torch.bincount(cells[d.argmin(1)], minlength=int(cells.max()) + 1).double()
    d = d + settings.occurrence * used[cells] * len(cells.unique()) / len(x)
    relative = d / (d.amin(1, keepdim=True) + settings.eps)
    value = -torch.softmax((1 - relative) / settings.h, 1).amax(1).log().mean()
    value.backward()
    assert layer.grad is not None
    return value.detach(), layer.grad


@pytest.mark.parametrize(("occurrence", "of_itself"), [(0.0, 0.0), (0.05, 8e-7)])
def test_values_of_the_fact_sheet(occurrence: float, of_itself: float) -> None:
    """Two unlike maps of 400 patches score nearly log 400, and a map scores nearly 0 against itself."""
    one, other = (normal(1, 128, 64, 64, seed=seed).relu().float() for seed in (0, 1))
    assert value(guided(one, occurrence=0.0), other) == pytest.approx(5.91, abs=0.02)
    assert value(guided(one, occurrence=occurrence), one) == pytest.approx(of_itself, rel=0.5, abs=1e-12)


@pytest.mark.parametrize("memory", [TINY, 1 << 20])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("channels", [3, 10])
@pytest.mark.parametrize(("patch", "stride"), [(7, 3), (4, 1), (3, 4)])
def test_in_parts_as_at_once(memory: int, distance: str, channels: int, patch: int, stride: int) -> None:
    """Value and gradient of the chunked form are those of the dense one; two references are one larger source."""
    sources = [normal(1, channels, 16, 19), 0.5 + normal(1, channels, 13, 11, seed=1)]
    settings = Settings(patch=patch, stride=stride, distance=distance, h=0.7, occurrence=0.1)
    loss = guided(*sources, memory=memory, **vars(settings))
    layer = normal(1, channels, 18, 17, seed=2)
    assert_same(measured(loss, layer), plain(layer, sources, settings))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("channels", [2, 9])
def test_gradient_is_the_limit_of_differences(distance: str, channels: int) -> None:
    loss = guided(normal(1, channels, 7, 7), memory=600, patch=3, stride=2, distance=distance)
    layer = normal(1, channels, 5, 7, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss({"a": x}), (layer,), fast_mode=True)


def between(target: Tensor, source: Tensor, distance: str) -> Tensor:
    """The distance of a guide's patches, place by place: (N target, N source)."""
    t, r = (cut(m, 7, 3).unflatten(1, (-1, 49)) for m in (target, source))
    t, r = t[:, None], r[None]  # (N, N, C, 49)
    if distance == "l0":
        return (t != r).double().mean((2, 3))
    if distance == "l2":
        return ((t - r) ** 2).mean((2, 3))
    return torch.minimum(((t - r) ** 2).sum(2), ((t + r) ** 2).sum(2)).mean(2) / 2


@pytest.mark.parametrize("memory", [TINY, 1 << 20])
@pytest.mark.parametrize("distance", ["l2", "l0", "direction"])
def test_guides_add_their_distance(distance: str, memory: int) -> None:
    source, layer = normal(1, 3, 16, 19), normal(1, 3, 22, 16, seed=1)
    maps = [normal(1, 2, 16, 19, seed=2), normal(1, 2, 22, 16, seed=3)]
    if distance == "l0":
        maps = [torch.arange(h * w).view(1, 1, h, w) // 5 % 3 * 7 for h, w in ((16, 19), (22, 16))]
    elif distance == "direction":
        maps = [F.normalize(m) for m in maps]
    big = [F.interpolate(m.double(), scale_factor=2) for m in maps]  # maps are of pixels, layers of less
    loss = guided(source, guides=(Guide("g", (big[0],), big[1], weight=0.3, distance=distance),), memory=memory)
    more = 0.3 * between(maps[1].double(), maps[0].double(), distance)
    assert float(more.std()) > 0.01
    for _ in range(2):  # also from what was kept
        assert_same(measured(loss, layer), plain(layer, [source], Settings(), more))


def test_guides_of_all_kinds_add_up() -> None:
    source, layer, ids = normal(1, 3, 16, 16), normal(1, 3, 16, 16, seed=1), normal(1, 1, 16, 16, seed=2).round()
    shades = normal(1, 1, 16, 16, seed=3)
    guides = (Guide("a", (shades,), ids, 2.0), Guide("b", (ids,), shades.round(), 0.5, "l0"))
    loss = guided(source, guides=guides)
    more = 2 * between(ids, shades, "l2") + 0.5 * between(shades.round(), ids, "l0")
    assert_same(measured(loss, layer), plain(layer, [source], Settings(), more))


@pytest.mark.parametrize("turned", [lambda m: m.flip(3), lambda m: m.flip(2, 3), lambda m: m.transpose(2, 3)])
def test_uneven_use_is_counted_where_copies_come_from(turned: Any) -> None:
    """Patches of a copy and of the exemplar are one place: found through either, both cost the same."""
    source, layer = normal(1, 3, 19, 16), normal(1, 3, 22, 22, seed=1)
    settings = Settings(occurrence=0.3)
    place = torch.cartesian_prod(torch.linspace(0, 1, 19), torch.linspace(0, 1, 16)).T.view(1, 2, 19, 16)
    references = [Reference({"a": source}), Reference({"a": turned(source)}, place=turned(place))]
    cells = torch.arange(20).view(1, 1, 5, 4)
    cells = torch.cat([cells.flatten(), turned(cells).flatten()])
    wanted = plain(layer, [source, turned(source)], settings, cells=cells)
    assert_same(measured(guided(*references, **vars(settings)), layer), wanted)
    # Two exemplars that look the same are not one place
    apart = plain(layer, [source, turned(source)], settings)
    assert_same(measured(guided(source, turned(source), **vars(settings)), layer), apart)
    assert abs(float(apart[0] - wanted[0])) > 1e-4


@pytest.mark.parametrize("memory", [TINY, 1 << 20])
def test_context_limits_how_far_a_match_may_be(memory: int) -> None:
    source, layer = normal(1, 3, 25, 19), normal(1, 3, 22, 22, seed=1)
    (h, w), (rows, columns) = grid((22, 22), 7, 3), grid((25, 19), 7, 3)

    def apart(ours: int, theirs: int) -> Tensor:
        return (torch.linspace(0, 1, ours)[:, None] - torch.linspace(0, 1, theirs)).abs()

    far = torch.maximum(apart(h, rows)[:, None, :, None], apart(w, columns)[None, :, None, :]) > 0.3
    wanted = plain(layer, [source], Settings(), 1e12 * far.reshape(h * w, -1))
    assert_same(measured(guided(source, memory=memory, context=0.3), layer), wanted)
    assert_same(measured(guided(source, memory=memory, context=1.0), layer), measured(guided(source), layer))


@pytest.mark.parametrize("tile", [(False, False), (True, False)])
@pytest.mark.parametrize("sizes", [[(10, 13)], [(7, 7), (40, 9)]])
def test_any_context_leaves_something_to_match(tile: tuple[bool, bool], sizes: list[tuple[int, int]]) -> None:
    allowed = penalty(PatchLayout(tuple(sizes), (40, 37), 7, 3, tile), (), 1e-3, normal(1), 1 << 20)
    assert allowed is not None
    near = allowed(Tile(0, 0, *grid((40, 37), 7, 3, tile))) == 0
    assert bool(near.any(1).all()) and float(near.double().mean()) < 0.7


@pytest.mark.parametrize("channels", [3, 10])
def test_invalid_pixels_are_not_learned_from(channels: int) -> None:
    source, layer = normal(1, channels, 16, 19), normal(1, channels, 18, 17, seed=1)
    hole = torch.zeros(32, 38, dtype=torch.bool)
    hole[6, 30] = True
    sees = cut(hole.view(16, 2, 19, 2).any(3).any(1)[None, None].double(), 7, 3).sum(1) > 0
    assert 0 < int(sees.sum()) < len(sees)
    loss = guided(Reference({"a": source}, valid=~hole[None, None]), memory=TINY)
    assert_same(measured(loss, layer), plain(layer, [source], Settings(), usable=~sees))


def test_nothing_valid_within_the_context_counts_nothing() -> None:
    source = normal(1, 3, 64, 16)
    valid = torch.ones(1, 1, 64, 16, dtype=torch.bool)
    valid[:, :, 32:] = False
    loss = guided(Reference({"a": source}, valid=valid), context=0.1)
    finite, gradient = measured(loss, normal(1, 3, 64, 16, seed=1))
    assert finite.isfinite() and gradient.isfinite().all()
    assert float(gradient[:, :, 44:].abs().max()) < 1e-9 < float(gradient[:, :, :20].abs().min())


def test_a_tile_is_seen_across_its_borders() -> None:
    source, layer = normal(1, 3, 16, 19), normal(1, 3, 18, 15, seed=1)
    loss = guided(source, tile=BOTH)
    still, gradient = measured(loss, layer)
    rolled = measured(loss, layer.roll((6, 9), (2, 3)))
    assert_same(rolled, (still, gradient.roll((6, 9), (2, 3))))
    wide = F.pad(layer, (0, 6, 0, 6), mode="circular")
    torch.testing.assert_close(still, plain(wide, [source], Settings())[0])


def test_a_sample_stands_for_all() -> None:
    """Few patches at a time, drawn anew, on average say the same as all of them; and all is what is asked for."""
    source, layer = normal(1, 3, 13, 16), normal(1, 3, 52, 52, seed=1)
    exact = measured(guided(source, occurrence=0.0), layer)
    loss = guided(source, occurrence=0.0, sample=64)
    draws = [measured(loss, layer) for _ in range(60)]
    assert len({float(each) for each, _ in draws}) > 30
    assert float(torch.stack([each for each, _ in draws]).mean()) == pytest.approx(float(exact[0]), rel=0.02)
    mean = torch.stack([gradient for _, gradient in draws]).mean(0)
    assert float(torch.cosine_similarity(mean.flatten(), exact[1].flatten(), dim=0)) > 0.9
    for _, gradient in draws:
        assert 0 < int((gradient[0, 0] != 0).sum()) <= 64 * 49
    assert torch.equal(measured(guided(source, occurrence=0.0, sample=64), layer)[1], draws[0][1])
    for everything in (0, 16 * 16):
        assert_same(measured(guided(source, occurrence=0.0, sample=everything), layer), exact)


@pytest.mark.parametrize("size", [(6, 20), (9, 9)])
def test_layers_too_small_count_nothing(size: tuple[int, int]) -> None:
    """Smaller than a patch, or with one source patch only."""
    large, small = normal(1, 3, 16, 16), normal(1, 3, *size)
    loss = guided(Reference({"a": large, "b": small}))
    layers = {"a": normal(1, 3, 16, 16, seed=1), "b": normal(1, 3, 16, 16, seed=2)}
    assert value(loss, layers) == pytest.approx(float(plain(layers["a"], [large], Settings())[0]))
    for source, layer in ((small, layers["a"]), (large, normal(1, 3, 5, 30))):
        nothing, gradient = measured(guided(source), layer)
        assert float(nothing) == float(gradient.abs().sum()) == 0


def test_layers_are_summed() -> None:
    source, layer = ({name: normal(1, 3, 16, 16, seed=s + n) for n, name in enumerate("ab")} for s in (0, 2))
    each = [float(plain(layer[name], [source[name]], Settings())[0]) for name in "ab"]
    assert value(guided(Reference(source)), layer) == pytest.approx(sum(each))
