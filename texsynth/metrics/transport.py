"""Multiscale patch transport (Houdard et al. 2021): how far the exemplar's patches must move to become the output's.

At four scales of a Gaussian pyramid 2000 random patches of 4 x 4 pixels are taken from each side and matched one to one
at the least total squared distance; the value is the mean over pairs and scales. Differs from the paper in: both sides
are sampled, which adds a little: an exemplar compared with itself scores above 0. Good outputs score about 0.1 to 0.5.

The auction algorithm (Bertsekas 1988) with a shrinking step finds the matching, to within half a percent.
"""

from __future__ import annotations

import torch
from torch import Tensor

from texsynth.features import windows
from texsynth.metrics import About, Pair
from texsynth.patches.cut import cut

SCALES = ("full", "half", "quarter", "eighth")
PATCH, PATCHES = 4, 2000
TOLERANCE = 0.005  # the matching costs at most this share more than the least, unless the steps end first
LAST_STEP = 2e-4  # of the mean distance; matchings of nearly equal sides end here
STEP_FACTOR = 4.0  # from one step to the next
ABOUT = About(
    "mean over four scales of the transport distance between 2000 patches of 4 x 4 pixels of each side",
    smallest_side=46,
)


def measure(pair: Pair, extract: None, rng: torch.Generator) -> float:
    pyramid = windows.build(windows.Settings(reduction="gaussian"), (False, False), None)
    exemplar, output = (pyramid(image.cpu(), SCALES) for image in (pair.exemplar, pair.output))
    return sum(_distance(exemplar[scale], output[scale], rng) for scale in SCALES) / len(SCALES)


def _distance(exemplar: Tensor, output: Tensor, rng: torch.Generator) -> float:
    """Least mean squared distance over one-to-one matches of equally many random patches of each side."""
    sides = [cut(layer, PATCH, 1) for layer in (exemplar, output)]
    count = min(PATCHES, *(len(side) for side in sides))
    a, b = (side[torch.randperm(len(side), generator=rng)[:count]] for side in sides)
    cost = (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp(min=0)
    return float(cost.gather(1, assignment(cost, rng)[:, None]).mean())


def assignment(cost: Tensor, rng: torch.Generator) -> Tensor:
    """The column assigned to each row of a square matrix (N, N) at the least sum: (N,), a permutation.

    Rows without a column bid for the one they gain most from, by what they lose with their second best and a step; it
    goes to the highest bidder. Rounds of smaller steps start from the last prices, which bound the least sum from
    below and tell when to end. Noise of a step's size keeps equal patches from bidding for the same one in turn.
    """
    scale = max(float(cost.mean()), 1e-12)
    last, noise, prices = scale * LAST_STEP, torch.rand(cost.shape, generator=rng), torch.zeros_like(cost[0])
    step, paid, bound = scale, 1.0, 0.0
    while step > last and paid - bound > TOLERANCE * paid:
        step = max(step / STEP_FACTOR, last)
        owner = _auction(cost + noise * step, prices, step)
        paid = float(cost.gather(0, owner[None]).mean())
        bound = float((cost + prices).amin(1).mean() - prices.mean())
    return owner.argsort()


def _auction(cost: Tensor, prices: Tensor, step: float) -> Tensor:
    """The row that each column goes to at these prices, which rise in place: (N,)."""
    owner, waiting = torch.full((len(cost),), -1), torch.arange(len(cost))
    while len(waiting):
        # Each waiting row bids for its best column
        least, choice = (cost[waiting] + prices).topk(min(2, len(cost)), dim=1, largest=False)
        bids, column = least[:, -1] - least[:, 0] + step, choice[:, 0]
        # Each column goes to its highest bidder
        order = bids.argsort()
        order = order[column[order].argsort(stable=True)]  # by column, the highest bid last
        sold, bidders = column[order].unique_consecutive(return_counts=True)
        winner = order[bidders.cumsum(0) - 1]
        prices[sold] += bids[winner]
        # Rows that lost a column wait again
        outbid = owner[sold]
        owner[sold] = waiting[winner]
        waiting[winner] = -1
        waiting = torch.cat([waiting, outbid])
        waiting = waiting[waiting >= 0]
    return owner
