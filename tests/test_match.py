"""The soft match of CoCosNet: dense, in parts, and from coarse to fine."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pictures import generator, noise
from texsynth.learned.cocosnet.match import candidates, descriptors, gather_patches, match, match_among, rows
from texsynth.pyramid import shrink


def features(seed: int, h: int = 7, w: int = 9, count: int = 6) -> Tensor:
    return noise(1, count, h, w, seed=seed)


def smooth(h: int, w: int) -> Tensor:
    """Features that say where they are, and change slowly: (1, 6, h, w)."""
    y, x = torch.meshgrid(torch.linspace(0, 1, h), torch.linspace(0, 1, w), indexing="ij")
    return torch.stack([y, 1 - y, x, 1 - x, (3 * y).sin(), (3 * x).cos()])[None]


def best(queries: Tensor, keys: Tensor) -> Tensor:
    """The positions that match best, by comparing all: (h, w)."""
    cosines = rows(descriptors(queries)) @ rows(descriptors(keys)).T
    return cosines.argmax(1).unflatten(0, queries.shape[2:])


def pyramid(x: Tensor, levels: int = 2) -> list[Tensor]:
    return [shrink(x, level) for level in range(levels, -1, -1)]


def check_same(one: Callable[..., Tensor], other: Callable[..., Tensor]) -> None:
    """Two matches of the same queries, keys and values give the same, and the same gradients."""

    def run(way: Callable[..., Tensor]) -> list[Tensor]:
        q, k, v = (t.double().requires_grad_() for t in (features(0), features(1, 5, 4), noise(1, 2, 5, 4)))
        out = way(q, k, v)
        return [out, *torch.autograd.grad((out * noise(1, 2, 7, 9, seed=3)).sum(), (q, k, v))]

    for actual, expected in zip(run(one), run(other), strict=True):
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("patch", [1, 3])
def test_descriptors_are_centred_and_of_length_one(patch: int) -> None:
    result = descriptors(features(0) * 5 + 2, patch)
    assert result.shape == (1, 6 * patch**2, 7, 9)
    torch.testing.assert_close(result.mean(1), torch.zeros(1, 7, 9), atol=1e-6, rtol=0)
    torch.testing.assert_close(result.norm(dim=1), torch.ones(1, 7, 9))
    torch.testing.assert_close(descriptors(result), result)
    assert not descriptors(torch.full((1, 3, 4, 4), 0.5), patch).any()  # nothing differs


def test_descriptors_of_windows_hold_the_neighbours() -> None:
    """The middle of a window is the position itself; where the map wraps so do windows."""
    x = features(0)
    plain = F.unfold(x[:, :, :3, :3], 3)[0, :, 0]
    plain = plain - plain.mean()
    torch.testing.assert_close(descriptors(x, 3)[0, :, 1, 1], plain / plain.norm())
    wrapped = descriptors(x.roll((2, 3), (2, 3)), 3, (True, True))
    torch.testing.assert_close(wrapped, descriptors(x, 3, (True, True)).roll((2, 3), (2, 3)))


def test_descriptors_of_flat_features_have_finite_gradients() -> None:
    x = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    descriptors(x).sum().backward()
    assert x.grad is not None and bool(x.grad.isfinite().all())


@pytest.mark.parametrize("patch", [1, 3])
def test_what_is_matched_with_itself_stays(patch: int) -> None:
    x, values = descriptors(features(0, count=16), patch), noise(1, 3, 7, 9, seed=1)
    torch.testing.assert_close(match(x, x, values), values, atol=0.01, rtol=0)
    there = match(x, x.flip(3), values)
    torch.testing.assert_close(match(x.flip(3), x, there), values, atol=0.02, rtol=0)  # the cycle


def test_values_are_means_of_what_the_other_holds() -> None:
    """Sizes may differ; weights add up to one; a high temperature takes the same of all."""
    q, k, values = features(0), features(1, 5, 4), noise(1, 3, 5, 4)
    out = match(q, k, values)
    assert out.shape == (1, 3, 7, 9)
    assert out.min() >= values.min() and out.max() <= values.max()
    torch.testing.assert_close(match(q, k, torch.ones(1, 1, 5, 4)), torch.ones(1, 1, 7, 9))
    mean = values.mean((2, 3), keepdim=True).expand_as(out)
    torch.testing.assert_close(match(q, k, values, temperature=1e4), mean, atol=1e-3, rtol=0)


@pytest.mark.parametrize("memory", [1, 3000, 1 << 20])
def test_parts_are_the_whole(memory: int) -> None:
    """Values and gradients, whatever the memory; against plain algebra."""

    def plain(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        logits = rows(descriptors(q)) @ rows(descriptors(k)).T / 0.1
        return (logits.softmax(1) @ rows(v)).T.unflatten(1, (7, 9))[None]

    check_same(lambda q, k, v: match(q, k, v, 0.1, memory), plain)


@pytest.mark.parametrize("size", [(28, 36), (26, 33)])
def test_cells_are_taken_whole(size: tuple[int, int]) -> None:
    """Matched with itself a picture keeps the detail inside of its cells, up to what its last cells lack."""
    x, image = descriptors(features(0, count=16)), noise(1, 3, *size)
    out = gather_patches(image, 4, lambda values: match(x, x, values, 0.001))
    assert out.shape == (1, 3, 28, 36)
    torch.testing.assert_close(out[:, :, : size[0], : size[1]], image, atol=1e-4, rtol=0)


@pytest.mark.parametrize("memory", [1, 1 << 20])
def test_coarse_to_fine_finds_the_best_of_all_on_a_smooth_map(memory: int) -> None:
    keys = smooth(32, 37)
    queries = keys.flip(3)[:, :, 3:28, 2:]
    result = candidates(pyramid(queries), pyramid(keys), 4, generator(), 2, memory)
    assert result.shape == (4, 25, 35)
    assert torch.equal(result[0], best(queries, keys))


def test_search_finds_places_that_the_coarse_grid_does_not_show() -> None:
    """On a map without any coarse features, random search and neighbours find what was moved as a whole."""
    keys = noise(1, 8, 24, 24) - 0.5
    queries = keys.roll((7, -5), (2, 3))
    results = [candidates(pyramid(queries), pyramid(keys), 4, generator(), n)[0] for n in (0, 4, 12)]
    share = [(result == best(queries, keys)).float().mean() for result in results]
    assert share[0] < share[1] < share[2] and share[2] > 0.9


def test_candidates_lead_to_the_same_quarter_of_a_cell() -> None:
    """Where the coarse grid prefers the wrong cell, the second one still gives each position its own."""
    wrong, right = F.one_hot(torch.arange(2), 4).float()
    keys = noise(1, 4, 2, 4)
    coarse = torch.stack([wrong, right], 1)[None, :, None], (wrong + 0.9 * right)[None, :, None, None]
    result = candidates([coarse[1], keys[:, :, :, 2:]], [coarse[0], keys], 2, generator(), 0)
    assert result[0].tolist() == [[2, 3], [6, 7]]


def test_candidates_are_different_the_best_first_and_the_same_again() -> None:
    q, k = descriptors(features(0, 20, 24)), descriptors(features(1, 22, 18))
    result = candidates(pyramid(q), pyramid(k), 6, generator(), 2)
    assert torch.equal(result, candidates(pyramid(q), pyramid(k), 6, generator(), 2))
    assert bool((result.sort(0).values.diff(dim=0) > 0).all())
    cosines = (rows(q) @ rows(k).T).gather(1, result.flatten(1).T)
    assert bool((cosines.diff(dim=1) <= 1e-5).all())


@pytest.mark.parametrize("memory", [1, 1 << 20])
def test_among_all_positions_the_match_is_dense(memory: int) -> None:
    """So are its gradients; a position that is named again counts once; keys may be fewer than candidates."""
    among = candidates([features(0)], [features(1, 5, 4)], 25, generator())
    assert among.shape == (25, 7, 9)
    among = torch.cat([among, among[3:11]])

    check_same(lambda q, k, v: match_among(q, k, v, among, 0.1, memory), lambda q, k, v: match(q, k, v, 0.1))


def test_few_candidates_give_nearly_the_dense_match() -> None:
    x, values = smooth(24, 20), noise(1, 3, 24, 20)
    among = candidates(pyramid(x), pyramid(x), 16, generator())
    torch.testing.assert_close(match_among(x, x, values, among, 1e-5), match(x, x, values, 1e-5), atol=0.02, rtol=0)
