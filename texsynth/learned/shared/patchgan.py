"""The two-scale PatchGAN of pix2pixHD (Wang et al. 2018) as SPADE has it (Park et al. 2019), and its losses.

Each discriminator looks at a condition beside a picture and scores for every patch how true it looks; the second one
looks at both at half size. All convolutions but the first and the last have spectral normalisation, and instance
normalisation follows them. Fine textures in small crops want three layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from texsynth.learned.shared.conv import EPSILON, LEAK, OFF, Conv, Tile
from texsynth.settings import setting

DISCRIMINATORS = 2  # one for each scale
KERNEL = 4  # side of the convolutions' kernels
WIDEST = 8  # most channels of a layer, as a multiple of the width
Pair = tuple[Tensor, Tensor]  # of what is true and of an output
Features = Sequence[Sequence[Tensor]]  # of every scale, of every layer; the last of a scale are its scores


@dataclass(frozen=True)
class Shape:
    """What shapes the discriminators; a width of 64 is the published one.

    discriminator_width: The channels of the discriminators' first layer.
    discriminator_layers: The convolutions before the discriminators' scores.
    """

    discriminator_width: int = setting(16, low=2, high=256)
    discriminator_layers: int = setting(4, low=2, high=6)


class PatchGAN(nn.Module):
    """The discriminators of both scales. Its tensors hold nothing before they are drawn or loaded."""

    def __init__(self, shape: Shape, condition: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(Discriminator(shape, condition + 3) for _ in range(DISCRIMINATORS))

    def forward(self, condition: Tensor, image: Tensor) -> list[list[Tensor]]:
        """The features of every layer of every scale, full size first, for a condition (n, condition, h, w) beside a
        picture (n, 3, h, w); the last of a scale are the scores (n, 1, h', w')."""
        x = torch.cat([condition, image], 1)
        features = []
        for number, scale in enumerate(self.scales):
            if number:
                x = F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False)
            features.append(scale(x))
        return features

    def pair(self, condition: Pair, image: Pair) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """Features of true pictures and of outputs, in one pass; both are of one size, and equally many."""
        features = self(torch.cat(condition), torch.cat(image))
        halves = [[layer.chunk(2) for layer in scale] for scale in features]
        real, fake = ([[layer[n] for layer in scale] for scale in halves] for n in (0, 1))
        return real, fake


class ZeroPadded(Conv):
    """A convolution with zeros beyond the borders."""

    def forward(self, x: Tensor, tile: Tile = OFF) -> Tensor:
        assert tile == OFF
        return F.conv2d(x, self.kernel(), self.bias, self.stride, padding=self.weight.shape[2] // 2)


class Discriminator(nn.Module):
    """One scale: (n, count, h, w) -> the features of every layer and the scores."""

    def __init__(self, shape: Shape, count: int) -> None:
        super().__init__()
        layers = shape.discriminator_layers
        counts = [count] + [shape.discriminator_width * min(1 << layer, WIDEST) for layer in range(layers)]
        self.convs = nn.ModuleList()
        for number, (before, after) in enumerate(pairwise(counts)):
            stride = 2 if number < layers - 1 else 1
            inner = number > 0  # inner layers are normalised, which would take a bias off again
            self.convs.append(ZeroPadded(before, after, KERNEL, stride=stride, bias=not inner, spectral=inner))
        self.last = ZeroPadded(counts[-1], 1, KERNEL)

    def forward(self, x: Tensor) -> list[Tensor]:
        features: list[Tensor] = []
        for conv in self.convs:
            x = conv(x)
            if features:
                x = torch.group_norm(x, x.shape[1], eps=EPSILON)
            x = F.leaky_relu(x, LEAK)
            features.append(x)
        return [*features, self.last(x)]


def hinge_generator(fake: Features) -> Tensor:
    """The hinge loss of a generator: minus the mean score of its pictures, the mean over the scales."""
    return -torch.stack([scale[-1].mean() for scale in fake]).mean()


def hinge_discriminator(real: Features, fake: Features) -> Tensor:
    """The hinge loss of the discriminators: true pictures should score above 1, and outputs below -1."""
    terms = [
        F.relu(1 - true[-1]).mean() + F.relu(1 + output[-1]).mean() for true, output in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).mean()


def feature_matching(real: Features, fake: Features) -> Tensor:
    """The mean absolute difference of features, summed over all layers but the scores, and the mean over the scales.
    Its gradient goes to the outputs only."""
    terms = [
        F.l1_loss(layer, other.detach())
        for true, output in zip(real, fake, strict=True)
        for layer, other in zip(output[:-1], true[:-1], strict=True)
    ]
    return torch.stack(terms).sum() / len(fake)
