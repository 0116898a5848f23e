"""VGG-19 as features: against a plain stack of torch modules, on a torus, and what it leaves out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from networks import MEAN, STD, normalised, tensors
from pictures import noise, spots
from texsynth import settings
from texsynth.errors import UsageError
from texsynth.features import Extract, features, vgg19
from texsynth.weights import pretrained
from texsynth.weights.pretrained import Weights

OFF = (False, False)


def network(*layers: str, double: bool = False) -> Weights:
    parts = {key: t.double() if double else t for key, t in tensors(layers).items()}
    return Weights("random", "", parts, MEAN, STD)


def extractor(*layers: str, tile: tuple[bool, bool] = OFF, double: bool = False, **values: str) -> Extract:
    return vgg19.build(vgg19.Settings(**values), tile, network(*layers, double=double))


def plain(layer: str, pool: nn.Module) -> nn.Sequential:
    """Torchvision's own modules down to a relu layer, with this pool."""
    with torch.device("meta"):
        every = models.vgg19().features
    depth = sum(1 if name.startswith("pool") else 2 for name in vgg19.LAYERS[: vgg19.LAYERS.index(layer)]) + 2
    parts = [pool if isinstance(part, nn.MaxPool2d) else part for part in every[:depth]]
    stack = nn.Sequential(*(nn.ReLU() if isinstance(part, nn.ReLU) else part for part in parts))
    stack.load_state_dict({key.removeprefix("features."): t for key, t in tensors([layer]).items()}, assign=True)
    return stack


def test_layers_are_all_rectifiers_and_pools_in_order() -> None:
    counts = (2, 2, 4, 4, 4)
    wanted = [[*(f"relu{b}_{n}" for n in range(1, c + 1)), f"pool{b}"] for b, c in enumerate(counts, 1)]
    assert list(vgg19.LAYERS) == [name for block in wanted for name in block]
    assert features("vgg19").WEIGHTS == "vgg19"


def test_keys_are_those_of_torchvision_down_to_the_deepest_layer() -> None:
    convolutions = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
    every = [f"features.{i}.{part}" for i in convolutions for part in ("weight", "bias")]
    assert list(vgg19.keys(vgg19.LAYERS)) == every
    assert vgg19.keys(["relu2_1", "relu1_1"]) == vgg19.keys(["relu2_1"])
    assert list(vgg19.keys(["relu2_1"])) == every[:6]
    assert list(vgg19.keys(["pool1"])) == every[:4]
    assert vgg19.keys([]) == {}


def test_shapes_are_those_of_torchvision() -> None:
    with torch.device("meta"):
        state = models.vgg19().features.state_dict(prefix="features.")
    assert vgg19.keys(["relu5_4"]) == {key: tuple(tensor.shape) for key, tensor in state.items()}


# of the file of Oxford's weights down to conv3_4, (tile, layer): mean, and the values of two cells
PUBLISHED = {
    (OFF, "relu1_1"): (31.007549, 57.18652, 0.0),
    (OFF, "relu1_2"): (135.602524, 0.0, 7.030645),
    (OFF, "pool1"): (135.602524, 3.801169, 3.029783),
    (OFF, "relu2_1"): (160.98001, 99.501862, 4.213013),
    (OFF, "relu3_1"): (180.571686, 0.0, 234.45784),
    (OFF, "relu3_4"): (558.322205, 1124.923950, 1237.563232),
    ((True, False), "relu1_2"): (136.670334, 0.0, 37.77108),
    ((True, False), "relu3_4"): (551.053040, 843.299500, 1905.565430),
}


@pytest.mark.parametrize("tile", [OFF, (True, False)])
def test_the_published_behaviour_keeps_its_numbers(tile: tuple[bool, bool]) -> None:
    """Average pools, mirrored borders and the input that the file asks for."""
    path = pretrained.find("vgg19") if os.environ.get("TEXSYNTH_WEIGHTS") else None
    if path is None or "oxford" not in path.name:
        pytest.skip("TEXSYNTH_WEIGHTS has no file of Oxford's VGG-19")
    layers = [name for wraps, name in PUBLISHED if wraps == tile]
    run = vgg19.build(vgg19.Settings(), tile, pretrained.read(path, "vgg19", vgg19.keys(layers)))
    for name, layer in run(spots(40, 48), layers).items():
        numbers = float(layer.mean()), float(layer[0, 7, 1, 2]), float(layer[0, -1, -1, 0])
        assert numbers == pytest.approx(PUBLISHED[tile, name], rel=1e-4, abs=1e-2), name


@pytest.mark.parametrize(("pooling", "pool"), [("max", nn.MaxPool2d(2, 2)), ("avg", nn.AvgPool2d(2, 2))])
@pytest.mark.parametrize("size", [(16, 24), (17, 21)])
def test_it_is_the_plain_stack(pooling: str, pool: nn.Module, size: tuple[int, int]) -> None:
    """Zero padding, of the normalised picture: every layer's map and the picture's gradient, for odd sizes too."""
    image = spots(*size).requires_grad_()
    maps = extractor("relu3_2", padding="zero", pooling=pooling)(image, vgg19.LAYERS[:8])
    x, expected = normalised(image), []
    for part in plain("relu3_2", pool):
        x = part(x)
        if not isinstance(part, nn.Conv2d):
            expected.append(x)
    assert list(maps) == list(vgg19.LAYERS[:8])
    for got, wanted in zip(maps.values(), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
    ours, theirs = (torch.autograd.grad((x**2).sum(), image)[0] for x in (maps["relu3_2"], expected[-1]))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


def test_borders_that_do_not_tile_are_mirrored() -> None:
    image = spots(12, 9)
    mirrored = extractor("relu1_2")(image, ["relu1_2"])["relu1_2"]
    parts, x = list(plain("relu1_2", nn.Identity())), normalised(image)
    for convolution in (parts[0], parts[2]):
        assert isinstance(convolution, nn.Conv2d)
        x = F.relu(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), convolution.weight, convolution.bias))
    torch.testing.assert_close(mirrored, x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", ["reflect", "zero"])
@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("tile", [(True, True), (True, False), (False, True)])
def test_a_torus_has_no_place_of_its_own(tile: tuple[bool, bool], pooling: str, padding: str) -> None:
    """Rolled by whole cells along axes that tile, the maps roll along; and along the others they do not."""
    image = spots(16, 24)
    run = extractor("relu3_1", tile=tile, pooling=pooling, padding=padding)
    still = run(image, ["relu1_1", "relu3_1"])
    for dim, wraps in zip((2, 3), tile, strict=True):
        moved = run(image.roll(4, dim), ["relu1_1", "relu3_1"])
        for name, cell in (("relu1_1", 1), ("relu3_1", 4)):
            same = torch.allclose(moved[name], still[name].roll(4 // cell, dim), atol=1e-4)
            assert same == wraps, f"{name} along {dim}"


@pytest.mark.parametrize("tile", [OFF, (True, False)])
@pytest.mark.parametrize("values", [{}, {"padding": "zero", "pooling": "max"}])
def test_gradients_are_exact(tile: tuple[bool, bool], values: dict[str, str]) -> None:
    """Against differences, in float64."""
    run = extractor("relu2_1", tile=tile, double=True, **values)
    image = spots(5, 6).double().requires_grad_()
    probe = noise(1, 128, 2, 3, seed=1).double()
    assert torch.autograd.gradcheck(lambda x: (run(x, ["relu2_1"])["relu2_1"] * probe).sum(), image, atol=1e-6)


def test_the_gradient_reaches_the_picture_and_no_weight() -> None:
    parts = network("relu1_2").tensors
    learning = Weights("", "", {k: nn.Parameter(t) for k, t in parts.items()}, MEAN, STD)
    image = spots(8, 8).requires_grad_()
    vgg19.build(vgg19.Settings(), OFF, learning)(image, ["relu1_2"])["relu1_2"].sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert all(tensor.grad is None for tensor in learning.tensors.values())


@pytest.mark.parametrize(
    ("layers", "count"), [(["relu1_1"], 1), (["relu2_1", "relu1_1"], 3), (["pool1"], 2), (["relu3_1"], 5), ([], 0)]
)
def test_nothing_behind_the_deepest_layer_is_computed(
    layers: Sequence[str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, counted = extractor("relu3_4"), Mock(wraps=F.conv2d)
    monkeypatch.setattr(vgg19.F, "conv2d", counted)
    assert sorted(run(spots(16, 16), layers)) == sorted(layers)
    assert counted.call_count == count


def test_a_gradient_keeps_a_quarter_of_the_maps() -> None:
    """Beside the weights one byte a value in place of four, and no padded copies."""
    run, image = extractor("relu2_2"), spots(32, 32).requires_grad_()
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.dtype == torch.bool or tensor.shape[2:] != (3, 3):
            kept[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = run(image, ["relu1_1", "relu1_2", "relu2_1", "relu2_2"])
    maps = sum(layer.nbytes for layer in outputs.values())
    assert 0 < sum(tensor.nbytes for tensor in kept.values()) <= maps / 4 + image.nbytes


@pytest.mark.parametrize("values", [{}, {"padding": "zero"}, {"pooling": "max"}])
@pytest.mark.parametrize("tile", [OFF, (True, True)])
def test_a_small_picture_has_the_layers_that_fit(tile: tuple[bool, bool], values: dict[str, str]) -> None:
    """Three pixels are pooled to one, which no pool takes: what is behind is left out, and nothing fails."""
    run, layers = extractor("relu3_1", tile=tile, **values), ["relu1_1", "pool1", "relu2_2", "pool2", "relu3_1"]
    outputs = run(noise(1, 3, 5, 3), layers)
    sizes = {name: tuple(layer.shape[2:]) for name, layer in outputs.items()}
    assert sizes == {"relu1_1": (5, 3), "pool1": (2, 1), "relu2_2": (2, 1)}
    one = extractor("relu1_2", tile=tile, **values)(noise(1, 3, 5, 1), ["relu1_2"])["relu1_2"]
    assert one.shape == (1, 64, 5, 1) and one.isfinite().all()


def test_average_and_maximum_differ_and_are_ordered() -> None:
    image = spots(8, 8)
    mean, top = (extractor("relu1_2", pooling=p)(image, ["pool1"])["pool1"] for p in ("avg", "max"))
    assert (top >= mean - 1e-6).all()
    assert (top > mean + 1e-3).any()


def test_bfloat16_keeps_the_statistics() -> None:
    """Gram matrices within 1 % and the direction of their gradient within 0.01, in float32 outside."""
    target, start = spots(32, 32), noise(1, 3, 32, 32, seed=1)
    names = ["relu1_1", "relu2_1", "relu3_4"]

    def grams(run: Extract, image: Tensor) -> list[Tensor]:
        return [(x := layer[0].flatten(1)) @ x.T / x.shape[1] for layer in run(image, names).values()]

    results = []
    for precision in ("float32", "bfloat16"):
        run, image = extractor("relu3_4", precision=precision), start.clone().requires_grad_()
        wanted, got = grams(run, target), grams(run, image)
        loss = sum(((a - b) ** 2).mean() / (a**2).mean() for a, b in zip(wanted, got, strict=True))
        results.append((wanted, torch.autograd.grad(loss, image)[0]))
        assert all(gram.dtype == torch.float32 for gram in wanted)
    (exact, straight), (rough, bent) = results
    for a, b in zip(exact, rough, strict=True):
        assert 0 < float((a - b).norm()) < 0.01 * float(a.norm())
    assert float(F.cosine_similarity(straight.flatten(), bent.flatten(), 0)) > 0.99


@pytest.mark.parametrize("name", [f.name for f in fields(vgg19.Settings)])
def test_settings_take_nothing_unknown(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} = 'other'"):
        settings.make(vgg19.Settings, {name: "other"}, "here")
