"""For every source pixel, a few others that look alike: the jumps that a field may take (Zelinka & Garland 2002), the
candidates of k-coherence (Tong et al. 2002)."""

from __future__ import annotations

import torch
from torch import Tensor

from texsynth.field.atlas import Atlas

KEYS = 4096  # source pixels that each one is compared with on the coarsest level; of more, so many are drawn
SHORTEST_JUMP = 3  # pixels along either axis: what lies closer is no jump
PIXELS_COMPARED_AT_ONCE = 1024  # on the coarsest level, each with all keys
PIXELS_REFINED_AT_ONCE = 16384


def compare(atlas: Atlas, table: Tensor, asking: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """The nearest valid source pixels by descriptor, from a table (N, D), of every pixel that is `asking`, (N,) bool,
    none of them near the pixel itself nor near another of its look-alikes: (N, count) int32 flat indices. Pixels that
    do not ask point to themselves."""
    usable = atlas.valid.nonzero()[:, 0]
    keys = usable[torch.randperm(len(usable), generator=rng)[:KEYS].to(usable.device)]
    descriptors = table[keys]
    norms = (descriptors**2).sum(1)
    out = _self_pointing(table, count)
    at = _positions(atlas, keys)
    for some in asking.nonzero()[:, 0].split(PIXELS_COMPARED_AT_ONCE):
        distance = norms - 2 * table[some] @ descriptors.T
        distance[torch.cdist(_positions(atlas, some), at, p=torch.inf) < SHORTEST_JUMP] = torch.inf
        for k in range(count):
            best = distance.argmin(1)
            out[some, k] = keys[best].int()
            distance[torch.cdist(at[best], at, p=torch.inf) < SHORTEST_JUMP] = torch.inf
    return out


def refine(atlas: Atlas, table: Tensor, parents: Tensor, coarse: Atlas, asking: Tensor, described: Tensor) -> Tensor:
    """The look-alikes (N, count) int32 one level finer: those of every parent, doubled, and the best of the 3 x 3
    pixels round each, by the descriptors `table` (N, D).

    parents: (Nc, count) int32, the look-alikes of the `coarse` atlas. asking: (N,) bool, the pixels that get
    look-alikes; all others point to themselves. described: (N,) bool, those that may be one.
    """
    count = parents.shape[1]
    out = _self_pointing(table, count)
    shifts = [dy * atlas.row + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    for some in asking.nonzero()[:, 0].split(PIXELS_REFINED_AT_ONCE):
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


def _self_pointing(table: Tensor, count: int) -> Tensor:
    """Every source pixel as its own look-alike, (N, count) int32."""
    return torch.arange(len(table), dtype=torch.int32, device=table.device)[:, None].repeat(1, count)


def _positions(atlas: Atlas, index: Tensor) -> Tensor:
    """Positions (n, 2) of flat indices (n,), in which planes lie too far apart for pixels of two to be near."""
    plane, y, x = atlas.split(index)
    return torch.stack([y + plane * (atlas.rows + SHORTEST_JUMP), x], 1).float()
