"""The networks of Shi and Qiao (2020, Pseudo Optimizer): gradients of a texture loss in, one step of a picture out.

PO and AdaPO have one stage that takes the gradients of all layers of VGG-19. ProPO has one stage for each layer: the
first takes the shallowest layer, and every further stage one layer more. A stage goes from its deepest layer to its
shallowest, like the second half of a U-net. The picture is sigmoid(z), and a stage adds its output to z.

Differs from the paper in: every picture is normalised by itself (the same at their batch of 1); all kernels are 3 x 3;
for the gradients see loss.py.
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
from texsynth.learned.pseudo_optimizer.loss import GramComparison, TextureTarget, compare, gradients
from texsynth.learned.shared.conv import OFF, Tile
from texsynth.settings import setting

VARIANCE_FLOOR = 1e-5  # added to the variance that norms divide by


@dataclass(frozen=True)
class Shape:
    """The settings that shape the network; by default ProPO on the layers above relu3_4, at the published width.

    layers: The layers of VGG-19 whose Gram matrices are matched, shallow to deep.
    stages: The number of stages, each of which sees more of the layers; 0 makes one for each layer.
    width: The network's channels, as a share of those of VGG-19.
    slopes: The gradients that the network takes in: own, of each layer's own Gram matrix, or total, which adds those of
        the deeper layers by a backward pass.
    norm: With instance, norms bring each channel to mean 0 and deviation 1; with scale, they bring all channels
        together to size 1, which keeps what gradients have everywhere, such as a colour that is missing.
    activation: The rectifiers: leaky ones, or relu, which lets nothing negative through.
    padding: What the network has beyond a border that does not tile: zeros, a mirror (reflect) or the repeated edge.
    """

    layers: tuple[str, ...] = setting(("relu1_1", "pool1", "pool2", "pool3"), choices=vgg19.LAYERS)
    stages: int = setting(0, low=0, high=16)
    width: float = setting(1.0, low=0.01, high=4.0)
    slopes: str = setting("total", choices=("total", "own"))
    norm: str = setting("instance", choices=("instance", "scale"))
    activation: str = setting("leaky", choices=("leaky", "relu"))
    padding: str = setting("zero", choices=("zero", "reflect", "replicate"))

    def __post_init__(self) -> None:
        if not self.layers:
            raise UsageError("layers is empty; at least one is needed")
        if list(self.layers) != [name for name in vgg19.LAYERS if name in self.layers]:
            raise UsageError(f"layers = {', '.join(self.layers)}, but each stands once, shallow to deep")

    @property
    def stage_layers(self) -> tuple[tuple[str, ...], ...]:
        """The layers whose gradients each stage takes in; the last stage takes all."""
        count = self.stages or len(self.layers)
        return tuple(self.layers[: math.ceil(len(self.layers) * (s + 1) / count)] for s in range(count))

    @property
    def leak(self) -> float:
        """The slope of the rectifiers below 0."""
        return 0.2 if self.activation == "leaky" else 0.0

    def inner(self, layer: str) -> int:
        """The channels of the network where it works on a layer."""
        return max(4, round(channels(layer) * self.width))


def channels(layer: str) -> int:
    """The channels of a layer of VGG-19."""
    return min(64 << int(layer[4]) - 1, 512)


def cell(layer: str) -> int:
    """The side in pixels of a position of a layer of VGG-19."""
    return 1 << int(layer[4]) - layer.startswith("relu")


class PaddedConv(nn.Module):
    """A convolution of 3 x 3 that keeps the size of the map; axes that tile wrap."""

    def __init__(self, before: int, after: int, padding: str, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(after, before, 3, 3))
        self.bias = nn.Parameter(torch.empty(after)) if bias else None
        self.padding = padding

    def forward(self, x: Tensor, tile: Tile) -> Tensor:
        zeros = [int(self.padding == "zero" and not wraps) for wraps in tile]
        for dim, wraps in zip((2, 3), tile, strict=True):
            if wraps or self.padding != "zero":
                x = _extend(x, dim, "wrap" if wraps else self.padding)
        return F.conv2d(x, self.weight, self.bias, padding=zeros)


def _extend(x: Tensor, dim: int, how: str) -> Tensor:
    """Add one row or column on each side; a mirror leaves the edge out, where there is more than the edge."""
    last = x.shape[dim] - 1
    before, after = {"wrap": (last, 0), "reflect": (min(1, last), max(last - 1, 0)), "replicate": (0, last)}[how]
    return torch.cat([x.narrow(dim, before, 1), x, x.narrow(dim, after, 1)], dim)


class Norm(nn.Module):
    """The normalisation that `Shape.norm` describes; an instance norm of a single position keeps nothing."""

    def __init__(self, count: int, shape: Shape) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(count)), nn.Parameter(torch.empty(count))
        self.each = shape.norm == "instance"

    def forward(self, x: Tensor) -> Tensor:
        if self.each:
            return torch.group_norm(x, x.shape[1], self.weight, self.bias, VARIANCE_FLOOR)
        size = (x.square().mean() + VARIANCE_FLOOR).sqrt()
        return torch.addcmul(self.bias.view(-1, 1, 1), x, (self.weight / size).view(-1, 1, 1))


class StageBlock(nn.Module):
    """A residual block of two convolutions, each rectified before and normalised after."""

    def __init__(self, count: int, shape: Shape) -> None:
        super().__init__()
        self.convs = nn.ModuleList(PaddedConv(count, count, shape.padding) for _ in range(2))
        self.norms = nn.ModuleList(Norm(count, shape) for _ in range(2))
        self.leak = shape.leak

    def forward(self, x: Tensor, tile: Tile) -> Tensor:
        y = x
        for conv, norm in zip(self.convs, self.norms, strict=True):
            y = norm(conv(F.leaky_relu(y, self.leak), tile))
        return x + y


class LayerBranch(nn.Module):
    """The part of a stage for one layer: residual blocks on its gradient joined with the result of the deeper layer."""

    def __init__(self, layer: str, deeper: str | None, shape: Shape) -> None:
        super().__init__()
        count = shape.inner(layer)
        self.first = PaddedConv(channels(layer), count, shape.padding)
        self.first_norm = Norm(count, shape)
        self.second = PaddedConv(count, count, shape.padding)
        self.up = None if deeper is None else PaddedConv(shape.inner(deeper), count, shape.padding)
        self.norm = Norm(count, shape)
        self.blocks = nn.ModuleList(StageBlock(count, shape) for _ in range(2))
        self.leak = shape.leak

    def forward(self, gradient: Tensor, deeper: Tensor | None, tile: Tile) -> Tensor:
        x: Tensor = self.second(F.leaky_relu(self.first_norm(self.first(gradient, tile)), self.leak), tile)
        if deeper is not None and self.up is not None:
            larger = F.interpolate(F.leaky_relu(deeper, self.leak), x.shape[2:], mode="nearest")
            x = x + self.up(larger, tile)
        x = self.norm(x)
        for block in self.blocks:
            x = block(x, tile)
        return x


class NetworkStage(nn.Module):
    """One stage: gradients of some layers in, the step of z out, (1, 3, h, w)."""

    def __init__(self, layers: Sequence[str], shape: Shape) -> None:
        super().__init__()
        deeper = (*layers[1:], None)
        # Files of models hold the branches under the name `floors`.
        self.floors = nn.ModuleDict({a: LayerBranch(a, b, shape) for a, b in zip(layers, deeper, strict=True)})
        self.last = PaddedConv(shape.inner(layers[0]), 3, shape.padding, bias=True)
        self.layers, self.leak = tuple(layers), shape.leak

    def forward(self, inputs: Mapping[str, Tensor], size: Sequence[int], tile: Tile) -> Tensor:
        """The step for a picture of a size; gradients of layers that it is too small for are missing in the inputs."""
        x: Tensor | None = None
        for name in reversed(self.layers):
            if name in inputs:
                x = self.floors[name](inputs[name], x, tile)
        assert x is not None
        x = F.interpolate(F.leaky_relu(x, self.leak), tuple(size), mode="nearest")
        out: Tensor = self.last(x, tile)
        return out


class PseudoOptimizer(nn.Module):
    """All stages in a row. Its parameters hold nothing before they are drawn (`initialise`) or loaded."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.stages = nn.ModuleList(NetworkStage(layers, shape) for layers in shape.stage_layers)

    def forward(self, number: int, comparison: GramComparison, z: Tensor, tile: Tile, keep: bool) -> Tensor:
        """Apply stage `number` to z, whose picture was compared with the target (`compare`); returns the new z.

        keep: whether gradients pass through the gradients that the stage takes in.
        """
        inputs = gradients(comparison, self.shape.stage_layers[number], self.shape.slopes, keep)
        out: Tensor = z + self.stages[number](inputs, z.shape[2:], tile)
        return out

    def layers_after(self, number: int) -> tuple[str, ...]:
        """The layers on which the picture after stage `number` is compared: those of the next stage, or of the last."""
        return self.shape.stage_layers[min(number + 1, len(self.stages) - 1)]

    def compare(self, z: Tensor, target: TextureTarget, extract: Extract, layers: Sequence[str]) -> GramComparison:
        """Compare the picture of z with a target on some layers, with the graph that total gradients need."""
        if self.shape.slopes == "own":
            return compare(extract(z.sigmoid(), layers), target)
        with torch.enable_grad():
            return compare(extract(z.sigmoid() if z.requires_grad else z.sigmoid().requires_grad_(), layers), target)


@torch.no_grad()
def initialise(net: PseudoOptimizer, rng: torch.Generator) -> None:
    """Draw every parameter: He-normal kernels, norms that change nothing, and small first steps."""
    for name, parameter in net.named_parameters():
        if parameter.dim() == 4:
            size = math.sqrt(2 / parameter[0].numel()) * (0.5 if ".last." in name else 1)
            parameter.copy_(torch.randn(parameter.shape, generator=rng) * size)
        else:
            parameter.fill_(float(name.endswith("weight")))


def start(size: tuple[int, int], rng: torch.Generator, device: torch.device) -> Tensor:
    """Draw the noise z (1, 3, h, w) that every run begins with."""
    return (torch.rand(1, 3, *size, generator=rng) * 2 - 1).to(device)


def unrolled(
    net: PseudoOptimizer, z: Tensor, target: TextureTarget, extract: Extract, tile: Tile = OFF, cut: bool = False
) -> Iterator[tuple[Tensor, GramComparison]]:
    """Apply every stage in turn, differentiably; yields z after each, and its picture compared with the target.
    Gradients end at the border of a stage where `cut` is set."""
    comparison = net.compare(z, target, extract, net.shape.stage_layers[0])
    for number in range(len(net.stages)):
        z = net(number, comparison, z.detach() if cut else z, tile, keep=not cut)
        comparison = net.compare(z, target, extract, net.layers_after(number))
        yield z, comparison
