"""A smooth correction of tone inside a hole, so that what is copied there takes on the light of its place.

Poisson image editing (Pérez et al. 2003): at the brim what is copied should differ from the known pixel beside it as
its source differs from what it continues to; the correction of least gradient that brings this about is added to the
copies. Differs from the paper in: it is bilinear between nodes some pixels apart, fades far from the brim, and hardly
looks where shapes and not tones disagree, so no detail is blurred and no colour bleeds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from texsynth.field.atlas import Field

NODES = 48  # along a side of a square: so many in all, squared, however long the picture is
FADE = 16.0  # nodes from the brim at which the correction is down to a third or so
STEP = 0.08  # of tone: larger differences are likelier faults of shape
MOST = 0.25  # of correction


def correction(field: Field, hole: Tensor, known: Tensor) -> Tensor:
    """What to add to the picture of a field inside a hole: (1, 3, h, w), 0 elsewhere. hole, known: (1, 1, h, w) bool,
    what is corrected, and what it is to agree with."""
    device = field.index.device
    inside, sound = (mask[0, 0].to(device) for mask in (hole, known & ~hole))
    places, lack = (torch.cat(each) for each in zip(*(_brim(field, inside, sound, dim) for dim in (0, 1)), strict=True))
    out = torch.zeros(1, 3, *field.size, device=device)
    if len(places) == 0:
        return out
    cell = max(2.0, (field.size[0] * field.size[1]) ** 0.5 / NODES)
    counts = [max(1, round(n / cell)) + (0 if wraps else 1) for n, wraps in zip(field.size, field.tile, strict=True)]
    pixels = inside.nonzero()
    numbers, weights = _between(pixels, counts, field)
    used, slots = numbers.unique(return_inverse=True)
    at_brim, weights_there = _between(places, counts, field)
    values = _solve(torch.searchsorted(used, at_brim), weights_there, lack, used, counts, field.tile)
    change = (values[slots] * weights[..., None]).sum(1).clamp(-MOST, MOST)
    out[0, :, pixels[:, 0], pixels[:, 1]] = change.T
    return out


def _brim(field: Field, inside: Tensor, sound: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Pixels of the hole beside a known one along one axis, (n, 2), and the tone that each lacks, (n, 3)."""
    atlas, first = field.atlas, field.index
    second, stride = first.roll(-1, dim), atlas.row if dim == 0 else 1
    pairs = (inside & sound.roll(-1, dim)) | (sound & inside.roll(-1, dim))
    if not field.tile[dim]:
        pairs.narrow(dim, field.size[dim] - 1, 1).fill_(False)
    y, x = pairs.nonzero(as_tuple=True)
    a, b, ahead = first[y, x], second[y, x], inside.roll(-1, dim)[y, x]  # is the second one in the hole?
    made, known = torch.where(ahead, b, a), torch.where(ahead, a, b)
    beside = made + torch.where(ahead, -stride, stride)  # what the source of the copy continues to
    lack = atlas.colours[known] - atlas.colours[beside]
    seat = torch.stack([y, x], 1)
    seat[:, dim] = (seat[:, dim] + ahead.long()) % field.size[dim]
    sure = atlas.valid[beside]
    return seat[sure], lack[sure]


def _between(pixels: Tensor, counts: list[int], field: Field) -> tuple[Tensor, Tensor]:
    """The four nodes round each pixel (n, 2) and their bilinear weights: (n, 4) each."""
    numbers: Tensor = torch.zeros(len(pixels), 1, dtype=torch.long, device=pixels.device)
    weights = torch.ones(len(pixels), 1, device=pixels.device)
    for dim, (count, wraps) in enumerate(zip(counts, field.tile, strict=True)):
        at = pixels[:, dim].float() * ((count if wraps else count - 1) / field.size[dim])
        low = at.floor()
        ends = torch.stack([low, low + 1], 1).long()
        ends = ends % count if wraps else ends.clamp(max=count - 1)
        part = torch.stack([1 - (at - low), at - low], 1)
        numbers = (numbers[:, :, None] * count + ends[:, None, :]).flatten(1)
        weights = (weights[:, :, None] * part[:, None, :]).flatten(1)
    return numbers, weights


def _solve(
    slots: Tensor, weights: Tensor, lack: Tensor, used: Tensor, counts: list[int], tile: tuple[bool, bool]
) -> Tensor:
    """Values at the used nodes, (n, 3): least squares at the brim, least gradient between nodes, and a slow fading."""
    n, device = len(used), used.device
    trust = 1 / (1 + lack.square().mean(1) / STEP**2) ** 2
    system = torch.eye(n, device=device) / FADE**2
    pair = (slots[:, :, None] * n + slots[:, None, :]).flatten()
    share = (weights[:, :, None] * weights[:, None, :] * trust[:, None, None]).flatten()
    system.view(-1).index_add_(0, pair, share)
    goal = torch.zeros(n, 3, device=device)
    goal.index_add_(0, slots.flatten(), ((weights * trust[:, None])[..., None] * lack[:, None]).flatten(0, 1))
    where = torch.full((counts[0] * counts[1],), -1, device=device)
    where[used] = torch.arange(n, device=device)
    grid = where.view(*counts)
    for dim, wraps in enumerate(tile):
        a, b = grid, grid.roll(-1, dim)
        if not wraps:
            a, b = (t.narrow(dim, 0, counts[dim] - 1) for t in (a, b))
        both = (a >= 0) & (b >= 0) & (a != b)
        a, b = a[both], b[both]
        one = torch.ones_like(a, dtype=system.dtype)
        for i, j, sign in ((a, a, one), (b, b, one), (a, b, -one), (b, a, -one)):
            system.view(-1).index_add_(0, i * n + j, sign)
    solved: Tensor = torch.linalg.solve(system, goal)
    return solved
