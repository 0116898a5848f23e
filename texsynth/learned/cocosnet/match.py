"""The soft match of CoCosNet (Zhang et al. 2020): each position of a picture takes what like positions of another hold.

Features are centred over their channels and normalised, so that what counts is the cosine; a softmax over the other's
positions says how much is taken of each. Whatever lies on its grid can be taken: colours, labels, whole cells of
pixels, an edit layer. Warping back (the cycle) is the same with both sides exchanged.

Large grids go from coarse to fine: each position keeps a few candidates, found by PatchMatch (Barnes et al. 2009).

Differs from CoCosNet v2 (Zhou et al. 2021) in: candidates are improved by all four neighbours and by random search
instead of by a recurrent network, which as released gets no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from texsynth.learned.shared.conv import OFF, Tile
from texsynth.learned.shared.margins import extended

TEMPERATURE = 0.01
MEMORY = 256 << 20  # bytes for the matrices of a match
MATRICES = 3  # as large as the largest one, that a match has at a time, forwards and backwards
CACHE = 4 << 20  # bytes that a processor passes over quickly
SHARED_CANDIDATES = 4  # that a position looks at of each neighbour, so that looking is cheap
SMALLEST_LENGTH = 1e-6  # of a vector, added to its length
WINDOW = (-1, 0, 1, 2)  # around where a match of the coarser grid leads
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1))
Size = tuple[int, int]


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
    return x / (length + SMALLEST_LENGTH)


def match(
    queries: Tensor, keys: Tensor, values: Tensor, temperature: float = TEMPERATURE, memory: int = MEMORY
) -> Tensor:
    """The weighted means of values (1, C, H, W) of keys (1, D, H, W) for queries (1, D, h, w): (1, C, h, w).

    memory: bytes for the matrices; what exceeds them is done in parts, and again for the gradient.
    """
    q, k, v = rows(descriptors(queries)), rows(descriptors(keys)), rows(values)

    def part(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (q @ k.T / temperature).softmax(1) @ v

    return _map(_in_parts(part, q.split(_height(len(k), q, memory)), (k, v)), queries)


def gather_patches(image: Tensor, side: int, gather: Callable[[Tensor], Tensor]) -> Tensor:
    """An image (1, C, H, W) taken in whole cells of side x side pixels, so that its detail is kept: (1, C, h * side,
    w * side). gather: what `match` does with its queries and keys, as a function of values on the grid of cells."""
    short = [-n % side for n in image.shape[2:]]
    whole = F.pad(image, [0, short[1], 0, short[0]], mode="replicate") if any(short) else image
    return F.pixel_shuffle(gather(F.pixel_unshuffle(whole, side)), side)


@torch.no_grad()
def candidates(
    queries: Sequence[Tensor], keys: Sequence[Tensor], count: int, rng: torch.Generator, rounds: int = 5,
    memory: int = MEMORY,
) -> Tensor:  # fmt: skip
    """The positions among the keys that queries may best take from: (count, h, w), best first, in raster order.

    queries (1, D, h, w), keys (1, D, H, W): pyramids, coarse to fine, each grid half the next one, rounded up. All
    pairs of the coarsest are compared; on finer ones a position looks, in several rounds, at the candidates of its
    neighbours and at random ones. A candidate is named twice where there are fewer keys than `count`.
    """
    q, k = rows(descriptors(queries[0])), rows(descriptors(keys[0]))
    parts = q.split(_height(len(k), q, memory))
    positions = torch.cat([(part @ k.T).topk(min(count, len(k))).indices for part in parts])
    for (before, query), (source, key) in zip(pairwise(queries), pairwise(keys), strict=True):
        q, k, grid, size = rows(descriptors(query)), rows(descriptors(key)), _size(query), _size(key)
        finer = _doubled(positions, (_size(before), grid), (_size(source), size))
        positions = _refined(q, k, finer, count, memory)
        for _ in range(rounds):
            near = [_beside(positions, grid, size, direction) for direction in DIRECTIONS]
            proposals = torch.cat([positions, *near, _random(positions, size, rng)], 1)
            positions = _refined(q, k, proposals, count, memory)
    if positions.shape[1] < count:
        positions = torch.cat([positions, positions[:, -1:].expand(-1, count - positions.shape[1])], 1)
    out: Tensor = positions.T.unflatten(1, _size(queries[-1]))
    return out


def match_among(
    queries: Tensor, keys: Tensor, values: Tensor, indices: Tensor, temperature: float = TEMPERATURE,
    memory: int = MEMORY,
) -> Tensor:  # fmt: skip
    """`match`, in which each position takes from its candidates only, (count, h, w); one named twice counts once.
    Gradients flow to queries, keys and values."""
    q, k, v = rows(descriptors(queries)), rows(descriptors(keys)), rows(values)
    among = indices.flatten(1).T.sort(1).values

    def part(q: Tensor, k: Tensor, v: Tensor, among: Tensor) -> Tensor:
        scores = _scores(q, k, among) / temperature
        weights = scores.masked_fill(_again(among), -torch.inf).softmax(1)
        return torch.bmm(weights[:, None], F.embedding(among, v))[:, 0]

    height = _height(len(indices) * (q.shape[1] + v.shape[1]), q, memory)
    return _map(_in_parts(part, q.split(height), (k, v), among.split(height)), queries)


def rows(x: Tensor) -> Tensor:
    """A map (1, C, h, w) as a table (h * w, C)."""
    return x[0].flatten(1).T


def _map(table: Tensor, like: Tensor) -> Tensor:
    """A table (h * w, C) as a map (1, C, h, w), with the grid of `like`."""
    out: Tensor = table.T.unflatten(1, like.shape[2:])
    return out[None]


def _size(x: Tensor) -> Size:
    return x.shape[2], x.shape[3]


def _height(width: int, like: Tensor, memory: int) -> int:
    """The number of rows of `width` numbers that may be treated at a time."""
    return max(1, memory // (MATRICES * width * like.element_size()))


def _in_parts(
    work: Callable[..., Tensor], parts: Sequence[Tensor], shared: Sequence[Tensor], *more: Sequence[Tensor]
) -> Tensor:
    """work(part, *shared, *more) of all parts, one below the other; for the gradient it is done again, so that only the
    results are kept."""
    if len(parts) == 1:
        return work(parts[0], *shared, *(each[0] for each in more))
    again = partial(checkpoint, work, use_reentrant=False, preserve_rng_state=False)
    return torch.cat([again(part, *shared, *others) for part, *others in zip(parts, *more, strict=True)])


def _scores(q: Tensor, k: Tensor, among: Tensor) -> Tensor:
    """The cosines of unit rows (N, D) with those of the rows of (M, D) that each names, (N, n). The gradient of an
    embedding is summed in an order that is always the same."""
    return torch.bmm(F.embedding(among, k), q[:, :, None])[:, :, 0]


def _again(among: Tensor) -> Tensor:
    """Where a number in sorted rows (N, n) equals the one before it."""
    return F.pad(among[:, 1:] == among[:, :-1], (1, 0))


def _refined(q: Tensor, k: Tensor, among: Tensor, count: int, memory: int) -> Tensor:
    """The best `count` of each row of positions (N, n), best first; repetitions come last."""
    among = among.sort(1).values
    height = _height(among.shape[1] * k.shape[1], k, min(memory, CACHE) if k.device.type == "cpu" else memory)
    parts = [
        _scores(some, k, named).masked_fill(_again(named), -torch.inf)
        for some, named in zip(q.split(height), among.split(height), strict=True)
    ]
    best = torch.cat(parts).topk(min(count, among.shape[1])).indices
    return among.gather(1, best)


def _doubled(positions: Tensor, grids: tuple[Size, Size], sizes: tuple[Size, Size]) -> Tensor:
    """Candidates (N, n) on a coarse grid as candidates on one twice as fine: the same quarters of their cells, and what
    is around the best one. grids, sizes: the coarse and the fine grid of the queries, and of the keys."""
    (rows, columns), (y, x) = grids[0], _places(grids[1], positions.device)
    positions = positions[(y // 2).clamp(max=rows - 1) * columns + (x // 2).clamp(max=columns - 1)]
    down, across = positions // sizes[0][1] * 2, positions % sizes[0][1] * 2
    window = torch.tensor([(i, j) for i in WINDOW for j in WINDOW], device=positions.device)
    same = _number(down + (y % 2)[:, None], across + (x % 2)[:, None], sizes[1])
    around = _number(down[:, :1] + window[:, 0], across[:, :1] + window[:, 1], sizes[1])
    return torch.cat([same, around], 1)


def _beside(positions: Tensor, grid: Size, size: Size, direction: Size) -> Tensor:
    """The best candidates of the neighbours at -direction, moved by the direction, (N, n): positions (N, count)."""
    y, x = _places(grid, positions.device)
    neighbours = _number(y - direction[0], x - direction[1], grid)
    theirs = positions[:, :SHARED_CANDIDATES].index_select(0, neighbours)
    return _number(theirs // size[1] + direction[0], theirs % size[1] + direction[1], size)


def _random(positions: Tensor, size: Size, rng: torch.Generator) -> Tensor:
    """Positions around the best candidate, (N, m): one from the whole grid, one from half of it, and so on."""
    radii = torch.tensor([max(size) >> n for n in range(max(size).bit_length())], device=positions.device)
    offsets = torch.rand(len(positions), len(radii), 2, generator=rng).to(positions.device) * 2 - 1
    down, across = (offsets * radii[:, None]).round().long().unbind(2)
    return _number(positions[:, :1] // size[1] + down, positions[:, :1] % size[1] + across, size)


def _places(grid: Size, device: torch.device) -> tuple[Tensor, Tensor]:
    """The y and the x of all positions in raster order, (h * w,) each."""
    index = torch.arange(grid[0] * grid[1], device=device)
    return index // grid[1], index % grid[1]


def _number(y: Tensor, x: Tensor, size: Size) -> Tensor:
    """The number of (y, x) in raster order; a position beyond a border is moved onto it."""
    return y.clamp(0, size[0] - 1) * size[1] + x.clamp(0, size[1] - 1)
