"""The convolution of the exemplar networks, with spectral normalisation (Miyato et al. 2018), and its first values.

The tensors of a network hold nothing before they are drawn (`initialise`) or loaded, and building a network draws no
random numbers.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from texsynth.learned.shared.margins import extended

Net = TypeVar("Net", bound=nn.Module)
Tile = tuple[bool, bool]  # whether a picture wraps in (y, x)
OFF: Tile = (False, False)
LEAK = 0.2  # slope of the leaky rectifiers below 0
PRELU_SLOPE = 0.25  # first slope of rectifiers that learn theirs
EPSILON = 1e-5  # added to variances
FIRST_ROUNDS = 15  # rounds of power iteration before training


class Conv(nn.Module):
    """(n, before, h, w) -> (n, after, h, w), with h and w divided by the stride.

    Beyond a border lies the mirrored map, and along axes that tile the map's other side. spectral: the kernel is
    divided by its largest singular value, for which every training step searches once more.
    """

    u: Tensor | None  # the present estimate of the left singular vector, (after,)

    def __init__(
        self, before: int, after: int, side: int = 3, *, stride: int = 1, bias: bool = True, spectral: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(after, before, side, side))
        self.bias = nn.Parameter(torch.empty(after)) if bias else None
        self.register_buffer("u", torch.zeros(after) if spectral else None)
        self.stride = stride

    def forward(self, x: Tensor, tile: Tile = OFF) -> Tensor:
        by = self.weight.shape[2] // 2
        return F.conv2d(extended(x, by, tile) if by else x, self.kernel(), self.bias, self.stride)

    def kernel(self) -> Tensor:
        """The weights, normalised where asked; in training mode u moves on."""
        if self.u is None:
            return self.weight
        flat = self.weight.flatten(1)
        with torch.no_grad():
            v = F.normalize(flat.T @ self.u, dim=0)
            if self.training:
                self.u.copy_(F.normalize(flat @ v, dim=0))
            u = self.u.clone()  # the graph keeps it, and the next pass changes the buffer
        return self.weight / (u @ (flat @ v)).clamp_min(torch.finfo(flat.dtype).tiny)

    @torch.no_grad()
    def settle(self, rng: torch.Generator) -> None:
        """Draw u, and bring it near the singular vector of the present weights."""
        if self.u is not None:
            flat = self.weight.flatten(1)
            u = torch.randn(len(flat), generator=rng).to(flat)
            for _ in range(FIRST_ROUNDS):
                u = F.normalize(flat @ (flat.T @ u), dim=0)
            self.u.copy_(u)


@torch.no_grad()
def initialise(module: Net, rng: torch.Generator, gain: float = 0.02) -> Net:
    """Fill every parameter of a network, in the order of their names, from `rng` (on the CPU); returns the network.

    Kernels and matrices are normal, of deviation gain * sqrt(2 / (inputs + outputs)) (Glorot and Bengio 2010). Weights
    of norms are 1, slopes of PReLU 0.25, and biases and scalars (gates) 0. The vectors of spectral normalisation are
    drawn and settled.
    """
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.dim() > 1:
                inputs, outputs = parameter[0].numel(), parameter[:, 0].numel()
                deviation = gain * math.sqrt(2 / (inputs + outputs))
                parameter.copy_(torch.randn(parameter.shape, generator=rng) * deviation)
            elif name == "weight" and parameter.dim() == 1:
                parameter.fill_(PRELU_SLOPE if isinstance(part, nn.PReLU) else 1.0)
            else:
                parameter.zero_()
        if isinstance(part, Conv):
            part.settle(rng)
    return module


def normalised(x: Tensor) -> Tensor:
    """(n, C, h, w) with mean 0 and variance 1 over the channels of each position."""
    x = x - x.mean(1, keepdim=True)
    return x * (x.square().mean(1, keepdim=True) + EPSILON).rsqrt()


def doubled(x: Tensor, tile: Tile = OFF) -> Tensor:
    """A map (n, C, h, w) at twice its size, bilinear; along axes that tile it wraps."""
    if not any(tile):
        return F.interpolate(x, scale_factor=2, mode="bilinear")
    for wraps, pads in zip(tile, ([0, 0, 1, 1], [1, 1, 0, 0]), strict=True):
        x = F.pad(x, pads, mode="circular" if wraps else "replicate")  # bilinear repeats the border, too
    return F.interpolate(x, scale_factor=2, mode="bilinear")[:, :, 2:-2, 2:-2]
