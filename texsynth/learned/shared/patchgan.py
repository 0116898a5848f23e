"""The two-scale PatchGAN of pix2pixHD (Wang et al. 2018) as SPADE has it (Park et al. 2019), and its losses.

Each discriminator sees a condition beside a picture and says for every patch how true it looks; the second one sees
both at half size. All convolutions but the first and the last are followed by instance normalisation, and have
spectral normalisation. For fine textures in small crops take three layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from texsynth.learned.shared.conv import Conv
from texsynth.settings import setting

LEAK = 0.2
SCALES = 2
SIDE = 4  # of the kernels
WIDEST = 8  # times the width
EPSILON = 1e-5
Features = Sequence[Sequence[Tensor]]  # of every scale, of every layer; the last of a scale are its scores


@dataclass(frozen=True)
class Shape:
    """What shapes the discriminators; a width of 64 is the published one."""

    discriminator_width: int = setting(
        16, "channels of the first layer; they double from layer to layer", low=2, high=256
    )
    discriminator_layers: int = setting(4, "convolutions before the scores; all but the last one halve", low=2, high=6)


class PatchGAN(nn.Module):
    """The discriminators of both scales. condition: channels of the condition. Its tensors hold nothing before they are
    drawn or loaded."""

    def __init__(self, shape: Shape, condition: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(Discriminator(shape, condition + 3) for _ in range(SCALES))

    def forward(self, condition: Tensor, image: Tensor) -> list[list[Tensor]]:
        """What (n, condition, h, w) beside (n, 3, h, w) looks like, full size first: the features of every layer, the
        last of them the scores (n, 1, h', w')."""
        x = torch.cat([condition, image], 1)
        found = []
        for number, scale in enumerate(self.scales):
            if number:
                x = F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False)
            found.append(scale(x))
        return found

    def pair(
        self, condition: tuple[Tensor, Tensor], image: tuple[Tensor, Tensor]
    ) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """Features of true and of made pictures, in one pass; both are of one size, and equally many."""
        found = self(torch.cat(condition), torch.cat(image))
        halves = [[layer.chunk(2) for layer in scale] for scale in found]
        real, fake = ([[layer[n] for layer in scale] for scale in halves] for n in (0, 1))
        return real, fake


class Discriminator(nn.Module):
    """One scale: (n, count, h, w) -> the features of every layer and the scores."""

    def __init__(self, shape: Shape, count: int) -> None:
        super().__init__()
        layers = shape.discriminator_layers
        counts = [count] + [shape.discriminator_width * min(1 << layer, WIDEST) for layer in range(layers)]
        self.convs = nn.ModuleList()
        for number, (before, after) in enumerate(pairwise(counts)):
            stride = 2 if number < layers - 1 else 1
            inner = number > 0  # is it normalised? Then a bias would be taken off again
            self.convs.append(Conv(before, after, SIDE, stride=stride, bias=not inner, spectral=inner, zeros=True))
        self.last = Conv(counts[-1], 1, SIDE, zeros=True)

    def forward(self, x: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        for conv in self.convs:
            x = conv(x)
            if found:
                x = torch.group_norm(x, x.shape[1], eps=EPSILON)
            x = F.leaky_relu(x, LEAK)
            found.append(x)
        return [*found, self.last(x)]


def hinge_generator(fake: Features) -> Tensor:
    """What a generator has to lower: less the mean score of its pictures, over the scales."""
    return -torch.stack([scale[-1].mean() for scale in fake]).mean()


def hinge_discriminator(real: Features, fake: Features) -> Tensor:
    """What the discriminators have to lower: true pictures should score above 1, made ones below -1."""
    terms = [F.relu(1 - true[-1]).mean() + F.relu(1 + made[-1]).mean() for true, made in zip(real, fake, strict=True)]
    return torch.stack(terms).mean()


def feature_matching(real: Features, fake: Features) -> Tensor:
    """The mean absolute difference of features, summed over all layers but the scores, over the scales. Its gradient
    goes to the made pictures only."""
    terms = [
        F.l1_loss(layer, other.detach())
        for true, made in zip(real, fake, strict=True)
        for layer, other in zip(made[:-1], true[:-1], strict=True)
    ]
    return torch.stack(terms).sum() / len(fake)
