"""Values that a target asks for and exemplars hardly have: what is near them counts too, lest few pixels be repeated.

Where a target asks for values that few source pixels have, following it to the letter copies a handful of pixels again
and again. Along each channel of a map, differences of value are therefore shrunk where the source has less of a value
than is asked for, as a distance of ranks would shrink them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

BINS = 256  # of the values, from 0 to 1
NEAR = 0.05  # difference up to which values count as the same
SCARCE = 0.02  # share of the source, below which a value is scarce where twice as much or more is asked for
LEAST_ASKED = 0.05  # share of the target that must ask for scarce values, before anything is done about it
ENOUGH = 0.12  # share of the source near a value, with which its differences count in full
AT_HAND = 0.06  # share of the source that is nearest to a scarce value, and stands in for it
STEEPNESS = 2  # power of what is there over what is asked for, by which differences shrink
FIRMNESS = 0.5  # weight that goals of scarce values gain: what is far from them stays as far
TINY = 1e-3  # share: keeps ratios finite, and the order of values where the source has none


@dataclass(frozen=True)
class Shares:
    """How much there is of each value of one channel, and how much is asked for.

    supply, demand: (BINS,), the shares of source and of target within NEAR of it.
    source, target: (BINS,), the shares that have the value itself.
    """

    supply: Tensor
    demand: Tensor
    source: Tensor
    target: Tensor

    @property
    def scarce(self) -> Tensor:
        """Which values are scarce, (BINS,) bool."""
        return self.supply < (0.5 * self.demand).clamp(max=SCARCE)

    @property
    def asked(self) -> tuple[float, float]:
        """The share of the target that asks for scarce values, and the share of the source that has them; 0 where
        nothing need be done."""
        share = float(self.target[self.scarce].sum())
        return (share, float(self.source[self.scarce].sum())) if share >= LEAST_ASKED else (0.0, 0.0)


def compare(usable: Tensor, goal: Tensor) -> Shares:
    """What one channel of the source has, (n,) in [0, 1], beside what one of the target asks for, of any shape."""
    source, target = (torch.histc(v.float(), BINS, 0, 1).cpu() / v.numel() for v in (usable, goal))
    return Shares(_near(source), _near(target), source, target)


def widen(values: Tensor, goal: Tensor, shares: Shares) -> tuple[Tensor, Tensor, Tensor]:
    """One channel of the source (N,) and of the target (h, w) on a scale where scarce values lie close together, and
    the weight of each goal, (h, w), 1 or more."""
    needed = torch.maximum(shares.demand, _borne(shares)).clamp(max=ENOUGH)
    slope = ((shares.supply + TINY) / (needed + TINY)).clamp(max=1) ** STEEPNESS
    scale = torch.cat([slope.new_zeros(1), slope.cumsum(0)])
    scale = (scale / scale[-1]).to(values)
    weight = (1 + FIRMNESS * (1 - slope)).to(values)
    return _read(scale, values), _read(scale, goal), weight[_bin(goal)]


def use(values: Tensor, shares: Shares) -> Tensor:
    """How often each source pixel is used, relative to even use, where every goal is met: (N,), for one channel."""
    return ((shares.demand + TINY) / (shares.supply + TINY)).to(values)[_bin(values)]


def _borne(shares: Shares) -> Tensor:
    """The largest demand of a scarce value that each value helps to meet, (BINS,): the nearest to it do, that the share
    AT_HAND of the source has."""
    total = torch.cat([shares.source.new_zeros(1), shares.source.cumsum(0)])
    at = torch.arange(BINS)
    within = total[(at[:, None] + at + 1).clamp(max=BINS)] - total[(at[:, None] - at).clamp(min=0)]
    reach = (within < AT_HAND).sum(1, keepdim=True)
    return (((at - at[:, None]).abs() <= reach) * (shares.demand * shares.scarce)[:, None]).amax(0)


def _near(histogram: Tensor) -> Tensor:
    """The share within NEAR of each value, (BINS,)."""
    total = torch.cat([histogram.new_zeros(1), histogram.cumsum(0)])
    at, half = torch.arange(BINS), round(NEAR * BINS)
    return total[(at + half + 1).clamp(max=BINS)] - total[(at - half).clamp(min=0)]


def _bin(values: Tensor) -> Tensor:
    return (values * BINS).long().clamp(0, BINS - 1)


def _read(scale: Tensor, values: Tensor) -> Tensor:
    """The scale (BINS + 1,) at values in [0, 1], linear between its entries."""
    low = _bin(values)
    return torch.lerp(scale[low], scale[low + 1], (values * BINS - low).clamp(0, 1))
