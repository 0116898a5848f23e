"""The potential: one price per source pixel, that keeps the exemplar's proportions.

The psi of semi-discrete transport (Houdard et al. 2021, Alg. 1: ascend on even use minus actual use), smoothed over a
quarter of the exemplar so that it balances regions and does not tear objects, with one more dual variable for the
constraint that the mean colour is the exemplar's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from texsynth.field.atlas import Atlas, blur_homes, usage

RATE = 0.3  # of the ascent, per unit of excess use
COLOUR_RATE = 4.0  # of the ascent, per squared standard deviation of excess colour
LIMITS = (-10.0, 20.0)  # of the potential, so that no region is forced in at any price


def ascend(psi: Tensor, atlas: Atlas, index: Tensor, palette: Tensor, mean: Tensor) -> Tensor:
    """One step. psi: (homes,); index: what the output copies; palette: (homes, 3) colours of the source pixels in
    standard deviations, mean: theirs (3,)."""
    bias = palette[atlas.home[index.flatten()]].mean(0) - mean
    return (psi + RATE * excess(atlas, index) + COLOUR_RATE * ((palette - mean) @ bias)).clamp(*LIMITS)


def excess(atlas: Atlas, index: Tensor) -> Tensor:
    """Use above even use, (homes,), over a quarter of the exemplar: -1 is unused, 1 twice as much as even."""
    quarter = min(min(size) for size in atlas.exemplars) // 4
    return blur_homes(atlas, usage(atlas, index), quarter) - 1


def prices(atlas: Atlas, index: Tensor, psi: Tensor, allowed: Tensor, proportion: float, occurrence: float) -> Tensor:
    """(N,) price of copying from each atlas pixel, infinite where that is not `allowed`, (N,) bool.

    occurrence: price of one use more than even, in 5 x 5 source pixels (Zhou et al. 2023; Kaspar et al. 2015).
    """
    price = proportion * psi
    if occurrence > 0:
        price = price + occurrence * (blur_homes(atlas, usage(atlas, index), 5) - 1).clamp(min=0)
    return torch.where(allowed, price[atlas.home], torch.inf)


def palette(atlas: Atlas) -> tuple[Tensor, Tensor]:
    """Un-copied colours (homes, 3) in standard deviations, and their mean (3,)."""
    usable = atlas.colours[atlas.valid]
    scale = usable.var(0, unbiased=False).sum().sqrt() + 1e-6
    colours = torch.zeros(atlas.homes, 3, device=usable.device)
    colours[atlas.home[atlas.valid]] = usable / scale
    return colours, usable.mean(0) / scale
