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
from texsynth.features import Extract, resnet50, vgg19
from texsynth.weights import pretrained
from texsynth.weights.pretrained import Weights


def tensors(layers: Sequence[str], seed: int = 0) -> dict[str, Tensor]:
    """He-normal weights and small biases of VGG-19 down to these layers, by torchvision's names."""
    rng, made = generator(seed), {}
    for key in vgg19.keys(layers):
        shape = pretrained.NETWORKS["vgg19"].tensors[key].shape
        deviation = (2 / (9 * shape[1])) ** 0.5 if len(shape) == 4 else 0.05
        made[key] = torch.randn(shape, generator=rng) * deviation
    return made


def resnet50_tensors(layers: Sequence[str] = ("logits",), seed: int = 0) -> dict[str, Tensor]:
    """ResNet-50 down to these layers: He-normal convolutions, batch norms that do something, and small residuals."""
    rng, made = generator(seed), {}
    for key in resnet50.keys(layers):
        shape = pretrained.NETWORKS["resnet50"].tensors[key].shape
        noise = torch.randn(shape, generator=rng)
        if len(shape) > 1:
            made[key] = noise.mul_((2 / math.prod(shape[1:])) ** 0.5)
        elif key.endswith("running_var"):
            made[key] = noise.mul_(0.2).exp_()
        elif key.endswith("weight"):
            made[key] = noise.mul_(0.1).add_(1).mul_(0.3 if "bn3" in key else 1)
        else:
            made[key] = noise.mul_(0.1)
    return made


def random_vgg(
    path: Path, layers: Sequence[str] = ("relu3_4",), seed: int = 0, metadata: Mapping[str, str] | None = None
) -> Path:
    """A safetensors file of a random VGG-19 down to these layers, 9 MB by default; gives its path."""
    save_file(tensors(layers, seed), path, dict(metadata or {}))
    return path


@functools.cache
def random_features() -> Extract:
    """The features of a random VGG-19 down to relu3_4, always the same one."""
    weights = Weights("random", "", tensors(("relu3_4",)), (0.5,) * 3, (0.25,) * 3)
    return vgg19.build(vgg19.Settings(), (False, False), weights)


def random_resnet50(path: Path, layers: Sequence[str] = ("logits",), seed: int = 0) -> Path:
    """A safetensors file of a random ResNet-50 down to these layers, 102 MB by default; gives its path."""
    save_file(resnet50_tensors(layers, seed), path)
    return path


def random_network(name: str, path: Path, layers: Sequence[str]) -> Path:
    """A safetensors file of one of the networks."""
    return {"vgg19": random_vgg, "resnet50": random_resnet50}[name](path, layers)
