"""What every loss promises where some pixels of the output count more than others, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pictures import generator, noise
from texsynth import losses
from texsynth.losses import Loss, Reference, Setup
from texsynth.patches.cut import cut, wanted
from texsynth.patches.samples import draw

OFF, BOTH = (False, False), (True, True)
WITHOUT_PLACES = {"classification": "a class is one of the whole picture, so a part of it cannot be left out"}
SUMS = {"norm": "a sum, so larger shares make it larger"}

Features = dict[str, Tensor]

of_losses = pytest.mark.parametrize("name", losses.names())


def rough(h: int = 24, w: int = 24, seed: int = 10) -> Features:
    """Noise on two layers, as of a picture h x w."""
    return {"a": noise(1, 4, h, w, seed=seed), "b": noise(1, 6, h // 2, w // 2, seed=seed + 1)}


def smooth() -> Features:
    """The same, blurred."""
    return {name: F.avg_pool2d(layer, 3, 1, 1) for name, layer in rough(seed=0).items()}


def leaves(values: Mapping[str, Tensor]) -> Features:
    return {name: layer.clone().requires_grad_() for name, layer in values.items()}


def build(
    name: str, *references: Reference, tile: tuple[bool, bool] = OFF, share: Tensor | None = None, **values: Any
) -> Loss:
    module, setup = losses.loss(name), Setup(generator(), tile, share=share)
    return module.build(references or (Reference(smooth()),), module.Settings(**values), setup)


def value(loss: Loss, seen: Mapping[str, Tensor]) -> float:
    return float(loss(leaves(seen)).detach())


def skipped(name: str, *reasons: Mapping[str, str]) -> None:
    for each in reasons:
        if name in each:
            pytest.skip(each[name])


def middle() -> Tensor:
    """What counts of a picture 24 x 24: a square in the middle, its left half twice."""
    share = torch.zeros(1, 1, 24, 24)
    share[:, :, 10:14, 10:14] = 1
    share[:, :, 10:14, 10:12] = 2
    return share


@of_losses
@pytest.mark.parametrize("tile", [OFF, BOTH])
def test_where_all_counts_alike_nothing_changes(name: str, tile: tuple[bool, bool]) -> None:
    skipped(name, SUMS)
    plain = value(build(name, tile=tile), rough())
    for height in (1.0, 0.25):
        share = torch.full((1, 1, 24, 24), height)
        assert value(build(name, tile=tile, share=share), rough()) == pytest.approx(plain, rel=1e-4)


@of_losses
def test_what_is_far_from_all_that_counts_is_not_looked_at(name: str) -> None:
    skipped(name, WITHOUT_PLACES)
    seen, other = leaves(rough()), rough(seed=30)
    for key, layer in other.items():
        reach = slice(2, 22) if key == "a" else slice(0, 12)  # 7 positions on the first layer, all of the second
        layer[:, :, reach, reach] = seen[key].detach()[:, :, reach, reach]
    first, second = (build(name, share=middle())(some) for some in (seen, leaves(other)))
    assert float(first.detach()) == float(second.detach()) > 0
    first.backward()
    slope = seen["a"].grad
    assert slope is not None and slope[:, :, 9:15, 9:15].abs().max() > 0
    slope[:, :, 2:22, 2:22] = 0
    assert slope.abs().max() == 0


@of_losses
def test_shares_are_relative(name: str) -> None:
    skipped(name, SUMS)
    single, double = (value(build(name, share=middle() * factor), rough()) for factor in (1, 2))
    assert single == pytest.approx(double, rel=1e-5)


@of_losses
def test_the_share_wraps_with_the_output(name: str) -> None:
    """What counts may lie across the border: rolled there with the output it is the same."""
    share = (middle() > 0).float()
    rolled = {key: layer.roll((layer.shape[2] // 2,) * 2, (2, 3)) for key, layer in rough().items()}
    pairs = ((rough(), share), (rolled, share.roll((12, 12), (2, 3))))
    first, second = (value(build(name, tile=BOTH, share=where), seen) for seen, where in pairs)
    assert first == pytest.approx(second, rel=1e-4)


@of_losses
def test_where_nothing_counts_there_is_no_loss(name: str) -> None:
    skipped(name, WITHOUT_PLACES)
    seen = leaves(rough())
    none = build(name, share=torch.zeros(1, 1, 24, 24))(seen)
    none.backward()
    assert float(none.detach()) == 0
    assert all(layer.grad is not None and layer.grad.abs().max() == 0 for layer in seen.values())


@of_losses
def test_an_exemplar_of_which_nothing_is_valid_adds_nothing(name: str) -> None:
    skipped(name, WITHOUT_PLACES)
    own = Reference(smooth())
    barred = Reference({key: 5 * layer for key, layer in rough().items()}, 1, torch.zeros(1, 1, 24, 24).bool())
    alone = value(build(name, own), rough())
    assert value(build(name, barred, own), rough()) == alone == value(build(name, own, barred), rough())


MEANS = {"semidual": {"ascents": 0}, "correspondence": {"occurrence": 0.0, "stride": 1}}


@pytest.mark.parametrize("name", MEANS)
def test_a_mean_over_patches_is_weighted(name: str) -> None:
    """Two places apart, one counting three times: their own means, by their patches."""
    seen, left, right = {"a": rough()["a"]}, torch.zeros(1, 1, 24, 24), torch.zeros(1, 1, 24, 24)
    left[:, :, 4:7, 4:9], right[:, :, 14:20, 15:21] = 1, 1
    counts = [float(wanted(where, seen["a"], 4, 1).sum()) for where in (left, right)]
    own, other, both = (
        value(build(name, share=where, patch=4, **MEANS[name]), seen) for where in (left, right, left + 3 * right)
    )
    mean = (counts[0] * own + 3 * counts[1] * other) / (counts[0] + 3 * counts[1])
    assert both == pytest.approx(mean, rel=1e-4)
    assert both != pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize("tile", [OFF, BOTH])
def test_weighted_gradients_are_exact(name: str, tile: tuple[bool, bool]) -> None:
    source, share = {"a": noise(1, 2, 7, 8).double()}, noise(1, 1, 6, 5, seed=3) * (noise(1, 1, 6, 5, seed=4) > 0.5)
    of = build(name, Reference(source), tile=tile, share=share.double(), patch=2, **MEANS[name])
    x = noise(1, 2, 6, 5, seed=2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda layer: of({"a": layer}), (x,))


def test_potentials_know_how_much_patches_count() -> None:
    """One half counts three times as much as the other: as if it were there three times."""
    source, left, right = noise(1, 2, 6, 6), noise(1, 2, 6, 4, seed=1), noise(1, 2, 6, 4, seed=2) + 0.5
    share = torch.ones(1, 1, 6, 8)
    share[..., 4:] = 3
    words = {"patch": 1, "sample": 0, "ascents": 50}
    weighted = build("semidual", Reference({"a": source}), share=share, **words)
    repeated = build("semidual", Reference({"a": source}), **words)
    once, thrice = torch.cat([left, right], 3), torch.cat([left, right, right, right], 3)
    for _ in range(3):
        assert value(weighted, {"a": once}) == pytest.approx(value(repeated, {"a": thrice}), rel=1e-4)


def test_gram_of_weighted_positions_by_hand() -> None:
    layer, share = noise(1, 3, 5, 6), noise(1, 1, 5, 6, seed=1)
    rows, weights = layer[0].flatten(1).T, share.flatten() / share.sum()
    target = torch.eye(3)
    found = (rows.T * weights) @ rows
    source = torch.zeros(1, 3, 1, 3)
    source[0, range(3), 0, range(3)] = 3**0.5
    of = build("gram", Reference({"a": source}), share=share, normalise="gatys")
    assert value(of, {"a": layer}) == pytest.approx(float(((found - target) / 6).square().sum()), rel=1e-4)


@pytest.mark.parametrize("patch", [1, 3])
@pytest.mark.parametrize("tile", [OFF, BOTH])
def test_a_patch_counts_as_its_most_wanted_pixel(patch: int, tile: tuple[bool, bool]) -> None:
    share, layer = noise(1, 1, 9, 7), noise(1, 2, 9, 7)
    found = wanted(share, layer, patch, 1, tile)
    assert torch.equal(found.flatten(), cut(share, patch, 1, tile).amax(1))
    coarse = wanted(share, noise(1, 2, 4, 3), 1, 1)
    assert float(coarse.max()) == float(share.max())


def test_rows_are_drawn_in_proportion() -> None:
    shares = torch.tensor([1.0, 0.0, 3.0, 4.0]).repeat(500)
    rows = torch.arange(2000)
    picked = rows[draw(rows, 0, generator(), shares)]
    assert len(picked) == 1500
    counts = torch.bincount(picked % 4, minlength=4) / 1500
    assert counts.tolist() == pytest.approx([1 / 8, 0, 3 / 8, 1 / 2], abs=0.04)
    alike = draw(rows, 0, generator(), (shares > 0).float())
    assert torch.equal(rows[alike], rows[shares > 0])
    few = rows[draw(rows, 100, generator(), shares)]
    assert len(few) == 100 and float(shares[few].min()) > 0
