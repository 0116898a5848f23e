"""Texture networks (Ulyanov et al. 2016), in the form without padding of Houdard et al. 2021, Algorithm 2.

Noise of several scales passes small convolutions, coarse to fine, and becomes a picture. No convolution pads, and noise
is a function of absolute position. So a pixel depends on its position and on nothing else: any window of an endless
picture can be computed alone, and a picture wraps where its noise does.

Differs from the paper in: batch norms use the statistics of the sample in training only; `settled` then fixes their
mean, or the same pixel would differ from window to window. Noise comes from a hash of its position.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from texsynth.settings import setting

RECTIFIER_LEAK = 0.01  # the slope of the rectifiers below 0, as published
WORD = 0xFFFFFFFF  # the bits of a 32-bit word
Words = TypeVar("Words", int, Tensor)
SETTLING_PIXELS = 384**2  # about as many pixels of samples give the fixed statistics


@dataclass(frozen=True)
class Shape:
    """The settings that shape the network; the defaults are those of Houdard et al.

    levels: The number of scales of noise, each half the one before.
    channels: The number of channels that every scale adds; Ulyanov et al. have 8.
    noise: The number of channels of the noise.
    """

    levels: int = setting(6, low=1, high=10)
    channels: int = setting(2, low=1, high=256)
    noise: int = setting(3, low=1, high=64)

    @property
    def cell(self) -> int:
        """The side of a cell of the coarsest noise, in pixels; sides that wrap are multiples of it."""
        return int(2 ** (self.levels - 1))


@dataclass(frozen=True)
class Window:
    """A rectangle of an endless picture: rows [top, bottom), columns [left, right)."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left

    def grown(self, by: int) -> Window:
        return Window(self.top - by, self.bottom + by, self.left - by, self.right + by)

    def halved(self) -> Window:
        """The cells of twice the side that this window touches."""
        return Window(self.top // 2, -(-self.bottom // 2), self.left // 2, -(-self.right // 2))

    def doubled(self) -> Window:
        return Window(2 * self.top, 2 * self.bottom, 2 * self.left, 2 * self.right)

    def of(self, outer: Window, values: Tensor) -> Tensor:
        """Cut this window out of values (1, C, h, w) that show the window `outer`; returns a view."""
        rows = slice(self.top - outer.top, self.bottom - outer.top)
        return values[:, :, rows, self.left - outer.left : self.right - outer.left]


def noise(key: int, level: int, channels: int, window: Window, period: tuple[int, int], device: torch.device) -> Tensor:
    """Uniform noise in [0, 1), (1, channels, h, w), a hash of the key in [0, 2^62), the level, channel and position.

    It is computed with exact integers, so it is the same on every device. It repeats after `period` rows and columns,
    never where that is 0.
    """
    sides = (window.top, window.bottom), (window.left, window.right)
    rows, columns = (torch.arange(start, stop, device=device) for start, stop in sides)
    rows, columns = (at % every if every else at & WORD for at, every in zip((rows, columns), period, strict=True))
    planes = []
    for channel in range(channels):
        across, down = (_seed(key, level, channel, axis) for axis in range(2))
        planes.append(_mixed(_mixed(rows ^ down)[:, None] ^ _mixed(_mixed(columns ^ across) ^ down)))
    return ((torch.stack(planes)[None] >> 8).float() / (1 << 24)).contiguous()  # 24 bits are exact in float32


def _seed(*words: int) -> int:
    """Hash integers in [0, 2^62) to one of 32 bits."""
    seed = 0
    for word in words:
        for half in (word & WORD, word >> 32):
            seed = _mixed((seed + half + 0x9E3779B9) & WORD)
    return seed


def _mixed(words: Words) -> Words:
    """Spread every bit of 32-bit words (in int64), one to one; the factor has 27 bits, so that nothing overflows."""
    for _ in range(2):
        words = ((words >> 16) ^ words) * 0x45D9F3B & WORD
    return (words >> 16) ^ words


class ConvBlock(nn.Sequential):
    """Two 3 x 3 convolutions and one 1 x 1, each normalised and rectified: (1, C, h + 4, w + 4) -> (1, C', h, w)."""

    def __init__(self, inside: int, outside: int) -> None:
        parts: list[nn.Module] = []
        for number, side in enumerate((3, 3, 1)):
            parts += [
                nn.Conv2d(outside if number else inside, outside, side),
                nn.BatchNorm2d(outside),
                nn.LeakyReLU(RECTIFIER_LEAK, inplace=True),
            ]
        super().__init__(*parts)


class TextureNet(nn.Module):
    """The generator of Ulyanov et al. and Houdard et al.

    fresh: blocks that turn the noise of each scale, coarsest first, into channels.
    between: batch norms of the enlarged channels of all coarser scales.
    joint: blocks that join the channels of coarser scales with those of the next.
    last: the convolution that makes colours.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        step, self.shape = shape.channels, shape
        self.fresh = nn.ModuleList(ConvBlock(shape.noise, step) for _ in range(shape.levels))
        self.between = nn.ModuleList(nn.BatchNorm2d(step * n) for n in range(1, shape.levels))
        self.joint = nn.ModuleList(ConvBlock(step * n, step * n) for n in range(2, shape.levels + 1))
        self.last = nn.Conv2d(step * shape.levels, 3, 1, bias=False)

    def forward(self, key: int, window: Window, period: tuple[int, int] = (0, 0)) -> Tensor:
        """The colours of a window of the endless picture that belongs to a key, (1, 3, h, w), not clamped.

        It repeats after `period` rows and columns, multiples of the shape's `cell`; never where that is 0.
        """
        levels, device = self.shape.levels, self.last.weight.device
        # Find the window that is needed at every scale, from fine to coarse.
        needed = [window]
        for _ in range(levels - 1):
            needed.append(needed[-1].grown(2).halved())
        needed.reverse()

        def fresh(level: int, part: Window) -> Tensor:
            every = period[0] >> (levels - 1 - level), period[1] >> (levels - 1 - level)
            out: Tensor = self.fresh[level](noise(key, level, self.shape.noise, part.grown(2), every, device))
            return out

        # Join the scales, from coarse to fine.
        trunk = fresh(0, needed[0])
        for level in range(1, levels):
            part = needed[level].grown(2)
            large = F.interpolate(trunk, scale_factor=2, mode="nearest")
            coarser = self.between[level - 1](part.of(needed[level - 1].doubled(), large))
            trunk = self.joint[level - 1](torch.cat([coarser, fresh(level, part)], 1))
        out: Tensor = self.last(trunk)
        return out


def filled(net: TextureNet, rng: torch.Generator) -> TextureNet:
    """Draw the first weights, uniform as torch draws them by default but from `rng`; returns the network itself."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            bound = 1 / math.sqrt(module.weight[0].numel())
            for parameter in module.parameters():
                drawn = torch.rand(parameter.shape, generator=rng) * (2 * bound) - bound
                parameter.data.copy_(drawn)
    return net


@torch.no_grad()
def settled(net: TextureNet, key: int, side: int) -> TextureNet:
    """Copy a network for use, with batch norms that no longer change.

    They have the mean statistics of a few samples, the first one of `key`, with the side of those in training, as the
    weights expect; those of a network that is in use already (`eval`) stay.
    """
    settled_net = copy.deepcopy(net)
    if not net.training:
        return settled_net
    for module in settled_net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # statistics become the plain mean over samples
    for number in range(min(16, max(4, SETTLING_PIXELS // side**2))):
        settled_net(key + number, Window(0, side, 0, side))
    return settled_net.eval()
