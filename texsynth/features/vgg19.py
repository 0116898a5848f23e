"""VGG-19 (Simonyan and Zisserman 2014): the maps behind its rectifiers and pools, as texture methods use them.

Average pooling and mirrored borders are the defaults, as most of these methods have them since Gatys et al. 2015; max
pooling and zeros are what the network was trained with. Nothing behind the deepest layer asked for is computed, the
weights get no gradient, and of each map the gradient keeps its sign only: a fifth of what plain autograd keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

from texsynth.features import Extract
from texsynth.settings import setting
from texsynth.weights.pretrained import NETWORKS, Shapes, Weights

WEIGHTS: str | None = "vgg19"
PARTS = NETWORKS["vgg19"].layers  # the keys of weight and bias in front of each rectifier
CHANNELS = dict(zip(PARTS, (64, 64, 128, 128, *(256,) * 4, *(512,) * 8), strict=True))
# relu1_1, relu1_2, pool1, relu2_1 and so on: every block ends with its pool
LAYERS = tuple(
    layer for block, names in groupby(PARTS, lambda name: name[len("relu")]) for layer in (*names, f"pool{block}")
)


@dataclass(frozen=True)
class Settings:
    """How the network is run.

    pooling: Cells of 2 x 2 are pooled to their mean or maximum.
    padding: What convolutions see beyond a border that does not tile: the mirrored map, or zeros.
    precision: The numbers that are computed with; bfloat16 is 1.7 times as fast where the processor has it, and changes
        Gram matrices by less than 1%.
    """

    pooling: str = setting("avg", choices=("avg", "max"))
    padding: str = setting("reflect", choices=("reflect", "zero"))
    precision: str = setting("float32", choices=("float32", "bfloat16"))


def keys(layers: Sequence[str]) -> Shapes:
    """The shapes of the tensors that these layers need, by torchvision's keys, shallow to deep."""
    shapes: dict[str, tuple[int, ...]] = {}
    channels = 3
    for name in _down_to(layers):
        if name in PARTS:
            weight, bias = PARTS[name]
            shapes |= {weight: (CHANNELS[name], channels, 3, 3), bias: (CHANNELS[name],)}
            channels = CHANNELS[name]
    return shapes


def build(settings: Settings, tile: tuple[bool, bool], weights: Weights | None) -> Extract:
    """The network as a function of an image (1, 3, H, W) in [0, 1] on the weights' device and of names of LAYERS.

    It gives relu maps (1, C, h, w) of the size of their block and pool maps of half of that, rounded down; a layer that
    the image is too small for (behind a pool of less than 2 pixels) is left out. Along axes that tile the image wraps,
    exactly where its size is a multiple of every cell on the way (2 for block 2, 4 for block 3).
    """
    assert weights is not None
    first = next(iter(weights.tensors.values()))
    mean, std = (first.new_tensor(values).view(1, 3, 1, 1) for values in (weights.mean, weights.std))
    dtype = torch.bfloat16 if settings.precision == "bfloat16" else first.dtype
    tensors = {key: tensor.detach().to(dtype) for key, tensor in weights.tensors.items()}

    def extract(image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        out, x = {}, ((image - mean) / std).to(dtype)
        for name in _down_to(layers):
            if name in PARTS:
                weight, bias = (tensors[key] for key in PARTS[name])
                x = convolve(x, weight, bias, tile, settings.padding == "zero")
            elif min(x.shape[2:]) >= 2:
                x = _mean_of_cells(x) if settings.pooling == "avg" else F.max_pool2d(x, 2)
            else:
                break
            if name in layers:
                out[name] = x.to(image.dtype)
        return out

    return extract


def _down_to(layers: Sequence[str]) -> tuple[str, ...]:
    """All layers down to the deepest of these, shallow to deep."""
    return LAYERS[: max((LAYERS.index(name) + 1 for name in layers), default=0)]


def convolve(x: Tensor, weight: Tensor, bias: Tensor, tile: tuple[bool, bool], zero: bool) -> Tensor:
    """A 3 x 3 convolution and its rectifier, (1, C, h, w) -> (1, D, h, w); beyond borders that do not tile there are
    zeros, or the mirrored map."""
    for dim, wraps in zip((2, 3), tile, strict=True):
        if wraps or not zero:
            x = _extend(x, dim, wraps)
    padding = [int(zero and not wraps) for wraps in tile]
    # torch types this differently from version to version
    out: Tensor = cast(Any, _ConvolveRectified).apply(x, weight, bias, padding)
    return out


def _extend(x: Tensor, dim: int, wraps: bool) -> Tensor:
    """One row or column more on each side along an axis: from the other side, or mirrored without repeating the edge
    (a single pixel is repeated)."""
    last = x.shape[dim] - 1
    before, after = (last, 0) if wraps else (min(1, last), max(last - 1, 0))
    return torch.cat([x.narrow(dim, before, 1), x, x.narrow(dim, after, 1)], dim)


class _ConvolveRectified(torch.autograd.Function):
    """Convolution and rectifier in one, whose gradient needs the sign of the result and not the input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, padding: list[int]) -> Tensor:
        out = F.conv2d(x, weight, bias, padding=padding).relu_()
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(weight, out > 0)
            ctx.shape, ctx.padding = x.shape, padding
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        weight, positive = ctx.saved_tensors
        return conv2d_input(ctx.shape, weight, grad * positive, padding=ctx.padding), None, None, None


def _mean_of_cells(x: Tensor) -> Tensor:
    """The mean of cells of 2 x 2; sums of slices take half the time of avg_pool2d, and keep nothing for gradients."""
    h, w = (n // 2 * 2 for n in x.shape[2:])
    x = x[:, :, 0:h:2] + x[:, :, 1:h:2]
    return (x[..., 0:w:2] + x[..., 1:w:2]) / 4
