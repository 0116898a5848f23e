"""Texture networks (Ulyanov et al. 2016), in the form without padding of Houdard et al. 2021, Algorithm 2.

Noise of several scales goes through small convolutions, coarse to fine, and comes out as a picture. All convolutions
are valid, and noise is a function of absolute position: what a pixel becomes depends on where it is and on nothing
else, so any window of an endless picture is had alone, and a picture wraps where its noise does.

Differs from the paper in: batch norms use the statistics of the sample while training only; `settled` then fixes their
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

SLOPE = 0.01  # of the rectifiers below 0, as published
WORD = 0xFFFFFFFF
Words = TypeVar("Words", int, Tensor)
AREA = 384**2  # pixels of samples whose statistics are fixed, about


@dataclass(frozen=True)
class Shape:
    """What shapes the network; the defaults are those of Houdard et al."""

    levels: int = setting(6, "scales of noise, each half the one before", low=1, high=10)
    channels: int = setting(2, "channels that every scale adds; 8 is the width of Ulyanov", low=1, high=256)
    noise: int = setting(3, "channels of the noise", low=1, high=64)

    @property
    def cell(self) -> int:
        """The side of a cell of the coarsest noise, in pixels: a picture that wraps has a multiple of it."""
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
        """The cells of twice the side that it touches."""
        return Window(self.top // 2, -(-self.bottom // 2), self.left // 2, -(-self.right // 2))

    def doubled(self) -> Window:
        return Window(2 * self.top, 2 * self.bottom, 2 * self.left, 2 * self.right)

    def of(self, outer: Window, values: Tensor) -> Tensor:
        """This part of values (1, C, h, w) that show `outer`, as a view."""
        rows = slice(self.top - outer.top, self.bottom - outer.top)
        return values[:, :, rows, self.left - outer.left : self.right - outer.left]


def noise(key: int, level: int, channels: int, window: Window, period: tuple[int, int], device: torch.device) -> Tensor:
    """Uniform in [0, 1), (1, channels, h, w): for a key in [0, 2^62), each level, channel and position its own number.

    period: rows and columns after which it repeats, 0 for never. Exact integers, so alike on every device.
    """
    rows, columns = (
        torch.arange(start, stop, device=device)
        for start, stop in ((window.top, window.bottom), (window.left, window.right))
    )
    rows, columns = (at % every if every else at & WORD for at, every in zip((rows, columns), period, strict=True))
    planes = []
    for channel in range(channels):
        across, down = (_seed(key, level, channel, axis) for axis in range(2))
        planes.append(_mixed(_mixed(rows ^ down)[:, None] ^ _mixed(_mixed(columns ^ across) ^ down)))
    return ((torch.stack(planes)[None] >> 8).float() / (1 << 24)).contiguous()  # 24 bits are exact in float32


def _seed(*words: int) -> int:
    """Numbers in [0, 2^62) as one of 32 bits."""
    made = 0
    for word in words:
        for half in (word & WORD, word >> 32):
            made = _mixed((made + half + 0x9E3779B9) & WORD)
    return made


def _mixed(words: Words) -> Words:
    """A bijection of 32-bit words (in int64) that spreads every bit. The factor is of 27 bits: no product overflows."""
    for _ in range(2):
        words = ((words >> 16) ^ words) * 0x45D9F3B & WORD
    return (words >> 16) ^ words


class Block(nn.Sequential):
    """Two 3 x 3 convolutions and one 1 x 1, each normalised and rectified: (1, C, h + 4, w + 4) -> (1, C', h, w)."""

    def __init__(self, inside: int, outside: int) -> None:
        parts: list[nn.Module] = []
        for number, side in enumerate((3, 3, 1)):
            parts += [
                nn.Conv2d(outside if number else inside, outside, side),
                nn.BatchNorm2d(outside),
                nn.LeakyReLU(SLOPE, inplace=True),
            ]
        super().__init__(*parts)


class TextureNet(nn.Module):
    """The generator. fresh[n] turns the noise of scale n (0 the coarsest) into channels, between[n] normalises what the
    scales before made, joint[n] joins the two, last makes colours."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        step, self.shape = shape.channels, shape
        self.fresh = nn.ModuleList(Block(shape.noise, step) for _ in range(shape.levels))
        self.between = nn.ModuleList(nn.BatchNorm2d(step * n) for n in range(1, shape.levels))
        self.joint = nn.ModuleList(Block(step * n, step * n) for n in range(2, shape.levels + 1))
        self.last = nn.Conv2d(step * shape.levels, 3, 1, bias=False)

    def forward(self, key: int, window: Window, period: tuple[int, int] = (0, 0)) -> Tensor:
        """The colours of a window of the endless picture of a key, (1, 3, h, w), not clamped.

        period: rows and columns after which the picture repeats, multiples of the shape's `cell`; 0 for never.
        """
        levels, device = self.shape.levels, self.last.weight.device
        needed = [window]  # of every scale; from the finest to the coarsest, and then the other way
        for _ in range(levels - 1):
            needed.append(needed[-1].grown(2).halved())
        needed.reverse()

        def fresh(level: int, part: Window) -> Tensor:
            every = period[0] >> (levels - 1 - level), period[1] >> (levels - 1 - level)
            out: Tensor = self.fresh[level](noise(key, level, self.shape.noise, part.grown(2), every, device))
            return out

        trunk = fresh(0, needed[0])
        for level in range(1, levels):
            part = needed[level].grown(2)
            large = F.interpolate(trunk, scale_factor=2, mode="nearest")
            known = self.between[level - 1](part.of(needed[level - 1].doubled(), large))
            trunk = self.joint[level - 1](torch.cat([known, fresh(level, part)], 1))
        out: Tensor = self.last(trunk)
        return out


def filled(net: TextureNet, rng: torch.Generator) -> TextureNet:
    """The network with its first weights, uniform as torch draws them by default, but from `rng`; in place."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            bound = 1 / math.sqrt(module.weight[0].numel())
            for parameter in module.parameters():
                drawn = torch.rand(parameter.shape, generator=rng) * (2 * bound) - bound
                parameter.data.copy_(drawn)
    return net


@torch.no_grad()
def settled(net: TextureNet, key: int, side: int) -> TextureNet:
    """A copy for use, whose batch norms no longer change: they have the mean statistics of a few samples, unless the
    network is in use already (`eval`).

    side: of these; the side of those that it was trained on, whose spread is what the weights expect.
    """
    made = copy.deepcopy(net)
    if not net.training:
        return made
    made.train()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean of what is seen
    for number in range(min(16, max(4, AREA // side**2))):
        made(key + number, Window(0, side, 0, side))
    return made.eval()
