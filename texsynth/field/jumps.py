"""For every source pixel, a few others that look alike: the jumps that a field may take.

k-coherence (Tong et al. 2002); found by comparison on the coarsest level and refined from parents on finer ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

from texsynth.field.atlas import Atlas

KEYS = 4096  # source pixels that the coarsest level compares with; more are sampled
APART = 3  # pixels: what lies closer is no jump


def compare(atlas: Atlas, table: Tensor, asking: Tensor, count: int, rng: torch.Generator, chunk: int = 1024) -> Tensor:
    """Nearest valid descriptors of every source pixel that is `asking`, (N,) bool, none near the pixel itself nor near
    another pick.

    table: (N, D) -> (N, count) int32 flat indices; all other pixels point to themselves.
    """
    usable = atlas.valid.nonzero()[:, 0]
    keys = usable[torch.randperm(len(usable), generator=rng)[:KEYS].to(usable.device)]
    there = table[keys]
    norms = (there**2).sum(1)
    out = torch.arange(len(table), dtype=torch.int32, device=table.device)[:, None].repeat(1, count)
    at = _places(atlas, keys)
    for some in asking.nonzero()[:, 0].split(chunk):
        distance = norms - 2 * table[some] @ there.T
        distance[torch.cdist(_places(atlas, some), at, p=torch.inf) < APART] = torch.inf
        for k in range(count):
            best = distance.argmin(1)
            out[some, k] = keys[best].int()
            distance[torch.cdist(at[best], at, p=torch.inf) < APART] = torch.inf
    return out


def refine(
    atlas: Atlas, table: Tensor, parents: Tensor, coarse: Atlas, asking: Tensor, described: Tensor, chunk: int = 16384
) -> Tensor:
    """One level finer: every parent's picks, doubled, and the best of the 3 x 3 places round each.

    asking: (N,) bool, the pixels that get jumps; described: (N,) bool, those that may be jumped to.
    (Nc, count) -> (N, count) int32.
    """
    count = parents.shape[1]
    out = torch.arange(len(table), dtype=torch.int32, device=table.device)[:, None].repeat(1, count)
    shifts = [dy * atlas.row + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    for some in asking.nonzero()[:, 0].split(chunk):
        plane, y, x = atlas.split(some)
        parent = coarse.join(plane, y // 2, x // 2)
        query = table[some]
        for k in range(count):
            p, py, px = coarse.split(parents[parent, k].long())
            centre = atlas.join(p, 2 * py + y % 2, 2 * px + x % 2)
            best, pick = torch.full(some.shape, torch.inf, device=some.device), some
            for shift in shifts:
                near = centre + shift
                distance = (table[near] - query).square_().sum(1).masked_fill_(~described[near], torch.inf)
                better = distance < best
                best, pick = torch.where(better, distance, best), torch.where(better, near, pick)
            out[some, k] = pick.int()
    return out


def _places(atlas: Atlas, index: Tensor) -> Tensor:
    """(n, 2) positions in which planes lie far apart."""
    plane, y, x = atlas.split(index)
    return torch.stack([y + plane * (atlas.rows + APART), x], 1).float()
