"""What quilts share: the grid of their pieces, the order in which these are laid, and the choice among candidates
(Efros & Freeman 2001, "Image Quilting", with pieces that do not touch laid at once, in wavefronts)."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth import native
from texsynth.native.sums import in_turn

JITTER = 0.02  # of the exemplar's variance: differences below it are left to chance, so that seeds differ
PRICE_OF_UNEVENNESS = 1.0  # of using every part twice or not at all, beside the cuts: else the dullest quilt would win
STRIP = 4  # rows: the length, at least, of the parts of a long canvas that are laid at the same time
Corner = tuple[int, int]  # (y, x)


@dataclass(frozen=True)
class Candidates:
    """T source pieces of s x s pixels that are tried at each of B places of a canvas.

    planes: (C, N), what is compared, by channel.
    corners: (B, T), the first pixel of each piece. inner: (s^2,), the offsets of its pixels from there.
    old: (B, s^2), the source pixels that the canvas has there.
    price: (B, T), of each piece beside its cut, per pixel of its side.
    borders: (B, 4), as from `at_borders`.
    """

    planes: Tensor
    corners: Tensor
    inner: Tensor
    old: Tensor
    price: Tensor
    borders: Tensor

    @property
    def side(self) -> int:
        return math.isqrt(len(self.inner))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What kernels need, in the order of native/candidates.hpp."""
        return self.planes, self.corners, self.inner, self.old, self.price

    def gaps(self) -> Tensor:
        """The squared differences to the canvas, (B, T, s^2)."""
        new = self.corners[:, :, None] + self.inner
        gaps = torch.zeros(new.shape, device=new.device)
        for plane in self.planes:
            gaps += (plane[new] - plane[self.old][:, None]).square_()
        return gaps

    def cheapest(self, cost: Tensor) -> Tensor:
        """The number (B,) of the cheapest piece at each place, whose cuts `cost` (B, T) per pixel of the side."""
        return (cost + self.price).argmin(1)

    def pixels(self, pick: Tensor) -> Tensor:
        """The source pixels (B, s^2) of the pieces of these numbers (B,)."""
        return self.corners.gather(1, pick[:, None]) + self.inner


def covered_length(length: int, wraps: bool, side: int, overlap: int) -> int:
    """The length of a canvas, at least `length`, that whole pieces of `side` pixels cover; `length` where it wraps."""
    return length if wraps else (_count(length, wraps, side, overlap) - 1) * (side - overlap) + side


def starts_along(length: int, wraps: bool, side: int, overlap: int) -> list[int]:
    """Where pieces start along one side of a canvas; they overlap by `overlap` pixels or more."""
    count = _count(length, wraps, side, overlap)
    if wraps:
        return [number * length // count for number in range(count)]
    return [number * (length - side) // max(1, count - 1) for number in range(count)]


def _count(length: int, wraps: bool, side: int, overlap: int) -> int:
    return max(1, -(-(length if wraps else length - overlap) // (side - overlap)))


def waves(ys: list[int], xs: list[int], lag: int, fewest: int) -> list[list[Corner]]:
    """The corners of pieces in raster order, in groups whose pieces do not touch: every row is `lag` pieces behind the
    one above, from the `fewest` columns on in which rows do not meet across a border that wraps. A canvas that is much
    longer than wide is laid from several places at once, so that the number of groups goes by its width."""
    rows, columns = len(ys), len(xs)
    if rows >= 2 * STRIP * max(columns, fewest):
        return [[(y, x) for x, y in group] for group in waves(xs, ys, lag, fewest)]
    strips = max(1, columns // (STRIP * max(rows, fewest)))
    firsts = [number * columns // strips for number in range(strips)]  # the first column of each strip
    groups: dict[int, list[Corner]] = {}
    for row, y in enumerate(ys):
        for column, x in enumerate(xs):
            along = column - firsts[bisect_right(firsts, column) - 1] if strips > 1 else column
            number = along + lag * row if columns >= fewest else column + columns * row
            groups.setdefault(number, []).append((y, x))
    return [group for _, group in sorted(groups.items())]


def at_borders(top: Tensor, side: int, size: tuple[int, int], wraps: tuple[bool, bool]) -> Tensor:
    """Which sides (left, top, right, bottom) of pieces with corners `top` (B, 2) lie on a border of a canvas of `size`
    that does not wrap: (B, 4) bool."""
    open_ends = ~torch.tensor(wraps, device=top.device)
    low, high = (top == 0) & open_ends, (top + side == top.new_tensor(size)) & open_ends
    return torch.cat([low.flip(1), high.flip(1)], 1)


def shortlist(score: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """The numbers of the `count` candidates of least score, (B, n) -> (B, T), with some chance among near-equals."""
    score = score + JITTER * torch.rand(score.shape, generator=rng).to(score.device)
    return score.topk(min(count, score.shape[1]), largest=False).indices


def cut_candidates(gap: Tensor, painted: Tensor, borders: Tensor, overlap: int) -> tuple[Tensor, Tensor]:
    """The cheapest cuts of T candidates for each of B square pieces: which pixels of the canvas stay, (B, T, s^2) bool,
    and the cost of each cut per pixel of its length, (B, T).

    gap: (B, T, s^2), squared differences of candidates and canvas. painted: (B, s^2) bool, which pixels of the canvas
    are painted. borders: (B, 4), as from `at_borders`.
    """
    side, count = round(gap.shape[2] ** 0.5), gap.shape[1]
    masks, ends = (t.repeat_interleave(count, 0) for t in (painted, borders))
    keep, cost = cut_sides(gap.view(-1, side, side), masks.view(-1, side, side), ends, overlap)
    return keep.view(gap.shape), cost.view(gap.shape[:2]) / side


def cheapest_cuts(pieces: Candidates, painted: Tensor, overlap: int) -> tuple[Tensor, Tensor, Tensor]:
    """The number (B,) of the piece at each place that is cheapest with its cut, the pixels of the canvas that stay when
    it is laid, (B, s^2) bool, and the costs (B, T) of all cuts. painted: (B, s^2) bool, of the canvas."""
    task = *pieces.tensors, painted, pieces.borders
    if twin := native.kernel("cheapest_cuts", *task):
        pick, keep, cost = twin(*task, pieces.side, overlap)
        return pick, keep, cost
    keep, cost = cut_candidates(pieces.gaps(), painted, pieces.borders, overlap)
    pick = pieces.cheapest(cost)
    return pick, keep[torch.arange(len(pick), device=pick.device), pick], cost


def meet(colours: Tensor, a: Tensor, b: Tensor, stride: int) -> Tensor:
    """Price of source pixels `a` and `b` as neighbours `stride` apart in the atlas: what both continue to is compared
    on both sides (Kwatra et al. 2003, eq. 1, squared). Broadcasts over a and b."""
    last = len(colours) - 1
    here = colours[a] - colours[(b - stride).clamp(0, last)]
    there = colours[(a + stride).clamp(0, last)] - colours[b]
    return (in_turn(here.square()) + in_turn(there.square())) / 2


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


def path(error: Tensor, slope: float = 0.0) -> tuple[Tensor, Tensor]:
    """Vertical path of least error through (B, rows, cols) (Efros & Freeman 2001, section 2.1): its column in every
    row, (B, rows), and its cost, (B,). A step aside costs `slope` times the error that it leads to, on top. Of equal
    columns the first is taken. Each row waits for the one above, so the errors of a device come to the processor: one
    copy there and back costs it less than a dozen launches a row."""
    if error.device.type != "cpu":
        at, cost = path(error.cpu(), slope)
        return at.to(error.device), cost.to(error.device)
    error = error.contiguous()
    if twin := native.kernel("path", error):
        at, cost = twin(error, slope)
        return at, cost
    total = [error[:, 0]]
    for row in range(1, error.shape[1]):
        above = -F.max_pool1d(-total[-1][:, None], 3, stride=1, padding=1)[:, 0]
        if slope:
            above = torch.minimum(total[-1], above + slope * error[:, row])
        total.append(error[:, row] + above)
    at = total[-1].argmin(1)
    columns = [at]
    aside = slope * torch.tensor([1.0, 0.0, 1.0], device=error.device)
    for row in range(error.shape[1] - 2, -1, -1):
        near = torch.stack([at - 1, at, at + 1], 1).clamp(0, error.shape[2] - 1)
        reached = total[row].gather(1, near)
        if slope:
            reached = reached + aside * error[:, row + 1].gather(1, at[:, None])
        at = near.gather(1, reached.argmin(1, keepdim=True))[:, 0]
        columns.append(at)
    return torch.stack(columns[::-1], 1), total[-1].amin(1)
