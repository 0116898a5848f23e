"""What a field of freely turned copies may copy from: windows described in the frame of their own direction.

Guided correspondence (Zhou et al. 2023) needs a rotated copy of the exemplar for every direction. Here the local
direction is the x axis of every window, of sources and output alike: one copy serves all directions, and a match meets
the direction guide by itself. A direction holds up to half a turn; a window turned by that has the same descriptor but
for the signs of some components (principal directions of point-symmetric data are even or odd).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from texsynth.field.atlas import Atlas, spread
from texsynth.field.geometry import rotated
from texsynth.field.space import draw
from texsynth.task import Guide

WINDOWS_AT_ONCE = 1 << 14  # windows described at once: stays in the cache
STEPS_OF_A_WALK = 4
SAMPLED_WINDOWS = 8192  # windows from which principal directions are computed


@dataclass(frozen=True)
class Frames:
    """The angles of the local directions at the source pixels (N,) and at the output pixels (h, w), radians clockwise
    on screen; half a turn more is the same direction."""

    source: Tensor
    target: Tensor

    def facing(self, index: Tensor, target: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """The angle of copies of `index` where the direction is `target`, of the two the one nearer to `before`; and
        whether that is half a turn from frame to frame. All (n,)."""
        angle = target - self.source[index]
        back = (angle - before).cos() < 0
        return angle + math.pi * back, back


@dataclass(frozen=True)
class TurnedBasis:
    """The principal directions of round windows, each in its own frame.

    kernel: (D, 3, S), the directions, for windows of S points.
    mean: (D,), the mean window on these directions.
    mirror: (D,), 1 for even directions and -1 for odd ones, whose sign changes when a window turns by half a turn.
    grid: (S, 2), the points, (y, x) from the middle.
    variance: of whole windows, the unit of distances.
    """

    kernel: Tensor
    mean: Tensor
    mirror: Tensor
    grid: Tensor
    variance: float

    def describe(self, picture: Tensor, place: Tensor, angle: Tensor) -> Tensor:
        """The descriptors (n, D) of the windows of (1, 3, H, W) at `place` (n, 2), turned by `angle` (n,)."""
        parts = []
        for some, turns in zip(place.split(WINDOWS_AT_ONCE), angle.split(WINDOWS_AT_ONCE), strict=True):
            out = -self.mean.expand(len(some), -1)
            for channel, kernel in zip(sample(picture, some, turns, self.grid), self.kernel.unbind(1), strict=True):
                out = torch.addmm(out, channel, kernel.T)
            parts.append(out * self.variance**-0.5)
        return torch.cat(parts)


@dataclass(frozen=True)
class TurnedSpace:
    """What a field of freely turned copies may copy from at one level.

    table: (N, D) float32, the descriptor of each source pixel's window in its own frame.
    described: (N,) bool, which source pixels have a descriptor and so may be copied.
    damping: of slides along what hardly changes, in squared descriptors.
    """

    atlas: Atlas
    frames: Frames
    basis: TurnedBasis
    table: Tensor
    described: Tensor
    damping: float


def margin(patch: int) -> int:
    """The padding of an atlas whose windows turn: their longest reach, and two pixels to interpolate."""
    return math.ceil(patch // 2 + 0.75) + 2


def find_frames(guide: Guide, atlas: Atlas) -> Frames:
    """The frames that a guide of directions gives to the pixels of an atlas and of the output."""
    source, target = spread(guide.sources, atlas), guide.target.to(atlas.home.device)[0]
    return Frames(torch.atan2(source[:, 1], source[:, 0]), torch.atan2(target[1], target[0]))


def find_basis(atlas: Atlas, frames: Frames, patch: int, components: int, rng: torch.Generator) -> TurnedBasis:
    """The principal directions of round windows, `patch` pixels across, each in its own frame and turned by half a
    turn; a Gaussian (sigma = patch / 3) weights the middle over the rim."""
    device = atlas.colours.device
    # Sample windows, each in its own frame.
    ramp = torch.arange(patch, device=device) - float(patch // 2)
    grid = torch.stack(torch.meshgrid(ramp, ramp, indexing="ij"), -1).view(-1, 2)
    grid = grid[grid.norm(dim=1) <= patch // 2 + 0.75]
    some = draw(atlas.valid.nonzero()[:, 0], SAMPLED_WINDOWS, rng)
    windows = sample(*_stacked(atlas, some), frames.source[some], grid).transpose(0, 1)  # (n, 3, S)
    weight = torch.exp(-grid.square().sum(1) / (2 * (patch / 3) ** 2)).sqrt()
    mean = (windows.mean(0) + windows.mean(0).flip(-1)) / 2
    centred = (windows - mean) * weight
    # Find the principal directions of their even and of their odd part.
    parts = []
    for sign in (1, -1):  # turning by half a turn reverses the order of the points
        rows = (centred + sign * centred.flip(-1)).flatten(1) / 2
        values, vectors = torch.linalg.eigh((rows.T @ rows / len(rows)).cpu().double())  # mps has no float64
        parts.append((values, vectors, torch.full_like(values, sign)))
    # Keep the strongest of both.
    values, vectors, signs = (torch.cat(part, -1) for part in zip(*parts, strict=True))
    top = values.argsort(descending=True)[:components]
    kernel = vectors[:, top].T.float().to(device).reshape(len(top), 3, -1) * weight
    variance = max(float(values.clamp(min=0).sum()), 1e-8)
    return TurnedBasis(kernel, (kernel * mean).sum((1, 2)), signs[top].float().to(device), grid, variance)


def describe(atlas: Atlas, frames: Frames, basis: TurnedBasis, wanted: Tensor, rng: torch.Generator) -> TurnedSpace:
    """The space of the `wanted` (N,) bool source pixels, which must all be valid; others cannot be copied."""
    table = torch.zeros(len(wanted), len(basis.kernel), device=wanted.device)
    some = wanted.nonzero()[:, 0]
    table[some] = basis.describe(*_stacked(atlas, some), frames.source[some])
    space = TurnedSpace(atlas, frames, basis, table, wanted, 0.0)
    down, right = slopes(space, draw(some, SAMPLED_WINDOWS, rng))
    steep = float((down.square() + right.square()).sum(1).mean())
    return replace(space, damping=max(0.1 * steep, 1e-8))


def slopes(space: TurnedSpace, index: Tensor) -> tuple[Tensor, Tensor]:
    """How descriptors change from pixel to pixel, down and right, at `index` (n,): (n, D) each, 0 beside what has no
    descriptor."""

    def slope(step: int) -> Tensor:
        ahead, behind = index + step, index - step
        both = (space.described[ahead] & space.described[behind])[:, None]
        return (aligned(space, ahead, index) - aligned(space, behind, index)) * both / 2

    return slope(space.atlas.row), slope(1)


def between(space: TurnedSpace, index: Tensor, plane: Tensor, place: Tensor) -> Tensor:
    """Descriptors (n, D) at places (n, 2) in planes (n,): the bilinear mean of those of the four pixels around, in the
    frame of the nearest pixel `index` (n,)."""
    atlas = space.atlas
    whole = place.floor()
    part, (y, x) = place - whole, whole.long().unbind(1)
    out, weight = torch.zeros_like(space.table[index]), torch.zeros_like(part[:, 0])
    for dy, along in ((0, 1 - part[:, 0]), (1, part[:, 0])):
        for dx, across in ((0, 1 - part[:, 1]), (1, part[:, 1])):
            corner = atlas.join(plane, y + dy, x + dx)
            share = along * across * space.described[corner]
            out += share[:, None] * aligned(space, corner, index)
            weight += share
    return out / weight.clamp(min=1e-6)[:, None]


def aligned(space: TurnedSpace, index: Tensor, to: Tensor) -> Tensor:
    """The descriptors (n, D) of `index` (n,), turned by half a turn where the frames of `to` (n,) face away."""
    other = (space.frames.source[index] - space.frames.source[to]).cos() < 0
    return half_turned(space.table[index], other, space)


def half_turned(descriptors: Tensor, back: Tensor, space: TurnedSpace) -> Tensor:
    """The descriptors (n, D) of the same windows, turned by half a turn where `back` (n,) bool."""
    return descriptors * torch.where(back[:, None], space.basis.mirror, 1.0)


def walk(
    begin: Tensor, offset: Tensor, frame: Callable[[Tensor, float], Tensor], first: Tensor
) -> tuple[Tensor, Tensor]:
    """Where straight ways `offset` (..., 2) lead from `begin` (..., 2) in a frame that turns underway: the places
    (..., 2) and the last angles (...). `frame` gives the angle, up to half a turn, at a place and a share of the way;
    `first` is the angle at the start."""
    place, angle = begin.expand(torch.broadcast_shapes(begin.shape, offset.shape)), first
    for step in range(STEPS_OF_A_WALK):
        now = frame(place, (step + 0.5) / STEPS_OF_A_WALK)
        angle = now + math.pi * ((now - angle).cos() < 0)
        place = place + rotated(angle, (offset / STEPS_OF_A_WALK).expand_as(place))
    return place, angle


def sample(picture: Tensor, place: Tensor, angle: Tensor, grid: Tensor) -> Tensor:
    """The values (3, n, S) of (1, 3, H, W), bilinear between its pixels, at `place` (n, 2) + `grid` (S, 2) turned by
    `angle` (n,)."""
    at = place[:, None] + rotated(angle[:, None], grid[None])
    unit = 2 * at / (at.new_tensor(picture.shape[2:]) - 1) - 1
    return F.grid_sample(picture, unit.flip(-1)[None], padding_mode="border", align_corners=True)[0]


def _stacked(atlas: Atlas, index: Tensor) -> tuple[Tensor, Tensor]:
    """All planes above each other, (1, 3, P * rows, row), and where the pixels `index` (n,) lie in that, (n, 2)."""
    picture = atlas.colours.view(-1, atlas.row, 3).permute(2, 0, 1)[None].contiguous()
    return picture, torch.stack([index // atlas.row, index % atlas.row], -1).float()
