"""All pieces that a quilt of turned copies may be made of, straightened along their directions, as one table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from texsynth.field.atlas import Atlas
from texsynth.field.guide import Guiding, mean_prices
from texsynth.field.space import draw
from texsynth.field.turned.space import TurnedSpace, walk
from texsynth.field.turned.sweep import TurnedCopy, locate

MOST_PIECES = 8192  # in a table: of more, so many are drawn
ACROSS = 16  # points across the window by which pieces are compared
GUIDED = (1, 6, 9, 14)  # rows and columns of these points at which guides are compared
LACKING = 3.0  # price of a piece that lies beyond its source's border, or where directions whirl
LARGEST_TURN = 4.0  # radians in the length of a piece: by more of a turn, what is walked over is torn apart
PIECES_CUT_AT_ONCE = 1024


@dataclass(frozen=True)
class Pieces:
    """All n pieces that may be laid, and S points at which they are compared.

    side, overlap: of pieces, in pixels.
    middles: (n,) int64, the source pixels in their middles.
    grid: (S, 2), the points, (y, x) from the middle.
    covered: (n, S) in {0, 1}, which points lie in the source.
    values, energy: (n, 3 * S), the colours there, 0 at points that are not covered, and (n, S), their squared norms.
    goals: (n, F), the coordinates of the guides at some points, or None without guides.
    lacking: (n,), the price of what lies beyond the source or whirls.
    colours: (N, 3), the atlas in standard deviations.
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


def cut_out(
    space: TurnedSpace, size: tuple[int, int], block: float, overlap: float, guiding: Guiding | None,
    rng: torch.Generator,
) -> Pieces:  # fmt: skip
    """The pieces for an output of `size`: `block` shorter sides of the exemplar wide, neighbours overlapping by
    `overlap` of that."""
    atlas, device = space.atlas, space.table.device
    # Lay the points at which pieces are compared.
    side = max(2, min(round(block * min(min(s) for s in atlas.exemplars)), *size))
    ramp = (torch.arange(ACROSS, device=device) + 0.5) * side / ACROSS - side / 2
    grid = torch.cartesian_prod(ramp, ramp)
    middles = draw(space.described.nonzero()[:, 0], MOST_PIECES, rng)
    colours = atlas.colours / atlas.deviation
    smooth = _smooth(space, side)
    inner = (grid.abs() <= side / 4).all(1)
    # Walk from the middle of each piece to all of its points.
    covered, values, lacking, goals = [], [], [], []
    for some in middles.split(PIECES_CUT_AT_ONCE):
        plane, y, x = (t[:, None] for t in atlas.split(some))
        plane, begin = plane.expand(-1, len(grid)), torch.stack([y, x], -1).float()
        place, angle = walk(begin, grid[None], partial(frame_at, space, plane), space.frames.source[some][:, None])
        index, inside = pixels(atlas, TurnedCopy(plane, place, angle))
        covered.append(inside.float())
        lacking.append(LACKING * (1 - (inside & smooth[index])[:, inner].float().mean(1)))
        values.append((colours[index] * inside[..., None]).transpose(1, 2).flatten(1))
        if guiding is not None:
            goals.append(few(guiding.table[index]))
    table, shared = torch.cat(values), max(1, min(round(overlap * side), side - 1))
    energy = table.square().view(len(table), 3, -1).sum(1)
    met = torch.cat(goals) if goals else None
    return Pieces(side, shared, middles, grid, torch.cat(covered), table, energy, met, torch.cat(lacking), colours)


def _smooth(space: TurnedSpace, side: int) -> Tensor:
    """Where the source's directions turn slowly enough for pieces to bend along them, (N,) bool."""
    angle = space.frames.source.view(-1, space.atlas.row)
    turn = torch.zeros_like(angle)
    turn[:-1] = (angle[1:] - angle[:-1]).sin().abs()
    turn[:, :-1] = torch.maximum(turn[:, :-1], (angle[:, 1:] - angle[:, :-1]).sin().abs())
    return (turn < LARGEST_TURN / side).flatten()


def frame_at(space: TurnedSpace, plane: Tensor, place: Tensor, _share: float = 0.0) -> Tensor:
    """The angle of the frame at places (..., 2) of planes (...)."""
    return space.frames.source[space.atlas.join(plane, *place.round().long().unbind(-1))]


def pixels(atlas: Atlas, copy: TurnedCopy) -> tuple[Tensor, Tensor]:
    """The pixels (...) nearest to some copies, and whether these may be copied."""
    index, inside = locate(atlas, copy)
    return index, inside & atlas.valid[index]


def few(values: Tensor) -> Tensor:
    """The values (n, S, G) at the points where guides are compared, (n, F)."""
    rows = torch.tensor(GUIDED, device=values.device)
    return values[:, (rows[:, None] * ACROSS + rows).flatten()].flatten(1)


def guided(values: Tensor, goal: Tensor, strength: Tensor) -> Tensor:
    """The mean price (B, n) of the guides: of values (n, F) against goals (B, F), by strength (B, F)."""
    return mean_prices(values, values.square(), goal, strength, len(GUIDED) ** 2)
