"""The generator of SPADE (Park et al. 2019), which the exemplar networks share: conditions become a picture.

Every residual block normalises what it has without any parameter, and then lets a condition map scale and shift it,
position by position. SPADE gives it guidance maps, MSCA (Zheng et al. 2020) aligned features for each scale, CoCosNet
(Zhang et al. 2020) a warped exemplar beside labels. Convolutions only: any size in, that size out.

Differs from the papers in: positional normalisation is the default (CoCosNet's), which needs no statistics; scales are
doubled bilinearly, as the grid of repeated cells shows for thousands of steps; colours are in [0, 1], by a sigmoid;
borders are mirrored, or wrap; noise may stand beside the condition, against repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from texsynth.errors import UsageError
from texsynth.learned.shared.conv import EPSILON, LEAK, OFF, Conv, Tile, doubled, normalised
from texsynth.settings import setting

Size = tuple[int, int]


@dataclass(frozen=True)
class Shape:
    """What shapes the generator.

    The published network has five levels, one more block, and a width of 64 that doubles up to 16 times.

    width: The channels of the generator at full size.
    widest: The multiple of the width up to which halvings double channels.
    hidden: The channels between a condition and what it scales and shifts.
    levels: The halvings from full size to where the picture begins.
    more: The residual blocks at the second scale, beyond the one of each scale.
    normalisation: Features are normalised over the channels of a position (positional), over the positions of a channel
        (instance), or over those of the whole batch (batch).
    resize: How a condition is resized for a scale; nearest keeps labels pure.
    spectral: The blocks' convolutions have spectral normalisation.
    noise: The channels of noise beside the condition.
    """

    width: int = setting(16, low=2, high=256)
    widest: int = setting(4, low=1, high=64)
    hidden: int = setting(32, low=1, high=512)
    levels: int = setting(4, low=0, high=8)
    more: int = setting(1, low=0, high=8)
    normalisation: str = setting("positional", choices=("positional", "instance", "batch"))
    resize: str = setting("bilinear", choices=("bilinear", "nearest"))
    spectral: bool = setting(True)
    noise: int = setting(0, low=0, high=64)

    @property
    def cell(self) -> int:
        """The side of a cell of the coarsest grid, in pixels: a picture that wraps has a multiple of it."""
        return 1 << self.levels

    @property
    def counts(self) -> list[int]:
        """The channels of every scale, coarse to fine."""
        return [self.width * min(1 << level, self.widest) for level in range(self.levels, -1, -1)]

    def grids(self, size: Size) -> list[Size]:
        """The sizes of every scale for a picture of `size`, coarse to fine; the last is up to a cell larger than it."""
        rows, columns = (-(-n // self.cell) for n in size)
        return [(rows << level, columns << level) for level in range(self.levels + 1)]


class Modulate(nn.Module):
    """x (n, count, h, w), normalised, times 1 + gamma, plus beta; both from a condition (n, condition, h', w')."""

    def __init__(self, count: int, condition: int, shape: Shape) -> None:
        super().__init__()
        self.kind, self.resize = shape.normalisation, shape.resize
        self.batch = nn.BatchNorm2d(count, EPSILON, affine=False) if self.kind == "batch" else None
        self.read = Conv(condition, shape.hidden)
        self.change = Conv(shape.hidden, 2 * count)

    def forward(self, x: Tensor, condition: Tensor, tile: Tile = OFF) -> Tensor:
        condition = resized(condition, (x.shape[2], x.shape[3]), self.resize)
        gamma, beta = self.change(self.read(condition, tile).relu(), tile).chunk(2, 1)
        return torch.addcmul(beta, self.norm(x), 1 + gamma)

    def norm(self, x: Tensor) -> Tensor:
        """x with mean 0 and variance 1, along the axes of its kind of normalisation."""
        if self.batch is not None:
            out: Tensor = self.batch(x)
            return out
        if self.kind == "instance":
            return torch.group_norm(x, x.shape[1], eps=EPSILON)  # unlike instance_norm it takes a single position
        return normalised(x)


class SpadeBlock(nn.Module):
    """A residual block: (n, before, h, w) and a condition -> (n, after, h, w)."""

    def __init__(self, before: int, after: int, condition: int, shape: Shape) -> None:
        super().__init__()
        middle, bias = min(before, after), biased(shape)
        self.norms = nn.ModuleList(Modulate(count, condition, shape) for count in (before, middle))
        self.convs = nn.ModuleList(
            Conv(*counts, bias=bias, spectral=shape.spectral) for counts in ((before, middle), (middle, after))
        )
        self.side_norm, self.side = None, None
        if before != after:
            self.side_norm = Modulate(before, condition, shape)
            self.side = Conv(before, after, 1, bias=False, spectral=shape.spectral)

    def forward(self, x: Tensor, condition: Tensor, tile: Tile = OFF) -> Tensor:
        y = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            y = conv(F.leaky_relu(norm(y, condition, tile), LEAK), tile)
        if self.side_norm is not None and self.side is not None:
            x = self.side(self.side_norm(x, condition, tile))
        return x + y


class Generator(nn.Module):
    """Conditions -> pictures (n, 3, h, w) in [0, 1]. Its tensors hold nothing before they are drawn or loaded.

    condition: the channels of the condition, without noise; one number for all scales, or one each, coarse to fine.
    """

    def __init__(self, shape: Shape, condition: int | Sequence[int]) -> None:
        super().__init__()
        self.shape, counts = shape, shape.counts
        conditions = [condition] * len(counts) if isinstance(condition, int) else condition
        inputs = [channels + shape.noise for channels in conditions]
        self.start = Conv(inputs[0], counts[0], bias=biased(shape))
        self.scales = nn.ModuleList()
        for number, (before, after, channels) in enumerate(zip([counts[0], *counts], counts, inputs, strict=False)):
            blocks = [SpadeBlock(before, after, channels, shape)]
            if number == min(1, shape.levels):
                blocks += [SpadeBlock(after, after, channels, shape) for _ in range(shape.more)]
            self.scales.append(nn.ModuleList(blocks))
        self.head = Conv(counts[-1], 3)

    def forward(self, condition: Tensor | Sequence[Tensor], noise: Sequence[Tensor] = (), tile: Tile = OFF) -> Tensor:
        """The pictures for a condition; raises UsageError where a side that wraps is no multiple of the shape's `cell`.

        condition: a map (n, C, h, w) of the picture's size, or one for every scale, coarse to fine, each half the size
            of the next.
        noise: a map (n, noise, ...) for every scale, of the shape's `grids`; () without noise.
        """
        last = condition if isinstance(condition, Tensor) else condition[-1]
        size = last.shape[2], last.shape[3]
        grids = self.shape.grids(size)
        check(size, self.shape, tile)
        # Bring the condition to the grid of every scale.
        if isinstance(condition, Tensor):
            whole = continued(condition, grids[-1])
            maps = [resized(whole, grid, self.shape.resize) for grid in grids]
        else:
            maps = [continued(each, grid) for each, grid in zip(condition, grids, strict=True)]
        if self.shape.noise:
            maps = [torch.cat(pair, 1) for pair in zip(maps, noise, strict=True)]
        # Go from coarse to fine.
        x = self.start(maps[0], tile)
        for number, (blocks, scale) in enumerate(zip(self.scales, maps, strict=True)):
            if number:
                x = doubled(x, tile)
            for block in blocks:  # type: ignore[attr-defined]  # a ModuleList
                x = block(x, scale, tile)
        out: Tensor = self.head(F.leaky_relu(x, LEAK), tile).sigmoid()
        return out[:, :, : size[0], : size[1]]


def biased(shape: Shape) -> bool:
    """May a convolution before a norm have biases? A norm of each channel takes them off again."""
    return shape.normalisation == "positional"


def normal_noise(shape: Shape, size: Size, count: int, rng: torch.Generator, device: torch.device) -> list[Tensor]:
    """Normal noise for every scale, of `count` pictures of `size`; none where the shape takes none."""
    grids = shape.grids(size) if shape.noise else ()
    return [torch.randn(count, shape.noise, *grid, generator=rng).to(device) for grid in grids]


def check(size: Size, shape: Shape, tile: Tile) -> None:
    """Raise UsageError where a side that tiles is no multiple of the shape's `cell`."""
    for side, wraps in zip(size, tile, strict=True):
        if wraps and side % shape.cell:
            below = side // shape.cell * shape.cell
            sizes = f"{below} or {below + shape.cell}" if below else str(shape.cell)
            raise UsageError(
                f"{side} pixels cannot tile with this network, which takes multiples of {shape.cell}; try {sizes}"
            )


def resized(x: Tensor, size: Size, how: str) -> Tensor:
    """A map (n, C, h, w) at another size. "bilinear" shrinks by the means of boxes, so that every pixel counts."""
    if (x.shape[2], x.shape[3]) == size:
        return x
    if how == "nearest":
        return F.interpolate(x, size, mode="nearest-exact")
    if x.shape[2] >= size[0] and x.shape[3] >= size[1]:
        return F.adaptive_avg_pool2d(x, size)
    return F.interpolate(x, size, mode="bilinear")


def continued(x: Tensor, size: Size) -> Tensor:
    """A map (n, C, h, w) made longer at the bottom and the right: mirrored, or repeated where there is too little."""
    rows, columns = size[0] - x.shape[2], size[1] - x.shape[3]
    for length, more, pads in ((x.shape[2], rows, [0, 0, 0, rows]), (x.shape[3], columns, [0, columns, 0, 0])):
        assert more >= 0, f"a condition of {tuple(x.shape[2:])} does not fit the grid {size}"
        if more:
            x = F.pad(x, pads, mode="reflect" if more < length else "replicate")
    return x
