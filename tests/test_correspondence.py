"""The guided correspondence loss: the fact sheet's values, a plain dense form, and what guides, copies and masks do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.losses import Loss, Reference, Setup
from texsynth.losses._guides import Cut, extra
from texsynth.losses.correspondence import Settings, build
from texsynth.patches.chunks import Tile, nearest, tiles
from texsynth.patches.cut import cut, grid
from texsynth.patches.products import Diagonal, Products, Table, products
from texsynth.task import Guide

TINY = 2000  # bytes: a few rows at a time


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


def plain(
    layer: Tensor, sources: Sequence[Tensor], settings: Settings, more: Tensor | float = 0, cells: Tensor | None = None,
    seen: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The paper's formulas as they stand, by autograd. more: added to all distances; cells: where patches come from;
    seen: which source patches count."""
    layer = layer.detach().clone().requires_grad_()
    y = torch.cat([cut(s, settings.patch, settings.stride) for s in sources])
    seen = torch.ones(len(y), dtype=torch.bool) if seen is None else seen
    y, cells = y[seen], (torch.arange(len(seen)) if cells is None else cells)[seen]
    x, y = cut(layer, settings.patch, settings.stride) - y.mean(0), y - y.mean(0)
    if settings.distance == "cosine":
        d = ((1 - F.normalize(x, dim=1) @ F.normalize(y, dim=1).T) / 2).clamp(min=0)
    else:
        d = ((x[:, None] - y) ** 2).sum(2) / (y**2).sum(1).mean()
    d = d + (more[:, seen] if isinstance(more, Tensor) else more)
    used = torch.bincount(cells[d.argmin(1)], minlength=int(cells.max()) + 1).double()
    d = d + settings.occurrence * used[cells] * len(cells.unique()) / len(x)
    relative = d / (d.amin(1, keepdim=True) + settings.eps)
    value = -torch.softmax((1 - relative) / settings.h, 1).amax(1).log().mean()
    value.backward()
    assert layer.grad is not None
    return value.detach(), layer.grad


def assert_same(got: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor]) -> None:
    assert float(wanted[1].norm()) > 0
    torch.testing.assert_close(got[0], wanted[0], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(got[1], wanted[1], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(("occurrence", "of_itself"), [(0.0, 0.0), (0.05, 8e-7)])
def test_values_of_the_fact_sheet(occurrence: float, of_itself: float) -> None:
    """Two unlike maps of 400 patches score nearly log 400, and a map scores nearly 0 against itself."""
    one, other = (noise(1, 128, 64, 64, seed=seed).relu().float() for seed in (0, 1))
    loss = build([Reference({"x": one})], Settings(occurrence=0.0), setup())
    assert float(loss({"x": other})) == pytest.approx(5.91, abs=0.02)
    loss = build([Reference({"x": one})], Settings(occurrence=occurrence), setup())
    assert float(loss({"x": one})) == pytest.approx(of_itself, rel=0.5, abs=1e-12)


@pytest.mark.parametrize("memory", [TINY, 1 << 20])
@pytest.mark.parametrize("distance", ["cosine", "squared"])
@pytest.mark.parametrize("channels", [3, 10])
@pytest.mark.parametrize(("patch", "stride"), [(7, 3), (4, 1), (3, 4)])
def test_in_parts_as_at_once(memory: int, distance: str, channels: int, patch: int, stride: int) -> None:
    """Value and gradient of the chunked form are those of the dense one; two references are one larger source."""
    sources = [noise(1, channels, 16, 19), 0.5 + noise(1, channels, 13, 11, seed=1)]
    settings = Settings(patch=patch, stride=stride, distance=distance, h=0.7, occurrence=0.1)
    loss = build([Reference({"x": s}, n) for n, s in enumerate(sources)], settings, setup(memory=memory))
    layer = noise(1, channels, 18, 17, seed=2)
    assert_same(measured(loss, layer), plain(layer, sources, settings))


@pytest.mark.parametrize("distance", ["cosine", "squared"])
@pytest.mark.parametrize("channels", [2, 9])
def test_gradient_is_the_limit_of_differences(distance: str, channels: int) -> None:
    settings = Settings(patch=3, stride=2, distance=distance)
    loss = build([Reference({"x": noise(1, channels, 7, 7)})], settings, setup(memory=600))
    layer = noise(1, channels, 5, 7, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss({"x": x}), (layer,), fast_mode=True)


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
    source, layer = noise(1, 3, 16, 19), noise(1, 3, 22, 16, seed=1)
    if distance == "l0":
        maps = [torch.arange(h * w).view(1, 1, h, w) // 5 % 3 * 7 for h, w in ((16, 19), (22, 16))]
    elif distance == "l2":
        maps = [noise(1, 2, 16, 19, seed=2), noise(1, 2, 22, 16, seed=3)]
    else:
        maps = [F.normalize(noise(1, 2, 16, 19, seed=2)), F.normalize(noise(1, 2, 22, 16, seed=3))]
    big = [F.interpolate(m.double(), scale_factor=2) for m in maps]  # maps are of pixels, layers of less
    guide = Guide("g", (big[0],), big[1], weight=0.3, distance=distance)
    loss = build([Reference({"x": source}, guides=(big[0],))], Settings(), setup(guides=(guide,), memory=memory))
    more = 0.3 * between(maps[1].double(), maps[0].double(), distance)
    assert float(more.std()) > 0.01
    wanted = plain(layer, [source], Settings(), more)
    assert_same(measured(loss, layer), wanted)
    assert_same(measured(loss, layer), wanted)  # also from what was kept


def test_guides_of_all_kinds_add_up() -> None:
    source, layer, ids = noise(1, 3, 16, 16), noise(1, 3, 16, 16, seed=1), noise(1, 1, 16, 16, seed=2).round()
    own = noise(1, 1, 16, 16, seed=3)
    guides = (Guide("a", (own,), ids, 2.0), Guide("b", (ids,), own.round(), 0.5, "l0"))
    loss = build([Reference({"x": source}, guides=(own, ids))], Settings(), setup(guides=guides))
    more = 2 * between(ids, own, "l2") + 0.5 * between(own.round(), ids, "l0")
    assert_same(measured(loss, layer), plain(layer, [source], Settings(), more))


def place_of(height: int, width: int) -> Tensor:
    """Where every pixel of an exemplar is, (1, 2, height, width)."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.stack([y, x])[None]


@pytest.mark.parametrize("turned", [lambda m: m.flip(3), lambda m: m.flip(2, 3), lambda m: m.transpose(2, 3)])
def test_uneven_use_is_counted_where_copies_come_from(turned: Any) -> None:
    """Patches of a copy and of the exemplar are one place: found through either, both cost the same."""
    source, layer = noise(1, 3, 19, 16), noise(1, 3, 22, 22, seed=1)
    settings = Settings(occurrence=0.3)
    references = [Reference({"x": source}), Reference({"x": turned(source)}, place=turned(place_of(19, 16)))]
    cells = torch.arange(20).view(1, 1, 5, 4)
    cells = torch.cat([cells.flatten(), turned(cells).flatten()])
    wanted = plain(layer, [source, turned(source)], settings, cells=cells)
    assert_same(measured(build(references, settings, setup()), layer), wanted)
    apart = plain(layer, [source, turned(source)], settings)
    assert abs(float(apart[0] - wanted[0])) > 1e-4


def test_exemplars_are_counted_apart() -> None:
    """Two exemplars that look the same are not one place."""
    source, layer = noise(1, 3, 16, 16), noise(1, 3, 22, 22, seed=1)
    settings = Settings(occurrence=0.3)
    others = [Reference({"x": source}, 0), Reference({"x": source.flip(3)}, 1)]
    assert_same(measured(build(others, settings, setup()), layer), plain(layer, [source, source.flip(3)], settings))


@pytest.mark.parametrize("memory", [TINY, 1 << 20])
def test_context_limits_how_far_a_match_may_be(memory: int) -> None:
    source, layer = noise(1, 3, 25, 19), noise(1, 3, 22, 22, seed=1)
    (h, w), (rows, columns) = grid((22, 22), 7, 3), grid((25, 19), 7, 3)

    def apart(ours: int, theirs: int) -> Tensor:
        return (torch.linspace(0, 1, ours)[:, None] - torch.linspace(0, 1, theirs)).abs()

    far = torch.maximum(apart(h, rows)[:, None, :, None], apart(w, columns)[None, :, None, :]) > 0.3
    settings = Settings(context=0.3)
    wanted = plain(layer, [source], Settings(), 1e12 * far.reshape(h * w, -1))
    assert_same(measured(build([Reference({"x": source})], settings, setup(memory=memory)), layer), wanted)


@pytest.mark.parametrize("tile", [(False, False), (True, False)])
@pytest.mark.parametrize("sizes", [[(10, 13)], [(7, 7), (40, 9)]])
def test_any_context_leaves_something_to_match(tile: tuple[bool, bool], sizes: list[tuple[int, int]]) -> None:
    how = Cut(7, 3, tile, context=1e-3)
    allowed = extra((), (), sizes, (40, 37), how, noise(1), 1 << 20)
    assert allowed is not None
    near = allowed(Tile(0, 0, *grid((40, 37), 7, 3, tile))) == 0
    assert bool(near.any(1).all()) and float(near.double().mean()) < 0.7


def test_a_wide_context_is_none() -> None:
    source, layer = noise(1, 3, 25, 19), noise(1, 3, 22, 22, seed=1)
    whole, off = (measured(build([Reference({"x": source})], Settings(context=c), setup()), layer) for c in (1.0, 0.0))
    assert_same(whole, off)


@pytest.mark.parametrize("channels", [3, 10])
def test_invalid_pixels_are_not_learned_from(channels: int) -> None:
    source, layer = noise(1, channels, 16, 19), noise(1, channels, 18, 17, seed=1)
    hole = torch.zeros(32, 38, dtype=torch.bool)
    hole[6, 30] = True
    sees = cut(hole.view(16, 2, 19, 2).any(3).any(1)[None, None].double(), 7, 3).sum(1) > 0
    assert 0 < int(sees.sum()) < len(sees)
    loss = build([Reference({"x": source}, valid=~hole[None, None])], Settings(), setup(memory=TINY))
    assert_same(measured(loss, layer), plain(layer, [source], Settings(), seen=~sees))


def test_nothing_valid_within_the_context_counts_nothing() -> None:
    source = noise(1, 3, 64, 16)
    valid = torch.ones(1, 1, 64, 16, dtype=torch.bool)
    valid[:, :, 32:] = False
    loss = build([Reference({"x": source}, valid=valid)], Settings(context=0.1), setup())
    value, gradient = measured(loss, noise(1, 3, 64, 16, seed=1))
    assert value.isfinite() and gradient.isfinite().all()
    assert float(gradient[:, :, 44:].abs().max()) < 1e-9 < float(gradient[:, :, :20].abs().min())


def test_a_tile_is_seen_across_its_borders() -> None:
    source, layer = noise(1, 3, 16, 19), noise(1, 3, 18, 15, seed=1)
    loss = build([Reference({"x": source})], Settings(), setup(tile=(True, True)))
    value, gradient = measured(loss, layer)
    rolled = measured(loss, layer.roll((6, 9), (2, 3)))
    assert_same(rolled, (value, gradient.roll((6, 9), (2, 3))))
    wide = torch.cat([layer, layer[:, :, :6]], 2)
    wide = torch.cat([wide, wide[:, :, :, :6]], 3)
    torch.testing.assert_close(value, plain(wide, [source], Settings())[0])


def test_a_sample_stands_for_all() -> None:
    """Few patches at a time, drawn anew, on average say the same as all of them; and all is what is asked for."""
    source, layer = noise(1, 3, 13, 16), noise(1, 3, 52, 52, seed=1)
    references, settings = [Reference({"x": source})], Settings(occurrence=0.0, sample=64)
    exact = measured(build(references, Settings(occurrence=0.0), setup()), layer)
    loss = build(references, settings, setup())
    draws = [measured(loss, layer) for _ in range(60)]
    assert len({float(value) for value, _ in draws}) > 30
    assert float(torch.stack([value for value, _ in draws]).mean()) == pytest.approx(float(exact[0]), rel=0.02)
    mean = torch.stack([gradient for _, gradient in draws]).mean(0)
    assert float(torch.cosine_similarity(mean.flatten(), exact[1].flatten(), dim=0)) > 0.9
    for _, gradient in draws:
        assert 0 < int((gradient[0, 0] != 0).sum()) <= 64 * 49
    assert torch.equal(measured(build(references, settings, setup()), layer)[1], draws[0][1])
    for everything in (0, 16 * 16):
        loss = build(references, Settings(occurrence=0.0, sample=everything), setup())
        assert_same(measured(loss, layer), exact)


@pytest.mark.parametrize("size", [(6, 20), (9, 9)])
def test_layers_too_small_count_nothing(size: tuple[int, int]) -> None:
    """Smaller than a patch, or with one source patch only."""
    large, small = noise(1, 3, 16, 16), noise(1, 3, *size)
    loss = build([Reference({"x": large, "y": small})], Settings(), setup())
    layers = {"x": noise(1, 3, 16, 16, seed=1), "y": noise(1, 3, 16, 16, seed=2)}
    assert float(loss(layers)) == pytest.approx(float(plain(layers["x"], [large], Settings())[0]))
    value, gradient = measured(build([Reference({"x": small})], Settings(), setup()), layers["x"])
    assert float(value) == float(gradient.abs().sum()) == 0
    value, gradient = measured(build([Reference({"x": large})], Settings(), setup()), noise(1, 3, 5, 30))
    assert float(value) == float(gradient.abs().sum()) == 0


def test_layers_are_summed() -> None:
    source, layer = ({name: noise(1, 3, 16, 16, seed=s + n) for n, name in enumerate("xy")} for s in (0, 2))
    both = build([Reference(source)], Settings(), setup())(layer)
    each = [plain(layer[name], [source[name]], Settings())[0] for name in "xy"]
    torch.testing.assert_close(both, sum(each))


def both(maps: Sequence[Tensor], patch: int, stride: int) -> tuple[Products, Products]:
    """The same patches as a table and in phases."""
    wide = products([torch.cat([m] * 3, 1) for m in maps], patch, stride)
    table = Table(torch.cat([cut(torch.cat([m] * 3, 1), patch, stride) for m in maps]), patch, stride)
    assert isinstance(wide, Diagonal)
    return wide, table


@pytest.mark.parametrize(("patch", "stride"), [(7, 3), (7, 4), (4, 1), (4, 2), (5, 5), (3, 4), (1, 1)])
def test_products_along_diagonals_are_those_of_cut_patches(patch: int, stride: int) -> None:
    maps, layer = [noise(1, 4, 20, 23), noise(1, 4, 9, 8, seed=1)], noise(1, 12, 21, 16, seed=2)
    wide, table = both(maps, patch, stride)
    for tile in tiles(grid((21, 16), patch, stride), 60, wide.margin):
        pixels = tile.pixels(layer, patch, stride)
        torch.testing.assert_close(wide.inner(pixels, tile), table.inner(pixels, tile))
        weights = noise(tile.count, table.width, seed=3)
        torch.testing.assert_close(wide.pull(weights, tile), table.pull(weights, tile))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (13, 17), (60, 2)])
@pytest.mark.parametrize("most", [1, 30, 10_000])
@pytest.mark.parametrize("margin", [0, 2])
def test_tiles_cover_a_grid_once_and_stay_small(size: tuple[int, int], most: int, margin: int) -> None:
    covered = torch.zeros(size)
    for tile in tiles(size, most, margin):
        tile.of(covered).add_(1)
        assert tile.count == 1 or (tile.rows + margin) * (tile.columns + margin) <= most
    assert bool((covered == 1).all())
    assert most < 10_000 or tiles(size, most, margin) == [Tile(0, 0, *size)]


@pytest.mark.parametrize("columns", [5, 1024, 1100, 2051])
def test_the_nearest_of_a_row(columns: int) -> None:
    matrix = noise(40, columns)
    matrix[3] = 0  # all equal
    values, index = nearest(matrix)
    assert torch.equal(values, matrix.amin(1))
    assert torch.equal(matrix.gather(1, index[:, None])[:, 0], values)
