"""ResNet-50 as features: against torchvision's own modules, on a torus, what it leaves out, and its classes' names."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from networks import MEAN, STD, normalised, resnet50_tensors
from pictures import noise, spots
from texsynth.errors import UsageError
from texsynth.features import Extract, features, resnet50
from texsynth.image import picture as image
from texsynth.weights import imagenet, pretrained
from texsynth.weights.pretrained import Weights

OFF, BOTH = (False, False), (True, True)


@functools.cache
def weights() -> dict[str, Tensor]:
    return resnet50_tensors()


def extractor(*layers: str, tile: tuple[bool, bool] = OFF, double: bool = False) -> Extract:
    """With the weights of these layers only."""
    parts = {key: weights()[key].double() if double else weights()[key] for key in resnet50.keys(layers)}
    return resnet50.build(resnet50.Settings(), tile, Weights("random", "", parts, MEAN, STD))


@pytest.fixture(scope="module")
def plain() -> nn.Module:
    """Torchvision's module with the same weights, whose batch norms are not folded."""
    with torch.device("meta"):
        network = models.resnet50()
    state = {key: torch.zeros(()) for key in network.state_dict() if key.endswith("num_batches_tracked")}
    network.load_state_dict({**weights(), **state}, assign=True)
    return network.eval().requires_grad_(False)


def maps(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Every layer as torchvision's forward pass has it."""
    out = {"stem": F.relu(network.bn1(network.conv1(x)))}
    x = network.maxpool(out["stem"])
    for name in ("layer1", "layer2", "layer3", "layer4"):
        x = out[name] = getattr(network, name)(x)
    return {**out, "logits": network.fc(network.avgpool(x).flatten(1))[:, :, None, None]}


def assert_near(got: Tensor, wanted: Tensor) -> None:
    assert got.shape == wanted.shape
    assert float((got - wanted).detach().abs().max()) <= 1e-4 * float(wanted.detach().abs().max())


def test_layers_are_the_stem_the_stages_and_the_scores() -> None:
    assert resnet50.LAYERS == ("stem", "layer1", "layer2", "layer3", "layer4", "logits")
    assert features("resnet50").WEIGHTS == "resnet50"


def test_keys_are_those_of_a_published_file() -> None:
    """25,557,032 learned numbers, and two more for every channel of every batch norm."""
    every = list(resnet50.keys(["logits"]))
    assert every[:5] == ["conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var"]
    assert every[-2:] == ["fc.weight", "fc.bias"]
    assert list(resnet50.keys(["stem"])) == every[:5]
    assert list(resnet50.keys(["layer1", "stem"])) == every[: 5 + 10 * 5]
    learned = [key for key in every if "running" not in key]
    assert sum(weights()[key].numel() for key in learned) == 25_557_032
    assert len(every) == 53 * 5 + 2


@pytest.mark.parametrize("size", [(64, 32), (45, 51), (1, 7)])
def test_it_is_the_plain_network(plain: nn.Module, size: tuple[int, int]) -> None:
    """Of the normalised picture: every layer's map and the picture's gradient, for odd and for tiny sizes too."""
    image = noise(1, 3, *size).requires_grad_()
    outputs, expected = extractor("logits")(image, resnet50.LAYERS), maps(plain, normalised(image))
    assert list(outputs) == list(resnet50.LAYERS)
    for name, wanted in expected.items():
        assert_near(outputs[name], wanted)
    assert outputs["logits"].shape == (1, 1000, 1, 1)
    probe = noise(1, 1000, 1, 1, seed=1)
    assert_near(*(torch.autograd.grad((x["logits"] * probe).sum(), image)[0] for x in (outputs, expected)))


def test_gradients_are_exact() -> None:
    """Against differences, in float64."""
    run = extractor("layer1", double=True, tile=(True, False))
    image = spots(5, 6).double().requires_grad_()
    probe = noise(1, 256, 2, 2, seed=1).double()
    assert torch.autograd.gradcheck(lambda x: (run(x, ["layer1"])["layer1"] * probe).sum(), image, atol=1e-6)


@pytest.mark.parametrize("tile", [(True, True), (True, False), (False, True)])
def test_a_torus_has_no_place_of_its_own(tile: tuple[bool, bool]) -> None:
    """Rolled by whole cells along axes that tile, the maps roll along and the scores stay; along the others not."""
    image, run = noise(1, 3, 64, 96), extractor("logits", tile=tile)
    still = run(image, resnet50.LAYERS)
    for dim, wraps in zip((2, 3), tile, strict=True):
        moved = run(image.roll(32, dim), resnet50.LAYERS)
        for name, cell in zip(resnet50.LAYERS, (2, 4, 8, 16, 32, 32), strict=True):
            there = still[name].roll(32 // cell, dim)
            same = float((moved[name] - there).abs().max()) <= 1e-4 * float(there.abs().max())
            assert same == wraps, f"{name} along {dim}"


def test_a_picture_smaller_than_the_margin_tiles() -> None:
    """It is what four copies of it, side by side, are at the same place."""
    image = noise(1, 3, 2, 2)
    few, many = (extractor("stem", tile=BOTH)(x, ["stem"])["stem"] for x in (image, image.repeat(1, 1, 2, 2)))
    torch.testing.assert_close(few.expand_as(many), many)


def test_the_gradient_reaches_the_picture_and_no_weight() -> None:
    learning = {key: nn.Parameter(weights()[key]) for key in resnet50.keys(["layer1"])}
    run = resnet50.build(resnet50.Settings(), OFF, Weights("", "", learning, MEAN, STD))
    image = spots(16, 16).requires_grad_()
    run(image, ["layer1"])["layer1"].sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert all(tensor.grad is None for tensor in learning.values())


@pytest.mark.parametrize(
    ("layers", "count"), [([], 0), (["stem"], 1), (["layer1", "stem"], 11), (["layer2"], 24), (["logits"], 53)]
)
def test_nothing_behind_the_deepest_layer_is_computed(
    layers: Sequence[str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, counted = extractor("logits"), Mock(wraps=F.conv2d)
    run(spots(32, 32), layers)  # the first time sizes are measured
    monkeypatch.setattr(F, "conv2d", counted)
    assert sorted(run(spots(32, 32), layers)) == sorted(layers)
    assert counted.call_count == count


def test_published_weights_know_a_goldfish() -> None:
    """With real weights and a real picture, where there are any."""
    pictures = os.environ.get("TEXSYNTH_EXEMPLARS")
    path = pretrained.find("resnet50") if os.environ.get("TEXSYNTH_WEIGHTS") else None
    if path is None or pictures is None:
        pytest.skip("TEXSYNTH_WEIGHTS and torch's cache have no ResNet-50, or TEXSYNTH_EXEMPLARS names no pictures")
    read = pretrained.read(path, "resnet50", resnet50.keys(["logits"]))
    shown = image.read(Path(pictures) / "edit" / "goldfish.jpg").pixels
    small = F.interpolate(shown, (224, 224), mode="bilinear", antialias=True)
    scores = resnet50.build(resnet50.Settings(), OFF, read)(small, ["logits"])["logits"]
    assert int(scores.argmax()) == imagenet.number("goldfish")


# ---- the classes ----


def test_there_are_a_thousand_classes_of_different_names() -> None:
    assert len(set(imagenet.names())) == 1000
    assert all(name == name.strip() != "" and not name.isdecimal() for name in imagenet.names())


@pytest.mark.parametrize(("name", "number"), [("tench", 0), ("goldfish", 1), ("tabby", 281), ("toilet tissue", 999)])
def test_known_classes_are_where_imagenet_has_them(name: str, number: int) -> None:
    assert imagenet.names()[number] == name
    assert imagenet.number(name) == imagenet.number(str(number)) == number


@pytest.mark.parametrize("given", ["Great White Shark", "great_white_shark", " great  white shark"])
def test_names_are_taken_however_they_are_written(given: str) -> None:
    assert imagenet.number(given) == 2


def test_two_names_that_differ_in_case_alone_are_kept_apart() -> None:
    assert (imagenet.number("Cardigan"), imagenet.number("cardigan")) == (264, 474)
    with pytest.raises(UsageError, match=r"two classes .* Cardigan \(264\), cardigan \(474\)\?"):
        imagenet.number("CARDIGAN")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("goldfihs", "did you mean goldfish (1)"),
        ("eagle", "did you mean bald eagle (22)?"),
        ("retriever", "flat-coated retriever (205), curly-coated retriever (206), golden retriever (207)?"),
        ("xqzzz", "such as goldfish, or 0 to 999"),
        ("1000", "numbered from 0 to 999"),
        ("-1", "0 to 999"),
        ("", "0 to 999"),
        ("two\nlines", "no class"),
    ],
)
def test_an_unknown_class_is_told_with_the_nearest(given: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        imagenet.number(given, "--class")
    text = str(caught.value)
    assert words in text and text.startswith("--class ")
    assert "\n" not in text
