"""The networks of Shi and Qiao (2020, Pseudo Optimizer): slopes of a texture loss in, one step of a picture out.

PO and AdaPO have one stage that sees all layers of VGG-19; ProPO has a stage a layer, the first of which sees the
shallowest layer, and every further one more. A stage walks from its deepest layer to its shallowest, as a U-net's
second half. Pictures are sigmoid(z), and a stage adds to z.

Differs from the paper in: every picture is normalised by itself (the same at their batch of 1); all kernels are 3 x 3;
and see _texture_loss.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from texsynth.errors import UsageError
from texsynth.features import Extract, vgg19
from texsynth.learned.pseudo_optimizer.loss import Seen, Wanted, compare, slopes
from texsynth.settings import setting

EPSILON = 1e-5
Tile = tuple[bool, bool]
OFF: Tile = (False, False)


@dataclass(frozen=True)
class Shape:
    """What shapes the network: ProPO on the layers above relu3_4, at the published width, by default."""

    layers: tuple[str, ...] = setting(
        ("relu1_1", "pool1", "pool2", "pool3"),
        "of VGG-19, whose Gram matrices are matched, shallow to deep",
        choices=vgg19.LAYERS,
    )
    stages: int = setting(0, "networks in a row, each seeing more of the layers; 0: one a layer", low=0, high=16)
    width: float = setting(1.0, "channels as a share of those of the layers", low=0.01, high=4.0)
    slopes: str = setting(
        "total",
        "what a layer's slope is of: its own Gram matrix, or the deeper ones' too, by a backward pass",
        choices=("total", "own"),
    )
    norm: str = setting(
        "instance",
        "each channel to mean 0 and deviation 1, or all together to size 1, which keeps what slopes have everywhere, "
        "such as a colour that is missing",
        choices=("instance", "scale"),
    )
    activation: str = setting("leaky", "rectifiers", choices=("leaky", "relu"))
    padding: str = setting(
        "zero", "what the network has beyond a border that does not tile", choices=("zero", "reflect", "replicate")
    )

    def __post_init__(self) -> None:
        if not self.layers:
            raise UsageError("layers is empty; at least one is needed")
        if list(self.layers) != [name for name in vgg19.LAYERS if name in self.layers]:
            raise UsageError(f"layers = {', '.join(self.layers)}, but each stands once, shallow to deep")

    @property
    def seen(self) -> tuple[tuple[str, ...], ...]:
        """The layers that each stage sees; the last one sees all."""
        count = self.stages or len(self.layers)
        return tuple(self.layers[: math.ceil(len(self.layers) * (s + 1) / count)] for s in range(count))


def channels(layer: str) -> int:
    """Of a layer of VGG-19."""
    return min(64 << int(layer[4]) - 1, 512)


def cell(layer: str) -> int:
    """Pixels a side that a position of a layer of VGG-19 stands for."""
    return 1 << int(layer[4]) - layer.startswith("relu")


class Conv(nn.Module):
    """3 x 3, the map keeps its size; axes that tile wrap."""

    def __init__(self, before: int, after: int, padding: str, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(after, before, 3, 3))
        self.bias = nn.Parameter(torch.empty(after)) if bias else None
        self.padding = padding

    def forward(self, x: Tensor, tile: Tile) -> Tensor:
        zero = [int(self.padding == "zero" and not wraps) for wraps in tile]
        for dim, wraps in zip((2, 3), tile, strict=True):
            if wraps or self.padding != "zero":
                x = _extend(x, dim, "wrap" if wraps else self.padding)
        return F.conv2d(x, self.weight, self.bias, padding=zero)


def _extend(x: Tensor, dim: int, how: str) -> Tensor:
    """One row or column more on each side; a mirror leaves the edge out, if there is more than the edge."""
    last = x.shape[dim] - 1
    before, after = {"wrap": (last, 0), "reflect": (min(1, last), max(last - 1, 0)), "replicate": (0, last)}[how]
    return torch.cat([x.narrow(dim, before, 1), x, x.narrow(dim, after, 1)], dim)


class Norm(nn.Module):
    """See Shape.norm; of a single value an instance keeps nothing."""

    def __init__(self, count: int, shape: Shape) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(count)), nn.Parameter(torch.empty(count))
        self.each = shape.norm == "instance"

    def forward(self, x: Tensor) -> Tensor:
        if self.each:
            return torch.group_norm(x, x.shape[1], self.weight, self.bias, EPSILON)
        size = (x.square().mean() + EPSILON).sqrt()
        return torch.addcmul(self.bias.view(-1, 1, 1), x, (self.weight / size).view(-1, 1, 1))


class Block(nn.Module):
    """A residual block."""

    def __init__(self, count: int, shape: Shape) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Conv(count, count, shape.padding) for _ in range(2))
        self.norms = nn.ModuleList(Norm(count, shape) for _ in range(2))
        self.leak = leak(shape)

    def forward(self, x: Tensor, tile: Tile) -> Tensor:
        y = x
        for conv, norm in zip(self.convs, self.norms, strict=True):
            y = norm(conv(F.leaky_relu(y, self.leak), tile))
        return x + y


class Floor(nn.Module):
    """What a stage does at one layer: takes its slopes in, adds what comes from below, and thinks it over."""

    def __init__(self, layer: str, deeper: str | None, shape: Shape) -> None:
        super().__init__()
        count = inner(layer, shape)
        self.first = Conv(channels(layer), count, shape.padding)
        self.first_norm = Norm(count, shape)
        self.second = Conv(count, count, shape.padding)
        self.up = None if deeper is None else Conv(inner(deeper, shape), count, shape.padding)
        self.norm = Norm(count, shape)
        self.blocks = nn.ModuleList(Block(count, shape) for _ in range(2))
        self.leak = leak(shape)

    def forward(self, slope: Tensor, below: Tensor | None, tile: Tile) -> Tensor:
        x: Tensor = self.second(F.leaky_relu(self.first_norm(self.first(slope, tile)), self.leak), tile)
        if below is not None and self.up is not None:
            larger = F.interpolate(F.leaky_relu(below, self.leak), x.shape[2:], mode="nearest")
            x = x + self.up(larger, tile)
        x = self.norm(x)
        for block in self.blocks:
            x = block(x, tile)
        return x


class Stage(nn.Module):
    """Slopes of some layers -> what is added to z, (1, 3, h, w)."""

    def __init__(self, layers: Sequence[str], shape: Shape) -> None:
        super().__init__()
        below = (*layers[1:], None)
        self.floors = nn.ModuleDict({a: Floor(a, b, shape) for a, b in zip(layers, below, strict=True)})
        self.last = Conv(inner(layers[0], shape), 3, shape.padding, bias=True)
        self.layers, self.leak = tuple(layers), leak(shape)

    def forward(self, seen: Mapping[str, Tensor], size: Sequence[int], tile: Tile) -> Tensor:
        """seen: slopes by layer, of which a small picture may lack the deep ones. size: of the picture."""
        x: Tensor | None = None
        for name in reversed(self.layers):
            if name in seen:
                x = self.floors[name](seen[name], x, tile)
        assert x is not None
        x = F.interpolate(F.leaky_relu(x, self.leak), tuple(size), mode="nearest")
        out: Tensor = self.last(x, tile)
        return out


class Net(nn.Module):
    """All stages, in a row. Its parameters hold nothing before they are drawn (`initialise`) or loaded."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.stages = nn.ModuleList(Stage(layers, shape) for layers in shape.seen)

    def forward(self, number: int, seen: Seen, z: Tensor, tile: Tile, keep: bool) -> Tensor:
        """z after stage `number`; keep: shall gradients pass through the slopes of what was seen of z's picture?"""
        made = slopes(seen, self.shape.seen[number], self.shape.slopes, keep)
        out: Tensor = z + self.stages[number](made, z.shape[2:], tile)
        return out

    def next(self, number: int) -> tuple[str, ...]:
        """The layers that the picture after stage `number` is looked at with: by the next stage, or a last time."""
        return self.shape.seen[min(number + 1, len(self.stages) - 1)]


def inner(layer: str, shape: Shape) -> int:
    """Channels that the network has where it deals with a layer."""
    return max(4, round(channels(layer) * shape.width))


def leak(shape: Shape) -> float:
    """What rectifiers let through of negative values."""
    return 0.2 if shape.activation == "leaky" else 0.0


@torch.no_grad()
def initialise(net: Net, rng: torch.Generator) -> None:
    """Draw every parameter: He-normal kernels, norms that change nothing, and small first steps."""
    for name, parameter in net.named_parameters():
        if parameter.dim() == 4:
            size = math.sqrt(2 / parameter[0].numel()) * (0.5 if ".last." in name else 1)
            parameter.copy_(torch.randn(parameter.shape, generator=rng) * size)
        else:
            parameter.fill_(float(name.endswith("weight")))


def start(size: tuple[int, int], rng: torch.Generator, device: torch.device) -> Tensor:
    """The noise z (1, 3, h, w) that everything begins with."""
    return (torch.rand(1, 3, *size, generator=rng) * 2 - 1).to(device)


def unrolled(
    net: Net, z: Tensor, target: Wanted, extract: Extract, tile: Tile = OFF, cut: bool = False
) -> Iterator[tuple[Tensor, Seen]]:
    """Every stage in turn, differentiably: z after it, and what is seen of its picture. cut: no gradient passes from a
    stage to those before it."""
    seen = look(net, z, target, extract, net.shape.seen[0])
    for number in range(len(net.stages)):
        z = net(number, seen, z.detach() if cut else z, tile, keep=not cut)
        seen = look(net, z, target, extract, net.next(number))
        yield z, seen


def look(net: Net, z: Tensor, target: Wanted, extract: Extract, layers: Sequence[str]) -> Seen:
    """What is seen of z's picture, with the graph that total slopes need."""
    if net.shape.slopes == "own":
        return compare(extract(z.sigmoid(), layers), target)
    with torch.enable_grad():
        return compare(extract(z.sigmoid() if z.requires_grad else z.sigmoid().requires_grad_(), layers), target)
