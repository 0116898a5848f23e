"""A start for a field of freely turned copies: a quilt whose pieces bend along the direction fields.

Efros & Freeman 2001 ("Image Quilting") with all source positions compared at once, as in quilt.py, but in straightened
coordinates: from the middle of a piece every point is reached by a walk in the frame of the local direction, which
turns on the way, in the source and in the output alike. So hair that curves in the one way may be laid along lines that
curve in another. Walked over its source's border, a piece ends there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.field.atlas import Atlas, Field, settle, usage
from texsynth.field.cuts import cut_sides
from texsynth.field.guide import Guiding
from texsynth.field.potential import excess
from texsynth.field.sweep import NEIGHBOURS
from texsynth.field.turned.pieces import LACKING, Pieces, cut_out, few, frame_at, guided, pixels
from texsynth.field.turned.space import TurnedSpace, walk
from texsynth.field.turned.sweep import Copy, extend, refresh

BATCH = 1 << 18  # pixels of pieces compared at once: bounds the memory
JITTER = 0.02  # of the variance: differences below it are left to chance, so that seeds differ
LEAST = 0.05  # of a window must be known for its mean to count in full
REMIX = 8.0  # price of an exemplar that is used by its even share more than the others
UNEVEN = 1.0  # price of a quilt that uses every part twice or not at all, beside its cuts


@dataclass(frozen=True)
class Rules:
    """block: side of the pieces, in shorter sides of the exemplar; overlap: in their sides; spread: price of a part
    that is already used evenly, in variances; tries: matches cut to compare, per piece; starts: quilts to choose
    from."""

    block: float
    overlap: float
    spread: float
    tries: int
    starts: int


@dataclass
class Cloth:
    """The quilt while it is laid: a field, which of its pixels are painted, (h, w), and the cost of all cuts."""

    field: Field
    painted: Tensor
    cost: float = 0.0


def start(
    space: TurnedSpace, size: tuple[int, int], tile: tuple[bool, bool], rules: Rules, rng: torch.Generator,
    guiding: Guiding | None = None,
) -> Field:  # fmt: skip
    """The best of `starts` quilts for an output of `size`."""
    pieces = cut_out(space, size, rules.block, rules.overlap, guiding, rng)
    made = (_lay(space, pieces, size, tile, rules, rng, guiding) for _ in range(rules.starts))
    return refresh(min(made, key=lambda cloth: cloth.cost).field, space.frames)


def _lay(
    space: TurnedSpace, pieces: Pieces, size: tuple[int, int], tile: tuple[bool, bool], rules: Rules,
    rng: torch.Generator, guiding: Guiding | None,
) -> Cloth:  # fmt: skip
    """Cover the output, piece after piece, in raster order; pieces of one wave do not touch."""
    zero = torch.zeros(size, device=space.table.device)
    field = Field(zero.long(), zero, space.atlas, tile, torch.stack([zero, zero], -1), zero.clone())
    cloth = Cloth(field, zero.bool())
    ys, xs = (_grid(length, wraps, pieces) for length, wraps in zip(size, tile, strict=True))
    waves: dict[int, list[tuple[int, int]]] = {}
    for r, y in enumerate(ys):
        for c, x in enumerate(xs):
            waves.setdefault(r * len(xs) + c if len(xs) < 7 else c + 3 * r, []).append((y, x))
    for _, wave in sorted(waves.items()):
        for top in torch.tensor(wave, device=zero.device).split(max(1, BATCH // (rules.tries * pieces.side**2))):
            _place(cloth, space, pieces, top, rules, rng, guiding)
    _fill(cloth)
    cloth.cost += UNEVEN * float(excess(space.atlas, cloth.field.index).abs().mean())
    return cloth


def _grid(length: int, wraps: bool, pieces: Pieces) -> list[int]:
    """Where pieces start along one side."""
    step = pieces.side - pieces.overlap
    if wraps:
        count = -(-length // step)
        return [i * length // count for i in range(count)]
    count = max(1, -(-(length - pieces.overlap) // step))
    return [i * (length - pieces.side) // max(1, count - 1) for i in range(count)]


def _place(
    cloth: Cloth, space: TurnedSpace, pieces: Pieces, top: Tensor, rules: Rules, rng: torch.Generator,
    guiding: Guiding | None,
) -> None:  # fmt: skip
    """Lay one piece with its corner at each of `top` (B, 2), none of which touch each other."""
    field, device, side = cloth.field, top.device, pieces.side
    middle = top + (side - 1) / 2
    score, prior = _scores(cloth, space, pieces, middle, rules, guiding)
    score += JITTER * torch.rand(score.shape, generator=rng).to(device)
    tries = score.topk(min(rules.tries, score.shape[1]), largest=False).indices  # (B, T)
    cells = top[:, None] + torch.cartesian_prod(*(torch.arange(side, device=device),) * 2)  # (B, side^2, 2)
    copy = _bent(space, pieces, field, middle, cells, tries)
    index, inside = pixels(space.atlas, copy)
    y, x = (cells % cells.new_tensor(field.size)).unbind(-1)
    old, mask = field.index[y, x], cloth.painted[y, x]
    gap = (pieces.colours[index] - pieces.colours[old][:, None]).square().sum(-1)  # (B, T, side^2)
    masks, borders = (t.repeat_interleave(tries.shape[1], 0) for t in (mask, _borders(field, pieces, top)))
    keep, cut = cut_sides(gap.view(-1, side, side), masks.view(-1, side, side), borders, pieces.overlap)
    bare = LACKING * (~inside & ~mask[:, None]).float().mean(2)
    cost = cut.view(tries.shape) / side + prior.gather(1, tries) + bare
    pick = torch.arange(len(top), device=device), cost.argmin(1)
    laid = (~keep.view(gap.shape) & inside)[pick]
    at = y[laid], x[laid]
    _paint(cloth, at, index[pick][laid], copy.at(pick).at(laid))
    cloth.cost += float(cost.amin(1).sum()) * side**2 / cloth.painted.numel()


def _scores(
    cloth: Cloth, space: TurnedSpace, pieces: Pieces, middle: Tensor, rules: Rules, guiding: Guiding | None
) -> tuple[Tensor, Tensor]:
    """Of every piece, turned either way, with its middle at `middle` (B, 2): mean squared difference to what is painted
    and price, (B, 2 n), and the price alone."""
    field, size = cloth.field, middle.new_tensor(cloth.field.size)
    target = _target(space, field, middle)[:, None]
    place, _ = walk(middle[:, None], pieces.grid[None], lambda at, _: _target(space, field, at), target)
    inside = ((place.round() >= 0) & (place.round() < size)) | torch.tensor(field.tile, device=size.device)
    y, x = (place.round() % size).long().unbind(-1)
    seen = (inside.all(-1) & cloth.painted[y, x]).float()  # (B, S)
    colours = pieces.colours[field.index[y, x]] * seen[..., None]  # (B, S, 3)
    error = []
    for mask, old in ((seen, colours), (seen.flip(1), colours.flip(1))):  # half a turn reverses the order
        squares = mask @ pieces.energy.T + old.square().sum(2) @ pieces.covered.T
        squares -= 2 * old.transpose(1, 2).flatten(1) @ pieces.values.T
        error.append(squares.clamp(min=0) / (mask @ pieces.covered.T).clamp(min=LEAST * mask.shape[1]))
    price = (
        pieces.lacking
        + _worn(cloth, space.atlas, rules.spread, REMIX * (guiding is None))[space.atlas.home[pieces.middles]]
    )
    prior = price.repeat(2).expand(len(middle), -1)
    if guiding is not None and pieces.goals is not None:
        ways = (_within(way, field) for way in (place, place.flip(1)))
        met = [guided(pieces.goals, few(guiding.goal[at]), few(guiding.strength[at])) for at in ways]
        prior = prior + torch.cat(met, 1)
    return torch.cat(error, 1) + prior, prior


def _bent(space: TurnedSpace, pieces: Pieces, field: Field, middle: Tensor, cells: Tensor, tries: Tensor) -> Copy:
    """What the pixels `cells` (B, side^2, 2) copy when the pieces `tries` (B, T) are laid round `middle` (B, 2)."""
    index = pieces.middles[tries % len(pieces.middles)]
    back = math.pi * (tries >= len(pieces.middles))
    plane, y, x = (t[..., None] for t in space.atlas.split(index))  # (B, T, 1)
    offset = (cells - middle[:, None])[:, None]  # (B, 1, side^2, 2)

    def lag(at: Tensor, share: float) -> Tensor:
        there = _target(space, field, middle[:, None, None] + share * offset)
        return frame_at(space, plane.expand(at.shape[:-1]), at) - there

    first = space.frames.source[index] - _target(space, field, middle)[:, None] - back
    place, angle = walk(torch.stack([y, x], -1).float(), offset, lag, first[..., None])
    return Copy(plane.expand(angle.shape), place, -angle)


def _target(space: TurnedSpace, field: Field, place: Tensor) -> Tensor:
    """The angle of the frame at places (..., 2) of the output."""
    return space.frames.target[_within(place, field)]


def _within(place: Tensor, field: Field) -> tuple[Tensor, Tensor]:
    """Rows and columns of the pixels nearest to `place` (..., 2), wrapped or clipped into the output."""
    near, sides = place.round().long().unbind(-1), zip(field.size, field.tile, strict=True)
    y, x = (at % n if wraps else at.clamp(0, n - 1) for at, (n, wraps) in zip(near, sides, strict=True))
    return y, x


def _worn(cloth: Cloth, atlas: Atlas, spread: float, remix: float) -> Tensor:
    """Price of copying more from parts of the source, (homes,): `spread` for one used by its even share of the whole
    output, `remix` for a whole exemplar used by that much more than what is painted."""
    share = float(cloth.painted.float().mean())
    if share == 0:
        return torch.zeros(atlas.homes, device=cloth.painted.device)
    index = cloth.field.index[cloth.painted]
    price = spread * share * (excess(atlas, index) + 1)
    if len(atlas.exemplars) > 1:
        parts = (usage(atlas, index) - 1).split([h * w for h, w in atlas.exemplars])
        price += remix * share * torch.cat([part.mean().expand(len(part)) for part in parts])
    return price


def _borders(field: Field, pieces: Pieces, top: Tensor) -> Tensor:
    """Which sides (left, top, right, bottom) of each piece lie on a border that does not wrap, (B, 4)."""
    low, high = top == 0, top + pieces.side == top.new_tensor(field.size)
    y, x = (not wraps for wraps in field.tile)
    return torch.stack([low[:, 1] & x, low[:, 0] & y, high[:, 1] & x, high[:, 0] & y], 1)


def _fill(cloth: Cloth) -> None:
    """What no piece has covered continues its neighbours, clipped into their sources."""
    field, (h, w) = cloth.field, cloth.field.size
    while not cloth.painted.all():
        wide = extend(field, 1)
        known = extend(replace(field, angle=cloth.painted.float()), 1).angle > 0
        for dy, dx in NEIGHBOURS:
            pick = slice(1 + dy, h + 1 + dy), slice(1 + dx, w + 1 + dx)
            at = (known[pick] & ~cloth.painted).nonzero(as_tuple=True)
            copy = wide.at(pick).moved(wide.place.new_tensor([-dy, -dx])).at(at)
            index, place = settle(field.atlas, copy.plane, copy.place)
            _paint(cloth, at, index, replace(copy, place=place))


def _paint(cloth: Cloth, at: tuple[Tensor, ...], index: Tensor, copy: Copy) -> None:
    field = cloth.field
    assert field.place is not None
    assert field.angle is not None
    field.index[at], field.place[at], field.angle[at], cloth.painted[at] = index, copy.place, copy.angle, True
