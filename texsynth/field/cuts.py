"""Cuts: the cheapest paths along which two pieces of texture may meet, and what a meeting costs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def meet(colours: Tensor, a: Tensor, b: Tensor, stride: int) -> Tensor:
    """Price of source pixels `a` and `b` as neighbours `stride` apart in the atlas: what both continue to is compared
    on both sides (Kwatra et al. 2003, eq. 1, squared). Broadcasts over a and b."""
    last = len(colours) - 1
    here = colours[a] - colours[(b - stride).clamp(0, last)]
    there = colours[(a + stride).clamp(0, last)] - colours[b]
    return (here.square().sum(-1) + there.square().sum(-1)) / 2


def cut_sides(gap: Tensor, mask: Tensor, borders: Tensor, overlap: int) -> tuple[Tensor, Tensor]:
    """Cheapest cuts through the overlaps of a new block with what is painted, on all four sides: which old pixels stay,
    (B, s, s), and the cost of all cuts, (B,).

    gap: (B, s, s), the squared difference of new and old. mask: (B, s, s), what is painted. borders: (B, 4), the sides
    (left, top, right, bottom) that the canvas ends at, where nothing is met.
    """
    side, keep, cost = mask.shape[1], torch.zeros_like(mask), torch.zeros(len(mask), device=gap.device)
    for turns in range(4):  # the side in question is turned to the left
        e, m = torch.rot90(gap, turns, (1, 2)), torch.rot90(mask, turns, (1, 2))
        active = (m[:, side // 2, 0] | m[:, side // 4, 0]) & ~borders[:, turns]
        if not active.any():
            continue
        at, price = path((e * m)[:, :, :overlap])
        stays = (torch.arange(side, device=gap.device) < at[:, :, None]) & active[:, None, None]
        keep |= torch.rot90(stays, -turns, (1, 2))
        cost += price * active
    return keep & mask, cost


def path(error: Tensor) -> tuple[Tensor, Tensor]:
    """Vertical path of least error through (B, rows, cols) (Efros & Freeman 2001, section 2.1): its column in every
    row, (B, rows), and its cost, (B,)."""
    total = [error[:, 0]]
    for row in range(1, error.shape[1]):
        above = -F.max_pool1d(-total[-1][:, None], 3, stride=1, padding=1)[:, 0]
        total.append(error[:, row] + above)
    at = total[-1].argmin(1)
    columns = [at]
    for row in range(error.shape[1] - 2, -1, -1):
        near = torch.stack([at - 1, at, at + 1], 1).clamp(0, error.shape[2] - 1)
        at = near.gather(1, total[row].gather(1, near).argmin(1, keepdim=True))[:, 0]
        columns.append(at)
    return torch.stack(columns[::-1], 1), total[-1].amin(1)
