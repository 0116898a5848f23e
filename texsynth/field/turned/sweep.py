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

from texsynth import native
from texsynth.field.atlas import Atlas, Field, read_between, settle
from texsynth.field.geometry import face_away, heading, turn_between, turned_back
from texsynth.field.guide import Prices
from texsynth.field.space import draw
from texsynth.field.sweep import NEIGHBOURS, beyond_border
from texsynth.field.turned.space import Frames, TurnedSpace, between, half_turned, in_frames, slopes
from texsynth.native.sums import in_lanes

PIXELS_AT_ONCE = 1 << 14  # pixels whose candidates are compared at once: bounds the memory
SAME_COPY = 0.5  # pixels: continuations that agree this closely are one copy, and the longest slide
SAME_PIECE = 1.0  # pixels: copies that agree this closely relax into one piece
ROUNDS_OF_RELAXING = 4  # in a pass
RANDOM_COMPARISONS = 1 << 24  # windows compared at random in a pass
RANDOM_CANDIDATES = 4096  # at most, that one pixel is compared with
COMPARISONS_AT_ONCE = 1 << 18  # of pixels and random candidates: stays in the cache


@dataclass(frozen=True)
class TurnedCopy:
    """What pixels (...) are copied from: the `plane` (...) int64 of the atlas, the `place` (..., 2) in it, (y, x)
    between pixels, and how the copy is turned, the unit vectors `turn` (..., 2)."""

    plane: Tensor
    place: Tensor
    turn: Tensor

    def at(self, pick: tuple[slice | Tensor, ...] | Tensor) -> TurnedCopy:
        """The copies of some pixels only."""
        return TurnedCopy(self.plane[pick], self.place[pick], self.turn[pick])

    def moved(self, offset: Tensor) -> TurnedCopy:
        """The continuation of each copy to the pixel that lies `offset` (..., 2) away from its pixel."""
        return replace(self, place=self.place + turned_back(self.turn, offset))


@dataclass
class Best:
    """The best copies so far for n pixels, their distances of windows (n,), and these with all prices (n,)."""

    copy: TurnedCopy
    distance: Tensor
    total: Tensor


@dataclass(frozen=True)
class Query:
    """What n pixels look for: copies for the descriptors of their `windows` (n, D), along the directions `target`
    (n, 2), at these `prices`."""

    windows: Tensor
    target: Tensor
    prices: Prices


def refresh(field: Field, frames: Frames) -> Field:
    """The field with every copy turned to its direction, which is needed after a field has been doubled."""
    assert field.angle is not None
    return turned_to(field, frames, heading(field.angle))


def turned_to(field: Field, frames: Frames, before: Tensor) -> Field:
    """The field with every copy turned to its direction, of the two turns that do it the one nearer to `before`, unit
    vectors (h, w, 2)."""
    turn = frames.facing(field.index, frames.target, before)[0]
    return replace(field, angle=torch.atan2(turn[..., 1], turn[..., 0]))


def sweep(field: Field, space: TurnedSpace, prices: Prices, rng: torch.Generator) -> Field:
    """One pass over all pixels of a field at once, strip after strip. The cost of the field that is returned is the
    distance of windows alone, relative to the variance of the exemplar's."""
    h, w = field.size
    device = prices.source.device
    # Paint the field, with a border as wide as the windows reach, and draw the random candidates.
    reach = math.ceil(float(space.basis.grid.norm(dim=1).max())) + 1
    wide = extend(copies_of(field), field.tile, reach)
    picture = _compared(space.atlas, wide)
    allowed = (space.described & prices.source.isfinite()).nonzero()[:, 0]
    keys = draw(allowed, min(RANDOM_CANDIDATES, RANDOM_COMPARISONS // (h * w) + 1), rng)
    # Find the best copies, strip after strip.
    rows = max(1, PIXELS_AT_ONCE // w)
    parts = []
    for top in range(0, h, rows):
        lines = torch.arange(top, min(top + rows, h), device=device)
        at = torch.cartesian_prod(lines, torch.arange(w, device=device)) + reach
        target = space.frames.target[lines].flatten(0, 1)
        local = prices.at(torch.arange(len(at), device=device) + top * w)
        query = Query(space.basis.describe(picture, at.float(), target), target, local)
        parts.append(_best_copies(query, space, wide, at, *_random_search(query, space, keys)))
    plane, place, turn, cost = (torch.cat(each) for each in zip(*parts, strict=True))
    # Let the pieces relax.
    index, place = settle(space.atlas, plane.view(h, w), place.view(h, w, 2))
    copy = TurnedCopy(space.atlas.split(index)[0], place, turn.view(h, w, 2))
    for _ in range(ROUNDS_OF_RELAXING):
        index, place = _relaxed(copy, index, space.atlas, field.tile, prices.source)
        copy = replace(copy, place=place)
    return turned_to(replace(field, index=index, place=place, cost=cost.view(h, w)), space.frames, copy.turn)


def copies_of(field: Field) -> TurnedCopy:
    """What the pixels (h, w) of a field copy."""
    assert field.place is not None and field.angle is not None
    return TurnedCopy(field.atlas.split(field.index)[0], field.place, heading(field.angle))


def extend(copy: TurnedCopy, tile: tuple[bool, bool], margin: int) -> TurnedCopy:
    """Copies (h, w) as (h + 2m, w + 2m): wrapped where the output tiles, else continuing the copy of the pixel at the
    border."""
    past = []
    for dim, wraps in enumerate(tile):
        inside, beyond = beyond_border(copy.plane.shape[dim], margin, wraps, copy.plane.device)
        past.append(beyond)
        copy = TurnedCopy(*(t.index_select(dim, inside) for t in (copy.plane, copy.place, copy.turn)))
    return copy.moved(torch.stack(torch.meshgrid(*past, indexing="ij"), -1).float())


def _compared(atlas: Atlas, copy: TurnedCopy) -> Tensor:
    """What is compared of copies that may reach into the margin, (h, w, C), with its vectors as they are there."""
    shapes = torch.tensor(atlas.shapes, device=copy.plane.device)[copy.plane]
    place = torch.minimum(copy.place.clamp(min=1 - atlas.margin), shapes + (atlas.margin - 3))
    index = atlas.join(copy.plane, *place.round().long().unbind(-1))
    values, back = read_between(atlas, index, place, atlas.compared), copy.turn * copy.turn.new_tensor([1.0, -1.0])
    return in_frames(values.flatten(0, 1)[:, None], back.flatten(0, 1), atlas.vectors).view_as(values)


def _continued(wide: TurnedCopy, at: Tensor, dy: int, dx: int) -> TurnedCopy:
    """What the neighbours at (dy, dx) of the pixels `at` (n, 2) continue to there."""
    near = wide.at(tuple((at + at.new_tensor([dy, dx])).T))
    return near.moved(near.place.new_tensor([-dy, -dx]))


def _best_copies(
    query: Query, space: TurnedSpace, wide: TurnedCopy, at: Tensor, key: Tensor, back: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The best of the current copies of the pixels `at` (n, 2) of the field `wide`, of the continuations of their
    neighbours, and of copies of the random candidates `key` (n,), turned by half a turn from frame to frame where
    `back` (n,): planes, places, turns, and the squared distances of windows (n,)."""
    tensors = *vars(wide).values(), at, query.windows, query.target, space.table, query.prices.source, key, back
    if twin := native.kernel("turned_copies", *tensors):
        guiding, none = query.prices.guiding, at.new_empty(0, 0, dtype=torch.float32)
        guides = (none,) * 3 if guiding is None else (guiding.table, guiding.goal, guiding.strength)
        prices = (query.prices.source, query.prices.jump, *(g.contiguous() for g in guides))
        sources = space.frames.source, space.table, space.described, space.basis.mirror, space.damping
        plane, place, turn, distance = twin(*tensors[:6], *sources, *planes(space.atlas), *prices, key, back)
        return plane, place, turn, distance
    current = wide.at(tuple(at.T))
    best = _slid(query, space, current)
    for step in NEIGHBOURS:
        copy = _continued(wide, at, *step)
        apart = (copy.place - current.place).abs().amax(1) > SAME_COPY
        other = apart | (copy.plane != current.plane) | face_away(copy.turn, current.turn)
        some = other.nonzero()[:, 0]
        _attempt(best, query, space, some, copy.at(some), 1.0)
    turn = turn_between(space.frames.source[key], query.target)
    plane, y, x = space.atlas.split(key)
    random = TurnedCopy(plane, torch.stack([y, x], 1).float(), torch.where(back[:, None], -turn, turn))
    _attempt(best, query, space, torch.arange(len(plane), device=plane.device), random, query.prices.jump)
    return best.copy.plane, best.copy.place, best.copy.turn, best.distance


def _slid(query: Query, space: TurnedSpace, current: TurnedCopy) -> Best:
    """The current copies, each slid to where its window matches better."""
    price = query.prices.source
    index, inside = locate(space.atlas, current)
    distance, turn, rest = _fit(query, space, index, current)
    slid = replace(current, place=current.place + _slide(space, index, rest))
    slid_index, slid_inside = locate(space.atlas, slid)
    slid_distance, slid_turn, _ = _fit(query, space, slid_index, slid)
    better = slid_inside & price[slid_index].isfinite() & (slid_distance < distance)
    index, distance = torch.where(better, slid_index, index), torch.where(better, slid_distance, distance)
    place = torch.where(better[:, None], slid.place, current.place)
    total = torch.where(inside | better, distance + query.prices.of(index), torch.inf)
    turn = torch.where(better[:, None], slid_turn, turn)
    return Best(TurnedCopy(current.plane.clone(), place, turn), distance, total)


def _fit(query: Query, space: TurnedSpace, index: Tensor, copy: TurnedCopy) -> tuple[Tensor, Tensor, Tensor]:
    """The squared distances (n,) of the windows of copies between pixels, their turns (n, 2), and the differences
    (n, D) of the descriptors, in the frames of the nearest pixels `index`."""
    turn, back = space.frames.facing(index, query.target, copy.turn)
    rest = half_turned(query.windows, back, space) - between(space, index, copy.plane, copy.place)
    return in_lanes(rest.square()), turn, rest


def _slide(space: TurnedSpace, index: Tensor, rest: Tensor) -> Tensor:
    """The step (n, 2), at most SAME_COPY along either axis, that explains the differences `rest` (n, D) best (Lucas &
    Kanade 1981)."""
    down, right = slopes(space, index)
    yy, xx = in_lanes(down * down) + space.damping, in_lanes(right * right) + space.damping
    xy, ry, rx = in_lanes(down * right), in_lanes(down * rest), in_lanes(right * rest)
    determinant = yy * xx - xy * xy
    y, x = (xx * ry - xy * rx) / determinant, (yy * rx - xy * ry) / determinant
    share = SAME_COPY / torch.maximum(y.abs(), x.abs()).clamp(min=SAME_COPY)  # roots have no stated rounding
    return torch.stack([y * share, x * share], 1)


def _attempt(best: Best, query: Query, space: TurnedSpace, some: Tensor, copy: TurnedCopy, factor: float) -> None:
    """Give the pixels `some` (m,) the copies (m,) where these are cheaper, with their distance times `factor`."""
    index, inside = locate(space.atlas, copy)
    keep = inside & query.prices.source[index].isfinite()
    some, index, copy = some[keep], index[keep], copy.at(keep)
    turn, back = space.frames.facing(index, query.target[some], copy.turn)
    distance = in_lanes((space.table[index] - half_turned(query.windows[some], back, space)).square_())
    total = distance * factor + query.prices.of(index, some)
    better = total < best.total[some]
    some = some[better]
    best.copy.plane[some], best.copy.place[some] = copy.plane[better], copy.place[better]
    best.copy.turn[some], best.distance[some], best.total[some] = turn[better], distance[better], total[better]


def _random_search(query: Query, space: TurnedSpace, keys: Tensor) -> tuple[Tensor, Tensor]:
    """The cheapest of the random candidates `keys` (k,) for each of n pixels, and whether it is turned by half a turn
    from frame to frame, (n,) each. All prices are multiplied out to two products of n query rows with k rows of
    candidates: that of the directions whose sign changes with half a turn is added or subtracted."""
    jump, guiding = query.prices.jump, query.prices.guiding
    table, odd = space.table[keys], (space.basis.mirror < 0).nonzero()[:, 0]
    even, bias = (space.basis.mirror > 0).nonzero()[:, 0], in_lanes(table.square()) * jump + query.prices.source[keys]
    candidates, rows = table[:, even], query.windows[:, even] * jump
    if guiding is not None:
        values = guiding.table[keys]
        candidates = torch.cat([candidates, values, values.square()], 1)
        rows = torch.cat([rows, guiding.goal * guiding.strength, -0.5 * guiding.strength], 1)
    others, mirrored = query.windows[:, odd] * (2 * jump), table[:, odd].T
    best, back = [], []
    at_once = max(1, COMPARISONS_AT_ONCE // len(keys))
    for some, other in zip(rows.split(at_once), others.split(at_once), strict=True):
        price, change = torch.addmm(bias, some, candidates.T, alpha=-2), other @ mirrored
        nearest, away = _cheapest(price, change)
        best.append(nearest)
        back.append(away)
    return keys[torch.cat(best)], torch.cat(back)


def _cheapest(price: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
    """The column of each row of (n, k) where price - |change| is least, the first of equal ones, and whether the
    change is below 0 there: (n,) each."""
    if twin := native.kernel("cheapest", price, change):
        pick, back = twin(price, change)
        return pick, back
    pick = (price - change.abs()).argmin(1)
    return pick, change.gather(1, pick[:, None])[:, 0] < 0


def planes(atlas: Atlas) -> tuple[Tensor, int, int, int]:
    """What the native twins need of an atlas: the shapes of its planes (P, 2), rows, row, and margin."""
    return torch.tensor(atlas.shapes), atlas.rows, atlas.row, atlas.margin


def locate(atlas: Atlas, copy: TurnedCopy) -> tuple[Tensor, Tensor]:
    """The pixels (...) nearest to some copies, and whether they lie in the plane at all."""
    near = copy.place.round().long()
    inside = (near >= 0) & (near < torch.tensor(atlas.shapes, device=near.device)[copy.plane])
    return atlas.join(copy.plane, *near.unbind(-1)), inside.all(-1)


def _relaxed(
    copy: TurnedCopy, index: Tensor, atlas: Atlas, tile: tuple[bool, bool], price: Tensor
) -> tuple[Tensor, Tensor]:
    """Pixels and places (h, w, 2) of copies: every place is moved to the mean of what it and its neighbours of the same
    piece continue to, where that has a finite `price` (N,); elsewhere it stays, with the pixel `index` (h, w)."""
    if twin := native.kernel("relaxed_copies", copy.plane, copy.place, copy.turn, index, price):
        better, place = twin(copy.plane, copy.place, copy.turn, index, *tile, *planes(atlas), price)
        return better, place
    wide, (h, w) = extend(copy, tile, 1), index.shape
    total, count = copy.place.clone(), torch.ones_like(copy.place[..., 0])
    for dy, dx in NEIGHBOURS:
        near = wide.at((slice(1 + dy, h + 1 + dy), slice(1 + dx, w + 1 + dx))).moved(total.new_tensor([-dy, -dx]))
        close = (near.place - copy.place).abs().amax(-1) <= SAME_PIECE
        same = close & (near.plane == copy.plane) & ~face_away(near.turn, copy.turn)
        total += near.place * same[..., None]
        count += same
    mean = replace(copy, place=total / count[..., None])
    better, inside = locate(atlas, mean)
    fits = inside & price[better].isfinite()
    return torch.where(fits, better, index), torch.where(fits[..., None], mean.place, copy.place)
