"""What every loss promises where some pixels of the output count more than others, or not at all."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from loss_builders import BOTH, OFF, WITHOUT_PLACES, build, double, leaves, rough, smooth, value
from pictures import noise
from texsynth import losses
from texsynth.losses import Reference
from texsynth.patches.cut import patch_weights

SUMS = {"norm": "a sum, so larger shares make it larger"}

of_losses = pytest.mark.parametrize("name", losses.names())


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
    output, other = leaves(rough()), rough(seed=30)
    for key, layer in other.items():
        reach = slice(2, 22) if key == "a" else slice(0, 12)  # 7 positions on the first layer, all of the second
        layer[:, :, reach, reach] = output[key].detach()[:, :, reach, reach]
    first, second = (build(name, share=middle())(layers) for layers in (output, leaves(other)))
    assert float(first.detach()) == float(second.detach()) > 0
    first.backward()
    slope = output["a"].grad
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
    first, second = (value(build(name, tile=BOTH, share=where), layers) for layers, where in pairs)
    assert first == pytest.approx(second, rel=1e-4)


@of_losses
def test_where_nothing_counts_there_is_no_loss(name: str) -> None:
    skipped(name, WITHOUT_PLACES)
    output = leaves(rough())
    none = build(name, share=torch.zeros(1, 1, 24, 24))(output)
    none.backward()
    assert float(none.detach()) == 0
    assert all(layer.grad is not None and layer.grad.abs().max() == 0 for layer in output.values())


@of_losses
def test_an_exemplar_of_which_nothing_is_valid_adds_nothing(name: str) -> None:
    skipped(name, WITHOUT_PLACES)
    plain = Reference(smooth())
    barred = Reference({key: 5 * layer for key, layer in rough().items()}, 1, torch.zeros(1, 1, 24, 24).bool())
    alone = value(build(name, plain), rough())
    assert value(build(name, barred, plain), rough()) == alone == value(build(name, plain, barred), rough())


MEANS = {"semidual": {"ascents": 0}, "correspondence": {"occurrence": 0.0, "stride": 1}}


@pytest.mark.parametrize("name", MEANS)
def test_a_mean_over_patches_is_weighted(name: str) -> None:
    """Two places apart, one counting three times: their own means, by their patches."""
    layer, left, right = rough()["a"], torch.zeros(1, 1, 24, 24), torch.zeros(1, 1, 24, 24)
    left[:, :, 4:7, 4:9], right[:, :, 14:20, 15:21] = 1, 1
    counts = [float(patch_weights(where, layer, 4, 1).sum()) for where in (left, right)]
    shares = (left, right, left + 3 * right)
    one, other, both = (value(build(name, share=share, patch=4, **MEANS[name]), layer) for share in shares)
    mean = (counts[0] * one + 3 * counts[1] * other) / (counts[0] + 3 * counts[1])
    assert both == pytest.approx(mean, rel=1e-4)
    assert both != pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize("tile", [OFF, BOTH])
def test_weighted_gradients_are_exact(name: str, tile: tuple[bool, bool]) -> None:
    share = double(1, 1, 6, 5, seed=3) * (noise(1, 1, 6, 5, seed=4) > 0.5)
    of = build(name, double(1, 2, 7, 8), tile=tile, share=share, patch=2, **MEANS[name])
    x = double(1, 2, 6, 5, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda layer: of({"a": layer}), (x,))


def test_potentials_know_how_much_patches_count() -> None:
    """One half counts three times as much as the other: as if it were there three times."""
    source, left, right = noise(1, 2, 6, 6), noise(1, 2, 6, 4, seed=1), noise(1, 2, 6, 4, seed=2) + 0.5
    share = torch.ones(1, 1, 6, 8)
    share[..., 4:] = 3
    words = {"patch": 1, "sample": 0, "ascents": 50}
    weighted, repeated = build("semidual", source, share=share, **words), build("semidual", source, **words)
    once, thrice = torch.cat([left, right], 3), torch.cat([left, right, right, right], 3)
    for _ in range(3):
        assert value(weighted, once) == pytest.approx(value(repeated, thrice), rel=1e-4)


def test_gram_of_weighted_positions_by_hand() -> None:
    layer, share = noise(1, 3, 5, 6), noise(1, 1, 5, 6, seed=1)
    rows, weights = layer[0].flatten(1).T, share.flatten() / share.sum()
    weighted = (rows.T * weights) @ rows
    source = torch.zeros(1, 3, 1, 3)  # its Gram matrix is the identity
    source[0, range(3), 0, range(3)] = 3**0.5
    of = build("gram", source, share=share, normalise="gatys")
    assert value(of, layer) == pytest.approx(float(((weighted - torch.eye(3)) / 6).square().sum()), rel=1e-4)
