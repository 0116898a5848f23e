"""Networks of torchvision as features: against its own modules, on a torus, and through the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from conftest import Picture, Texsynth
from networks import MEAN, STD, normalised, normed, random_network
from pictures import noise, spots
from texsynth.errors import UsageError
from texsynth.features import Extract, features, torchvision
from texsynth.objective import Objective
from texsynth.weights import zoo
from texsynth.weights.pretrained import Weights

OFF = (False, False)
GRAM = {"loss": "gram", "features": "torchvision", "network": "squeezenet1_1", "layers": ["features.3", "features.6"]}


def extractor(network: str, *layers: str, tile: tuple[bool, bool] = OFF, padding: str = "zero") -> Extract:
    parts = normed(features(f"torchvision:{network}").keys(layers))
    chosen = torchvision.Settings(network, padding)
    return torchvision.of(network).build(chosen, tile, Weights("random", "", parts, MEAN, STD))


def filled(network: str) -> nn.Module:
    """Torchvision's own module with the weights that an extractor of its deepest layer has."""
    module = zoo.module(network)
    module.load_state_dict(normed(zoo.shapes(module)), strict=False, assign=True)
    return module


def test_layers_are_nodes_and_parts_of_the_network() -> None:
    layers = features("torchvision").LAYERS
    assert features("torchvision").WEIGHTS == "convnext_tiny"
    assert [layers.index(name) for name in ("features.0", "features.1.0.add", "features.1", "features.7")]
    assert layers[-1] == "classifier"
    assert len(set(layers)) == len(layers)
    assert "features.1.0.block.1" in layers and "features.1.0.features_1_0_layer_scale" not in layers


def test_maps_and_scores_are_those_of_the_module() -> None:
    image, plain = spots(64, 96), filled("convnext_tiny")
    got = extractor("convnext_tiny", "classifier")(image, ["classifier", "features.1", "features.3.0.block.0"])
    assert list(got) == ["features.1", "features.3.0.block.0", "classifier"]
    first = plain.features[:2](normalised(image))
    torch.testing.assert_close(got["features.1"], first)
    inner = plain.features[3][0].block[0](plain.features[2](first))
    torch.testing.assert_close(got["features.3.0.block.0"], inner)
    torch.testing.assert_close(got["classifier"], plain(normalised(image))[:, :, None, None])


def test_maps_with_channels_last_are_turned() -> None:
    got = extractor("swin_t", "features.1")(spots(64, 96), ["features.0", "features.1"])
    assert {name: tuple(layer.shape) for name, layer in got.items()} == dict.fromkeys(got, (1, 96, 16, 24))
    assert list(got) == ["features.0", "features.1"]
    expected = filled("swin_t").features[:2](normalised(spots(64, 96))).permute(0, 3, 1, 2)
    torch.testing.assert_close(got["features.1"], expected)


def test_a_layer_keeps_its_values_whatever_is_asked_beside_it() -> None:
    """Neither do rectifiers overwrite what is in front of them, nor do norms vanish from what is asked for."""
    image, plain = spots(24, 32), filled("resnet18")
    run = extractor("resnet18", "layer1")
    got = run(image, ["conv1", "bn1", "relu", "layer1"])
    conv = plain.conv1(normalised(image))
    for name, wanted in (("conv1", conv), ("bn1", plain.bn1(conv)), ("relu", plain.bn1(conv).relu())):
        torch.testing.assert_close(got[name], wanted, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(run(image, [name])[name], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tile", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_a_torus_has_no_place_of_its_own(tile: tuple[bool, bool], padding: str) -> None:
    """Rolled by whole cells along axes that tile, the maps roll along; and along the others they do not."""
    image, run = noise(1, 3, 32, 48), extractor("convnext_tiny", "features.3", tile=tile, padding=padding)
    still = run(image, ["features.3"])["features.3"]
    for dim, wraps in zip((2, 3), tile, strict=True):
        moved = run(image.roll(8, dim), ["features.3"])["features.3"]
        assert torch.allclose(moved, still.roll(1, dim), atol=1e-4 * float(still.abs().max())) == wraps


def test_borders_may_be_mirrored() -> None:
    image, plain = spots(9, 12), filled("resnet18")
    got = extractor("resnet18", "conv1", padding="reflect")(image, ["conv1"])["conv1"]
    margin = F.pad(normalised(image), (3, 3, 3, 3), mode="reflect")
    torch.testing.assert_close(got, F.conv2d(margin, plain.conv1.weight, stride=2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("continued", "size", "expected"),
    [
        (torchvision.wrapped, 3, [1, 2, 0, 1, 2, 0, 1]),
        (torchvision.wrapped, 1, [0] * 5),
        (torchvision.wrapped, 2, [0, 1, 0, 1, 0, 1]),
        (torchvision.reflected, 4, [2, 1, 0, 1, 2, 3, 2, 1]),
        (torchvision.reflected, 2, [0, 1, 0, 1, 0, 1]),
        (torchvision.reflected, 1, [0] * 5),
    ],
)
def test_maps_continue_however_small_they_are(
    continued: Callable[[Tensor, int, int], Tensor], size: int, expected: list[int]
) -> None:
    ramp = torch.arange(size).float()
    assert continued(ramp.view(1, 1, 1, size), 3, 2).flatten().tolist() == expected
    assert continued(ramp.view(1, 1, size, 1), 2, 2).flatten().tolist() == expected


def test_a_small_picture_has_the_layers_that_fit() -> None:
    run = extractor("squeezenet1_1", "features.12")
    assert list(run(noise(1, 3, 9, 11), ["features.0", "features.3", "features.12"])) == ["features.0", "features.3"]
    assert run(noise(1, 3, 2, 2), ["features.0"]) == {}


def test_gradients_reach_the_picture_and_no_weight() -> None:
    parts = {key: nn.Parameter(t) for key, t in normed(features("torchvision:resnet18").keys(["layer1"])).items()}
    run = torchvision.of("resnet18").build(torchvision.Settings("resnet18"), OFF, Weights("", "", parts, MEAN, STD))
    image = spots(16, 16).requires_grad_()
    run(image, ["layer1"])["layer1"].sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert all(part.grad is None for part in parts.values())


def test_a_network_for_pictures_of_one_size_has_no_layers() -> None:
    with pytest.raises(UsageError, match="no layer 'encoder'; there are none"):
        Objective.read({**GRAM, "network": "vit_b_16", "layers": ["encoder"]}, "p")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network": "convnext_tini"}, "no network 'convnext_tini' in torchvision; did you mean convnext_tiny"),
        ({"layers": ["features.33"]}, "torchvision:squeezenet1_1 has no layer 'features.33'; did you mean"),
        ({"padding": "circular"}, "one of zero, reflect"),
        ({"netwrok": "resnet18"}, "unknown setting 'netwrok'; did you mean network"),
    ],
)
def test_what_an_objective_refuses(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Objective.read(GRAM | change, "p")


def test_an_objective_is_written_as_it_was_read() -> None:
    read = Objective.read(GRAM, "p")
    assert read.features == "torchvision:squeezenet1_1"
    assert read.plain() | {"layers": GRAM["layers"]} == {**read.plain(), **GRAM}
    assert Objective.read(read.plain(), "p") == read


def test_every_network_has_weights_with_a_hash() -> None:
    """Without building the modules, which takes long."""
    for name in zoo.names():
        published = models.get_model_weights(name).DEFAULT
        assert zoo.HASH.search(published.url) and published.meta["_file_size"] > 1
        assert len(published.transforms().mean) == 3
    about = zoo.entry("convnext_tiny")
    assert (about.file, about.sha256) == ("convnext_tiny-983f1562.pth", "983f1562")
    assert abs(about.size - 114_414_741) <= about.tolerance


# Through the command line


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    """A preset of a few steps on two networks, and a folder of weights for it."""
    for network, layer in (("convnext_tiny", "features.1"), ("squeezenet1_1", "features.6")):
        random_network(f"torchvision:{network}", tmp_path / f"{network}.safetensors", [layer])
    path = tmp_path / "two.yaml"
    path.write_text(
        "method: optimise\nsteps: [2]\nscales: [1.0]\nobjectives:\n"
        "- {loss: gram, features: torchvision, network: convnext_tiny, layers: [features.0, features.1]}\n"
        f"- {json.dumps(GRAM)}\n"
    )
    return path


def test_a_preset_runs_on_two_networks_and_repeats(
    preset: Path, texsynth: Texsynth, picture: Picture, tmp_path: Path
) -> None:
    picture("a.png", (24, 32))
    words = ("synthesize", "a.png", "-s", "32x32", "--tile", "xy", "-q", "--weights", tmp_path)
    ran = texsynth(*words, "-p", preset, "-o", "b.png")
    assert (ran.code, ran.err) == (0, "")
    again = texsynth("synthesize", "--from", "b.png", "--weights", tmp_path, "-q", "-o", "c.png")
    assert (again.code, again.err) == (0, "")
    assert Path("b.png").read_bytes() == Path("c.png").read_bytes()


def test_a_network_whose_weights_are_not_here_is_exit_code_5(
    preset: Path, refused: Callable[..., str], picture: Picture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("TEXSYNTH_OFFLINE", "1")
    picture("a.png", (24, 32))
    assert "convnext_tiny weights are not here" in refused(5, "synthesize", "a.png", "-p", preset, "-o", "b.png")


@pytest.mark.parametrize("error", ["RuntimeError('operator torchvision::nms does not exist')", "ImportError('symbol')"])
def test_a_torchvision_that_does_not_fit_is_exit_code_5(
    error: str, preset: Path, refused: Callable[..., str], picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (preset.parent / "torchvision.py").write_text(f"raise {error}\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(preset.parent)
    picture("a.png", (24, 32))
    said = refused(5, "weights", "fetch", "alexnet")
    assert "torchvision does not fit the torch that is installed (" in said and error.split("'")[1] in said
    assert "`pip install --upgrade torch torchvision`" in said
    words = ("synthesize", "a.png", "-p", preset, "-o", "b.png", "--set", "network=alexnet")
    assert "does not fit" in refused(5, *words)


def test_without_torchvision_one_line_says_so(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert "torchvision is not installed" in refused(5, "weights", "fetch", "alexnet")
