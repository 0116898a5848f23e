"""Copy rate: the share of the output that is copied from the exemplar, pixel by pixel.

The share of patches of 16 x 16 pixels of the output that are, but for the rounding of two grey levels of 8 bits in each
value, patches of the exemplar; turned and mirrored copies do not count. The measure is our own. It takes up to 2048
random patches of the output, finds for each the 16 patches of the exemplar with the nearest means of 4 x 4 pixels, and
compares these pixel by pixel. Values lie between 0 and 1, and neither end is better: a high rate says that a method
quilts, a low one that it makes new pixels, or that its output was resampled or saved with loss.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.metrics import About, Pair

PATCH, CELL = 16, 4
PATCHES, CANDIDATES = 2048, 16  # of the output, and of the exemplar that are compared in full with each of them
ROUNDING = 2.5 / 255
DISTANCES_AT_ONCE = 1 << 23
ABOUT = About(
    "share of 16 x 16 patches of the output that are exact copies from the exemplar",
    lower_is_better=None,
    range=(0.0, 1.0),
    smallest_side=PATCH,
)


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    keys, queries = _means(pair.exemplar), _means(pair.output)
    chosen = torch.randperm(len(queries), generator=rng)[:PATCHES].to(queries.device)
    candidates, copied = min(CANDIDATES, len(keys)), []
    half, turned = keys.square().sum(1) / 2, keys.T.contiguous()
    for part in chosen.split(max(1, DISTANCES_AT_ONCE // len(keys))):
        near = torch.addmm(half, queries[part], turned, alpha=-1).topk(candidates, 1, largest=False).indices
        sources = _patches(pair.exemplar, near.flatten()).unflatten(0, near.shape)
        copied.append(((_patches(pair.output, part)[:, None] - sources).abs().amax(2) <= ROUNDING).any(1))
    return float(torch.cat(copied).float().mean())


def _means(image: Tensor) -> Tensor:
    """The means of the cells of every patch of (1, 3, H, W), around zero: ((H - 15) * (W - 15), 48)."""
    cells = F.avg_pool2d(image - 0.5, CELL, 1)
    return F.unfold(cells, PATCH // CELL, dilation=CELL)[0].T


def _patches(image: Tensor, numbers: Tensor) -> Tensor:
    """The patches of (1, 3, H, W) with these numbers in raster order: (n, 768)."""
    columns = image.shape[3] - PATCH + 1
    span = torch.arange(PATCH, device=image.device)
    ys = (numbers // columns)[:, None, None] + span[:, None]
    xs = (numbers % columns)[:, None, None] + span
    return image[0][:, ys, xs].transpose(0, 1).flatten(1)
