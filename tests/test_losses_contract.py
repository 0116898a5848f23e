"""What every loss and every feature extractor promises, whatever it does: tests over all of losses/ and features/."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_builders import BOTH, OFF, build, double, leaves, rough, smooth, value
from networks import random_network
from pictures import noise, spots
from texsynth import features, losses
from texsynth.losses import Reference
from texsynth.patches.cut import patch_weights
from texsynth.settings import meanings
from texsynth.weights import pretrained

WITHOUT_PLACES = {"classification": "a class is one of the whole picture, so a part of it cannot be left out"}
SUMS = {"norm": "a sum, so larger shares make it larger"}
WITHOUT_EXEMPLAR = dict.fromkeys(("norm", "variation"), "it looks at the output alone")

of_losses = pytest.mark.parametrize("name", losses.names())
of_features = pytest.mark.parametrize("name", features.names())


def skipped(name: str, reasons: Mapping[str, str]) -> None:
    if name in reasons:
        pytest.skip(reasons[name])


def assert_explained(kind: type) -> None:
    """A frozen dataclass with defaults for all, each with words for the help."""
    defaults = kind()
    assert dataclasses.is_dataclass(kind)
    for each in dataclasses.fields(kind):
        assert each.metadata.get("help") or meanings(kind).get(each.name), f"{each.name} has no help"
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(defaults, each.name, getattr(defaults, each.name))


@of_losses
def test_a_loss_has_what_the_methods_use(name: str) -> None:
    module = losses.loss(name)
    assert list(inspect.signature(module.build).parameters) == ["references", "settings", "setup"]
    assert re.search(r"\b(19|20)\d\d\b", module.__doc__ or ""), "the docstring names the paper and its year"
    assert_explained(module.Settings)


@of_losses
def test_the_exemplar_scores_below_noise(name: str) -> None:
    skipped(name, WITHOUT_EXEMPLAR)
    assert value(build(name), smooth()) < value(build(name), rough())


@of_losses
@pytest.mark.parametrize("output", [rough(), smooth()], ids=["noise", "exemplar"])
def test_the_gradient_is_finite_and_reaches_every_layer(name: str, output: dict[str, Tensor]) -> None:
    """The exemplar itself may be at rest."""
    layers = leaves(output)
    build(name)(layers).backward()
    for key, layer in layers.items():
        assert layer.grad is not None and layer.grad.isfinite().all()
        assert layer.grad.abs().max() > 0 or torch.equal(layer, smooth()[key])


@of_losses
@pytest.mark.parametrize("size", [(33, 26), (16, 40)])
def test_an_output_of_another_size_works(name: str, size: tuple[int, int]) -> None:
    assert value(build(name), rough(*size)) > 0


@of_losses
def test_several_references_are_all_learned_from(name: str) -> None:
    skipped(name, WITHOUT_EXEMPLAR)
    both = [Reference(smooth(30, 26, seed=seed), number) for number, seed in enumerate((0, 50))]
    for each in both:
        assert value(build(name, *both), each.features) < value(build(name, *both), rough(30, 26))


@of_losses
def test_what_is_not_valid_is_not_looked_at(name: str) -> None:
    skipped(name, WITHOUT_PLACES)
    valid = torch.ones(1, 1, 24, 24, dtype=torch.bool)
    valid[:, :, 18:, 20:] = False
    clean, other = smooth(), smooth()
    for layer in other.values():
        cell = 24 // layer.shape[2]
        layer[:, :, 18 // cell :, 20 // cell :] = 2
    masked, spoilt = (value(build(name, Reference(f, valid=valid)), rough()) for f in (clean, other))
    assert masked == pytest.approx(spoilt, rel=1e-5)
    if name not in WITHOUT_EXEMPLAR:
        assert value(build(name, Reference(other)), rough()) != pytest.approx(spoilt, rel=1e-4)


@of_losses
def test_an_output_that_tiles_has_no_border(name: str) -> None:
    """Rolling it, by a step of all strides in use, changes nothing."""
    seen = rough()
    rolled = {key: layer.roll((6, 6), (2, 3)) for key, layer in seen.items()}
    values = [value(build(name, tile=BOTH), some) for some in (seen, rolled)]
    assert values[0] == pytest.approx(values[1], rel=1e-4)


@of_losses
def test_chance_comes_from_the_generator_only(name: str) -> None:
    first = value(build(name, seed=3), rough())
    torch.rand(5)  # chance from elsewhere
    assert value(build(name, seed=3), rough()) == first


@of_losses
def test_precision_is_kept(name: str) -> None:
    source, output = ({key: layer.double() for key, layer in f.items()} for f in (smooth(), leaves(rough())))
    assert build(name, Reference(source))(output).dtype == torch.float64


@of_losses
@pytest.mark.parametrize("tile", [OFF, BOTH])
def test_layers_that_a_picture_is_too_small_for_add_nothing(name: str, tile: tuple[bool, bool]) -> None:
    """A reference may lack a layer, the output may, and a map may be smaller than a patch."""
    whole, partial = Reference(smooth()), Reference({"a": smooth()["a"]}, 1)
    for pair in ((whole, partial), (partial, whole)):
        assert value(build(name, *pair, tile=tile), rough()) > 0
        assert value(build(name, *pair, tile=tile), {"a": rough()["a"]}) > 0
        assert value(build(name, *pair, tile=tile), rough(4, 4)) >= 0


# ---- where some pixels of the output count more than others, or not at all ----


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
    single, twice = (value(build(name, share=middle() * factor), rough()) for factor in (1, 2))
    assert single == pytest.approx(twice, rel=1e-5)


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


# ---- features ----


def make(name: str, folder: Path, layers: tuple[str, ...], tile: tuple[bool, bool] = OFF) -> features.Extract:
    """An extractor that has the weights of these layers and no others."""
    module = features.features(name)
    weights = None
    if module.WEIGHTS is not None:
        path = random_network(name, folder / "random.safetensors", layers)
        weights = pretrained.read(path, module.WEIGHTS, module.keys(layers))
    return module.build(module.Settings(), tile, weights)


@of_features
def test_an_extractor_has_what_the_methods_use(name: str) -> None:
    module: Any = features.features(name)
    assert list(inspect.signature(module.build).parameters) == ["settings", "tile", "weights"]
    assert module.WEIGHTS is None or pretrained.entry(module.WEIGHTS).name == module.WEIGHTS
    assert len(set(module.LAYERS)) == len(module.LAYERS) > 0
    assert_explained(module.Settings)


@of_features
def test_layers_shrink_with_depth_and_follow_the_image(name: str, tmp_path: Path) -> None:
    layers = features.features(name).LAYERS[:4]
    extract = make(name, tmp_path, layers)
    small, large = (extract(spots(*size), layers) for size in ((32, 48), (64, 96)))
    assert list(small) == list(large) == list(layers)
    sizes = [layer.shape[2:] for layer in small.values()]
    assert sizes == sorted(sizes, reverse=True)
    for layer in layers:
        assert small[layer].shape[:2] == large[layer].shape[:2]
        assert large[layer].shape[2:] == tuple(2 * n for n in small[layer].shape[2:])
        assert small[layer].dtype == torch.float32 and small[layer].isfinite().all()


@of_features
def test_it_gives_what_is_asked_and_needs_no_more(name: str, tmp_path: Path) -> None:
    layers, image = features.features(name).LAYERS[:4], spots(32, 40)
    full = make(name, tmp_path, layers)(image, layers)
    for layer in layers:
        alone = make(name, tmp_path, (layer,))(image, (layer,))
        assert list(alone) == [layer]
        assert torch.equal(alone[layer], full[layer])
    some = make(name, tmp_path, layers)(image, (layers[0], layers[2]))
    assert list(some) == [layers[0], layers[2]]
    assert all(torch.equal(some[layer], full[layer]) for layer in some)


@of_features
def test_the_gradient_reaches_the_image(name: str, tmp_path: Path) -> None:
    layers = features.features(name).LAYERS[:4]
    image = spots(32, 40).requires_grad_()
    for layer in make(name, tmp_path, layers)(image, layers).values():
        (grad,) = torch.autograd.grad(layer.square().sum(), image, retain_graph=True)
        assert grad.isfinite().all() and grad.abs().max() > 0


@of_features
def test_an_image_that_tiles_has_no_border(name: str, tmp_path: Path) -> None:
    """Features of the rolled image are the rolled features."""
    layers, image = features.features(name).LAYERS[:4], spots(32, 48)
    extract = make(name, tmp_path, layers, BOTH)
    plain, rolled = extract(image, layers), extract(image.roll((16, 32), (2, 3)), layers)
    for layer in layers:
        cell = 32 // plain[layer].shape[2]
        torch.testing.assert_close(rolled[layer], plain[layer].roll((16 // cell, 32 // cell), (2, 3)))
