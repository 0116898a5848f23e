"""Random networks of the true shapes, for tests that need weights but no pictures worth looking at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from pictures import generator
from safetensors.torch import save_file
from torch import Tensor

from texsynth import weights
from texsynth.features import vgg19


def tensors(layers: Sequence[str], seed: int = 0) -> dict[str, Tensor]:
    """He-normal weights and small biases of VGG-19 down to these layers, by torchvision's names."""
    rng, made = generator(seed), {}
    for key in vgg19.keys(layers):
        shape = weights.VGG19.tensors[key].shape
        deviation = (2 / (9 * shape[1])) ** 0.5 if len(shape) == 4 else 0.05
        made[key] = torch.randn(shape, generator=rng) * deviation
    return made


def random_vgg(
    path: Path, layers: Sequence[str] = ("relu3_4",), seed: int = 0, metadata: Mapping[str, str] | None = None
) -> Path:
    """A safetensors file of a random VGG-19 down to these layers, 9 MB by default; gives its path."""
    save_file(tensors(layers, seed), path, dict(metadata or {}))
    return path
