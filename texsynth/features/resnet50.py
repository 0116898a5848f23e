"""ResNet-50 (He et al. 2015): what a classifier sees in a picture, from edges to the scores of ImageNet's 1000 classes.

It is the variant of torchvision, whose blocks halve their maps in the 3 x 3 convolution, as it is run after training.
The batch norms, fixed then, are folded into the convolutions in front of them. Nothing behind the deepest layer asked
for is computed, and the weights get no gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import Extract
from texsynth.weights.pretrained import NETWORKS, Weights

WEIGHTS: str | None = "resnet50"
TENSORS = NETWORKS["resnet50"].tensors
LAYERS = tuple(dict.fromkeys(slot.layer for slot in TENSORS.values()))  # stem, layer1 to layer4, logits
EPS = 1e-5  # torch's, below the roots of batch norms

Part = tuple[Tensor, Tensor]  # weight and bias


@dataclass(frozen=True)
class Settings:
    """None: there is one way to run it."""


def keys(layers: Sequence[str]) -> tuple[str, ...]:
    """The tensors that these layers need, by torchvision's names, shallow to deep."""
    down = _down_to(layers)
    return tuple(key for key, slot in TENSORS.items() if slot.layer in down)


def build(settings: Settings, tile: tuple[bool, bool], weights: Weights | None) -> Extract:
    """The network as a function of an image (1, 3, H, W) in [0, 1] on the weights' device and of names of LAYERS.

    It gives maps (1, C, h, w): "stem", in front of the pool, of half of the image's size, rounded up; layer1 to layer4
    of a 4th, 8th, 16th and 32nd of it; and "logits", (1, 1000, 1, 1), of the whole image. Beyond borders there are
    zeros, as in training. Along axes that tile the image wraps, exactly where its size is a multiple of every step on
    the way (16 for layer3, 32 for layer4 and logits).
    """
    assert weights is not None
    tensors = {key: tensor.detach() for key, tensor in weights.tensors.items()}
    first = next(iter(tensors.values()))
    mean, std = (first.new_tensor(values).view(1, 3, 1, 1) for values in (weights.mean, weights.std))
    parts = {key.removesuffix(".weight"): _folded(key, tensors) for key, t in tensors.items() if t.dim() == 4}

    def extract(image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        out, x = {}, (image - mean) / std
        for name in _down_to(layers):
            if name == "stem":
                x = _convolve(x, parts["conv1"], tile, 2).relu()
            elif name == "logits":
                x = F.linear(x.mean((2, 3)), tensors["fc.weight"], tensors["fc.bias"])[:, :, None, None]
            else:
                x = _stage(name, x, parts, tile)
            if name in layers:
                out[name] = x
        return out

    return extract


def _down_to(layers: Sequence[str]) -> tuple[str, ...]:
    """All layers down to the deepest of these."""
    return LAYERS[: max((LAYERS.index(name) + 1 for name in layers), default=0)]


def _folded(key: str, tensors: Mapping[str, Tensor]) -> Part:
    """A convolution that does the work of the batch norm behind it too."""
    convolution = key.removesuffix(".weight")
    norm = convolution.replace("conv", "bn").replace("downsample.0", "downsample.1")
    scale, bias, mean, var = (tensors[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
    scale = scale / (var + EPS).sqrt()
    return tensors[key] * scale.view(-1, 1, 1, 1), bias - mean * scale


def _stage(layer: str, x: Tensor, parts: Mapping[str, Part], tile: tuple[bool, bool]) -> Tensor:
    """The blocks of a layer. The first of them halves the map, but in layer1, where a pool has done that."""
    stride = 2
    if layer == LAYERS[1]:
        x, stride = _pool(x, tile), 1
    blocks = sum(name.startswith(f"{layer}.") and name.endswith(".conv1") for name in parts)
    for block in range(blocks):
        at = f"{layer}.{block}"
        inner = _convolve(x, parts[f"{at}.conv1"], tile).relu()
        inner = _convolve(inner, parts[f"{at}.conv2"], tile, stride).relu()
        beside = x if block else _convolve(x, parts[f"{at}.downsample.0"], tile, stride)
        x = (_convolve(inner, parts[f"{at}.conv3"], tile) + beside).relu()
        stride = 1
    return x


def _convolve(x: Tensor, part: Part, tile: tuple[bool, bool], stride: int = 1) -> Tensor:
    """Convolution whose windows are centred on every `stride`-th cell, from the first."""
    weight, bias = part
    margin = weight.shape[2] // 2
    x, padding = _continued(x, margin, tile)
    return F.conv2d(x, weight, bias, stride, padding)


def _pool(x: Tensor, tile: tuple[bool, bool]) -> Tensor:
    """Maximum of 3 x 3 cells around every second one."""
    x, padding = _continued(x, 1, tile)
    return F.max_pool2d(x, 3, 2, padding)


def _continued(x: Tensor, margin: int, tile: tuple[bool, bool]) -> tuple[Tensor, list[int]]:
    """The map with `margin` cells from the other side along axes that tile, and the padding that the others need."""
    for dim, wraps in zip((2, 3), tile, strict=True):
        if wraps and margin:
            turns, rest = divmod(margin, x.shape[dim])  # a map may be smaller than the margin
            ends = x.narrow(dim, x.shape[dim] - rest, rest), x.narrow(dim, 0, rest)
            x = torch.cat([ends[0], *[x] * (2 * turns + 1), ends[1]], dim)
    return x, [0 if wraps else margin for wraps in tile]
