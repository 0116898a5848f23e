"""One pass over a field of freely turned copies along a direction field.

Every pixel tries the continuations of its neighbours (Ashikhmin 2001; Lefebvre & Hoppe 2005, "Parallel controllable
texture synthesis") and its nearest windows among some source pixels drawn at random. As copies lie between pixels, they
also slide to where their window matches best (Lucas & Kanade 1981, on descriptors) and relax towards what their
neighbours continue to: so a piece bends along the field, and the seams between pieces meet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.field.atlas import Atlas, Field, read_between, settle
from texsynth.field.geometry import rotated
from texsynth.field.guide import Prices
from texsynth.field.space import draw
from texsynth.field.sweep import NEIGHBOURS, beyond_border
from texsynth.field.turned.space import WINDOWS_AT_ONCE, Frames, TurnedSpace, between, half_turned, slopes

SAME_COPY = 0.5  # pixels: continuations that agree this closely are one copy, and the longest slide
SAME_PIECE = 1.0  # pixels: copies that agree this closely relax into one piece
ROUNDS_OF_RELAXING = 4  # in a pass
RANDOM_COMPARISONS = 1 << 24  # windows compared at random in a pass
RANDOM_CANDIDATES = 4096  # at most, that one pixel is compared with
PIXELS_SEARCHED_AT_ONCE = 1024  # pixels that are compared with all random candidates at once


@dataclass(frozen=True)
class TurnedCopy:
    """What pixels (...) are copied from: the `plane` (...) int64 of the atlas, the `place` (..., 2) in it, (y, x)
    between pixels, and by how many radians the copy is turned, `angle` (...)."""

    plane: Tensor
    place: Tensor
    angle: Tensor

    def at(self, pick: tuple[slice | Tensor, ...] | Tensor) -> TurnedCopy:
        """The copies of some pixels only."""
        return TurnedCopy(self.plane[pick], self.place[pick], self.angle[pick])

    def moved(self, offset: Tensor) -> TurnedCopy:
        """The continuation of each copy to the pixel that lies `offset` (..., 2) away from its pixel."""
        return replace(self, place=self.place + rotated(-self.angle, offset.expand_as(self.place)))


@dataclass
class Best:
    """The best copies so far for n pixels, their distances of windows (n,), and these with all prices (n,)."""

    copy: TurnedCopy
    distance: Tensor
    total: Tensor


@dataclass(frozen=True)
class Query:
    """What n pixels look for: copies for the descriptors of their `windows` (n, D), along directions of the angle
    `target` (n,), at these `prices`."""

    windows: Tensor
    target: Tensor
    prices: Prices


def refresh(field: Field, frames: Frames) -> Field:
    """The field with every copy turned to its direction, which is needed after a field has been doubled."""
    assert field.angle is not None
    return replace(field, angle=frames.facing(field.index, frames.target, field.angle)[0])


def sweep(field: Field, space: TurnedSpace, prices: Prices, rng: torch.Generator) -> Field:
    """One pass over all pixels of a field at once, strip after strip. The cost of the field that is returned is the
    distance of windows alone, relative to the variance of the exemplar's."""
    h, w = field.size
    device = prices.source.device
    # Paint the field, with a border as wide as the windows reach, and draw the random candidates.
    reach = math.ceil(float(space.basis.grid.norm(dim=1).max())) + 1
    wide = extend(field, reach)
    picture = _colours(space.atlas, wide).permute(2, 0, 1)[None].contiguous()
    allowed = (space.described & prices.source.isfinite()).nonzero()[:, 0]
    keys = draw(allowed, min(RANDOM_CANDIDATES, RANDOM_COMPARISONS // (h * w) + 1), rng)
    # Find the best copies, strip after strip.
    rows = max(1, WINDOWS_AT_ONCE // w)
    parts = []
    for top in range(0, h, rows):
        lines = torch.arange(top, min(top + rows, h), device=device)
        at = torch.cartesian_prod(lines, torch.arange(w, device=device)) + reach
        target = space.frames.target[lines].flatten()
        local = prices.at(torch.arange(len(at), device=device) + top * w)
        query = Query(space.basis.describe(picture, at.float(), target), target, local)
        around = [_continued(wide, at, *step) for step in NEIGHBOURS]
        parts.append(_best_copies(query, space, wide.at(tuple(at.T)), around, keys))
    copies = (torch.cat([getattr(p.copy, name) for p in parts]) for name in ("plane", "place", "angle"))
    plane, place, angle = (t.view(h, w, *t.shape[1:]) for t in copies)
    # Let the pieces relax.
    index, place = settle(space.atlas, plane, place)
    out = replace(field, index=index, place=place, angle=angle)
    for _ in range(ROUNDS_OF_RELAXING):
        out = _relaxed(out, prices.source)
    return replace(refresh(out, space.frames), cost=torch.cat([p.distance for p in parts]).view(h, w))


def extend(field: Field, margin: int) -> TurnedCopy:
    """Copies (h + 2m, w + 2m): wrapped where the output tiles, else continuing the copy of the pixel at the border."""
    assert field.place is not None and field.angle is not None
    copy, past = TurnedCopy(field.atlas.split(field.index)[0], field.place, field.angle), []
    for dim, wraps in enumerate(field.tile):
        inside, beyond = beyond_border(field.size[dim], margin, wraps, field.index.device)
        past.append(beyond)
        copy = TurnedCopy(*(t.index_select(dim, inside) for t in (copy.plane, copy.place, copy.angle)))
    return copy.moved(torch.stack(torch.meshgrid(*past, indexing="ij"), -1).float())


def _colours(atlas: Atlas, copy: TurnedCopy) -> Tensor:
    """The colours (h, w, 3) of copies that may reach into the margin."""
    shapes = torch.tensor(atlas.shapes, device=copy.plane.device)[copy.plane]
    place = torch.minimum(copy.place.clamp(min=1 - atlas.margin), shapes + (atlas.margin - 3))
    index = atlas.join(copy.plane, *place.round().long().unbind(-1))
    return read_between(atlas, index, place, atlas.colours)


def _continued(wide: TurnedCopy, at: Tensor, dy: int, dx: int) -> TurnedCopy:
    """What the neighbours at (dy, dx) of the pixels `at` (n, 2) continue to there."""
    near = wide.at(tuple((at + at.new_tensor([dy, dx])).T))
    return near.moved(near.place.new_tensor([-dy, -dx]))


def _best_copies(query: Query, space: TurnedSpace, current: TurnedCopy, around: list[TurnedCopy], keys: Tensor) -> Best:
    """The best of the current copies, the continuations of neighbours and the random candidates `keys`."""
    best = _slid(query, space, current)
    for copy in around:
        apart = (copy.place - current.place).abs().amax(1) > SAME_COPY
        other = apart | (copy.plane != current.plane) | ((copy.angle - current.angle).cos() < 0)
        some = other.nonzero()[:, 0]
        _attempt(best, query, space, some, copy.at(some), 1.0)
    everywhere = torch.arange(len(current.plane), device=current.plane.device)
    _attempt(best, query, space, everywhere, _random_search(query, space, keys), query.prices.jump)
    return best


def _slid(query: Query, space: TurnedSpace, current: TurnedCopy) -> Best:
    """The current copies, each slid to where its window matches better."""
    price = query.prices.source
    index, inside = locate(space.atlas, current)
    distance, angle, rest = _fit(query, space, index, current)
    slid = replace(current, place=current.place + _slide(space, index, rest))
    slid_index, slid_inside = locate(space.atlas, slid)
    slid_distance, slid_angle, _ = _fit(query, space, slid_index, slid)
    better = slid_inside & price[slid_index].isfinite() & (slid_distance < distance)
    index, distance = torch.where(better, slid_index, index), torch.where(better, slid_distance, distance)
    place = torch.where(better[:, None], slid.place, current.place)
    total = torch.where(inside | better, distance + query.prices.of(index), torch.inf)
    return Best(TurnedCopy(current.plane.clone(), place, torch.where(better, slid_angle, angle)), distance, total)


def _fit(query: Query, space: TurnedSpace, index: Tensor, copy: TurnedCopy) -> tuple[Tensor, Tensor, Tensor]:
    """The squared distances (n,) of the windows of copies between pixels, their angles (n,), and the differences (n, D)
    of the descriptors, in the frames of the nearest pixels `index`."""
    angle, back = space.frames.facing(index, query.target, copy.angle)
    rest = half_turned(query.windows, back, space) - between(space, index, copy.plane, copy.place)
    return rest.square().sum(1), angle, rest


def _slide(space: TurnedSpace, index: Tensor, rest: Tensor) -> Tensor:
    """The step (n, 2), at most SAME_COPY long, that explains the differences `rest` (n, D) best (Lucas & Kanade)."""
    down, right = slopes(space, index)
    yy, xx, xy = (down * down).sum(1) + space.damping, (right * right).sum(1) + space.damping, (down * right).sum(1)
    ry, rx = (down * rest).sum(1), (right * rest).sum(1)
    step = torch.stack([xx * ry - xy * rx, yy * rx - xy * ry], 1) / (yy * xx - xy * xy)[:, None]
    length: Tensor = step.norm(dim=1, keepdim=True)
    return step * (SAME_COPY / length.clamp(min=SAME_COPY))


def _attempt(best: Best, query: Query, space: TurnedSpace, some: Tensor, copy: TurnedCopy, factor: float) -> None:
    """Give the pixels `some` (m,) the copies (m,) where these are cheaper, with their distance times `factor`."""
    index, inside = locate(space.atlas, copy)
    keep = inside & query.prices.source[index].isfinite()
    some, index, copy = some[keep], index[keep], copy.at(keep)
    angle, back = space.frames.facing(index, query.target[some], copy.angle)
    distance = (space.table[index] - half_turned(query.windows[some], back, space)).square_().sum(1)
    total = distance * factor + query.prices.of(index, some)
    better = total < best.total[some]
    some = some[better]
    best.copy.plane[some], best.copy.place[some] = copy.plane[better], copy.place[better]
    best.copy.angle[some], best.distance[some], best.total[some] = angle[better], distance[better], total[better]


def _random_search(query: Query, space: TurnedSpace, keys: Tensor) -> TurnedCopy:
    """The cheapest of the random candidates `keys` (k,) for each pixel, turned either way: n copies. All prices are
    multiplied out to one product of n query rows with 2 k rows of candidates."""
    jump, guiding = query.prices.jump, query.prices.guiding
    table = space.table[keys]
    candidates, rows = torch.cat([table, table * space.basis.mirror]), query.windows * jump
    bias = candidates.square().sum(1) * jump + query.prices.source[keys].repeat(2)
    if guiding is not None:
        values = guiding.table[keys].repeat(2, 1)
        candidates = torch.cat([candidates, values, values.square()], 1)
        rows = torch.cat([rows, guiding.goal * guiding.strength, -0.5 * guiding.strength], 1)
    parts = rows.split(PIXELS_SEARCHED_AT_ONCE)
    best = torch.cat([torch.addmm(bias, part, candidates.T, alpha=-2).argmin(1) for part in parts])
    index = keys[best % len(keys)]
    angle = query.target - space.frames.source[index] + math.pi * (best >= len(keys))
    plane, y, x = space.atlas.split(index)
    return TurnedCopy(plane, torch.stack([y, x], 1).float(), angle)


def locate(atlas: Atlas, copy: TurnedCopy) -> tuple[Tensor, Tensor]:
    """The pixels (...) nearest to some copies, and whether they lie in the plane at all."""
    near = copy.place.round().long()
    inside = (near >= 0) & (near < torch.tensor(atlas.shapes, device=near.device)[copy.plane])
    return atlas.join(copy.plane, *near.unbind(-1)), inside.all(-1)


def _relaxed(field: Field, price: Tensor) -> Field:
    """The field with every place moved to the mean of what it and its neighbours of the same piece continue to, where
    that has a finite `price` (N,)."""
    wide, (h, w) = extend(field, 1), field.size
    middle = wide.at((slice(1, h + 1), slice(1, w + 1)))
    total, count = middle.place.clone(), torch.ones_like(middle.angle)
    for dy, dx in NEIGHBOURS:
        near = wide.at((slice(1 + dy, h + 1 + dy), slice(1 + dx, w + 1 + dx))).moved(total.new_tensor([-dy, -dx]))
        close = (near.place - middle.place).abs().amax(-1) <= SAME_PIECE
        same = close & (near.plane == middle.plane) & ((near.angle - middle.angle).cos() > 0)
        total += near.place * same[..., None]
        count += same
    mean = replace(middle, place=total / count[..., None])
    index, inside = locate(field.atlas, mean)
    fits = inside & price[index].isfinite()
    place = torch.where(fits[..., None], mean.place, middle.place)
    return replace(field, index=torch.where(fits, index, field.index), place=place)
