"""The potential: one price per pixel of the exemplars, which keeps their use to the wanted proportions.

It is the psi of semi-discrete transport (Houdard et al. 2021, Alg. 1: ascend on wanted use minus actual use), smoothed
over a quarter of the exemplar so that it balances regions and does not tear objects, with one more dual variable for
the constraint that the mean colour is that of the wanted use. Wanted is even use, less of rare places
(field/rarity.py), and under guides with scarce values what these ask for, in smaller windows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from texsynth.field.atlas import Atlas, blur_homes, count_copies, usage, usage_of

RATE = 0.3  # of the ascent, per unit of excess use
COLOUR_RATE = 4.0  # of the ascent, per squared standard deviation of excess colour
PARTS = 8  # of the exemplar's shorter side: the windows in which use under guides is balanced
LEAST_USE = 0.1  # relative to even use: what guides hardly ask for is not forbidden
LIMITS = (-10.0, 20.0)  # of the potential, so that no region is forced in at any price


def ascend(
    psi: Tensor, atlas: Atlas, index: Tensor, palette: Tensor, mean: Tensor, wanted: Tensor | None = None
) -> Tensor:
    """The potential `psi` (homes,) after one step of the ascent, where the output copies the source pixels `index`;
    `palette` (homes, 3) and `mean` (3,) are those of the function `palette`. wanted: as in `excess`."""
    return ascend_by(psi, atlas, count_copies(atlas, index), palette, mean, wanted)


def ascend_by(
    psi: Tensor, atlas: Atlas, copies: Tensor, palette: Tensor, mean: Tensor, wanted: Tensor | None = None
) -> Tensor:
    """As `ascend`, by how often the output copies each pixel of the exemplars, (homes,) int64."""
    bias = (palette * copies[:, None]).sum(0) / copies.sum() - mean
    over = _over(atlas, usage_of(atlas, copies), wanted)
    return (psi + RATE * over + COLOUR_RATE * ((palette - mean) @ bias)).clamp(*LIMITS)


def balance(
    psi: Tensor,
    atlas: Atlas,
    index: Tensor,
    use: Tensor | None,
    palette: Tensor,
    mean: Tensor,
    wanted: Tensor | None = None,
) -> Tensor:
    """As `ascend`, but where guides say what the `use` (N,) of source pixels will be, relative to even use, towards
    that: over windows small enough to tell the places of one value apart."""
    if use is None:
        return ascend(psi, atlas, index, palette, mean, wanted)
    asked = torch.ones_like(psi)
    asked[atlas.home[atlas.valid]] = use[atlas.valid]
    part = max(1, min(min(size) for size in atlas.exemplars) // PARTS)
    share = blur_homes(atlas, usage(atlas, index), part) / blur_homes(atlas, asked, part).clamp(min=LEAST_USE)
    return (psi + RATE * (share - 1)).clamp(*LIMITS)


def excess(atlas: Atlas, index: Tensor, wanted: Tensor | None = None) -> Tensor:
    """The use above the wanted one round each pixel of the exemplars, over windows of a quarter of one, (homes,), in
    units of even use. wanted: (homes,), with a mean of 1; None for even use."""
    return _over(atlas, usage(atlas, index), wanted)


def _over(atlas: Atlas, use: Tensor, wanted: Tensor | None) -> Tensor:
    quarter = min(min(size) for size in atlas.exemplars) // 4
    return blur_homes(atlas, use, quarter) - 1 if wanted is None else blur_homes(atlas, use - wanted, quarter)


def prices(atlas: Atlas, index: Tensor, psi: Tensor, allowed: Tensor, proportion: float, occurrence: float) -> Tensor:
    """The price (N,) of copying each source pixel, infinite where that is not `allowed`, (N,) bool: `proportion` for a
    unit of the potential `psi`, and `occurrence` for one use more than even, in 5 x 5 pixels of an exemplar (Zhou et
    al. 2023; Kaspar et al. 2015)."""
    price = proportion * psi
    if occurrence > 0:
        price = price + occurrence * (blur_homes(atlas, usage(atlas, index), 5) - 1).clamp(min=0)
    return torch.where(allowed, price[atlas.home], torch.inf)


def palette(atlas: Atlas, wanted: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The colours (homes, 3) of the exemplars' pixels in standard deviations, and the mean (3,) that an output of the
    `wanted` use (homes,) has; None for even use."""
    usable = atlas.colours[atlas.valid]
    colours = torch.zeros(atlas.homes, 3, device=usable.device)
    colours[atlas.home[atlas.valid]] = usable / atlas.deviation
    if wanted is None:
        return colours, usable.mean(0) / atlas.deviation
    weight = wanted[atlas.home[atlas.valid]]
    return colours, weight @ usable / weight.sum() / atlas.deviation
