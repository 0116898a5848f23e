"""The four matching strategies: what each reproduces exactly, principal axes, random rotations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pictures import generator
from texsynth.learned.optimal_textures import matching

affine = pytest.mark.parametrize("mode", list(matching.LINEAR))


def rows(count: int, channels: int, seed: int = 0, rank: int = 1000) -> Tensor:
    """Correlated rows that are far from normal: exponentials, stretched, turned, about a mean of their own."""
    rng = generator(seed)
    free = -torch.rand(count, channels, generator=rng).clamp(min=1e-6).log() * torch.linspace(2, 0.5, channels)
    free[:, rank:] = 0
    return free @ matching.rotation(channels, rng) + torch.randn(channels, generator=rng)


def far(got: Tensor, wanted: Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


@affine
@pytest.mark.parametrize(("channels", "count", "rank"), [(1, 50, 1), (3, 400, 3), (16, 3000, 16), (12, 500, 4)])
def test_affine_modes_match_mean_and_covariance_in_one_step(mode: str, channels: int, count: int, rank: int) -> None:
    """Those of styles of less rank too."""
    target, style = rows(700, channels), rows(count, channels, seed=1, rank=rank)
    matched = matching.LINEAR[mode](target, style)
    assert matched.shape == target.shape and matched.dtype == torch.float32
    for got, wanted in zip(matching.moments(matched), matching.moments(style), strict=True):
        assert far(got, wanted) < 1e-3


@affine
def test_channels_that_are_dead_on_both_sides_change_nothing(mode: str) -> None:
    target, style = rows(700, 6), rows(500, 6, seed=1)
    wide = matching.LINEAR[mode](*(F.pad(x, (0, 2)) for x in (target, style)))
    assert far(wide[:, :6], matching.LINEAR[mode](target, style)) < 1e-3
    assert float(wide[:, 6:].abs().max()) < 1e-3


@pytest.mark.parametrize("mode", matching.MODES)
def test_rows_that_are_all_alike_become_the_mean_of_such_a_style(mode: str) -> None:
    matched = matching.match(mode, torch.full((20, 3), 2.0), torch.full((30, 3), 5.0), 2, generator())
    assert float((matched - 5).abs().max()) < 1e-4


@affine
def test_what_matches_already_stays(mode: str) -> None:
    style = rows(900, 8)
    assert far(matching.LINEAR[mode](style, style), style) < 1e-3


def test_symmetric_moves_rows_least() -> None:
    target, style = rows(700, 8), rows(700, 8, seed=1)
    moved = {mode: float((of(target, style) - target).square().mean()) for mode, of in matching.LINEAR.items()}
    assert moved["symmetric"] == min(moved.values())


@pytest.mark.parametrize("count", [1, 37, 400])
def test_cdf_reproduces_every_marginal(count: int) -> None:
    target, style = rows(400, 5), rows(count, 5, seed=1)
    matched = matching.cdf(target, style)
    assert float(matched.gather(0, target.argsort(0)).diff(dim=0).min()) >= -1e-5  # the order that rows had
    ranks = ((torch.arange(400) + 0.5) * count / 400 - 0.5).clamp(0, count - 1)
    low, high = style.sort(0).values[ranks.floor().long()], style.sort(0).values[ranks.ceil().long()]
    assert far(matched.sort(0).values, low.lerp(high, (ranks % 1)[:, None])) < 1e-5
    if count == 400:
        assert torch.equal(matched.sort(0).values, style.sort(0).values)


def test_rotated_rounds_of_cdf_match_what_one_marginal_does_not_see() -> None:
    target, style = rows(2000, 4), rows(2000, 4, seed=1)
    wanted = matching.moments(style)[1]
    few, many = (matching.moments(matching.match("cdf", target, style, n, generator()))[1] for n in (1, 30))
    assert far(many, wanted) < 0.05 < far(few, wanted)


@pytest.mark.parametrize("mode", matching.MODES)
def test_chance_comes_from_the_generator(mode: str) -> None:
    target, style = rows(50, 4), rows(60, 4, seed=1)
    first = matching.match(mode, target, style, 2, generator())
    torch.rand(3)
    assert torch.equal(first, matching.match(mode, target, style, 2, generator()))
    assert (mode == "cdf") != torch.equal(first, matching.match(mode, target, style, 2, generator(1)))


def test_rotations_are_orthogonal_and_have_no_favourite_direction() -> None:
    rng = generator()
    turns = torch.stack([matching.rotation(3, rng) for _ in range(2000)])
    assert float((turns @ turns.mT - torch.eye(3)).abs().max()) < 1e-5
    assert float(turns.mean(0).abs().max()) < 0.05
    assert float((turns.square().mean(0) - 1 / 3).abs().max()) < 0.03


@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
def test_axes_hold_the_share_of_the_variance_and_no_more_than_needed(share: float) -> None:
    style = rows(800, 10) * torch.linspace(3, 0.1, 10) + 4
    axes = matching.principal_axes(style, share)
    projected = axes.project(style)
    total = float(style.var(0, correction=0).sum())
    kept = projected.var(0, correction=0)
    assert float(kept.sum()) >= share * total * 0.9999
    assert float(kept[:-1].sum()) < share * total
    assert torch.allclose(axes.axes.T @ axes.axes, torch.eye(axes.axes.shape[1]), atol=1e-5)


def test_all_axes_restore_rows() -> None:
    style, others = rows(800, 6), rows(50, 6, seed=1)
    axes = matching.principal_axes(style, 1.0)
    assert far(axes.restore(axes.project(others)), others) < 1e-5
    assert float(axes.project(style).mean(0).abs().max()) < 1e-4
