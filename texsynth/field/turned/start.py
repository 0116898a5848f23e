"""A start for a field of freely turned copies: a quilt whose pieces bend along the direction fields.

Efros & Freeman 2001 ("Image Quilting") as in `field.quilt`, but in straightened coordinates: from the middle of a piece
every point is reached by a walk in the frame of the local direction, which turns on the way, in the source and in the
output alike. So hair that curves in one way may be laid along lines that curve in another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texsynth.field.atlas import Atlas, Field, settle, usage
from texsynth.field.geometry import turn_between
from texsynth.field.guide import Guiding, mean_prices
from texsynth.field.potential import excess
from texsynth.field.quilting import PRICE_OF_UNEVENNESS, at_borders, cut_candidates, shortlist, starts_along, waves
from texsynth.field.space import draw
from texsynth.field.sweep import NEIGHBOURS
from texsynth.field.turned.space import TurnedSpace
from texsynth.field.turned.sweep import TurnedCopy, copies_of, extend, locate, refresh
from texsynth.field.turned.walk import Ways, shares_of_a_walk, walk, walk_in_source

PIECE_PIXELS_AT_ONCE = 1 << 18  # of pieces that are compared: bounds the memory
SMALLEST_SHARE = 0.05  # of a window that must be painted for its mean difference to count in full
PRICE_OF_REMIX = 8.0  # of an exemplar that is used by its even share more than the others
MOST_PIECES = 8192  # in a table: of more, so many are drawn
ACROSS = 16  # points across the window by which pieces are compared
GUIDED = (1, 6, 9, 14)  # rows and columns of these points at which guides are compared
LACKING = 3.0  # price of a piece that lies beyond its source's border, or where directions whirl
LARGEST_TURN = 4.0  # radians in the length of a piece: by more of a turn, what is walked over is torn apart
PIECES_CUT_AT_ONCE = 1024


@dataclass(frozen=True)
class PieceRules:
    """How pieces are laid, and what their choice weighs.

    block: the side of the pieces, in shorter sides of the exemplar.
    overlap: by how much they overlap, in their sides.
    spread: the price of a part that is already used evenly, in variances.
    tries: how many of the best matches are cut to compare.
    starts: how many quilts are made, of which the best is kept.
    """

    block: float
    overlap: float
    spread: float
    tries: int
    starts: int


@dataclass(frozen=True)
class Pieces:
    """All n pieces that may be laid, and S points at which they are compared.

    side, overlap: of pieces, in pixels.
    middles: (n,) int64, the source pixels in their middles.
    grid: (S, 2), the points, (y, x) from the middle.
    covered: (n, S) in {0, 1}, which points lie in the source.
    values, energy: (n, C * S), the colours there, 0 at points that are not covered, and (n, S), their squared norms.
    goals: (n, F), the coordinates of the guides at some points, or None without guides.
    lacking: (n,), the price of what lies beyond the source or whirls.
    colours: (N, C), what the atlas is compared by but for vectors, which turn, in standard deviations.
    """

    side: int
    overlap: int
    middles: Tensor
    grid: Tensor
    covered: Tensor
    values: Tensor
    energy: Tensor
    goals: Tensor | None
    lacking: Tensor
    colours: Tensor


@dataclass
class Cloth:
    """A quilt while it is laid: its pixels, whether they are `painted` (h, w), and the cost per pixel of all cuts."""

    field: Field
    painted: Tensor
    cost: float = 0.0


@dataclass(frozen=True)
class Supply:
    """What pieces are chosen from, and by; `guiding` are the guides other than directions."""

    space: TurnedSpace
    pieces: Pieces
    rules: PieceRules
    guiding: Guiding | None


def start(
    space: TurnedSpace, size: tuple[int, int], tile: tuple[bool, bool], rules: PieceRules, rng: torch.Generator,
    guiding: Guiding | None = None,
) -> Field:  # fmt: skip
    """The best of several quilts for an output of `size`."""
    supply = Supply(space, _cut_out(space, size, rules, guiding, rng), rules, guiding)
    best = min((_lay(supply, size, tile, rng) for _ in range(rules.starts)), key=lambda cloth: cloth.cost)
    return refresh(best.field, space.frames)


def _lay(supply: Supply, size: tuple[int, int], tile: tuple[bool, bool], rng: torch.Generator) -> Cloth:
    """Cover the output, piece after piece, in raster order; pieces of one wave do not touch."""
    space, pieces = supply.space, supply.pieces
    zero = torch.zeros(size, device=space.table.device)
    field = Field(zero.long(), zero, space.atlas, tile, torch.stack([zero, zero], -1), zero.clone())
    cloth, sides = Cloth(field, zero.bool()), zip(size, tile, strict=True)
    ys, xs = (starts_along(length, wraps, pieces.side, pieces.overlap) for length, wraps in sides)
    at_once = max(1, PIECE_PIXELS_AT_ONCE // (supply.rules.tries * pieces.side**2))
    for wave in waves(ys, xs, lag=3, fewest=7):
        for top in torch.tensor(wave, device=zero.device).split(at_once):
            _place(cloth, supply, top, rng)
    _fill(cloth)
    cloth.cost += PRICE_OF_UNEVENNESS * float(excess(space.atlas, cloth.field.index).abs().mean())
    return cloth


def _place(cloth: Cloth, supply: Supply, top: Tensor, rng: torch.Generator) -> None:
    """Lay one piece with its corner at each of `top` (B, 2), none of which touch each other."""
    field, pieces, device, side = cloth.field, supply.pieces, top.device, supply.pieces.side
    middle = top + (side - 1) / 2
    # Compare all pieces, and bend the best of them.
    score, prior = _scores(cloth, supply, middle)
    tries = shortlist(score, supply.rules.tries, rng)  # (B, T)
    cells = top[:, None] + torch.cartesian_prod(*(torch.arange(side, device=device),) * 2)  # (B, side^2, 2)
    copy = _bent(supply, field, middle, cells, tries)
    index, inside = locate(supply.space.atlas, copy)
    inside &= supply.space.atlas.valid[index]
    # Cut them along what is painted.
    y, x = (cells % cells.new_tensor(field.size)).unbind(-1)
    old, mask = field.index[y, x], cloth.painted[y, x]
    gap = (pieces.colours[index] - pieces.colours[old][:, None]).square().sum(-1)  # (B, T, side^2)
    keep, cut = cut_candidates(gap, mask, at_borders(top, side, field.size, field.tile), pieces.overlap)
    # Paint the cheapest.
    bare = LACKING * (~inside & ~mask[:, None]).float().mean(2)
    cost = cut + prior.gather(1, tries) + bare
    pick = torch.arange(len(top), device=device), cost.argmin(1)
    laid = (~keep & inside)[pick]
    _paint(cloth, (y[laid], x[laid]), index[pick][laid], copy.at(pick).at(laid))
    cloth.cost += float(cost.amin(1).sum()) * side**2 / cloth.painted.numel()


def _scores(cloth: Cloth, supply: Supply, middle: Tensor) -> tuple[Tensor, Tensor]:
    """Of every piece, turned either way, with its middle at `middle` (B, 2): the mean squared difference to what is
    painted plus the price, (B, 2 n), and the price alone."""
    space, pieces, guiding = supply.space, supply.pieces, supply.guiding
    field, size = cloth.field, middle.new_tensor(cloth.field.size)
    # Walk from the middle to the points that are compared.
    target = _target(space, field, middle)[:, None]
    place, _ = walk(middle[:, None], pieces.grid[None], lambda at, _: _target(space, field, at), target)
    inside = ((place.round() >= 0) & (place.round() < size)) | torch.tensor(field.tile, device=size.device)
    y, x = (place.round() % size).long().unbind(-1)
    painted = (inside.all(-1) & cloth.painted[y, x]).float()  # (B, S)
    colours = pieces.colours[field.index[y, x]] * painted[..., None]  # (B, S, C)
    # Compare colours; half a turn reverses the order of the points.
    masks, old = (torch.cat([each, each.flip(1)]) for each in (painted, colours))
    shares, squares = (torch.cat([masks, old.square().sum(2)]) @ pieces.covered.T).chunk(2)
    squares += masks @ pieces.energy.T - 2 * old.transpose(1, 2).flatten(1) @ pieces.values.T
    error = squares.clamp(min=0) / shares.clamp(min=SMALLEST_SHARE * masks.shape[1])
    # Add up the prices.
    worn = _worn(cloth, space.atlas, supply.rules.spread, PRICE_OF_REMIX * (guiding is None))
    price = pieces.lacking + worn[space.atlas.home[pieces.middles]]
    prior = price.repeat(2).expand(len(middle), -1)
    if guiding is not None and pieces.goals is not None:
        ways = (_within(way, field) for way in (place, place.flip(1)))
        goals, squares = pieces.goals, pieces.goals.square()
        asked = ((_few(guiding.goal[at]), _few(guiding.strength[at])) for at in ways)
        prior = prior + torch.cat([mean_prices(goals, squares, *each, len(GUIDED) ** 2) for each in asked], 1)
    return torch.cat(error.chunk(2), 1) + prior, prior


def _bent(supply: Supply, field: Field, middle: Tensor, cells: Tensor, tries: Tensor) -> TurnedCopy:
    """What the pixels `cells` (B, side^2, 2) copy when the pieces `tries` (B, T) are laid round `middle` (B, 2)."""
    space, middles = supply.space, supply.pieces.middles
    index = middles[tries % len(middles)]
    back = tries >= len(middles)
    plane, y, x = space.atlas.split(index)
    # Walk in the frames of the source as the output sees them.
    offset, begin = cells - middle[:, None], torch.stack([y, x], -1).float()
    there = torch.stack([_target(space, field, middle[:, None] + share * offset) for share in shares_of_a_walk()], 1)
    first = turn_between(_target(space, field, middle)[:, None], space.frames.source[index])
    first = torch.where(back[..., None], -first, first)
    way = walk_in_source(space, Ways(plane.flatten(), begin.flatten(0, 1), first.flatten(0, 1), offset, there))
    place, turn = (each.view(*tries.shape, -1, 2) for each in way)
    return TurnedCopy(plane[..., None].expand(place.shape[:-1]), place, turn * turn.new_tensor([1.0, -1.0]))


def _target(space: TurnedSpace, field: Field, place: Tensor) -> Tensor:
    """The direction at places (..., 2) of the output, (..., 2)."""
    return space.frames.target[_within(place, field)]


def _within(place: Tensor, field: Field) -> tuple[Tensor, Tensor]:
    """Rows and columns of the pixels nearest to `place` (..., 2), wrapped or clipped into the output."""
    near, sides = place.round().long().unbind(-1), zip(field.size, field.tile, strict=True)
    y, x = (at % n if wraps else at.clamp(0, n - 1) for at, (n, wraps) in zip(near, sides, strict=True))
    return y, x


def _worn(cloth: Cloth, atlas: Atlas, spread: float, remix: float) -> Tensor:
    """The price of copying more from parts of the source, (homes,): `spread` for one used by its even share of the
    whole output, `remix` for a whole exemplar used by that much more than what is painted."""
    share = float(cloth.painted.float().mean())
    if share == 0:
        return torch.zeros(atlas.homes, device=cloth.painted.device)
    index = cloth.field.index[cloth.painted]
    price = spread * share * (excess(atlas, index) + 1)
    if len(atlas.exemplars) > 1:
        parts = (usage(atlas, index) - 1).split([h * w for h, w in atlas.exemplars])
        price += remix * share * torch.cat([part.mean().expand(len(part)) for part in parts])
    return price


def _fill(cloth: Cloth) -> None:
    """Continue the neighbours of what no piece has covered, clipped into their sources."""
    field, (h, w) = cloth.field, cloth.field.size
    while not cloth.painted.all():
        copies = copies_of(field)
        wide = extend(copies, field.tile, 1)
        covered = extend(replace(copies, plane=cloth.painted.long()), field.tile, 1).plane > 0
        for dy, dx in NEIGHBOURS:
            pick = slice(1 + dy, h + 1 + dy), slice(1 + dx, w + 1 + dx)
            at = (covered[pick] & ~cloth.painted).nonzero(as_tuple=True)
            copy = wide.at(pick).moved(wide.place.new_tensor([-dy, -dx])).at(at)
            index, place = settle(field.atlas, copy.plane, copy.place)
            _paint(cloth, at, index, replace(copy, place=place))


def _paint(cloth: Cloth, at: tuple[Tensor, ...], index: Tensor, copy: TurnedCopy) -> None:
    """Let the pixels `at`, rows and columns (n,), copy `index` (n,), and say where and how turned."""
    field = cloth.field
    assert field.place is not None and field.angle is not None
    field.index[at], field.place[at], cloth.painted[at] = index, copy.place, True
    field.angle[at] = torch.atan2(copy.turn[..., 1], copy.turn[..., 0])


def _cut_out(
    space: TurnedSpace, size: tuple[int, int], rules: PieceRules, guiding: Guiding | None, rng: torch.Generator
) -> Pieces:
    """All pieces for an output of `size`."""
    atlas, device = space.atlas, space.table.device
    # Lay the points at which pieces are compared.
    side = max(2, min(round(rules.block * min(min(s) for s in atlas.exemplars)), *size))
    ramp = (torch.arange(ACROSS, device=device) + 0.5) * side / ACROSS - side / 2
    grid = torch.cartesian_prod(ramp, ramp)
    middles = draw(space.described.nonzero()[:, 0], MOST_PIECES, rng)
    smooth, inner = _smooth(space, side), (grid.abs() <= side / 4).all(1)
    still = torch.cat([atlas.compared[:, :3], atlas.compared[:, 3 + 2 * atlas.vectors :]], 1)
    colours = still / atlas.deviation
    level = grid.new_tensor([1.0, 0.0]).expand(1, len(shares_of_a_walk()), len(grid), 2).contiguous()
    # Walk from the middle of each piece to all of its points.
    covered, values, lacking, goals = [], [], [], []
    for some in middles.split(PIECES_CUT_AT_ONCE):
        plane, y, x = atlas.split(some)
        ways = Ways(plane, torch.stack([y, x], -1).float(), space.frames.source[some], grid[None], level)
        place, turn = walk_in_source(space, ways)
        index, inside = locate(atlas, TurnedCopy(plane[:, None].expand(-1, len(grid)), place, turn))
        inside &= atlas.valid[index]
        covered.append(inside.float())
        lacking.append(LACKING * (1 - (inside & smooth[index])[:, inner].float().mean(1)))
        values.append((colours[index] * inside[..., None]).transpose(1, 2).flatten(1))
        if guiding is not None:
            goals.append(_few(guiding.table[index]))
    table, overlap = torch.cat(values), max(1, min(round(rules.overlap * side), side - 1))
    energy = table.square().view(len(table), colours.shape[1], -1).sum(1)
    met = torch.cat(goals) if goals else None
    return Pieces(side, overlap, middles, grid, torch.cat(covered), table, energy, met, torch.cat(lacking), colours)


def _smooth(space: TurnedSpace, side: int) -> Tensor:
    """Where the source's directions turn slowly enough for pieces to bend along them, (N,) bool."""
    frames = space.frames.source.view(-1, space.atlas.row, 2)
    sine = torch.zeros_like(frames[..., 0])  # of the angle to the pixel below or to that on the right
    sine[:-1] = turn_between(frames[:-1], frames[1:])[..., 1].abs()
    sine[:, :-1] = torch.maximum(sine[:, :-1], turn_between(frames[:, :-1], frames[:, 1:])[..., 1].abs())
    return (sine < LARGEST_TURN / side).flatten()


def _few(values: Tensor) -> Tensor:
    """The values (n, S, G) at the points where guides are compared, (n, F)."""
    rows = torch.tensor(GUIDED, device=values.device)
    return values[:, (rows[:, None] * ACROSS + rows).flatten()].flatten(1)
