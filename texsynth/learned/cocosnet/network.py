"""The networks of CoCosNet (Zhang et al. 2020): labels and an exemplar become alike, are matched, and make a picture.

Two adaptors, one for labels and one for pictures with theirs, lead to common features. Each cell of the target then
takes, by a soft match, whole cells of the exemplar (the warp), and a SPADE generator turns warp and labels into the
picture.

Differs from the paper in: all norms are positional, and none spectral in the matcher; the adaptors' residual blocks are
plain, without a non-local one. Where labels do not change nothing tells cells apart, so blocks of cells look for a
place in the exemplar together, the match prefers what is near there (`place`; 0 is the paper's), and one tone leads
across their seams. The generator changes the warp, cut along the labels to the pixel (`carry`). Large grids are matched
from coarse to fine, without a recurrent network.
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
from texsynth.learned.cocosnet.places import KeyGrid, code, find_places, grid
from texsynth.learned.shared import conditions, generator, loading
from texsynth.learned.shared.conv import LEAK, OFF, Conv, Tile, normalised
from texsynth.learned.shared.generator import Generator, Size, continued, normal_noise
from texsynth.pyramid import shrink
from texsynth.settings import setting
from texsynth.weights.trained import Model

CELL = 4  # pixels along the side of what is matched
DENSE_PAIRS = 1 << 31  # of cells, up to which all are compared: in parts that is faster than a search
COARSEST_SIDE = 64  # cells, of the grid on which a match from coarse to fine begins, at most
CANDIDATES = 16  # positions of the exemplar that each cell of a large grid is compared with
SEARCH_ROUNDS = 2  # on each finer grid
SMALLEST_SHARE = 0.02  # of a window that must have a label for its colour to be known
Gather = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Shape(generator.Shape):
    """The published network has adaptors of width 64 with three blocks, four shared blocks, and 256 channels matched.

    adaptor: The channels of the adaptors at full size.
    adaptor_blocks: The number of residual blocks of an adaptor.
    shared_blocks: The number of residual blocks that both sides of the match share.
    descriptor: The channels of what is matched.
    window: The side of the windows of cells that are compared; an odd number.
    masks: Both sides of the match see their labels once more before it.
    temperature: The temperature of the match; a lower one takes from fewer cells.
    place: The share of the match that keeps neighbouring cells together; 0 is the published one.
    variety: By how much less than the best cosine a place may have that blocks take.
    masked: The step from which on exemplars go without their labels; 0 for never.
    carry: The generator says what to change of the warp; off, it makes all of the picture, as published.
    """

    adaptor: int = setting(16, low=2, high=256)
    adaptor_blocks: int = setting(1, low=1, high=8)
    shared_blocks: int = setting(2, low=1, high=8)
    descriptor: int = setting(64, low=2, high=1024)
    window: int = setting(3, low=1, high=7)
    masks: bool = setting(True)
    temperature: float = setting(0.01, low=1e-4, high=1)
    place: float = setting(0.4, low=0.0, high=0.9)
    variety: float = setting(0.2, low=0.0, high=2.0)
    masked: int = setting(0, low=0, high=10_000_000)
    carry: bool = setting(True)

    @property
    def labelled(self) -> bool:
        """Whether exemplars come with their labels in use."""
        return not self.masked


@dataclass(frozen=True)
class Side:
    """A target or an exemplar on the grid of cells: the adaptor's features (1, A, h, w), of length 1, those that are
    matched (1, D, h, w), and the shares of the labels in each cell (1, L, h, w)."""

    adapted: Tensor
    features: Tensor
    shares: Tensor

    @property
    def size(self) -> Size:
        return self.features.shape[2], self.features.shape[3]


@dataclass(frozen=True)
class WarpSource:
    """An exemplar (1, 3, H, W) in [0, 1] that is warped, and its labels (1, L, H, W), one-hot.

    valid: (1, 1, H, W) bool, False where nothing may be taken from; None for everywhere.
    """

    image: Tensor
    labels: Tensor
    valid: Tensor | None = None


@dataclass(frozen=True)
class WarpTarget:
    """The labels (1, L, h, w), one-hot, that an exemplar is warped to.

    start: (1, 2, h, w), the (y, x) in pixels of the exemplar that are wanted, NaN where blocks shall look for a place;
        None for everywhere.
    """

    labels: Tensor
    start: Tensor | None = None
    tile: Tile = OFF


class Residual(nn.Module):
    """A residual block, (n, before, h, w) -> (n, after, h, w). learned: whether its rectifiers' slope is learned."""

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
    """From pixels to features of cells, (1, count, H, W) -> (1, A, H / CELL, W / CELL), each of length 1; the sides are
    multiples of CELL."""

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
    """Both adaptors, and the layers after them; the tensors hold nothing before they are drawn or loaded."""

    def __init__(self, shape: Shape, labels: int) -> None:
        super().__init__()
        self.shape, wide = shape, 4 * shape.adaptor
        self.of_labels, self.of_image = Adaptor(labels, shape), Adaptor(3 + labels * shape.masks, shape)
        first = wide + labels * shape.masks
        befores = [first] + [wide] * (shape.shared_blocks - 1)
        self.shared = nn.ModuleList(Residual(before, wide, learned=True) for before in befores)
        self.last_labels, self.last_image = Conv(wide, shape.descriptor, 1), Conv(wide, shape.descriptor, 1)

    def target(self, labels: Tensor, tile: Tile = OFF) -> Side:
        """The side of a target with labels (1, L, H, W), one-hot."""
        whole = padded(labels)
        return self._side(self.of_labels(whole, tile), whole, self.last_labels, tile)

    def exemplar(self, image: Tensor, labels: Tensor, tile: Tile = OFF) -> Side:
        """The side of an exemplar, a picture (1, 3, H, W) in [0, 1]; its labels (1, L, H, W) may be 0, or noise."""
        whole = padded(labels)
        inputs = [padded(image) * 2 - 1] + [whole] * self.shape.masks
        return self._side(self.of_image(torch.cat(inputs, 1), tile), whole, self.last_image, tile)

    def _side(self, adapted: Tensor, labels: Tensor, last: Conv, tile: Tile) -> Side:
        shares = F.avg_pool2d(labels, CELL)
        x = torch.cat([adapted, shares], 1) if self.shape.masks else adapted
        for block in self.shared:
            x = block(x, tile)
        return Side(adapted, last(x), shares)


class CoCosNet(nn.Module):
    """The matcher, and the generator that makes a picture of a warp."""

    def __init__(self, shape: Shape, labels: int) -> None:
        super().__init__()
        self.matcher = Matcher(shape, labels)
        self.generator = Generator(shape, 3 + labels)


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
    """The (y, x), in cells of an exemplar with that image, that blocks of the target's cells would like: (1, 2, h, w).
    usable: (1, 1, H', W') bool, the cells that may be taken."""
    if not shape.place:  # the match does not look at them
        return target.features.new_zeros(1, 2, *target.size)
    keys = KeyGrid.of(exemplar.features, cells(image), usable)
    return find_places(target.features, keys, shape.variety, rng)


def compared(target: Side, exemplar: Side, places: Tensor, shape: Shape, tile: Tile = OFF) -> tuple[Tensor, Tensor]:
    """What `match` compares: queries (1, D', h, w) and keys (1, D', H, W), of length 1.

    places: (1, 2, h, w), the (y, x) in cells of the exemplar that each cell of the target would like.
    """
    queries, keys = descriptors(target.features, shape.window, tile), descriptors(exemplar.features, shape.window)
    if not shape.place:
        return queries, keys
    codes = code(places, exemplar.size), code(grid(exemplar.size, keys.device), exemplar.size)
    sizes = (1 - shape.place) ** 0.5, shape.place**0.5
    joined = [torch.cat([x * sizes[0], where * sizes[1]], 1) for x, where in zip((queries, keys), codes, strict=True)]
    return joined[0], joined[1]


def gather(queries: Tensor, keys: Tensor, shape: Shape, rng: torch.Generator, memory: int = MEMORY) -> Gather:
    """A function of values (1, C, H, W) on the keys' grid that returns what the queries take of them, (1, C, h, w). On
    large grids queries are compared with candidates only."""
    if queries[0, 0].numel() * keys[0, 0].numel() <= DENSE_PAIRS:
        return lambda values: match(queries, keys, values, shape.temperature, memory)
    levels = math.ceil(math.log2(max(*queries.shape[2:], *keys.shape[2:]) / COARSEST_SIDE))
    pyramids = [[shrink(x, level) for level in range(levels, -1, -1)] for x in (queries, keys)]
    among = candidates(pyramids[0], pyramids[1], CANDIDATES, rng, SEARCH_ROUNDS, memory)
    return lambda values: match_among(queries, keys, values, among, shape.temperature, memory)


def warped(net: CoCosNet, target: WarpTarget, source: WarpSource, rng: torch.Generator, memory: int = MEMORY) -> Tensor:
    """An exemplar and its labels in the layout of a target: (1, 3 + L, h, w). memory: bytes for the match."""
    shape, labels, tile = net.matcher.shape, target.labels, target.tile
    # Describe both sides.
    shown = source.labels if shape.labelled else torch.zeros_like(source.labels)
    layout, exemplar = net.matcher.target(labels, tile), net.matcher.exemplar(source.image, shown)
    usable = None if source.valid is None else cells(source.valid.float()) == 1
    # Find a place for every cell of the target.
    places = wished(layout, exemplar, source.image, shape, rng, usable)
    if target.start is not None:
        places = _started(places, target.start)
    # Match the cells, and take those of the exemplar.
    queries, keys = compared(layout, exemplar, places, shape, tile)
    keys = keys if usable is None else keys * usable
    pixels = torch.cat([source.image, source.labels], 1)
    warp = gather_patches(pixels, CELL, gather(queries, keys, shape, rng, memory))
    # Let them meet in one tone.
    if shape.place:
        change = tone.correction(places, cells(source.image), layout.shares, tile)
        warp[:, :3] += F.interpolate(change, warp.shape[2:], mode="nearest")
    return warp[:, :, : labels.shape[2], : labels.shape[3]]


def _started(places: Tensor, start: Tensor) -> Tensor:
    """Places (1, 2, h, w) in cells, replaced by those of a start (1, 2, H, W) in pixels where that is no NaN."""
    middles = [
        (torch.arange(n) * CELL + CELL // 2).clamp(max=side - 1)
        for n, side in zip(places.shape[2:], start.shape[2:], strict=True)
    ]
    wanted = (start[:, :, middles[0]][:, :, :, middles[1]].to(places) + 0.5) / CELL - 0.5
    return torch.where(wanted.isnan().any(1, keepdim=True), places, wanted)


def translated(net: CoCosNet, warp: Tensor, labels: Tensor, rng: torch.Generator, tile: Tile = OFF) -> Tensor:
    """The picture (1, 3, h, w) of a warp (1, 3 + L, h, w) and labels (1, L, h, w); in about [0, 1]."""
    shape, colours = net.matcher.shape, warp[:, :3]
    noise = normal_noise(shape, (warp.shape[2], warp.shape[3]), 1, rng, warp.device)
    base = fitted(warp, labels) if shape.carry else colours
    output: Tensor = net.generator(torch.cat([base, labels], 1), noise, tile)
    return base + 2 * output - 1 if shape.carry else output


def fitted(warp: Tensor, labels: Tensor) -> Tensor:
    """The colours of a warp (1, 3 + L, h, w), where it has another label than (1, L, h, w) says replaced by the mean of
    what is near and has the right one, if there is any."""
    colours, warped_labels = warp[:, :3], warp[:, 3:]
    near = torch.zeros_like(warp[:, :4])
    for number in range(labels.shape[1]):
        share = warped_labels[:, number : number + 1]
        means = F.avg_pool2d(torch.cat([colours * share, share], 1), 2 * CELL + 1, 1, CELL)
        near = near + means * labels[:, number : number + 1]
    exists = near[:, 3:] > SMALLEST_SHARE
    mean = torch.where(exists, near[:, :3] / near[:, 3:].clamp(min=SMALLEST_SHARE), colours)
    out: Tensor = mean.lerp(colours, (warped_labels * labels).sum(1, keepdim=True).clamp(0, 1))
    return out


@torch.no_grad()
def describe(model: Model, image: Tensor, ids: Tensor | None, device: torch.device) -> Tensor:
    """The descriptors of the cells of a picture (1, 3, H, W) in [0, 1], of length 1: (1, D, h, w). ids: (1, 1, H, W),
    its labels as the model numbers them; None where there are none."""
    shape, count = loading.shaped(Shape, model), conditions.channels(model)
    matcher = loading.loaded(lambda: Matcher(shape, count), model, device, "matcher.")
    image = image.to(device)
    labels = image.new_zeros(1, count, *image.shape[2:])
    if ids is not None:
        labels.scatter_(1, ids.long().to(device), 1.0)
    return descriptors(matcher.exemplar(image, labels).features, shape.window)
