"""The search space of one level: the source pixels that a field may copy, their windows and their look-alikes.

Look-alikes are the jumps that a field may take (Zelinka & Garland 2002), as in k-coherence (Tong et al. 2002).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth import native
from texsynth.features.windows import Basis, fit
from texsynth.field.atlas import Atlas
from texsynth.image.holes import grow
from texsynth.native.sums import in_lanes

PIXELS_DESCRIBED_AT_ONCE = 1 << 18  # bounds the memory
REACH = 16  # pixels round those in use that a level may move to
QUERIES_AT_ONCE = 1024  # windows that are compared with all others at once
KEYS = 4096  # source pixels that each one is compared with on the coarsest level; of more, so many are drawn
MOST_PAIRS = 1 << 26  # of pixels and keys, of a long exemplar or a large one, which has no coarser level
MOST_ASKING = 1 << 17  # pixels, from which on an exemplar is large
SHORTEST_JUMP = 3  # pixels along either axis: what lies closer is no jump
PIXELS_COMPARED_AT_ONCE = 1024  # on the coarsest level, each with all keys
PIXELS_REFINED_AT_ONCE = 16384


@dataclass(frozen=True)
class Space:
    """What a field may copy from at one level.

    basis: the principal directions of windows.
    table: (N, D) float32, the descriptor of each source pixel's window.
    described: (N,) bool, which source pixels have a descriptor and so may be copied.
    jumps: (N, K) int32, the look-alikes of each source pixel.
    """

    atlas: Atlas
    basis: Basis
    table: Tensor
    described: Tensor
    jumps: Tensor

    @cached_property
    def windows(self) -> tuple[Tensor, Tensor, Tensor, float]:
        """What `native_windows` says of the atlas."""
        return native_windows(self.atlas, self.basis)


def native_windows(atlas: Atlas, basis: Basis) -> tuple[Tensor, Tensor, Tensor, float]:
    """What is compared (N, C) and the directions (D, k * k * C) of windows in whole numbers, int16, their centre (D,)
    and the unit of descriptors, as the native core takes them."""
    weights = basis.whole.weights.permute(0, 2, 3, 1).flatten(1).to(torch.int16).contiguous()
    return basis.steps(atlas.compared).to(torch.int16).contiguous(), weights, basis.whole.centre, basis.whole.unit


def draw(pixels: Tensor, most: int, rng: torch.Generator) -> Tensor:
    """Up to `most` of some flat indices (n,), at random but in the order in which they came."""
    if len(pixels) <= most:
        return pixels
    return pixels[torch.randperm(len(pixels), generator=rng)[:most].sort().values.to(pixels.device)]


def surroundings(atlas: Atlas, used: Tensor, reach: int = REACH) -> Tensor:
    """The valid pixels within `reach` of the flat indices `used`, (N,) bool: so the work of a level follows the output
    where the exemplar is larger."""
    mark = torch.zeros_like(atlas.valid)
    mark[used.flatten()] = True
    return grow(atlas.picture(mark), reach).flatten() & atlas.valid


def find_basis(atlas: Atlas, patch: int, components: int, rng: torch.Generator) -> Basis:
    """The principal directions of the `patch` x `patch` windows of all planes."""
    margin, pictures = 2 * (patch // 2), atlas.picture(atlas.compared)
    planes = [p[None, :, : h + margin, : w + margin] for p, (h, w) in zip(pictures, atlas.shapes, strict=True)]
    return fit(planes, patch, components, rng)


def describe(atlas: Atlas, basis: Basis, wanted: Tensor) -> Tensor:
    """The descriptors (N, D) of the `wanted` (N,) bool source pixels; others may have one or 0."""
    half, step = basis.patch // 2, max(1, PIXELS_DESCRIBED_AT_ONCE // atlas.row)
    if twin := native.kernel("described", wanted):
        descriptors: Tensor = twin(*native_windows(atlas, basis), basis.patch, atlas.row, wanted)
        return descriptors
    table = torch.zeros(len(wanted), len(basis.kernel), device=wanted.device)
    descriptors = table.view(atlas.planes, atlas.rows, atlas.row, -1)
    wanted, pictures = wanted.view(atlas.planes, atlas.rows, atlas.row), atlas.picture(atlas.compared)
    for plane in range(atlas.planes):
        for top in range(half, atlas.rows - half, step):
            bottom = min(top + step, atlas.rows - half)
            columns = wanted[plane, top:bottom].any(0).nonzero()[:, 0]
            if len(columns) == 0:
                continue
            left, right = int(columns[0]), int(columns[-1]) + 1
            part = pictures[plane : plane + 1, :, top - half : bottom + half, left - half : right + half]
            descriptors[plane, top:bottom, left:right] = basis.describe(part).view(bottom - top, right - left, -1)
    return table


def nearest(atlas: Atlas, basis: Basis, table: Tensor, image: Tensor) -> Tensor:
    """The source pixel whose window is nearest to that of each pixel of (1, C, h, w), as (h, w) int64."""
    usable = atlas.valid.nonzero()[:, 0]
    keys = table[usable]
    norms = (keys**2).sum(1)
    query = basis.describe(F.pad(image, (basis.patch // 2,) * 4, mode="replicate"))
    room, picks = query.new_empty(min(len(query), QUERIES_AT_ONCE), len(keys)), usable.new_empty(len(query))
    for some, pick in zip(query.split(QUERIES_AT_ONCE), picks.split(QUERIES_AT_ONCE), strict=True):
        pick.copy_(_compared(some, keys, norms, room).argmin(1))
    return usable[picks].view(*image.shape[2:])


def _compared(queries: Tensor, keys: Tensor, norms: Tensor, room: Tensor) -> Tensor:
    """The squared distance of queries (n, D) to keys (m, D), of these `norms`, less what all keys of a query share:
    (n, m), in the `room` of as many rows or more. A buffer of each round's own would make the heap grow by one a round:
    the allocator does not fit an aligned one into the gap that the last has left between small results."""
    products = torch.mm(2 * queries, keys.T, out=room[: len(queries)])
    return torch.sub(norms, products, out=products)


def look_alikes(
    atlas: Atlas, table: Tensor, asking: Tensor, count: int, rng: torch.Generator, allowed: Tensor | None = None
) -> Tensor:
    """The nearest valid source pixels by descriptor, from a table (N, D), of every pixel that is `asking`, (N,) bool,
    none of them near the pixel itself nor near another of its look-alikes: (N, count) int32 flat indices. Pixels that
    do not ask point to themselves. allowed: (N,) bool, of the valid pixels those that may be one, where
    they are few of many copies; None for all."""
    usable = (atlas.valid if allowed is None else atlas.valid & allowed).nonzero()[:, 0]
    asked = int(asking.sum())
    bounded = atlas.is_long or asked > MOST_ASKING or allowed is not None
    most = min(KEYS, max(1, MOST_PAIRS // max(1, asked))) if bounded else KEYS
    keys = usable[torch.randperm(len(usable), generator=rng)[:most].to(usable.device)]
    descriptors = table[keys]
    norms = (descriptors**2).sum(1)
    out = _self_pointing(table, count)
    at = _positions(atlas, keys)
    for some in asking.nonzero()[:, 0].split(PIXELS_COMPARED_AT_ONCE):
        distance = torch.addmm(norms, table[some], descriptors.T, alpha=-2)
        out[some] = keys[_nearest_apart(distance, _positions(atlas, some), at, count)].int()
    return out


def _nearest_apart(distance: Tensor, asking: Tensor, at: Tensor, count: int) -> Tensor:
    """The nearest keys of each pixel by their `distance` (n, m), (n, count): none near the pixel or another of them.
    Of equally near ones the first is taken. asking: (n, 2), at: (m, 2), the positions of pixels and of keys."""
    if twin := native.kernel("nearest_apart", distance, asking, at):
        nearest: Tensor = twin(distance, asking, at, count, SHORTEST_JUMP)
        return nearest
    picks = []
    for _ in range(count):
        distance = distance.masked_fill_(torch.cdist(asking, at, p=torch.inf) < SHORTEST_JUMP, torch.inf)
        picks.append(distance.argmin(1))
        asking = at[picks[-1]]
    return torch.stack(picks, 1) if picks else distance.new_empty(len(distance), 0, dtype=torch.long)


def finer_look_alikes(
    atlas: Atlas, table: Tensor, parents: Tensor, coarse: Atlas, asking: Tensor, described: Tensor
) -> Tensor:
    """The look-alikes (N, count) int32 one level finer: those of every parent, doubled, and the best of the 3 x 3
    pixels round each, by the descriptors `table` (N, D).

    parents: (Nc, count) int32, the look-alikes of the `coarse` atlas. asking: (N,) bool, the pixels that get
    look-alikes; all others point to themselves. described: (N,) bool, those that may be one.
    """
    count = parents.shape[1]
    out = _self_pointing(table, count)
    for some in asking.nonzero()[:, 0].split(PIXELS_REFINED_AT_ONCE):
        plane, y, x = atlas.split(some)
        parent = coarse.join(plane, y // 2, x // 2)
        for k in range(count):
            p, py, px = coarse.split(parents[parent, k].long())
            centre = atlas.join(p, 2 * py + y % 2, 2 * px + x % 2)
            out[some, k] = _best_around(table, some, centre, atlas.row, described).int()
    return out


def _best_around(table: Tensor, some: Tensor, centre: Tensor, row: int, described: Tensor) -> Tensor:
    """The nearest of the 3 x 3 `described` pixels round each `centre` (n,), by the descriptors of `some` pixels (n,),
    which are the answer where there is none, (n,). Of equally near ones the first is taken."""
    if twin := native.kernel("best_around", table, some, centre, described):
        nearest: Tensor = twin(table, some, centre, row, described)
        return nearest
    query, best, pick = table[some], torch.full(some.shape, torch.inf, device=some.device), some
    for shift in (dy * row + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
        near = centre + shift
        distance = in_lanes((table[near] - query).square_()).masked_fill_(~described[near], torch.inf)
        better = distance < best
        best, pick = torch.where(better, distance, best), torch.where(better, near, pick)
    return pick


def _self_pointing(table: Tensor, count: int) -> Tensor:
    """Every source pixel as its own look-alike, (N, count) int32."""
    return torch.arange(len(table), dtype=torch.int32, device=table.device)[:, None].repeat(1, count)


def _positions(atlas: Atlas, index: Tensor) -> Tensor:
    """Positions (n, 2) of flat indices (n,), in which planes lie too far apart for pixels of two to be near."""
    plane, y, x = atlas.split(index)
    return torch.stack([y + plane * (atlas.rows + SHORTEST_JUMP), x], 1).float()
