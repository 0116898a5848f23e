"""Decoders from VGG-19 features back to pixels (Risser 2020 and Li et al. 2017): the encoder's mirror, one for a layer.

3 x 3 convolutions with mirrored borders and rectifiers, nearest doubling where the encoder pools, and a last
convolution without rectifier. Features are divided by their size on the exemplars first, so that a network starts from
numbers about 1 whatever the encoder's scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from texsynth.errors import UsageError
from texsynth.features import vgg19
from texsynth.learned.shared.margins import extended
from texsynth.settings import setting
from texsynth.weights.pretrained import NETWORKS

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@dataclass(frozen=True)
class Shape:
    """What shapes the decoders."""

    layers: tuple[str, ...] = setting(
        ("relu1_1", "relu2_1", "relu3_1"),
        "layers of VGG-19 that are matched, each with a decoder of its own",
        choices=LAYERS,
    )

    def __post_init__(self) -> None:
        if not self.layers:
            raise UsageError(f"layers is empty; at least one of {', '.join(LAYERS)} is needed")

    def ordered(self) -> tuple[str, ...]:
        """Each layer once, shallow to deep."""
        return tuple(layer for layer in LAYERS if layer in self.layers)


class Decoders(nn.ModuleDict):
    """The decoder of every layer, by the layer's name. Its tensors hold nothing yet: see `initialise`, or load them."""

    def __init__(self, shape: Shape) -> None:
        super().__init__({layer: Decoder(layer) for layer in shape.ordered()})

    def of(self, layer: str) -> Decoder:
        """That of one layer."""
        return cast(Decoder, self[layer])


class Decoder(nn.Module):
    """Features (n, C, h, w) of one layer -> pixels (n, 3, h * cell, w * cell), about [0, 1] but not clamped."""

    scale: Tensor  # what features are divided by, ()

    def __init__(self, layer: str) -> None:
        super().__init__()
        self.convolutions, self.doubled = nn.ModuleList(), []
        doubles = False
        for name in reversed(vgg19.LAYERS[: vgg19.LAYERS.index(layer) + 1]):
            if name not in vgg19.PARTS:  # a pool
                doubles = True
                continue
            out, into = NETWORKS["vgg19"].tensors[vgg19.PARTS[name][0]].shape[:2]
            # without torch's own start, which draws from a generator that all share
            self.convolutions.append(nn.utils.skip_init(nn.Conv2d, out, into, 3))
            self.doubled.append(doubles)
            doubles = False
        self.register_buffer("scale", torch.ones(()))

    @property
    def cell(self) -> int:
        """Pixels that a feature is wide."""
        return 1 << sum(self.doubled)

    def forward(self, x: Tensor, tile: tuple[bool, bool] = (False, False)) -> Tensor:
        """tile: do the features wrap in (y, x)? Then so do the pixels, exactly."""
        x = x / self.scale
        last = len(self.doubled) - 1
        for number, (convolution, doubles) in enumerate(zip(self.convolutions, self.doubled, strict=True)):
            if doubles:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = convolution(extended(x, 1, tile))
            if number < last:
                x = x.relu()
        return x


@torch.no_grad()
def initialise(net: Decoders, tensors: Mapping[str, Tensor], seen: Mapping[str, Tensor]) -> Decoders:
    """Fill every tensor; gives the network back. tensors: VGG-19's; seen: features of an exemplar, (n, C, h, w).

    A convolution starts as the transpose of the encoder's, whose place it mirrors, scaled so that on these features
    every channel has deviation 1 and is mostly above 0: at a hundred steps errors are a third less than from He's
    random weights. The last one starts near grey, which is nearer to all pictures than noise.
    """
    for layer in net:
        decoder, names = net.of(layer), _mirrored(layer)
        x = seen[layer]
        decoder.scale.copy_(x.square().mean().sqrt().clamp(min=1e-6))
        x = x / decoder.scale
        for number, name in enumerate(names):
            convolution = cast(nn.Conv2d, decoder.convolutions[number])
            weight = tensors[vgg19.PARTS[name][0]].transpose(0, 1).flip(2, 3).to(x)
            last = number == len(names) - 1
            x = extended(F.interpolate(x, scale_factor=2.0) if decoder.doubled[number] else x, 1, (False, False))
            y = F.conv2d(x, weight)
            gain = (0.1 if last else 1) / y.std((0, 2, 3), correction=0).clamp(min=1e-6)
            convolution.weight.copy_(weight * gain.view(-1, 1, 1, 1))
            assert convolution.bias is not None
            convolution.bias.copy_((0.5 if last else 0.3) - y.mean((0, 2, 3)) * gain)
            x = F.conv2d(x, convolution.weight, convolution.bias).relu()
    return net


def _mirrored(layer: str) -> list[str]:
    """The rectifiers of the encoder whose convolutions a decoder mirrors, in its order."""
    return [name for name in reversed(vgg19.LAYERS[: vgg19.LAYERS.index(layer) + 1]) if name in vgg19.PARTS]
