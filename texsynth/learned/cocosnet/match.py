"""The soft match of CoCosNet (Zhang et al. 2020): each position of a picture takes what like positions of another hold.

Features are centred over their channels and normalised, so that what counts is the cosine; a softmax over the other's
positions says how much is taken of each. Whatever lies on its grid can be taken: colours, labels, whole cells of
pixels, an edit layer. Warping back (the cycle) is the same with both sides exchanged.

Large grids go from coarse to fine: each position keeps a few candidates, found by PatchMatch (Barnes et al. 2009).

Differs from CoCosNet v2 (Zhou et al. 2021) in: candidates are improved by all four neighbours and by random search
instead of by a recurrent network, which as released gets no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from texsynth.learned.shared.conv import OFF, Tile
from texsynth.learned.shared.margins import extended

TEMPERATURE = 0.01
MEMORY = 256 << 20
COPIES = 3  # of the largest matrix that a match has at a time, forwards and backwards
CACHE = 4 << 20  # bytes that a processor passes over quickly
SHOWN = 4  # candidates that a position shows its neighbours, so that looking at them is cheap
EPSILON = 1e-6  # of the length of a vector
WINDOW = (-1, 0, 1, 2)  # around where a match of the coarser grid leads
Size = tuple[int, int]
NEIGHBOURS = ((1, 0), (-1, 0), (0, 1), (0, -1))


def descriptors(x: Tensor, patch: int = 1, tile: Tile = OFF) -> Tensor:
    """Features (1, C, h, w) -> (1, C * patch^2, h, w): each position's window of an odd side, less its mean, over its
    length. A window without any differences becomes 0. Descriptors of descriptors are themselves."""
    size = x.shape[2:]
    if patch > 1:
        for _ in range(patch // 2):  # row by row, as a small map has no more to mirror
            x = extended(x, 1, tile)
        x = F.unfold(x, patch).unflatten(2, size)
    x = x - x.mean(1, keepdim=True)
    length: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x / (length + EPSILON)


def match(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    temperature: float = TEMPERATURE,
    memory: int = MEMORY,
    queries_labels: Tensor | None = None,
    keys_labels: Tensor | None = None,
) -> Tensor:
    """queries (1, D, h, w), keys (1, D, H, W), values (1, C, H, W) -> (1, C, h, w), weighted means of the values.

    queries_labels (1, 1, h, w), keys_labels (1, 1, H, W): only positions of one label match; a position whose label
    the keys lack matches all. memory: bytes for the matrices; what exceeds them is done in parts, and again for the
    gradient.
    """
    q, k, v = rows(descriptors(queries)), rows(descriptors(keys)), rows(values)
    if queries_labels is None or keys_labels is None:
        out = _attend(q, k, v, temperature, memory)
    else:
        done, order = [], []
        for mine, theirs in _groups(queries_labels.flatten(), keys_labels.flatten()):
            some, known = (k, v) if theirs is None else (k.index_select(0, theirs), v.index_select(0, theirs))
            done.append(_attend(q.index_select(0, mine), some, known, temperature, memory))
            order.append(mine)
        out = torch.cat(done).index_select(0, torch.cat(order).argsort())
    return _map(out, queries)


def gather_patches(image: Tensor, side: int, gather: Callable[[Tensor], Tensor]) -> Tensor:
    """An image (1, C, H, W) taken in whole cells of side x side pixels, so that its detail is kept.

    gather: values (1, C * side^2, ceil(H / side), ceil(W / side)) -> (1, C * side^2, h, w), as `match` does with its
    queries and keys. Gives (1, C, h * side, w * side).
    """
    short = [-n % side for n in image.shape[2:]]
    whole = F.pad(image, [0, short[1], 0, short[0]], mode="replicate") if any(short) else image
    return F.pixel_shuffle(gather(F.pixel_unshuffle(whole, side)), side)


@torch.no_grad()
def candidates(
    queries: Sequence[Tensor],
    keys: Sequence[Tensor],
    count: int,
    rng: torch.Generator,
    rounds: int = 5,
    memory: int = MEMORY,
) -> Tensor:
    """The positions among the keys that queries may best take from: (count, h, w), best first, numbers in raster order.

    queries (1, D, h, w), keys (1, D, H, W): pyramids, coarse to fine, each grid half the next one, rounded up. On the
    coarsest all pairs are compared. rounds: of looking at the neighbours' candidates and at random, on each finer grid.
    A position may be named twice where the keys have less than `count`.
    """
    found = _compared(queries[0], keys[0], count, memory)
    for (before, query), (source, key) in zip(pairwise(queries), pairwise(keys), strict=True):
        q, k, grid, size = rows(descriptors(query)), rows(descriptors(key)), _size(query), _size(key)
        found = _refined(q, k, _doubled(found, _size(before), grid, _size(source), size), count, memory)
        for _ in range(rounds):
            near = [_beside(found, grid, size, step) for step in NEIGHBOURS]
            found = _refined(q, k, torch.cat([found, *near, _random(found, size, rng)], 1), count, memory)
    if found.shape[1] < count:
        found = torch.cat([found, found[:, -1:].expand(-1, count - found.shape[1])], 1)
    out: Tensor = found.T.unflatten(1, _size(queries[-1]))
    return out


def match_among(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    indices: Tensor,
    temperature: float = TEMPERATURE,
    memory: int = MEMORY,
) -> Tensor:
    """`match`, with each position taking from its candidates only. indices: (count, h, w) as from `candidates`; what is
    named twice counts once. Gradients flow to the queries, to the keys and to the values."""
    q, k, v = rows(descriptors(queries)), rows(descriptors(keys)), rows(values)
    among = indices.flatten(1).T.sort(1).values

    def part(q: Tensor, k: Tensor, v: Tensor, among: Tensor) -> Tensor:
        scores = _scores(q, k, among) / temperature
        weights = scores.masked_fill(_again(among), -torch.inf).softmax(1)
        return torch.bmm(weights[:, None], F.embedding(among, v))[:, 0]

    height = _height(len(indices) * (q.shape[1] + v.shape[1]), q, memory)
    return _map(_in_parts(part, q.split(height), (k, v), among.split(height)), queries)


def rows(x: Tensor) -> Tensor:
    """(1, C, h, w) -> (h * w, C)."""
    return x[0].flatten(1).T


def _map(table: Tensor, like: Tensor) -> Tensor:
    """(h * w, C) -> (1, C, h, w), the grid being that of `like`."""
    out: Tensor = table.T.unflatten(1, like.shape[2:])
    return out[None]


def _size(x: Tensor) -> Size:
    return x.shape[2], x.shape[3]


def _height(width: int, like: Tensor, memory: int) -> int:
    """How many rows of `width` numbers may be treated at a time."""
    return max(1, memory // (COPIES * width * like.element_size()))


def _parts(table: Tensor, width: int, memory: int) -> Sequence[Tensor]:
    parts: Sequence[Tensor] = table.split(_height(width, table, memory))
    return parts


def _in_parts(
    work: Callable[..., Tensor], parts: Sequence[Tensor], shared: Sequence[Tensor], *more: Sequence[Tensor]
) -> Tensor:
    """work(part, *shared, *...) of all parts, one below the other. Of more than one nothing but the results is kept."""
    if len(parts) == 1:
        return work(parts[0], *shared, *(each[0] for each in more))
    return torch.cat(
        [
            checkpoint(work, part, *shared, *others, use_reentrant=False, preserve_rng_state=False)
            for part, *others in zip(parts, *more, strict=True)
        ]
    )


def _attend(q: Tensor, k: Tensor, v: Tensor, temperature: float, memory: int) -> Tensor:
    """Unit rows (N, D) and (M, D), values (M, C) -> (N, C)."""

    def part(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (q @ k.T / temperature).softmax(1) @ v

    return _in_parts(part, _parts(q, len(k), memory), (k, v))


def _groups(mine: Tensor, theirs: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Positions (n,) of each label and those that they may match, None for all."""
    missing = ~torch.isin(mine, theirs)
    for label in mine[~missing].unique():
        yield (mine == label).nonzero()[:, 0], (theirs == label).nonzero()[:, 0]
    if missing.any():
        yield missing.nonzero()[:, 0], None


def _scores(q: Tensor, k: Tensor, among: Tensor) -> Tensor:
    """Cosines of unit rows (N, D) with the rows of (M, D) that each names, (N, n). An embedding, as its gradient is
    summed in an order that is always the same."""
    return torch.bmm(F.embedding(among, k), q[:, :, None])[:, :, 0]


def _again(among: Tensor) -> Tensor:
    """Where a number of sorted rows (N, n) is the one before."""
    return F.pad(among[:, 1:] == among[:, :-1], (1, 0))


def _refined(q: Tensor, k: Tensor, among: Tensor, count: int, memory: int) -> Tensor:
    """The best `count` of each row of positions (N, n), best first; what is named twice comes last the second time."""
    among = among.sort(1).values
    height = _height(among.shape[1] * k.shape[1], k, min(memory, CACHE) if k.device.type == "cpu" else memory)
    parts = [
        _scores(some, k, named).masked_fill(_again(named), -torch.inf)
        for some, named in zip(q.split(height), among.split(height), strict=True)
    ]
    best = torch.cat(parts).topk(min(count, among.shape[1])).indices
    return among.gather(1, best)


def _compared(query: Tensor, key: Tensor, count: int, memory: int) -> Tensor:
    """The best `count` of all positions of a key (1, D, H, W) for each of a query (1, D, h, w): (h * w, count)."""
    q, k = rows(descriptors(query)), rows(descriptors(key))
    return torch.cat([(part @ k.T).topk(min(count, len(k))).indices for part in _parts(q, len(k), memory)])


def _doubled(found: Tensor, before: Size, grid: Size, source: Size, size: Size) -> Tensor:
    """Candidates (N, n) of a grid `before` among keys `source` as some of a grid twice as fine, among keys `size`: all
    of them for the same quarter of a cell, and what is around the best one."""
    y, x = _places(grid, found.device)
    found = found[(y // 2).clamp(max=before[0] - 1) * before[1] + (x // 2).clamp(max=before[1] - 1)]
    down, across = found // source[1] * 2, found % source[1] * 2
    window = torch.tensor([(i, j) for i in WINDOW for j in WINDOW], device=found.device)
    same = _number(down + (y % 2)[:, None], across + (x % 2)[:, None], size)
    around = _number(down[:, :1] + window[:, 0], across[:, :1] + window[:, 1], size)
    return torch.cat([same, around], 1)


def _beside(found: Tensor, grid: Size, size: Size, step: Size) -> Tensor:
    """The best candidates of the neighbours at -step, moved by the step, (N, n): found (N, count)."""
    y, x = _places(grid, found.device)
    theirs = found[:, :SHOWN].index_select(0, _number(y - step[0], x - step[1], grid))
    return _number(theirs // size[1] + step[0], theirs % size[1] + step[1], size)


def _random(found: Tensor, size: Size, rng: torch.Generator) -> Tensor:
    """Positions around the best candidate, (N, m): one from the whole grid, one from half of it, and so on."""
    radii = torch.tensor([max(size) >> n for n in range(max(size).bit_length())], device=found.device)
    offsets = torch.rand(len(found), len(radii), 2, generator=rng).to(found.device) * 2 - 1
    down, across = (offsets * radii[:, None]).round().long().unbind(2)
    return _number(found[:, :1] // size[1] + down, found[:, :1] % size[1] + across, size)


def _places(grid: Size, device: torch.device) -> tuple[Tensor, Tensor]:
    """(y, x) of all positions in raster order, (h * w,) each."""
    index = torch.arange(grid[0] * grid[1], device=device)
    return index // grid[1], index % grid[1]


def _number(y: Tensor, x: Tensor, size: Size) -> Tensor:
    """Where (y, x) is in raster order; what is beyond a border is moved onto it."""
    return y.clamp(0, size[0] - 1) * size[1] + x.clamp(0, size[1] - 1)
