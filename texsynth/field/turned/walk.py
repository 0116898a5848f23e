"""Straight ways in a frame that turns underway: by them pieces bend along the directions of source and output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from texsynth import native
from texsynth.field.geometry import facing, turn_between, turned
from texsynth.field.turned.space import TurnedSpace
from texsynth.field.turned.sweep import planes

STEPS_OF_A_WALK = 4


@dataclass(frozen=True)
class Ways:
    """Ways of n pieces through the source, which share G places of the output in turn: n is a multiple of G.

    plane, begin, first: (n,), (n, 2) and (n, 2), where they begin, and the turn from the output's direction there.
    offset: (G, m, 2), where they lead, for one who does not turn.
    there: (G, steps, m, 2), the direction of the output at each of `shares_of_a_walk`.
    """

    plane: Tensor
    begin: Tensor
    first: Tensor
    offset: Tensor
    there: Tensor


def shares_of_a_walk() -> list[float]:
    """The shares of a way after which the frame is looked up."""
    return [(step + 0.5) / STEPS_OF_A_WALK for step in range(STEPS_OF_A_WALK)]


def walk(
    begin: Tensor, offset: Tensor, frame: Callable[[Tensor, float], Tensor], first: Tensor
) -> tuple[Tensor, Tensor]:
    """Where straight ways `offset` (..., 2) lead from `begin` (..., 2) in a frame that turns underway: the places
    (..., 2) and the last turns (..., 2). `frame` gives the direction, a unit vector or its opposite, at a place and a
    share of the way; `first` is the one at the start."""
    place, turn = begin.expand(torch.broadcast_shapes(begin.shape, offset.shape)), first
    for share in shares_of_a_walk():
        turn = facing(frame(place, share), turn)
        place = place + turned(turn, offset / STEPS_OF_A_WALK)
    return place, turn


def walk_in_source(space: TurnedSpace, ways: Ways) -> tuple[Tensor, Tensor]:
    """As `walk`, in the frames of the source as seen from those of the output: places and turns, (n, m, 2) each."""
    if twin := native.kernel("walks", *vars(ways).values(), space.frames.source):
        place, turn = twin(*vars(ways).values(), space.frames.source, *planes(space.atlas))
        return place, turn
    groups = len(ways.offset)
    plane, begin, first = (each.unflatten(0, (groups, -1))[:, :, None] for each in (ways.plane, ways.begin, ways.first))

    def lag(at: Tensor, share: float) -> Tensor:
        index = space.atlas.join(plane.expand(at.shape[:-1]), *at.round().long().unbind(-1))
        return turn_between(ways.there[:, None, int(share * STEPS_OF_A_WALK)], space.frames.source[index])

    place, turn = walk(begin, ways.offset[:, None], lag, first)
    return place.flatten(0, 1), turn.flatten(0, 1)
