"""What every loss and every feature extractor promises, whatever it does: tests over all of losses/ and features/."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_builders import BOTH, OFF, WITHOUT_PLACES, build, leaves, rough, smooth, value
from networks import random_network
from pictures import spots
from texsynth import features, losses
from texsynth.losses import Reference
from texsynth.settings import meanings
from texsynth.weights import pretrained

WITHOUT_EXEMPLAR = dict.fromkeys(("norm", "variation"), "it looks at the output alone")

of_losses = pytest.mark.parametrize("name", losses.names())
of_features = pytest.mark.parametrize("name", features.names())


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
    if name in WITHOUT_EXEMPLAR:
        pytest.skip(WITHOUT_EXEMPLAR[name])
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
    if name in WITHOUT_EXEMPLAR:
        pytest.skip(WITHOUT_EXEMPLAR[name])
    both = [Reference(smooth(30, 26, seed=seed), number) for number, seed in enumerate((0, 50))]
    for each in both:
        assert value(build(name, *both), each.features) < value(build(name, *both), rough(30, 26))


@of_losses
def test_what_is_not_valid_is_not_looked_at(name: str) -> None:
    if name in WITHOUT_PLACES:
        pytest.skip(WITHOUT_PLACES[name])
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
