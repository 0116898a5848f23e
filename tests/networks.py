"""Random networks of the true shapes, for tests that need weights but no pictures worth looking at."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from pictures import generator
from texsynth import metrics
from texsynth.features import Extract, features, resnet50, vgg19
from texsynth.weights.pretrained import Weights

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)  # of the input of networks in tests


def normalised(image: Tensor) -> Tensor:
    """The input of a network whose weights ask for MEAN and STD."""
    return (image - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


def tensors(layers: Sequence[str], seed: int = 0) -> dict[str, Tensor]:
    """He-normal weights and small biases of VGG-19 down to these layers, by torchvision's names."""
    rng, out = generator(seed), {}
    for key, shape in vgg19.keys(layers).items():
        deviation = (2 / (9 * shape[1])) ** 0.5 if len(shape) == 4 else 0.05
        out[key] = torch.randn(shape, generator=rng) * deviation
    return out


def normed(shapes: Mapping[str, Sequence[int]], seed: int = 0) -> dict[str, Tensor]:
    """Tensors of networks with norms: He-normal convolutions, norms that do something, and small residuals."""
    rng, out = generator(seed), {}
    for key, shape in shapes.items():
        noise = torch.randn(tuple(shape), generator=rng)
        if key.endswith("layer_scale"):
            out[key] = noise.mul_(0.1).add_(0.3)
        elif len(shape) > 1:
            out[key] = noise.mul_((2 / math.prod(shape[1:])) ** 0.5)
        elif key.endswith("running_var"):
            out[key] = noise.mul_(0.2).exp_()
        elif key.endswith("weight"):
            out[key] = noise.mul_(0.1).add_(1).mul_(0.3 if "bn3" in key else 1)
        else:
            out[key] = noise.mul_(0.1)
    return out


def resnet50_tensors(layers: Sequence[str] = ("logits",), seed: int = 0) -> dict[str, Tensor]:
    """ResNet-50 down to these layers."""
    return normed(resnet50.keys(layers), seed)


def random_vgg(
    path: Path, layers: Sequence[str] = ("relu3_4",), seed: int = 0, metadata: Mapping[str, str] | None = None
) -> Path:
    """A safetensors file of a random VGG-19 down to these layers, 9 MB by default; gives its path."""
    save_file(tensors(layers, seed), path, dict(metadata or {}))
    return path


def vgg_weights(layers: Sequence[str]) -> dict[str, Weights]:
    """The weights of a random VGG-19 down to these layers, as tasks hold them."""
    return {"vgg19": Weights("random", "", tensors(layers), (0.5,) * 3, (0.25,) * 3)}


@functools.cache
def random_features() -> Extract:
    """The features of a random VGG-19 down to relu3_4, always the same one."""
    return vgg19.build(vgg19.Settings(), (False, False), vgg_weights(("relu3_4",))["vgg19"])


def measured(name: str, pair: metrics.Pair, seed: int = 0) -> float:
    """A metric of a pair, by random features where it takes any."""
    metric = metrics.metric(name)
    return metric.measure(pair, random_features() if metric.about.needs else None, generator(seed))


def random_resnet50(path: Path, layers: Sequence[str] = ("logits",), seed: int = 0) -> Path:
    """A safetensors file of a random ResNet-50 down to these layers, 102 MB by default; gives its path."""
    save_file(resnet50_tensors(layers, seed), path)
    return path


def random_network(key: str, path: Path, layers: Sequence[str]) -> Path:
    """A safetensors file of the network of some features, by their key."""
    if key == "vgg19":
        return random_vgg(path, layers)
    save_file(normed(features(key).keys(layers)), path)
    return path
