"""Decoders from VGG-19 features back to pixels (Risser 2020 and Li et al. 2017): mirrors of the encoder, one a layer.

They have 3 x 3 convolutions with mirrored borders and rectifiers, double the map where the encoder pools, and end in a
convolution without a rectifier. Features are divided by their size on the exemplars first, so that a network starts
from numbers near 1 whatever the encoder's scale.
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
from texsynth.learned.shared.conv import OFF, Tile
from texsynth.learned.shared.margins import extended
from texsynth.settings import setting

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@dataclass(frozen=True)
class Shape:
    """The settings that shape the decoders.

    layers: The layers of VGG-19 that are matched, each with a decoder of its own.
    """

    layers: tuple[str, ...] = setting(("relu1_1", "relu2_1", "relu3_1"), choices=LAYERS)

    def __post_init__(self) -> None:
        if not self.layers:
            raise UsageError(f"layers is empty; at least one of {', '.join(LAYERS)} is needed")

    def ordered(self) -> tuple[str, ...]:
        """Each layer once, shallow to deep."""
        return tuple(layer for layer in LAYERS if layer in self.layers)


class Decoders(nn.ModuleDict):
    """The decoder of every layer, by its name. Their tensors hold nothing before `initialise` or loading."""

    def __init__(self, shape: Shape) -> None:
        super().__init__({layer: Decoder(layer) for layer in shape.ordered()})

    def of(self, layer: str) -> Decoder:
        return cast(Decoder, self[layer])


class Decoder(nn.Module):
    """Features (n, C, h, w) of one layer -> pixels (n, 3, h * cell, w * cell), about [0, 1] but not clamped.

    scale: the number () that features are divided by.
    names: the layers of the encoder whose convolutions the decoder mirrors, in its order.
    doubled: whether the map is doubled before each convolution.
    """

    scale: Tensor

    def __init__(self, layer: str) -> None:
        super().__init__()
        self.convolutions, self.names, self.doubled = nn.ModuleList(), list[str](), list[bool]()
        doubles = False
        for name in reversed(vgg19.LAYERS[: vgg19.LAYERS.index(layer) + 1]):
            if name not in vgg19.PARTS:  # a pool
                doubles = True
                continue
            out, into = vgg19.keys([name])[vgg19.PARTS[name][0]][:2]
            # Skip torch's own initialisation, which draws from the global generator.
            self.convolutions.append(nn.utils.skip_init(nn.Conv2d, out, into, 3))
            self.names.append(name)
            self.doubled.append(doubles)
            doubles = False
        self.register_buffer("scale", torch.ones(()))

    @property
    def cell(self) -> int:
        """The side of a feature in pixels."""
        return 1 << sum(self.doubled)

    def forward(self, x: Tensor, tile: Tile = OFF) -> Tensor:
        """Decode features; along axes that tile, the pixels wrap exactly."""
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
def initialise(net: Decoders, tensors: Mapping[str, Tensor], features: Mapping[str, Tensor]) -> Decoders:
    """Fill every tensor, and return the network.

    A convolution starts as the transpose of the encoder's convolution that it mirrors, scaled so that on these features
    every channel has deviation 1 and is mostly above 0; after a hundred steps errors are a third lower than from He's
    random weights. The last one starts near grey, which is nearer to all pictures than noise.

    tensors: the weights of VGG-19.
    features: the features (n, C, h, w) of an exemplar, by layer.
    """
    for layer in net:
        decoder, x = net.of(layer), features[layer]
        decoder.scale.copy_(x.square().mean().sqrt().clamp(min=1e-6))
        x = x / decoder.scale
        for number, name in enumerate(decoder.names):
            # Transpose the encoder's kernel, and look at what it makes of these features.
            convolution = cast(nn.Conv2d, decoder.convolutions[number])
            weight = tensors[vgg19.PARTS[name][0]].transpose(0, 1).flip(2, 3).to(x)
            last = number == len(decoder.names) - 1
            x = extended(F.interpolate(x, scale_factor=2.0) if decoder.doubled[number] else x, 1, OFF)
            y = F.conv2d(x, weight)
            # Scale and shift it.
            gain = (0.1 if last else 1) / y.std((0, 2, 3), correction=0).clamp(min=1e-6)
            convolution.weight.copy_(weight * gain.view(-1, 1, 1, 1))
            assert convolution.bias is not None
            convolution.bias.copy_((0.5 if last else 0.3) - y.mean((0, 2, 3)) * gain)
            x = F.conv2d(x, convolution.weight, convolution.bias).relu()
    return net
