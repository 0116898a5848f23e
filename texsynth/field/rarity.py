"""Rare places of the exemplars: windows that nothing else resembles, which a viewer recognises when they come back.

The rarity of a source pixel is the squared distance of its window to the nearest one outside its own neighbourhood,
over the median of all pixels. Rare places are wanted less often than in proportion to the area of the output, and a
repeat of one near by costs more (field/quilt.py). Measure and use are our own; that what is unlike all else draws the
eye is the idea of Boiman & Irani 2007 ("Detecting Irregularities in Images and in Video").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.features.windows import Basis
from texsynth.field.atlas import Atlas, blur_homes
from texsynth.field.space import describe, draw

MOST_ASKING = 2048  # pixels whose nearest window is looked up; the others take the mean of those near by
MOST_KEYS = 4096  # windows that each one is compared with
COMPARED_AT_ONCE = 512  # of them: bounds the memory
SMALLEST_MEDIAN = 0.01  # variances: what differs by less is the same
NEIGHBOURHOOD = 1 / 8  # of the exemplar's shorter side, at least a window: what lies closer is the place itself
COMMON_SHARE = 0.9  # of the pixels of the exemplars, that are never rare: what covers more keeps its proportion
LEAST_RARITY = 1.4  # medians, up to which no pixel is rare
LEAST_SHARE = 0.008  # of the area, weighted by rarity: less is chance
ONCE = 4.0  # the factor on the rarity where all that is clearly rare is wanted once
SETTINGS = ("keep", "rare", "once")


@dataclass(frozen=True)
class Landmarks:
    """The rare places of the exemplars.

    rarity: (homes,) in [0, 1]: 0 for what is common, 1 for what is at least twice as far from all else as that.
    copies: (homes,), how many times each pixel of the exemplars is wanted in the output; 0 where none may be copied.
    wanted: (homes,), the same relative to even use.
    """

    rarity: Tensor
    copies: Tensor
    wanted: Tensor


def rarity(atlas: Atlas, basis: Basis, rng: torch.Generator) -> Tensor:
    """How rare the place of each pixel of the exemplars is, (homes,), in medians; 0 where nothing may be copied."""
    half, out = basis.patch // 2, torch.zeros(atlas.homes, device=atlas.home.device)
    usable = atlas.valid.nonzero()[:, 0]
    plane, y, x = atlas.split(usable)
    original = plane % len(atlas.copies) == 0  # a turned copy is no other place
    inside = (torch.stack([y, x], 1) >= half) & (torch.stack([y, x], 1) < _sizes(atlas)[plane] - half)
    whole = usable[original & inside.all(1)]  # windows that no padding completes
    asking, keys = draw(whole, MOST_ASKING, rng), draw(whole, MOST_KEYS, rng)
    if len(asking) == 0:
        return out
    table = describe(atlas, basis, atlas.valid)
    nearest = torch.cat([_nearest(atlas, table, basis.patch, some, keys) for some in asking.split(COMPARED_AT_ONCE)])
    nearest = torch.where(nearest.isfinite(), nearest, 0.0)
    out[atlas.home[asking]] = nearest / nearest.median().clamp(min=SMALLEST_MEDIAN)
    # Spread it over the pixels that did not ask.
    asked = torch.zeros_like(out)
    asked[atlas.home[asking]] = 1
    size = 2 * max(half, round((len(whole) / len(asking)) ** 0.5)) + 1
    near = blur_homes(atlas, out, size) / blur_homes(atlas, asked, size).clamp(min=1e-6)
    offered = torch.zeros_like(out)
    offered[atlas.home[usable]] = 1
    return torch.where(asked > 0, out, near) * offered


def _sizes(atlas: Atlas) -> Tensor:
    """The (height, width) of each plane, (planes, 2)."""
    return torch.tensor(atlas.shapes, device=atlas.home.device)


def _nearest(atlas: Atlas, table: Tensor, patch: int, asking: Tensor, keys: Tensor) -> Tensor:
    """The squared distance (n,) of each window `asking` (n,) to the nearest of the `keys` outside its neighbourhood, by
    descriptors (N, D); infinite where there is none."""
    reach = max(patch, round(NEIGHBOURHOOD * min(min(size) for size in atlas.exemplars)))
    distance = torch.cdist(table[asking], table[keys]).square_()
    of_asking, of_keys = (torch.stack(atlas.split(some)).short() for some in (asking, keys))
    close = of_asking[0, :, None] == of_keys[0]
    for axis in (1, 2):
        close &= (of_asking[axis, :, None] - of_keys[axis]).abs_() < reach
    return distance.masked_fill_(close, torch.inf).amin(1)


def find(atlas: Atlas, basis: Basis, pixels: int, setting: str, rng: torch.Generator) -> Landmarks | None:
    """The rare places, for an output of so many pixels at this level; None where there are none, and for "keep".

    At r times the area of the exemplars, a place of the rarity w in [0, 1] is wanted r^(1 - w) times, not r times.
    """
    if setting == "keep":
        return None
    usable = torch.zeros(atlas.homes, device=atlas.home.device)
    usable[atlas.home[atlas.valid]] = 1
    medians = rarity(atlas, basis, rng)
    common = max(LEAST_RARITY, float(medians[usable > 0].cpu().quantile(COMMON_SHARE)))
    rare = (medians / common - 1).clamp(0, 1)
    if float(rare.sum()) < LEAST_SHARE * float(usable.sum()):
        return None
    fall = (ONCE * rare).clamp(max=1) if setting == "once" else rare
    copies = usable * max(1.0, pixels / float(usable.sum())) ** (1 - fall)
    return Landmarks(rare, copies, copies * (usable.sum() / copies.sum()))


def finer(rare: Landmarks | None, coarse: Atlas, atlas: Atlas) -> Landmarks | None:
    """The rare places of a coarse atlas, for one of a finer level; None stays None."""
    if rare is None:
        return None
    sizes = list(zip(coarse.exemplars, atlas.exemplars, strict=True))

    def raised(values: Tensor) -> Tensor:
        parts = zip(values.split([h * w for h, w in coarse.exemplars]), sizes, strict=True)
        return torch.cat([F.interpolate(part.view(1, 1, *size), finer).flatten() for part, (size, finer) in parts])

    return Landmarks(raised(rare.rarity), raised(rare.copies), raised(rare.wanted))
