"""Dense correspondence: for every pixel of a target the pixel of a source that it is most like, and warps along it.

Coarse to fine, after PatchMatch (Barnes et al. 2009) and Zhou et al. 2021 (CoCosNet v2): pixels inherit the match of
their parent, a grid of them is compared with the whole source, and matches spread to neighbours. What is added is a
price on neighbours that do not continue each other, and a warp in which all windows that cover a pixel have a vote.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from texsynth.patches.nearest import nearest, stride
from texsynth.pyramid import halved

PAIRS = 1 << 26  # distances that the coarsest level computes, of all its pixels
SEEDS = 1 << 25  # and at most every finer one, between a grid of the target's and the whole source
CHUNK = 1 << 15  # pixels whose candidates are compared at once
PRICE = 0.03  # of four neighbours that do not continue a match; 1 is the variance of descriptors
COHERENCE = 1.0  # and in addition so many times the mean distance: the less is alike, the less each pixel knows
SMALLEST = 16  # pixels of the shorter side of the coarsest level
FINEST = 1 << 21  # pixels: larger pictures are compared halved, and their correspondence is enlarged
STEPS = (4, 1, 2, 1)  # pixels over which matches spread, one pass each
CROSS = ((-1, 0), (1, 0), (0, -1), (0, 1))
SQUARE = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
AGREE = 0.4  # of full strength: votes that differ by more count little
RADIUS = 3  # pixels: windows that vote on a pixel have their middles this near

Report = Callable[[int, int], None]  # (steps done, of how many)


def levels(source: tuple[int, int], target: tuple[int, int]) -> list[int]:
    """The halvings at which pictures of these sizes are compared, coarsest first: few enough pairs of pixels to
    compare them all, down to the finest with FINEST pixels."""
    sizes = [source, target]
    finest = next(n for n in count() if all(_pixels(size, n) <= FINEST for size in sizes))
    last = finest
    while math.prod(_pixels(size, last) for size in sizes) > PAIRS and all(
        halved(min(size), last + 1) >= SMALLEST for size in sizes
    ):
        last += 1
    return list(range(last, finest - 1, -1))


@dataclass(frozen=True)
class Match:
    """y, x: (h, w) long, the source pixel of each target pixel. cost: (h, w), the squared distance of descriptors.
    size: (height, width) of the source."""

    y: Tensor
    x: Tensor
    cost: Tensor
    size: tuple[int, int]


def correspond(
    source: Sequence[Tensor],
    target: Sequence[Tensor],
    rng: torch.Generator,
    coherence: float = COHERENCE,
    report: Report = lambda *_: None,
) -> Match:
    """The correspondence of two pictures. source, target: descriptors (1, D, h, w), coarsest first, each level twice
    the size of the one before. coherence: 0 or more; more keeps larger pieces of the source together."""
    match: Match | None = None
    total = len(source) * (len(STEPS) + 1)
    for level, (there, here) in enumerate(zip(source, target, strict=True)):
        search = _Search.of(there, here, coherence)
        match = search.start() if match is None else search.finer(match)
        match = search.seed(match, PAIRS if level == 0 else SEEDS, rng)
        report(level * (len(STEPS) + 1) + 1, total)
        for number, step in enumerate(STEPS):
            match = search.spread(match, step)
            report(level * (len(STEPS) + 1) + number + 2, total)
    assert match is not None
    return match


@dataclass(frozen=True)
class _Search:
    """One level. keys: (Ns, D) of the source of `size`; queries: (Nt, D) of the target of `shape`."""

    keys: Tensor
    queries: Tensor
    size: tuple[int, int]
    shape: tuple[int, int]
    coherence: float

    @staticmethod
    def of(source: Tensor, target: Tensor, coherence: float) -> _Search:
        keys, queries = (layer[0].flatten(1).T.contiguous() for layer in (source, target))
        return _Search(keys, queries, _extent(source), _extent(target), coherence)

    def start(self) -> Match:
        """Each pixel's own place: pictures of one size may show one thing; others are stretched onto each other."""
        rows, columns = (
            (torch.arange(n, device=self.keys.device) + 0.5) * m / n for n, m in zip(self.shape, self.size, strict=True)
        )
        y, x = torch.meshgrid(rows.long(), columns.long(), indexing="ij")
        return self._priced(y, x)

    def finer(self, match: Match) -> Match:
        """The matches of parents, their pixels told apart; and each pixel's own place where that is better."""
        h, w = self.shape
        rows, columns = (torch.arange(n, device=self.keys.device) for n in (h, w))
        up = rows[:, None] // 2, columns // 2
        y = (2 * match.y[up] + rows[:, None] % 2).clamp_(max=self.size[0] - 1)
        x = (2 * match.x[up] + columns % 2).clamp_(max=self.size[1] - 1)
        found = self._priced(y, x)
        if self.shape != self.size:
            return found
        own = self.start()
        return self._better(found, [(own.y, own.x)])

    def seed(self, match: Match, pairs: int, rng: torch.Generator) -> Match:
        """A grid of pixels takes the best of the whole source; where it lies is left to chance."""
        h, w = self.shape
        step = stride(self.shape, max(1, pairs // len(self.keys)))
        top, left = (int(n) for n in torch.randint(step, (2,), generator=rng))
        rows = torch.arange(min(top, h - 1), h, step, device=self.keys.device)
        columns = torch.arange(min(left, w - 1), w, step, device=self.keys.device)
        at = (rows[:, None] * w + columns).flatten()
        cost, place = nearest(self.queries[at], self.keys)
        better = cost < match.cost.view(-1)[at]
        at, cost, place = at[better], cost[better], place[better]
        y, x, costs = (values.clone().view(-1) for values in (match.y, match.x, match.cost))
        y[at], x[at], costs[at] = place // self.size[1], place % self.size[1], cost
        return Match(y.view(h, w), x.view(h, w), costs.view(h, w), self.size)

    def spread(self, match: Match, step: int) -> Match:
        """One pass: every pixel tries what its eight neighbours `step` away continue to, and places one pixel off."""
        candidates = [self._continued(match, dy * step, dx * step) for dy, dx in SQUARE]
        if step == 1:
            candidates += [self._inside(match.y + dy, match.x + dx) for dy, dx in SQUARE]
        return self._better(match, candidates)

    def _continued(self, match: Match, dy: int, dx: int) -> tuple[Tensor, Tensor]:
        """Where each pixel would lie if it continued its neighbour at (dy, dx); beyond the border the last one."""
        h, w = self.shape
        rows = torch.arange(h, device=match.y.device)
        columns = torch.arange(w, device=match.y.device)
        near, beside = (rows + dy).clamp(0, h - 1), (columns + dx).clamp(0, w - 1)
        y = match.y[near][:, beside] + (rows - near)[:, None]
        x = match.x[near][:, beside] + (columns - beside)
        return self._inside(y, x)

    def _inside(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return y.clamp(0, self.size[0] - 1), x.clamp(0, self.size[1] - 1)

    def _better(self, match: Match, candidates: Sequence[tuple[Tensor, Tensor]]) -> Match:
        """The best of each pixel's match and candidates, by the distance and by how many neighbours continue it."""
        around = [(y * self.size[1] + x).view(-1) for y, x in (self._continued(match, *near) for near in CROSS)]
        best = (match.y * self.size[1] + match.x).view(-1).clone()
        cost = match.cost.view(-1).clone()
        price = PRICE + self.coherence * float(cost.mean())
        total = cost + price * _apart(best, around)
        tried = [best.clone()]
        for y, x in candidates:
            place = (y * self.size[1] + x).view(-1)
            new = place != tried[0]
            for other in tried[-2:]:
                new &= place != other
            tried = [tried[0], *tried[-1:], place]
            for some in new.nonzero()[:, 0].split(CHUNK):
                here = place[some]
                distance = (self.keys[here] - self.queries[some]).square_().sum(1)
                whole = distance + price * _apart(here, [other[some] for other in around])
                good = whole < total[some]
                some, here = some[good], here[good]
                best[some], cost[some], total[some] = here, distance[good], whole[good]
        h, w = self.shape
        return Match((best // self.size[1]).view(h, w), (best % self.size[1]).view(h, w), cost.view(h, w), self.size)

    def _priced(self, y: Tensor, x: Tensor) -> Match:
        place = (y * self.size[1] + x).view(-1)
        parts = zip(place.split(CHUNK), self.queries.split(CHUNK), strict=True)
        cost = torch.cat([(self.keys[some] - own).square_().sum(1) for some, own in parts])
        return Match(y, x, cost.view(self.shape), self.size)


def _apart(place: Tensor, around: Sequence[Tensor]) -> Tensor:
    """The price of the neighbours that do not continue to `place`: (n,)."""
    return sum((place != other).float() for other in around) / len(around)  # type: ignore[return-value]


def _pixels(size: tuple[int, int], level: int) -> int:
    return halved(size[0], level) * halved(size[1], level)


def _extent(layer: Tensor) -> tuple[int, int]:
    return int(layer.shape[2]), int(layer.shape[3])


def enlarge(match: Match, size: tuple[int, int], source: tuple[int, int]) -> Match:
    """A correspondence found on halved pictures, for a target of `size` and a source of `source`, (height, width)."""
    factor = 1
    while -(-size[0] // factor) > match.y.shape[0]:
        factor *= 2
    rows, columns = (torch.arange(n, device=match.y.device) for n in size)
    up = rows[:, None] // factor, columns // factor
    y = (match.y[up] * factor + rows[:, None] % factor).clamp_(max=source[0] - 1)
    x = (match.x[up] * factor + columns % factor).clamp_(max=source[1] - 1)
    return Match(y, x, match.cost[up], source)


def warp(match: Match, layer: Tensor) -> Tensor:
    """(1, C, Hs, Ws) of the source -> (1, C, h, w) of the target, by votes: every window that covers a pixel says what
    its match has there. The mean of them is taken, near and well matched windows counting more than others; then once
    more, of those that agree with it, so that edges stay edges. Where neighbours continue each other that is exact."""
    table = layer[0].flatten(1).T.contiguous()
    weight = torch.exp(-match.cost / (2 * match.cost.mean().clamp(min=1e-4)))
    mean = _vote(match, table, weight, None)
    return _vote(match, table, weight, mean).permute(2, 0, 1)[None].contiguous()


def _vote(match: Match, table: Tensor, weight: Tensor, mean: Tensor | None) -> Tensor:
    """The mean (h, w, C) of all votes, of which those far from `mean` count little."""
    h, w = match.y.shape
    total, sums = torch.zeros(h, w, table.shape[1], device=table.device), torch.zeros(h, w, 1, device=table.device)
    for dy in range(-RADIUS, RADIUS + 1):
        for dx in range(-RADIUS, RADIUS + 1):
            here = slice(max(0, dy), h + min(0, dy)), slice(max(0, dx), w + min(0, dx))
            there = slice(max(0, -dy), h + min(0, -dy)), slice(max(0, -dx), w + min(0, -dx))
            y, x = match.y[there] + dy, match.x[there] + dx
            inside = (y >= 0) & (y < match.size[0]) & (x >= 0) & (x < match.size[1])
            said = table[y.clamp_(0, match.size[0] - 1) * match.size[1] + x.clamp_(0, match.size[1] - 1)]
            vote = weight[there] * inside * math.exp(-2 * (dy * dy + dx * dx) / (RADIUS * RADIUS))
            if mean is not None:
                vote *= torch.exp((said - mean[here]).square().sum(2) / (-2 * AGREE * AGREE))
            total[here] += said.mul_(vote[:, :, None])
            sums[here] += vote[:, :, None]
    return total / sums
