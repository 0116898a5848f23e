"""Tone: a smooth change of colours after which parts that come from several places meet without a visible step.

This is Poisson image editing (Pérez et al. 2003) with soft constraints. The change x at the nodes of a grid minimises

    E(x) = sum over points p     w (x(p) - d)^2            the change that is wanted at some points
         + sum over neighbours   w (x_b - x_a - d)^2       how much it shall grow from node to node
         + sum over nodes        h x^2                     it fades where nothing asks for it

`hole_correction` has wanted changes d at the brim of a hole, and d = 0 between neighbours. `seam_correction` has steps
d between the neighbours on the two sides of a seam, and no points. A hole has few nodes, and the change is bilinear
between them, so its equations are solved at once; seams have a node for each cell, and are solved by conjugate
gradients.

Differs from the paper in: a large d is rather a fault of shape than one of tone, so it hardly counts (`confidence`); no
change is larger than LARGEST_CHANGE; and it fades, so that no colour bleeds far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

LARGEST_CHANGE = 0.25  # of a colour in [0, 1]
USUAL_STEP = 0.08  # of tone; larger differences are likelier faults of shape
NODES = 48  # along a side of a square picture: that many in all, squared, however long a picture is
HOLE_REACH = 16.0  # nodes from the brim of a hole at which its correction is down to about a third
MOST_ITERATIONS = 200  # of conjugate gradients
PRECISION = 1e-4  # share of the first residual that conjugate gradients may leave


def confidence(lack: Tensor, weight: Tensor | float = 1.0, doubt: Tensor | float = 0.0) -> Tensor:
    """The weight w of wanted differences of tone (n, C, ...): (n, 1, ...).

    weight: w of a difference of 0. doubt: what else speaks against a difference, 1 for as much as a USUAL_STEP does.
    """
    return weight / (1 + lack.square().mean(1, keepdim=True) / USUAL_STEP**2 + doubt) ** 2


def hole_correction(hole: Tensor, brim: Tensor, lack: Tensor, tile: tuple[bool, bool]) -> Tensor:
    """What to add to a picture inside a hole, (1, 3, h, w), which is 0 elsewhere.

    hole: (h, w) bool. brim: (n, 2), the (y, x) of pixels of the hole that are beside the rest of the picture; a pixel
    may be named twice. lack: (n, 3), the change that each of them wants. tile: whether the picture wraps in (y, x).
    """
    change = torch.zeros(1, 3, *hole.shape, device=hole.device)
    if len(brim) == 0:
        return change
    spacing = max(2.0, hole.numel() ** 0.5 / NODES)
    counts = [max(1, round(n / spacing)) + (not wraps) for n, wraps in zip(hole.shape, tile, strict=True)]
    pixels = hole.nonzero()
    corners, weights = _nodes_around(pixels, hole.shape, counts, tile)
    used, slots = corners.unique(return_inverse=True)
    brim_corners, brim_weights = _nodes_around(brim, hole.shape, counts, tile)
    values = _solve_hole(torch.searchsorted(used, brim_corners), brim_weights, lack, used, counts, tile)
    inside = (values[slots] * weights[..., None]).sum(1).clamp(-LARGEST_CHANGE, LARGEST_CHANGE)
    change[0, :, pixels[:, 0], pixels[:, 1]] = inside.T
    return change


def seam_correction(steps: Sequence[tuple[Tensor, Tensor]], hold: Tensor) -> Tensor:
    """What to add to cells so that they meet, (1, 3, h, w).

    steps: for the y and the x axis, by how much the change shall grow from each cell to the next one, (1, 3, h, w), and
    the weight of that, (1, 1, h, w); 0 in the last row or column of an axis that does not wrap. hold: (1, 1, h, w), the
    price h of a change.
    """

    def divergence(flow: Tensor, dim: int) -> Tensor:
        return flow - flow.roll(1, dim)

    def normal_equations(x: Tensor) -> Tensor:
        out = hold * x
        for dim, (_, weight) in enumerate(steps, 2):
            out = out - divergence(weight * (x.roll(-1, dim) - x), dim)
        return out

    goal = sum((-divergence(weight * lack, dim) for dim, (lack, weight) in enumerate(steps, 2)), torch.tensor(0.0))
    return _conjugate_gradients(normal_equations, goal.to(hold)).clamp(-LARGEST_CHANGE, LARGEST_CHANGE)


def _nodes_around(
    pixels: Tensor, size: Sequence[int], counts: Sequence[int], tile: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    """The numbers of the four nodes round each pixel (n, 2) and their bilinear weights: (n, 4) each.

    size: the picture's (height, width). counts: the number of nodes down and across.
    """
    numbers: Tensor = torch.zeros(len(pixels), 1, dtype=torch.long, device=pixels.device)
    weights = torch.ones(len(pixels), 1, device=pixels.device)
    for dim, (count, wraps) in enumerate(zip(counts, tile, strict=True)):
        at = pixels[:, dim].float() * ((count if wraps else count - 1) / size[dim])
        low = at.floor()
        ends = torch.stack([low, low + 1], 1).long()
        ends = ends % count if wraps else ends.clamp(max=count - 1)
        part = torch.stack([1 - (at - low), at - low], 1)
        numbers = (numbers[:, :, None] * count + ends[:, None, :]).flatten(1)
        weights = (weights[:, :, None] * part[:, None, :]).flatten(1)
    return numbers, weights


def _solve_hole(
    slots: Tensor, weights: Tensor, lack: Tensor, used: Tensor, counts: Sequence[int], tile: tuple[bool, bool]
) -> Tensor:
    """The change at the nodes `used` (n,), (n, 3), by the normal equations of E as one full matrix.

    slots: (m, 4), which of the used nodes lie round the pixels of the brim. weights: (m, 4), their bilinear weights.
    """
    count, device = len(used), used.device
    system = torch.eye(count, device=device) / HOLE_REACH**2
    # Add the points of the brim.
    trust = confidence(lack)[:, 0]
    pair = (slots[:, :, None] * count + slots[:, None, :]).flatten()
    share = (weights[:, :, None] * weights[:, None, :] * trust[:, None, None]).flatten()
    system.view(-1).index_add_(0, pair, share)
    goal = torch.zeros(count, 3, device=device)
    goal.index_add_(0, slots.flatten(), ((weights * trust[:, None])[..., None] * lack[:, None]).flatten(0, 1))
    # Add the neighbours, where both are used.
    slot_of_node = torch.full((counts[0] * counts[1],), -1, device=device)
    slot_of_node[used] = torch.arange(count, device=device)
    for dim, wraps in enumerate(tile):
        a = slot_of_node.view(*counts)
        b = a.roll(-1, dim)
        if not wraps:
            a, b = (t.narrow(dim, 0, counts[dim] - 1) for t in (a, b))
        both = (a >= 0) & (b >= 0) & (a != b)
        a, b = a[both], b[both]
        one = torch.ones_like(a, dtype=system.dtype)
        for i, j, sign in ((a, a, one), (b, b, one), (a, b, -one), (b, a, -one)):
            system.view(-1).index_add_(0, i * count + j, sign)
    solution: Tensor = torch.linalg.solve(system, goal)
    return solution


def _conjugate_gradients(apply: Callable[[Tensor], Tensor], goal: Tensor) -> Tensor:
    """The x with apply(x) = goal (1, C, h, w), apply being symmetric and positive; every channel on its own."""
    x, residual = torch.zeros_like(goal), goal
    way, size = residual, residual.square().sum((2, 3), keepdim=True)
    enough = PRECISION**2 * size.clamp_min(1e-12)
    for _ in range(MOST_ITERATIONS):
        if bool((size <= enough).all()):
            break
        moved = apply(way)
        stride = size / (way * moved).sum((2, 3), keepdim=True).clamp_min(1e-20)
        x, residual = x + stride * way, residual - stride * moved
        before, size = size, residual.square().sum((2, 3), keepdim=True)
        way = residual + size / before.clamp_min(1e-20) * way
    return x
