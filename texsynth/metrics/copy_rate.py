"""Copy rate: the share of the output that is copied from the exemplar, pixel by pixel.

The share of patches of 16 x 16 pixels of the output that are, but for the rounding of two grey levels of 8 bits in each
value, patches of the exemplar; turned and mirrored ones do not count. Our own measure. Of up to 2048 random patches the
16 patches of the exemplar with the nearest means of 4 x 4 pixels are compared, pixel by pixel. From 0 to 1. Neither end
is better: a high rate says that a method quilts, a low one that it makes pixels of its own, or that it was resampled or
saved with loss.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features import Extract
from texsynth.metrics import Pair, enough

LOWER_IS_BETTER: bool | None = None
RANGE: tuple[float, float | None] = (0.0, 1.0)
NEEDS: Mapping[str, tuple[str, ...]] = {}
PATCH, CELL = 16, 4
LEAST = PATCH
COUNT, KEPT = 2048, 16
ROUNDING = 2.5 / 255
ENTRIES = 1 << 23  # of the matrix of distances that is held at once
DESCRIPTION = "share of 16 x 16 patches of the output that are exact copies from the exemplar"


@torch.no_grad()
def measure(
    pair: Pair,
    extract: Extract | None,  # noqa: ARG001 (the metrics' common signature; pixels are all that is looked at)
    rng: torch.Generator,
) -> float:
    """0 where nothing is copied, 1 where all is."""
    enough("copy_rate", pair, LEAST)
    keys, queries = _means(pair.exemplar), _means(pair.output)
    picked = torch.randperm(len(queries), generator=rng)[:COUNT].to(queries.device)
    kept, copied = min(KEPT, len(keys)), []
    half, turned = keys.square().sum(1) / 2, keys.T.contiguous()
    for part in picked.split(max(1, ENTRIES // len(keys))):
        near = torch.addmm(half, queries[part], turned, alpha=-1).topk(kept, 1, largest=False).indices
        apart = _patches(pair.output, part)[:, None] - _patches(pair.exemplar, near.flatten()).view(*near.shape, -1)
        copied.append((apart.abs().amax(2) <= ROUNDING).any(1))
    return float(torch.cat(copied).float().mean())


def _means(image: Tensor) -> Tensor:
    """The means of the cells of every patch of (1, 3, H, W), around zero: ((H - 15) * (W - 15), 48)."""
    cells = F.avg_pool2d(image - 0.5, CELL, 1)
    return F.unfold(cells, PATCH // CELL, dilation=CELL)[0].T


def _patches(image: Tensor, numbers: Tensor) -> Tensor:
    """Patches of (1, 3, H, W) by their numbers in raster order: (n, 768)."""
    columns = image.shape[3] - PATCH + 1
    span = torch.arange(PATCH, device=image.device)
    ys = (numbers // columns)[:, None, None] + span[:, None]
    xs = (numbers % columns)[:, None, None] + span
    return image[0][:, ys, xs].transpose(0, 1).flatten(1)
