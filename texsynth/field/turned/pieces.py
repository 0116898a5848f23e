"""All pieces that a quilt of turned copies may be made of, straightened along their directions, as one table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from texsynth.field.atlas import Atlas
from texsynth.field.guide import Guiding
from texsynth.field.turned.space import Space, draw, walk
from texsynth.field.turned.sweep import Copy, locate

MOST = 8192  # middles of pieces in a table: more are sampled
ACROSS = 16  # points across the window by which pieces are compared
GUIDED = (1, 6, 9, 14)  # rows and columns of these points at which guides are compared
LACKING = 3.0  # price of a piece that lies beyond its source's border, or where directions whirl
WHIRL = 4.0  # radians in the length of a piece: by such a turn, what is walked over is torn apart


@dataclass(frozen=True)
class Pieces:
    """All pieces that may be laid. middles: (n,) flat indices; grid: (S, 2) points at which they are compared; known:
    (n, S) which of these lie in the source; values: (n, 3 * S) colours there, else 0; energy: (n, S) their squares;
    goals: (n, F) of the guides, if any; lacking: (n,) price of what is missing or whirls; colours: (N, 3) the atlas in
    standard deviations."""

    side: int
    overlap: int
    middles: Tensor
    grid: Tensor
    known: Tensor
    values: Tensor
    energy: Tensor
    goals: Tensor | None
    lacking: Tensor
    colours: Tensor


def cut_out(
    space: Space, size: tuple[int, int], block: float, overlap: float, guiding: Guiding | None, rng: torch.Generator
) -> Pieces:
    """Pieces for an output of `size`, `block` shorter sides of the exemplar wide, that overlap by `overlap` of that."""
    atlas, device = space.atlas, space.table.device
    side = max(2, min(round(block * min(min(s) for s in atlas.exemplars)), *size))
    ramp = (torch.arange(ACROSS, device=device) + 0.5) * side / ACROSS - side / 2
    grid = torch.cartesian_prod(ramp, ramp)
    middles = draw(space.described, MOST, rng)
    colours = atlas.colours / (atlas.colours[atlas.valid].var(0, unbiased=False).sum().sqrt() + 1e-6)
    smooth = _smooth(space, side)
    inner = (grid.abs() <= side / 4).all(1)
    known, values, lacking, goals = [], [], [], []
    for some in middles.split(1024):
        plane, y, x = (t[:, None] for t in atlas.split(some))
        begin = torch.stack([y, x], -1).float()
        plane = plane.expand(-1, len(grid))
        place, angle = walk(begin, grid[None], partial(frame_at, space, plane), space.frames.source[some][:, None])
        index, inside = pixels(atlas, Copy(plane, place, angle))
        known.append(inside.float())
        lacking.append(LACKING * (1 - (inside & smooth[index])[:, inner].float().mean(1)))
        values.append((colours[index] * inside[..., None]).transpose(1, 2).flatten(1))
        if guiding is not None:
            goals.append(few(guiding.table[index]))
    table = torch.cat(values)
    return Pieces(
        side=side,
        overlap=max(1, min(round(overlap * side), side - 1)),
        middles=middles,
        grid=grid,
        known=torch.cat(known),
        values=table,
        energy=table.square().view(len(table), 3, -1).sum(1),
        goals=torch.cat(goals) if goals else None,
        lacking=torch.cat(lacking),
        colours=colours,
    )


def _smooth(space: Space, side: int) -> Tensor:
    """Where the source's directions turn slowly enough for pieces to bend along them, (N,) bool."""
    angle = space.frames.source.view(-1, space.atlas.row)
    turn = torch.zeros_like(angle)
    turn[:-1] = (angle[1:] - angle[:-1]).sin().abs()
    turn[:, :-1] = torch.maximum(turn[:, :-1], (angle[:, 1:] - angle[:, :-1]).sin().abs())
    return (turn < WHIRL / side).flatten()


def frame_at(space: Space, plane: Tensor, place: Tensor, _share: float = 0.0) -> Tensor:
    """The angle of the frame at places (..., 2) of planes (...)."""
    return space.frames.source[space.atlas.join(plane, *place.round().long().unbind(-1))]


def pixels(atlas: Atlas, copy: Copy) -> tuple[Tensor, Tensor]:
    """The pixels nearest to some copies, and whether these may be copied."""
    index, inside = locate(atlas, copy)
    return index, inside & atlas.valid[index]


def few(values: Tensor) -> Tensor:
    """Those of the values (n, S, G) at which guides are compared, (n, F)."""
    rows = torch.tensor(GUIDED, device=values.device)
    return values[:, (rows[:, None] * ACROSS + rows).flatten()].flatten(1)


def guided(known: Tensor, goal: Tensor, strength: Tensor) -> Tensor:
    """Mean price of the guides, (B, n), of values (n, F) against goals (B, F)."""
    price = strength @ known.square().T - 2 * (goal * strength) @ known.T
    price += (goal.square() * strength).sum(1, keepdim=True)
    return price.clamp(min=0) / len(GUIDED) ** 2
