"""The convolution of the exemplar networks: what is beyond borders, and spectral normalisation (Miyato et al. 2018).

Its tensors hold nothing before they are drawn (`init.initialise`) or loaded, and building it draws no random numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from texsynth.learned.shared.margins import extended

Tile = tuple[bool, bool]
OFF: Tile = (False, False)
ROUNDS = 15  # of power iteration that `settle` begins with


class Conv(nn.Module):
    """(n, before, h, w) -> (n, after, h, w), h and w divided by the stride. Beyond a border lie zeros (`zeros`), or the
    mirrored map, and the other side along axes that tile.

    spectral: the kernel is divided by its largest singular value, for which every training step searches once more.
    """

    u: Tensor | None  # the left singular vector found so far, (after,)

    def __init__(
        self,
        before: int,
        after: int,
        side: int = 3,
        *,
        stride: int = 1,
        bias: bool = True,
        spectral: bool = False,
        zeros: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(after, before, side, side))
        self.bias = nn.Parameter(torch.empty(after)) if bias else None
        self.register_buffer("u", torch.zeros(after) if spectral else None)
        self.stride, self.zeros = stride, zeros

    def forward(self, x: Tensor, tile: Tile = OFF) -> Tensor:
        by = self.weight.shape[2] // 2
        if self.zeros:
            return F.conv2d(x, self.kernel(), self.bias, self.stride, padding=by)
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
        """Draw u, and bring it near the singular vector of the weights that there are now."""
        if self.u is not None:
            flat = self.weight.flatten(1)
            u = torch.randn(len(flat), generator=rng).to(flat)
            for _ in range(ROUNDS):
                u = F.normalize(flat @ (flat.T @ u), dim=0)
            self.u.copy_(u)


def doubled(x: Tensor, tile: Tile = OFF) -> Tensor:
    """A map (n, C, h, w) at twice its size, bilinear; along axes that tile it wraps."""
    if not any(tile):
        return F.interpolate(x, scale_factor=2, mode="bilinear")
    for wraps, pads in zip(tile, ([0, 0, 1, 1], [1, 1, 0, 0]), strict=True):
        x = F.pad(x, pads, mode="circular" if wraps else "replicate")  # beyond its borders bilinear repeats, too
    return F.interpolate(x, scale_factor=2, mode="bilinear")[:, :, 2:-2, 2:-2]
