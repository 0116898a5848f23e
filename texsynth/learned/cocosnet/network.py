"""The networks of CoCosNet (Zhang et al. 2020): labels and an exemplar become alike, are matched, and make a picture.

Two adaptors, one for labels and one for pictures with theirs, lead to common features; each cell of the target then
takes, by a soft match, whole cells of the exemplar (the warp), and a SPADE generator turns warp and labels into the
picture.

Differs from the paper in: all norms are positional, which neither batches nor sizes change, and the matcher needs no
spectral ones; residual blocks of the adaptors are plain; no non-local block. Where labels do not change nothing tells
cells apart, and a match would be a mean of all; so blocks of cells look for a place in the exemplar together, what is
near there is preferred (`place`; 0 is the paper's), and light is made one across their seams. The generator says what
to change of the warp, which is cut along the labels to the pixel first (`carry`). Large grids are matched from coarse
to fine, without a recurrent network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from texsynth.learned.cocosnet import tone
from texsynth.learned.cocosnet.match import MEMORY, candidates, descriptors, gather_patches, match, match_among
from texsynth.learned.cocosnet.places import code, grid, placed
from texsynth.learned.shared import generator, loading
from texsynth.learned.shared.conv import OFF, Conv, Tile
from texsynth.learned.shared.generator import Generator, Size, continued
from texsynth.pyramid import shrink
from texsynth.settings import setting
from texsynth.weights.trained import Model

CELL = 4  # pixels a side, of what is matched
LEAK = 0.2
EPSILON = 1e-5
DENSE = 1 << 31  # pairs of cells up to which all are compared: in parts that is faster than a search
COARSEST = 64  # cells a side, of the grid on which a match from coarse to fine begins, at most
CANDIDATES = 16
ROUNDS = 2
FAINT = 0.02  # share of a window that is enough to know its colour
Gather = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Shape(generator.Shape):
    """What shapes the networks; an adaptor width of 64, three and four blocks and 256 channels are the published."""

    adaptor: int = setting(16, "channels of the adaptors at full size", low=2, high=256)
    adaptor_blocks: int = setting(1, "residual blocks of an adaptor", low=1, high=8)
    shared_blocks: int = setting(2, "residual blocks that both sides share", low=1, high=8)
    descriptor: int = setting(64, "channels of what is matched", low=2, high=1024)
    window: int = setting(3, "side of the windows of cells that are compared, odd", low=1, high=7)
    masks: bool = setting(True, "both sides see their labels once more, before the match")
    temperature: float = setting(0.01, "of the match; less: sharper", low=1e-4, high=1)
    place: float = setting(0.4, "share of a match that keeps neighbours together; 0: published", low=0.0, high=0.9)
    variety: float = setting(0.2, "how much worse than the best a place may be that blocks take", low=0.0, high=2.0)
    masked: int = setting(0, "steps until exemplars go without their labels; 0: never", low=0, high=10_000_000)
    carry: bool = setting(True, "the generator says what to change of the warp; off: published, all of it")

    @property
    def labelled(self) -> bool:
        """Do exemplars show their labels in use?"""
        return not self.masked


@dataclass(frozen=True)
class Side:
    """A target or an exemplar on the grid of cells: adapted (1, A, h, w) of length 1, features (1, D, h, w), and the
    shares of labels in each cell (1, L, h, w)."""

    adapted: Tensor
    features: Tensor
    shares: Tensor

    @property
    def size(self) -> Size:
        return self.features.shape[2], self.features.shape[3]


class Residual(nn.Module):
    """(n, before, h, w) -> (n, after, h, w). learned: the slope of its rectifiers is learned."""

    def __init__(self, before: int, after: int, learned: bool = False) -> None:
        super().__init__()
        self.convs = nn.ModuleList([Conv(before, after), Conv(after, after)])
        self.side = Conv(before, after, 1, bias=False) if before != after else None
        self.slope = nn.PReLU() if learned else nn.LeakyReLU(LEAK)

    def forward(self, x: Tensor, tile: Tile = OFF) -> Tensor:
        y = self.slope(normalised(self.convs[0](x, tile)))
        y = normalised(self.convs[1](y, tile))
        out: Tensor = self.slope(y + (x if self.side is None else self.side(x)))
        return out


class Adaptor(nn.Module):
    """(1, count, H, W) with sides that are multiples of CELL -> (1, A, H / CELL, W / CELL), of length 1."""

    def __init__(self, count: int, shape: Shape) -> None:
        super().__init__()
        width, wide = shape.adaptor, 4 * shape.adaptor
        counts, strides = (count, width, 2 * width, wide, 2 * wide, 2 * wide), (1, 2, 1, 2, 1)
        self.convs = nn.ModuleList(Conv(*pair, stride=n) for pair, n in zip(pairwise(counts), strides, strict=True))
        befores = [2 * wide] + [wide] * (shape.adaptor_blocks - 1)
        self.blocks = nn.ModuleList(Residual(before, wide) for before in befores)

    def forward(self, x: Tensor, tile: Tile = OFF) -> Tensor:
        for conv in self.convs:
            x = F.leaky_relu(normalised(conv(x, tile)), LEAK)
        for block in self.blocks:
            x = block(x, tile)
        return F.normalize(x, dim=1)


class Matcher(nn.Module):
    """Both adaptors, and what follows them. labels: how many there are. Its tensors hold nothing before they are drawn
    or loaded."""

    def __init__(self, shape: Shape, labels: int) -> None:
        super().__init__()
        self.shape, wide = shape, 4 * shape.adaptor
        self.of_labels, self.of_image = Adaptor(labels, shape), Adaptor(3 + labels * shape.masks, shape)
        first = wide + labels * shape.masks
        befores = [first] + [wide] * (shape.shared_blocks - 1)
        self.shared = nn.ModuleList(Residual(before, wide, learned=True) for before in befores)
        self.last_labels, self.last_image = Conv(wide, shape.descriptor, 1), Conv(wide, shape.descriptor, 1)

    def target(self, labels: Tensor, tile: Tile = OFF) -> Side:
        """Of labels (1, L, H, W), one-hot."""
        whole = padded(labels)
        return self._side(self.of_labels(whole, tile), whole, self.last_labels, tile)

    def exemplar(self, image: Tensor, labels: Tensor, tile: Tile = OFF) -> Side:
        """Of a picture (1, 3, H, W) in [0, 1] and its labels (1, L, H, W); those may be nothing, or noise."""
        whole = padded(labels)
        seen = [padded(image) * 2 - 1] + [whole] * self.shape.masks
        return self._side(self.of_image(torch.cat(seen, 1), tile), whole, self.last_image, tile)

    def _side(self, adapted: Tensor, labels: Tensor, last: Conv, tile: Tile) -> Side:
        shares = F.avg_pool2d(labels, CELL)
        x = torch.cat([adapted, shares], 1) if self.shape.masks else adapted
        for block in self.shared:
            x = block(x, tile)
        return Side(adapted, last(x), shares)


class CoCosNet(nn.Module):
    """The matcher and the generator that makes a picture of what it warps."""

    def __init__(self, shape: Shape, labels: int) -> None:
        super().__init__()
        self.matcher = Matcher(shape, labels)
        self.generator = Generator(shape, 3 + labels)


def normalised(x: Tensor) -> Tensor:
    """(n, C, h, w) with mean 0 and variance 1 over the channels of each position."""
    x = x - x.mean(1, keepdim=True)
    return x * (x.square().mean(1, keepdim=True) + EPSILON).rsqrt()


def cells(x: Tensor) -> Tensor:
    """The mean of every cell of a picture (1, C, H, W)."""
    return F.avg_pool2d(padded(x), CELL)


def padded(x: Tensor) -> Tensor:
    """(1, C, H, W) continued to whole cells."""
    rows, columns = (-(-n // CELL) * CELL for n in x.shape[2:])
    return continued(x, (rows, columns))


def wished(
    target: Side, exemplar: Side, image: Tensor, shape: Shape, rng: torch.Generator, usable: Tensor | None = None
) -> Tensor:
    """The (y, x) in cells of the exemplar, a picture (1, 3, H, W), that the target's cells would like: (1, 2, h, w)."""
    if not shape.place:  # nobody will look at them
        return target.features.new_zeros(1, 2, *target.size)
    return placed(target.features, exemplar.features, cells(image), shape.variety, rng, usable)


def compared(target: Side, exemplar: Side, places: Tensor, shape: Shape, tile: Tile = OFF) -> tuple[Tensor, Tensor]:
    """What `match` compares: queries (1, D', h, w) and keys (1, D', H, W), of length 1.

    places: (1, 2, h, w), the (y, x) in cells of the exemplar that each cell of the target would like.
    """
    queries, keys = descriptors(target.features, shape.window, tile), descriptors(exemplar.features, shape.window)
    if not shape.place:
        return queries, keys
    known = code(places, exemplar.size), code(grid(exemplar.size, keys.device), exemplar.size)
    sizes = (1 - shape.place) ** 0.5, shape.place**0.5
    joined = [torch.cat([x * sizes[0], where * sizes[1]], 1) for x, where in zip((queries, keys), known, strict=True)]
    return joined[0], joined[1]


def gather(queries: Tensor, keys: Tensor, shape: Shape, rng: torch.Generator, memory: int = MEMORY) -> Gather:
    """A function of values (1, C, H, W) on the keys' grid: what the queries take of them, (1, C, h, w). Of large grids
    only candidates are compared."""
    if queries[0, 0].numel() * keys[0, 0].numel() <= DENSE:
        return lambda values: match(queries, keys, values, shape.temperature, memory)
    levels = math.ceil(math.log2(max(*queries.shape[2:], *keys.shape[2:]) / COARSEST))
    pyramids = [[shrink(x, level) for level in range(levels, -1, -1)] for x in (queries, keys)]
    among = candidates(pyramids[0], pyramids[1], CANDIDATES, rng, ROUNDS, memory)
    return lambda values: match_among(queries, keys, values, among, shape.temperature, memory)


def warped(
    net: CoCosNet, labels: Tensor, image: Tensor, seen: Tensor, rng: torch.Generator, start: Tensor | None = None,
    tile: Tile = OFF, valid: Tensor | None = None, memory: int = MEMORY,
) -> Tensor:  # fmt: skip
    """An exemplar (1, 3, H, W) and its labels (1, L, H, W) in the layout of labels (1, L, h, w): (1, 3 + L, h, w).

    start: (1, 2, h, w), the (y, x) in pixels of the exemplar that are wanted, NaN where blocks shall look for one.
    valid: (1, 1, H, W) bool, False where nothing may be taken from.
    """
    shape = net.matcher.shape
    shown = seen if shape.labelled else torch.zeros_like(seen)
    target, exemplar = net.matcher.target(labels, tile), net.matcher.exemplar(image, shown)
    usable = None if valid is None else cells(valid.float()) == 1
    places = wished(target, exemplar, image, shape, rng, usable)
    if start is not None:
        middles = [
            (torch.arange(n) * CELL + CELL // 2).clamp(max=side - 1)
            for n, side in zip(target.size, start.shape[2:], strict=True)
        ]
        wanted = (start[:, :, middles[0]][:, :, :, middles[1]].to(places) + 0.5) / CELL - 0.5
        places = torch.where(wanted.isnan().any(1, keepdim=True), places, wanted)
    queries, keys = compared(target, exemplar, places, shape, tile)
    keys = keys if usable is None else keys * usable
    taken = gather_patches(torch.cat([image, seen], 1), CELL, gather(queries, keys, shape, rng, memory))
    if shape.place:
        change = tone.correction(places, cells(image), target.shares, tile)
        taken[:, :3] += F.interpolate(change, taken.shape[2:], mode="nearest")
    return taken[:, :, : labels.shape[2], : labels.shape[3]]


def translated(net: CoCosNet, warp: Tensor, labels: Tensor, rng: torch.Generator, tile: Tile = OFF) -> Tensor:
    """The picture (1, 3, h, w) of what `warped` gives (1, 3 + L, h, w) and labels (1, L, h, w); in about [0, 1]."""
    shape, colours = net.matcher.shape, warp[:, :3]
    sizes = shape.grids((warp.shape[2], warp.shape[3])) if shape.noise else []
    noise = [torch.randn(1, shape.noise, *size, generator=rng).to(warp) for size in sizes]
    base = fitted(warp, labels) if shape.carry else colours
    made: Tensor = net.generator(torch.cat([base, labels], 1), noise, tile)
    return base + 2 * made - 1 if shape.carry else made


def fitted(warp: Tensor, labels: Tensor) -> Tensor:
    """The colours of a warp (1, 3 + L, h, w) cut along labels (1, L, h, w) to the pixel: where its own label is another
    one, the mean of what is near and has the label, if there is any."""
    colours, own = warp[:, :3], warp[:, 3:]
    near = torch.zeros_like(warp[:, :4])
    for number in range(labels.shape[1]):
        share = own[:, number : number + 1]
        means = F.avg_pool2d(torch.cat([colours * share, share], 1), 2 * CELL + 1, 1, CELL)
        near = near + means * labels[:, number : number + 1]
    there = near[:, 3:] > FAINT
    mean = torch.where(there, near[:, :3] / near[:, 3:].clamp(min=FAINT), colours)
    out: Tensor = mean.lerp(colours, (own * labels).sum(1, keepdim=True).clamp(0, 1))
    return out


@torch.no_grad()
def describe(model: Model, image: Tensor, labels: Tensor | None, device: torch.device) -> Tensor:
    """Descriptors of a picture (1, 3, H, W) in [0, 1], cells of CELL pixels, of length 1: (1, D, h, w). labels: ids
    (1, 1, H, W) as the model numbers them, if known."""
    shape, count = loading.shaped(Shape, model), label_count(model)
    matcher = loading.loaded(Matcher(shape, count), model, device, "matcher.")
    image = image.to(device)
    known = image.new_zeros(1, count, *image.shape[2:])
    if labels is not None:
        known.scatter_(1, labels.long().to(device), 1.0)
    return descriptors(matcher.exemplar(image, known).features, shape.window)


def label_count(model: Model) -> int:
    """How many labels a model knows."""
    return sum(len(told["palette"]) for told in model.facts["guides"] if told["name"] == "labels")
