"""Dense correspondence: for every pixel of a target the pixel of a source that it is most like, and warps along it.

Coarse to fine, after PatchMatch (Barnes et al. 2009) and Zhou et al. 2021 (CoCosNet v2): pixels inherit the match of
their parent, a grid of them is compared with the whole source, and matches propagate to neighbours. Differs from both
in: neighbours that do not continue each other have a price, and in a warp all windows that cover a pixel have a vote.
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

PAIRS_AT_COARSEST = 1 << 26  # pairs of pixels that are compared at the coarsest level, of all its pixels
PAIRS_AT_FINER = 1 << 25  # and at most at every finer one, of a grid of the target's and the whole source
PIXELS_AT_ONCE = 1 << 15  # pixels whose candidates are compared at once
SEAM_PRICE = 0.03  # of four neighbours that do not continue a match; 1 is the variance of descriptors
COHERENCE = 1.0  # and in addition so many times the mean distance: the less is alike, the less each pixel tells
SMALLEST_SIDE = 16  # pixels of the shorter side of the coarsest level
MOST_PIXELS = 1 << 21  # larger pictures are compared halved, and their correspondence is enlarged
PROPAGATION_STEPS = (4, 1, 2, 1)  # pixels over which matches propagate, one pass each
CROSS = ((-1, 0), (1, 0), (0, -1), (0, 1))  # the neighbours that a match should continue
SQUARE = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]  # those whose matches are tried
VOTE_TOLERANCE = 0.4  # of full strength: votes that differ by more count little
VOTE_RADIUS = 3  # pixels: windows that vote on a pixel have their middles this near

Report = Callable[[int, int], None]  # (steps done, of how many)


def levels(source: tuple[int, int], target: tuple[int, int]) -> list[int]:
    """The halvings at which pictures of these sizes are compared, coarsest first: that has few enough pairs of pixels
    to compare them all, the finest at most MOST_PIXELS pixels."""

    def pixels(level: int) -> list[int]:
        return [halved(h, level) * halved(w, level) for h, w in (source, target)]

    finest = next(n for n in count() if max(pixels(n)) <= MOST_PIXELS)
    shortest, coarsest = min(*source, *target), finest
    while math.prod(pixels(coarsest)) > PAIRS_AT_COARSEST and halved(shortest, coarsest + 1) >= SMALLEST_SIDE:
        coarsest += 1
    return list(range(coarsest, finest - 1, -1))


@dataclass(frozen=True)
class Match:
    """A correspondence.

    y, x: (h, w) int64, the source pixel of each target pixel.
    cost: (h, w), the squared distance of their descriptors.
    size: the (height, width) of the source.
    """

    y: Tensor
    x: Tensor
    cost: Tensor
    size: tuple[int, int]


def correspond(
    source: Sequence[Tensor], target: Sequence[Tensor], rng: torch.Generator, coherence: float = COHERENCE,
    report: Report = lambda *_: None
) -> Match:  # fmt: skip
    """The correspondence of two pictures by their descriptors (1, D, h, w), coarsest first, each level twice the size
    of the one before. More `coherence`, 0 or more, keeps larger pieces of the source together."""
    match: Match | None = None
    steps = len(PROPAGATION_STEPS) + 1
    for level, (keys, queries) in enumerate(zip(source, target, strict=True)):
        search = _Search.of(keys, queries, coherence)
        match = search.start() if match is None else search.finer(match)
        match = search.seed(match, PAIRS_AT_COARSEST if level == 0 else PAIRS_AT_FINER, rng)
        report(level * steps + 1, len(source) * steps)
        for number, step in enumerate(PROPAGATION_STEPS):
            match = search.propagate(match, step)
            report(level * steps + number + 2, len(source) * steps)
    assert match is not None
    return match


@dataclass(frozen=True)
class _Search:
    """One level.

    keys, queries: (Ns, D) and (Nt, D), the descriptors of the source and of the target.
    size, shape: the (height, width) of the source and of the target.
    coherence: how much more seams cost than SEAM_PRICE, in mean distances.
    """

    keys: Tensor
    queries: Tensor
    size: tuple[int, int]
    shape: tuple[int, int]
    coherence: float

    @staticmethod
    def of(source: Tensor, target: Tensor, coherence: float) -> _Search:
        keys, queries = (layer[0].flatten(1).T.contiguous() for layer in (source, target))
        (h, w), (height, width) = source.shape[2:], target.shape[2:]
        return _Search(keys, queries, (h, w), (height, width), coherence)

    def start(self) -> Match:
        """Every pixel matched to its own place; pictures of two sizes are stretched onto each other."""
        sides = zip(self.shape, self.size, strict=True)
        rows, columns = ((torch.arange(n, device=self.keys.device) + 0.5) * m / n for n, m in sides)
        return self._measured(*torch.meshgrid(rows.long(), columns.long(), indexing="ij"))

    def finer(self, match: Match) -> Match:
        """The matches of parents, plus each pixel's own parity; or a pixel's own place where that is better."""
        parents = enlarge(match, self.shape, self.size)
        inherited = self._measured(parents.y, parents.x)
        if self.shape != self.size:
            return inherited
        in_place = self.start()
        return self._improved(inherited, [(in_place.y, in_place.x)])

    def seed(self, match: Match, pairs: int, rng: torch.Generator) -> Match:
        """The match with the best of the whole source at a grid of pixels, so many that about `pairs` are compared."""
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

    def propagate(self, match: Match, step: int) -> Match:
        """The match after every pixel has tried what its eight neighbours `step` away continue to, and for a step of 1
        the source pixels beside its match."""
        candidates = [self._continued(match, dy * step, dx * step) for dy, dx in SQUARE]
        if step == 1:
            candidates += [self._inside(match.y + dy, match.x + dx) for dy, dx in SQUARE]
        return self._improved(match, candidates)

    def _continued(self, match: Match, dy: int, dx: int) -> tuple[Tensor, Tensor]:
        """Where each pixel would lie if it continued its neighbour at (dy, dx); beyond the border the last one."""
        h, w = self.shape
        rows, columns = (torch.arange(n, device=match.y.device) for n in self.shape)
        near, beside = (rows + dy).clamp(0, h - 1), (columns + dx).clamp(0, w - 1)
        y = match.y[near][:, beside] + (rows - near)[:, None]
        x = match.x[near][:, beside] + (columns - beside)
        return self._inside(y, x)

    def _inside(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return y.clamp(0, self.size[0] - 1), x.clamp(0, self.size[1] - 1)

    def _improved(self, match: Match, candidates: Sequence[tuple[Tensor, Tensor]]) -> Match:
        """The best of each pixel's match and candidates (y, x), (h, w) int64 each, by the distance of descriptors and
        by how many of the four neighbours continue it."""
        around = [self._flat(*self._continued(match, *near)) for near in CROSS]
        best, cost = self._flat(match.y, match.x).clone(), match.cost.view(-1).clone()
        price = SEAM_PRICE + self.coherence * float(cost.mean())
        total = cost + price * _share_apart(best, around)
        tried = [best.clone()]
        for y, x in candidates:
            place = self._flat(y, x)
            untried = torch.stack([place != other for other in tried]).all(0)
            tried = [tried[0], tried[-1], place]
            for some in untried.nonzero()[:, 0].split(PIXELS_AT_ONCE):
                candidate = place[some]
                distance = (self.keys[candidate] - self.queries[some]).square_().sum(1)
                candidate_total = distance + price * _share_apart(candidate, [other[some] for other in around])
                better = candidate_total < total[some]
                some, candidate = some[better], candidate[better]
                best[some], cost[some], total[some] = candidate, distance[better], candidate_total[better]
        h, w = self.shape
        return Match((best // self.size[1]).view(h, w), (best % self.size[1]).view(h, w), cost.view(h, w), self.size)

    def _flat(self, y: Tensor, x: Tensor) -> Tensor:
        """Source pixels (y, x) as flat indices (Nt,)."""
        return (y * self.size[1] + x).view(-1)

    def _measured(self, y: Tensor, x: Tensor) -> Match:
        """The match of these source pixels (h, w), with its cost."""
        parts = zip(self._flat(y, x).split(PIXELS_AT_ONCE), self.queries.split(PIXELS_AT_ONCE), strict=True)
        cost = torch.cat([(self.keys[some] - query).square_().sum(1) for some, query in parts])
        return Match(y, x, cost.view(self.shape), self.size)


def _share_apart(place: Tensor, around: Sequence[Tensor]) -> Tensor:
    """The share in [0, 1] of the neighbours, which continue to `around` (n,), that do not continue to `place` (n,)."""
    return sum((place != other).float() for other in around) / len(around)  # type: ignore[return-value]


def enlarge(match: Match, size: tuple[int, int], source: tuple[int, int]) -> Match:
    """The correspondence of pictures that were halved, for a target of `size` and a source of `source`, (height,
    width): every pixel matches at its own place within its parent's match."""
    factor = 1
    while -(-size[0] // factor) > match.y.shape[0]:
        factor *= 2
    rows, columns = (torch.arange(n, device=match.y.device) for n in size)
    up = rows[:, None] // factor, columns // factor
    y = (match.y[up] * factor + rows[:, None] % factor).clamp_(max=source[0] - 1)
    x = (match.x[up] * factor + columns % factor).clamp_(max=source[1] - 1)
    return Match(y, x, match.cost[up], source)


def warp(match: Match, layer: Tensor) -> Tensor:
    """A layer (1, C, Hs, Ws) of the source warped to the target, (1, C, h, w), by votes.

    Every window that covers a pixel votes for what its match has there. The mean, in which near and well matched
    windows count more, is taken twice: the second time of the votes that agree with the first, so that edges stay.
    """
    table = layer[0].flatten(1).T.contiguous()
    weight = torch.exp(-match.cost / (2 * match.cost.mean().clamp(min=1e-4)))
    mean = _vote(match, table, weight, None)
    return _vote(match, table, weight, mean).permute(2, 0, 1)[None].contiguous()


def _vote(match: Match, table: Tensor, weight: Tensor, mean: Tensor | None) -> Tensor:
    """The mean of all votes for the values `table` (Ns, C), by the `weight` (h, w) of each target pixel's match and by
    how near they are to `mean` (h, w, C): (h, w, C)."""
    h, w = match.y.shape
    total, weights = (torch.zeros(h, w, n, device=table.device) for n in (table.shape[1], 1))
    for dy in range(-VOTE_RADIUS, VOTE_RADIUS + 1):
        for dx in range(-VOTE_RADIUS, VOTE_RADIUS + 1):
            here = slice(max(0, dy), h + min(0, dy)), slice(max(0, dx), w + min(0, dx))
            voter = slice(max(0, -dy), h + min(0, -dy)), slice(max(0, -dx), w + min(0, -dx))
            y, x = match.y[voter] + dy, match.x[voter] + dx
            inside = (y >= 0) & (y < match.size[0]) & (x >= 0) & (x < match.size[1])
            value = table[y.clamp_(0, match.size[0] - 1) * match.size[1] + x.clamp_(0, match.size[1] - 1)]
            vote = weight[voter] * inside * math.exp(-2 * (dy * dy + dx * dx) / (VOTE_RADIUS * VOTE_RADIUS))
            if mean is not None:
                vote *= torch.exp((value - mean[here]).square().sum(2) / (-2 * VOTE_TOLERANCE * VOTE_TOLERANCE))
            total[here] += value.mul_(vote[:, :, None])
            weights[here] += vote[:, :, None]
    return total / weights
