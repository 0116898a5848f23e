"""Mend the seams of a quilt: fresh pieces are laid over them, inside a closed cut of least error.

Kwatra et al. 2003 ("Graphcut Textures", section 3): what is minimised is the cost of the new seam and of the old ones
that it leaves. Differs from the paper in: the cut is a closed path round the middle of a piece, found by dynamic
programming over the angle in place of a maximum flow, so that all candidates of all pieces are cut at once; a piece is
kept only where seams and use together become cheaper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth import native
from texsynth.field.atlas import Field
from texsynth.field.quilt import (
    BLOCKS_AT_ONCE,
    MOST_BLOCKS,
    Blocks,
    Quilt,
    QuiltRules,
    ascent,
    cell_prices,
    cells_of,
    lay,
    mismatch,
    prior_of,
    standing_price,
)
from texsynth.field.quilting import Candidates, at_borders, meet, path, shortlist
from texsynth.native.sums import in_lanes

PITCH = 1.5  # sides of a piece, at least, from one piece to the next of a round
CROSSED = 4 / math.pi  # edges of pixels that a cut crosses, for each pixel of its length
INNERMOST = 0.15  # of a piece's half side: no cut is closer to its middle
COMPARED = 0.5  # of the half side: what lies further out is what a new piece has to fit
WORTH_MENDING = 0.5  # of the mean cost of a piece's seams: pieces with less are left alone
ROUNDS_OF_ASCENT = 24  # of the potential in all: more rounds rise by less each, or use would count for ever more
ROUNDS_OF_A_QUILT = 9  # that take as long as laying one


@dataclass(frozen=True)
class Rings:
    """A square piece in square rings round its middle: A angles, R rings.

    cells: (A, R), the pixel of the piece.
    arc, area: (A, R), how much length and area each of them stands for, in pixels.
    radius: (R,), of each ring, as a share of the half side.
    distance, angle: (s^2,), of each pixel of the piece: the share of the half side, and the number of the angle.
    """

    cells: Tensor
    arc: Tensor
    area: Tensor
    radius: Tensor
    distance: Tensor
    angle: Tensor


def rings(side: int, device: torch.device) -> Rings:
    """The rings of a piece of `side` pixels: an angle for each pixel of its border, a ring every pixel."""
    angles, half = 4 * side, (side - 1) / 2
    radius = torch.linspace(INNERMOST, 1, max(2, side // 2), device=device)
    turn = 2 * math.pi / angles
    angle = torch.arange(angles, device=device) * turn - math.pi
    direction = torch.stack([angle.sin(), angle.cos()], 1)
    direction = direction / direction.abs().amax(1, keepdim=True)  # to the border of the square
    at = (half + half * direction[:, None] * radius[:, None]).round().long().clamp(0, side - 1)
    arc = half * turn * radius * direction.norm(dim=1, keepdim=True)
    area = arc * half * (radius[1] - radius[0]) * direction.norm(dim=1, keepdim=True)
    y, x = torch.cartesian_prod(*(torch.arange(side, device=device) - half,) * 2).unbind(1)
    number = ((torch.atan2(y, x) + math.pi) / turn).round().long() % angles
    distance = torch.maximum(y.abs(), x.abs()) / half
    return Rings(at[..., 0] * side + at[..., 1], arc, area, radius, distance, number)


def recut_quilt(
    blocks: Blocks, size: tuple[int, int], tile: tuple[bool, bool], rules: QuiltRules, rounds: int, rng: torch.Generator
) -> Tensor:
    """A quilt whose seams are recut in so many rounds: a flat atlas index per pixel of a canvas of `size`, (h, w)."""
    canvas = lay(blocks, size, tile, rules, rng)
    if blocks.atlas.is_long:  # whose blocks are so small that many are laid
        quilts = MOST_BLOCKS * (blocks.side - blocks.overlap) ** 2 // (size[0] * size[1])
        rounds = min(rounds, ROUNDS_OF_A_QUILT * max(0, quilts - 1))
    recut(canvas, blocks, rules, rounds, rng)
    return canvas.index.view(canvas.h, canvas.w)[: size[0], : size[1]].contiguous()


def recut_field(blocks: Blocks, field: Field, rules: QuiltRules, rounds: int, rng: torch.Generator) -> Tensor:
    """The pointers (h, w) of a field whose seams are recut in so many rounds; its proportions are hardly moved."""
    index, psi = field.index.flatten().clone(), torch.zeros(blocks.atlas.homes, device=field.index.device)
    canvas = Quilt(*field.size, field.tile, field.atlas, index, torch.ones_like(index, dtype=torch.bool), psi)
    recut(canvas, blocks, rules, rounds, rng)
    return canvas.index.view(field.size)


def recut(canvas: Quilt, blocks: Blocks, rules: QuiltRules, rounds: int, rng: torch.Generator) -> None:
    """Lay fresh pieces over the seams of a canvas, in so many rounds over the whole of it."""
    side = blocks.side
    if min(canvas.h, canvas.w) < side + 2:
        return
    shape, rise = rings(side, canvas.index.device), ascent(blocks.atlas, rules)
    step = min(1.0, ROUNDS_OF_ASCENT / max(1, rounds))
    cost = seams(blocks, canvas.index.view(canvas.h, canvas.w), canvas.wraps)
    for _ in range(rounds):
        # Else what was scarce in laying would go on to be wanted until it is everywhere.
        canvas.psi = torch.lerp(canvas.psi, rise(canvas), step)
        # Choose where to lay pieces.
        top = _places(canvas, side, rng).to(canvas.index.device)
        here = _sum_of_seams(cost, canvas, top, side)
        top = top[here >= WORTH_MENDING * here.mean()]
        # Lay one at each place, and keep those that pay.
        trial, change = canvas.index.clone(), [torch.zeros(0, device=top.device)]
        for some in top.split(BLOCKS_AT_ONCE):
            cells = cells_of(canvas, some, side)
            old = canvas.index[cells]
            near = cell_prices(canvas, blocks, some, rules)
            prior = prior_of(canvas, blocks, some, rules, near)
            fresh = _mended(canvas, blocks, some, cost[cells], prior, shape, rules.tries, rng)
            change.append(standing_price(canvas, blocks, some, fresh, rules, near))
            change[-1] -= standing_price(canvas, blocks, some, old, rules, near)
            trial[cells] = fresh
        after = seams(blocks, trial.view(canvas.h, canvas.w), canvas.wraps)
        dearer = _sum_of_seams(after - cost, canvas, top, side) / side
        kept = cells_of(canvas, top, side)[dearer + torch.cat(change) < 0].flatten()
        canvas.paint(kept, trial[kept])
        cost = seams(blocks, canvas.index.view(canvas.h, canvas.w), canvas.wraps)


def seams(blocks: Blocks, index: Tensor, wraps: tuple[bool, bool]) -> Tensor:
    """What the seams below and right of every pixel of a canvas `index` (h, w) cost, (h * w,), in variances."""
    if twin := native.kernel("costs_of_seams", blocks.colours, index):
        cost: Tensor = twin(blocks.colours, index, blocks.atlas.row, *wraps)
        return cost
    total = torch.zeros(index.shape, device=index.device)
    for dim, stride in ((0, blocks.atlas.row), (1, 1)):
        length = index.shape[dim] - (0 if wraps[dim] else 1)
        a, b = index.narrow(dim, 0, length), index.roll(-1, dim).narrow(dim, 0, length)
        y, x = (b != a + stride).nonzero(as_tuple=True)
        total[y, x] += meet(blocks.colours, a[y, x], b[y, x], stride)
    return total.flatten()


def _sum_of_seams(cost: Tensor, canvas: Quilt, top: Tensor, side: int) -> Tensor:
    """The sum (B,) of the `cost` (h * w,) of seams in and round the squares at `top` (B, 2): those of a pixel lie below
    and right of it, so those above and left of a square count with the pixels there, unless the canvas ends."""
    inside = (top[:, None] > 0) | torch.tensor(canvas.wraps, device=top.device)  # (B, 1, 2)
    there = torch.ones(len(top), side + 1, side + 1, dtype=torch.bool, device=top.device)
    there[:, 0, :] &= inside[..., 0]
    there[:, :, 0] &= inside[..., 1]
    return (cost[cells_of(canvas, top - 1, side + 1)] * there.flatten(1)).sum(1)


def _places(canvas: Quilt, side: int, rng: torch.Generator) -> Tensor:
    """The corners (n, 2) of the pieces of a round: a grid at random, whose pieces do not touch."""
    lines = []
    for length, wraps in ((canvas.h, canvas.wraps[0]), (canvas.w, canvas.wraps[1])):
        count = max(1, int(length / (PITCH * side)))
        first, step = float(torch.rand(1, generator=rng)) * length / count, length / count
        if wraps:
            lines.append([int(first + number * step) for number in range(count)])
            continue
        line: list[int] = []
        for number in range(-1, count + 1):  # pieces that would hang over an end are moved to it, if there is room
            at = max(0, min(length - side, int(first + number * step)))
            if not line or at > line[-1] + side:
                line.append(at)
        lines.append(line)
    return torch.cartesian_prod(*(torch.tensor(line) for line in lines))


def _mended(
    canvas: Quilt,
    blocks: Blocks,
    top: Tensor,
    seam: Tensor,
    prior: Tensor,
    shape: Rings,
    tries: int,
    rng: torch.Generator,
) -> Tensor:
    """The atlas pixels (B, s^2) of the squares at `top` (B, 2), each with the best fresh piece inside its cut.

    seam: (B, s^2), what the seams at each pixel cost now. prior: (B, n), the price of every piece before it is matched.
    """
    old = canvas.index[cells_of(canvas, top, blocks.side)]
    fits = (shape.distance > COMPARED)[None]
    best = shortlist(mismatch(blocks, old, fits) + prior, max(1, tries // 2), rng)  # (B, T)
    borders = at_borders(top, blocks.side, (canvas.h, canvas.w), canvas.wraps)
    pieces = Candidates(blocks.planes, blocks.corners[best], blocks.inner, old, prior.gather(1, best), borders)
    pick, inside = cheapest_closed_cuts(pieces, seam, shape)
    return torch.where(inside, pieces.pixels(pick), old)


def cheapest_closed_cuts(pieces: Candidates, seam: Tensor, shape: Rings) -> tuple[Tensor, Tensor]:
    """The number (B,) of the piece at each place that is cheapest with its closed cut, and what lies inside of that,
    (B, s^2) bool. seam: as for `closed_cuts`."""
    outside, ends = _left_outside(seam, shape), _at_ends(pieces.borders, shape)
    rounds = outside, ends, shape.cells, shape.arc, shape.radius, shape.distance, shape.angle
    if twin := native.kernel("cheapest_closed_cuts", *pieces.tensors, *rounds):
        pick, inside = twin(*pieces.tensors, *rounds, pieces.side, CROSSED)
        return pick, inside
    insides, cost = closed_cuts(pieces.gaps(), seam, pieces.borders, shape)
    pick = pieces.cheapest(cost / pieces.side)
    return pick, insides[torch.arange(len(pick), device=pick.device), pick]


def closed_cuts(gap: Tensor, seam: Tensor, borders: Tensor, shape: Rings) -> tuple[Tensor, Tensor]:
    """The cheapest closed cut of each of T candidates for B square pieces: what lies inside, (B, T, s^2) bool, and the
    cost of the cut and of all old seams outside it, (B, T).

    gap: (B, T, s^2), squared differences of candidates and canvas. seam: (B, s^2), the cost of the old seams.
    borders: (B, 4), the sides (left, top, right, bottom) that the canvas ends at, where nothing is met.
    """
    b, t, angles = *gap.shape[:2], len(shape.cells)
    side = round(gap.shape[2] ** 0.5)
    smooth = F.avg_pool2d(F.pad(gap.view(b * t, 1, side, side), (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    price = smooth.view(gap.shape)[:, :, shape.cells] * shape.arc * CROSSED  # (B, T, A, R)
    price[..., -1].masked_fill_(_at_ends(borders, shape)[:, None], 0)
    price += _left_outside(seam, shape)[:, None]
    # Go round one and a half times, and keep the turn in the middle, whose ends meet.
    quarter = angles // 4
    turns = torch.cat([price[:, :, -quarter:], price, price[:, :, :quarter]], 2).flatten(0, 1)
    ring = path(turns, slope=1.0)[0][:, quarter : quarter + angles]  # (B * T, A)
    cost = in_lanes(price.flatten(0, 1).gather(2, ring[:, :, None])[..., 0]).view(b, t)
    radius = shape.radius[ring].view(b, t, angles)
    inside: Tensor = shape.distance <= radius[:, :, shape.angle]
    return inside, cost


def _left_outside(seam: Tensor, shape: Rings) -> Tensor:
    """What the old seams (B, s^2) cost at each angle outside each ring, (B, A, R)."""
    left = seam[:, shape.cells] * shape.area
    return left.flip(2).cumsum(2).flip(2) - left


def _at_ends(borders: Tensor, shape: Rings) -> Tensor:
    """Whether the last ring lies where the canvas ends, at each angle, (B, A) bool."""
    last = round(len(shape.distance) ** 0.5) - 1
    y, x = shape.cells[:, -1] // (last + 1), shape.cells[:, -1] % (last + 1)
    sides = torch.stack([x == 0, y == 0, x == last, y == last])  # (4, A)
    return (borders[:, :, None] & sides).any(1)
