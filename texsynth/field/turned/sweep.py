"""A field of freely turned copies along a direction field: the pass that improves it.

The correspondence field with windows in the frame of their direction (turned_space.py), so that a texture of one
direction only flows along any other, continuously. Every pass, a pixel tries the continuations of its neighbours
(Ashikhmin 2001; Lefebvre & Hoppe 2005, "Parallel controllable texture synthesis") and its nearest windows among some
source pixels drawn at random. As copies lie between pixels, they also slide to where their window matches best
(Lucas & Kanade 1981, on descriptors) and relax towards what their neighbours continue to: so a piece bends along the
field, and the seams between pieces meet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.field.atlas import Atlas, Field
from texsynth.field.between import read, settle, turned
from texsynth.field.guide import Guiding
from texsynth.field.sweep import NEIGHBOURS
from texsynth.field.turned.space import CHUNK, Frames, Space, between, draw, slopes

SAME = 0.5  # pixels: continuations that agree this closely are one copy
MERGE = 1.0  # pixels: copies that agree this closely relax into one piece
RELAX = 4  # rounds of relaxing in a pass
SEARCH = 1 << 24  # windows compared at random in a pass
MOST = 4096  # windows that one pixel is compared with at random


@dataclass(frozen=True)
class Copy:
    """What pixels are copied from: plane (...), place (..., 2) in it as (y, x), angle (...) by which it is turned."""

    plane: Tensor
    place: Tensor
    angle: Tensor

    def at(self, pick: tuple[slice | Tensor, ...] | Tensor) -> Copy:
        """Those of some pixels only."""
        return Copy(self.plane[pick], self.place[pick], self.angle[pick])

    def moved(self, offset: Tensor) -> Copy:
        """The continuation of each copy to a pixel `offset` (..., 2) from its own."""
        return replace(self, place=self.place + turned(-self.angle, offset.expand_as(self.place)))


@dataclass
class Best:
    """The best copies found so far for n pixels: where, their distance of windows, and that with all prices."""

    copy: Copy
    distance: Tensor
    total: Tensor


@dataclass(frozen=True)
class Wish:
    """What n pixels ask for: their windows (n, D), the direction there (n,), and their other guides, if any."""

    query: Tensor
    target: Tensor
    guides: Guiding | None


@dataclass(frozen=True)
class Offer:
    """What there is to copy: a space, the price of each source pixel (N,), a factor on the distance of jumps, and the
    source pixels to search."""

    space: Space
    price: Tensor
    kappa: float
    keys: Tensor


def refresh(field: Field, frames: Frames) -> Field:
    """The field with every copy turned to its direction; needed after a field has been doubled."""
    assert field.angle is not None
    return replace(field, angle=frames.facing(field.index, frames.target, field.angle)[0])


def sweep(
    field: Field, space: Space, price: Tensor, kappa: float, rng: torch.Generator, guiding: Guiding | None = None
) -> Field:
    """One pass, all pixels at once. price: (N,) of copying from each source pixel, infinite where that is not allowed;
    kappa: factor on the distance of jumps; guiding: what else each pixel should come from. Distances are relative to
    the variance of the exemplar's windows."""
    h, w = field.size
    reach = math.ceil(float(space.basis.grid.norm(dim=1).max())) + 1
    wide = extend(field, reach)
    picture = _colours(space.atlas, wide).permute(2, 0, 1)[None].contiguous()
    keys = draw(space.described & price.isfinite(), min(MOST, SEARCH // (h * w) + 1), rng)
    offer = Offer(space, price, kappa, keys)
    rows = max(1, CHUNK // w)
    parts = []
    for top in range(0, h, rows):
        lines = torch.arange(top, min(top + rows, h), device=price.device)
        at = torch.cartesian_prod(lines, torch.arange(w, device=price.device)) + reach
        target = space.frames.target[lines].flatten()
        flat = torch.arange(len(at), device=price.device) + top * w
        guides = None if guiding is None else guiding.at(flat)
        wish = Wish(space.basis.describe(picture, at.float(), target), target, guides)
        parts.append(_choose(wish, offer, wide.at(tuple(at.T)), [_continued(wide, at, *step) for step in NEIGHBOURS]))
    copies = (torch.cat([getattr(p.copy, name) for p in parts]) for name in ("plane", "place", "angle"))
    plane, place, angle = (t.view(h, w, *t.shape[1:]) for t in copies)
    index, place = settle(space.atlas, plane, place)
    out = replace(field, index=index, place=place, angle=angle)
    for _ in range(RELAX):
        out = _relaxed(out, price)
    return replace(refresh(out, space.frames), cost=torch.cat([p.distance for p in parts]).view(h, w))


def extend(field: Field, margin: int) -> Copy:
    """(h + 2m, w + 2m) copies: wrapped where the output tiles, else continuing the border pixel's own copy."""
    assert field.place is not None
    assert field.angle is not None
    copy, beyond = Copy(field.atlas.split(field.index)[0], field.place, field.angle), []
    for dim, wraps in enumerate(field.tile):
        n = field.size[dim]
        at = torch.arange(-margin, n + margin, device=field.index.device)
        inside = at % n if wraps else at.clamp(0, n - 1)
        beyond.append(torch.zeros_like(at) if wraps else at - inside)
        copy = Copy(*(t.index_select(dim, inside) for t in (copy.plane, copy.place, copy.angle)))
    return copy.moved(torch.stack(torch.meshgrid(*beyond, indexing="ij"), -1).float())


def _colours(atlas: Atlas, copy: Copy) -> Tensor:
    """Colours (h, w, 3) of copies that may reach into the margin."""
    shapes = torch.tensor(atlas.shapes, device=copy.plane.device)[copy.plane]
    place = torch.minimum(copy.place.clamp(min=1 - atlas.margin), shapes + (atlas.margin - 3))
    index = atlas.join(copy.plane, *place.round().long().unbind(-1))
    return read(atlas, index, place, atlas.colours)


def _continued(wide: Copy, at: Tensor, dy: int, dx: int) -> Copy:
    """What the neighbours of the pixels `at` (n, 2) continue to there."""
    near = wide.at(tuple((at + at.new_tensor([dy, dx])).T))
    return near.moved(near.place.new_tensor([-dy, -dx]))


def _choose(wish: Wish, offer: Offer, own: Copy, around: list[Copy]) -> Best:
    """The best of the own copies, the continuations of neighbours and the nearest windows found."""
    best = _own(wish, offer, own)
    for copy in around:
        apart = (copy.place - own.place).abs().amax(1) > SAME
        other = apart | (copy.plane != own.plane) | ((copy.angle - own.angle).cos() < 0)
        some = other.nonzero()[:, 0]
        _attempt(best, wish, offer, some, copy.at(some), 1.0)
    _attempt(
        best, wish, offer, torch.arange(len(own.plane), device=own.plane.device), _nearest(wish, offer), offer.kappa
    )
    return best


def _own(wish: Wish, offer: Offer, own: Copy) -> Best:
    """Each pixel's copy, slid to where its window matches better."""
    index, inside = locate(offer.space.atlas, own)
    distance, angle, rest = _fit(wish, offer.space, index, own)
    slid = replace(own, place=own.place + _slide(offer.space, index, rest))
    there, fits = locate(offer.space.atlas, slid)
    nearer, other, _ = _fit(wish, offer.space, there, slid)
    better = fits & offer.price[there].isfinite() & (nearer < distance)
    index, distance = torch.where(better, there, index), torch.where(better, nearer, distance)
    place, angle = torch.where(better[:, None], slid.place, own.place), torch.where(better, other, angle)
    total = torch.where(inside | better, distance + _price(offer, wish.guides, index), torch.inf)
    return Best(Copy(own.plane.clone(), place, angle), distance, total)


def _fit(wish: Wish, space: Space, index: Tensor, copy: Copy) -> tuple[Tensor, Tensor, Tensor]:
    """Distances (n,) of windows between pixels, angles (n,), and what is left to match (n, D), in the frames of the
    nearest pixels `index`."""
    angle, back = space.frames.facing(index, wish.target, copy.angle)
    rest = _turned(wish.query, back, space) - between(space, index, copy.plane, copy.place)
    return rest.square().sum(1), angle, rest


def _slide(space: Space, index: Tensor, rest: Tensor) -> Tensor:
    """The step (n, 2), at most SAME long, that best explains the differences `rest` (n, D)."""
    down, right = slopes(space, index)
    yy, xx, xy = (down * down).sum(1) + space.damping, (right * right).sum(1) + space.damping, (down * right).sum(1)
    ry, rx = (down * rest).sum(1), (right * rest).sum(1)
    step = torch.stack([xx * ry - xy * rx, yy * rx - xy * ry], 1) / (yy * xx - xy * xy)[:, None]
    length: Tensor = step.norm(dim=1, keepdim=True)
    return step * (SAME / length.clamp(min=SAME))


def _attempt(best: Best, wish: Wish, offer: Offer, some: Tensor, copy: Copy, factor: float) -> None:
    """Give the pixels `some` these copies, one each, where they are cheaper than what they have."""
    space = offer.space
    index, inside = locate(space.atlas, copy)
    keep = inside & offer.price[index].isfinite()
    some, index, copy = some[keep], index[keep], copy.at(keep)
    angle, back = space.frames.facing(index, wish.target[some], copy.angle)
    distance = (space.table[index] - _turned(wish.query[some], back, space)).square_().sum(1)
    total = distance * factor + _price(offer, None if wish.guides is None else wish.guides.among(some), index)
    better = total < best.total[some]
    some = some[better]
    best.copy.plane[some], best.copy.place[some] = copy.plane[better], copy.place[better]
    best.copy.angle[some], best.distance[some], best.total[some] = angle[better], distance[better], total[better]


def _nearest(wish: Wish, offer: Offer) -> Copy:
    """The cheapest of the keys for each pixel, turned either way."""
    space, keys = offer.space, offer.keys
    table = space.table[keys]
    both, query = torch.cat([table, table * space.basis.mirror]), wish.query * offer.kappa
    bias = both.square().sum(1) * offer.kappa + offer.price[keys].repeat(2)
    if wish.guides is not None:  # their squared differences, multiplied out like those of the windows
        known = wish.guides.table[keys].repeat(2, 1)
        both = torch.cat([both, known, known.square()], 1)
        strength = wish.guides.strength
        query = torch.cat([query, wish.guides.goal * strength, -0.5 * strength], 1)
    best = torch.cat([torch.addmm(bias, some, both.T, alpha=-2).argmin(1) for some in query.split(1024)])
    index = keys[best % len(keys)]
    angle = wish.target - space.frames.source[index] + math.pi * (best >= len(keys))
    plane, y, x = space.atlas.split(index)
    return Copy(plane, torch.stack([y, x], 1).float(), angle)


def _turned(query: Tensor, back: Tensor, space: Space) -> Tensor:
    """Descriptors (n, D) of the same windows, turned by half a turn where `back` (n,)."""
    return query * torch.where(back[:, None], space.basis.mirror, 1.0)


def _price(offer: Offer, guides: Guiding | None, index: Tensor) -> Tensor:
    """What it costs to copy `index` (n,), beside the distance of windows."""
    return offer.price[index] if guides is None else offer.price[index] + guides.price(index)


def locate(atlas: Atlas, copy: Copy) -> tuple[Tensor, Tensor]:
    """The pixels (...) nearest to some copies, and whether they lie in the plane at all."""
    near = copy.place.round().long()
    inside = (near >= 0) & (near < torch.tensor(atlas.shapes, device=near.device)[copy.plane])
    return atlas.join(copy.plane, *near.unbind(-1)), inside.all(-1)


def _relaxed(field: Field, price: Tensor) -> Field:
    """Every place moved to the mean of what it and its neighbours of the same piece continue to."""
    wide, (h, w) = extend(field, 1), field.size
    own = wide.at((slice(1, h + 1), slice(1, w + 1)))
    total, count = own.place.clone(), torch.ones_like(own.angle)
    for dy, dx in NEIGHBOURS:
        near = wide.at((slice(1 + dy, h + 1 + dy), slice(1 + dx, w + 1 + dx))).moved(total.new_tensor([-dy, -dx]))
        close = (near.place - own.place).abs().amax(-1) <= MERGE
        same = close & (near.plane == own.plane) & ((near.angle - own.angle).cos() > 0)
        total += near.place * same[..., None]
        count += same
    mean = replace(own, place=total / count[..., None])
    index, inside = locate(field.atlas, mean)
    fits = inside & price[index].isfinite()
    place = torch.where(fits[..., None], mean.place, own.place)
    return replace(field, index=torch.where(fits, index, field.index), place=place)
